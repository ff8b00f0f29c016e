"""Is one arm better than another? Arms are compared on the same radiographs, patient by patient.

Two arms that saw the same radiographs fail on the same ones, so the interval is that of their
difference over resampled patients, which is narrower than two intervals side by side suggest.
Whether there is a difference at all is tested by swapping: were the arms equally good, it would not
matter which of them gave which answers on a patient. Where every patient has one radiograph that is
McNemar's test of the accuracy; McNemar's own would take copies of one radiograph, and several of
one patient, for independent.
"""

from functools import partial
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.stats import t as student
from statsmodels.stats.multitest import multipletests

from cxrlib import metrics
from cxrlib.errors import InputError
from cxrlib.targets import TARGETS

COMPARED = (("all", "accuracy"), ("all", "macro_f1"), ("COVID", "auc"))
"""What `table` compares: target and metric."""

SWAPS = 10_000
"""Random swaps behind a p-value, drawn with a fixed seed: none is below 1 in 10,001."""

VERDICTS = ("better", "worse", "no difference shown")

_KEYS = ["file", "copy"]
_METRICS = [metric for _, metric in metrics.NAMES]
_SAME = 1e-12  # differences below this are rounding
_BLOCK = 1000  # swaps held at once


def paired(a, b, *, names=("a", "b"), threshold=0.5, level=0.95):
    """Compares two arms on the same radiographs.

    Args:
        a, b: DataFrames with file, copy, patient, y_* and p_* columns, one split of one run; rows
            in any order.
        names: What the arms are called in errors.
        threshold: As `metrics.evaluate` takes it.
        level: Coverage of the intervals.

    Returns:
        DataFrame: target, metric, a, b, difference (a − b), low, high, p, n; rows as
        `metrics.NAMES`. low and high are the bootstrap interval over resampled patients
        (`metrics.percentiles`): NaN where the difference is undefined or the same in all resamples
        (the arms never differ). p is two-sided and takes patients for independent: it is from
        10,000 random swaps of the arms patient by patient; of AUC and average precision from the
        difference over its jackknife error (of an AUC that is DeLong's test with Obuchowski's
        (1997) clusters, but for terms that vanish with n). n is the patients.

    Raises:
        InputError: The arms were not tested on the same radiographs, or as `metrics.evaluate`.
    """
    a, b = _aligned(a, b, names)
    truth, score_a, patients = metrics.arrays(a)
    truth, score_a, answer_a = metrics.checked(truth, score_a, threshold)
    _, score_b, answer_b = metrics.checked(truth, metrics.arrays(b)[1], threshold)
    codes = metrics.coded(patients, len(truth))
    n = codes.max() + 1
    one = partial(metrics.measures, truth, score_a, answer_a, codes)
    other = partial(metrics.measures, truth, score_b, answer_b, codes)
    value, drawn, left_out = metrics.resample(lambda w: one(w) - other(w), n)
    low, high = metrics.percentiles(value, drawn, left_out, level).T
    counts = [metrics.tallies(truth, answer, codes) for answer in (answer_a, answer_b)]
    ranked = np.isin(_METRICS, ("auc", "average_precision"))  # no sum of counts
    p = np.where(ranked, _by_error(value, left_out), _by_swapping(*counts))
    every = np.ones((1, n))
    columns = {"a": one(every)[0], "b": other(every)[0], "difference": value, "low": low}
    columns |= {"high": high, "p": p, "n": n}
    return pd.DataFrame(metrics.NAMES, columns=["target", "metric"]).assign(**columns)


def table(predictions, *, measures=COMPARED, threshold=0.5, level=0.95):
    """Compares every arm with every other.

    Args:
        predictions: Dict of arms' names and predictions, as `paired` takes them; two or more.
        measures: Pairs of target ("all" for overall) and metric, as `metrics.NAMES` has them.
        threshold: As `metrics.evaluate` takes it.
        level: Coverage of the intervals; a verdict wants p_holm below 1 − level.

    Returns:
        DataFrame: a, b (the arms), target, metric, value_a, value_b, difference, low, high, p,
        p_holm, verdict; a row for each pair and measure. p_holm is p corrected for all rows (Holm
        1979): the chance that any of the table's differences is a false one stays below 1 − level.
        verdict is about a: "better", "worse" or "no difference shown" (which is not "the same").

    Raises:
        InputError: Fewer than two arms, an unknown measure, or as `paired`.
    """
    if len(predictions) < 2:
        raise InputError(f"{len(predictions)} arm to compare: give two or more")
    for name in measures:
        if tuple(name) not in metrics.NAMES:
            raise InputError(f"unknown measure {' '.join(name)!r}: see metrics.NAMES")
    wanted = pd.DataFrame(list(measures), columns=["target", "metric"])
    parts = []
    for a, b in combinations(predictions, 2):
        found = paired(
            predictions[a], predictions[b], names=(a, b), threshold=threshold, level=level
        ).rename(columns={"a": "value_a", "b": "value_b"})
        parts.append(wanted.merge(found, on=["target", "metric"]).assign(a=a, b=b))
    rows = pd.concat(parts, ignore_index=True)
    known = rows["p"].notna()
    rows["p_holm"] = np.nan
    if known.any():
        rows.loc[known, "p_holm"] = multipletests(rows.loc[known, "p"], method="holm")[1]
    gain = rows["difference"].where(rows["metric"] != "hamming_loss", -rows["difference"])
    shown = rows["p_holm"] < 1 - level
    rows["verdict"] = np.select([shown & (gain > 0), shown & (gain < 0)], VERDICTS[:2], VERDICTS[2])
    kept = ["a", "b", "target", "metric", "value_a", "value_b", "difference", "low", "high"]
    return rows[[*kept, "p", "p_holm", "verdict"]]


def difference(ours, theirs):
    """Subtracts a measure of another study, of which only an interval is known, from ours.

    The interval is put together from the two studies' own (MOVER: Newcombe 1998, Zou and Donner
    2008), so it is as honest as they are. It takes the studies for independent: where both tested
    the same radiographs, it is too wide.

    Args:
        ours, theirs: Value, lower and upper end of each.

    Returns:
        Ours less theirs, lower end, upper end; NaN where an end that is needed is NaN.
    """
    (value, low, high), (other, other_low, other_high) = ours, theirs
    less = value - other
    return (
        less,
        less - np.hypot(value - low, other_high - other),
        less + np.hypot(high - value, other - other_low),
    )


def _aligned(a, b, names):
    """Puts b's rows in a's order."""
    a, b = (_keyed(predictions, name) for predictions, name in zip((a, b), names))
    for one, other, (has, lacks) in ((a, b, names), (b, a, names[::-1])):
        only = one.index.difference(other.index)
        if len(only):
            raise InputError(
                f"{has} and {lacks} were tested on different radiographs ({_called(only[0])} only "
                f"in {has}): compare arms of one cohort, split and experiment"
            )
    b = b.loc[a.index]
    for column in ["patient", *(f"y_{target}" for target in TARGETS)]:
        differs = (a[column] != b[column]).to_numpy()
        if differs.any():
            raise InputError(
                f"{names[0]} and {names[1]} disagree on {column} of {_called(a.index[differs][0])}:"
                " make both runs from one cohort"
            )
    return a, b


def _keyed(predictions, name):
    missing = [column for column in _KEYS if column not in predictions]
    if missing:
        raise InputError(f"the predictions of {name} have no column {missing[0]!r}")
    metrics.arrays(predictions)
    if "split" in predictions and predictions["split"].nunique() > 1:
        raise InputError(f"the predictions of {name} mix splits: take the test rows only")
    keyed = predictions.set_index(_KEYS)
    twice = keyed.index[keyed.index.duplicated()]
    if len(twice):
        raise InputError(f"the predictions of {name} hold {_called(twice[0])} twice")
    return keyed


def _called(key):
    file, copy = key
    return f"{file}, copy {copy}" if copy else str(file)


def _by_error(value, left_out):
    """Returns p-values of differences by jackknife errors, 1 where the arms never differ."""
    parts = len(left_out)
    pull = left_out - left_out.mean(axis=0)
    error = np.sqrt((parts - 1) / parts * (pull**2).sum(axis=0))
    known = error > _SAME
    p = 2 * student.sf(np.abs(value) / np.where(known, error, 1), max(parts - 1, 1))
    return np.where(known, p, np.where(np.abs(value) < _SAME, 1.0, np.nan))


def _by_swapping(a, b):
    """Returns p-values of `metrics.NAMES` from the tallies (groups, 22) of two arms."""
    observed = np.abs(
        np.subtract(*(metrics.of_tallies(part.sum(axis=0)[None])[0] for part in (a, b)))
    )
    total = a.sum(axis=0) + b.sum(axis=0)
    rng = np.random.default_rng(0)
    reached = np.zeros(len(observed))
    for _ in range(SWAPS // _BLOCK):
        stay = rng.integers(0, 2, (_BLOCK, len(a)))
        one = stay @ (a - b) + b.sum(axis=0)
        swapped = metrics.of_tallies(one) - metrics.of_tallies(total - one)
        # A swap that leaves a measure undefined counts against a difference.
        reached += (~(np.abs(swapped) < observed - _SAME)).sum(axis=0)
    return np.where(np.isnan(observed), np.nan, (reached + 1) / (SWAPS + 1))
