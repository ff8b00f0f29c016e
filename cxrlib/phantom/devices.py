"""Devices: a tube in the windpipe, a line to the heart, electrodes on the skin."""

import numpy as np

from cxrlib.phantom.outlines import SIDES, ellipse, fill, tube

ATTENUATION = {"tube": 0.50, "line": 0.36, "electrodes": 0.75}
"""What the densest part of each device adds to a beam's attenuation."""

_SEEN = 0.02  # attenuation from which a device counts: what is fainter is left out of the beam


def device(name, body, pose, size, rng):
    """Draws a device: what it adds to the beam's attenuation, float32 (size, size).

    Args:
        name: "none" or one of `ATTENUATION`.
        body: As `anatomy.patient` returns it: a tube ends above the fork of the trachea.
        pose: As `anatomy.pose` returns it.
        size: Pixels a side.
        rng: The radiograph's generator.
    """
    if name == "none":
        return np.zeros((size, size), np.float32)
    shapes = {"tube": _tube, "line": _line, "electrodes": _electrodes}[name](body["carina"], rng)
    added = ATTENUATION[name] * fill(shapes, pose, size)
    return np.where(added > _SEEN, added, 0).astype(np.float32)


def _tube(carina, rng):
    """An endotracheal tube: faint, with a dense thread along it."""
    tip, sway = carina - rng.uniform(0.06, 0.22), rng.normal(0, 0.012, 2)
    path = np.array([(sway[0], -0.9), (sway[1], -0.1), (-0.01, tip)])
    return [(tube(path, [0.07] * 3), 90), (tube(path + (0.018, 0), [0.022] * 3), 255)]


def _line(carina, rng):
    """A central venous line: from the right side of the neck to above the right atrium."""
    tip = carina + rng.uniform(0.15, 0.40)
    bend = rng.normal(0, 0.02, 4)
    path = [
        (-0.48 + bend[0], -0.42), (-0.34 + bend[1], -0.08), (-0.22 + bend[2], 0.22),
        (-0.17 + bend[3], 0.55), (-0.16, tip),
    ]  # fmt: skip
    return [(tube(path, [0.03] * 5), 255)]


def _electrodes(carina, rng):
    """Three electrodes and their wires, which leave at the flanks."""
    shapes = []
    for side, v in ((-1, 0.16), (1, 0.20), (SIDES[rng.integers(2)], 1.5)):
        u, v = side * (0.72 + rng.normal(0, 0.05)), v + rng.normal(0, 0.05)
        out = np.array([(u, v), (side * 1.02, v + 0.16), (side * 1.5, v + rng.uniform(0.1, 0.5))])
        shapes += [(tube(out, [0.016] * 3), 130), (ellipse(u, v, 0.075, 0.075), 110)]
        shapes.append((ellipse(u, v, 0.032, 0.032), 255))
    return shapes
