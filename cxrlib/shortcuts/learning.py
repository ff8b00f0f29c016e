"""Ways to learn from a cohort with a shortcut, each a few lines over the training step.

Every network begins from random weights and takes as many steps. A way to learn is a function of
the cohort, of a balanced cohort that it may learn from, too, of a `Remedy` and of a `Course`; it
returns a function of pixels, uint8 (n, size, size, 3), that returns probabilities (n, 5).
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from cxrlib import images, phantom
from cxrlib.images import augment
from cxrlib.shortcuts import populations
from cxrlib.shortcuts.populations import SHORTCUTS, Cohort, cells, simulated
from cxrlib.study.profiles import Profile
from cxrlib.targets import GROUPS, TARGETS

PHANTOMS = 200
"""Phantoms of each group that a network of real radiographs begins on."""

STEP_SIZE = 0.05
"""Of the weights of GroupDRO's cells (eta; Sagawa et al. 2020 take 0.01, over many more steps)."""

STRENGTH = 1.0
"""Weight of the loss of an adversary, and of the energy outside the lungs, beside the answers'."""


class Course(NamedTuple):
    """How every network of a comparison learns: a trial of the profile, steps, and what it is."""

    profile: Profile
    steps: int
    architecture: str = "efficient"


def course(profile, radiographs, architecture="efficient"):
    """Returns the `Course` of a trial that has so many radiographs to learn from."""
    return Course(profile, profile.epochs * radiographs // profile.batch_size, architecture)


def fit(cohort, remedy, course):
    """Trains on the answers alone, with a remedy's draws and weights: returns the network."""
    model, weight = _network(course), remedy.weigh(cells(cohort))
    for rows, batch, targets in _batches(cohort, remedy, course):
        model.train_on_batch(batch, targets, sample_weight=weight[rows])
    return model


def plain(cohort, balanced, remedy, course):
    """Trains on the answers alone."""
    return _answers(fit(cohort, remedy, course))


def worst_cells(cohort, balanced, remedy, course):
    """GroupDRO: what counts most is the cell that does worst (Sagawa et al. 2020)."""
    model, cell = _network(course), cells(cohort)
    share = np.full(cell.max() + 1, 1 / (cell.max() + 1))
    for rows, batch, targets in _batches(cohort, remedy, course):
        said = np.clip(model.predict_on_batch(batch), 1e-6, 1 - 1e-6)
        loss = -np.mean(targets * np.log(said) + (1 - targets) * np.log(1 - said), axis=1)
        there, place = np.unique(cell[rows], return_inverse=True)
        counts = np.bincount(place)
        share[there] *= np.exp(STEP_SIZE * np.bincount(place, loss) / counts)
        share /= share.sum()
        weight = share[cell[rows]] / counts[place]
        model.train_on_batch(batch, targets, sample_weight=weight / weight.mean())
    return _answers(model)


def last_layer(cohort, balanced, remedy, course):
    """Retrains the last layer on radiographs without the shortcut (DFR; Kirichenko et al. 2023)."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from cxrlib.networks.backend import keras

    model = _network(course)
    for _, batch, targets in _batches(cohort, remedy, course):
        model.train_on_batch(batch, targets)
    pooled = _answers(keras.Model(model.input, model.layers[-1].input))
    features = pooled(balanced.pixels)
    tells = [
        make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000)).fit(
            features, balanced.table[target]
        )
        for target in TARGETS
    ]

    def answer(pixels):
        values = pooled(pixels)
        return np.column_stack([tell.predict_proba(values)[:, 1] for tell in tells])

    return answer


def adversary(cohort, balanced, remedy, course):
    """Unlearns what is known: an adversary reads it, its gradient reversed (Ganin 2016)."""
    from cxrlib.networks.backend import keras

    names = cohort.known
    codes = {name: cohort.table[name].astype("category").cat.codes.to_numpy() for name in names}
    model = _network(course)
    pooled = model.layers[-1].input
    reversed_ = keras.layers.Lambda(lambda x: 2 * keras.ops.stop_gradient(x) - x)(pooled)
    hidden = keras.layers.Dense(64, activation="relu")(reversed_)
    read = [
        keras.layers.Dense(int(codes[name].max()) + 1, activation="softmax", name=name)(hidden)
        for name in names
    ]
    both = keras.Model(model.input, [model.output, *read])
    losses = ["binary_crossentropy", *["sparse_categorical_crossentropy"] * len(names)]
    both.compile(
        _optimizer(course),
        loss=losses,
        loss_weights=[1, *[STRENGTH] * len(names)],
        jit_compile=False,
    )
    for rows, batch, targets in _batches(cohort, remedy, course):
        both.train_on_batch(batch, [targets, *(codes[name][rows] for name in names)])
    return _answers(model)


def within_lungs(cohort, balanced, remedy, course):
    """Pays for energy of the last feature map outside the lungs (after Ross et al. 2017)."""
    from cxrlib.networks.backend import keras

    model = _network(course)
    last = model.layers[-2].input
    edge = last.shape[1]
    outside = keras.Input((edge, edge, 1))
    energy = keras.layers.Lambda(
        lambda x: (
            keras.ops.sum(x[0] ** 2 * x[1], axis=(1, 2, 3))
            / (keras.ops.sum(x[0] ** 2, axis=(1, 2, 3)) + 1e-6)
        ),
        output_shape=(),
    )([last, outside])
    both = keras.Model([model.input, outside], [model.output, energy])
    both.compile(
        _optimizer(course),
        loss=["binary_crossentropy", lambda _, share: share],
        loss_weights=[1, STRENGTH],
        jit_compile=False,
    )
    air = np.stack([~images.shrink(lungs, edge) for lungs in cohort.lungs])[..., None]
    for rows, batch, targets in _batches(cohort, remedy, course):
        given = [batch, air[rows].astype("float32")]
        both.train_on_batch(given, [targets, np.zeros(len(rows), "float32")])
    return _answers(model)


def begun_without(cohort, balanced, remedy, course):
    """Begins on phantoms without the shortcut: half of the steps there, half on the cohort."""
    profile = course.profile
    seed, counts = populations.of(profile).untied, profile.counts
    if profile.cohort != "phantom":
        counts = dict.fromkeys(counts, PHANTOMS)
    other = simulated(phantom.table(counts, seed=seed), seed, profile, SHORTCUTS["nothing"])
    other = other.made(remedy.picture)
    model = _network(course)
    for part in (other, cohort):
        for _, batch, targets in _batches(part, remedy, course._replace(steps=course.steps // 2)):
            model.train_on_batch(batch, targets)
    return _answers(model)


def with_others(cohort, balanced, remedy, course):
    """Learns from radiographs without the shortcut, too: a dataset that holds both."""
    table = pd.concat([cohort.table, balanced.table], ignore_index=True)
    pixels = np.concatenate([cohort.pixels, balanced.pixels])
    lungs = np.concatenate([cohort.lungs, balanced.lungs])
    return plain(Cohort(table, pixels, lungs, cohort.known), balanced, remedy, course)


def one_choice(cohort, balanced, remedy, course):
    """Chooses one of the four groups, and answers the five targets as its group does."""
    from cxrlib.networks.backend import keras

    model, groups = _network(course), list(GROUPS)
    logits = keras.layers.Dense(len(groups), activation="softmax")(model.layers[-1].input)
    model = keras.Model(model.input, logits)
    loss = "sparse_categorical_crossentropy"
    model.compile(_optimizer(course), loss=loss, jit_compile=False)
    chosen = cohort.table["group"].map(groups.index).to_numpy()
    for rows, batch, _ in _batches(cohort, remedy, course):
        model.train_on_batch(batch, chosen[rows])
    answer = _answers(model)
    return lambda pixels: answer(pixels) @ np.array([*GROUPS.values()], np.float32)


def _network(course):
    """Returns a network from random weights, ready for its first step."""
    from cxrlib.networks import models
    from cxrlib.networks.backend import keras

    keras.utils.set_random_seed(course.profile.seed)
    model = models.build(course.architecture, course.profile.image_size)
    model.compile(_optimizer(course), loss="binary_crossentropy", jit_compile=False)
    return model


def _optimizer(course):
    from cxrlib.networks.backend import keras

    decay = keras.optimizers.schedules.CosineDecay(course.profile.learning_rate, course.steps)
    return keras.optimizers.Adam(decay)


def _batches(cohort, remedy, course):
    """Draws batches: yields rows of the cohort, pixels and targets, as often as there are steps."""
    rng = np.random.default_rng(course.profile.seed)
    targets = cohort.table[list(TARGETS)].to_numpy(np.float32)
    group = cohort.table["group"].to_numpy()
    share = remedy.draw(cells(cohort))
    share = share / share.sum()
    for _ in range(course.steps):
        rows = rng.choice(len(targets), course.profile.batch_size, p=share)
        batch = cohort.pixels[rows]
        for place, row in enumerate(rows):
            if remedy.ranges and (not remedy.copied or group[row] in remedy.copied):
                batch[place] = augment.apply(batch[place], augment.draw(remedy.ranges, rng))
        yield rows, batch, targets[rows]


def _answers(model):
    return lambda pixels: model.predict(pixels, batch_size=64, verbose=0)
