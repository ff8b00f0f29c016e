"""Cohorts with a shortcut: a fact goes with the group in training, and no longer in the test.

On phantoms the fact has nothing to do with the lungs. It goes with the group in nine training
radiographs of ten, and is at random where a network is tested. A seed is a training and a test
cohort of its own, so seeds differ in all that chance decides.

On the paper's radiographs the fact is the source: all COVID radiographs are from one collection,
all others from another. Without it are later patients of the first collection alone, with COVID and
without; a seed tests a third of them.
"""

import dataclasses
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from cxrlib import cohort as cohorts_of
from cxrlib import images, phantom, study
from cxrlib.shortcuts import external
from cxrlib.study import experiments

TIE = 0.9
"""How often the fact goes with the group; the rest is what balancing can learn from."""


@dataclasses.dataclass(frozen=True)
class Shortcut:
    """What goes with the group in training, and what of it somebody has written down.

    Attributes:
        ties: As `phantom.table` takes them.
        known: Columns that balancing and adversaries read.
        at: Where the middle of each mark is, (x, y) as fractions of the image; None: at its edge.
    """

    ties: dict[str, float]
    known: tuple[str, ...] = ("mark", "source")
    at: tuple[float, float] | None = None


BETWEEN_LUNGS = (0.5, 0.42)
"""Where a mark lies on the spine, and no crop to the lungs takes it away."""

SHORTCUTS = {
    "nothing": Shortcut({}),
    "marks": Shortcut({"mark_tie": TIE}),
    "source": Shortcut({"source_tie": TIE}),
    "source, wholly": Shortcut({"source_tie": 1.0}),
    "marks and source": Shortcut({"mark_tie": TIE, "source_tie": TIE}),
    "marks between the lungs": Shortcut({"mark_tie": TIE}, at=BETWEEN_LUNGS),
    "devices": Shortcut({"device_tie": TIE}, known=("device",)),
}
"""What goes with the group in the training phantoms."""

REAL = "collections"
"""The shortcut of the paper's radiographs, named beside those of phantoms."""

THIRDS = 3
"""Parts of the new patients: a seed tests one of them, and the others have no tie to learn."""

VERSIONS = (
    "tied", "random", "validation, tied", "validation, random", "border alone", "border covered",
)  # fmt: skip
"""What is asked about: new patients, with the shortcut as in training and without it; of phantoms
the same of others, to choose by; of real radiographs those that are tied, all but the border
covered, and the border covered."""

TESTED = 100
"""Phantoms of each group in a test."""

VALIDATED = 50
"""Phantoms of each group, with the shortcut and without it, by which a remedy could be chosen."""

BALANCED = 10
"""Phantoms of each group, with marks and sources at random, to learn from beside the others."""


class Cohort(NamedTuple):
    """Radiographs: a table, pixels uint8 (n, size, size, 3), and lungs bool (n, size, size).

    The table has group, the columns `known`, of which one may go with it, and a 0/1 column for
    each target. The lungs of phantoms are known, of real radiographs outlined, or None.
    """

    table: pd.DataFrame
    pixels: np.ndarray
    lungs: np.ndarray
    known: tuple[str, ...] = ("mark", "source")

    def made(self, picture):
        """Returns the cohort with other pixels: a function of an image and its lungs."""
        return self._replace(pixels=np.stack([*map(picture, self.pixels, self.lungs)]))


def cohorts(profile, shortcut, n=TESTED, validated=VALIDATED):
    """Simulates the phantoms of a seed.

    Args:
        profile: A trial of phantoms.
        shortcut: A `Shortcut`.
        n: Test phantoms of each group.
        validated: Validation phantoms of each group; 0: none are made.

    Returns:
        The training `Cohort`, and a dict of version -> `Cohort`: "tied" (new patients, the shortcut
        as in training), "random" (the same patients without it); "validation, tied" and
        "validation, random", the same of other patients; and "balanced", others again, without the
        shortcut: `BALANCED` of each group are there to learn from.
    """
    own = of(profile)
    asked = {
        "tied": (n, own.test, shortcut.ties),
        "random": (n, own.test, {}),
        "validation, tied": (validated, own.validation, shortcut.ties),
        "validation, random": (validated, own.validation, {}),
        "balanced": (BALANCED, own.more, {}),
    }
    tests = {}
    for name, (each, seed, ties) in asked.items():
        if each:
            table = phantom.table(dict.fromkeys(profile.counts, each), seed=seed, **ties)
            tests[name] = simulated(table, seed, profile, shortcut)
    table = phantom.table(profile.counts, seed=own.train, **shortcut.ties)
    return simulated(table, own.train, profile, shortcut), tests


class Populations(NamedTuple):
    """The simulated populations of a seed, each named by its own seed; no patient is in two."""

    train: int
    test: int
    more: int
    validation: int
    untied: int


def of(profile):
    """Returns the `Populations` of a trial."""
    own = 3 * profile.seed
    return Populations(own, own + 1, own + 2, own + 20_000_000, own + 10_000_000)


def simulate(row, seed, size, at=None):
    """Simulates the phantom of a table's row, its mark at (x, y), as `phantom.simulate` does."""
    mark = row["mark"] if at is None or row["mark"] == "none" else phantom.Mark(row["mark"], *at)
    facts = {"target": row["group"], "source": row["source"], "device": row["device"]}
    return phantom.simulate(int(row["index"]), size, mark=mark, seed=seed, **facts)


def simulated(table, seed, profile, shortcut):
    """Simulates the phantoms of a table."""
    at, size = shortcut.at, profile.image_size
    made = [simulate(row, seed, size, at) for _, row in table.iterrows()]
    return gathered(table, made)._replace(known=shortcut.known)


def gathered(table, phantoms):
    """Returns the `Cohort` of a table and its phantoms, row by row."""
    parts = (np.stack([getattr(one, part) for one in phantoms]) for part in ("image", "lungs"))
    return Cohort(table, *parts)


def cells(cohort):
    """Numbers the cells of a cohort: radiographs of one group alike in all that is known."""
    return cohort.table.groupby(["group", *cohort.known], sort=True).ngroup().to_numpy()


def real(profile, place):
    """Reads the radiographs of a seed: the paper's, and new patients of one of its collections.

    Args:
        profile: A trial of the study's profile.
        place: Where the new patients are, as `cohort.read` takes it.

    Returns:
        As `cohorts`: "tied" is the paper's test split, "random" a third of the new patients, and
        "balanced" the others of them; "border alone" and "border covered" are the test split with
        the rest, or that, painted black. Lungs are as the released network outlines them.

    Raises:
        InputError: As `study.cohort` and `external.select`.
    """
    table = study.cohort(profile)
    new, _ = external.select(place, study.everything(profile))
    drawn = StratifiedGroupKFold(THIRDS, shuffle=True, random_state=0)
    thirds = [*drawn.split(new, new["COVID"], cohorts_of.clusters(new))]
    others, third = thirds[profile.seed % THIRDS]
    parts = {
        "": table[table["split"] == "train"], "tied": table[table["split"] == "test"],
        "random": new.iloc[third], "balanced": new.iloc[others],
    }  # fmt: skip
    made = {name: _outlined(read(part, profile)) for name, part in parts.items()}
    made["border alone"] = made["tied"].made(border_alone)
    made["border covered"] = made["tied"].made(lambda *seen: seen[0] - border_alone(*seen))
    return made.pop(""), made


def border_alone(image, lungs):
    """Paints all of an image but its border black."""
    return images.cover(image, "not-border")


def read(table, profile):
    """Reads the radiographs of a table, whose marks nobody knows: a `Cohort` without lungs."""
    table = table.reset_index(drop=True)
    pixels = study.pixels(profile, experiments.A, table.assign(copy=0))
    return Cohort(table.assign(mark="none"), np.asarray(pixels), None)


def _outlined(cohort):
    """Adds the lungs as the released network outlines them."""
    from cxrlib.networks import unet  # seconds: Keras comes with it

    lungs = unet.outline(unet.kept(), cohort.pixels)
    lungs[~lungs.any(axis=(1, 2))] = True  # none were found: it is taken whole
    return cohort._replace(lungs=lungs)
