"""The command starts fast and says in one line what is wrong and what mends it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CXR = Path(sys.executable).with_name("cxr")
PROFILES = Path(__file__).parents[1] / "profiles"


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
    assert "no notebook '07'" in refused(project, "notebook", "07", "out.ipynb")
    missing = refused(project, "train", "A", "densenet121-imagenet", "--weights", "none.h5")
    assert "no weights file none.h5" in missing


def test_a_missing_data_folder_says_what_goes_where(project):
    odd = profile(project, cohort="coronahack", data="data/kaggle", arms="[efficient]")
    line = refused(project, "train", "A", "efficient", *odd)
    assert "data/kaggle" in line
    assert "CoronaHack" in line


def test_outside_the_study_the_command_says_where_to_go(tmp_path):
    assert "not inside the study's folder" in refused(tmp_path, "train", "A", "efficient")
