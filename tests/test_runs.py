"""Run folders say what they lack, and what is kept of them."""

import json
import zipfile

import numpy as np
import pandas as pd
import pytest

from cxrlib.errors import InputError, InputWarning
from cxrlib.study import elsewhere, keeping, packing, runs
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
    told = {"experiment": "A", "arm": "efficient", "weights": "none", "cohort": "phantom"}
    (tmp_path / "run.json").write_text(json.dumps({**told, "split": "paper", "seed": 1}))
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
    facts = dict.fromkeys(runs.FACTS, "x") | {"experiment": "A", "arm": "efficient", "seed": 1}
    facts |= {"architecture": "efficient", "weights": "none", "state": runs.RUNNING}
    (folder / "run.json").write_text(json.dumps(facts))
    for name in ("history.csv", "model.keras", "heatmaps.npy"):
        (folder / name).write_text("x")
    keeping.keep(runs.load_all(tmp_path / "runs"), tmp_path / "kept")
    kept = sorted(path.name for path in (tmp_path / "kept" / "A" / "efficient").iterdir())
    assert kept == ["history.csv", "run.json"]


def test_histories_of_several_arms_are_joined_with_their_names(tmp_path):
    made = [make_run(tmp_path, "efficient"), make_run(tmp_path, "resnet50")]
    joined = runs.join_histories(made)
    assert joined.groupby("arm")["epoch"].max().to_dict() == {
        "efficient-none": 2,
        "resnet50-none": 2,
    }
    with pytest.raises(InputError, match="none of these runs is finished"):
        runs.join_histories([])


@pytest.fixture
def packed(project):
    """A run of a study, and the same packed."""
    run = make_run(project / "runs" / "study-1")
    packing.pack(run.folder, project / "carried.zip")
    return run, project / "carried.zip"


def test_a_packed_run_is_put_where_it_was_in_another_folder(packed, tmp_path_factory, monkeypatch):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "Snakefile").touch()
    monkeypatch.chdir(elsewhere)
    run, file = packed
    folder = packing.unpack(file)
    assert folder == elsewhere / "runs" / "study-1" / "A" / "efficient-none"
    pd.testing.assert_frame_equal(runs.load(folder).predictions, run.predictions)
    assert {path.name for path in folder.parent.iterdir()} == {folder.name, f".{folder.name}.lock"}


def test_a_packed_run_replaces_another_one_and_leaves_the_same_alone(packed):
    run, file = packed
    (run.folder / "own.txt").touch()
    put = []
    packing.unpack(file, put.append)
    assert (run.folder / "own.txt").exists() and not put
    (run.folder / "run.json").write_text(json.dumps(run.info | {"seed": 7}))
    packing.unpack(file, put.append)
    assert put == [run.folder]
    assert runs.load(run.folder).info["seed"] == 1
    assert not (run.folder / "own.txt").exists()


def test_a_packed_run_says_what_it_is_without_being_unpacked(packed):
    run, file = packed
    info, names = packing.look_into(file)
    assert info == run.info
    assert names == {path.name for path in run.folder.iterdir()}
    file.write_bytes(b"no zip")
    with pytest.raises(InputError, match=r"carried\.zip is damaged"):
        packing.look_into(file)


def test_a_packed_run_takes_its_tests_elsewhere_along(packed, tmp_path_factory, monkeypatch):
    run, file = packed
    answers = run.test_predictions.drop(columns=["copy", "split"])
    elsewhere.write(run.folder / "external" / "mine", {"predictions": answers})
    packing.pack(run.folder, file)
    (other := tmp_path_factory.mktemp("elsewhere") / "Snakefile").touch()
    monkeypatch.chdir(other.parent)
    assert list(runs.load(packing.unpack(file)).external) == ["mine"]


def test_tests_that_go_with_a_replaced_run_are_named(packed):
    run, file = packed
    answers = run.test_predictions.drop(columns=["copy", "split"])
    elsewhere.write(run.folder / "external" / "mine", {"predictions": answers})
    (run.folder / "run.json").write_text(json.dumps(run.info | {"seed": 7}))
    with pytest.warns(InputWarning, match="another run now; what the one before said of mine went"):
        packing.unpack(file)
    assert runs.load(run.folder).external == {}


def test_no_file_of_another_kind_is_packed_over(packed):
    run, file = packed
    mine = file.with_name("mine.zip")
    for content in (b"my data", b""):
        mine.write_bytes(content)
        with pytest.raises(InputError, match=r"mine\.zip is there and is no packed run"):
            packing.pack(run.folder, mine)
        assert mine.read_bytes() == content
    with zipfile.ZipFile(mine, "w") as other:
        other.writestr("notes.txt", "mine")
    with pytest.raises(InputError, match="is no packed run"):
        packing.pack(run.folder, mine)
    packing.pack(run.folder, file)  # its own is replaced


def test_a_finished_run_is_never_replaced_by_one_that_was_not_run(packed):
    run, file = packed
    (run.folder / "run.json").write_text(json.dumps(run.info | {"state": runs.NOT_RUN}))
    old = file.with_name("old.zip")
    packing.pack(run.folder, old)
    packing.unpack(file)
    assert packing.unpack(old) == run.folder
    assert runs.load(run.folder).finished


def test_a_run_is_packed_from_another_disk_but_not_from_elsewhere(project, tmp_path_factory):
    disk = tmp_path_factory.mktemp("disk")
    (project / "runs").symlink_to(disk)
    run = make_run(project / "runs" / "study-1")
    packing.pack(run.folder, project / "carried.zip")
    assert packing.unpack(project / "carried.zip") == run.folder
    with pytest.raises(InputError, match="a run is packed where it was made"):
        packing.pack(disk / "study-1" / "A" / "efficient-none", project / "carried.zip")


@pytest.mark.parametrize("place", ["runs/run.json", "runs/../A/x/run.json", "/runs/s/A/x/run.json"])
def test_a_packed_run_that_would_lie_elsewhere_is_refused(project, place):
    with zipfile.ZipFile(project / "odd.zip", "w") as odd:
        odd.writestr(place, "{}")
    with pytest.raises(InputError, match=r"odd\.zip is damaged \(no run in it\)"):
        packing.unpack(project / "odd.zip")


def test_what_a_killed_unpacking_left_is_no_run_and_is_cleared(packed):
    run, file = packed
    half = run.folder.with_name(f".{run.folder.name}.unpacked")
    (half / "runs").mkdir(parents=True)
    (half / "run.json").write_text("{}")
    assert [found.folder for found in runs.load_all(run.folder.parents[1])] == [run.folder]
    (run.folder / "run.json").unlink()
    packing.unpack(file)
    assert not half.exists()


def test_of_real_radiographs_a_small_network_and_mean_heatmaps_are_kept(tmp_path):
    real = make_run(tmp_path / "real", cohort="coronahack", answers=120)
    simulated = make_run(tmp_path / "simulated")
    for run in (real, simulated):
        (run.folder / "model.keras").write_bytes(b"a small network")
    predictions = simulated.predictions
    many = pd.concat([predictions] * 3, ignore_index=True)
    many["file"] = [f"{number}.png" for number in many.index]
    many.to_csv(real.folder / "predictions.csv", index=False)
    groups = many.query("split == 'test'")["group"].reset_index(drop=True)
    heatmaps = np.zeros((len(groups), 64, 64), np.uint8)
    heatmaps[groups == "covid"] = 200
    np.save(real.folder / "heatmaps.npy", heatmaps)
    kept = keeping.keep([real], tmp_path / "kept")[0]
    means = np.load(kept / "mean-heatmaps.npy")
    assert means.shape == (4, 64, 64)
    assert means.mean(axis=(1, 2)).tolist() == [0, 0, 0, 200]
    assert (kept / "model.keras").read_bytes() == b"a small network"
    other = keeping.keep([simulated], tmp_path / "other")[0]
    assert not {"model.keras", "mean-heatmaps.npy"} & {path.name for path in other.iterdir()}


def test_no_mean_heatmap_is_made_of_fewer_than_a_dozen_radiographs(tmp_path):
    assert np.isnan(keeping.mean_heatmaps(make_run(tmp_path, cohort="coronahack"))).all()


def test_a_network_that_is_large_is_not_kept(tmp_path):
    run = make_run(tmp_path / "runs", "resnet50", cohort="coronahack")
    (run.folder / "model.keras").write_bytes(bytes(keeping.RELEASED + 1))
    assert not (keeping.keep([run], tmp_path / "kept")[0] / "model.keras").exists()


def test_keeping_a_new_run_leaves_nothing_of_the_one_before(tmp_path):
    run = make_run(tmp_path / "runs")
    (run.folder / "model.keras").write_text("small")
    real = runs.Run(run.folder, {**run.info, "cohort": "coronahack"})
    place = keeping.keep([real], tmp_path / "kept")[0]
    assert (place / "model.keras").exists()
    keeping.keep([run], tmp_path / "kept")
    assert not (place / "model.keras").exists()
    assert (place / "metrics.csv").exists()


def test_what_cannot_be_packed_or_unpacked_is_refused(project):
    running = make_run(project / "runs" / "study-1", state=runs.RUNNING)
    with pytest.raises(InputError, match="has not ended: `cxr train`"):
        packing.pack(running.folder, project / "carried.zip")
    (project / "text.zip").write_text("no zip")
    with pytest.raises(InputError, match=r"text\.zip is damaged"):
        packing.unpack(project / "text.zip")
    with zipfile.ZipFile(project / "other.zip", "w") as other:
        other.writestr("readme.txt", "no run")
    with pytest.raises(InputError, match=r"other\.zip is damaged \(no run in it\)"):
        packing.unpack(project / "other.zip")
