"""The command starts fast and says in one line what is wrong and what mends it."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from cxrlib.study import profiles
from tests.conftest import make_run

CXR = Path(sys.executable).with_name("cxr")
PROFILES = Path(__file__).parents[1] / "profiles"
GREY = np.tile(np.arange(64, dtype=np.uint8) * 4, (64, 1))
COVID = [
    "01E392EE-69F9-4E33-BFCE-E5C968654078.jpeg",
    "1-s2.0-S0140673620303706-fx1_lrg.jpg",
    "1-s2.0-S0929664620300449-gr2_lrg-a.jpg",
    "1-s2.0-S0929664620300449-gr2_lrg-b.jpg",
    "1-s2.0-S0929664620300449-gr2_lrg-c.jpg",
]


@pytest.fixture
def project(project):
    """A study folder with the shipped profiles."""
    shutil.copytree(PROFILES, project / "profiles")
    return project


def refused(project, *arguments):
    """Runs cxr, checks that it fails in one line without a traceback, and gives that line."""
    outcome = subprocess.run([CXR, *arguments], cwd=project, capture_output=True, text=True)
    assert outcome.returncode == 2, outcome.stderr
    assert "Traceback" not in outcome.stderr
    assert len(outcome.stderr.strip().splitlines()) == 1
    return outcome.stderr


def profile(project, **changed):
    lines = {"name": "odd", **changed}
    text = "\n".join(f"{name}: {value}" for name, value in lines.items())
    (project / "profiles" / "odd.yml").write_text(text)
    return ("--profile", "profiles/odd.yml")


def test_help_needs_no_tensorflow():
    code = (
        "import sys, cxrlib.cli\n"
        "assert not {'tensorflow', 'keras', 'pandas', 'snakemake'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert subprocess.run([CXR, "--help"], capture_output=True).returncode == 0


def test_unknown_names_are_refused_with_the_choices(project):
    assert "expected one of A, B, C" in refused(project, "train", "D", "efficient")
    assert "has no arm 'eficient'" in refused(project, "train", "A", "eficient")
    assert "no profile" in refused(project, "study", "--profile", "profiles/quik.yml")
    assert "did you mean 'epochs'" in refused(project, "study", *profile(project, epoch=3))
    assert "slum: cluster/ has two that are ready" in refused(project, "study", "--on", "slum")
    assert "no notebook '07'" in refused(project, "notebook", "07", "out.ipynb")
    missing = refused(project, "train", "A", "densenet121-imagenet", "--weights", "none.h5")
    assert "no weights file none.h5" in missing


def test_a_missing_data_folder_says_what_goes_where(project):
    odd = profile(project, cohort="coronahack", data="data/kaggle", arms="[efficient]")
    line = refused(project, "train", "A", "efficient", *odd)
    assert "data/kaggle" in line
    assert "CoronaHack" in line


def test_ctrl_c_says_that_what_is_finished_is_kept(project):
    (project / "Snakefile").write_text("rule arms:\n    shell: 'touch begun && sleep 30'\n")
    process = subprocess.Popen(
        [CXR, "study", "--no-book"], cwd=project, start_new_session=True, text=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    while not (project / "begun").exists():
        assert process.poll() is None
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert said.splitlines()[-1].startswith("cxr: stopped; what is finished is kept")
    assert "Traceback" not in said


def test_a_profile_is_found_from_a_subfolder_and_with_a_space_in_its_name(project):
    (project / "Snakefile").write_text(
        "from pathlib import Path\n"
        "rule arms:\n    run: Path('read').write_text(Path(config['profile']).read_text())\n"
    )
    mine = project / "profiles" / "my own.yml"
    mine.write_text("name: own\n")
    command = [CXR, "study", "--no-book", "--profile", "my own.yml"]
    subprocess.run(command, cwd=mine.parent, check=True, capture_output=True)
    assert (project / "read").read_text() == "name: own\n"


def test_outside_the_study_the_command_says_where_to_go(tmp_path):
    assert "not inside the study's folder" in refused(tmp_path, "train", "A", "efficient")
    assert "not inside the study's folder" in refused(tmp_path, "predict", "radiograph.png")


def test_predicting_before_a_study_has_run_says_what_to_run(project):
    assert "`cxr study` trains it" in refused(project, "predict", "radiograph.png")
    assert "no run in nowhere" in refused(project, "explain", "radiograph.png", "--run", "nowhere")


@pytest.mark.parametrize(
    "name", ["study", "train", "predict", "explain", "notebook", "keep", "pair"]
)
def test_every_command_explains_itself(name):
    outcome = subprocess.run([CXR, name, "--help"], capture_output=True, text=True)
    assert outcome.returncode == 0
    assert "Usage" in outcome.stdout


def test_an_arm_of_another_experiment_is_refused_with_those_there_are(project):
    line = refused(project, "train", "B", "densenet121-imagenet")
    assert "densenet121-best" in line


def test_keep_copies_the_numbers_of_every_seed_and_nothing_else(project):
    options = profile(project, image_size=121, more_seeds=[719])
    for trial in profiles.read(project / "profiles" / "odd.yml").trials:
        make_run(project / "runs" / trial.folder_name)
    outcome = subprocess.run(
        [CXR, "keep", *options], cwd=project, capture_output=True, text=True, check=True
    )
    kept = project / "results" / "odd"
    folders = [str(path.relative_to(kept)) for path in kept.rglob("efficient-none")]
    assert sorted(folders) == ["A/efficient-none", "seed-719/A/efficient-none"]
    assert len(outcome.stdout.splitlines()) == 2
    names = {path.name for path in kept.rglob("*") if path.is_file()}
    assert names == {"run.json", "history.csv", "predictions.csv", "metrics.csv"}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["text", "cut JPEG"])
def test_a_radiograph_that_cannot_be_read_ends_in_one_line_with_its_name(project, kind):
    names = {
        "Normal,TRAIN,,": [f"n{i}.jpeg" for i in range(6)],
        "Pnemonia,TRAIN,,Virus": [f"person{i}_virus_1.jpeg" for i in range(6)],
        "Pnemonia,TRAIN,,bacteria": [f"person{i}_bacteria_1.jpeg" for i in range(6)],
        "Pnemonia,TRAIN,COVID-19,Virus": [*COVID],
    }
    data = project / "data" / "kaggle"
    data.mkdir(parents=True)
    columns = "X_ray_image_name,Label,Dataset_type,Label_2_Virus_category,Label_1_Virus_category"
    lines = [f"{name},{rest}" for rest, those in names.items() for name in those]
    (data / "meta.csv").write_text("\n".join([columns, *lines]))
    for those in names.values():
        for name in those:
            cv2.imwrite(str(data / name), GREY)
    whole = cv2.imencode(".jpg", GREY)[1].tobytes()
    (data / "n3.jpeg").write_bytes(b"no image" if kind == "text" else whole[: len(whole) // 2])
    counts = {"normal": 6, "virus": 6, "bacteria": 6, "covid": 5, "image_size": 121}
    odd = profile(project, cohort="coronahack", data="data/kaggle", **counts)
    assert "n3.jpeg" in refused(project, "train", "A", "efficient", *odd)
