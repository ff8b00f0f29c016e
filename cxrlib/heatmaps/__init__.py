"""Heatmaps: where in a radiograph a network finds a target (class activation and saliency).

Nothing here knows of studies and runs: the functions take networks and pixels. Importing this room
takes no Keras.
"""

import contextlib
import functools
import io
import warnings

import cv2
import numpy as np

from cxrlib import targets
from cxrlib.errors import InputError
from cxrlib.files import writing_array
from cxrlib.networks import ARCHITECTURES

SMOOTHING = 5 / 768
"""Sigma of the Gaussian over saliency, as a share of the image's edge (the paper: 5 px of 768)."""

NOISE = 0.2
"""Of SmoothGrad: the noise's standard deviation as a share of the image's range of brightness."""

STEPS, PARTS = 16, 12
"""Of integrated gradients: points on the way; of occlusion: patches along an edge."""

LARGEST = 224
"""Edge above which heatmaps that are kept with a run are made smaller."""

OPACITY = 0.45
"""Of a heatmap over its radiograph."""

BATCH = 16
"""Radiographs that are explained at once: memory does not grow with how many there are."""


def grad_cam(model, images, target, *, layer=None):
    """Grad-CAM (Selvaraju et al. 2017) of a target's logit.

    With global average pooling and one dense layer the gradient on the final feature map is the
    dense layer's weight, so the heatmap is ReLU(Σ w·A) and takes one forward pass. The paper used
    the last *convolution* instead, in DenseNet-121 the last 32 of 1,024 feature maps.

    Args:
        model: What `models.build` returns, trained or not.
        images: (n, H, W, 3), pixels from 0 to 255, uint8 or float.
        target: A name of `TARGETS`.
        layer: Name of another layer to explain, `last_convolution(model)` say; through
            tf-keras-vis, which needs the TensorFlow backend.

    Returns:
        float32 array (n, H, W) in [0, 1], each divided by its own maximum; all 0 where nothing
        speaks for the target.

    Raises:
        InputError: Unknown target or layer, or images of another shape or range.
    """
    column = targets.index(target)
    if layer is None:
        return _one_pass(model, images, _weights(model)[:, column])
    images = _checked(images, model)
    if layer not in [one.name for one in model.layers]:
        raise InputError(
            f"{model.name} has no layer {layer!r}: its last is {model.layers[-1].name}"
        )
    from tf_keras_vis.gradcam import Gradcam
    from tf_keras_vis.utils.model_modifiers import ReplaceToLinear
    from tf_keras_vis.utils.scores import CategoricalScore

    explainer = Gradcam(model, model_modifier=ReplaceToLinear(), clone=True)
    where = {"penultimate_layer": layer, "seek_penultimate_conv_layer": False}
    coarse = {"expand_cam": False, "normalize_cam": False}
    maps = []
    for batch in _batches(images):
        with _quiet():
            found = np.asarray(explainer(CategoricalScore(column), batch, **where, **coarse))
        maps += [_expanded(one, images) for one in found]
    return np.stack(maps)


def grad_cam_parts(model, image, target):
    """Returns what `grad_cam` makes its heatmap of: ReLU(Σ w·A), enlarged, is that heatmap.

    Args:
        model, target: As `grad_cam`.
        image: (H, W, 3), pixels from 0 to 255.

    Returns:
        The final feature map A, float32 (h, w, n), and the weights w of the target, float32 (n,).

    Raises:
        InputError: As `grad_cam`.
    """
    weights = _weights(model)[:, targets.index(target)]
    batch = _padded(_checked(image[None], model), 0)
    return np.asarray(_features(model).predict_on_batch(batch)[0], np.float32), weights


def last_convolution(model):
    """Returns the name of the layer that the paper explained: the last convolution."""
    from cxrlib.networks.backend import keras  # seconds: Keras comes with it

    return next(
        layer.name for layer in reversed(model.layers) if isinstance(layer, keras.layers.Conv2D)
    )


def grad_cam_plus_plus(model, images, target):
    """Grad-CAM++ (Chattopadhay et al. 2018) of a target's logit on the final feature map.

    Under global average pooling a gradient is the same at every pixel, its second and third order
    weights cancel, and what is left is Grad-CAM without the feature maps that speak against the
    target: one forward pass.

    Args, Returns, Raises: As `grad_cam`.
    """
    column = targets.index(target)
    return _one_pass(model, images, np.maximum(_weights(model)[:, column], 0))


def score_cam(model, images, target, *, channels=64):
    """Score-CAM (Wang et al. 2020): each feature map weighs what the network says of its pixels.

    Through tf-keras-vis, which needs the TensorFlow backend. Its softmax over the outputs would
    set the five targets against each other; here it is over the target's logit and 0, which is
    the probability that the network gives. Takes a forward pass a channel.

    Args:
        model, images, target: As `grad_cam`.
        channels: Feature maps to weigh: those that vary most over the radiograph.

    Returns, Raises: As `grad_cam`.
    """
    from tf_keras_vis.scorecam import Scorecam
    from tf_keras_vis.utils.scores import CategoricalScore

    column = targets.index(target)
    images = _checked(images, model)
    final = _pooling(model).input
    explainer = Scorecam(_alone(model, column))
    layer = final._keras_history.operation.name
    most = min(channels, final.shape[-1])
    maps = []
    for image in images:  # alone: each has its own channels, and their masks fill the memory
        with _quiet():
            found = explainer(
                CategoricalScore(0), image[None], penultimate_layer=layer,
                seek_penultimate_conv_layer=False, max_N=most, batch_size=BATCH,
                expand_cam=False, normalize_cam=False,
            )  # fmt: skip
        maps.append(_expanded(np.asarray(found)[0], images))
    return np.stack(maps)


def saliency(model, images, target, *, guided=True, smooth=0):
    """Saliency: the gradient of a target's logit by pixel (Simonyan et al. 2014).

    Through tf-keras-vis, which needs the TensorFlow backend; smoothed by a Gaussian of sigma 5 px
    at 768 px, as in the paper.

    Args:
        model, images, target: As `grad_cam`.
        guided: Let only what speaks for the target flow back through each ReLU (Springenberg et
            al. 2015), as in the paper.
        smooth: Average over so many noisy copies (SmoothGrad; Smilkov et al. 2017); 0 for none.
            The noise is the same for every radiograph and every call.

    Returns, Raises: As `grad_cam`.
    """
    from tf_keras_vis.saliency import Saliency
    from tf_keras_vis.utils.model_modifiers import GuidedBackpropagation, ReplaceToLinear
    from tf_keras_vis.utils.scores import CategoricalScore

    column = targets.index(target)
    images = _checked(images, model)
    modifiers = [ReplaceToLinear(), GuidedBackpropagation()] if guided else [ReplaceToLinear()]
    explainer = Saliency(model, model_modifier=modifiers, clone=True)
    sigma = SMOOTHING * images.shape[1]
    maps = []
    for batch in _batches(images):
        total = 0
        for noisy in _noisy(batch, smooth) if smooth else [batch]:
            with _quiet():
                found = explainer(
                    CategoricalScore(column), noisy, keepdims=True, normalize_map=False
                )
            total += np.asarray(found)
        strongest = total.max(axis=-1)
        maps += [_normalised(cv2.GaussianBlur(one, (0, 0), sigma)) for one in strongest]
    return np.stack(maps)


def last_convolution_cam(model, images, target):
    """Grad-CAM on the last convolution, as the paper did, instead of the final feature map.

    Args, Returns, Raises: As `grad_cam`.
    """
    return grad_cam(model, images, target, layer=last_convolution(model))


def integrated_gradients(model, images, target, *, steps=STEPS):
    """Integrated gradients (Sundararajan et al. 2017): what each pixel adds on the way from black.

    Needs the TensorFlow backend; smoothed as `saliency` is.

    Args:
        model, images, target: As `grad_cam`.
        steps: Points on the way, the middles of as many equal parts.

    Returns, Raises: As `grad_cam`.
    """
    import tensorflow as tf

    images, sigma = _checked(images, model), SMOOTHING * images.shape[1]
    logit, maps = _alone(model, targets.index(target)), []
    for batch in _batches(images):
        total = np.zeros_like(batch)
        for share in (np.arange(steps) + 0.5) / steps:
            on_the_way = tf.convert_to_tensor(share * batch)
            with tf.GradientTape() as tape:
                tape.watch(on_the_way)
                said = logit(on_the_way, training=False)[:, 0]
            total += tape.gradient(said, on_the_way).numpy()
        added = np.abs((total / steps * batch).sum(axis=-1))
        maps += [_normalised(cv2.GaussianBlur(one, (0, 0), sigma)) for one in added]
    return np.stack(maps)


def occlusion(model, images, target, *, parts=PARTS):
    """Occlusion (Zeiler and Fergus 2014): how far a target's logit falls where a patch is grey.

    Args:
        model, images, target: As `grad_cam`.
        parts: Patches along an edge; each is twice as wide as it is far from the next, and has the
            radiograph's mean brightness.

    Returns, Raises: As `grad_cam`.
    """
    images, maps = _checked(images, model), []
    logit, edge = _alone(model, targets.index(target)), images.shape[1]
    starts = np.linspace(0, edge, parts + 2).round().astype(int)
    patches = [(slice(starts[i], starts[i + 2]), slice(starts[j], starts[j + 2]))
               for i in range(parts) for j in range(parts)]  # fmt: skip
    for image in images:
        covered = np.repeat(image[None], len(patches) + 1, axis=0)
        for one, patch in zip(covered[1:], patches):
            one[patch] = image.mean()
        said = logit.predict(covered, batch_size=BATCH, verbose=0)[:, 0]
        falls = np.maximum(said[0] - said[1:], 0)
        total, often = np.zeros((edge, edge), np.float32), np.zeros((edge, edge), np.float32)
        for patch, fall in zip(patches, falls):
            total[patch] += fall
            often[patch] += 1
        maps.append(_normalised(total / often))
    return np.stack(maps)


METHODS = {
    "Grad-CAM": grad_cam,
    "Grad-CAM, last convolution": last_convolution_cam,
    "Grad-CAM++": grad_cam_plus_plus,
    "Score-CAM": score_cam,
    "guided saliency": saliency,
    "plain saliency": functools.partial(saliency, guided=False),
    "SmoothGrad": functools.partial(saliency, guided=False, smooth=25),
    "integrated gradients": integrated_gradients,
    "occlusion": occlusion,
}
"""Ways to explain a network, by name: functions as `grad_cam`."""


def explain(model, images, target):
    """Explains radiographs as the paper explains networks of this architecture.

    Args, Returns, Raises: As `grad_cam`.
    """
    return METHODS[ARCHITECTURES[model.name].heatmap](model, images, target)


def write(path, model, pixels, radiographs):
    """Explains every test radiograph for the target of its group, and keeps the heatmaps.

    One of group "other" has no such target: its heatmap stays blank, 0 throughout, and counts
    nowhere, as one that points nowhere.

    Args:
        path: The `.npy` file: uint8 (n test radiographs, edge, edge), in the order of the rows.
        model: A trained network.
        pixels: uint8 (n, size, size, 3), row by row `radiographs`.
        radiographs: DataFrame with group and split.
    """
    test = np.flatnonzero(radiographs["split"] == "test")
    groups = radiographs["group"].to_numpy()[test]
    edge = min(pixels.shape[1], LARGEST)
    with writing_array(path, (len(test), edge, edge)) as kept:
        for group, target in targets.GROUP_TARGET.items():
            places = np.flatnonzero(groups == group)
            for start in range(0, len(places), BATCH):
                part = places[start : start + BATCH]
                maps = explain(model, pixels[test[part]], target)
                kept[part] = [_shrunk(one, edge) for one in maps]


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
    """Returns the network up to its final feature map; kept, so that it is traced once a model."""
    from cxrlib.networks.backend import keras  # seconds: Keras comes with it

    return keras.Model(model.input, _pooling(model).input)


def _pooling(model):
    from cxrlib.networks.backend import keras  # seconds: Keras comes with it

    return next(
        layer for layer in model.layers if isinstance(layer, keras.layers.GlobalAveragePooling2D)
    )


def _weights(model):
    return np.asarray(model.layers[-1].kernel, np.float32)


def _one_pass(model, images, weights):
    """Returns ReLU(Σ w·A) on the final feature map."""
    images = _checked(images, model)
    features = _features(model)
    maps = []
    for start in range(0, len(images), BATCH):
        # Every batch has the same shape, so the network is traced once.
        for activation in features.predict_on_batch(_padded(images, start)):
            coarse = np.maximum(np.asarray(activation, np.float32) @ weights, 0)
            maps.append(_expanded(coarse, images))
    return np.stack(maps[: len(images)])


def _alone(model, column):
    """Returns the network with two outputs: one target's logit, and 0."""
    from cxrlib.networks.backend import keras  # seconds: Keras comes with it

    dense = model.layers[-1]
    outputs = keras.layers.Dense(2)
    pair = keras.Model(model.input, outputs(dense.input))
    outputs.set_weights(
        [np.asarray(value, np.float32)[..., [column, column]] * [1, 0] for value in dense.weights]
    )
    return pair


def _noisy(batch, copies):
    """Yields copies of images under Gaussian noise of `NOISE` times each image's range."""
    spread = NOISE * np.ptp(batch, axis=(1, 2, 3), keepdims=True)
    for copy in range(copies):
        noise = np.random.default_rng(copy).standard_normal(batch.shape[1:], np.float32)
        yield batch + spread * noise


def _batches(images):
    return (images[start : start + BATCH] for start in range(0, len(images), BATCH))


@contextlib.contextmanager
def _quiet():
    """Keeps tf-keras-vis' progress bars and its way of handing inputs over off the screen."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.filterwarnings("ignore", "The structure of `inputs`", UserWarning)
        yield


def _expanded(coarse, images):
    edge = images.shape[1:3][::-1]
    return _normalised(cv2.resize(np.asarray(coarse), edge, interpolation=cv2.INTER_LINEAR))


def _shrunk(heatmap, edge):
    return np.rint(255 * cv2.resize(heatmap, (edge, edge), interpolation=cv2.INTER_AREA))


def _checked(images, model):
    images = np.asarray(images)
    expected = model.input_shape[1:]
    if images.ndim != 4 or images.shape[1:] != expected or len(images) == 0:
        raise InputError(
            f"images are {images.shape}: expected (n, {', '.join(map(str, expected))})"
        )
    low, high = images.min(), images.max()
    scaled_before = images.dtype.kind == "f" and 0 < high <= 1
    if scaled_before or not (low >= 0 and high <= 255):
        raise InputError(
            f"images lie in [{low:g}, {high:g}]: give pixels from 0 to 255, as the networks are"
            " trained on"
        )
    return images.astype(np.float32)


def _padded(images, start):
    batch = images[start : start + BATCH]
    return np.concatenate([batch, np.zeros((BATCH - len(batch), *batch.shape[1:]), batch.dtype)])


def _normalised(heatmap):
    highest = heatmap.max()
    return (heatmap / highest if highest > 0 else heatmap).astype(np.float32)
