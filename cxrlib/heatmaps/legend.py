"""A heatmap on the radiograph as it came, with a legend below: what `cxr explain` writes."""

import cv2
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from cxrlib.heatmaps import overlay

NARROWEST = 280
"""Pixels that a legend takes from side to side at least."""

_LETTERS = 12, 44
"""Pixels of its letters, at least and at most."""


def on_original(original, heatmap, part):
    """Lays a heatmap over the part of a radiograph that the network saw, and leaves the rest.

    Args:
        original: uint8 array (height, width, 3), RGB, of any shape.
        heatmap: float array (size, size) in [0, 1].
        part: Rows and columns, two slices of a square (size, size): what the heatmap is of, as
            `images.seen_part` returns it. A thin frame goes around it where it is not all.

    Returns:
        uint8 array of the original's shape.
    """
    size, shown = len(heatmap), original.copy()
    (top, bottom), (left, right) = (
        (round(side.start * edge / size), max(round(side.stop * edge / size), 1))
        for side, edge in zip(part, original.shape)
    )
    inner = original[top:bottom, left:right]
    enlarged = cv2.resize(heatmap, inner.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    shown[top:bottom, left:right] = overlay(inner, np.clip(enlarged, 0, 1))
    if inner.shape != original.shape:
        thick = max(1, round(min(original.shape[:2]) / 300))
        corners = (left, top), (right - 1, bottom - 1)
        cv2.rectangle(shown, *corners, (255, 255, 255), thick)
    return shown


def with_legend(picture, label, note=""):
    """Puts a legend below a picture: a label, a bar of the heatmap's colours, and a remark.

    Args:
        picture: uint8 array (height, width, 3), RGB: it stays as it is, in the left upper corner.
        label: What the heatmap is of, "COVID 0.87" say.
        note: A remark, on a line of its own.

    Returns:
        uint8 array (more than height, width or `NARROWEST`, 3), RGB.
    """
    height, width = picture.shape[0], max(picture.shape[1], NARROWEST)
    letters = int(np.clip(width / 40, *_LETTERS))
    line = round(1.8 * letters)
    below = _drawn(label, note, letters, (line * (2 if note else 1), width))
    page = np.zeros((height + len(below), width, 3), np.uint8)
    page[:height, : picture.shape[1]] = picture
    page[height:] = below
    return page


def _drawn(label, note, letters, shape):
    """Draws the legend: uint8 array of this height and width, RGB."""
    (height, width), dpi = shape, 100
    line = round(1.8 * letters)
    figure = Figure((width / dpi, height / dpi), dpi=dpi, facecolor="black")
    canvas = FigureCanvasAgg(figure)
    how = {"color": "white", "fontsize": letters * 72 / dpi, "va": "center", "parse_math": False}
    middle = 1 - line / 2 / height
    figure.text(letters / 2 / width, middle, label, **how)
    if note:
        figure.text(letters / 2 / width, line / 2 / height, note, **how)
    long, right = 7 * letters, width - letters // 2
    figure.text(right / width, middle, "high", ha="right", **how)
    right -= 3 * letters
    grey = np.full((letters, long, 3), 128, np.uint8)
    bar = overlay(grey, np.tile(np.linspace(0, 1, long), (letters, 1)))
    figure.text((right - long - letters / 2) / width, middle, "low", ha="right", **how)
    canvas.draw()
    drawn = np.array(canvas.buffer_rgba())[:height, :width, :3]
    top = (line - letters) // 2
    drawn[top : top + letters, right - long : right] = bar
    return drawn
