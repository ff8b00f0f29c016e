"""The experiments, as data: A, B and C of the paper, and what is added to them.

The numbers of A, B and C are the paper's (Albert 2020). D is the smarter crop that it recommends
and did not try: by segmentation, here of a network that knows phantoms alone (`networks.unet`). A
profile may shorten a schedule, never the treatment.
"""

from dataclasses import dataclass
from typing import NamedTuple

from cxrlib.errors import InputError
from cxrlib.images.augment import Ranges
from cxrlib.networks import ARCHITECTURES, Schedule

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
        if ARCHITECTURES[self.architecture].pretrained:
            return f"{self.architecture}-{self.weights}"
        return self.architecture  # there are no weights to choose from: it starts from nothing


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
class Experiment:
    """One experiment: its arms, what is done to images, and its schedule.

    published: whether the paper has it, so that its numbers stand beside the paper's.
    """

    name: str
    title: str
    colour: str
    arms: tuple[Arm, ...]
    treatment: str
    copies: Copies | None
    online: Ranges | None
    schedule: Schedule
    published: bool = False


_ALL_ARMS = tuple(
    Arm(name, weights)
    for name, row in ARCHITECTURES.items()
    for weights in (("none", "imagenet") if row.pretrained else ("none",))
)
_BEST_ARMS = tuple(
    Arm(name, BEST if row.pretrained else "none") for name, row in ARCHITECTURES.items()
)
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
    colour="#332288",
    arms=_ALL_ARMS,
    treatment="raw",
    copies=None,
    online=None,
    schedule=Schedule(batch_size=3, epochs=30, passes_per_epoch=1, reduce_after=3, stop_after=12),
    published=True,
)
B = Experiment(
    name="B",
    title="augmented COVID images",
    colour="#999933",
    arms=_BEST_ARMS,
    treatment="raw",
    copies=_COPIES,
    online=None,
    schedule=Schedule(batch_size=3, epochs=30, passes_per_epoch=1, reduce_after=3, stop_after=12),
    published=True,
)
C = Experiment(
    name="C",
    title="cropped, equalised, augmented while training",
    colour="#882255",
    arms=_BEST_ARMS,
    treatment="cropped+clahe",
    copies=_COPIES,
    online=Ranges(
        rotation=10.0, height_shift=0.05, width_shift=0.05, shear=0.02, horizontal_flip=True
    ),
    schedule=Schedule(batch_size=5, epochs=50, passes_per_epoch=2, reduce_after=5, stop_after=15),
    published=True,
)
D = Experiment(
    name="D",
    title="cropped to the lungs, the rest covered, equalised, augmented",
    colour="#44aa99",
    arms=(Arm("efficient", "none"),),
    treatment="lungs+clahe",
    copies=_COPIES,
    online=C.online,
    schedule=C.schedule,
)
EXPERIMENTS = {experiment.name: experiment for experiment in (A, B, C, D)}
"""The experiments of the study by name. Another one is an entry here and a chapter of its own."""


def find(name):
    """Returns an experiment by its name: A, B, C, D.

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
