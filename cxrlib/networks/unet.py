"""Where the lungs are in any radiograph: a small U-Net that has seen phantoms alone.

Its training needs nobody's outlines, since a phantom's lungs are known to the pixel. What it is
worth on real radiographs is measured on those whose lungs readers have outlined (`dice`).
"""

import functools

import cv2
import numpy as np
import pandas as pd

from cxrlib import files, images, phantom
from cxrlib.cohort import lungs
from cxrlib.errors import InputError
from cxrlib.networks import released_unet
from cxrlib.networks.backend import keras

SIZE = 128
"""Edge of what it sees, in pixels; other images are resized for it, and its outlines back."""

FILTERS = (12, 24, 32, 48, 64)
"""Of the convolutions at each depth: 250,601 parameters with their way back up."""

PHANTOMS, STEPS, BATCH, LEARNING_RATE = 1500, 900, 16, 2e-3
"""How long it learns. Settled, as `varied` was, before any real radiograph was looked at."""

SEED = 99
"""Of its phantoms: a population that no study draws from."""

LEAST = 0.05
"""Share of an image that lungs fill at least; less is no outline. Phantoms' fill 20 to 45 %."""

COMPARED = ("file", "patient", "group", "view", "dice")
"""What `compare` tells of a radiograph."""

PARTS = 2
"""Lungs in a radiograph: of what is outlined, the largest parts."""


def build():
    """Builds the network (U-Net; Ronneberger et al. 2015).

    Returns:
        An uncompiled `keras.Model`: grey values (n, SIZE, SIZE, 1) from 0 to 255 to the probability
        of lung, of the same shape.
    """
    layers = keras.layers
    inputs = keras.Input((SIZE, SIZE, 1))
    x, passed = layers.Rescaling(1 / 255, name="scale")(inputs), []
    for filters in FILTERS[:-1]:
        x = _twice(x, filters)
        passed.append(x)
        x = layers.MaxPooling2D()(x)
    x = _twice(x, FILTERS[-1])
    for filters in FILTERS[-2::-1]:
        x = layers.UpSampling2D(interpolation="bilinear")(x)
        x = _twice(layers.Concatenate()([x, passed.pop()]), filters)
    return keras.Model(inputs, layers.Conv2D(1, 1, activation="sigmoid")(x), name="unet")


def _twice(x, filters):
    """Two 3x3 convolutions, each normalised."""
    for _ in range(2):
        x = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    return x


def train(path, phantoms=PHANTOMS, steps=STEPS):
    """Trains the network on phantoms, and writes it.

    Args:
        path: The `.keras` file.
        phantoms: How many there are to learn from.
        steps: Batches of `BATCH`.

    Yields:
        A line now and then.
    """
    made = [phantom.simulate(index, SIZE, seed=SEED) for index in range(phantoms)]
    yield f"{phantoms} phantoms simulated"
    keras.utils.set_random_seed(SEED)
    model, rng = build(), np.random.default_rng(SEED)
    decay = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps)
    model.compile(keras.optimizers.Adam(decay), loss=_loss, jit_compile=False)
    for step in range(1, steps + 1):
        drawn = [made[i] for i in rng.integers(0, phantoms, BATCH)]
        pairs = [varied(one.image[..., 0], one.lungs, rng) for one in drawn]
        grey, lungs = (np.stack(part).astype(np.float32)[..., None] for part in zip(*pairs))
        loss = model.train_on_batch(grey, lungs)
        if step % 100 == 0 or step == steps:
            yield f"step {step} of {steps}: loss {float(loss):.3f}"
    # As it predicts: what its optimizer remembers is three times its size.
    bare = build()
    bare.set_weights(model.get_weights())
    with files.replacing(path) as temporary:
        bare.save(temporary)


def _loss(truth, said):
    """Cross-entropy, and what the Dice coefficient lacks of 1, image by image."""
    ops, inside = keras.ops, (1, 2, 3)
    both = ops.sum(truth * said, axis=inside)
    dice = (2 * both + 1) / (ops.sum(truth, axis=inside) + ops.sum(said, axis=inside) + 1)
    return ops.mean(keras.losses.binary_crossentropy(truth, said), axis=(1, 2)) + 1 - dice


def varied(grey, lungs, rng):
    """Varies a phantom beyond what the simulator does: exposure, sharpness, pose, field, noise.

    Real radiographs come from more devices and hands than the simulator knows of.

    Args:
        grey: uint8 array (size, size).
        lungs: bool array (size, size).
        rng: A random generator.

    Returns:
        The two, varied: float array (size, size) from 0 to 255, and bool array (size, size).
    """
    x = 255 * (grey / np.float32(255)) ** np.exp(rng.normal(0, 0.4))
    darkest, brightest = rng.uniform(-60, 40), rng.uniform(200, 330)
    x = darkest + x / 255 * (brightest - darkest)
    if rng.random() < 0.3:
        x = cv2.GaussianBlur(x, (0, 0), rng.uniform(0.4, 2))
    if rng.random() < 0.5:
        x, lungs = x[:, ::-1], lungs[:, ::-1]
    x, lungs = _moved(x, lungs, rng)
    if rng.random() < 0.7:
        field = rng.normal(0, rng.uniform(5, 35), (4, 4))
        x = x + cv2.resize(field, x.shape, interpolation=cv2.INTER_CUBIC)
    return np.clip(x + rng.normal(0, rng.uniform(0, 8), x.shape), 0, 255), lungs


def _moved(x, lungs, rng):
    """Turns, stretches, shears and shifts; beside the film it is black, white, or as its edge."""
    size = len(x)
    middle = np.full(2, size / 2)
    turn = cv2.getRotationMatrix2D((0, 0), rng.normal(0, 6), 1)[:, :2]
    wide, high = np.exp(rng.normal(0, 0.12, 2))
    matrix = np.array([[wide, rng.normal(0, 0.04)], [0, high]]) @ turn
    shift = middle - matrix @ middle + rng.normal(0, size / 16, 2)
    matrix = np.column_stack([matrix, shift])
    beside = rng.choice([cv2.BORDER_CONSTANT, cv2.BORDER_REPLICATE])
    options = {"borderMode": int(beside), "borderValue": float(rng.choice([0, 0, 255]))}
    x = cv2.warpAffine(np.ascontiguousarray(x, np.float32), matrix, (size, size), **options)
    mask = lungs.astype(np.uint8) * 255
    return x, cv2.warpAffine(mask, matrix, (size, size)) > 127


def kept():
    """Reads the network that is released, once.

    Raises:
        InputError: It is not there, or damaged.
    """
    return _read(released_unet())


@functools.cache
def _read(path):
    with files.reading(path):
        return keras.saving.load_model(path, compile=False)


def outline(model, pixels):
    """Outlines the lungs of radiographs.

    Args:
        model: What `kept` returns.
        pixels: uint8 array (n, size, size, 3).

    Returns:
        bool array (n, size, size), the two largest parts of what it takes for lung. Nothing is set
        in an image of which that is less than `LEAST`: no lungs were found.
    """
    size = pixels.shape[1]
    small = np.stack([images.resize(image, SIZE)[..., 0] for image in pixels])
    parts = [small[start : start + BATCH, ..., None] for start in range(0, len(small), BATCH)]
    said = [keras.ops.convert_to_numpy(model(part, training=False)) for part in parts]
    found = np.concatenate(said)[..., 0]
    return np.stack([_largest(images.resize(one, size) > 0.5) for one in found])


def _largest(mask):
    """Keeps the largest parts of a mask, as many as there are lungs."""
    _, numbers, facts, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    areas = facts[1:, cv2.CC_STAT_AREA]  # the first part is all that is not set
    kept = np.isin(numbers, 1 + np.argsort(areas, kind="stable")[::-1][:PARTS])
    kept &= mask
    return kept if kept.mean() >= LEAST else np.zeros_like(mask)


def dice(outlined, known):
    """Returns the Dice coefficient of two masks: twice what they share over what they hold.

    Args:
        outlined, known: bool arrays (size, size).
    """
    return float(2 * (outlined & known).sum() / max(outlined.sum() + known.sum(), 1))


def compare(model, cohort):
    """Compares its outlines with readers'.

    Args:
        model: What `kept` returns.
        cohort: A cohort as `lungs.join` returns it; radiographs without a lung mask are passed
            over: a box is no outline.

    Returns:
        DataFrame, a row an outlined radiograph: file, patient, group, view, dice (in [0, 1]).

    Raises:
        InputError: A radiograph or a mask cannot be read, or there is no mask.
    """
    outlined, rows = cohort[cohort["lung_mask"] != ""], []
    if outlined.empty:
        raise InputError("none of these radiographs has a lung mask of its name: boxes do not do")
    for _, row in outlined.iterrows():
        found = outline(model, images.load(row["path"], SIZE)[None])[0]
        facts = [row[name] for name in COMPARED[:-1]]
        rows.append((*facts, dice(found, lungs.mask(row, SIZE))))
    return pd.DataFrame(rows, columns=COMPARED)
