"""The three networks: DenseNet-121, ResNet-50 and the small "Efficient" CNN of Pasa et al. (2019).

Keras 3 only: they build and train on any of its backends.
"""

import functools
import socket
import zipfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from cxrlib.errors import InputError, printable
from cxrlib.files import reading, refuse_odd
from cxrlib.networks import ARCHITECTURES
from cxrlib.networks.backend import keras
from cxrlib.targets import TARGETS

layers, ops = keras.layers, keras.ops

EFFICIENT_FILTERS = (16, 32, 48, 64, 80)


class WeightsUnavailable(Exception):
    """ImageNet weights can be had neither from Keras' cache nor from the network."""


def build(architecture, image_size, weights=None):
    """Builds a network with one sigmoid output a target.

    Inputs are pixels (n, image_size, image_size, 3) from 0 to 255, of any type; the network itself
    scales them to [0, 1], as the paper did before it. Outputs are probabilities (n, 5) in the order
    of `TARGETS`. The model's name is the architecture.

    Args:
        architecture: A name of `ARCHITECTURES`: densenet121 (7,042,629 parameters), resnet50
            (23,597,957) or efficient (233,605).
        image_size: Edge of the images in pixels.
        weights: None for random initialisation, "imagenet" (where there are such; Keras downloads
            them once), or the path of a weights file: Keras' own ImageNet file without top for
            the deep networks, one that `model.save_weights` wrote for efficient.

    Returns:
        An uncompiled `keras.Model`.

    Raises:
        InputError: Unknown architecture, images too small, or a weights file that does not fit.
        WeightsUnavailable: ImageNet weights could not be had.
    """
    if architecture not in ARCHITECTURES:
        names = ", ".join(ARCHITECTURES)
        raise InputError(f"unknown architecture {architecture!r}: expected one of {names}")
    row = ARCHITECTURES[architecture]
    if not isinstance(image_size, int) or image_size < row.smallest:
        raise InputError(
            f"image_size {image_size!r} is too small for {architecture}: at least {row.smallest}"
        )
    if weights == "imagenet" and not row.pretrained:
        raise InputError(
            f"there are no ImageNet weights for {architecture}: use weights=None or a file"
        )
    if weights not in (None, "imagenet") and not Path(weights).is_file():
        raise InputError(f"no weights file {weights}")
    return _BUILDERS[architecture](image_size, weights)


def load(path, architecture=None, image_size=None, compile=False):
    """Reads a network that training left, to predict and explain.

    Args:
        path: The `.keras` file.
        architecture, image_size: What it must be by its run's facts; None takes any.
        compile: Read what goes on training, too.

    Raises:
        InputError: The file is damaged, holds another network, or an earlier version's, whose
            networks took other inputs.
    """
    with reading(path):
        with zipfile.ZipFile(path) as packed:
            refuse_odd(packed, _LARGEST)
        model = keras.saving.load_model(path, compile=compile)
        if not any(isinstance(layer, layers.Rescaling) for layer in model.layers):
            raise InputError(
                f"{path} was made by an earlier version, whose networks took pixels from 0 to 1:"
                " delete its folder and train it again"
            )
        _refuse_other(model, architecture, image_size)
    return model


_LARGEST = 2**30
"""Bytes of a network at most: three times ResNet-50 with what its optimizer remembers."""


def _refuse_other(model, architecture, image_size):
    """Raises ValueError where a network is none of ours, or its weights are no numbers."""
    if model.name not in ARCHITECTURES or architecture not in (None, model.name):
        raise ValueError(f"its network is {printable(str(model.name))[:40]}")
    taken, given = model.input_shape, model.output_shape
    edge = image_size or (taken[1] if len(taken) == 4 else None)
    if taken != (None, edge, edge, 3) or edge is None:
        raise ValueError(f"its network takes {taken}, the run's images are {image_size} px")
    if given != (None, len(TARGETS)):
        raise ValueError(f"its network gives {given}: no five probabilities")
    for variable in model.weights:
        if not np.isfinite(ops.convert_to_numpy(variable)).all():
            raise ValueError(f"a weight of {variable.path} is no number")


def _deep(architecture, application, image_size, weights):
    """Builds one of Keras' own applications, with our scaling before it and five answers after."""
    inputs, scaled = _scaled(image_size)
    with _weights_errors(architecture, weights):
        base = application(
            include_top=False,
            weights=weights,
            input_tensor=scaled,
            input_shape=inputs.shape[1:],
            pooling="avg",
        )
    outputs = layers.Dense(len(TARGETS), activation="sigmoid", name="targets")(base.output)
    return keras.Model(inputs, outputs, name=architecture)


def _scaled(image_size):
    """Returns a network's input, and the same in [0, 1]: scaled inside, none can forget it."""
    inputs = keras.Input((image_size, image_size, 3))
    return inputs, layers.Rescaling(1 / 255, dtype="float32", name="scale")(inputs)


@contextmanager
def _weights_errors(architecture, weights):
    """Distinguishes weights that cannot be had from a file that does not fit."""
    patience = socket.getdefaulttimeout()
    socket.setdefaulttimeout(30)  # Keras' download waits for ever on a network that drops packets
    try:
        yield
    except (ValueError, OSError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if weights is None:
            raise
        if weights == "imagenet":
            raise WeightsUnavailable(f"weights unavailable ({reason})") from error
        raise InputError(f"{weights} does not fit {architecture}: {reason}") from error
    except Exception as error:  # Keras raises a bare Exception when a download fails
        if weights == "imagenet" and "URL fetch failure" in str(error):
            raise WeightsUnavailable("weights unavailable (could not be downloaded)") from error
        raise
    finally:
        socket.setdefaulttimeout(patience)


def efficient(image_size, weights=None):
    """Builds the small network of Pasa et al. (2019), as `build` does."""
    inputs, x = _scaled(image_size)
    for i, filters in enumerate(EFFICIENT_FILTERS, start=1):
        x = _efficient_block(x, filters, first=i == 1, name=f"block{i}")
        if i < len(EFFICIENT_FILTERS):
            x = layers.MaxPooling2D(3, strides=2, name=f"block{i}_pool")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    outputs = layers.Dense(
        len(TARGETS), activation="sigmoid", kernel_initializer="he_normal", name="targets"
    )(x)
    model = keras.Model(inputs, outputs, name="efficient")
    if weights is not None:
        try:
            model.load_weights(weights)
        except (ValueError, OSError, KeyError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(f"{weights} does not fit efficient: {reason}") from error
    return model


def _efficient_block(x, filters, first, name):
    """Two 3x3 convolutions beside a 1x1 shortcut, averaged; the first block shrinks by four."""
    stride = 2 if first else 1
    # A strided 1x1 convolution looks at every fourth pixel only: picking those first is the same,
    # and the strided convolution's gradient aborts in oneDNN on some processors.
    picked = layers.MaxPooling2D(1, strides=4, name=f"{name}_pick")(x) if first else x
    shortcut = _conv_bn_relu(picked, filters, 1, 1, f"{name}_shortcut")
    x = _conv_bn_relu(x, filters, 3, stride, f"{name}_a")
    x = _conv_bn_relu(x, filters, 3, stride, f"{name}_b")
    return layers.Average(name=f"{name}_average")([x, shortcut])


def _conv_bn_relu(x, filters, kernel, stride, name):
    x = layers.Conv2D(
        filters,
        kernel,
        strides=stride,
        padding="same",
        kernel_initializer="he_normal",
        name=f"{name}_conv",
    )(x)
    x = layers.BatchNormalization(name=f"{name}_bn")(x)
    return layers.Activation("relu", name=f"{name}_relu")(x)


def _builder(architecture, builder):
    """Returns the function of (image_size, weights) that a row of `ARCHITECTURES` names."""
    if builder in globals():
        return globals()[builder]
    if not hasattr(keras.applications, builder):
        raise InputError(
            f"architecture {architecture}: networks.models has no function {builder!r}, nor"
            " keras.applications such a network"
        )
    return functools.partial(_deep, architecture, getattr(keras.applications, builder))


# Looked up as this module is imported: a row that names nothing is refused before any training.
_BUILDERS = {name: _builder(name, row.builder) for name, row in ARCHITECTURES.items()}
