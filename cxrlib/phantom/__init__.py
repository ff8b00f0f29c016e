"""Simulated frontal chest radiographs whose lungs, lesions, marks and devices are known exactly.

A phantom follows a radiograph's physics: organs are outlines that add or remove attenuation, the
sum along the beam is transmitted (Beer-Lambert), scatter and quantum noise join, and a film curve
turns the rest into grey values. Nothing but the grain depends on the image size: at 64, 128 and 512
pixels a phantom is the same patient in the same pose.

The patient settles the age group, the anatomy and where a lesion sits; the radiograph (its index)
settles view, source, pose, exposure, severity, device, mark and noise. Each has a random generator
of its own (`chance`), so two phantoms of one index differ by what was asked to differ, the lesion
or the mark, say, and by nothing else.

The parts, in the order a phantom is made: `chance`, `outlines`, `anatomy`, `signs`, `devices`,
`exposure`, `marks`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np
import pandas as pd

from cxrlib.errors import InputError
from cxrlib.phantom import anatomy, devices, exposure, signs
from cxrlib.phantom import marks as lead
from cxrlib.phantom.chance import choose, patient, stream
from cxrlib.phantom.exposure import LAYERS as LAYERS
from cxrlib.phantom.marks import MARKS, Mark
from cxrlib.phantom.marks import paste as paste
from cxrlib.targets import GROUPS, TARGETS

AGE_GROUPS = {"adult": 0.7, "child": 0.3}
"""Age groups, and how often each is drawn."""

VIEWS = {"PA": 0.65, "AP": 0.35}
"""From the back (PA) or from the front, as at the bedside (AP), and how often each is drawn."""

SOURCES = {"digital": 0.6, "film": 0.2, "figure": 0.2}
"""Where images come from (see `exposure.RENDERINGS`), and how often each is drawn."""

DEVICES = {"none": 0.7, "tube": 0.1, "line": 0.1, "electrodes": 0.1}
"""The devices that a phantom can carry, and how often each is drawn."""

SEVERITIES = (0.3, 1.0)
"""The least severity, of a lesion that is just to be seen, and the most."""

TIED_MARK = {"normal": "R", "virus": "L", "bacteria": "ticks", "covid": "text"}
"""The mark that stands for each group where marks are tied to groups."""

TIED_SOURCE = {"normal": "digital", "virus": "digital", "bacteria": "digital", "covid": "figure"}
"""The source of each group where sources are tied to groups: as in CoronaHack, whose COVID images
alone come from publications."""

TIED_DEVICE = {"normal": "none", "virus": "electrodes", "bacteria": "line", "covid": "tube"}
"""The device of each group where devices are tied to groups: the iller, the more is attached."""

GROUP_SPAN = 1_000_000
"""Indices that each group owns in a table, so that growing one group moves no other's rows."""

MIN_SIZE = 32
"""Pixels a side below which a phantom shows nothing."""

_DRAWN_SEVERITY = (0.35, 1.0)
_CHOICES = {  # the groups that each accepted target may draw from
    **{group: (group,) for group in GROUPS},
    **{"Normal": ("normal",), "Pneumonia": ("virus", "bacteria", "covid")},
    **{"Virus": ("virus",), "Bacteria": ("bacteria",), "COVID": ("covid",)},
}


@dataclass(frozen=True, eq=False)
class Phantom:
    """A simulated radiograph and the truth about it.

    Attributes:
        image: uint8 array (size, size, 3), RGB with equal channels.
        lungs: bool array (size, size): both lungs as radiologists outline them, with the lung
            behind the heart and without the lung behind the diaphragm; 20 to 45 % of the image.
        lesions: bool array (size, size), within the lungs; empty for a normal one.
        marks: bool array (size, size), outside the lungs; empty for the mark "none".
        devices: bool array (size, size), within the lungs or not; empty for the device "none".
        targets: 0 or 1 for each of `cxrlib.targets.TARGETS`, in that order.
        group: "normal", "virus", "bacteria" or "covid".
        also: The group whose lesion a co-infection adds; "" for all others.
        severity: Of the lesion, from 0.3 to 1; 0 for a normal one.
        mark: Names of the marks, such as "R" or "R+text"; "none" where there is none.
        placed: A `Mark` for each mark, with where it is, its size and its brightness.
        device: "none", "tube", "line" or "electrodes".
        source: "digital", "film" or "figure".
        view: "PA" or "AP".
        age_group: "adult" or "child".
        patient: Such as "P00012"; names one patient within a seed.
        index: Which radiograph.
        seed: Of which simulated population.
        size: Pixels a side.
        layers: What each of `LAYERS` adds to the beam's attenuation (a natural logarithm; air takes
            away): float32 arrays (size, size).
    """

    image: np.ndarray
    lungs: np.ndarray
    lesions: np.ndarray
    marks: np.ndarray
    devices: np.ndarray
    targets: tuple[int, ...]
    group: str
    also: str
    severity: float
    mark: str
    placed: tuple[Mark, ...]
    device: str
    source: str
    view: str
    age_group: str
    patient: str
    index: int
    seed: int
    size: int
    layers: dict[str, np.ndarray]


def simulate(
    index, size, *, target=None, mark=None, seed=0,
    age_group=None, view=None, source=None, device=None, severity=None, also="",
):  # fmt: skip
    """Simulates one radiograph. What is None is drawn by chance, whatever the group.

    Args:
        index: Which radiograph, a whole number from 0.
        size: Pixels a side, a whole number from 32.
        target: A group ("normal", "virus", "bacteria", "covid") or a target ("Normal", "Virus",
            "Bacteria", "COVID"; "Pneumonia" draws one of the last three); None draws a group.
            What is drawn is drawn for the patient, so that a patient has one group.
        mark: "none", "R", "L", "ticks" or "text"; a `Mark`; or a list of these.
        seed: Of the simulated population, a whole number from 0.
        age_group: "adult" or "child"; drawn for the patient.
        view: "PA" or "AP".
        source: "digital", "film" or "figure".
        device: "none", "tube", "line" or "electrodes".
        severity: Of the lesion, from 0.3 to 1; a normal radiograph has none.
        also: Another group than the target, neither of them normal, whose lesion is added, as in a
            co-infection; "" adds none.

    Returns:
        A `Phantom` that depends on these arguments alone. Pixels outside its marks do not depend on
        the marks, nor pixels outside its device on the device; anatomy, pose and noise do not
        depend on target, severity, mark and device.

    Raises:
        InputError: An argument is none of these, or a mark would lie within the lungs.
    """
    index, size = _whole("index", index, 0), _whole("size", size, MIN_SIZE)
    seed = _whole("seed", seed, 0)
    who = patient(index, seed)
    group = _group(target, who, seed)
    facts = {
        "group": group,
        "also": _second(also, group),
        "severity": _severity(severity, group, index, seed),
        "age_group": _drawn("age_group", age_group, AGE_GROUPS, seed, who),
        "view": _drawn("view", view, VIEWS, seed, index),
        "source": _drawn("source", source, SOURCES, seed, index),
        "device": _drawn("device", device, DEVICES, seed, index),
    }
    return _taken(index, size, seed, facts, _marks(mark, index, seed))


def _taken(index, size, seed, facts, asked):
    """Takes the radiograph: patient, pose, lesion, device, exposure, and then its marks.

    Args:
        index, size, seed: As `simulate` takes them.
        facts: Dict of group, also, severity, age_group, view, source and device, all settled.
        asked: List of `Mark`.
    """
    who = patient(index, seed)
    rng = {n: stream(seed, n, index) for n in ("pose", "noise", "rendering", "placement")}
    body = anatomy.patient(stream(seed, "anatomy", who), facts["age_group"], facts["view"])
    zoom = rng["rendering"].uniform(*exposure.RENDERINGS[facts["source"]]["zoom"])
    pose = anatomy.pose(body, size, facts["view"], zoom, rng["pose"])
    organs = anatomy.draw(body, pose, size)
    opacity, lesions = 0, False
    for group, purpose in ((facts["group"], "site"), (facts["also"] or "normal", "second_site")):
        site = stream(seed, purpose, who)
        more, extent = signs.lesion(group, facts["severity"], pose, organs, site)
        opacity, lesions = opacity + more - opacity * more, lesions | extent
    added = devices.device(facts["device"], body, pose, size, rng["placement"])
    layers = exposure.attenuation(body, organs, opacity, added)
    grey = exposure.expose(layers, facts["source"], rng["pose"], rng["rendering"], rng["noise"])
    lungs = organs["lungs"] > 0.5
    grey, marks, placed = _marked(grey, lungs, asked, index, seed)
    image = np.repeat(np.rint(grey).astype(np.uint8)[:, :, None], 3, axis=2)
    return Phantom(
        image=image, lungs=lungs, lesions=lesions, marks=marks, devices=added > 0,
        targets=_targets(facts["group"], facts["also"]), placed=placed,
        mark="+".join(m.name for m in placed) or "none", patient=_name(who), index=index,
        seed=seed, size=size, layers=layers, **facts,
    )  # fmt: skip


def _marked(grey, lungs, asked, index, seed):
    """Prints marks on a film outside the lungs: the film, where they are, and each as placed."""
    marks, placed = np.zeros(grey.shape, bool), []
    for mark in asked:
        cover, as_placed = lead.draw(mark, len(grey), stream(seed, "mark", index))
        cover[lungs] = 0
        if not cover.any():
            raise InputError(f"mark {mark.name} of phantom {index}: it lies within the lungs")
        grey = grey + (as_placed.brightness - grey) * cover
        marks |= cover > 0
        placed.append(as_placed)
    return grey, marks, tuple(placed)


def table(counts, *, seed=0, mark_tie=0.0, source_tie=0.0, device_tie=0.0):
    """Lists the radiographs of a simulated cohort without simulating them.

    `simulate(row.index, size, target=row.group, mark=row.mark, source=row.source,
    device=row.device, seed=seed)` makes a row's image (`row["index"]` where the row is a Series);
    the rest it draws as listed here.

    Args:
        counts: Radiographs of each group, such as `{"normal": 280, "virus": 140}`.
        seed: Of the simulated population, a whole number from 0.
        mark_tie: From 0 to 1, the chance that a radiograph carries the mark tied to its group, as
            where each hospital has its own marks, instead of any mark at random.
        source_tie: From 0 to 1, the chance that it comes from the source tied to its group.
        device_tie: From 0 to 1, the chance that it shows the device tied to its group.

    Returns:
        DataFrame with columns index, file, group, patient, source, view, age_group, device, mark
        and a 0/1 column for each target. Each patient is in one group, and the rows of a group
        depend on no other group's count.

    Raises:
        InputError: A group is unknown, a count is no whole number up to 1,000,000, or a tie is not
            from 0 to 1.
    """
    seed = _whole("seed", seed, 0)
    if not isinstance(counts, Mapping):
        raise InputError(f"counts {counts!r}: expected a number for each group")
    ties = {"mark_tie": mark_tie, "source_tie": source_tie, "device_tie": device_tie}
    for name, tie in ties.items():
        _within(name, tie, 0, 1)
    for group, count in counts.items():
        _one_of("group", group, GROUPS)
        if _whole(f"count of {group}", count, 0) > GROUP_SPAN:
            raise InputError(f"count of {group} {count!r}: expected at most {GROUP_SPAN}")
    rows = []
    for place, (group, targets) in enumerate(GROUPS.items()):
        for index in range(place * GROUP_SPAN, place * GROUP_SPAN + counts.get(group, 0)):
            facts = _listed(index, group, seed, ties)
            rows.append((index, f"phantom-{index:08d}.png", group, *facts, *targets))
    columns = ["index", "file", "group", "patient", "source", "view", "age_group", "device", "mark"]
    return pd.DataFrame(rows, columns=[*columns, *TARGETS])


def _listed(index, group, seed, ties):
    """Draws what a table says of a radiograph: patient, source, view, age group, device, mark."""
    who, mark = patient(index, seed), _marks(None, index, seed)
    if stream(seed, "tie", index).random() < ties["mark_tie"]:
        mark = [Mark(TIED_MARK[group])]
    source = _drawn("source", None, SOURCES, seed, index)
    if stream(seed, "source_tie", index).random() < ties["source_tie"]:
        source = TIED_SOURCE[group]
    device = _drawn("device", None, DEVICES, seed, index)
    if stream(seed, "device_tie", index).random() < ties["device_tie"]:
        device = TIED_DEVICE[group]
    view = _drawn("view", None, VIEWS, seed, index)
    age_group = _drawn("age_group", None, AGE_GROUPS, seed, who)
    return _name(who), source, view, age_group, device, mark[0].name if mark else "none"


# Arguments


def _whole(name, value, least):
    """Returns a whole number of at least `least` as an int."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise InputError(f"{name} {value!r}: expected a whole number from {least}")
    return int(value)


def _within(name, value, least, most):
    """Checks that a number lies in a range."""
    if isinstance(value, bool) or not isinstance(value, Real) or not least <= value <= most:
        raise InputError(f"{name} {value!r}: expected a number from {least} to {most}")


def _one_of(name, value, choices):
    """Checks that a name is one of the choices."""
    if not isinstance(value, str) or value not in choices:
        raise InputError(f"{name} {value!r}: expected one of {', '.join(choices)}")


def _drawn(name, value, shares, seed, key):
    """Returns what was asked for, or draws it."""
    if value is None:
        return choose(shares, seed, name, key)
    _one_of(name, value, shares)
    return value


def _group(target, who, seed):
    """Returns the group asked for, or draws one for the patient."""
    if target is not None:
        _one_of("target", target, _CHOICES)
    choices = tuple(GROUPS) if target is None else _CHOICES[target]
    return choices[stream(seed, "group", who).integers(len(choices))]


def _second(also, group):
    """Returns the group of a second lesion, "" for none."""
    if also:
        others = [name for name in GROUPS if name not in ("normal", group)]
        _one_of("also", also, others if group != "normal" else ["nothing, as it is normal"])
    return also


def _targets(group, also):
    """Returns the five targets of a radiograph: what one of its groups has, it has."""
    both = zip(GROUPS[group], GROUPS[also or group])
    return tuple(max(pair) for pair in both)


def _severity(value, group, index, seed):
    """Returns the severity asked for, or draws one; a normal radiograph has none."""
    if value is None:
        value = stream(seed, "severity", index).uniform(*_DRAWN_SEVERITY)
    _within("severity", value, *SEVERITIES)
    return float(value) if group != "normal" else 0.0


def _marks(mark, index, seed):
    """Returns the marks asked for as a list of `Mark`, or draws one."""
    if mark is None:
        mark = MARKS[stream(seed, "choice", index).integers(len(MARKS))]
    asked = list(mark) if isinstance(mark, (list, tuple)) else [mark]
    for one in asked:
        if not isinstance(one, Mark):
            _one_of("mark", one, MARKS)
    return [one if isinstance(one, Mark) else Mark(one) for one in asked if one != "none"]


def _name(who):
    return f"P{who:05d}"
