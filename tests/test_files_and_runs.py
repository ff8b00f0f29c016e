"""Files are written whole or not at all; run folders say what they lack."""

import errno
import json

import pandas as pd
import pytest

from cxrlib import files, runs
from cxrlib.errors import InputError


def test_a_cut_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text("old")
    with pytest.raises(RuntimeError), files.replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_named_with_the_file_and_leaves_nothing(tmp_path):
    path = tmp_path / "new" / "model.keras"
    with (
        pytest.raises(OSError, match=r"No space left.*model\.keras"),
        files.replacing(path) as part,
    ):
        part.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert list(path.parent.iterdir()) == []


def test_the_temporary_name_keeps_the_ending(tmp_path):
    with files.replacing(tmp_path / "model.keras") as temporary:
        assert temporary.suffix == ".keras"
        temporary.touch()


def test_the_project_is_found_from_its_subfolders_and_missed_outside(tmp_path, monkeypatch):
    (tmp_path / "Snakefile").touch()
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    assert files.root() == tmp_path
    (tmp_path / "Snakefile").unlink()
    with pytest.raises(InputError, match="not inside the study's folder"):
        files.root()


def test_a_damaged_run_says_what_to_do(tmp_path):
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(InputError, match=r"run\.json is damaged .*delete it"):
        runs.load(tmp_path)
    with pytest.raises(InputError, match="no run in .*cxr train"):
        runs.load(tmp_path / "nothing")
    with pytest.raises(InputError, match="no runs below"):
        runs.load_all(tmp_path / "nothing")


def test_keeping_a_run_leaves_network_and_pictures_behind(tmp_path):
    folder = tmp_path / "runs" / "A" / "efficient"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"experiment": "A", "arm": "efficient"}))
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
