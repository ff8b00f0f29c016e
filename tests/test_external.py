"""A trained arm is tested on patients from elsewhere; what came of it is counted, told and kept."""

import json
import re

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxrlib import metrics, phantom, study
from cxrlib.errors import InputError, InputWarning
from cxrlib.networks import models
from cxrlib.networks.backend import keras
from cxrlib.pages import notebooks, tables
from cxrlib.shortcuts import external
from cxrlib.study import elsewhere, keeping, runs
from cxrlib.targets import GROUPS, TARGETS, encode
from tests.conftest import cxr, make_run

SIZE = 121
FINDINGS = ["COVID-19", "COVID-19", "No Finding", "Klebsiella", "Lipoid", "todo"]


@pytest.fixture
def run(project):
    """A finished run of Experiment C, whose network has learnt nothing yet."""
    keras.utils.set_random_seed(3)
    made = make_run(project / "kept", experiment="C", image_size=SIZE)
    models.build("efficient", SIZE).save(made.folder / "model.keras")
    return made


def draw(folder, numbers, size=130):
    folder.mkdir(parents=True, exist_ok=True)
    for i in numbers:
        cv2.imwrite(str(folder / f"{i}.png"), phantom.simulate(900 + i, size).image)


@pytest.fixture
def collection(project):
    """A collection in Cohen et al.'s layout: five radiographs with a finding, one without."""
    folder = project / "elsewhere"
    draw(folder / "images", range(len(FINDINGS)))
    names = [f"{i}.png" for i in range(len(FINDINGS))]
    facts = {"view": "PA", "modality": "X-ray", "age": 50, "doi": "", "url": ""}
    table = pd.DataFrame({"patientid": [1, 1, 2, 3, 4, 5], "finding": FINDINGS, "filename": names})
    table.assign(**facts).to_csv(folder / "metadata.csv", index=False)
    return folder


@pytest.fixture
def theirs(project):
    """A user's own table of three radiographs."""
    draw(project / "their", range(50, 53))
    table = pd.DataFrame({"file": [f"{i}.png" for i in range(50, 53)], "patient": list("pqr")})
    answers = np.array([[1, 0, 0, 0, 0], [0, 1, 1, 0, 1], [0, 1, 0, 0, 0]])
    table[list(TARGETS)] = answers
    table.to_csv(project / "their" / "mine.csv", index=False)
    return project / "their" / "mine.csv"


def cohort_of(patients, paths="", publications=""):
    facts = {"patient": patients, "publication": publications, "path": paths, "split": "train"}
    return pd.DataFrame(facts)


def predicted(groups, covid=None):
    """Makes predictions of radiographs of these groups, each of a patient of its own."""
    table = pd.DataFrame({"file": range(len(groups)), "group": groups})
    table["patient"] = [f"p{i}" for i in table["file"]]
    table[[f"y_{target}" for target in TARGETS]] = encode(
        [g.replace("other", "virus") for g in groups]
    )
    table[[f"p_{target}" for target in TARGETS]] = 0.5
    return table if covid is None else table.assign(p_COVID=covid)


def keep(run, name, predictions):
    nothing = pd.DataFrame(columns=list(elsewhere.LEFT_OUT))
    tables = {"predictions": predictions, "left-out": nothing}
    elsewhere.write(run.folder / "external" / name, tables)


def test_every_radiograph_from_elsewhere_gets_five_probabilities(run, collection):
    found = external.test(run, collection, name="cohen")
    assert list(found.predictions["group"]) == ["covid", "covid", "normal", "bacteria", "other"]
    kept = run.external["cohen"]
    assert list(kept["patient"]) == ["cohen-1", "cohen-1", "cohen-2", "cohen-3", "cohen-4"]
    assert np.allclose(kept["p_COVID"], found.predictions["p_COVID"])
    assert list(kept) == [name for name in run.predictions if name not in ("split", "copy")]
    assert run.findings("cohen").set_index("finding").loc["COVID-19", "radiographs"] == 2


def test_a_radiograph_from_elsewhere_is_treated_as_the_runs_own_were(run, theirs):
    from cxrlib import predict

    answers = external.test(run, theirs).predictions
    alone = predict.predict(run, [theirs.parent / file for file in answers["file"]])
    assert np.allclose(answers["p_COVID"], alone["COVID"].astype(float), atol=1e-6)


def test_what_was_left_out_is_counted_by_reason_and_finding(run, collection):
    (collection / "images" / "3.png").write_text("no image")
    trained = cohort_of(["cohen-2", "somebody"])
    with pytest.warns(InputWarning, match=r"3\.png is not an image"):
        found = external.test(run, collection, trained)
    counted = found.left_out.set_index("reason")
    assert counted["radiographs"].to_dict() == {
        "finding settles no target": 1, "patient in the training cohort": 1, "unreadable": 1,
    }  # fmt: skip
    assert counted["finding"].tolist() == ["todo", "No Finding", "Klebsiella"]
    assert counted["group"].tolist() == ["", "normal", "bacteria"]
    pd.testing.assert_frame_equal(run.left_out("elsewhere"), found.left_out)
    assert len(found.predictions) + counted["radiographs"].sum() == len(FINDINGS)


def test_a_picture_of_the_training_cohort_is_left_out_unless_told_otherwise(run, theirs, project):
    copy = cv2.imread(str(theirs.parent / "51.png"))
    cv2.imwrite(str(project / "old.jpg"), cv2.resize(copy, (200, 200)))
    trained = cohort_of(["x"], [str(project / "old.jpg")])
    found = external.test(run, theirs, trained)
    assert list(found.predictions["file"]) == ["50.png", "52.png"]
    assert found.left_out["reason"].tolist() == ["picture in the training cohort"]
    again = external.test(run, theirs, trained, keep_duplicates=True)
    assert len(again.predictions) == 3
    assert run.left_out("mine").empty


def test_a_cohort_of_which_nothing_is_left_is_refused_with_the_reasons(run, theirs):
    trained = cohort_of(["p", "q", "r"])
    with pytest.raises(InputError, match="mine.csv has nothing left .*: 3 patient in the training"):
        external.test(run, theirs, trained)
    assert run.external == {}


def test_several_cohorts_stand_side_by_side_each_with_its_name(run, theirs, collection):
    external.test(run, theirs)
    external.test(run, collection, name="2020.v1")
    assert list(run.external) == ["2020.v1", "mine"]
    assert run.findings("mine") is None
    with pytest.raises(InputError, match="was not tested on other: `cxr external`"):
        run.left_out("other")


def test_a_test_takes_the_place_of_the_one_before_and_never_of_another_cohorts(
    run, theirs, collection
):
    external.test(run, collection, name="mine")
    with pytest.raises(InputError, match="mine holds other radiographs: give these another --name"):
        external.test(run, theirs, name="mine")
    external.test(run, collection, cohort_of(["cohen-2"]), name="mine")
    assert len(run.external["mine"]) == 4


@pytest.mark.parametrize(("shared", "alike"), [(0, 0), (1, 0), (4, 0), (5, 1), (8, 1)])
def test_a_few_names_in_common_do_not_make_two_cohorts_one(run, shared, alike):
    keep(run, "mine", predicted(["covid", "normal"] * 4))
    names = [*run.external["mine"]["file"][:shared], *(f"other-{i}" for i in range(12 - shared))]
    again = pd.DataFrame({"file": names})
    if alike:
        external._refuse_namesake(run, "mine", again)
        return
    with pytest.raises(InputError, match="mine holds other radiographs"):
        external._refuse_namesake(run, "mine", again)


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "a/b", "a b", "é", "x" * 101, "a\n"])
def test_a_name_that_is_none_is_refused(name, tmp_path):
    with pytest.raises(InputError, match="is no name of a cohort: give one with --name"):
        external.named(tmp_path, name)


def test_a_cohort_is_called_as_its_folder_or_its_table(tmp_path, monkeypatch):
    (tmp_path / "v1.2").mkdir()
    (tmp_path / "mine.csv").touch()
    assert external.named(tmp_path / "v1.2") == "v1.2"
    assert external.named(tmp_path / "mine.csv") == "mine"
    monkeypatch.chdir(tmp_path / "v1.2")
    assert external.named(".") == "v1.2"
    assert external.named("../v1.2/..") == tmp_path.name


def test_a_cohort_called_as_a_file_of_runs_hides_no_run(run, theirs):
    external.test(run, theirs, name="run.json")
    assert [found.folder for found in runs.load_all(run.folder.parents[1])] == [run.folder]


@pytest.mark.slow
def test_heatmaps_are_measured_where_somebody_outlined_or_boxed_the_lungs(run, collection, project):
    outlines = project / "outlines"
    (outlines / "lung_masks").mkdir(parents=True)
    lungs = phantom.simulate(900, 130).lungs
    cv2.imwrite(str(outlines / "lung_masks" / "0.png"), lungs.astype(np.uint8) * 255)
    box = {"filename": "2.png", "lung": "Left Lung", "x0": 0.0, "y0": 0.0, "x1": 1.0, "y1": 0.5}
    pd.DataFrame([box]).to_csv(outlines / "lung_boxes.csv", index=False)
    raw = runs.Run(run.folder, {**run.info, "treatment": "raw"})
    found = external.test(raw, collection, outlines=outlines).attention.set_index("file")
    assert found["target"].to_dict() == {"0.png": "COVID", "2.png": "Normal"}
    assert found.loc["0.png", "area"] == pytest.approx(lungs.mean(), abs=0.02)
    assert found.loc["2.png", "area"] == pytest.approx(0.5, abs=0.01)
    kept = run.attention_elsewhere["elsewhere"]
    assert kept["energy"].tolist() == pytest.approx(found["energy"].tolist(), nan_ok=True)
    joined = runs.join_attention([run, make_run(project / "other")], "elsewhere")
    assert joined["experiment"].tolist() == ["C", "C"]
    external.test(raw, collection)  # without outlines nothing of the other test stays
    assert run.attention_elsewhere == {}


@pytest.mark.slow
def test_the_mean_lungs_are_kept_before_the_predictions_and_go_before_another_test(
    run, collection, project, monkeypatch
):
    outlines = project / "outlines"
    (outlines / "lung_masks").mkdir(parents=True)
    half = np.zeros((130, 130), np.uint8)
    half[:, :65] = 255
    nearly_all = np.where(np.arange(130)[:, None] < 13, half * 0, np.uint8(255))
    for name, mask in (("0", half), ("2", nearly_all)):
        cv2.imwrite(str(outlines / "lung_masks" / f"{name}.png"), mask)
    raw = runs.Run(run.folder, {**run.info, "treatment": "raw"})
    external.test(raw, collection, outlines=outlines)
    assert raw.mean_lungs("elsewhere") is None  # a mean of two might show one of them
    monkeypatch.setattr(elsewhere, "DOZEN", 2)
    external.test(raw, collection, outlines=outlines)
    means = raw.mean_lungs("elsewhere")
    assert means[32, [0, -1]].tolist() == [1, 0.5]

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(elsewhere, "write_csv", killed)
    with pytest.raises(KeyboardInterrupt):
        external.test(raw, collection)
    assert raw.external == {}
    with pytest.raises(InputError, match="was not tested on elsewhere"):
        raw.mean_lungs("elsewhere")


def test_scores_are_aucs_that_count_patients_and_undefined_where_all_are_alike():
    said = predicted(["covid", "covid", "normal", "normal"], [0.9, 0.4, 0.5, 0.1])
    found = external.scores(said).set_index("target")
    assert found.loc["COVID", ["n", "positives", "patients", "auc"]].tolist() == [4, 2, 4, 0.75]
    assert found.loc["COVID", "low"] < 0.75 < found.loc["COVID", "high"]
    assert found.loc["Bacteria", ["auc", "low", "high"]].isna().all()
    twice = pd.concat([said, said])
    ends = external.scores(twice).set_index("target").loc["COVID", ["auc", "low", "high"]]
    assert ends.tolist() == found.loc["COVID", ["auc", "low", "high"]].tolist()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([*GROUPS, "other"]), st.floats(0, 1)), min_size=1))
def test_whatever_groups_a_cohort_has_its_scores_and_shares_are_shares_in_one_order(answers):
    said = predicted([group for group, _ in answers], [p for _, p in answers])
    found = external.scores(said)
    assert found["target"].tolist() == list(TARGETS)
    known = found.dropna(subset="auc")
    assert (
        known[["low", "auc", "high"]].apply(lambda row: row.is_monotonic_increasing, axis=1).all()
    )
    shares = external.called(said)
    order = ["normal", "virus", "bacteria", "other", "covid"]
    there = [group for group in order if group in set(said["group"])]
    assert shares.loc[shares["target"] == "COVID", "group"].tolist() == there
    assert shares["share"].between(0, 1).all()
    assert shares.loc[shares["target"] == "COVID", "n"].sum() == len(said)


def test_tables_have_a_row_a_run_and_cohort_and_covid_last(tmp_path):
    run = make_run(tmp_path)
    assert run.external == {}
    assert tables.external([run]).empty
    keep(run, "one", predicted(["covid", "covid", "normal", "other"], [0.9, 0.4, 0.5, 0.1]))
    keep(run, "two", predicted(["virus", "virus"], [0.6, 0.6]))
    found = tables.external([run])
    assert found["Cohort"].tolist() == ["one", "two"]
    assert found["AUC"][0].startswith("0.75 (")
    assert found["AUC"][1] == "undefined"
    assert found["Radiographs"].tolist() == [4, 2]
    shares = tables.called([run])
    assert list(shares)[3:] == ["Normal", "Virus", "Other", "COVID"]
    assert shares["COVID"][0].startswith("50\u00a0(") and shares["COVID"][0].endswith("of 2")
    assert shares["COVID"][1] == "–"


def test_splits_stand_row_under_row_with_the_range_over_seeds(tmp_path):
    one = make_run(tmp_path / "paper")
    several = [make_run(tmp_path / str(s), split="by-patient", seed=s) for s in (1, 2)]
    table = tables.splits({"paper": [one], "by-patient": several})
    assert list(table["Split"]) == ["by image, as in the paper", "by patient"]
    assert list(table["Seeds"]) == [1, 2]
    harsh = f"{100 * one.measure('accuracy')[0]:.1f}"
    assert list(table["Harsh accuracy"]) == [harsh, f"{harsh} ({harsh} to {harsh})"]


def test_findings_that_are_left_out_are_called_so():
    row = {"finding": "todo", "group": "", "reason": "not labelled yet", "radiographs": 5}
    assert tables.findings(pd.DataFrame([row])).iloc[0, 1] == "left out"


def test_own_runs_that_were_tested_elsewhere_stand_beside_the_kept_ones(tiny, project):
    assert external.tested(tiny) == []
    kept = make_run(project / "results" / "kept")
    own = make_run(study.folder(tiny))
    make_run(study.folder(tiny), experiment="B")
    for run in (kept, own):
        keep(run, "mine", predicted(["covid", "normal"]))
    assert [run.folder for run in external.tested(tiny)] == [kept.folder, own.folder]
    trained = tables.external(external.tested(tiny))["Trained"]
    assert [cell.endswith("this copy") for cell in trained] == [False, True]
    (project / "notebooks").mkdir()
    cell = "```{code-cell} ipython3\nexternal.tested(profile)\n```\n"
    (project / "notebooks" / "08-real.md").write_text(cell)
    read = notebooks.reads("08-real", tiny)
    assert len([path for path in read if path.startswith("runs/")]) == 2


def test_the_command_says_scores_shares_and_what_fell_out(run, collection, monkeypatch, capsys):
    assert cxr(monkeypatch, "external", "--run", run.folder, collection, "--name", "cohen") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "C efficient-none on cohen: 5 radiographs of 4 patients" in said
    auc = metrics.auc(*run.external["cohen"][["y_COVID", "p_COVID", "patient"]].to_numpy().T)
    assert re.search(rf"COVID {auc[0]:.2f} \({auc[1]:.2f} to {auc[2]:.2f}\) 5 2 4", said)
    assert "Group Radiographs COVID Pneumonia Normal Normal 1" in said
    assert "Left out: 1 reason radiographs finding settles no target 1" in said
    assert "phantom, which it was trained on, is not at hand: patients and pictures could" in said
    assert said.count("external/cohen") == 1


def test_a_run_that_says_what_it_was_drawn_from_is_compared_where_that_is_at_hand(run, theirs):
    assert external.trained_on(run) is None
    profile = {"name": "odd", "cohort": "folder", "data": str(theirs)}
    told = runs.Run(run.folder, {**run.info, "profile": profile})
    assert list(external.trained_on(told)["patient"]) == ["p", "q", "r"]
    theirs.unlink()
    study.everything.cache_clear()
    assert external.trained_on(told) is None


def test_an_arm_that_was_not_trained_is_told_how_and_nothing_is_trained(
    project, tiny, theirs, monkeypatch, capsys
):
    (project / "tiny.yml").write_text("name: tiny\narms: [efficient]\nimage_size: 121\n")
    arguments = ("external", "A", "efficient", theirs, "--profile", "tiny.yml")
    assert cxr(monkeypatch, *arguments) == 2
    said = capsys.readouterr().err.splitlines()
    wanted = (
        "A efficient has not been trained: `cxr train A efficient --profile tiny.yml` trains it"
    )
    assert said == [f"cxr: {wanted}"]
    assert not (project / "runs").exists()
    from cxrlib.study import profiles

    folder = study.folder(profiles.read("tiny.yml")) / "A"
    make_run(folder.parent, state=runs.NOT_RUN, reason="no weights").folder.rename(
        folder / "efficient"
    )
    assert cxr(monkeypatch, *arguments) == 2
    assert "A efficient is not run (no weights): `cxr train A" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [[], ["A"], ["A", "efficient"], ["--run", "kept"], ["A", "efficient", "x", "y"]]
)
def test_what_is_tested_on_what_must_be_said(project, words, monkeypatch, capsys):
    assert cxr(monkeypatch, "external", *words) == 2
    said = capsys.readouterr().err
    assert "name an experiment and an arm, or a run with --run, and one dataset" in said


def test_a_kept_run_keeps_its_cohorts_and_none_of_another_network(run, theirs, project):
    external.test(run, theirs)
    (run.folder / "external" / "mine" / "notes.txt").write_text("private")
    folder = keeping.keep([run], project / "results")[0]
    there = sorted(path.name for path in (folder / "external" / "mine").iterdir())
    assert there == ["counts.json", "left-out.csv", "predictions.csv"]
    (run.folder / "external" / "mine").rename(run.folder / "external" / "other")
    keeping.keep([run], project / "results")
    assert list(runs.load(folder).external) == ["mine", "other"]  # tested where it was kept
    (folder / "run.json").write_text(json.dumps({**run.info, "seconds": 7}))
    keeping.keep([run], project / "results")
    assert list(runs.load(folder).external) == ["other"]


def test_the_kept_results_hold_what_was_tested_and_what_fell_out():
    from tests.conftest import ROOT

    told = [run for run in runs.load_all(ROOT / "results") if run.external]
    assert len(told) >= 8
    for run in told:
        for name, predictions in run.external.items():
            assert name != "covid-chestxray" or (
                len(predictions) + run.left_out(name)["radiographs"].sum() == 505
            )
            assert json.loads((run.folder / "run.json").read_text())["cohort"] == "coronahack"
