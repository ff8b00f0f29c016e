"""No command and no chapter ever changes a file that it did not make."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from cxrlib import files, phantom, predict
from cxrlib.errors import InputError
from cxrlib.pages import notebooks
from cxrlib.study import runs
from tests.conftest import copy_study, make_run
from tests.test_decode import dicom

CXR = Path(sys.executable).with_name("cxr")
PLACES = ("scan.png", "ward 3/scan.png", "ward 3/CR000001", "film.dcm", "plain")
COUNTS = {"normal": 12, "virus": 8, "bacteria": 8, "covid": 8}


@pytest.fixture(scope="module")
def radiographs(tmp_path_factory):
    """Somebody's radiographs: in subfolders, as DICOM, without an ending, listed by whole paths."""
    folder = tmp_path_factory.mktemp("hospital")
    rows = []
    for i, group in enumerate(np.repeat(list(COUNTS), list(COUNTS.values()))):
        place = folder / str(i) / PLACES[i % len(PLACES)]
        place.parent.mkdir(parents=True)
        image = phantom.simulate(i, 160, target=group, mark="R").image
        png = cv2.imencode(".png", image[..., ::-1])[1].tobytes()
        is_dicom = place.suffix == ".dcm" or place.name == "CR000001"
        place.write_bytes(dicom(image[..., 0]) if is_dicom else png)
        rows.append({"file": str(place), "group": group, "patient": f"p{i}"})
    pd.DataFrame(rows).to_csv(folder / "mine.csv", index=False)
    return folder


def content(folder):
    """Returns every file below a folder, with its bytes and the time of its last change."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in paths}


@pytest.mark.slow
def test_every_chapter_and_command_leaves_a_users_radiographs_as_they_were(radiographs, tmp_path):
    study = copy_study(tmp_path / "study")
    counts = "".join(f"{group}: 0\n" for group in COUNTS)
    (study / "mine.yml").write_text(
        # The name of the released run's profile, so that `cxr keep` releases this one in its place.
        f"name: coronahack-224\ncohort: folder\ndata: {radiographs / 'mine.csv'}\n"
        "split: by-patient\nimage_size: 192\narms: [efficient]\nepochs: 1\nnorm_images: 8\n"
        f"{counts}"
    )
    before, profile = content(radiographs), ("--profile", "mine.yml")
    some = [str(radiographs / str(i) / PLACES[i]) for i in range(len(PLACES))]

    def cxr(*arguments):
        command = [CXR, *map(str, arguments)]
        outcome = subprocess.run(command, cwd=study, capture_output=True, text=True, timeout=1800)
        assert outcome.returncode == 0, f"{arguments}: {outcome.stdout}{outcome.stderr}"
        assert content(radiographs) == before, f"{arguments} changed somebody's radiographs"

    cxr("study", *profile)
    (run,) = study.glob("runs/coronahack-224-*/C/efficient")
    cxr("data", "check", radiographs / "mine.csv")
    cxr("predict", *some, "--run", run)
    for i, image in enumerate(some):
        cxr("explain", image, "--run", run, "--target", "COVID", "--output", f"{i}.png")
    cxr("external", "--run", "results/coronahack-224/A/efficient", radiographs / "mine.csv")
    cxr("pack", run, "run.zip")
    cxr("unpack", "run.zip")
    cxr("train", "A", "efficient", *profile)
    (before_it,) = study.glob(f"{predict.RELEASED}/*.tflite")
    cxr("keep", *profile)
    (released,) = study.glob(f"{predict.RELEASED}/*.tflite")
    assert released != before_it
    cxr("predict", *some)
    for path in study.glob("notebooks/*.md"):
        assert (study / notebooks.page(path.stem)).is_file()


def test_a_file_that_is_there_is_not_written_over(tmp_path):
    taken = tmp_path / "1-COVID.png"
    taken.write_bytes(b"somebody's radiograph")
    with pytest.raises(InputError, match="1-COVID.png is there already: name a new file"):
        files.write_new(b"ours", taken)
    assert taken.read_bytes() == b"somebody's radiograph"
    files.write_new(b"somebody's radiograph", taken)
    files.write_new(b"ours", tmp_path / "new.png")
    assert (tmp_path / "new.png").read_bytes() == b"ours"
    with pytest.raises(InputError, match="is there already"):
        files.write_new(b"ours", tmp_path)


def test_a_link_to_nowhere_is_not_written_over_either(tmp_path):
    link = tmp_path / "link.png"
    link.symlink_to(tmp_path / "a mount that is gone.png")
    with pytest.raises(InputError, match="is there already"):
        files.write_new(b"ours", link)
    assert link.is_symlink()


@pytest.mark.parametrize("fact", ["experiment", "arm"])
@pytest.mark.parametrize("name", ["../../..", "/tmp/elsewhere", "A/B", "", ".", "A\n"])
def test_a_run_whose_facts_name_another_place_is_refused(tmp_path, fact, name):
    made = make_run(tmp_path)
    files.write_json({**made.info, fact: name}, made.folder / "run.json")
    with pytest.raises(InputError, match=f"{fact} .* is no name: delete the folder and run again"):
        runs.load(made.folder)
