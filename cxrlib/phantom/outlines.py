"""Outlines: smooth closed curves, tubes and ellipses, and their drawing on a canvas.

Outlines are in chest units: u from the midline, +1 at the chest wall on the image's right (the
patient's left, as films are hung); v from the apex of the lungs downwards, on the same scale, so
that an adult's lungs end near v = 1.8. One matrix, the pose, takes them to pixels.
"""

from functools import lru_cache

import cv2
import numpy as np

SIDES = (-1, 1)
"""The patient's right and left: the signs of u."""


@lru_cache(maxsize=64)
def _spline_basis(count, samples):
    """Returns the weights (count * samples, count) of a closed Catmull-Rom spline's points."""
    t = np.linspace(0, 1, samples, endpoint=False)
    ends = (-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2)
    basis = np.zeros((count, samples, count))
    for i in range(count):
        for j, weights in enumerate(ends):
            basis[i, :, (i + j - 1) % count] += weights / 2
    return basis.reshape(count * samples, count)


def smooth(points, samples=6):
    """Draws a smooth closed outline through control points (n, 2); a repeated one is a corner."""
    return _spline_basis(len(points), samples) @ np.asarray(points, dtype=float)


def tube(centre, width):
    """Returns outlines (..., 2k, 2) of tubes along centre lines (..., k, 2), of widths (..., k)."""
    centre = np.asarray(centre, dtype=float)
    along = np.empty_like(centre)  # the direction alone counts; np.gradient takes thrice as long
    along[..., 1:-1, :] = centre[..., 2:, :] - centre[..., :-2, :]
    along[..., [0, -1], :] = centre[..., [1, -1], :] - centre[..., [0, -2], :]
    across = along[..., ::-1] * (-1, 1)
    across *= (0.5 * np.asarray(width) / np.hypot(along[..., 0], along[..., 1]))[..., None]
    return np.concatenate([centre + across, (centre - across)[..., ::-1, :]], axis=-2)


def ellipse(u, v, radius_u, radius_v, tilt=0.0):
    """Returns the outline (24, 2) of an ellipse, tilted by radians."""
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    a, b = radius_u * np.cos(angle), radius_v * np.sin(angle)
    cos, sin = np.cos(tilt), np.sin(tilt)
    return np.stack([u + a * cos - b * sin, v + a * sin + b * cos], axis=1)


def fill(shapes, pose, size, softness=0.0):
    """Draws outlines, or (outline, weight) pairs: float32 (size, size) from 0 to 1.

    Args:
        shapes: Outlines in chest units; a weight goes from 0 to 255.
        pose: Matrix (2, 3) from chest units to drawing pixels, and how many of these make a pixel:
            small images are drawn larger and averaged down, so that thin structures fade but do
            not vanish.
        size: Pixels a side.
        softness: The blur of the edges, as a fraction of the image.
    """
    matrix, over = pose
    canvas = np.zeros((size * over, size * over), np.uint8)
    for shape in shapes:
        outline, weight = shape if isinstance(shape, tuple) else (shape, 255)
        # OpenCV takes whole sixteenths of a pixel, counted from pixel centres
        points = np.rint((outline @ matrix[:, :2].T + matrix[:, 2] - 0.5) * 16).astype(np.int32)
        cv2.fillPoly(canvas, [points], weight, cv2.LINE_AA, 4)
    if over > 1:
        canvas = cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA)
    return blur(canvas.astype(np.float32) / 255, softness)


def blur(image, sigma):
    """Blurs with a Gaussian; sigma is a fraction of the image, and too small a one does nothing."""
    size, sigma = len(image), sigma * len(image)
    if sigma > 8:  # few samples carry a wide blur: a large image would spend its time here
        small = cv2.resize(image, (size // 4, size // 4), interpolation=cv2.INTER_AREA)
        return cv2.resize(cv2.GaussianBlur(small, (0, 0), sigma / 4), (size, size))
    return cv2.GaussianBlur(image, (0, 0), sigma) if sigma > 0.25 else image


def inwards(mask, reach):
    """Returns how deep inside a mask a pixel lies: 0 at the edge, nearly 1 at twice the reach."""
    distance = cv2.distanceTransform((mask > 0.5).astype(np.uint8), cv2.DIST_L2, 3)
    return blur(1 - np.exp(-distance / (reach * len(mask))), 0.2 * reach)
