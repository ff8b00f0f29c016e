"""What many tests start from: the smallest study in a folder of its own, and made-up runs."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from cxrlib import cli, metrics, phantom, study
from cxrlib.study import profiles, runs
from cxrlib.targets import GROUPS, TARGETS, encode

ROOT = Path(__file__).parents[1]


def pytest_addoption(parser):
    parser.addoption("--kills", type=int, default=0, help="kill a whole study so many times")


def pytest_collection_modifyitems(items):
    """Files that take long begin first, so that at the end no worker waits for one of them."""
    long = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in long)


def cxr(monkeypatch, *arguments):
    """Runs cxr in this process and returns its status; 0 where it ends well."""
    monkeypatch.setattr("sys.argv", ["cxr", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code


def copy_study(folder):
    """Copies what a study is made from to a new folder, without any run."""
    for name in ("book", "notebooks", "profiles", "results", "cxrlib"):
        ignore = shutil.ignore_patterns(
            "api", "experiments", "index.ipynb", "__pycache__", ".ipynb_checkpoints"
        )
        shutil.copytree(ROOT / name, folder / name, ignore=ignore)
    cited = ("CITATION.cff", "LICENSE", "LICENSE-text", "requirements.lock")
    for name in ("Snakefile", "_config.yml", *cited):
        shutil.copy(ROOT / name, folder)
    return folder


def copy_chapter(folder, name):
    """Copies a study of one chapter, which needs no run, and of a book that has nothing else."""
    folder.mkdir()
    copy_study(folder)
    for path in (folder / "notebooks").glob("[0-9]*"):
        if path.stem != name:
            path.unlink()
    for path in (folder / "book").glob("*.md"):
        path.unlink()
    toc = f"format: jb-book\nroot: experiments/{name}\n"
    (folder / "book" / "_toc.yml").write_text(toc)
    return folder


def answered(facts, truth):
    """Adds the truth and made-up probabilities of a network that does better than chance."""
    rng = np.random.default_rng(1)
    columns = {f"y_{t}": truth[:, i] for i, t in enumerate(TARGETS)}
    for i, target in enumerate(TARGETS):
        columns[f"p_{target}"] = rng.random(len(facts)) * 0.6 + truth[:, i] * 0.4
    return facts.assign(**columns)


def make_run(
    folder,
    architecture="efficient",
    weights="none",
    experiment="A",
    groups=tuple(GROUPS),
    radiographs=None,
    **changed,
):
    """Writes a run folder as training leaves it, with made-up answers, and reads it.

    They are of an experiment's radiographs, or of twenty of some groups.
    """
    folder = folder / experiment / f"{architecture}-{weights}"
    folder.mkdir(parents=True)
    if radiographs is None:
        groups = np.repeat(groups, 20 // len(groups))
        facts = pd.DataFrame({"file": range(20), "group": groups, "patient": range(20), "copy": 0})
        test = answered(facts.assign(split="test"), encode(groups))
        answers = pd.concat([test.assign(split="validation", file=test["file"] + 20), test])
    else:
        asked = radiographs[radiographs["split"] != "train"].reset_index(drop=True)
        facts = asked[["file", "group", "patient", "copy", "split"]]
        answers = answered(facts, asked[list(TARGETS)].to_numpy())
        test = answers[answers["split"] == "test"]
    answers.to_csv(folder / "predictions.csv", index=False)
    metrics.of_predictions(test).to_csv(folder / "metrics.csv", index=False)
    history = pd.DataFrame({"epoch": [1, 2], "seconds": [1, 1]})
    for name in ("loss", "val_loss", "accuracy", "val_accuracy"):
        history[name] = [0.7, 0.5]
    history.to_csv(folder / "history.csv", index=False)
    heatmaps = np.full((len(test), 16, 16), radiographs is not None, np.uint8)
    np.save(folder / "heatmaps.npy", heatmaps)
    info = {
        "experiment": experiment, "arm": folder.name, "architecture": architecture,
        "weights": weights, "state": runs.FINISHED, "answers": len(answers), "epochs": 2,
        "best_epoch": 2,
        "seed": 1, "image_size": 128,
        "cohort": "phantom", "split": "paper", "schedule": {"epochs": 3}, "images_per_epoch": 1000,
        "training_seconds": 300.0, "precision": "float32", "python": "3.11", "machine": "m",
        "versions": {"keras": "3"}, **changed,
    }  # fmt: skip
    (folder / "run.json").write_text(json.dumps(info))
    return runs.load(folder)


def make_finished(profile, name, arm, loss=0.5, folder=None):
    """Puts a finished run where training leaves it, so that the arm is not trained again.

    That folder is called by the arm; "best" arms have one of another name.
    """
    experiment = profile.experiment(name)
    where = study.run_folder(profile, experiment, arm)
    where = where.with_name(folder or where.name)
    made = make_run(
        where.parents[2] / "made", arm.architecture, arm.weights, name,
        radiographs=study.radiographs(profile, experiment),
        **study.inputs(profile, experiment, arm), arm=arm.name,
    )  # fmt: skip
    (made.folder / "model.keras").touch()
    made.history.assign(val_loss=loss).to_csv(made.folder / "history.csv", index=False)
    where.parent.mkdir(parents=True, exist_ok=True)
    made.folder.rename(where)
    return runs.load(where)


@pytest.fixture
def made_runs(tmp_path):
    """A finished run of Efficient on the paper's radiographs, and an arm that could not be run."""
    same = {"cohort": "coronahack"}
    missing = make_run(
        tmp_path, "resnet50", "imagenet", state=runs.NOT_RUN, reason="weights unavailable", **same
    )
    return [make_run(tmp_path, **same), missing]


@pytest.fixture(scope="session")
def tiny():
    """The smallest profile: Efficient on thirty phantoms for three epochs."""
    return profiles.Profile(
        name="tiny", image_size=121, normal=12, virus=6, bacteria=6, covid=6, arms=("efficient",),
        epochs=3, batch_size=4, copies=2, norm_images=8, precision="float32",
    )  # fmt: skip


@pytest.fixture
def project(tmp_path, monkeypatch):
    """An empty study folder, and the working directory in it."""
    (tmp_path / "Snakefile").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def chapter(project):
    """A study with one chapter whose halves are in step; returns their paths."""
    (project / "notebooks").mkdir()
    shutil.copy(ROOT / "notebooks" / "jupytext.toml", project / "notebooks")
    from tests.chapters import NOTEBOOK, TEXT  # made by the rules in that file

    paths = project / "notebooks" / "chapter.md", project / "notebooks" / "chapter.ipynb"
    for path, content in zip(paths, (TEXT, NOTEBOOK)):
        path.write_text(content)
    return paths


def copy_looks(folder):
    """Copies what a book is built with, and no page: not those that a study made here either."""
    pages = shutil.ignore_patterns("experiments", "api", "*.ipynb", "*.md")
    shutil.copytree(ROOT / "book", folder / "book", ignore=pages)
    shutil.copy(ROOT / "_config.yml", folder)


def listed(folder, numbers, groups, source):
    """Draws phantoms of a source as files and lists them, as a user would list radiographs."""
    folder.mkdir()
    rows = []
    for number, group in zip(numbers, groups):
        one = phantom.simulate(number, 128, target=group, source=source)
        cv2.imwrite(str(folder / f"{number}.png"), one.image)
        rows.append((f"{number}.png", f"p{number}", group, source))
    table = pd.DataFrame(rows, columns=["file", "patient", "group", "source"])
    table.to_csv(folder / "list.csv", index=False)
    return folder / "list.csv"


@pytest.fixture
def collections(project):
    """A profile of radiographs whose COVID images are figures, and new patients, all figures."""
    groups = ["normal", "virus", "bacteria", "covid"] * 6
    shutil.copytree(ROOT / "results" / "lungs", project / "results" / "lungs")
    trained = listed(project / "trained", range(24), groups, "digital")
    new = listed(project / "new", range(100, 124), groups, "figure")
    profile = profiles.Profile(
        cohort="folder", data=str(trained), image_size=128, normal=6, virus=6, bacteria=6, covid=6,
        arms=("efficient",), epochs=1, batch_size=8,
    )  # fmt: skip
    return profile, new
