"""Single radiographs are treated, predicted and explained as in training, or refused by name."""

import json
import weakref

import cv2
import numpy as np
import pandas as pd
import pytest

from cxrlib import heatmaps, images, metrics, phantom, predict
from cxrlib.errors import InputError
from cxrlib.networks import models
from cxrlib.networks.backend import keras
from cxrlib.study import elsewhere, runs
from cxrlib.targets import TARGETS
from tests.conftest import ROOT, cxr, make_run

SIZE = 121


@pytest.fixture
def run(tmp_path):
    """A finished run of Experiment C, whose network has learnt nothing yet."""
    keras.utils.set_random_seed(3)
    made = make_run(tmp_path, experiment="C", image_size=SIZE)
    models.build("efficient", SIZE).save(made.folder / "model.keras")
    return made


@pytest.fixture
def files(tmp_path):
    """Two radiographs, larger than the network's images, and a file that is none."""
    paths = [tmp_path / f"{i}.png" for i in range(2)]
    for i, path in enumerate(paths):
        cv2.imwrite(str(path), phantom.simulate(i, 160, target="covid").image)
    (tmp_path / "notes.png").write_text("no image")
    return [paths[0], tmp_path / "notes.png", paths[1]]


def expected(run, path):
    image = images.clahe(images.crop_borders(images.load(path, SIZE)))
    return run.network.predict(image[None], verbose=0)[0]


def test_a_radiograph_is_treated_as_the_runs_experiment_treats_its_own(run, files):
    table = predict.predict(run, [files[0]])
    assert list(table.columns) == ["file", *TARGETS, "error"]
    assert np.allclose(table.loc[0, list(TARGETS)].astype(float), expected(run, files[0]))
    raw = runs.Run(run.folder, {**run.info, "experiment": "A"})
    assert (predict.radiograph(raw, files[0]) == images.load(files[0], SIZE)).all()
    assert (predict.radiograph(raw, files[0]) != predict.radiograph(run, files[0])).any()


def test_a_run_that_was_cropped_or_covered_sees_every_radiograph_so(run, files):
    facts = {**run.info, "experiment": "A-cropped", "treatment": "cropped", "cover": "centre"}
    seen = predict.radiograph(runs.Run(run.folder, facts), files[0])
    covered = images.cover(images.load(files[0], SIZE), "centre")
    assert (seen == images.crop_borders(covered)).all()
    blind = runs.Run(run.folder, {**facts, "cover": "lungs"})
    assert "0.png: cover lungs" in predict.predict(blind, files[:1])["error"][0]


def test_a_file_that_cannot_be_read_leaves_the_others_as_they_are(run, files, tmp_path):
    table = predict.predict(run, [*files, tmp_path / "missing.png", tmp_path])
    assert list(table["error"] == "") == [True, False, True, False, False]
    for row in table[table["error"] != ""].itertuples():
        assert row.error.startswith(row.file)
        assert np.isnan(row.COVID)
    for place in (0, 2):
        alone = expected(run, files[place])
        assert np.allclose(table.loc[place, list(TARGETS)].astype(float), alone, atol=1e-6)


@pytest.mark.slow
def test_more_radiographs_than_memory_holds_at_a_time_are_predicted_alike(run, files, monkeypatch):
    together = predict.predict(run, files)
    monkeypatch.setattr(predict, "BATCH", 1)
    alone = predict.predict(run, files)
    assert list(alone["file"]) == list(together["file"])
    assert np.allclose(alone["COVID"], together["COVID"], atol=1e-6, equal_nan=True)


@pytest.mark.slow
def test_an_overlay_shows_the_likeliest_target_or_the_one_asked_for(run, files):
    found = predict.explain(run, files[0])
    assert found["target"] == TARGETS[int(np.argmax(expected(run, files[0])))]
    image, model = predict.radiograph(run, files[0]), run.network
    asked = predict.explain(run, files[0], "COVID")
    heatmap = heatmaps.saliency(model, image[None], "COVID")[0]
    assert np.abs(asked["overlay"].astype(int) - heatmaps.overlay(image, heatmap)).max() <= 2
    assert predict.explain(run, files[0], "covid")["target"] == "COVID"
    with pytest.raises(InputError, match="unknown target 'Flu'"):
        predict.explain(run, files[0], "Flu")


def assert_shows(png, run, path, target="COVID"):
    """Checks that a PNG holds the picture of a radiograph."""
    expected = predict.picture(run, predict.explain(run, path, target))
    written = cv2.imread(str(png))[..., ::-1]
    assert np.abs(written.astype(int) - expected).max() <= 2


def test_an_overlay_is_made_by_the_method_that_is_asked_for(run, files):
    image, model = predict.radiograph(run, files[0]), run.network
    asked = predict.explain(run, files[0], "COVID", "Grad-CAM")
    heatmap = heatmaps.grad_cam(model, image[None], "COVID")[0]
    assert np.abs(asked["overlay"].astype(int) - heatmaps.overlay(image, heatmap)).max() <= 2
    with pytest.raises(InputError, match="unknown method 'GradCAM': expected one of Grad-CAM"):
        predict.explain(run, files[0], "COVID", "GradCAM")


def test_a_run_that_has_no_network_says_how_to_get_one(tmp_path):
    halted = make_run(tmp_path / "halted", state=runs.RUNNING, image_size=SIZE)
    with pytest.raises(InputError, match="is running: `cxr train A efficient-none` trains it"):
        predict.predict(halted, [])
    lost = make_run(tmp_path / "lost", image_size=SIZE)
    with pytest.raises(InputError, match="model.keras is not there: `cxr train"):
        predict.predict(lost, [])
    (lost.folder / "model.keras").write_bytes(b"half a network")
    with pytest.raises(InputError, match="model.keras is damaged .*delete it and run again"):
        predict.predict(lost, [])


def release(project):
    """Puts a network that has learnt nothing where the released one is."""
    folder = project / predict.RELEASED
    made = make_run(folder.parents[1], experiment="C", image_size=SIZE, cohort="coronahack")
    models.build("efficient", SIZE).save(made.folder / "model.keras")
    return runs.load(made.folder.rename(folder))


def test_by_default_the_released_network_answers_and_nothing_is_trained(
    project, files, monkeypatch, capsys
):
    line = "model.keras is not there: `git checkout results/coronahack-224/C/efficient` brings"
    released = release(project)
    network = (released.folder / "model.keras").rename(project / "model.keras")
    assert cxr(monkeypatch, "predict", files[0]) == 2
    assert line in capsys.readouterr().err
    network.rename(released.folder / "model.keras")
    assert cxr(monkeypatch, "predict", files[0]) == 0
    said = capsys.readouterr().out
    assert f"Answered by C\u2002Efficient in {released.folder}, trained on coronahack" in said
    assert "(split by image, as in the paper) at 121 px, seed 1." in said
    assert "It was not tested on patients from elsewhere." in said
    assert not (project / "runs").exists()


def test_the_run_that_is_released_is_one_of_the_kept_ones():
    run = runs.load(ROOT / predict.RELEASED)
    assert (run.experiment, run.finished, run.info["cohort"]) == ("C", True, "coronahack")
    assert run.external
    assert run.treatment == "cropped+clahe"


def test_an_answer_comes_with_what_the_network_is_worth_elsewhere(
    run, files, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    answers = run.test_predictions.drop(columns=["copy", "split"])
    place = run.folder / "external" / "theirs"
    elsewhere.write(place, {"predictions": answers})
    auc, low, high = metrics.auc(*answers[["y_COVID", "p_COVID", "patient"]].to_numpy().T)
    line = f"On 20 patients from elsewhere (theirs) its AUC of COVID is {auc:.2f} ({low:.2f} to"
    for command in ("predict", "explain"):
        assert cxr(monkeypatch, command, files[0], "--run", run.folder) == 0
        assert line in capsys.readouterr().out
    (told,) = predict.described(run)["elsewhere"]
    assert told == {
        "cohort": "theirs", "radiographs": 20, "patients": 20, "auc": auc, "low": low, "high": high,
    }  # fmt: skip
    elsewhere.write(place, {"predictions": answers.assign(y_COVID=0)})
    assert predict.described(run)["elsewhere"][0]["auc"] is None


def test_the_command_prints_the_good_names_the_bad_and_fails(run, files, monkeypatch, capsys):
    assert cxr(monkeypatch, "predict", *files, "--run", run.folder) == 2
    shown = capsys.readouterr()
    assert [str(path) in shown.out for path in files] == [True, False, True]
    assert predict.NOTICE in shown.out
    assert len(shown.err.splitlines()) == 1
    assert "notes.png is not an image" in shown.err
    assert cxr(monkeypatch, "predict", files[1], "--run", run.folder) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert len(shown.err.splitlines()) == 1


def test_json_is_pure_and_carries_the_notice(run, files, monkeypatch, capsys):
    assert cxr(monkeypatch, "predict", *files, "--run", run.folder, "--json") == 2
    shown = capsys.readouterr()
    answer = json.loads(shown.out)
    assert answer["notice"] == predict.NOTICE
    told = ("run", "experiment", "arm", "cohort", "split", "seed")
    facts = [str(run.folder), "C", "efficient-none", "phantom", "paper", 1]
    assert [answer[name] for name in told] == facts
    assert answer["elsewhere"] == []
    assert predict.NOTICE in shown.err
    good, bad, other = answer["radiographs"]
    assert set(good) == set(other) == {"file", *TARGETS}
    assert set(bad) == {"file", "error"}
    assert good["COVID"] == pytest.approx(float(expected(run, files[0])[-1]), abs=1e-6)


@pytest.mark.slow
def test_the_command_writes_the_overlay_and_prints_the_probabilities(
    run, files, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert cxr(monkeypatch, "explain", files[0], "--run", run.folder, "--target", "COVID") == 0
    assert_shows("0-COVID.png", run, files[0])
    shown = capsys.readouterr()
    assert all(target in shown.out for target in (*TARGETS, predict.NOTICE))
    before = files[0].read_bytes()
    refusals = {files[0]: "is there already", tmp_path / "overlay.jpg": "ends in .png"}
    for output, reason in refusals.items():
        arguments = ("explain", files[0], "--run", run.folder, "--output", output)
        assert cxr(monkeypatch, *arguments) == 2
        assert reason in capsys.readouterr().err
    assert files[0].read_bytes() == before


@pytest.mark.slow
def test_a_radiograph_of_a_very_long_name_is_explained(run, files, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / f"{'n' * 251}.png").write_bytes(files[0].read_bytes())
    arguments = ("explain", f"{'n' * 251}.png", "--run", run.folder, "--target", "COVID")
    assert cxr(monkeypatch, *arguments) == 0
    assert len(list(tmp_path.glob("nnn*-COVID.png"))) == 1


@pytest.mark.slow
def test_two_radiographs_of_one_name_leave_two_pictures(run, files, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for i, folder in enumerate("ab"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "1.png").write_bytes(files[2 * i].read_bytes())
    for folder in "aba":
        arguments = ("explain", f"{folder}/1.png", "--run", run.folder, "--target", "COVID")
        assert cxr(monkeypatch, *arguments) == 0
    said = [line for line in capsys.readouterr().out.splitlines() if " shows where " in line]
    names = ["1-COVID.png", "1-COVID-2.png", "1-COVID.png"]  # the same picture is not doubled
    assert [line.split()[0] for line in said] == names
    assert_shows("1-COVID-2.png", run, "b/1.png")


def test_a_target_that_a_run_never_saw_both_ways_is_said_to_say_nothing(tmp_path):
    run = make_run(tmp_path, groups=("normal", "covid"))
    assert predict.described(run)["untaught"] == ["Bacteria"]
    told = "It never saw radiographs both with and without Bacteria: that number says nothing."
    assert told in predict.lines(run)
    assert predict.described(make_run(tmp_path, "resnet50"))["untaught"] == []


def as_treated(run, treatment, **facts):
    return runs.Run(run.folder, {**run.info, "treatment": treatment, **facts})


@pytest.fixture
def oblong(tmp_path):
    """A radiograph wider than high, grey."""
    path = tmp_path / "oblong.png"
    cv2.imwrite(str(path), cv2.resize(phantom.simulate(4, 300).image[..., 0], (420, 300)))
    return path


def test_a_picture_keeps_the_size_of_the_original_above_its_legend(run, oblong):
    whole = as_treated(run, "clahe")
    found = predict.explain(whole, oblong, "COVID", "Grad-CAM")
    picture = predict.picture(whole, found)
    assert picture.shape[1] == 420 and 300 < picture.shape[0] < 360
    heatmap = cv2.resize(found["heatmap"], (420, 300), interpolation=cv2.INTER_LINEAR)
    assert (picture[:300] == heatmaps.overlay(found["original"], heatmap)).all()
    assert picture[300:].max() > 200  # letters


def test_a_heatmap_of_a_cropped_radiograph_lies_where_the_network_saw_it(run, oblong):
    """All that is coloured is inside of what the treatment leaves, and the rest as it came."""
    cropped = as_treated(run, "cropped")
    found = predict.explain(cropped, oblong, "COVID", "Grad-CAM")
    picture = predict.picture(cropped, found)[:300]
    rows, columns = images.seen_part("cropped", SIZE)
    seen = np.zeros((SIZE, SIZE), np.uint8)
    seen[rows, columns] = 255
    seen = cv2.resize(seen, (420, 300), interpolation=cv2.INTER_NEAREST)
    outside = cv2.dilate(seen, np.ones((7, 7))) == 0
    inside = cv2.erode(seen, np.ones((7, 7))) > 0
    assert (picture[outside] == found["original"][outside]).all()
    assert (picture[inside] != found["original"][inside]).any(axis=1).mean() > 0.9


def test_a_treatment_that_cuts_each_radiograph_in_its_own_way_is_shown_as_the_network_sees_it(
    run, oblong
):
    covered = as_treated(run, "raw", cover="centre")
    found = predict.explain(covered, oblong, "COVID", "Grad-CAM")
    picture = predict.picture(covered, found)
    assert (picture[:SIZE, :SIZE] == found["overlay"]).all()


def test_several_radiographs_leave_a_picture_each_and_one_that_cannot_be_read_stops_none(
    run, files, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    options = ("--run", run.folder, "--target", "covid", "--method", "Grad-CAM")
    assert cxr(monkeypatch, "explain", *files, *options) == 2
    shown = capsys.readouterr()
    assert sorted(path.name for path in tmp_path.glob("*-COVID.png")) == [
        "0-COVID.png", "1-COVID.png",
    ]  # fmt: skip
    assert len(shown.err.splitlines()) == 1 and "notes.png is not an image" in shown.err
    assert shown.out.count(predict.NOTICE) == 1
    assert cxr(monkeypatch, "explain", *files, *options, "--output", "one.png") == 2
    said = capsys.readouterr().err
    assert said == "cxr: --output one.png is one picture: leave it out for several images\n"


def test_an_unknown_target_is_refused_in_one_line_that_lists_the_five(
    run, files, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert cxr(monkeypatch, "explain", files[0], "--run", run.folder, "--target", "flu") == 2
    said = capsys.readouterr()
    assert said.err == f"cxr: unknown target 'flu': expected one of {', '.join(TARGETS)}\n"
    assert said.out == ""


def test_explaining_many_radiographs_holds_one_at_a_time(run, files):
    """Memory does not grow with their number."""
    held = []
    for found in predict.explain_each(run, [files[0], files[2]] * 2, "COVID", "Grad-CAM"):
        assert all(original() is None for original in held[:-1])
        held.append(weakref.ref(found["original"]))
    assert len(held) == 4


def test_predictions_are_written_as_csv_and_never_over_another_file(
    run, files, tmp_path, monkeypatch, capsys
):
    table = tmp_path / "answers.csv"
    assert cxr(monkeypatch, "predict", *files, "--run", run.folder, "--csv", table) == 2
    written = pd.read_csv(table)
    assert list(written.columns) == ["file", *TARGETS, "error"]
    assert list(written["file"]) == [str(path) for path in files]
    assert written["COVID"].isna().tolist() == [False, True, False]
    assert "is not an image" in written["error"][1]
    assert written["COVID"][0] == pytest.approx(float(expected(run, files[0])[-1]), abs=1e-6)
    capsys.readouterr()
    before = table.read_bytes()
    refusals = {table: "is there already", tmp_path / "answers.txt": "ends in .csv"}
    for output, reason in refusals.items():
        assert cxr(monkeypatch, "predict", files[0], "--run", run.folder, "--csv", output) == 2
        assert reason in capsys.readouterr().err
    assert table.read_bytes() == before
