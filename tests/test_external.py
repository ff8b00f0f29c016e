"""A trained arm is tested on patients from elsewhere, and the tables say so."""

import dataclasses

import cv2
import numpy as np
import pandas as pd
import pytest

from cxrlib import phantom, study
from cxrlib.errors import InputError
from cxrlib.pages import tables
from cxrlib.shortcuts import external
from cxrlib.targets import TARGETS
from tests.conftest import make_run

pytestmark = pytest.mark.slow
FINDINGS = ["COVID-19", "COVID-19", "No Finding", "Klebsiella", "Lipoid", "todo"]


@pytest.fixture
def collection(tmp_path):
    folder = tmp_path / "elsewhere"
    (folder / "images").mkdir(parents=True)
    names = [f"{i}.png" for i in range(len(FINDINGS))]
    for i, name in enumerate(names):
        cv2.imwrite(str(folder / "images" / name), phantom.simulate(900 + i, 130).image)
    facts = {"view": "PA", "modality": "X-ray", "age": 50, "doi": "", "url": ""}
    table = pd.DataFrame({"patientid": [1, 1, 2, 3, 4, 5], "finding": FINDINGS, "filename": names})
    table.assign(**facts).to_csv(folder / "metadata.csv", index=False)
    return folder


def test_every_radiograph_from_elsewhere_gets_five_probabilities(tiny, project, collection):
    once = dataclasses.replace(tiny, epochs=1)
    experiment = once.experiment("C")
    predictions = external.test(once, experiment, experiment.arms[-1], collection)
    assert list(predictions["group"]) == ["covid", "covid", "normal", "bacteria", "other"]
    assert predictions[[f"p_{target}" for target in TARGETS]].to_numpy().min() >= 0
    run = study.train(once, experiment, experiment.arms[-1])
    kept = run.external
    assert list(kept["patient"]) == ["cohen-1", "cohen-1", "cohen-2", "cohen-3", "cohen-4"]
    assert np.allclose(kept["p_COVID"], predictions["p_COVID"])


def test_a_users_own_table_is_tested_on_too(tiny, project, tmp_path):
    for i in range(3):
        cv2.imwrite(str(tmp_path / f"{i}.png"), phantom.simulate(950 + i, 130).image)
    table = pd.DataFrame({"file": [f"{i}.png" for i in range(3)], "patient": ["p", "q", "r"]})
    answers = dict(zip(TARGETS, np.array([[1, 0, 0, 0, 0], [0, 1, 1, 0, 1], [0, 1, 0, 0, 0]]).T))
    table.assign(**answers).to_csv(tmp_path / "theirs.csv", index=False)
    once = dataclasses.replace(tiny, epochs=1)
    experiment = once.experiment("A")
    arm = experiment.arms[-1]
    found = external.test(once, experiment, arm, tmp_path / "theirs.csv")
    assert list(found["group"]) == ["normal", "covid", "other"]
    assert not (study.run_folder(once, experiment, arm) / "findings.csv").exists()
    known = study.everything(once)["patient"].iloc[0]
    table.assign(patient=known, **answers).to_csv(tmp_path / "theirs.csv", index=False)
    with pytest.raises(InputError, match="theirs.csv has nobody whom A efficient has not seen"):
        external.test(once, experiment, arm, tmp_path / "theirs.csv")


def test_heatmaps_are_measured_where_somebody_outlined_or_boxed_the_lungs(
    tiny, project, collection, tmp_path
):
    outlines = tmp_path / "outlines"
    (outlines / "lung_masks").mkdir(parents=True)
    lungs = phantom.simulate(900, 130).lungs
    cv2.imwrite(str(outlines / "lung_masks" / "0.png"), lungs.astype(np.uint8) * 255)
    box = {"filename": "2.png", "lung": "Left Lung", "x0": 0.0, "y0": 0.0, "x1": 1.0, "y1": 0.5}
    pd.DataFrame([box]).to_csv(outlines / "lung_boxes.csv", index=False)
    once = dataclasses.replace(tiny, epochs=1)
    experiment = once.experiment("A")
    measured = external.lung_attention(once, experiment, experiment.arms[-1], collection, outlines)
    found = measured.set_index("file")
    assert set(found.index) == {"0.png", "2.png"}
    assert found["target"].to_dict() == {"0.png": "COVID", "2.png": "Normal"}
    assert found.loc["0.png", "area"] == pytest.approx(lungs.mean(), abs=0.02)
    assert found.loc["2.png", "area"] == pytest.approx(0.5, abs=0.01)
    assert found["energy"].between(0, 1).all()
    kept = study.train(once, experiment, experiment.arms[-1]).attention
    assert kept["energy"].tolist() == pytest.approx(measured["energy"].tolist())


def test_an_arm_that_was_not_run_cannot_be_tested_elsewhere(tiny, project, collection, monkeypatch):
    class NotRun:
        finished, experiment, arm = False, "A", "resnet50-imagenet"
        info = {"reason": "weights unavailable"}

    monkeypatch.setattr(study, "train", lambda *_: NotRun)
    with pytest.raises(InputError, match="A resnet50-imagenet was not run: weights unavailable"):
        external.test(tiny, tiny.experiment("A"), None, collection)


def test_the_table_counts_patients_from_elsewhere_by_group(tmp_path):
    run = make_run(tmp_path)
    assert run.external is None
    facts = {"group": ["covid"] * 4 + ["normal"] * 2, "patient": [1, 1, 2, 3, 4, 5]}
    other = {"file": range(6)} | {f"p_{name}": 0.5 for name in TARGETS}
    other |= {f"y_{name}": 0 for name in TARGETS}
    said = pd.DataFrame(facts).assign(**other).assign(p_COVID=[0.9, 0.5, 0.9, 0.1, 0.7, 0.2])
    said.to_csv(run.folder / "external.csv", index=False)
    table = tables.external([run])
    assert list(table) == ["Arm", "covid (4, 3\u00a0patients)", "normal (2, 2\u00a0patients)"]
    assert table.iloc[0, 1].startswith("75.0\u00a0(")
    assert table.iloc[0, 2].startswith("50.0\u00a0(")


def test_two_splits_stand_row_under_row(tmp_path):
    first = make_run(tmp_path / "paper")
    second = make_run(tmp_path / "own", split="by-patient")
    table = tables.splits([first], [second])
    assert list(table["Split"]) == ["by image, as in the paper", "by patient"]


def test_findings_that_are_left_out_are_called_so():
    row = {"finding": "todo", "group": "", "reason": "not labelled yet", "radiographs": 5}
    assert tables.findings(pd.DataFrame([row])).iloc[0, 1] == "left out"
