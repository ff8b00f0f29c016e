"""Models that see no anatomy: how far they get is what a score on a cohort is worth.

An AUC is the share of pairs, one radiograph with the target and one without, that a number puts in
the right order: 0.5 is chance. Its 95 % interval is Newcombe's (2006, method 5) and counts
patients, not radiographs: as many as equally photographed ones would be worth the same (Kish's
effective number). In cross-validation only pairs tested by the same model are compared, and since
the models share training radiographs, patients count as fewer (Nadeau and Bengio 2003). In
simulated studies such intervals held the truth in 92 to 98 of 100, without that correction in 79 to
88. A bootstrap of patients would be too narrow where patients are few: with 12 and an AUC of 0.97
it held the truth in 81 to 85 of 100.

What cannot be computed is NaN, and `note` says why.
"""

import warnings

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from cxrlib import cohort, metrics
from cxrlib.errors import InputError
from cxrlib.targets import TARGETS

EDGE = 64
"""Edge of a thumbnail in pixels."""

BORDER = 4
"""Pixels of a thumbnail's frame: outside the lungs, where letters and collimator edges lie."""

_SUMMARY = ("auc", "low", "high", "radiographs", "positives", "negatives", "note")
_STRENGTH = 0.01  # scikit-learn's C: a thousand pixels, a few dozen patients
_BINS = 32


def features(thumbs, radiographs=None):
    """Returns what each baseline sees: no anatomy, or next to none.

    Args:
        thumbs: uint8 thumbnails (n, 64, 64).
        radiographs: DataFrame of n rows with the facts of the files, or None.

    Returns:
        Dict of name -> float array (n, k): "border" (a frame of 4 px), "thumbnail" (16 by 16 px),
        "histogram" (32 bins, shares) and, where there are files, "metadata": format, colour, size
        in pixels and bytes.
    """
    n = len(thumbs)
    frame = np.ones((EDGE, EDGE), bool)
    frame[BORDER:-BORDER, BORDER:-BORDER] = False
    bins = thumbs.reshape(n, -1) // (256 // _BINS)
    seen = {
        "border": thumbs[:, frame].astype(float),
        "thumbnail": thumbs.reshape(n, 16, EDGE // 16, 16, EDGE // 16).mean((2, 4)).reshape(n, -1),
        "histogram": np.stack([(bins == b).mean(axis=1) for b in range(_BINS)], axis=1),
    }
    if radiographs is not None and radiographs["bytes"].notna().any():
        # Sizes differ by factors, so their logarithms are what a linear model can weigh.
        sizes = np.log(radiographs[["width", "height", "bytes", "bytes_per_pixel"]])
        kinds = pd.get_dummies(radiographs[["format", "mode"]])
        seen["metadata"] = np.column_stack([sizes, kinds]).astype(float)
    return seen


def by_patient(radiographs, n=5):
    """Folds for cross-validation: no patient and no publication is on both sides of one.

    Args:
        radiographs: A cohort.
        n: Folds; fewer where there are too few patients to fill them.

    Returns:
        List of (train, test), int arrays of row numbers, groups in proportion as far as whole
        patients allow; every row is tested once. Empty for a single patient. The rows' order plays
        no part.
    """
    clusters, groups = _clusters(radiographs), radiographs["group"]
    n = min(n, len(np.unique(clusters)), groups.value_counts().max() if len(groups) else 0)
    if n < 2:
        return []
    with warnings.catch_warnings():
        # A group with fewer radiographs than folds is absent from some, which `measure` allows for.
        warnings.filterwarnings("ignore", message="The least populated class")
        folds = StratifiedGroupKFold(n).split(groups, groups, clusters)
        return [(train, test) for train, test in folds if len(train) and len(test)]


def given(radiographs):
    """Returns a cohort's own split as a single fold: its train rows and its test rows.

    Raises:
        InputError: The cohort has no column split.
    """
    if "split" not in radiographs:
        raise InputError("the cohort has no column split: split it, or test it by patient")
    return [tuple(np.flatnonzero(radiographs["split"] == name) for name in ("train", "test"))]


def measure(seen, radiographs, folds=None):
    """Measures how well models without anatomy tell the targets: logistic regressions.

    Inputs are standardised, classes weighted to balance, C fixed at 0.01.

    Args:
        seen: Name -> array (n, k) that a model sees, as `features` returns.
        radiographs: A cohort of n rows.
        folds: List of (train, test) row numbers: `by_patient` (None) or `given`.

    Returns:
        DataFrame: features, target, auc, low, high, radiographs (compared), positives, negatives
        (the independent patients they show), note.
    """
    folds = by_patient(radiographs) if folds is None else folds
    clusters, rows = _clusters(radiographs), []
    for name, values in seen.items():
        for target in TARGETS:
            positive = radiographs[target].to_numpy() == 1
            tested = _tested(values, positive, folds)
            note = undefined(positive, target)
            result = _summary(tested, positive, clusters, _overlap(folds), note)
            rows.append({"features": name, "target": target, **result})
    return pd.DataFrame(rows, columns=["features", "target", *_SUMMARY])


def origin(seen, radiographs, folds=None):
    """Measures how well models without anatomy tell where a radiograph comes from.

    Args:
        seen: As `measure` takes them.
        radiographs: A cohort of n rows.
        folds: As `measure` takes them.

    Returns:
        DataFrame: features, source (told from the others), compared, auc, low, high, radiographs,
        positives, negatives, note. Compared are "all" radiographs, and those "within a group":
        only the latter cannot be told by the disease. Where the group settles the source, as in
        CoronaHack, the first is confounded, the second undefined (NaN), and the note says so. With
        one source both are undefined.
    """
    folds = by_patient(radiographs) if folds is None else folds
    sources, groups = radiographs["source"], radiographs["group"].to_numpy()
    names = sorted(set(sources))
    settled = bool((sources.groupby(groups).nunique() < 2).all())
    clusters, rows = _clusters(radiographs), []
    for name, values in seen.items():
        for source in names[:1] if len(names) < 3 else names:
            positive = (sources == source).to_numpy()
            alone = "" if len(names) > 1 else "undefined: one source"
            tested = _tested(values, positive, folds)
            for compared, parts, note in (
                ("all", tested, "confounded: the group settles the source"),
                ("within a group", _apart(tested, groups), "undefined: no group has two sources"),
            ):
                note = alone or note * settled
                result = _summary(parts, positive, clusters, _overlap(folds), note)
                rows.append({"features": name, "source": source, "compared": compared, **result})
    return pd.DataFrame(rows, columns=["features", "source", "compared", *_SUMMARY])


def undefined(positive, target):
    """Returns why nothing can be measured where all answers are the same, or ""."""
    if positive.any() and not positive.all():
        return ""
    return f"undefined: {'every' if len(positive) and positive.all() else 'no'} {target} radiograph"


def _concordant(positive, score):
    """Counts the pairs in the right order (a tie is half of one), and all pairs."""
    yes = int(positive.sum())
    right = rankdata(score)[positive].sum() - yes * (yes + 1) / 2
    return right, yes * (len(positive) - yes)


def _clusters(radiographs):
    """Returns the cluster of each radiograph: its patient, or what shares a publication with it."""
    known = "publication" in radiographs
    return (cohort.clusters(radiographs) if known else radiographs["patient"]).to_numpy()


def _tested(values, positive, folds):
    """Trains and tests on every fold that has both answers in training: (rows, scores) of each."""
    model = make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True),
        StandardScaler(),
        LogisticRegression(C=_STRENGTH, class_weight="balanced", max_iter=1000),
    )
    # Beside a training, two threads of so short a computation wait for each other a hundred times
    # as long as one takes.
    with threadpool_limits(1, "blas"):
        return [
            (test, model.fit(values[train], positive[train]).decision_function(values[test]))
            for train, test in folds
            if len(test) and len(np.unique(positive[train])) == 2
        ]


def _apart(tested, groups):
    """Parts what was tested by group, so that only radiographs of one group are compared."""
    return [
        (rows[groups[rows] == group], scores[groups[rows] == group])
        for rows, scores in tested
        for group in np.unique(groups[rows])
    ]


def _overlap(folds):
    """Returns Nadeau and Bengio's (2003) factor: variance with shared training data to without."""
    return 1 + sum(len(test) / len(train) for train, test in folds) if len(folds) > 1 else 1


def _summary(tested, positive, clusters, overlap, note):
    """Sums up what was tested: AUC, interval, who was behind it."""
    counts = [_concordant(positive[rows], scores) for rows, scores in tested]
    right, pairs = np.sum([(0, 0), *counts], axis=0)
    compared = [rows for (rows, _), (_, n) in zip(tested, counts) if n]
    rows = np.concatenate([np.zeros(0, int), *compared])
    sides = clusters[rows[positive[rows]]], clusters[rows[~positive[rows]]]
    auc = right / pairs if pairs else np.nan
    # A cluster of thirty weighs more than one of one, so clusters are worth fewer than there are.
    sizes = (np.unique(side, return_counts=True)[1] for side in sides)
    low, high = metrics.auc_interval(auc, *(metrics.kish(size) / overlap for size in sizes))
    if np.isnan(auc):
        note = note or "undefined: no fold has both answers in training and test"
    yes, no = (len(np.unique(side)) for side in sides)
    return dict(zip(_SUMMARY, (auc, low, high, len(rows), yes, no, note)))
