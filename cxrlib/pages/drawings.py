"""Drawings that explain: a chest with its names, the networks as boxes and arrows, Grad-CAM."""

from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import FancyBboxPatch

from cxrlib import heatmaps
from cxrlib.pages.figures.drawn import MASK_COLOURS, WIDTH, closed, style


class Diagram(NamedTuple):
    """Boxes and arrows.

    Args:
        boxes: Name -> (column, row, text, kind): row 0 is the lowest, kinds are those of `_FILLS`.
        arrows: (from, to), straight from box to box.
        over: (from, to), in a bow over the boxes between.
    """

    boxes: dict[str, tuple]
    arrows: tuple[tuple[str, str], ...]
    over: tuple[tuple[str, str], ...] = ()


DIAGRAMS = {
    "densenet121": Diagram(
        {
            "input": (0, 0, "64 maps", "maps"),
            "narrow": (1, 0, "BN, ReLU\n1×1, 128", "learnt"),
            "look": (2, 0, "BN, ReLU\n3×3, 32", "learnt"),
            "joined": (3, 0, "side by side\n64 + 32", "joined"),
            "narrow2": (4, 0, "BN, ReLU\n1×1, 128", "learnt"),
            "look2": (5, 0, "BN, ReLU\n3×3, 32", "learnt"),
            "joined2": (6, 0, "side by side\n96 + 32", "joined"),
        },
        (("input", "narrow"), ("narrow", "look"), ("look", "joined"), ("joined", "narrow2"),
         ("narrow2", "look2"), ("look2", "joined2")),
        (("input", "joined"), ("joined", "joined2")),
    ),
    "resnet50": Diagram(
        {
            "input": (0, 0, "256 maps", "maps"),
            "narrow": (1, 0, "1×1, 64\nBN, ReLU", "learnt"),
            "look": (2, 0, "3×3, 64\nBN, ReLU", "learnt"),
            "widen": (3, 0, "1×1, 256\nBN", "learnt"),
            "sum": (4, 0, "sum,\nReLU", "joined"),
            "output": (5, 0, "256 maps", "maps"),
        },
        (("input", "narrow"), ("narrow", "look"), ("look", "widen"), ("widen", "sum"),
         ("sum", "output")),
        (("input", "sum"),),
    ),
    "efficient": Diagram(
        {
            "input": (0, 0.5, "maps", "maps"),
            "a": (1, 0, "3×3, n\nBN, ReLU", "learnt"),
            "b": (2, 0, "3×3, n\nBN, ReLU", "learnt"),
            "shortcut": (1.5, 1, "1×1, n\nBN, ReLU", "learnt"),
            "mean": (3, 0.5, "mean", "joined"),
            "pool": (4, 0.5, "highest\nof 3×3", "fixed"),
            "output": (5, 0.5, "n maps,\nhalved", "maps"),
        },
        (("input", "a"), ("a", "b"), ("b", "mean"), ("input", "shortcut"), ("shortcut", "mean"),
         ("mean", "pool"), ("pool", "output")),
    ),
    "pipeline": Diagram(
        {
            "radiograph": (0, 1, "radiograph", "maps"),
            "scaled": (1, 1, "scaled to\na square", "fixed"),
            "copies": (2, 1, "COVID: in\ncopies (B, C)", "fixed"),
            "treated": (3, 1, "cropped,\nCLAHE (C)", "fixed"),
            "network": (4, 1, "network", "learnt"),
            "answers": (5, 1, "five prob-\nabilities", "maps"),
            "scores": (6, 1, "yes from\n0.5: scores", "joined"),
            "heatmap": (5, 0, "heatmap", "maps"),
            "lungs": (6, 0, "share in\nthe lungs", "joined"),
        },
        (("radiograph", "scaled"), ("scaled", "copies"), ("copies", "treated"),
         ("treated", "network"), ("network", "answers"), ("answers", "scores"),
         ("network", "heatmap"), ("heatmap", "lungs")),
    ),
}  # fmt: skip
"""A block of each network, and the way of a radiograph through the study."""

_FILLS = {"maps": "white", "learnt": "#cfe3f2", "fixed": "#e8e8e8", "joined": "#fbe3c0"}
"""What a box is: maps (or a picture), what is learnt, a fixed step, where ways meet."""

_WIDE, _TALL, _PITCH = 0.9, 0.56, 1.24  # inches; a column takes one pitch


def diagram(name):
    """Draws one of `DIAGRAMS`, given by its name."""
    style()
    drawn = DIAGRAMS[name]
    places = {key: (_PITCH * box[0], 0.85 * box[1]) for key, box in drawn.boxes.items()}
    left, right = -0.55, _PITCH * 6 + 0.55  # all are drawn at one scale
    bottom = min(y for _, y in places.values()) - 0.4
    top = max(y for _, y in places.values()) + (0.8 if drawn.over else 0.4)
    figure, axis = plt.subplots(figsize=(WIDTH, WIDTH * (top - bottom) / (right - left)))
    axis.set(xlim=(left, right), ylim=(bottom, top), aspect="equal")
    axis.axis("off")
    patches = {}
    for key, (_, _, text, kind) in drawn.boxes.items():
        x, y = places[key]
        patches[key] = axis.add_patch(FancyBboxPatch(
            (x - _WIDE / 2, y - _TALL / 2), _WIDE, _TALL, boxstyle="round,pad=0.05",
            facecolor=_FILLS[kind], edgecolor="#333333", linewidth=1,
        ))  # fmt: skip
        axis.text(x, y, text, ha="center", va="center", fontsize=8, gid=key)
    ahead = {"arrowstyle": "-|>", "color": "#333333", "shrinkA": 0, "shrinkB": 0}
    for start, end in drawn.arrows:
        ends = {"patchA": patches[start], "patchB": patches[end]}
        axis.annotate("", places[end], places[start], arrowprops=ahead | ends)
    for start, end in drawn.over:
        tops = [np.add(places[key], (0, _TALL / 2 + 0.05)) for key in (end, start)]
        bow = {"connectionstyle": "arc3,rad=-0.18"}
        axis.annotate("", *tops, arrowprops=ahead | bow)
    return closed(figure)


def chest(phantom):
    """Names what a chest radiograph shows, with lines to where it lies in a phantom.

    Args:
        phantom: A `cxrlib.phantom.Phantom` with a mark.
    """
    style()
    size = phantom.size
    middle = np.arange(size) < size / 2
    right, left = phantom.lungs & middle, phantom.lungs & ~middle
    heart = phantom.layers["heart"] > 0.15 * phantom.layers["heart"].max()
    heart &= left  # the lungs' outline goes on behind it
    heart[: int(_centre(left)[1])] = False
    letter = (np.flatnonzero(phantom.marks.any(axis=0))[0], _centre(phantom.marks)[1])
    column = int(_centre(right)[0])
    dome = (column, int(np.flatnonzero(right[:, column])[-1]))
    names = {  # name -> where it is, the side and height where its name stands
        "side letter": (letter, 0, 0.12), "right lung": (_centre(right), 0, 0.42),
        "diaphragm": (dome, 0, 0.78), "left lung": (_centre(left), 1, 0.35),
        "heart": (_centre(heart), 1, 0.62),
    }  # fmt: skip
    figure, axis = plt.subplots(figsize=(WIDTH, 4.2))
    axis.imshow(phantom.image)
    axis.contour(phantom.lungs, [0.5], colors=[MASK_COLOURS["lungs"]], linewidths=1.5)
    axis.axis("off")
    for name, (place, side, height) in names.items():
        axis.annotate(
            name, place, ((1.08 if side else -0.08) * size, height * size), va="center",
            ha="left" if side else "right", annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": "#e69f00", "linewidth": 1.5, "shrinkB": 0},
        )  # fmt: skip
    for x, text in ((0.2, "patient's right"), (0.8, "patient's left")):
        axis.text(x * size, 1.05 * size, text, ha="center", va="top")
    return closed(figure)


def grad_cam(image, features, weights, heatmap):
    """Grad-CAM step by step: image, two maps that speak for it and one against, sum, heatmap.

    Args:
        image: uint8 (H, W, 3), as the network sees it.
        features: float (h, w, n), the final feature map of the image.
        weights: float (n,), what each map counts for the target.
        heatmap: float (H, W) in [0, 1].
    """
    style()
    moved = features.mean(axis=(0, 1)) * weights
    strongest = np.argsort(moved)[[-1, -2, 0]]
    figure, axes = plt.subplots(2, 3, figsize=(WIDTH, 5.6))
    seen, *maps, summed, laid = axes.flat
    seen.imshow(image)
    seen.set_title("1. what the network sees", fontsize=10)
    for axis, n in zip(maps, strongest):
        _cells(axis, features[..., n], "gray", 0)
        axis.set_title(f"2. map {n + 1}, weight {weights[n]:+.2f}".replace("-", "−"), fontsize=10)
    total = features @ weights
    _cells(summed, total, "inferno", min(total.min(), 0))
    summed.set_title("3. all maps, weighted and summed", fontsize=10)
    laid.imshow(heatmaps.overlay(image, heatmap))
    laid.set_title("4. what is above 0, enlarged", fontsize=10)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
        axis.grid(False)
    return closed(figure)


def _cells(axis, values, colours, low):
    """Shows a small map with the number of each cell in it."""
    high = max(np.abs(values).max(), 1e-9)
    axis.imshow(values, cmap=colours, vmin=low, vmax=high)
    for (y, x), value in np.ndenumerate(values):
        text = f"{value:.1f}".replace("-", "−")
        paper = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none"}
        axis.text(x, y, text, ha="center", va="center", fontsize=9, bbox=paper)


def _centre(mask):
    """Returns column and row of a mask's centre."""
    rows, columns = np.nonzero(mask)
    return columns.mean(), rows.mean()
