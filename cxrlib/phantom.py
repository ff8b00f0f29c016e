"""Simulated frontal chest radiographs whose lungs, lesions and marks are known exactly.

A phantom follows a radiograph's physics: organs are outlines that add or remove attenuation, the
sum along the beam is transmitted (Beer-Lambert), scatter and quantum noise join, and a film curve
turns the rest into grey values. Nothing but the grain depends on the image size: at 64, 128 and 512
pixels a phantom is the same patient in the same pose.

Outlines are in chest units: u from the midline, +1 at the chest wall on the image's right (the
patient's left, as films are hung); v from the apex of the lungs downwards, on the same scale, so
that the lungs end near v = 1.8. One matrix, the pose, takes them to pixels.

Chance comes from independent streams. The patient settles the anatomy and where a lesion sits; the
radiograph (its index) settles pose, exposure, severity, mark and noise. So two phantoms of one
index differ by what was asked to differ, the lesion or the mark, and by nothing else.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from numbers import Integral, Real

import cv2
import numpy as np
import pandas as pd

from cxrlib.errors import InputError
from cxrlib.targets import GROUPS, TARGETS

MARKS = ("none", "R", "L", "ticks", "text")
"""The marks that a phantom can carry."""

TIED_MARK = {"normal": "R", "virus": "L", "bacteria": "ticks", "covid": "text"}
"""The mark that stands for each group where marks are tied to groups."""

GROUP_SPAN = 1_000_000
"""Indices that each group owns in a table, so that growing one group moves no other's rows."""

MIN_SIZE = 32
"""Pixels a side below which a phantom shows nothing."""

_STREAMS = (
    "block", "group", "anatomy", "pose", "site", "severity", "choice", "mark", "noise", "tie",
)  # fmt: skip
_BLOCK = (1, 1, 1, 1, 1, 2, 3)  # radiographs of each patient among ten consecutive indices
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
            behind the heart and without the lung behind the diaphragm; 25 to 40 % of the image.
        lesions: bool array (size, size), within the lungs; empty for a normal one.
        marks: bool array (size, size), outside the lungs; empty for the mark "none".
        targets: 0 or 1 for each of `cxrlib.targets.TARGETS`, in that order.
        group: "normal", "virus", "bacteria" or "covid".
        mark: "none", "R", "L", "ticks" or "text".
        patient: Such as "P00012"; names one patient within a seed.
        index: Which radiograph.
        seed: Of which simulated population.
        size: Pixels a side.
    """

    image: np.ndarray
    lungs: np.ndarray
    lesions: np.ndarray
    marks: np.ndarray
    targets: tuple[int, ...]
    group: str
    mark: str
    patient: str
    index: int
    seed: int
    size: int


def simulate(index, size, *, target=None, mark=None, seed=0):
    """Simulates one radiograph.

    Args:
        index: Which radiograph, a whole number from 0.
        size: Pixels a side, a whole number from 32.
        target: A group ("normal", "virus", "bacteria", "covid") or a target ("Normal", "Virus",
            "Bacteria", "COVID"; "Pneumonia" draws one of the last three); None draws a group.
            What is drawn is drawn for the patient, so that a patient has one group.
        mark: "none", "R", "L", "ticks" or "text"; None draws one whatever the group.
        seed: Of the simulated population, a whole number from 0.

    Returns:
        A `Phantom` that depends on these arguments alone. Pixels outside its mark do not depend on
        the mark; anatomy, pose and noise do not depend on the target.

    Raises:
        InputError: An argument is none of these.
    """
    index, size = _whole("index", index, 0), _whole("size", size, MIN_SIZE)
    seed = _whole("seed", seed, 0)
    patient = _patient(index, seed)
    group = _choose_group(target, patient, seed)
    mark = _choose_mark(mark, index, seed)
    rng = {name: _stream(seed, name, index) for name in ("pose", "severity", "mark", "noise")}
    body = _anatomy(_stream(seed, "anatomy", patient))
    pose = _pose(body, size, rng["pose"])
    layers = _draw(body, pose, size)
    opacity, lesions = _lesion(group, pose, layers, _stream(seed, "site", patient), rng["severity"])
    grey = _expose(body, layers, opacity, rng["pose"], rng["noise"])
    lungs = layers["lungs"] > 0.5
    lead = np.where(lungs, 0, _lead(mark, rng["mark"], size))
    grey = np.rint(grey + (250 - grey) * lead).astype(np.uint8)
    image, name = np.repeat(grey[:, :, None], 3, axis=2), f"P{patient:05d}"
    targets = tuple(GROUPS[group])
    return Phantom(image, lungs, lesions, lead > 0, targets, group, mark, name, index, seed, size)


def table(counts, *, seed=0, mark_tie=0.0):
    """Lists the radiographs of a simulated cohort without simulating them.

    `simulate(row.index, size, target=row.group, mark=row.mark, seed=seed)` makes a row's image
    (`row["index"]` where the row is a Series).

    Args:
        counts: Radiographs of each group, such as `{"normal": 280, "virus": 140}`.
        seed: Of the simulated population, a whole number from 0.
        mark_tie: From 0 to 1, the chance that a radiograph carries the mark tied to its group, as
            where each source of a collection has its own marks, instead of any mark at random.

    Returns:
        DataFrame with columns index, file, group, patient, source ("phantom"), mark and a 0/1
        column for each target. Each patient is in one group, and the rows of a group depend on no
        other group's count.

    Raises:
        InputError: A group is unknown, a count is no whole number up to 1,000,000, or the tie is
            not from 0 to 1.
    """
    seed = _whole("seed", seed, 0)
    if not isinstance(counts, Mapping):
        raise InputError(f"counts {counts!r}: expected a number for each group")
    if isinstance(mark_tie, bool) or not isinstance(mark_tie, Real) or not 0 <= mark_tie <= 1:
        raise InputError(f"mark_tie {mark_tie!r}: expected a number from 0 to 1")
    for group, count in counts.items():
        _one_of("group", group, GROUPS)
        if _whole(f"count of {group}", count, 0) > GROUP_SPAN:
            raise InputError(f"count of {group} {count!r}: expected at most {GROUP_SPAN}")
    rows = []
    for place, (group, targets) in enumerate(GROUPS.items()):
        for index in range(place * GROUP_SPAN, place * GROUP_SPAN + counts.get(group, 0)):
            tied = _stream(seed, "tie", index).random() < mark_tie
            mark = TIED_MARK[group] if tied else _choose_mark(None, index, seed)
            patient = f"P{_patient(index, seed):05d}"
            file = f"phantom-{index:08d}.png"
            rows.append((index, file, group, patient, "phantom", mark, *targets))
    names = ("index", "file", "group", "patient", "source", "mark", *TARGETS)
    return pd.DataFrame(rows, columns=list(names))


# Arguments and chance


def _whole(name, value, least):
    """Gives a whole number of at least `least` as an int."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise InputError(f"{name} {value!r}: expected a whole number from {least}")
    return int(value)


def _one_of(name, value, choices):
    """Checks that a name is one of the choices."""
    if not isinstance(value, str) or value not in choices:
        raise InputError(f"{name} {value!r}: expected one of {', '.join(choices)}")


def _stream(seed, name, key):
    """Gives each seed, purpose and patient or radiograph a random generator of its own."""
    return np.random.default_rng(
        np.random.SeedSequence(seed, spawn_key=(_STREAMS.index(name), key))
    )


def _patient(index, seed):
    """Gives the patient's number from the index alone, so that no list of patients is kept."""
    block, place = divmod(index, sum(_BLOCK))
    ends = np.cumsum(_stream(seed, "block", block).permutation(_BLOCK))
    return block * len(_BLOCK) + int(np.searchsorted(ends, place, side="right"))


def _choose_group(target, patient, seed):
    """Gives the group asked for, or draws one for the patient."""
    if target is not None:
        _one_of("target", target, _CHOICES)
    choices = tuple(GROUPS) if target is None else _CHOICES[target]
    return choices[_stream(seed, "group", patient).integers(len(choices))]


def _choose_mark(mark, index, seed):
    """Gives the mark asked for, or draws one for the radiograph."""
    if mark is not None:
        _one_of("mark", mark, MARKS)
        return mark
    return MARKS[_stream(seed, "choice", index).integers(len(MARKS))]


# Curves


@lru_cache(maxsize=64)
def _spline_basis(count, samples):
    """Gives the weights (count * samples, count) of a closed Catmull-Rom spline's points."""
    t = np.linspace(0, 1, samples, endpoint=False)
    ends = (-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2)
    basis = np.zeros((count, samples, count))
    for i in range(count):
        for j, weights in enumerate(ends):
            basis[i, :, (i + j - 1) % count] += weights / 2
    return basis.reshape(count * samples, count)


def _smooth(points, samples=6):
    """Draws a smooth closed outline through control points (n, 2); a repeated one is a corner."""
    return _spline_basis(len(points), samples) @ np.asarray(points, dtype=float)


def _tube(centre, width):
    """Gives outlines (..., 2k, 2) of tubes along centre lines (..., k, 2), of widths (..., k)."""
    centre = np.asarray(centre, dtype=float)
    along = np.empty_like(centre)  # the direction alone counts; np.gradient takes thrice as long
    along[..., 1:-1, :] = centre[..., 2:, :] - centre[..., :-2, :]
    along[..., [0, -1], :] = centre[..., [1, -1], :] - centre[..., [0, -2], :]
    across = along[..., ::-1] * (-1, 1)
    across *= (0.5 * np.asarray(width) / np.hypot(along[..., 0], along[..., 1]))[..., None]
    return np.concatenate([centre + across, (centre - across)[..., ::-1, :]], axis=-2)


def _ellipse(u, v, radius_u, radius_v, tilt=0.0):
    """Gives the outline (24, 2) of an ellipse, tilted by radians."""
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    a, b = radius_u * np.cos(angle), radius_v * np.sin(angle)
    cos, sin = np.cos(tilt), np.sin(tilt)
    return np.stack([u + a * cos - b * sin, v + a * sin + b * cos], axis=1)


# Anatomy: outlines in chest units

# fmt: off
_LUNG = np.array([  # apex, chest wall, costophrenic angle, dome, border by the spine
    (.38, .00), (.57, .06), (.75, .27), (.87, .60), (.94, 1.03), (.98, 1.45), (1.0, 1.70),
    (1.0, 1.84), (.95, 1.74), (.87, 1.64), (.73, 1.54), (.55, 1.51), (.36, 1.55), (.19, 1.67),
    (.15, 1.58), (.13, 1.22), (.13, .78), (.15, .37), (.22, .09)])
_WALL = _LUNG[:8]
_HEART = np.array([
    (-.20, .74), (.10, .60), (.24, .78), (.46, 1.03), (.61, 1.33), (.60, 1.58), (.19, 1.75),
    (-.18, 1.68), (-.28, 1.48), (-.31, 1.22), (-.27, .96)])
_MEDIASTINUM = np.array([(.17, -.8), (.16, -.1), (.19, .35), (.25, .80), (.21, 2.8)])
_BLADE = np.array([  # the scapula, about its glenoid
    (.00, -.04), (-.26, .06), (-.17, .42), (-.08, .70), (-.03, .42), (.02, .14)])
# fmt: on
_SIDES = (-1, 1)


def _anatomy(rng):
    """Draws a patient.

    Returns:
        Dictionary: where the chest lies in the image (middle, top, half its width and the height of
        the lungs, as fractions of the image), `shapes`, for each organ a list of (outline, weight
        from 0 to 255), and what is uneven about the soft tissue.
    """
    draw = rng.uniform
    half, height = draw(0.352, 0.390), draw(0.635, 0.735)
    top = 0.085 + draw(0.2, 1) * (0.80 - height)
    lungs, domes = _lungs(rng)
    size, tilt = draw(0.85, 1.25), draw(-0.06, 0.05)
    heart = _smooth(_HEART * (size, 1) + rng.normal(0, 0.012, _HEART.shape) + (tilt, 0))
    wide = draw(0.85, 1.25)
    sides = _MEDIASTINUM * (wide, 1)
    knob, carina = draw(0.8, 1.2), draw(0.50, 0.57)
    arch = carina - 0.08
    pitch = draw(0.145, 0.165)
    levels = np.arange(-0.7 + draw(0, pitch), 2.6, pitch)
    gas = (draw(0.35, 0.6), 1.75 + domes[1], draw(0.10, 0.24), draw(0.04, 0.10), draw(-0.4, 0.4))
    shapes = {
        "lungs": lungs,
        "heart": [heart],
        "mediastinum": [_smooth(np.concatenate([sides, (sides * (-1, 1))[::-1]]))],
        "aorta": [
            _ellipse(0.14 * wide, arch, 0.10 * knob, 0.10 * knob),
            _tube([(0.17 * wide, arch), (0.19 * wide, arch + 0.4), (0.12, 1.6)], [0.14] * 3),
        ],
        "trachea": [
            _tube([(0, -0.7), (-0.01, 0), (-0.03, carina)], [0.10, 0.10, 0.105]),
            (_tube([(-0.03, carina - 0.03), (-0.20, carina + 0.20)], [0.085, 0.05]), 110),
            (_tube([(-0.03, carina - 0.03), (0.23, carina + 0.20)], [0.08, 0.05]), 110),
        ],
        "spine": [_vertebra(v, 0.088 + 0.016 * v, pitch) for v in levels],
        "stomach": [_ellipse(*gas)],
        "breasts": [_ellipse(s * 0.58, 1.38, 0.42, 0.36) for s in _SIDES],
        **_ribs(rng),
        **_girdle(rng),
        **_vessels(rng),
        **_trunk(rng),
    }
    return {
        "chest": (0.5 + draw(-0.012, 0.012), top, half, height),
        "shapes": shapes,
        "thick": draw(0.94, 1.08),
        "breast": draw(0, 0.16) * (rng.random() < 0.4),
        "marking": draw(0.08, 0.20),  # how plainly the lungs' vessels show
        "tissue": rng.standard_normal((11, 11), dtype=np.float32),
    }


def _lungs(rng):
    """Draws the lungs' outlines and how far each dome lies below its mean."""
    common = _LUNG + rng.normal(0, 0.009, _LUNG.shape)
    domes = (rng.uniform(-0.12, 0.02), rng.uniform(-0.02, 0.11))  # the liver lifts the right one
    outlines = []
    for side, dome in zip(_SIDES, domes):
        points = common + rng.normal(0, 0.006, _LUNG.shape)
        points[6:14, 1] += dome
        points[9:13, 1] += rng.uniform(-0.05, 0.04)  # round or flat
        outlines.append(_smooth(points * (side, 1)))
    return outlines, domes


def _vertebra(v, half, pitch):
    """Gives a vertebral body, a little waisted, with room for the disc below it."""
    low, waist = v + 0.8 * pitch, v + 0.4 * pitch
    right = [(half, v), (half, v), (0.88 * half, waist), (half, low), (half, low)]
    return _smooth(right + [(-u, w) for u, w in right[::-1]], samples=3)


def _ribs(rng):
    """Draws the ribs: rings that fall towards the front, seen from there.

    A ring's angle runs from the spine (0) round the chest wall (90 degrees) to where its bone ends
    in front. Each arc is drawn twice, the narrower time fainter: bone is dense at its rim.
    """
    fall, first, thick = rng.uniform(0.62, 0.85), rng.uniform(-0.14, -0.06), rng.uniform(0.05, 0.06)
    pitch, arch = rng.uniform(0.158, 0.172), rng.uniform(0.03, 0.08)
    arcs = {"posterior": [], "anterior": []}
    spans = {"posterior": (0.12, 1.70, 11), "anterior": (1.40, 2.45, 8)}
    for name, (begin, end, number) in spans.items():
        angle = np.linspace(begin, end, 14)
        for i in range(number):
            drop = fall * (0.55 + 0.09 * min(i, 5))
            start, dense = first + pitch * i, min(255, 255 - 70 * (i - 7))  # lost in the belly
            v = start + drop * (1 - np.cos(angle)) / 2 - arch * np.sin(1.4 * angle)
            reach = 0.045 + np.interp(start + 0.5 * drop, _WALL[:, 1], _WALL[:, 0])
            width = thick * (0.85 + 0.2 * np.sin(angle) + 0.25 * (angle > 1.7))
            for side in _SIDES:
                line = np.stack([side * reach * np.sin(angle) ** 0.9, v], axis=1)
                arcs[name] += [(_tube(line, width), dense), (_tube(line, width / 2), 0.8 * dense)]
    return arcs


def _girdle(rng):
    """Draws clavicles, shoulder blades and upper arm bones."""
    rise, low = rng.uniform(-0.02, 0.16), rng.uniform(0.10, 0.24)
    out, turn = rng.uniform(1.10, 1.22), rng.uniform(-0.02, 0.10)
    t = np.linspace(0, 1, 12)
    line = np.stack([0.10 + t * (out - 0.12), low - rise * t + 0.045 * np.sin(2 * np.pi * t)], 1)
    clavicle = _tube(line, 0.055 + 0.04 * np.abs(t - 0.5))
    inner = _tube(line, 0.03 + 0.02 * np.abs(t - 0.5))
    arm = _tube([(out + 0.16, 0.10), (out + 0.24, 0.7), (out + 0.3, 1.7)], [0.14, 0.095, 0.095])
    parts = [(_smooth(_BLADE + (out + turn, 0.05)), 70), (clavicle, 210), (inner, 165)]
    parts += [(arm, 160), (_ellipse(out + 0.13, 0.10, 0.10, 0.105), 140)]
    return {"girdle": [(part * (side, 1), weight) for side in _SIDES for part, weight in parts]}


def _vessels(rng):
    """Draws the vessels that branch from each hilum, the thinnest first, and the hila."""
    drawn, hila = ([], [], []), []
    steps, primary = 7, 8
    t = np.linspace(0, 1, steps)
    for side in _SIDES:
        root = np.array([0.27, 0.82 - 0.04 * side])
        hila += [_ellipse(side * 0.27, root[1] + d, 0.07, 0.10, side * 0.3) for d in (-0.06, 0.1)]
        heading = np.linspace(-1.3, 1.4, primary) + rng.normal(0, 0.14, primary)  # 0 is outwards
        start = root + np.stack([np.zeros(primary), np.linspace(-0.14, 0.17, primary)], axis=1)
        length, width = rng.uniform(0.45, 0.75, primary), rng.uniform(0.016, 0.027, primary)
        for generation in drawn:
            turn = heading[:, None] + rng.normal(0, 0.5, len(heading))[:, None] * t
            step = np.stack([np.cos(turn), np.sin(turn)], axis=-1) * length[:, None, None] / steps
            centre = start[:, None, :] + np.cumsum(step, axis=1) - step[:, :1]
            taper = width[:, None] * (1 - 0.6 * t)
            generation.extend(_tube(centre, taper) * (side, 1))
            fork = np.repeat([3, 5], len(heading)), np.tile(np.arange(len(heading)), 2)
            sign = rng.choice(_SIDES, len(fork[0]))
            start, width = centre[fork[1], fork[0]], 0.75 * taper[fork[1], fork[0]]
            heading = turn[fork[1], fork[0]] + sign * rng.uniform(0.35, 0.75, len(sign))
            length = length[fork[1]] * rng.uniform(0.4, 0.7, len(sign))
    weighted = [(tube, w) for tubes, w in zip(drawn[::-1], (110, 170, 255)) for tube in tubes]
    return {"vessels": weighted, "hila": hila}


def _trunk(rng):
    """Draws the trunk with neck and shoulders, and the arms beside it."""
    neck, flank = rng.uniform(0.26, 0.36), 1 + rng.uniform(0.12, 0.26)
    low, lean = rng.uniform(-0.16, 0.02), rng.uniform(-0.05, 0.45)
    right = np.array([
        (neck, -0.9), (neck, -0.45), (neck + 0.10, low - 0.15), (0.80, low), (1.15, low + 0.10),
        (1.36, low + 0.34), (flank + 0.10, 0.62), (flank + 0.01, 0.85), (flank, 1.3),
        (flank - 0.01, 1.8), (flank + 0.02, 2.9),
    ])  # fmt: skip
    arm = [(1.20, low + 0.33), (1.36 + 0.3 * lean, 0.8), (1.42 + lean, 1.8), (1.44 + 1.4 * lean, 3)]
    arms = [_tube(np.array(arm) * (side, 1), [0.38, 0.34, 0.30, 0.28]) for side in _SIDES]
    return {"trunk": [_smooth(np.concatenate([right, right[::-1] * (-1, 1)]))], "arms": arms}


# Drawing


def _pose(body, size, rng):
    """Draws the pose.

    Returns:
        Matrix (2, 3) from chest units to drawing pixels, and how many of these make a pixel: small
        images are drawn larger and averaged down, so that thin structures fade but do not vanish.
    """
    middle, top, half, height = body["chest"]
    turn, zoom = rng.normal(0, 0.026), rng.uniform(0.97, 1.03)
    spin = zoom * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    shift = rng.normal(0, 0.008, 2)
    breath = rng.uniform(0.96, 1.02)  # a patient never breathes in twice as deep
    matrix = spin @ np.diag([half, height * breath / 1.84])
    offset = spin @ (middle - 0.5, top - 0.5) + 0.5 + shift
    over = max(1, -(-224 // size))
    return np.column_stack([matrix, offset]) * size * over, over


def _layer(shapes, pose, size, blur=0.0):
    """Draws outlines, or (outline, weight) pairs: float32 (size, size) from 0 to 1."""
    matrix, over = pose
    canvas = np.zeros((size * over, size * over), np.uint8)
    for shape in shapes:
        outline, weight = shape if isinstance(shape, tuple) else (shape, 255)
        # OpenCV takes whole sixteenths of a pixel, counted from pixel centres
        points = np.rint((outline @ matrix[:, :2].T + matrix[:, 2] - 0.5) * 16).astype(np.int32)
        cv2.fillPoly(canvas, [points], weight, cv2.LINE_AA, 4)
    if over > 1:
        canvas = cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA)
    return _blur(canvas.astype(np.float32) / 255, blur)


def _blur(image, sigma):
    """Blurs with a Gaussian; sigma is a fraction of the image, and too small a one does nothing."""
    size, sigma = len(image), sigma * len(image)
    if sigma > 8:  # few samples carry a wide blur: a large image would spend its time here
        small = cv2.resize(image, (size // 4, size // 4), interpolation=cv2.INTER_AREA)
        return cv2.resize(cv2.GaussianBlur(small, (0, 0), sigma / 4), (size, size))
    return cv2.GaussianBlur(image, (0, 0), sigma) if sigma > 0.25 else image


def _inwards(mask, reach):
    """Tells how deep inside a mask a pixel lies: 0 at the edge, nearly 1 at twice the reach."""
    distance = cv2.distanceTransform((mask > 0.5).astype(np.uint8), cv2.DIST_L2, 3)
    return _blur(1 - np.exp(-distance / (reach * len(mask))), 0.2 * reach)


_SOFTNESS = {  # the blur of each organ's edges, as a fraction of the image
    "lungs": 0, "trunk": 0.003, "arms": 0.003, "heart": 0.008, "mediastinum": 0.011, "aorta": 0.009,
    "spine": 0.004, "posterior": 0.003, "anterior": 0.004, "girdle": 0.003, "trachea": 0.006,
    "stomach": 0.012, "breasts": 0.02, "vessels": 0.002, "hila": 0.022,
}  # fmt: skip


def _draw(body, pose, size):
    """Draws every organ: float32 arrays (size, size) from 0 to 1 by name."""
    layers = {
        name: _layer(body["shapes"][name], pose, size, blur) for name, blur in _SOFTNESS.items()
    }
    lungs, trunk, arms = layers["lungs"], layers["trunk"], layers["arms"]
    deep = _inwards(lungs, 0.05)
    beside = 1.0
    for name, share in (("heart", 0.88), ("mediastinum", 0.92), ("aorta", 0.75), ("hila", 0.35)):
        beside = beside * (1 - share * layers[name])
    markings = body["marking"] * layers["vessels"]
    layers["air"] = _blur(lungs, 0.004) * (0.62 + 0.38 * deep) * beside * (1 - markings)
    layers["girdle"] *= np.maximum(trunk, arms)  # no bone outside the skin
    layers["trunk"] = trunk * (0.4 + 0.6 * _inwards(trunk, 0.06))
    layers["arms"] = arms * (0.3 + 0.7 * _inwards(arms, 0.03))
    return layers


# Lesions

_SEEN = 0.08  # opacity from which a reader sees, and outlines, a lesion
_LOBES = (  # side, centre, radii, height of the fissure at u = 0.5 and the lobe's side of it
    (-1, (0.50, 0.52), (0.46, 0.40), 0.83, -1),  # right upper, above the minor fissure
    (-1, (0.40, 1.10), (0.40, 0.32), 0.86, 1),  # right middle
    (-1, (0.62, 1.40), (0.42, 0.36), 1.08, 1),  # right lower
    (1, (0.52, 0.55), (0.42, 0.42), 0.98, -1),  # left upper
    (1, (0.62, 1.42), (0.42, 0.36), 1.05, 1),  # left lower
)


def _lesion(group, pose, layers, site, severity):
    """Draws a lesion.

    Returns:
        The share of the lung's air that it has replaced, float32 (size, size) below 1 and 0 outside
        the lesion; and where the lesion is, bool (size, size).
    """
    size = len(layers["lungs"])
    if group == "normal":
        return np.zeros((size, size), np.float32), np.zeros((size, size), bool)
    signs = {"virus": _reticulation, "bacteria": _consolidation, "covid": _ground_glass}[group]
    opacity = signs(pose, layers, site, severity.uniform(0.35, 1.0))
    # outlined as a reader would: round the whole, not round each line of a net
    extent = (layers["lungs"] > 0.5) & (_blur(opacity, 0.012) > _SEEN)
    return np.where(extent, np.clip(opacity - 0.5 * _SEEN, 0, 0.95), 0).astype(np.float32), extent


def _texture(rng, cells, size):
    """Gives smooth noise, the same at every size: float32 (size, size), deviation about 0.7."""
    grid = rng.standard_normal((cells, cells), dtype=np.float32)
    return cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC)


def _consolidation(pose, layers, rng, grade):
    """Bacteria: a lobe, at times two, densely filled up to a fissure; bronchi still hold air."""
    size = len(layers["lungs"])
    opacity = np.zeros((size, size), np.float32)
    ragged = 0.22 * _texture(rng, 9, size) + 0.14 * _texture(rng, 22, size)
    for lobe in rng.permutation(len(_LOBES))[: 1 + (rng.random() < 0.2)]:
        side, centre, radii, fissure, keep = _LOBES[lobe]
        scale = rng.uniform(0.7, 0.95) + 0.3 * grade
        u, v = centre + rng.normal(0, 0.06, 2)
        shape = _ellipse(u, v, radii[0] * scale, radii[1] * scale, rng.normal(0, 0.3))
        core = _blur(_layer([shape * (side, 1)], pose, size), 0.03)
        line = fissure + rng.normal(0, 0.03) + np.array([-0.15, 0.20])
        beyond = np.array([(0, line[0]), (1.3, line[1]), (1.3, 9 * keep), (0, 9 * keep)])
        within = _layer([beyond * (side, 1)], pose, size, 0.005)  # the one sharp edge
        opacity = np.maximum(opacity, within / (1 + np.exp((0.50 - core - ragged) / 0.11)))
    filled = (0.50 + 0.42 * grade) * (1 + 0.25 * ragged)
    return opacity * (filled - 0.30 * layers["vessels"])


def _reticulation(pose, layers, rng, grade):
    """Virus: a net of lines, thick bronchial walls and a faint haze in both lungs, most at hila."""
    size = len(layers["lungs"])
    reach = _layer([_ellipse(s * 0.42, 0.95, 0.36, 0.62) for s in _SIDES], pose, size, 0.06)
    # the net is finer than a small image's pixels: draw it larger and average, or it would alias
    large = max(size, 192)
    net = np.exp(-((_texture(rng, 42, large) / 0.4) ** 2)) + np.maximum(_texture(rng, 60, large), 0)
    net = cv2.resize(net, (size, size), interpolation=cv2.INTER_AREA)
    patchy = np.clip(1 + 0.4 * _texture(rng, 7, size), 0.4, 1.6)
    cuffs = _blur(layers["vessels"], 0.005)
    return grade * (0.25 + 0.75 * reach) * patchy * (0.15 + 0.25 * net + 0.25 * cuffs)


def _ground_glass(pose, layers, rng, grade):
    """COVID: hazy patches along the outer, lower borders of both lungs."""
    size = len(layers["lungs"])
    haze = np.zeros((size, size), np.float32)
    for side in _SIDES:
        for _ in range(rng.integers(2, 5)):
            v = float(np.clip(rng.normal(1.22, 0.27), 0.5, 1.6))
            u = np.interp(v, _WALL[:, 1], _WALL[:, 0]) - rng.uniform(0.08, 0.26)
            wide, tall = rng.uniform(0.14, 0.24), rng.uniform(0.2, 0.36)
            patch = _ellipse(u, v, wide, tall, rng.normal(0.1, 0.3))
            haze += rng.uniform(0.6, 1.0) * _layer([patch * (side, 1)], pose, size, 0.034)
    grain = np.clip(1 + 0.2 * _texture(rng, 12, size) + 0.16 * _texture(rng, 34, size), 0.3, 1.7)
    return (0.24 + 0.34 * grade) * np.minimum(haze, 1.2) * grain


# From attenuation to grey values: natural logarithms of how much light is lost

_FULL_LUNG = 1.20  # what a lung's air spares the beam, at most
_EXTRA = {
    "mediastinum": 0.12, "aorta": 0.10, "spine": 0.17, "posterior": 0.22, "anterior": 0.14,
    "girdle": 0.42, "trachea": -0.28, "stomach": -0.40,
}  # fmt: skip
_SCATTER = 0.08  # share of the light that comes from elsewhere


def _expose(body, layers, opacity, pose, noise):
    """Sums up attenuation, transmits, adds scatter and noise, develops: float32 grey values."""
    size = len(opacity)
    contrast, exposure = pose.uniform(0.42, 0.62), pose.normal(1.55, 0.10)
    photons = 10 ** pose.uniform(8.1, 8.8) / size**2  # a pixel, where nothing is in the beam
    y = ((np.arange(size, dtype=np.float32) + 0.5) / size)[:, None]
    thick = 1.60 + 0.50 * np.minimum(y / 0.3, 1)
    belly = 0.25 * np.clip((y - 0.45) / 0.4, 0, 1)
    uneven = 1 + 0.02 * cv2.resize(body["tissue"], (size, size), interpolation=cv2.INTER_CUBIC)
    total = np.maximum(body["thick"] * thick * layers["trunk"], 1.15 * layers["arms"]) * uneven
    # the heart rests on the belly: they share the trunk's depth, and do not add up
    total += np.maximum(belly * layers["trunk"], 0.14 * layers["heart"])
    total += body["breast"] * layers["breasts"]
    for name, amount in _EXTRA.items():
        total += amount * layers[name]
    air = _FULL_LUNG * layers["air"]
    # scatter of the healthy body, so that a lesion changes no pixel away from it
    scatter = _SCATTER * _blur(np.exp(air - total), 0.06)
    light = (1 - _SCATTER) * np.exp(_blur(air * (1 - opacity), 0.0015) - total) + scatter
    grain = _blur(noise.standard_normal((size, size), dtype=np.float32), 0.002)
    light += np.sqrt(light / photons) * grain
    density = -np.log(np.maximum(light, 1e-4))
    return 255 / (1 + np.exp((exposure - density) / contrast))


# Marks

_WORDS = ("PORTABLE AP", "SUPINE 12:40", "AP ERECT", "CHEST PA 02", "BEDSIDE 07")


def _lead(mark, rng, size):
    """Draws a mark: the share of each pixel that lead covers, float32 (size, size)."""
    over = max(1, -(-448 // size))
    canvas = np.zeros((size * over, size * over), np.uint8)
    margin, drop, scale = rng.uniform(0.025, 0.05), rng.uniform(0.03, 0.10), rng.uniform(0.9, 1.15)
    right = rng.random() < 0.5
    if mark in ("R", "L"):  # by the patient's right or left shoulder
        _write(canvas, mark, mark == "L", margin, drop, 0.08 * scale, cv2.FONT_HERSHEY_DUPLEX)
    elif mark == "text":
        words = _WORDS[rng.integers(len(_WORDS))]
        _write(canvas, words, right, margin, margin, 0.04 * scale, cv2.FONT_HERSHEY_SIMPLEX)
    elif mark == "ticks":
        begin = rng.uniform(0.15, 0.3)
        for i in range(rng.integers(13, 18)):
            long = 0.036 if i % 5 == 0 else 0.024
            box = np.array([(0.010, begin + 0.04 * i), (0.010 + long, begin + 0.04 * i + 0.010)])
            box[:, 0] = 1 - box[:, 0] if right else box[:, 0]
            first, last = np.rint(box * len(canvas)).astype(int).tolist()
            cv2.rectangle(canvas, first, last, 255, cv2.FILLED)
    if over > 1:
        canvas = cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA)
    lead = canvas.astype(np.float32) / 255
    return np.where(lead > 0.25 * lead.max(), lead, 0)  # the rest is too faint to see


def _write(canvas, words, right, x, y, height, font):
    """Writes words in an upper corner; lengths are fractions of the canvas, x from its side."""
    side = len(canvas)
    scale = height * side / cv2.getTextSize(words, font, 1, 1)[0][1]
    thick = max(1, round(1.5 * scale))
    width = cv2.getTextSize(words, font, scale, thick)[0][0]
    start = side - round(x * side) - width if right else round(x * side)
    corner = start, round((y + height) * side)
    cv2.putText(canvas, words, corner, font, scale, 255, thick, cv2.LINE_AA)
