"""Tables for the book: tidy frames in, frames of text out, and one that is shown numbered.

Nothing here trains. Captions stand in the chapters: `Table(overall(runs), caption, "tab-x")`.

scored      how networks scored
looks       where they look, and what their answers hang on
elsewhere   what they are worth on radiographs from elsewhere
made        what a study was made of
shown       a table as the book shows it
"""

from cxrlib.pages.tables.elsewhere import aucs, called, external, findings, scores, shares
from cxrlib.pages.tables.looks import (
    attention,
    likeness,
    marks_changed,
    marks_scored,
    occlusion,
    over_seeds,
    recovery,
)
from cxrlib.pages.tables.made import (
    arms,
    benchmarks,
    cohort,
    growth,
    leakage,
    precisions,
    profile,
    setup,
    versions,
)
from cxrlib.pages.tables.scored import (
    calibrations,
    differences,
    impossible,
    overall,
    per_target,
    predictive_values,
    seeds,
    splits,
    thresholds,
    verdicts,
)
from cxrlib.pages.tables.shown import Table

__all__ = [
    "calibrations",
    "differences",
    "impossible",
    "overall",
    "per_target",
    "predictive_values",
    "seeds",
    "splits",
    "thresholds",
    "verdicts",
    "attention",
    "likeness",
    "marks_changed",
    "marks_scored",
    "occlusion",
    "over_seeds",
    "recovery",
    "aucs",
    "called",
    "external",
    "findings",
    "scores",
    "shares",
    "arms",
    "benchmarks",
    "cohort",
    "growth",
    "leakage",
    "precisions",
    "profile",
    "setup",
    "versions",
    "Table",
]
