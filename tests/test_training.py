"""An arm leaves a complete run folder, goes on after a kill, and is never trained twice."""

import dataclasses
import shutil

import numpy as np
import pandas as pd
import pytest

from cxrlib import files, metrics, phantom, study
from cxrlib.errors import InputError
from cxrlib.networks import Recipe, Schedule, backend, training
from cxrlib.study import experiments, packing, profiles, provenance, runs
from cxrlib.targets import TARGETS, encode
from tests.conftest import make_finished

pytestmark = pytest.mark.slow


def efficient(profile, name="A"):
    experiment = profile.experiment(name)
    return study.train(profile, experiment, experiment.arms[-1])


class Killed(BaseException):
    """Nothing catches it, as nothing catches a kill."""


def killed(monkeypatch, train, epoch, written=True):
    """Kills a training in that epoch, just after its history was written or just before."""

    def dying(frame, path):
        last = path.name == "history.csv" and len(frame) == epoch
        if written or not last:
            files.write_csv(frame, path)
        if last:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(training, "write_csv", dying)
        with pytest.raises(Killed):
            train()


def exact(one, other):
    pd.testing.assert_frame_equal(one, other, check_exact=True)


@pytest.fixture(scope="module")
def undisturbed(tiny, tmp_path_factory):
    """Experiment C's Efficient, trained without a cut."""
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "Snakefile").touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return efficient(tiny, "C")


def test_a_run_folder_holds_what_is_promised(undisturbed):
    names = {path.name for path in undisturbed.folder.iterdir()}
    assert names == {
        "run.json", "history.csv", "model.keras", "predictions.csv", "metrics.csv", "heatmaps.npy",
    }  # fmt: skip
    info = undisturbed.info
    assert info["state"] == runs.FINISHED
    assert info["schedule"]["epochs"] == info["epochs"] == 3
    assert info["parameters"] == 233_605
    assert undisturbed.history["epoch"].tolist() == [1, 2, 3]
    assert undisturbed.history["val_loss"].idxmin() + 1 == info["best_epoch"]


def test_a_run_holds_the_profile_that_makes_it_again(undisturbed, tiny):
    again = profiles.from_mapping(undisturbed.info["profile"])
    assert again == tiny
    assert again.folder_name == undisturbed.folder.parents[1].name


def test_predictions_are_probabilities_of_validation_and_test(undisturbed):
    predictions = undisturbed.predictions
    assert set(predictions["split"]) == {"validation", "test"}
    probabilities = predictions[[f"p_{target}" for target in TARGETS]]
    assert probabilities.to_numpy().min() >= 0
    assert probabilities.to_numpy().max() <= 1
    covid = predictions[(predictions["group"] == "covid") & (predictions["split"] == "test")]
    assert (covid["y_COVID"] == 1).all()
    assert covid["copy"].max() == 2
    assert undisturbed.heatmaps.shape == (len(undisturbed.test_predictions), 121, 121)


@pytest.mark.parametrize("where", ["after the checkpoint", "after the history"])
def test_a_killed_run_ends_as_if_nothing_had_happened(
    undisturbed, tiny, project, monkeypatch, where
):
    killed(monkeypatch, lambda: efficient(tiny, "C"), 2, written=where == "after the history")
    resumed = efficient(tiny, "C")
    columns = undisturbed.history.columns.drop("seconds")
    exact(resumed.history[columns], undisturbed.history[columns])
    exact(resumed.predictions, undisturbed.predictions)


@pytest.mark.parametrize("epoch", [1, 2])
def test_a_damaged_checkpoint_is_named_and_once_deleted_training_goes_on(
    undisturbed, tiny, project, monkeypatch, epoch
):
    killed(monkeypatch, lambda: efficient(tiny, "C"), 2)
    folder = study.run_folder(tiny, tiny.experiment("C"), tiny.experiment("C").arms[0])
    checkpoint = folder / f"checkpoint-{epoch:04d}.keras"
    if epoch == 2:
        checkpoint.write_bytes(checkpoint.read_bytes()[:5000])
        with pytest.raises(InputError, match=r"checkpoint-0002\.keras is damaged .*delete it"):
            efficient(tiny, "C")
    checkpoint.unlink(missing_ok=True)
    exact(efficient(tiny, "C").predictions, undisturbed.predictions)


@pytest.mark.parametrize("name", runs.LEFT)
def test_a_deleted_file_of_a_finished_run_is_made_anew(undisturbed, tiny, project, name):
    folder = study.run_folder(tiny, tiny.experiment("C"), tiny.experiment("C").arms[0])
    shutil.copytree(undisturbed.folder, folder)
    (folder / name).unlink()
    again = efficient(tiny, "C")
    assert {path.name for path in folder.iterdir()} >= set(runs.LEFT)
    exact(again.predictions, undisturbed.predictions)
    assert (again.heatmaps == undisturbed.heatmaps).all()


def test_networks_of_one_shape_on_one_bench_are_traced_once_and_start_anew(tiny):
    bench = {}

    def begin(image_size=121):
        training.keras.utils.set_random_seed(3)
        schedule = tiny.schedule(experiments.A, "efficient")
        recipe = Recipe("efficient", None, schedule, None, seed=3)
        return training.start(recipe, image_size, bench)

    pixels = np.random.default_rng(0).random((4, 121, 121, 3), np.float32)
    first = begin()
    initial = first.get_weights()
    state = [np.array(variable) for variable in first.optimizer.variables]
    answers = [first.predict(pixels, verbose=0)]
    first.fit(pixels, np.eye(4, 5), verbose=0)
    step = first.train_function
    assert not np.allclose(first.get_weights()[0], initial[0])
    again = begin()
    assert again.train_function is step
    assert all((a == b).all() for a, b in zip(again.get_weights(), initial))
    for variable, before in zip(again.optimizer.variables, state):
        assert (np.array(variable) == before).all()
    answers.append(again.predict(pixels, verbose=0))
    assert (answers[0] == answers[1]).all()
    assert begin(122).input_shape == (None, 122, 122, 3)


def test_a_network_that_was_handed_out_is_not_touched_by_the_next_training(tiny):
    recipe = Recipe("efficient", None, tiny.schedule(experiments.A, "efficient"), None, seed=3)
    first = training.start(recipe, 121)
    weights = first.get_weights()
    assert training.start(recipe._replace(seed=4), 121) is not first
    assert all((a == b).all() for a, b in zip(first.get_weights(), weights))


def test_a_finished_run_is_not_trained_again_and_a_changed_one_is(tiny, project):
    first = efficient(dataclasses.replace(tiny, epochs=1))
    model = first.folder / "model.keras"
    written = model.stat().st_mtime_ns
    assert efficient(dataclasses.replace(tiny, epochs=1)).info == first.info
    assert model.stat().st_mtime_ns == written
    other = efficient(dataclasses.replace(tiny, epochs=1, seed=2))
    assert other.folder != first.folder
    assert not np.allclose(other.history["loss"], first.history["loss"])


@pytest.mark.parametrize("part", ["treatment", "online", "schedule", "code"])
def test_a_run_is_trained_anew_in_its_place_when_what_it_is_made_from_changes(
    tiny, project, monkeypatch, part
):
    once = dataclasses.replace(tiny, epochs=1)
    first = efficient(once)
    packed = first.folder.with_name("efficient.zip")
    packing.pack(first.folder, packed)
    assert efficient(once).info == first.info
    assert packed.exists()
    changes = {
        "treatment": {"treatment": "cropped"},
        "online": {"online": experiments.C.online},
        "schedule": {"schedule": dataclasses.replace(experiments.A.schedule, reduce_after=9)},
        "code": {},
    }
    changed = dataclasses.replace(experiments.A, **changes[part])
    monkeypatch.setitem(experiments.EXPERIMENTS, "A", changed)
    if part == "code":
        monkeypatch.setattr(provenance, "digest", lambda *_, **__: "another version")
    again = efficient(once)
    assert again.folder == first.folder
    assert again.info[part] != first.info[part]
    assert not packed.exists(), "it held the old run"


def test_a_continued_run_keeps_its_precision_and_its_backend(tiny, project, monkeypatch):
    auto = dataclasses.replace(tiny, precision="auto")
    with monkeypatch.context() as patch:
        patch.setattr(backend, "choose_precision", lambda _: "bfloat16")
        killed(monkeypatch, lambda: efficient(auto), 2)
    folder = study.run_folder(auto, auto.experiment("A"), auto.experiment("A").arms[-1])
    begun = files.read_json(folder / "run.json")
    files.write_json(begun | {"backend": "elsewhere"}, folder / "run.json")
    with pytest.raises(InputError, match="begun with KERAS_BACKEND=elsewhere: set it to go on"):
        efficient(auto)
    files.write_json(begun, folder / "run.json")
    monkeypatch.setattr(backend, "choose_precision", lambda _: "float32")
    assert efficient(auto).info["precision"] == "bfloat16"


def test_a_training_that_diverges_ends_as_not_run_and_says_why(tiny, project):
    wild = dataclasses.replace(tiny, epochs=2, learning_rate=1e30, norm_images=0)
    run = efficient(wild)
    assert run.info["state"] == runs.NOT_RUN
    assert run.info["reason"] == "training diverged: no validation loss in 2 epochs"
    assert efficient(wild).info == run.info


def test_an_arm_without_its_weights_is_not_run_and_says_why(tiny, project, monkeypatch):
    def unavailable(*args):
        raise training.models.WeightsUnavailable("weights unavailable (no network)")

    monkeypatch.setattr(training.models, "build", unavailable)
    run = efficient(tiny)
    assert run.info["state"] == runs.NOT_RUN
    assert run.info["reason"] == "weights unavailable (no network)"
    assert [path.name for path in run.folder.iterdir()] == ["run.json"]


@pytest.mark.parametrize(("loss", "better"), [(0.4, "imagenet"), (0.8, "none")])
def test_b_takes_the_initialisation_that_validated_better_in_a(
    tiny, project, monkeypatch, loss, better
):
    profile = dataclasses.replace(tiny, arms=("resnet50-none", "resnet50-imagenet"))
    for arm in profile.experiment("A").arms:
        make_finished(profile, "A", arm, loss={"none": 0.7, "imagenet": loss}[arm.weights])
    asked = []

    def unavailable(architecture, size, weights):
        asked.append(weights or "none")
        raise training.models.WeightsUnavailable("weights unavailable")

    monkeypatch.setattr(training.models, "build", unavailable)
    run = study.train(profile, profile.experiment("B"), profile.experiment("B").arms[0])
    assert asked == [run.info["weights"]] == [better]


def test_a_run_that_was_cut_halves_its_rate_and_stops_when_an_uncut_one_does(tmp_path, monkeypatch):
    """Validation asks for the opposite of what is learnt, so every epoch is worse than the last."""
    facts = {"file": range(14), "group": ["normal", "covid"] * 7, "patient": 0, "copy": 0}
    answers = pd.DataFrame(encode(facts["group"]), columns=list(TARGETS))
    radiographs = pd.concat([pd.DataFrame(facts), answers], axis=1)
    radiographs["split"] = ["train"] * 8 + ["validation"] * 4 + ["test"] * 2
    pixels = np.stack(
        [
            phantom.simulate(i, 121, target=group).image
            for i, group in enumerate(radiographs["group"])
        ]
    )
    wrong = radiographs["split"] == "validation"
    radiographs.loc[wrong, list(TARGETS)] = 1 - radiographs.loc[wrong, list(TARGETS)]
    schedule = Schedule(
        batch_size=4, epochs=9, passes_per_epoch=1, reduce_after=1, stop_after=5,
        learning_rate=0.01, reduce_cooldown=1, norm_images=8,
    )  # fmt: skip

    def train(name):
        (tmp_path / name).mkdir(exist_ok=True)
        recipe = Recipe("efficient", None, schedule, experiments.C.online, seed=3)
        return training.fit(tmp_path / name, recipe, pixels, radiographs, lines=True)

    def answers(name):
        model = training.models.load(tmp_path / name / "model.keras")
        return training.predict(model, pixels, radiographs, ("validation", "test"), 4)

    uncut = train("uncut")
    assert len(uncut) < schedule.epochs
    assert uncut["learning_rate"].nunique() >= 3

    killed(monkeypatch, lambda: train("cut"), 3)
    columns = uncut.columns.drop("seconds")
    exact(train("cut")[columns], uncut[columns])
    exact(answers("cut"), answers("uncut"))


def test_measures_of_a_run_are_those_of_its_test_predictions(undisturbed):
    again = metrics.of_predictions(undisturbed.test_predictions)
    pd.testing.assert_frame_equal(undisturbed.metrics, again, check_dtype=False)


def test_the_kept_network_gives_the_predictions_that_were_kept(undisturbed, tiny):
    model = training.keras.saving.load_model(undisturbed.folder / "model.keras", compile=False)
    assert model.dtype_policy.name == "float32"
    experiment = tiny.experiment("C")
    root = undisturbed.folder.parents[3]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        pixels, table = study.pixels(tiny, experiment), study.radiographs(tiny, experiment)
    test = np.flatnonzero(table["split"] == "test")
    expected = undisturbed.test_predictions[[f"p_{target}" for target in TARGETS]]
    answers = model.predict(pixels[test], verbose=0)
    assert np.abs(answers - expected.to_numpy()).max() < 1e-5


def test_a_history_names_what_an_epoch_measured(undisturbed):
    assert set(undisturbed.history.columns) == {
        "epoch", "loss", "accuracy", "harsh_accuracy", "val_loss", "val_accuracy",
        "val_harsh_accuracy", "learning_rate", "seconds",
    }  # fmt: skip
    assert (undisturbed.history["learning_rate"].round(9) == 1e-3).all()


def test_harsh_accuracy_asks_for_all_five_targets():
    truth = np.array([[1, 0, 0, 0, 0], [0, 1, 1, 0, 1]])
    score = np.array([[0.5, 0.4, 0.1, 0.0, 0.0], [0.1, 0.9, 0.9, 0.1, 0.4]])
    assert np.asarray(training.harsh_accuracy(truth, score)).tolist() == [1.0, 0.0]


def test_the_best_epoch_is_the_first_with_the_lowest_validation_loss():
    history = pd.DataFrame({"epoch": [1, 2, 3], "val_loss": [0.5, 0.4, 0.4]})
    assert training.best_epoch(history) == 2


def test_features_are_what_the_answers_are_made_from():
    from cxrlib.networks import models

    model = models.build("efficient", 121)
    pixels = np.random.default_rng(0).integers(0, 256, (5, 121, 121, 3), np.uint8)
    radiographs = pd.DataFrame(encode(["normal"] * 5), columns=list(TARGETS)).assign(
        file="", group="normal", patient="", copy=0, split="test"
    )
    features = training.features(model, pixels, radiographs, 2)
    answers = training.predict(model, pixels, radiographs, ("test",), 2)
    kernel, bias = (np.asarray(part) for part in model.layers[-1].weights)
    logits = features @ kernel + bias
    probabilities = answers[[f"p_{target}" for target in TARGETS]]
    assert np.allclose(1 / (1 + np.exp(-logits)), probabilities, atol=1e-5)
