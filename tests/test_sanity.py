"""Heatmaps are compared by measures of known value, with networks that know less and less."""

import numpy as np
import pandas as pd
import pytest

from cxrlib import heatmaps, phantom
from cxrlib.errors import InputError
from cxrlib.heatmaps import sanity
from cxrlib.networks import models
from cxrlib.networks.backend import keras
from cxrlib.pages import figures, tables
from cxrlib.shortcuts import retraining
from cxrlib.study import profiles, runs
from tests.conftest import make_run

RNG = np.random.default_rng(4)
A, B = RNG.random((2, 24, 30))


def by_hand(a, b):
    """SSIM from its definition, window by window."""
    distance = np.arange(11) - 5
    bell = np.exp(-(distance**2) / (2 * 1.5**2))
    weights = np.outer(bell, bell) / bell.sum() ** 2
    found = []
    for i in range(a.shape[0] - 10):
        for j in range(a.shape[1] - 10):
            x, y = a[i : i + 11, j : j + 11], b[i : i + 11, j : j + 11]
            mx, my = (weights * x).sum(), (weights * y).sum()
            vx, vy = (weights * (x - mx) ** 2).sum(), (weights * (y - my) ** 2).sum()
            both = (weights * (x - mx) * (y - my)).sum()
            top = (2 * mx * my + 1e-4) * (2 * both + 9e-4)
            found.append(top / ((mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4)))
    return np.mean(found)


def test_structural_similarity_follows_its_definition():
    assert sanity.ssim(A, A) == pytest.approx(1)
    assert sanity.ssim(A, B) == pytest.approx(by_hand(A, B), abs=1e-9)
    assert sanity.ssim(A, 1 - A) == pytest.approx(by_hand(A, 1 - A), abs=1e-9)
    dark, light = np.full((12, 12), 0.2), np.full((12, 12), 0.6)
    assert sanity.ssim(dark, light) == pytest.approx((0.24 + 1e-4) / (0.40 + 1e-4))


def test_structural_similarity_is_tensorflows_in_its_precision():
    import tensorflow

    for a, b in ((A, B), (A, 1 - A), (A, np.zeros_like(A))):
        theirs = tensorflow.image.ssim(a[..., None], b[..., None], 1.0, filter_size=11)
        assert sanity.ssim(a, b) == pytest.approx(float(theirs), abs=1e-6)


def test_rank_correlation_depends_on_the_order_of_pixels_only():
    assert sanity.rank(A, A**3) == pytest.approx(1)
    assert sanity.rank(A, -A) == pytest.approx(-1)
    assert sanity.rank([[1, 2, 3, 4]], [[2, 1, 4, 3]]) == pytest.approx(0.6)  # 1 - 6·4 / (4·15)


def test_a_flat_heatmap_has_no_rank_correlation_with_any():
    flat = np.zeros((24, 30))
    assert sanity.rank(A, flat) == 0
    assert np.isnan(sanity.rank(flat, flat))


def test_a_verdict_says_whether_two_networks_agree_more_than_two_radiographs_do():
    maps = RNG.random((12, 16, 16))
    same = sanity.compare(maps, maps).set_index("measure")
    assert (same["verdict"] == "above").all()
    assert same["value"].tolist() == pytest.approx([1, 1])
    against = sanity.compare(maps, 1 - maps).set_index("measure")
    assert (against["verdict"] == "below").all()
    moved = sanity.compare(maps, np.roll(maps, 1, axis=0)).set_index("measure")
    assert moved.loc["rank", "verdict"] == "like"
    assert abs(moved.loc["rank", "pairs"]) < 0.05
    blank = sanity.compare(np.zeros((3, 16, 16)), np.zeros((3, 16, 16))).set_index("measure")
    assert blank.loc["rank", "n"] == 0
    assert blank.loc["rank", "verdict"] == "like"


def table():
    """Test radiographs of three patients with the target, one of them twice, and others."""
    facts = {"patient": [1, 1, 2, 3, 4, 5], "split": ["test"] * 5 + ["train"]}
    return pd.DataFrame(facts).assign(Virus=[1, 1, 1, 0, 1, 1], Normal=[0, 0, 0, 1, 0, 0])


def test_a_sample_has_the_target_and_each_patient_once():
    assert sanity.sample(table(), "Virus").tolist() == [0, 2, 4]
    assert sanity.sample(table(), "Virus", 2).tolist() == [0, 4]
    with pytest.raises(InputError, match="1 test radiographs have Normal: at least 2"):
        sanity.sample(table(), "Normal")


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    model = models.build("efficient", 121)
    model.set_weights([w + 0.1 for w in model.get_weights()])  # as if trained
    return model


def same(a, b):
    return [
        all((x == y).all() for x, y in zip(p.get_weights(), q.get_weights())) for p, q in zip(a, b)
    ]


def test_randomising_replaces_the_layers_from_the_output_down_to_the_depth(model):
    before = model.get_weights()
    learnt = [layer for layer in model.layers if layer.weights]
    for depth in (0, 1, 7, len(learnt)):
        copy = sanity.randomise(model, depth)
        theirs = [layer for layer in copy.layers if layer.weights]
        assert same(learnt, theirs) == [True] * (len(learnt) - depth) + [False] * depth
    assert all((a == b).all() for a, b in zip(before, model.get_weights()))
    with pytest.raises(InputError, match="depth is 99: efficient has 31 layers"):
        sanity.randomise(model, 99)


def test_a_deeper_copy_has_the_random_layers_of_a_shallower_one(model):
    few, many = (sanity.randomise(model, depth, seed=3) for depth in (4, 9))
    pairs = zip(few.layers[-3:], many.layers[-3:])
    assert all(all(same([a], [b])) for a, b in pairs)
    other = sanity.randomise(model, 9, seed=4)
    assert (other.layers[-1].get_weights()[0] != many.layers[-1].get_weights()[0]).any()


def test_heatmaps_that_ignore_the_network_do_not_change_in_a_cascade(model):
    images = np.stack([phantom.simulate(i, 121).image for i in range(4)])

    def edges(model, images, target):
        return images[..., 0] / 255

    found = sanity.cascade(model, images, "COVID", edges, steps=3)
    assert found["depth"].tolist() == [1, 1, 16, 16, 31, 31]
    assert found["layer"].iloc[-1] == "block1_a_conv"
    assert found["value"].tolist() == pytest.approx([1] * 6)
    assert (found["verdict"] == "above").all()


def test_heatmaps_of_a_network_change_in_a_cascade(model):
    images = np.stack([phantom.simulate(i, 121).image for i in range(4)])
    found = sanity.cascade(model, images, "COVID", heatmaps.saliency, steps=2)
    assert found["value"].iloc[-1] < 0.95


@pytest.fixture
def made(tmp_path):
    """Finished runs of two networks that have learnt nothing, and one that was not run."""
    runs = [make_run(tmp_path, image_size=121), make_run(tmp_path, "resnet50", image_size=121)]
    for run in runs:
        models.build(run.architecture, 121).save(run.folder / "model.keras")
    return [*runs, make_run(tmp_path, "resnet50", "imagenet", state="not run", reason="weights")]


@pytest.mark.slow
def test_what_the_paper_looked_at_is_put_to_the_test(made, monkeypatch):
    images = np.stack([phantom.simulate(i, 121, target="covid").image for i in range(3)])
    steps = {"guided saliency": 3, "Grad-CAM": 2}
    tested = {way: (steps[way], names) for way, (_, names) in sanity.TESTED.items()}
    monkeypatch.setattr(sanity, "TESTED", tested)
    monkeypatch.setattr(retraining, "retrain", lambda profile, run, **asked: run.network)
    networks = retraining.networks(retraining.tested(made))
    cascades = sanity.cascades(networks, images, "Virus")
    assert cascades.groupby("heatmap", sort=False).size().to_dict() == {
        "Efficient, guided saliency": 6,
        "Efficient, plain saliency": 6,
        "ResNet-50 (random), Grad-CAM": 4,
    }
    assert cascades["change"].unique().tolist() == [
        "output layer random", "top 52 % of layers random", "all layers random"
    ]  # fmt: skip
    trainings = retraining.trained_again(profiles.Profile(), made)
    retrained = sanity.retrained(trainings, images, "Virus")
    assert retrained["value"].tolist() == pytest.approx([1] * 8)
    assert cascades["share"].unique().tolist()[1] == pytest.approx(16 / 31)
    assert set(retrained["verdict"]) == {"above"}


@pytest.mark.slow
def test_without_efficient_the_table_says_that_it_was_not_compared(made):
    images = np.stack([phantom.simulate(i, 121).image for i in range(2)])
    deep = made[1:]
    trainings = retraining.trained_again(profiles.Profile(), deep)
    retrained = sanity.retrained(trainings, images, "Virus")
    assert len(retrained) == 0
    found = sanity.cascades(retraining.networks(deep), images, "Virus")
    assert set(found["heatmap"]) == {"ResNet-50 (random), Grad-CAM"}
    assert "Efficient was not run" in tables.likeness(retrained).to_string()


@pytest.mark.slow
def test_the_papers_layer_and_ours_are_compared_arm_by_arm(made):
    images = np.stack([phantom.simulate(i, 121).image for i in range(3)])
    choice = sanity.layer_choice(retraining.networks(made), images, "Virus")
    assert list(choice) == ["ResNet-50 (random)"]
    final, last = choice["ResNet-50 (random)"]
    model = made[1].network
    assert np.allclose(final, heatmaps.grad_cam(model, images, "Virus"), atol=1e-5)
    assert np.abs(final - last).max() > 0.1
    assert sanity.compare(final, last).set_index("measure").loc["rank", "n"] == 3


def test_where_no_arm_finished_nothing_is_compared(tmp_path):
    lost = [make_run(tmp_path, state=runs.NOT_RUN, reason="training diverged")]
    images = np.zeros((2, 32, 32, 3), np.uint8)
    none = sanity.cascades(retraining.networks(retraining.tested(lost)), images, "Pneumonia")
    assert none.empty
    again = retraining.trained_again(profiles.Profile(), lost)
    assert sanity.retrained(again, images, "Pneumonia").empty
    assert figures.cascade(none).axes
    assert sanity.layer_choice(retraining.networks(lost), images, "COVID") == {}
