"""Tables come numbered with captions, figures closed; what did not run is shown as not run."""

import json

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from cxrlib import cohort, experiments, figures, metrics, profiles, runs, tables
from cxrlib.targets import GROUPS, TARGETS, encode


def make_run(folder, architecture="efficient", weights="none", experiment="A", **changed):
    """Writes a run folder as training leaves it, with made-up answers, and reads it."""
    rng = np.random.default_rng(1)
    folder = folder / experiment / f"{architecture}-{weights}"
    folder.mkdir(parents=True)
    groups = np.repeat(list(GROUPS), 5)
    truth = encode(groups)
    facts = pd.DataFrame({"file": range(20), "group": groups, "patient": range(20), "copy": 0})
    columns = {f"y_{t}": truth[:, i] for i, t in enumerate(TARGETS)}
    columns |= {f"p_{t}": rng.random(20) * 0.6 + truth[:, i] * 0.4 for i, t in enumerate(TARGETS)}
    predictions = facts.assign(split="test", **columns)
    predictions.to_csv(folder / "predictions.csv", index=False)
    metrics.of_predictions(predictions).to_csv(folder / "metrics.csv", index=False)
    history = pd.DataFrame({"epoch": [1, 2], "seconds": [1, 1]})
    for name in ("loss", "val_loss", "accuracy", "val_accuracy"):
        history[name] = [0.7, 0.5]
    history.to_csv(folder / "history.csv", index=False)
    np.save(folder / "heatmaps.npy", np.zeros((20, 16, 16), np.uint8))
    info = {
        "experiment": experiment, "arm": folder.name, "architecture": architecture,
        "weights": weights, "state": runs.FINISHED, "epochs": 2, "best_epoch": 2, "seed": 1,
        "cohort": "phantom", "schedule": {"epochs": 3}, "images_per_epoch": 1000,
        "training_seconds": 300.0, "precision": "float32", "python": "3.11", "machine": "m",
        "versions": {"keras": "3"}, **changed,
    }  # fmt: skip
    (folder / "run.json").write_text(json.dumps(info))
    return runs.load(folder)


@pytest.fixture
def these(tmp_path):
    """A finished run of Efficient and an arm that could not be run."""
    missing = make_run(
        tmp_path, "resnet50", "imagenet", state=runs.NOT_RUN, reason="weights unavailable"
    )
    return [make_run(tmp_path), missing]


def test_a_table_is_one_numbered_directive_and_html_for_jupyterlab():
    frame = pd.DataFrame({"Arm": ["a, b", "<c>"]})
    shown = tables.Table(frame, "Who & what.", "tab-x")._repr_mimebundle_()
    lines = shown["text/markdown"].splitlines()
    assert lines[:3] == ["```{csv-table} Who & what.", ":name: tab-x", ":header-rows: 1"]
    assert lines[4:] == ["Arm", '"a, b"', "<c>", "```"]
    assert "Who &amp; what." in shown["text/html"]
    assert "&lt;c&gt;" in shown["text/html"]


def test_the_overall_table_has_each_arm_over_the_papers_values(these):
    frame = tables.overall(these, "t").frame
    assert frame["Arm"].tolist() == ["Efficient", "– paper", "ResNet-50 (ImageNet)", "– paper"]
    assert frame["Harsh accuracy"][1].startswith("80.1")
    assert frame["Harsh accuracy"][2] == "not run"
    assert frame["Hamming loss"][1].startswith("0.070")


def test_the_table_by_target_has_the_papers_value_beside_each(these):
    frame = tables.per_target(these, "t").frame
    covid = frame.iloc[5].tolist()
    assert covid[0] == "–\u00a0COVID\u00a0(5)"
    assert covid[2] == covid[4] == covid[6] == "0.0"
    assert len(frame) == 6


def test_arms_that_did_not_run_say_why(these):
    assert tables.arms(these, "t").frame["State"][1] == "not run: weights unavailable"


def test_another_initialisation_than_the_papers_is_said_to_be_another(tmp_path):
    run = make_run(tmp_path, "resnet50", "none", experiment="B")
    assert tables.overall([run], "t").frame["Arm"][1] == "– paper (ImageNet)"


def test_values_without_a_denominator_read_undefined():
    assert tables.interval(np.nan, np.nan, np.nan) == "undefined"
    assert tables.interval(0.5, 0.25, 0.75).replace("\u2060", "") == "50.0\u00a0(25.0–75.0)"


def test_prose_speaks_for_the_arm_with_the_lowest_validation_loss(these):
    numbers = tables.prose(these)
    assert repr(numbers["chosen_arm"]) == "Efficient"
    assert numbers["n_arms_not_run"] == 1
    assert numbers["covid_patients"] == 5
    assert all(isinstance(value, float | str) for value in numbers.values())


def test_the_front_page_has_its_numbers(tmp_path):
    by_experiment = {name: [make_run(tmp_path, experiment=name)] for name in "ABC"}
    numbers = tables.headline(by_experiment)
    assert numbers["n_arms_run"] == 3
    assert numbers["cohort"] == "phantoms"
    assert 0 <= numbers["headline_covid_recall_c"] <= 100


def test_every_remaining_table_shows_its_facts(these):
    profile = profiles.Profile()
    assert "0.001" in tables.setup(experiments.A, profile, "t").frame.to_string()
    assert "quick" in tables.profile(profile, "t").frame.to_string()
    assert "keras" in tables.versions(these, "t").frame.to_string()
    assert tables.effort(these)["training_minutes"] == 5


def test_figures_are_drawn_and_none_is_left_open(these):
    radiographs = cohort.with_targets(
        pd.DataFrame({"group": np.repeat(list(GROUPS), 5), "split": "test"})
    )
    radiographs.loc[0:1, "split"] = ["train", "validation"]
    pixels = np.zeros((20, 16, 16, 3), np.uint8)
    half = np.eye(16, dtype=bool)
    drawn = [
        figures.groups(radiographs),
        figures.target_counts(radiographs),
        figures.sheet(pixels[:3], "abc", masks=[{"lungs": half}, {}, {"marks": ~half}]),
        figures.training_curves(these),
        figures.gallery(these, radiographs.assign(split="test"), pixels),
        figures.comparison(these, "COVID", "recall"),
    ]
    assert all(isinstance(figure, plt.Figure) for figure in drawn)
    assert plt.get_fignums() == []
    gallery = drawn[4]
    assert len(gallery.axes) == 3 * 2
    assert "COVID" in gallery.axes[5].get_xlabel()
