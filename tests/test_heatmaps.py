"""Heatmaps are right: Grad-CAM is tf-keras-vis', inputs are scaled as in training."""

import subprocess
import sys

import cv2
import numpy as np
import pandas as pd
import pytest

from cxrlib import heatmaps, phantom
from cxrlib.errors import InputError
from cxrlib.networks import ARCHITECTURES, models
from cxrlib.networks.backend import keras

IMAGES = np.stack([phantom.simulate(i, 128, target="covid").image for i in range(2)])
FINAL = {
    "densenet121": "relu",
    "resnet50": "conv5_block3_out",
    "efficient": "block5_average",
}


DEEP = [pytest.param(name, marks=pytest.mark.slow) for name in ("densenet121", "resnet50")]


@pytest.fixture(scope="module", params=[*DEEP, "efficient"])
def model(request):
    keras.utils.set_random_seed(5)
    return models.build(request.param, 128 if request.param != "efficient" else 256)


def images_for(model):
    edge = model.input_shape[1]
    return np.stack([cv2.resize(image, (edge, edge)) for image in IMAGES])


def test_grad_cam_is_what_its_parts_make(model):
    images = images_for(model)
    features, weights = heatmaps.grad_cam_parts(model, images[1], "Virus")
    summed = np.maximum(features @ weights, 0)
    enlarged = cv2.resize(summed, images.shape[1:3], interpolation=cv2.INTER_LINEAR)
    whole = heatmaps.grad_cam(model, images, "Virus")[1]
    np.testing.assert_allclose(enlarged / max(enlarged.max(), 1e-9), whole, atol=1e-5)


@pytest.mark.slow
def test_grad_cam_on_the_final_feature_map_matches_tf_keras_vis(model):
    from tf_keras_vis.gradcam import Gradcam
    from tf_keras_vis.utils.model_modifiers import ReplaceToLinear
    from tf_keras_vis.utils.scores import CategoricalScore

    images = images_for(model)
    explain = Gradcam(model, model_modifier=ReplaceToLinear(), clone=True)
    compared = 0
    for column, target in enumerate(["Normal", "Pneumonia", "Virus", "Bacteria", "COVID"]):
        theirs = np.asarray(
            explain(
                CategoricalScore(column), images.astype(np.float32),
                penultimate_layer=FINAL[model.name], seek_penultimate_conv_layer=False,
                expand_cam=False, normalize_cam=False,
            )
        )  # fmt: skip
        ours = heatmaps.grad_cam(model, images, target)
        for cam, heatmap in zip(theirs, ours):
            if cam.max() <= 0:
                assert heatmap.max() == 0
                continue
            expanded = cv2.resize(cam / cam.max(), heatmap.shape[::-1])
            compared += 1
            assert np.abs(expanded / expanded.max() - heatmap).max() < 1e-5
    assert compared > 0


def last_convolution_cam(model, images, target):
    return heatmaps.grad_cam(model, images, target, layer=heatmaps.last_convolution(model))


def plain_saliency(model, images, target):
    return heatmaps.saliency(model, images, target, guided=False)


def smooth_grad(model, images, target):
    return heatmaps.saliency(model, images, target, guided=False, smooth=2)


def score_cam(model, images, target):
    return heatmaps.score_cam(model, images, target, channels=8)


METHODS = [
    heatmaps.grad_cam, heatmaps.grad_cam_plus_plus, heatmaps.saliency,
    last_convolution_cam, plain_saliency, smooth_grad, score_cam,
]  # fmt: skip


@pytest.mark.slow
def test_grad_cam_plus_plus_on_the_final_feature_map_matches_tf_keras_vis(model):
    from tf_keras_vis.gradcam_plus_plus import GradcamPlusPlus
    from tf_keras_vis.utils.model_modifiers import ReplaceToLinear
    from tf_keras_vis.utils.scores import CategoricalScore

    images = images_for(model)
    explain = GradcamPlusPlus(model, model_modifier=ReplaceToLinear(), clone=True)
    theirs = np.asarray(
        explain(
            CategoricalScore(4), images.astype(np.float32),
            penultimate_layer=FINAL[model.name], seek_penultimate_conv_layer=False,
            expand_cam=False, normalize_cam=False,
        )
    )  # fmt: skip
    ours = heatmaps.grad_cam_plus_plus(model, images, "COVID")
    for cam, heatmap in zip(theirs, ours):
        expanded = cv2.resize(cam / cam.max(), heatmap.shape[::-1])
        assert np.abs(expanded / expanded.max() - heatmap).max() < 1e-5


@pytest.mark.slow
def test_grad_cam_by_gradients_and_in_one_forward_pass_agree(model):
    images = images_for(model)
    for target in ("Normal", "COVID"):
        slow = heatmaps.grad_cam(model, images, target, layer=FINAL[model.name])
        assert np.abs(slow - heatmaps.grad_cam(model, images, target)).max() < 1e-5


def test_the_last_convolution_is_the_papers_layer_and_not_the_final_feature_map(model):
    names = {"densenet121": "conv5_block16_2_conv", "resnet50": "conv5_block3_3_conv"}
    if model.name in names:
        assert heatmaps.last_convolution(model) == names[model.name]
    images = images_for(model)
    last = last_convolution_cam(model, images, "Virus")
    assert np.abs(last - heatmaps.grad_cam(model, images, "Virus")).max() > 0.1


def test_a_layer_that_the_network_lacks_is_refused(model):
    with pytest.raises(InputError, match="has no layer 'conv9'"):
        heatmaps.grad_cam(model, images_for(model), "Virus", layer="conv9")


def linear(size, kernel):
    """A network that sees the image itself as its final feature map: all is known of it."""
    inputs = keras.Input((size, size, 3))
    same = keras.layers.Conv2D(3, 1, use_bias=False, name="same")
    pooled = keras.layers.GlobalAveragePooling2D()(same(keras.layers.Rescaling(1 / 255)(inputs)))
    dense = keras.layers.Dense(5, activation="sigmoid")
    model = keras.Model(inputs, dense(pooled), name="linear")
    same.set_weights([np.eye(3, dtype=np.float32)[None, None]])
    dense.set_weights([np.asarray(kernel, np.float32), np.zeros(5, np.float32)])
    return model


def coloured():
    """Three patches, red, green and blue, in a dark image of 16 pixels, and their places."""
    image = np.zeros((1, 16, 16, 3), np.float32)
    places = {
        0: (slice(0, 4), slice(0, 4)),
        1: (slice(8, 12), slice(0, 4)),
        2: (slice(12, 16),) * 2,
    }
    for channel, (rows, columns) in places.items():
        image[0, rows, columns, channel] = 255
    return image, places


def test_what_speaks_against_a_target_is_dark_in_every_class_activation_map():
    image, places = coloured()
    kernel = np.zeros((3, 5))
    kernel[:, 4] = [300, 150, -300]  # red speaks for COVID, green half as much, blue against it
    model = linear(16, kernel)
    for method in (heatmaps.grad_cam, heatmaps.grad_cam_plus_plus):
        heatmap = method(model, image, "COVID")[0]
        assert heatmap[places[0]] == pytest.approx(1)
        assert heatmap[places[1]] == pytest.approx(0.5)
        assert heatmap[places[2]] == pytest.approx(0)
        assert heatmap[:, 8:12] == pytest.approx(0)


def test_score_cam_weighs_each_channel_by_the_probability_it_alone_gives():
    image, places = coloured()
    kernel = np.zeros((3, 5))
    kernel[:, 4] = [32, -32, 0]
    heatmap = heatmaps.score_cam(linear(16, kernel), image, "COVID")[0]
    probabilities = 1 / (1 + np.exp(-np.array([2, -2, 0])))  # a patch is a sixteenth of the image
    for channel, place in places.items():
        expected = probabilities[channel] / probabilities.max()
        assert heatmap[place] == pytest.approx(expected, abs=1e-4)


def pixelwise(weights):
    """A network whose logit of COVID is a sum of pixels by known weights (H, W, 3)."""
    inputs = keras.Input(weights.shape)
    dense = keras.layers.Dense(5, activation="sigmoid")
    model = keras.Model(inputs, dense(keras.layers.Flatten()(inputs)), name="pixelwise")
    kernel = np.zeros((weights.size, 5), np.float32)
    kernel[:, 4] = weights.ravel()
    dense.set_weights([kernel, np.zeros(5, np.float32)])
    return model


@pytest.mark.parametrize("options", [{}, {"guided": False}, {"guided": False, "smooth": 3}])
def test_the_saliency_of_a_sum_of_pixels_is_the_size_of_their_weights(options):
    weights = np.random.default_rng(2).normal(size=(24, 24, 3)).astype(np.float32)
    image = np.full((1, 24, 24, 3), 127.5, np.float32)
    found = heatmaps.saliency(pixelwise(weights), image, "COVID", **options)[0]
    sizes = cv2.GaussianBlur(np.abs(weights).max(axis=2), (0, 0), heatmaps.SMOOTHING * 24)
    assert found == pytest.approx(sizes / sizes.max(), abs=1e-5)


def test_smooth_grad_averages_over_noise_that_is_the_same_every_time():
    model = models.build("efficient", 121)
    images = np.stack([phantom.simulate(i, 121).image for i in range(3)])
    once, again = (smooth_grad(model, images, "COVID") for _ in range(2))
    assert (once == again).all()
    assert np.abs(once[2] - smooth_grad(model, images[2:], "COVID")[0]).max() < 1e-3
    assert np.abs(once - plain_saliency(model, images, "COVID")).max() > 0.01


@pytest.mark.parametrize("method", METHODS)
def test_a_heatmap_has_the_images_size_and_lies_in_0_to_1(model, method):
    images = images_for(model)
    maps = method(model, images, "COVID")
    assert maps.shape == images.shape[:3]
    assert maps.dtype == np.float32
    assert maps.min() >= 0
    assert maps.max() <= 1


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_pixels_of_any_type_give_the_same_and_scaled_ones_are_refused(model, method):
    images = images_for(model)
    floats = images.astype(np.float32)
    assert (method(model, images, "Virus") == method(model, floats, "Virus")).all()
    with pytest.raises(InputError, match="give pixels from 0 to 255"):
        method(model, floats / 255, "Virus")


def test_unknown_targets_and_wrong_shapes_are_refused(model):
    for method in METHODS:
        with pytest.raises(InputError, match="unknown target 'Covid'"):
            method(model, images_for(model), "Covid")
    with pytest.raises(InputError, match="images are .2, 64, 64, 3."):
        heatmaps.grad_cam(model, IMAGES[:, :64, :64], "COVID")


@pytest.mark.parametrize("method", METHODS)
def test_explaining_leaves_the_network_as_it_was_and_says_nothing(model, method, capfd):
    images = images_for(model)
    before, answers = model.get_weights(), model.predict(images, verbose=0)
    method(model, images, "Normal")
    assert all((a == b).all() for a, b in zip(before, model.get_weights()))
    assert np.allclose(answers, model.predict(images, verbose=0))
    assert capfd.readouterr().out == ""


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_many_radiographs_at_once_get_the_heatmaps_that_each_gets_alone(method):
    model = models.build("efficient", 121)
    images = np.stack([phantom.simulate(i, 121).image for i in range(heatmaps.BATCH + 2)])
    together = method(model, images, "Bacteria")
    alone = [method(model, images[i : i + 1], "Bacteria")[0] for i in (0, 15, 16, 17)]
    assert len(together) == len(images)
    assert np.abs(together[[0, 15, 16, 17]] - alone).max() < 1e-3


def test_a_grad_cam_follows_the_weights_that_the_network_has_now():
    model = models.build("efficient", 256)
    images = images_for(model)
    before = heatmaps.grad_cam(model, images, "COVID")
    model.set_weights([-w for w in model.get_weights()[:-2]] + model.get_weights()[-2:])
    assert (heatmaps.grad_cam(model, images, "COVID") != before).any()


def test_a_heatmap_is_zero_where_nothing_speaks_for_the_target():
    model = models.build("efficient", 121)
    kernel, bias = model.layers[-1].get_weights()
    model.layers[-1].set_weights([-np.abs(kernel), bias])
    images = np.stack([phantom.simulate(i, 121).image for i in range(2)])
    assert (heatmaps.grad_cam(model, images, "Virus") == 0).all()


def test_no_radiographs_are_refused():
    model = models.build("efficient", 121)
    with pytest.raises(InputError, match="images are .0, 121, 121, 3."):
        heatmaps.grad_cam(model, np.zeros((0, 121, 121, 3), np.uint8), "Virus")


def test_heatmaps_kept_with_a_run_explain_each_test_radiograph_for_its_own_group(tmp_path):
    model = models.build("efficient", 256)
    groups = ["virus", "normal", "covid", "virus", "bacteria"]
    pixels = np.stack([phantom.simulate(i, 256, target=g).image for i, g in enumerate(groups)])
    splits = ["test", "train", "test", "test", "test"]
    table = pd.DataFrame({"group": groups, "split": splits})
    heatmaps.write(tmp_path / "heatmaps.npy", model, pixels, table)
    kept = np.load(tmp_path / "heatmaps.npy")
    assert kept.shape == (4, heatmaps.LARGEST, heatmaps.LARGEST)
    assert kept.dtype == np.uint8
    for place, row, target in [(0, 0, "Virus"), (1, 2, "COVID"), (2, 3, "Virus")]:
        alone = heatmaps.saliency(model, pixels[row : row + 1], target)[0]
        shrunk = cv2.resize(alone, (224, 224), interpolation=cv2.INTER_AREA)
        assert np.abs(kept[place] - 255 * shrunk).max() < 3


def test_heatmaps_of_group_other_stay_blank_as_it_has_no_target_of_its_own(tmp_path):
    table = pd.DataFrame({"group": ["other"] * 3, "split": ["test", "train", "test"]})
    heatmaps.write(tmp_path / "heatmaps.npy", None, np.zeros((3, 128, 128, 3), np.uint8), table)
    kept = np.load(tmp_path / "heatmaps.npy")
    assert kept.shape == (2, 128, 128) and not kept.any()


def test_importing_the_room_takes_no_keras():
    rooms = "cxrlib.heatmaps, cxrlib.heatmaps.attention, cxrlib.heatmaps.sanity"
    code = f"import sys, {rooms}; assert not {{'keras', 'tensorflow'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_architecture_is_explained_by_a_method_that_is_there():
    assert {row.heatmap for row in ARCHITECTURES.values()} <= set(heatmaps.METHODS)
