"""Chance: every seed, purpose and patient or radiograph has a random generator of its own.

So two phantoms of one index differ by what was asked to differ and by nothing else, in whatever
order they are made.
"""

import numpy as np

STREAMS = (
    "block", "group", "anatomy", "pose", "site", "severity", "choice", "mark", "noise", "tie",
    "age_group", "view", "source", "source_tie", "rendering", "device", "placement",
    "device_tie", "second_site",
)  # fmt: skip
"""Purposes. A new one goes to the end: the place in this list is part of a phantom's identity."""

_BLOCK = (1, 1, 1, 1, 1, 2, 3)  # radiographs of each patient among ten consecutive indices


def stream(seed, name, key):
    """Returns a generator for a purpose; the key is a patient's or a radiograph's number."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(STREAMS.index(name), key)))


def patient(index, seed):
    """Returns the patient's number from the index alone, so that no list of patients is kept."""
    block, place = divmod(index, sum(_BLOCK))
    ends = np.cumsum(stream(seed, "block", block).permutation(_BLOCK))
    return block * len(_BLOCK) + int(np.searchsorted(ends, place, side="right"))


def choose(shares, seed, name, key):
    """Draws one of the names in `shares`, a dict of name -> share; the shares sum to 1."""
    place = np.searchsorted(np.cumsum(list(shares.values())), stream(seed, name, key).random())
    return list(shares)[min(int(place), len(shares) - 1)]
