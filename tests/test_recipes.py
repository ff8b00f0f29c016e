"""CONTRIBUTING.md's recipes, done in a copy of the study: only what is new is trained and shown."""

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from cxrlib.pages import notebooks
from cxrlib.study import profiles
from tests.conftest import ROOT, copy_study, make_finished

pytestmark = pytest.mark.slow
CXR = Path(sys.executable).with_name("cxr")
RECIPES = (ROOT / "CONTRIBUTING.md").read_text().partition("## An experiment")[2]
EXPERIMENT, ARCHITECTURE = re.findall(r"```python\n(.*?)```", RECIPES, re.S)
COPY = re.search(r"```console\n(.*?)```", RECIPES, re.S)[1]
PROFILE = "profiles/smoke.yml"
OLD = {"A/efficient", "B/efficient", "C/efficient", "D/efficient"}
NEW = {
    "A/mobilenetv2-none", "B/mobilenetv2-best", "C/mobilenetv2-best", "E/mobilenetv2-best",
    "E/efficient",
}  # fmt: skip
TRAIN = """
from cxrlib import study
from cxrlib.study import experiments, profiles
from tests.conftest import make_finished
profile = profiles.read("profiles/smoke.yml")
for name in "BCE":
    arm = experiments.find_arm(profile.experiment(name), "mobilenetv2-best")
    make_finished(profile, name, arm._replace(weights="none"), folder=arm.name)
for name, arm in (("A", "mobilenetv2-none"), ("E", "efficient")):
    experiment = profile.experiment(name)
    study.train(profile, experiment, experiments.find_arm(experiment, arm), lines=True)
"""
"""One arm of the architecture and one of the experiment; the others are made up, to save time."""


def run(folder, *command):
    """Runs a command in a study that has a library of its own."""
    outcome = subprocess.run(
        list(map(str, command)), cwd=folder, capture_output=True, text=True, timeout=600,
        env={**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"},
    )  # fmt: skip
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    return outcome.stdout + outcome.stderr


def to_train(folder):
    """Lists the arms that the study would train, as `cxr study --dry-run` says."""
    said = run(folder, CXR, "study", "--profile", PROFILE, "--no-book", "--dry-run")
    return {"/".join(arm) for arm in re.findall(r"^  (\S+) (\S+)  ", said, re.M)}


def written(folder):
    return {p: p.stat().st_mtime_ns for p in folder.glob("runs/*/[ABCD]/efficient/*")}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A copy of the study in which Efficient has finished all experiments."""
    folder = copy_study(tmp_path_factory.mktemp("study"))
    smoke = (ROOT / "tests" / "smoke.yml").read_text()
    (folder / PROFILE).write_text(f"{smoke}arms: [efficient]\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        profile = profiles.read(PROFILE)
        for name in "ABCD":
            make_finished(profile, name, profile.experiment(name).arms[0])
    run(folder, CXR, "study", "--profile", PROFILE, "--no-book")
    assert to_train(folder) == set()
    return folder


@pytest.fixture(scope="module")
def extended(finished):
    """The same after both recipes; what was written before; and what training the new said."""
    before = written(finished)
    with (finished / "cxrlib/study/experiments.py").open("a") as file:
        file.write(EXPERIMENT)
    with (finished / "cxrlib/networks/__init__.py").open("a") as file:
        file.write(ARCHITECTURE)
    run(finished, "sh", "-c", COPY)
    run(finished, CXR, "pair")
    profile = finished / PROFILE
    profile.write_text(profile.read_text().replace("efficient", "efficient, mobilenetv2-none"))
    planned = to_train(finished)
    return finished, before, planned, run(finished, sys.executable, "-c", TRAIN)


def chapter(folder, name):
    """Runs a chapter and returns all text that it shows."""
    page = notebooks.page(name)
    run(folder, CXR, "notebook", name, page, "--profile", PROFILE)
    cells = nbformat.read(folder / page, 4).cells
    outputs = [out.get("data", {}) for cell in cells for out in cell.get("outputs", [])]
    return " ".join(
        str(data.get(kind, "")) for data in outputs for kind in data if "image" not in kind
    )


def test_only_the_new_arms_are_trained_and_each_says_why(extended):
    folder, before, planned, said = extended
    assert planned == NEW
    assert written(folder) == before
    assert "A mobilenetv2-none  begins: it has no run yet" in said
    assert "E efficient  begins: it has no run yet" in said
    assert "trained again" not in said


def test_the_chapter_of_an_experiment_of_ones_own_claims_nothing_of_the_paper(extended):
    shown = chapter(extended[0], "17-experiment-e")
    assert "Experiment E as run here." in shown
    assert "The paper has no such experiment" in shown
    assert "MobileNetV2 (random)" in shown
    for claim in ("as published", "– paper", "the paper printed", "paper's value", ",paper"):
        assert claim not in shown


@pytest.mark.parametrize("name", ["05-comparison", "10-gallery"])
def test_the_chapters_of_all_experiments_show_both(extended, name):
    shown = chapter(extended[0], name)
    assert "MobileNetV2 (random)" in shown
    assert "E\u2002Efficient" in shown or '"experiment":"E"' in shown


def test_the_front_page_counts_them(extended):
    said = " ".join(chapter(extended[0], notebooks.FRONT).split())
    assert f"{len(OLD | NEW)} of " in said
    assert "arms were trained, and the best has all five targets right" in said
