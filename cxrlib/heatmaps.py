"""Heatmaps: where in a radiograph a network finds a target (Grad-CAM and saliency)."""

import functools
import warnings

import cv2
import numpy as np

from cxrlib import targets
from cxrlib.backend import keras
from cxrlib.errors import InputError
from cxrlib.files import replacing

SMOOTHING = 5 / 768
"""Sigma of the Gaussian over saliency, as a share of the image's edge (the paper: 5 px of 768)."""

LARGEST = 224
"""Edge above which heatmaps that are kept with a run are made smaller."""

OPACITY = 0.45
"""Of a heatmap over its radiograph."""

CHUNK = 16


def grad_cam(model, images, target):
    """Grad-CAM (Selvaraju et al. 2017) of a target's logit on the final feature map.

    With global average pooling and one dense layer the gradient is the dense layer's weight, so
    the heatmap is ReLU(Σ w·A) and takes one forward pass. The paper used the last *convolution*
    instead, in DenseNet-121 the last 32 of 1,024 feature maps.

    Args:
        model: What `models.build` returns, trained or not.
        images: (n, H, W, 3), uint8 or float in [0, 1]; scaled here as in training.
        target: A name of `TARGETS`.

    Returns:
        float32 array (n, H, W) in [0, 1], each divided by its own maximum; all 0 where nothing
        speaks for the target.

    Raises:
        InputError: Unknown target, or images of another shape or range.
    """
    column = targets.index(target)
    images = _checked(images, model)
    features = _features(model)
    weights = np.asarray(model.layers[-1].kernel, np.float32)[:, column]
    edge = images.shape[1:3][::-1]
    maps = []
    for start in range(0, len(images), CHUNK):
        # Every chunk has the same shape, so the network is traced once.
        for activation in features.predict(_padded(images, start), verbose=0):
            coarse = np.maximum(np.asarray(activation, np.float32) @ weights, 0)
            maps.append(_normalised(cv2.resize(coarse, edge, interpolation=cv2.INTER_LINEAR)))
    return np.stack(maps[: len(images)])


def saliency(model, images, target):
    """Guided saliency: the gradient of a target's logit by pixel (Springenberg et al. 2015).

    Through tf-keras-vis, which needs the TensorFlow backend; smoothed by a Gaussian of sigma 5 px
    at 768 px, as in the paper.

    Args, Returns, Raises: As `grad_cam`.
    """
    from tf_keras_vis.saliency import Saliency
    from tf_keras_vis.utils.model_modifiers import GuidedBackpropagation, ReplaceToLinear
    from tf_keras_vis.utils.scores import CategoricalScore

    column = targets.index(target)
    images = _checked(images, model)
    explain = Saliency(model, model_modifier=[ReplaceToLinear(), GuidedBackpropagation()])
    sigma = SMOOTHING * images.shape[1]
    maps = []
    for start in range(0, len(images), CHUNK):
        chunk = images[start : start + CHUNK]
        with warnings.catch_warnings():  # tf-keras-vis hands the input over in a list
            warnings.filterwarnings("ignore", "The structure of `inputs`", UserWarning)
            gradients = explain(CategoricalScore(column), chunk, normalize_map=False)
        maps += [_normalised(cv2.GaussianBlur(np.asarray(g), (0, 0), sigma)) for g in gradients]
    return np.stack(maps)


METHODS = {"densenet121": grad_cam, "resnet50": grad_cam, "efficient": saliency}
"""How the paper explains each architecture."""


def write(path, model, pixels, radiographs):
    """Explains every test radiograph for the target of its group, and keeps the heatmaps.

    Args:
        path: The `.npy` file: uint8 (n test radiographs, edge, edge), in the order of the rows.
        model: A trained network.
        pixels: uint8 (n, size, size, 3), row by row `radiographs`.
        radiographs: DataFrame with group and split.
    """
    test = np.flatnonzero(radiographs["split"] == "test")
    groups = radiographs["group"].to_numpy()[test]
    edge = min(pixels.shape[1], LARGEST)
    kept = np.zeros((len(test), edge, edge), np.uint8)
    for group, target in targets.GROUP_TARGET.items():
        places = np.flatnonzero(groups == group)
        for start in range(0, len(places), CHUNK):  # so that memory does not grow with the cohort
            part = places[start : start + CHUNK]
            maps = METHODS[model.name](model, pixels[test[part]], target)
            kept[part] = [_shrunk(one, edge) for one in maps]
    with replacing(path) as temporary:
        np.save(temporary, kept)


def overlay(image, heatmap):
    """Lays a heatmap over its radiograph, dark where nothing speaks for the target.

    Args:
        image: uint8 array (H, W, 3), RGB.
        heatmap: float array (H, W) in [0, 1].

    Returns:
        uint8 array (H, W, 3), RGB.
    """
    colours = cv2.applyColorMap(np.rint(255 * heatmap).astype(np.uint8), cv2.COLORMAP_INFERNO)
    return cv2.addWeighted(image, 1 - OPACITY, colours[..., ::-1], OPACITY, 0)


@functools.lru_cache(maxsize=1)
def _features(model):
    """Gives the network up to its final feature map; kept, so that it is traced once a model."""
    pooling = next(
        layer for layer in model.layers if isinstance(layer, keras.layers.GlobalAveragePooling2D)
    )
    return keras.Model(model.input, pooling.input)


def _shrunk(heatmap, edge):
    return np.rint(255 * cv2.resize(heatmap, (edge, edge), interpolation=cv2.INTER_AREA))


def _checked(images, model):
    images = np.asarray(images)
    expected = model.input_shape[1:]
    if images.ndim != 4 or images.shape[1:] != expected or len(images) == 0:
        raise InputError(
            f"images are {images.shape}: expected (n, {', '.join(map(str, expected))})"
        )
    if images.dtype == np.uint8:
        return images.astype(np.float32) / 255
    if not (images.min() >= 0 and images.max() <= 1):
        raise InputError(
            f"images lie in [{images.min():g}, {images.max():g}]:"
            " give uint8, or floats in [0, 1] as the networks are trained on"
        )
    return images.astype(np.float32)


def _padded(images, start):
    chunk = images[start : start + CHUNK]
    return np.concatenate([chunk, np.zeros((CHUNK - len(chunk), *chunk.shape[1:]), chunk.dtype)])


def _normalised(heatmap):
    highest = heatmap.max()
    return (heatmap / highest if highest > 0 else heatmap).astype(np.float32)
