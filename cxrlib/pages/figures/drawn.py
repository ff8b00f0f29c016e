"""What all figures share: their ground, colours and sizes, and how one is handed over."""

import itertools

import matplotlib.pyplot as plt
import seaborn as sns
from IPython import get_ipython
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PathCollection
from matplotlib.lines import Line2D
from matplotlib_inline.backend_inline import set_matplotlib_formats

from cxrlib.networks import ARCHITECTURES
from cxrlib.study.experiments import EXPERIMENTS

ARM_COLOURS = {
    (name, weights): colour
    for name, row in ARCHITECTURES.items()
    for weights, colour in zip(("none", "imagenet"), row.colours)
}
GROUP_COLOURS = {
    "normal": "#888888",
    "virus": "#bbcc33",
    "bacteria": "#ffaabb",
    "covid": "#ee3377",
    "other": "#44bb99",
}
SPLIT_COLOURS = {"train": "#4c6a85", "validation": "#9fb4c7", "test": "#e0a458"}
MASK_COLOURS = {"lungs": "#56b4e9", "lesions": "#e69f00", "marks": "#00c78c", "devices": "#e377c2"}
_VARIANT_COLOURS = {"A-cropped": "#56b4e9", "C-uncropped": "#cc79a7"}
EXPERIMENT_COLOURS = dict(sorted({
    **_VARIANT_COLOURS, **{name: experiment.colour for name, experiment in EXPERIMENTS.items()},
}.items()))  # fmt: skip
CHANGE_COLOURS = {
    "lesion removed": "#e69f00",
    "mark removed": "#00a878",
    "mark moved": "#56b4e9",
    "mark reversed": "#0b6e4f",
}
DASHES = dict(zip(ARCHITECTURES, itertools.cycle(((4, 1.5), (6, 1.5, 1, 1.5), ()))))
"""Of the lines of each architecture, where the colour is the experiment's."""

WIDTH = 8.0
"""Inches: what the book's column shows without shrinking the letters."""

DENSE = 400
"""Dots of one kind from which on they are drawn as pixels: as shapes they would weigh more."""


def style():
    """Sets the look of every figure: white ground, so that dark mode changes no colour.

    Notebooks show figures as SVG, whose lines and letters are sharp on any screen and on paper.
    """
    sns.set_theme(style="whitegrid", context="notebook", font_scale=0.9)
    plt.rcParams.update(
        {
            "figure.dpi": 110,
            "savefig.bbox": "tight",
            "figure.facecolor": "white",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "figure.constrained_layout.use": True,
            "text.parse_math": False,  # a $ in a file's name is no formula
            "svg.hashsalt": "cxrlib",  # the same figure twice is the same file
        }
    )
    if get_ipython():
        set_matplotlib_formats("svg", metadata={"Date": None})


def heat_bar(figure, axes):
    """Says beside heatmaps what their colours mean."""
    colours = ScalarMappable(plt.Normalize(0, 1), "inferno")
    bar = figure.colorbar(colours, ax=axes, shrink=0.6, ticks=[0, 1], aspect=30)
    bar.ax.set_yticklabels(["0", "most"], fontsize=9)


def closed(figure):
    """Returns the figure without leaving it open: a notebook would show it twice.

    Images in it keep about the pixels that they have; dense dots become twice as many as the
    screen's, and all else stays lines and letters.
    """
    plt.close(figure)
    dense = figure.findobj(_is_dense)
    for dots in dense:
        dots.set_rasterized(True)
    if dense:
        figure.set_dpi(2 * plt.rcParams["figure.dpi"])
    return figure


def _is_dense(artist):
    """Returns whether something drawn is a cloud of dots."""
    if isinstance(artist, PathCollection):
        return len(artist.get_offsets()) > DENSE
    marked = isinstance(artist, Line2D) and artist.get_marker() not in ("None", None, "", " ")
    return marked and len(artist.get_xdata()) > DENSE
