"""The five targets of the study, and the four groups of radiographs that they describe.

A model gives each radiograph five answers, each yes or no: the task is multi-label.
COVID is a viral pneumonia here, so it carries three targets at once (Albert 2020).
"""

import numpy as np

from cxrlib.errors import InputError

TARGETS = ("Normal", "Pneumonia", "Virus", "Bacteria", "COVID")
"""The targets, in the order of every label vector and every model output."""

GROUPS = {
    "normal": (1, 0, 0, 0, 0),
    "virus": (0, 1, 1, 0, 0),
    "bacteria": (0, 1, 0, 1, 0),
    "covid": (0, 1, 1, 0, 1),
}
"""Each group of radiographs and its five targets."""

GROUP_TARGET = {"normal": "Normal", "virus": "Virus", "bacteria": "Bacteria", "covid": "COVID"}
"""The one target that tells a group from the others: what its heatmap explains."""


def encode(groups):
    """Turns groups into targets.

    Args:
        groups: Sequence of n group names, each a key of `GROUPS`.

    Returns:
        uint8 array (n, 5) of 0 and 1, columns in the order of `TARGETS`.

    Raises:
        InputError: A name is not a group.
    """
    unknown = sorted(set(groups) - set(GROUPS))
    if unknown:
        raise InputError(f"unknown group {unknown[0]!r}: expected one of {', '.join(GROUPS)}")
    return np.array([GROUPS[group] for group in groups], dtype=np.uint8).reshape(-1, len(TARGETS))


def decode(targets):
    """Turns targets into groups.

    Args:
        targets: Array (n, 5) of 0 and 1.

    Returns:
        List of n group names; None where the five answers describe no group
        (Normal with Pneumonia, say, or nothing at all).
    """
    names = {vector: group for group, vector in GROUPS.items()}
    return [names.get(tuple(int(t) for t in row)) for row in np.asarray(targets)]


def contradiction(answers, group=""):
    """Returns what contradicts itself in a radiograph's five answers.

    Any answers are legal that the words allow: pneumonia without a known cause, COVID with a
    bacterial pneumonia, or none of the five.

    Args:
        answers: Five numbers, 0 or 1, in the order of `TARGETS`.
        group: A key of `GROUPS`, whose targets they should be; "other", where they should be those
            of none; "" if none is named.

    Returns:
        A few words, "Normal with COVID" say, or "" where nothing contradicts.
    """
    yes = dict(zip(TARGETS, answers))
    named = [target for target in TARGETS[1:] if yes[target]]
    if yes["Normal"] and named:
        return f"Normal with {named[-1]}"
    for target, implied in (("COVID", "Virus"), ("Virus", "Pneumonia"), ("Bacteria", "Pneumonia")):
        if yes[target] and not yes[implied]:
            return f"{target} without {implied}"
    if group in GROUPS and tuple(answers) != GROUPS[group]:
        return f"group {group} with {' and '.join(t for t in TARGETS if yes[t]) or 'no target'}"
    described = decode([answers])[0]
    if group == "other" and described:
        return f"group other with the targets of {described}"
    return ""


def index(target):
    """Returns a target's place in `TARGETS`.

    Raises:
        InputError: It is not a target.
    """
    if target not in TARGETS:
        raise InputError(f"unknown target {target!r}: expected one of {', '.join(TARGETS)}")
    return TARGETS.index(target)


def named(word):
    """Returns a target as `TARGETS` writes it, however a person typed it: covid is COVID.

    Raises:
        InputError: It is not a target.
    """
    spelled = {target.casefold(): target for target in TARGETS}
    return TARGETS[index(spelled.get(word.casefold(), word))]
