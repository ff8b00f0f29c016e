"""Heatmaps are right: Grad-CAM is tf-keras-vis', inputs are scaled as in training."""

import cv2
import numpy as np
import pandas as pd
import pytest

from cxrlib import phantom
from cxrlib.errors import InputError

heatmaps = pytest.importorskip("cxrlib.heatmaps")
models = pytest.importorskip("cxrlib.models")
IMAGES = np.stack([phantom.simulate(i, 128, target="covid").image for i in range(2)])
FINAL = {
    "densenet121": "relu",
    "resnet50": "conv5_block3_out",
    "efficient": "block5_average",
}


@pytest.fixture(scope="module", params=sorted(FINAL))
def model(request):
    heatmaps.keras.utils.set_random_seed(5)
    return models.build(request.param, 128 if request.param != "efficient" else 256)


def images_for(model):
    edge = model.input_shape[1]
    return np.stack([cv2.resize(image, (edge, edge)) for image in IMAGES])


@pytest.mark.slow
def test_grad_cam_is_tf_keras_vis_on_the_final_feature_map(model):
    from tf_keras_vis.gradcam import Gradcam
    from tf_keras_vis.utils.model_modifiers import ReplaceToLinear
    from tf_keras_vis.utils.scores import CategoricalScore

    images = images_for(model)
    explain = Gradcam(model, model_modifier=ReplaceToLinear(), clone=True)
    compared = 0
    for column, target in enumerate(["Normal", "Pneumonia", "Virus", "Bacteria", "COVID"]):
        theirs = np.asarray(
            explain(
                CategoricalScore(column), images.astype(np.float32) / 255,
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


@pytest.mark.parametrize("method", [heatmaps.grad_cam, heatmaps.saliency])
def test_a_heatmap_has_the_images_size_and_lies_in_0_to_1(model, method):
    images = images_for(model)
    maps = method(model, images, "COVID")
    assert maps.shape == images.shape[:3]
    assert maps.dtype == np.float32
    assert maps.min() >= 0
    assert maps.max() <= 1


def test_bytes_and_scaled_floats_give_the_same_and_unscaled_floats_are_refused(model):
    images = images_for(model)
    scaled = images.astype(np.float32) / 255
    for method in (heatmaps.grad_cam, heatmaps.saliency):
        assert (method(model, images, "Virus") == method(model, scaled, "Virus")).all()
        with pytest.raises(InputError, match=r"give uint8, or floats in \[0, 1\]"):
            method(model, images.astype(np.float32), "Virus")


def test_unknown_targets_and_wrong_shapes_are_refused(model):
    with pytest.raises(InputError, match="unknown target 'Covid'"):
        heatmaps.grad_cam(model, images_for(model), "Covid")
    with pytest.raises(InputError, match="images are .2, 64, 64, 3."):
        heatmaps.grad_cam(model, IMAGES[:, :64, :64], "COVID")


def test_explaining_leaves_the_network_as_it_was(model):
    before = model.get_weights()
    heatmaps.saliency(model, images_for(model), "Normal")
    assert all((a == b).all() for a, b in zip(before, model.get_weights()))


@pytest.mark.parametrize("method", [heatmaps.grad_cam, heatmaps.saliency])
def test_many_radiographs_are_explained_as_one_by_one(method):
    model = models.build("efficient", 121)
    images = np.stack([phantom.simulate(i, 121).image for i in range(heatmaps.CHUNK + 2)])
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


def test_what_speaks_for_nothing_is_all_zero():
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
