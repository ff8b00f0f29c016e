"""Experiments A, B and C of the paper, as data, and which initialisation B and C take.

All numbers are the paper's (Albert 2020). A profile may shorten a schedule, never the treatment.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from cxrlib.errors import InputError
from cxrlib.images.augment import Ranges

BEST = "best"


class Arm(NamedTuple):
    """An architecture with an initialisation.

    weights is "imagenet", "none", or "best": what did better in Experiment A.
    """

    architecture: str
    weights: str

    @property
    def name(self):
        """How the arm is called on the command line and in folders."""
        if self.architecture == "efficient":
            return self.architecture  # Pasa et al. published no weights: it starts from nothing
        return f"{self.architecture}-{self.weights}"


@dataclass(frozen=True)
class Copies:
    """Augmented copies that take the place of each COVID image (offline augmentation)."""

    train: int
    test: int
    train_ranges: Ranges
    test_ranges: Ranges

    def of(self, split):
        """Returns how many copies an image of a split gets, and the ranges they are drawn from."""
        if split == "test":
            return self.test, self.test_ranges
        return self.train, self.train_ranges


@dataclass(frozen=True)
class Schedule:
    """How long and how fast an arm learns: Adam with AMSGrad, binary cross-entropy.

    norm_images: training images that batch normalisation's averages are taken from anew before each
    validation; 0 leaves the running averages, as the paper does.
    """

    batch_size: int
    epochs: int
    passes_per_epoch: int
    reduce_after: int
    stop_after: int
    learning_rate: float = 1e-4
    reduce_factor: float = 0.5
    reduce_min_delta: float = 1e-4
    reduce_cooldown: int = 2
    min_learning_rate: float = 1e-8
    norm_images: int = 0


@dataclass(frozen=True)
class Experiment:
    """One experiment: its arms, what is done to images, and its schedule."""

    name: str
    title: str
    arms: tuple[Arm, ...]
    treatment: str
    copies: Copies | None
    online: Ranges | None
    schedule: Schedule


_ALL_ARMS = (
    Arm("densenet121", "none"),
    Arm("densenet121", "imagenet"),
    Arm("resnet50", "none"),
    Arm("resnet50", "imagenet"),
    Arm("efficient", "none"),
)
_BEST_ARMS = (Arm("densenet121", BEST), Arm("resnet50", BEST), Arm("efficient", "none"))
_COPIES = Copies(
    train=15,
    test=12,
    train_ranges=Ranges(
        rotation=5.0,
        height_shift=0.05,
        horizontal_flip=True,
        zoom=(0.9, 1.1),
        brightness=(0.9, 1.1),
    ),
    test_ranges=Ranges(
        rotation=2.5,
        height_shift=0.05,
        horizontal_flip=True,
        zoom=(0.95, 1.05),
        brightness=(0.95, 1.05),
    ),
)

A = Experiment(
    name="A",
    title="images as they are",
    arms=_ALL_ARMS,
    treatment="raw",
    copies=None,
    online=None,
    schedule=Schedule(batch_size=3, epochs=30, passes_per_epoch=1, reduce_after=3, stop_after=12),
)
B = Experiment(
    name="B",
    title="augmented COVID images",
    arms=_BEST_ARMS,
    treatment="raw",
    copies=_COPIES,
    online=None,
    schedule=Schedule(batch_size=3, epochs=30, passes_per_epoch=1, reduce_after=3, stop_after=12),
)
C = Experiment(
    name="C",
    title="cropped, equalised, augmented while training",
    arms=_BEST_ARMS,
    treatment="cropped+clahe",
    copies=_COPIES,
    online=Ranges(
        rotation=10.0, height_shift=0.05, width_shift=0.05, shear=0.02, horizontal_flip=True
    ),
    schedule=Schedule(batch_size=5, epochs=50, passes_per_epoch=2, reduce_after=5, stop_after=15),
)
EXPERIMENTS = {experiment.name: experiment for experiment in (A, B, C)}


def find(name):
    """Returns an experiment by its name, A, B or C.

    Raises:
        InputError: There is none of that name.
    """
    if name.upper() not in EXPERIMENTS:
        raise InputError(f"unknown experiment {name!r}: expected one of {', '.join(EXPERIMENTS)}")
    return EXPERIMENTS[name.upper()]


def find_arm(experiment, name):
    """Returns an experiment's arm by its name.

    Raises:
        InputError: The experiment has no such arm; the message lists those it has.
    """
    for arm in experiment.arms:
        if arm.name == name:
            return arm
    names = ", ".join(arm.name for arm in experiment.arms)
    raise InputError(f"experiment {experiment.name} has no arm {name!r}: expected one of {names}")


def radiographs(experiment, cohort):
    """Lists the images that an experiment trains and tests on.

    Args:
        experiment: An `Experiment`.
        cohort: A cohort with the column `split`.

    Returns:
        The cohort with a column `copy`: 0 for an image as it is. Where the experiment makes
        copies, each COVID row is replaced by its augmented copies 1, 2, ..., as in the image
        sets that the paper released, which hold the copies only.
    """
    cohort = cohort.assign(copy=0)
    if experiment.copies is None:
        return cohort
    is_covid = cohort["group"] == "covid"
    times = [experiment.copies.of(split)[0] for split in cohort.loc[is_covid, "split"]]
    copied = cohort[is_covid].loc[cohort.index[is_covid].repeat(times)]
    copied["copy"] = copied.groupby(level=0).cumcount() + 1
    return pd.concat([cohort[~is_covid], copied]).reset_index(drop=True)


def choose_weights(losses):
    """Chooses the initialisation that B and C take for an architecture.

    Args:
        losses: Maps "none" and "imagenet" to the best *validation* loss that the arm reached in
            Experiment A; an arm that did not run is left out.

    Returns:
        "none" or "imagenet".

    Raises:
        InputError: Neither ran.
    """
    losses = {weights: loss for weights, loss in losses.items() if not np.isnan(loss)}
    if not losses:
        raise InputError("no arm of this architecture ran in experiment A: train one there first")
    return min(losses, key=lambda weights: (losses[weights], weights))


def copy_generator(file, copy):
    """Returns the random generator of one augmented copy: the same wherever it is made."""
    return np.random.default_rng([copy, *file.encode()])
