"""Figures for the book, from frames and arrays. They never train and read no network.

made        what a study was made of
scored      how training went and how networks scored
looks       where they look, and what their answers hang on
drawn       what all figures share: ground, colours, sizes
"""

from cxrlib.pages.figures.drawn import closed, heat_bar, style
from cxrlib.pages.figures.looks import (
    attention,
    cascade,
    changes,
    gallery,
    gaps,
    honesty,
    layer_choice,
    occlusion,
)
from cxrlib.pages.figures.made import baselines, confounders, groups, layers, sheet, target_counts
from cxrlib.pages.figures.scored import (
    comparison,
    decision,
    reliability,
    restated,
    roc,
    scores,
    training_curves,
)

__all__ = [
    "baselines",
    "confounders",
    "groups",
    "layers",
    "sheet",
    "target_counts",
    "comparison",
    "decision",
    "reliability",
    "restated",
    "roc",
    "scores",
    "training_curves",
    "attention",
    "cascade",
    "changes",
    "gallery",
    "gaps",
    "honesty",
    "layer_choice",
    "occlusion",
    "closed",
    "heat_bar",
    "style",
]
