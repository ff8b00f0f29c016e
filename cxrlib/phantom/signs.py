"""Signs: what each group's lesion looks like, as the share of the lung's air that it replaces."""

import cv2
import numpy as np

from cxrlib.phantom.anatomy import WALL
from cxrlib.phantom.outlines import SIDES, blur, ellipse, fill

_SEEN = 0.08  # opacity from which a reader sees, and outlines, a lesion
_LOBES = (  # side, centre, radii, height of the fissure at u = 0.5 and the lobe's side of it
    (-1, (0.50, 0.52), (0.46, 0.40), 0.83, -1),  # right upper, above the minor fissure
    (-1, (0.40, 1.10), (0.40, 0.32), 0.86, 1),  # right middle
    (-1, (0.62, 1.40), (0.42, 0.36), 1.08, 1),  # right lower
    (1, (0.52, 0.55), (0.42, 0.42), 0.98, -1),  # left upper
    (1, (0.62, 1.42), (0.42, 0.36), 1.05, 1),  # left lower
)


def lesion(group, severity, pose, layers, site):
    """Draws a lesion.

    Args:
        group: "normal", "virus", "bacteria" or "covid".
        severity: From 0 to 1.
        pose, layers: As `anatomy.pose` and `anatomy.draw` give them.
        site: The patient's generator: where the lesion sits.

    Returns:
        The share of the lung's air that it has replaced, float32 (size, size) below 1 and 0 outside
        the lesion; and where the lesion is, bool (size, size).
    """
    size = len(layers["lungs"])
    if group == "normal":
        return np.zeros((size, size), np.float32), np.zeros((size, size), bool)
    signs = {"virus": _reticulation, "bacteria": _consolidation, "covid": _ground_glass}[group]
    opacity = signs(pose, layers, site, severity)
    # outlined as a reader would: round the whole, not round each line of a net
    extent = (layers["lungs"] > 0.5) & (blur(opacity, 0.012) > _SEEN)
    return np.where(extent, np.clip(opacity - 0.5 * _SEEN, 0, 0.95), 0).astype(np.float32), extent


def _texture(rng, cells, size):
    """Returns smooth noise, the same at every size: float32 (size, size), deviation about 0.7."""
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
        shape = ellipse(u, v, radii[0] * scale, radii[1] * scale, rng.normal(0, 0.3))
        core = blur(fill([shape * (side, 1)], pose, size), 0.03)
        line = fissure + rng.normal(0, 0.03) + np.array([-0.15, 0.20])
        beyond = np.array([(0, line[0]), (1.3, line[1]), (1.3, 9 * keep), (0, 9 * keep)])
        within = fill([beyond * (side, 1)], pose, size, 0.005)  # the one sharp edge
        opacity = np.maximum(opacity, within / (1 + np.exp((0.50 - core - ragged) / 0.11)))
    filled = (0.50 + 0.42 * grade) * (1 + 0.25 * ragged)
    return opacity * (filled - 0.30 * layers["vessels"])


def _reticulation(pose, layers, rng, grade):
    """Virus: a net of lines, thick bronchial walls and a faint haze in both lungs, most at hila."""
    size = len(layers["lungs"])
    reach = fill([ellipse(s * 0.42, 0.95, 0.36, 0.62) for s in SIDES], pose, size, 0.06)
    # the net is finer than a small image's pixels: draw it larger and average, or it would alias
    large = max(size, 192)
    net = np.exp(-((_texture(rng, 42, large) / 0.4) ** 2)) + np.maximum(_texture(rng, 60, large), 0)
    net = cv2.resize(net, (size, size), interpolation=cv2.INTER_AREA)
    patchy = np.clip(1 + 0.4 * _texture(rng, 7, size), 0.4, 1.6)
    cuffs = blur(layers["vessels"], 0.005)
    return grade * (0.25 + 0.75 * reach) * patchy * (0.15 + 0.25 * net + 0.25 * cuffs)


def _ground_glass(pose, layers, rng, grade):
    """COVID: hazy patches along the outer, lower borders of both lungs."""
    size = len(layers["lungs"])
    haze = np.zeros((size, size), np.float32)
    for side in SIDES:
        for _ in range(rng.integers(2, 5)):
            v = float(np.clip(rng.normal(1.22, 0.27), 0.5, 1.6))
            u = np.interp(v, WALL[:, 1], WALL[:, 0]) - rng.uniform(0.08, 0.26)
            wide, tall = rng.uniform(0.14, 0.24), rng.uniform(0.2, 0.36)
            patch = ellipse(u, v, wide, tall, rng.normal(0.1, 0.3))
            haze += rng.uniform(0.6, 1.0) * fill([patch * (side, 1)], pose, size, 0.034)
    grain = np.clip(1 + 0.2 * _texture(rng, 12, size) + 0.16 * _texture(rng, 34, size), 0.3, 1.7)
    return (0.24 + 0.34 * grade) * np.minimum(haze, 1.2) * grain
