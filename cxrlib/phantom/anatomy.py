"""Anatomy: a patient's organs as outlines in chest units, and how they come to lie in an image.

Adults and small children are one anatomy with other proportions: a child's chest is short and wide
in its image, the heart and the thymus above it fill more of it, the ribs lie flatter and the bones
hold less calcium. A view from the front (AP), as at the bedside, throws the heart and the
mediastinum larger than one from the back (PA), finds the patient breathing less deeply, and leaves
the shoulder blades over the lungs.
"""

import numpy as np

from cxrlib.phantom.outlines import SIDES, blur, ellipse, fill, inwards, smooth, tube

BUILDS = {
    "adult": {
        "half": (0.352, 0.390), "height": (0.635, 0.735), "heart": (0.85, 1.25),
        "mediastinum": (0.85, 1.25), "spine": 0.088, "fall": (0.62, 0.85), "low": (-0.16, 0.02),
        "thick": (0.94, 1.08), "bone": 1.0, "breast": 0.4,
    },
    "child": {
        "half": (0.372, 0.410), "height": (0.590, 0.680), "heart": (1.05, 1.30),
        "mediastinum": (1.05, 1.60), "spine": 0.100, "fall": (0.34, 0.52), "low": (-0.26, -0.10),
        "thick": (0.80, 0.94), "bone": 0.72, "breast": 0.0,
    },
}  # fmt: skip
"""Proportions of each age group: ranges that a patient's are drawn from, or shares.

half and height: half the chest's width and the lungs' height, as fractions of the image; heart and
mediastinum: their widths against an adult's mean; spine: half a vertebra's width at the apex; fall:
how far a rib drops towards the front; low: where the shoulders begin; thick: of the trunk; bone:
calcium against an adult's; breast: how often breasts show.
"""

PROJECTIONS = {
    "PA": {"heart": 1.0, "mediastinum": 1.0, "breath": (0.96, 1.02), "blade": 0.0, "clavicle": 0.0},
    "AP": {
        "heart": 1.14, "mediastinum": 1.12, "breath": (0.89, 0.97), "blade": -0.20,
        "clavicle": -0.07,
    },
}  # fmt: skip
"""What a view does: magnifications, the range of breath's depth, and shifts of bones."""

# fmt: off
_LUNG = np.array([  # apex, chest wall, costophrenic angle, dome, border by the spine
    (.38, .00), (.57, .06), (.75, .27), (.87, .60), (.94, 1.03), (.98, 1.45), (1.0, 1.70),
    (1.0, 1.84), (.95, 1.74), (.87, 1.64), (.73, 1.54), (.55, 1.51), (.36, 1.55), (.19, 1.67),
    (.15, 1.58), (.13, 1.22), (.13, .78), (.15, .37), (.22, .09)])
WALL = _LUNG[:8]
_HEART = np.array([
    (-.20, .74), (.10, .60), (.24, .78), (.46, 1.03), (.61, 1.33), (.60, 1.58), (.19, 1.75),
    (-.18, 1.68), (-.28, 1.48), (-.31, 1.22), (-.27, .96)])
_MEDIASTINUM = np.array([(.17, -.8), (.16, -.1), (.19, .35), (.25, .80), (.21, 2.8)])
_BLADE = np.array([  # the scapula, about its glenoid
    (.00, -.04), (-.26, .06), (-.17, .42), (-.08, .70), (-.03, .42), (.02, .14)])
# fmt: on


def patient(rng, age_group, view):
    """Draws a patient as a view shows them.

    Args:
        rng: The patient's generator, in the same state for every age group and view.
        age_group: One of `BUILDS`.
        view: One of `PROJECTIONS`.

    Returns:
        Dictionary: where the chest lies in the image (middle, top, half its width and the height of
        the lungs, as fractions of the image), `shapes`, for each organ a list of (outline, weight
        from 0 to 255), where the trachea forks, and what is uneven about the soft tissue.
    """
    draw, build, seen = rng.uniform, BUILDS[age_group], PROJECTIONS[view]
    half, height = draw(*build["half"]), draw(*build["height"])
    top = 0.085 + draw(0.2, 1) * (0.80 - height)
    lungs, domes = _lungs(rng)
    size, tilt = draw(*build["heart"]) * seen["heart"], draw(-0.06, 0.05)
    heart = smooth(_HEART * (size, 1) + rng.normal(0, 0.012, _HEART.shape) + (tilt, 0))
    wide = draw(*build["mediastinum"]) * seen["mediastinum"]
    sides = _MEDIASTINUM * (wide, 1)
    knob, carina = draw(0.8, 1.2), draw(0.50, 0.57)
    pitch = draw(0.145, 0.165)
    levels = np.arange(-0.7 + draw(0, pitch), 2.6, pitch)
    gas = (draw(0.35, 0.6), 1.75 + domes[1], draw(0.10, 0.24), draw(0.04, 0.10), draw(-0.4, 0.4))
    shapes = {
        "lungs": lungs,
        "heart": [heart],
        "mediastinum": [smooth(np.concatenate([sides, (sides * (-1, 1))[::-1]]))],
        "aorta": _aorta(wide, carina - 0.08, knob),
        "trachea": _trachea(carina),
        "spine": [_vertebra(v, build["spine"] + 0.016 * v, pitch) for v in levels],
        "stomach": [ellipse(*gas)],
        "breasts": [ellipse(s * 0.58, 1.38, 0.42, 0.36) for s in SIDES],
        **_ribs(rng, build["fall"]),
        **_girdle(rng, seen),
        **_vessels(rng),
        **_trunk(rng, build["low"]),
    }
    return {
        "chest": (0.5 + draw(-0.012, 0.012), top, half, height),
        "shapes": shapes,
        "carina": carina,
        "bone": build["bone"],
        "thick": draw(*build["thick"]),
        "breast": draw(0, 0.16) * (rng.random() < build["breast"]),
        "marking": draw(0.08, 0.20),  # how plainly the lungs' vessels show
        "tissue": rng.standard_normal((11, 11), dtype=np.float32),
    }


def _aorta(wide, arch, knob):
    """Returns the aorta's knob and its way down, from the height of its arch."""
    return [
        ellipse(0.14 * wide, arch, 0.10 * knob, 0.10 * knob),
        tube([(0.17 * wide, arch), (0.19 * wide, arch + 0.4), (0.12, 1.6)], [0.14] * 3),
    ]


def _trachea(carina):
    """Returns the trachea down to its fork, the carina, and the two main bronchi, fainter."""
    return [
        tube([(0, -0.7), (-0.01, 0), (-0.03, carina)], [0.10, 0.10, 0.105]),
        (tube([(-0.03, carina - 0.03), (-0.20, carina + 0.20)], [0.085, 0.05]), 110),
        (tube([(-0.03, carina - 0.03), (0.23, carina + 0.20)], [0.08, 0.05]), 110),
    ]


def _lungs(rng):
    """Draws the lungs' outlines and how far each dome lies below its mean."""
    common = _LUNG + rng.normal(0, 0.009, _LUNG.shape)
    domes = (rng.uniform(-0.12, 0.02), rng.uniform(-0.02, 0.11))  # the liver lifts the right one
    outlines = []
    for side, dome in zip(SIDES, domes):
        points = common + rng.normal(0, 0.006, _LUNG.shape)
        points[6:14, 1] += dome
        points[9:13, 1] += rng.uniform(-0.05, 0.04)  # round or flat
        outlines.append(smooth(points * (side, 1)))
    return outlines, domes


def _vertebra(v, half, pitch):
    """Returns a vertebral body, a little waisted, with room for the disc below it."""
    low, waist = v + 0.8 * pitch, v + 0.4 * pitch
    right = [(half, v), (half, v), (0.88 * half, waist), (half, low), (half, low)]
    return smooth(right + [(-u, w) for u, w in right[::-1]], samples=3)


def _ribs(rng, falls):
    """Draws the ribs: rings that fall towards the front, seen from there.

    A ring's angle runs from the spine (0) round the chest wall (90 degrees) to where its bone ends
    in front. Each arc is drawn twice, the narrower time fainter: bone is dense at its rim.
    """
    fall, first, thick = rng.uniform(*falls), rng.uniform(-0.14, -0.06), rng.uniform(0.05, 0.06)
    pitch, arch = rng.uniform(0.158, 0.172), rng.uniform(0.03, 0.08)
    arcs = {"posterior": [], "anterior": []}
    spans = {"posterior": (0.12, 1.70, 11), "anterior": (1.40, 2.45, 8)}
    for name, (begin, end, number) in spans.items():
        angle = np.linspace(begin, end, 14)
        for i in range(number):
            drop = fall * (0.55 + 0.09 * min(i, 5))
            start, dense = first + pitch * i, min(255, 255 - 70 * (i - 7))  # lost in the belly
            v = start + drop * (1 - np.cos(angle)) / 2 - arch * np.sin(1.4 * angle)
            reach = 0.045 + np.interp(start + 0.5 * drop, WALL[:, 1], WALL[:, 0])
            width = thick * (0.85 + 0.2 * np.sin(angle) + 0.25 * (angle > 1.7))
            for side in SIDES:
                line = np.stack([side * reach * np.sin(angle) ** 0.9, v], axis=1)
                arcs[name] += [(tube(line, width), dense), (tube(line, width / 2), 0.8 * dense)]
    return arcs


def _girdle(rng, seen):
    """Draws clavicles, shoulder blades and upper arm bones."""
    rise, low = rng.uniform(-0.02, 0.16), rng.uniform(0.10, 0.24)
    out, turn = rng.uniform(1.10, 1.22), rng.uniform(-0.02, 0.10)
    low, turn = low + seen["clavicle"], turn + seen["blade"]
    t = np.linspace(0, 1, 12)
    line = np.stack([0.10 + t * (out - 0.12), low - rise * t + 0.045 * np.sin(2 * np.pi * t)], 1)
    clavicle = tube(line, 0.055 + 0.04 * np.abs(t - 0.5))
    inner = tube(line, 0.03 + 0.02 * np.abs(t - 0.5))
    arm = tube([(out + 0.16, 0.10), (out + 0.24, 0.7), (out + 0.3, 1.7)], [0.14, 0.095, 0.095])
    parts = [(smooth(_BLADE + (out + turn, 0.05)), 70), (clavicle, 210), (inner, 165)]
    parts += [(arm, 160), (ellipse(out + 0.13, 0.10, 0.10, 0.105), 140)]
    return {"girdle": [(part * (side, 1), weight) for side in SIDES for part, weight in parts]}


def _vessels(rng):
    """Draws the vessels that branch from each hilum, the thinnest first, and the hila."""
    drawn, hila = ([], [], []), []
    steps, primary = 7, 8
    t = np.linspace(0, 1, steps)
    for side in SIDES:
        root = np.array([0.27, 0.82 - 0.04 * side])
        hila += [ellipse(side * 0.27, root[1] + d, 0.07, 0.10, side * 0.3) for d in (-0.06, 0.1)]
        heading = np.linspace(-1.3, 1.4, primary) + rng.normal(0, 0.14, primary)  # 0 is outwards
        start = root + np.stack([np.zeros(primary), np.linspace(-0.14, 0.17, primary)], axis=1)
        length, width = rng.uniform(0.45, 0.75, primary), rng.uniform(0.016, 0.027, primary)
        for generation in drawn:
            turn = heading[:, None] + rng.normal(0, 0.5, len(heading))[:, None] * t
            step = np.stack([np.cos(turn), np.sin(turn)], axis=-1) * length[:, None, None] / steps
            centre = start[:, None, :] + np.cumsum(step, axis=1) - step[:, :1]
            taper = width[:, None] * (1 - 0.6 * t)
            generation.extend(tube(centre, taper) * (side, 1))
            fork = np.repeat([3, 5], len(heading)), np.tile(np.arange(len(heading)), 2)
            sign = rng.choice(SIDES, len(fork[0]))
            start, width = centre[fork[1], fork[0]], 0.75 * taper[fork[1], fork[0]]
            heading = turn[fork[1], fork[0]] + sign * rng.uniform(0.35, 0.75, len(sign))
            length = length[fork[1]] * rng.uniform(0.4, 0.7, len(sign))
    weighted = [(tube, w) for tubes, w in zip(drawn[::-1], (110, 170, 255)) for tube in tubes]
    return {"vessels": weighted, "hila": hila}


def _trunk(rng, lows):
    """Draws the trunk with neck and shoulders, and the arms beside it."""
    neck, flank = rng.uniform(0.26, 0.36), 1 + rng.uniform(0.12, 0.26)
    low, lean = rng.uniform(*lows), rng.uniform(-0.05, 0.45)
    right = np.array([
        (neck, -0.9), (neck, -0.45), (neck + 0.10, low - 0.15), (0.80, low), (1.15, low + 0.10),
        (1.36, low + 0.34), (flank + 0.10, 0.62), (flank + 0.01, 0.85), (flank, 1.3),
        (flank - 0.01, 1.8), (flank + 0.02, 2.9),
    ])  # fmt: skip
    arm = [(1.20, low + 0.33), (1.36 + 0.3 * lean, 0.8), (1.42 + lean, 1.8), (1.44 + 1.4 * lean, 3)]
    arms = [tube(np.array(arm) * (side, 1), [0.38, 0.34, 0.30, 0.28]) for side in SIDES]
    return {"trunk": [smooth(np.concatenate([right, right[::-1] * (-1, 1)]))], "arms": arms}


# How it lies in an image


def pose(body, size, view, zoom, rng):
    """Draws how a patient stands before the detector.

    Args:
        body: As `patient` returns it.
        size: Pixels a side.
        view: One of `PROJECTIONS`.
        zoom: How much larger than life the image shows the chest: a figure cut close to it.
        rng: The radiograph's generator.

    Returns:
        A pose as `outlines.fill` takes it.
    """
    middle, top, half, height = body["chest"]
    turn, zoom = rng.normal(0, 0.026), zoom * rng.uniform(0.97, 1.03)
    spin = zoom * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    shift = rng.normal(0, 0.008, 2)
    breath = rng.uniform(*PROJECTIONS[view]["breath"])  # nobody breathes in twice as deep
    matrix = spin @ np.diag([half, height * breath / 1.84])
    offset = spin @ (middle - 0.5, top - 0.5) + 0.5 + shift
    over = max(1, -(-224 // size))
    return np.column_stack([matrix, offset]) * size * over, over


_SOFTNESS = {  # the blur of each organ's edges, as a fraction of the image
    "lungs": 0, "trunk": 0.003, "arms": 0.003, "heart": 0.008, "mediastinum": 0.011, "aorta": 0.009,
    "spine": 0.004, "posterior": 0.003, "anterior": 0.004, "girdle": 0.003, "trachea": 0.006,
    "stomach": 0.012, "breasts": 0.02, "vessels": 0.002, "hila": 0.022,
}  # fmt: skip


def draw(body, pose, size):
    """Draws every organ: float32 arrays (size, size) from 0 to 1 by name; "air" is the lungs'."""
    layers = {
        name: fill(body["shapes"][name], pose, size, blur) for name, blur in _SOFTNESS.items()
    }
    lungs, trunk, arms = layers["lungs"], layers["trunk"], layers["arms"]
    deep = inwards(lungs, 0.05)
    beside = 1.0
    for name, share in (("heart", 0.88), ("mediastinum", 0.92), ("aorta", 0.75), ("hila", 0.35)):
        beside = beside * (1 - share * layers[name])
    markings = body["marking"] * layers["vessels"]
    layers["air"] = blur(lungs, 0.004) * (0.62 + 0.38 * deep) * beside * (1 - markings)
    layers["girdle"] *= np.maximum(trunk, arms)  # no bone outside the skin
    layers["trunk"] = trunk * (0.4 + 0.6 * inwards(trunk, 0.06))
    layers["arms"] = arms * (0.3 + 0.7 * inwards(arms, 0.03))
    return layers
