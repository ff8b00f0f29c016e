"""Run folders say what they lack, and what is kept of them."""

import json
import zipfile

import pandas as pd
import pytest

from cxrlib import runs
from cxrlib.errors import InputError
from tests.conftest import make_run


def test_a_damaged_run_says_what_to_do(tmp_path):
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(InputError, match=r"run\.json is damaged .*delete it"):
        runs.load(tmp_path)
    with pytest.raises(InputError, match="no run in .*cxr train"):
        runs.load(tmp_path / "nothing")
    with pytest.raises(InputError, match="no runs below"):
        runs.load_all(tmp_path / "nothing")


def test_a_run_of_another_version_is_told_by_what_it_lacks(tmp_path):
    (tmp_path / "run.json").write_text('{"experiment": "A", "arm": "efficient", "weights": "none"}')
    with pytest.raises(InputError, match=r"lacks architecture, state: .*another version"):
        runs.load(tmp_path)


@pytest.mark.parametrize("name", ["history", "predictions", "metrics", "heatmaps"])
def test_a_damaged_file_of_a_run_is_named(tmp_path, name):
    run = make_run(tmp_path)
    path = next(run.folder.glob(f"{name}.*"))
    path.write_bytes(path.read_bytes()[:100] if name == "heatmaps" else b"")
    with pytest.raises(InputError, match=rf"{path.name} is damaged .*delete it and run again"):
        getattr(run, name)


def test_keeping_a_run_leaves_network_and_pictures_behind(tmp_path):
    folder = tmp_path / "runs" / "A" / "efficient"
    folder.mkdir(parents=True)
    facts = dict.fromkeys(runs.FACTS, "x") | {"experiment": "A", "arm": "efficient"}
    (folder / "run.json").write_text(json.dumps(facts))
    for name in ("history.csv", "model.keras", "heatmaps.npy"):
        (folder / name).write_text("x")
    runs.keep(runs.load_all(tmp_path / "runs"), tmp_path / "kept")
    kept = sorted(path.name for path in (tmp_path / "kept" / "A" / "efficient").iterdir())
    assert kept == ["history.csv", "run.json"]


def test_histories_of_several_arms_are_joined_with_their_names(tmp_path):
    made = []
    for arm in ("efficient", "resnet50-none"):
        folder = tmp_path / "A" / arm
        folder.mkdir(parents=True)
        pd.DataFrame({"epoch": [1, 2], "loss": [1.0, 0.5]}).to_csv(folder / "history.csv")
        architecture, _, weights = arm.partition("-")
        info = {"experiment": "A", "arm": arm, "architecture": architecture, "state": "finished"}
        (folder / "run.json").write_text(json.dumps({**info, "weights": weights or "none"}))
        made.append(runs.load(folder))
    joined = runs.histories(made)
    assert joined.groupby("arm")["epoch"].max().to_dict() == {"efficient": 2, "resnet50-none": 2}
    with pytest.raises(InputError, match="none of these runs is finished"):
        runs.histories([])


@pytest.fixture
def packed(project):
    """A run of a study, and the same packed."""
    run = make_run(project / "runs" / "study-1")
    runs.pack(run.folder, project / "carried.zip")
    return run, project / "carried.zip"


def test_a_packed_run_is_put_where_it_was_in_another_folder(packed, tmp_path_factory, monkeypatch):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "Snakefile").touch()
    monkeypatch.chdir(elsewhere)
    run, file = packed
    folder = runs.unpack(file)
    assert folder == elsewhere / "runs" / "study-1" / "A" / "efficient-none"
    pd.testing.assert_frame_equal(runs.load(folder).predictions, run.predictions)
    assert {path.name for path in folder.parent.iterdir()} == {folder.name, f".{folder.name}.lock"}


def test_a_packed_run_replaces_another_one_and_leaves_the_same_alone(packed):
    run, file = packed
    (run.folder / "own.txt").touch()
    runs.unpack(file)
    assert (run.folder / "own.txt").exists()
    (run.folder / "run.json").write_text(json.dumps(run.info | {"seed": 7}))
    runs.unpack(file)
    assert runs.load(run.folder).info["seed"] == 1
    assert not (run.folder / "own.txt").exists()


def test_what_cannot_be_packed_or_unpacked_is_refused(project):
    running = make_run(project / "runs" / "study-1", state=runs.RUNNING)
    with pytest.raises(InputError, match="has not ended: `cxr train`"):
        runs.pack(running.folder, project / "carried.zip")
    (project / "text.zip").write_text("no zip")
    with pytest.raises(InputError, match=r"text\.zip is damaged"):
        runs.unpack(project / "text.zip")
    with zipfile.ZipFile(project / "other.zip", "w") as other:
        other.writestr("readme.txt", "no run")
    with pytest.raises(InputError, match=r"other\.zip is damaged \(no run in it\)"):
        runs.unpack(project / "other.zip")
