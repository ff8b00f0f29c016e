"""Intervals that count what is independent: patients, not radiographs.

Radiographs of one patient (and copies of one radiograph) are not independent, and twelve patients
are few. Intervals were therefore tried in simulated studies, where the truth is known
(tests/test_coverage.py repeats some); these covered it in nearest to 95 of 100 studies:

- Of a proportion (accuracy, precision, recall, specificity) Wilson's (1927) or Clopper and
  Pearson's (1934) with the *effective* number of radiographs (`effective`): 92 to 98 of 100. With
  twelve patients of twelve copies each among three hundred radiographs, a plain count of patients
  held it in 74 to 98 of 100, one of radiographs in 65 to 91.
- F1 is 2J/(1+J) of a proportion, Jaccard's J = tp/(tp+fp+fn); so are its ends.
- Balanced accuracy and macro averages are means: their parts' ends are joined (Zou and Donner
  2008), with the correlation of the parts in the bootstrap: 91 to 99 of 100. The bootstrap alone
  held the macro averages in 87 to 94, and leaves no doubt about a part that is perfect.
- Of an AUC Newcombe's (2006, method 5) with effective numbers, sound also at 0 and 1: 94 to 100 of
  100. The bootstrap held it in 74 to 92 where twelve patients carry the target.
- Of Hamming loss and average precision, and of what is compared between arms: the percentiles of a
  bootstrap of whole groups, taken further out where few groups matter (`percentiles`): 92 to 97 of
  100, of an average precision near 1 with twelve patients 88 to 94. Plain percentiles held it in 80
  to 94, the bias-corrected and accelerated bootstrap in 87 to 94, and of differences in 78 to 95.
"""

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.stats import norm, rankdata
from scipy.stats import t as student
from statsmodels.stats.proportion import proportion_confint

from cxrlib.errors import InputError

REPLICATES = 2000
"""Of a bootstrap; drawn with a fixed seed, so that a table can be made again."""

LEFT_OUT = 500
"""Most parts that are left out, one at a time, to see how many groups matter to a measure."""

_STATSMODELS = {"wilson": "wilson", "clopper-pearson": "beta"}  # its names for the intervals
_SAME = 1e-12  # measures closer than this differ by rounding only
_UNDEFINED = 0.1  # of the resamples may leave a measure undefined


def coded(groups, n):
    """Numbers the groups of n rows from 0.

    Args:
        groups: n labels of any kind; None: every row is a group.
        n: Rows.

    Returns:
        Integer array (n,).

    Raises:
        InputError: Not one label a row, or a label is missing.
    """
    if groups is None:
        return np.arange(n)
    if len(groups) != n:
        raise InputError(f"{len(groups)} groups for {n} rows: give one a row")
    groups = pd.Series(list(groups), dtype=object)
    missing = groups.isna() | (groups == "")
    if missing.any():
        raise InputError(f"row {missing.argmax()} has no group: name its patient")
    return pd.factorize(groups)[0]


def sum_groups(values, codes):
    """Adds up the rows of each group.

    Args:
        values: Array (n, k).
        codes: Integer array (n,), the group of each row, as `coded` returns them.

    Returns:
        float64 array (groups, k).
    """
    sums = np.zeros((codes.max() + 1, values.shape[1]))
    np.add.at(sums, codes, values)
    return sums


def resample(statistic, n):
    """Computes measures anew with groups drawn again, and with groups left out.

    Args:
        statistic: Turns weights (k, n) of the groups into measures (k, m).
        n: Groups.

    Returns:
        The measures (m,); of 2,000 bootstrap replicates, which draw the groups again (2000, m); and
        with each of at most 500 equal parts of the groups left out (parts, m). The same each time.
    """
    rng = np.random.default_rng(0)
    replicates = statistic(rng.multinomial(n, np.full(n, 1 / n), size=REPLICATES))
    part = rng.permutation(n) % min(n, LEFT_OUT)
    left_out = statistic((part != np.arange(part.max() + 1)[:, None]).astype(float))
    return statistic(np.ones((1, n)))[0], replicates, left_out


def percentiles(value, replicates, left_out, level=0.95):
    """Expanded percentile intervals (Hesterberg 2015) of m measures.

    Percentiles of the bootstrap are too narrow where few groups matter. So they are taken at the
    tails that Student's t has beyond the normal, with as many degrees of freedom as groups matter
    to the measure: Kish's effective number of what leaving each out changes, squared.

    Args:
        value, replicates, left_out: As `resample` returns them.
        level: Coverage.

    Returns:
        float64 array (m, 2), lower and upper ends. NaN where the measure is undefined, undefined in
        more than a tenth of the resamples, or the same in all of them.
    """
    tails = norm.cdf(np.outer(student.ppf(_upper(level), degrees_of_freedom(left_out)), [-1, 1]))
    ends = np.full((len(value), 2), np.nan)
    for i, column in enumerate(replicates.T):
        defined = column[~np.isnan(column)]
        enough = len(defined) >= (1 - _UNDEFINED) * len(column)
        if enough and not np.isnan(value[i]) and np.ptp(defined) > _SAME:
            ends[i] = np.quantile(defined, tails[i])
    return ends


def degrees_of_freedom(left_out):
    """Returns the degrees of freedom of m measures: how many groups matter to each.

    Args:
        left_out: As `resample` returns it.

    Returns:
        float64 array (m,), at least 1.
    """
    known = ~np.isnan(left_out)
    mean = np.nan_to_num(left_out).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return np.maximum(kish(np.where(known, left_out - mean, 0) ** 2), 1)


def kish(weights):
    """Returns Kish's (1965) effective number: how many equal ones weigh as much as unequal ones.

    Args:
        weights: Array (n,) or (n, m), not negative.

    Returns:
        (Σ w)² / Σ w², a number or an array (m,); 0 where nothing weighs anything.
    """
    weights = np.asarray(weights, dtype=float)
    return weights.sum(axis=0) ** 2 / np.maximum((weights**2).sum(axis=0), 1e-300)


def effective(values, groups):
    """Returns the effective number of radiographs: how many independent ones are worth as much.

    n / (1 + (m − 1)·r), with m the mean size of a radiograph's group and r the likeness of
    radiographs of one group (intraclass correlation, by analysis of variance; Donner and Klar
    2000). Two made-up radiographs, one right and one wrong, are added to estimate r, as Wilson's
    interval adds some to estimate a proportion: few groups that are all right say little about how
    alike their radiographs are.

    Args:
        values: Array (n,) in [0, 1]: right or wrong, say.
        groups: Array (n,) of integers from 0.

    Returns:
        A number between the groups' effective number, (Σ size)² / Σ size², and n; 0 for none.
    """
    values = np.asarray(values, dtype=float)
    if len(values) == 0:
        return 0.0
    _, groups, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    mean_size = (sizes**2).sum() / sizes.sum()
    if mean_size == 1:
        return float(len(values))
    x, codes = np.append(values, [0, 1]), np.append(groups, groups.max() + np.arange(1, 3))
    sizes, sums = np.bincount(codes), np.bincount(codes, x)
    n, k = len(x), len(sizes)
    within = ((x - (sums / sizes)[codes]) ** 2).sum() / (n - k)
    between = (sizes * (sums / sizes - x.mean()) ** 2).sum() / (k - 1)
    size = (n - (sizes**2).sum() / n) / (k - 1)
    alike = np.clip((between - within) / (between + (size - 1) * within), 0, 1)
    return float(len(values) / (1 + (mean_size - 1) * alike))


def proportion(value, n, interval="wilson", level=0.95):
    """Wilson's (1927) or Clopper and Pearson's (1934) interval of a proportion of n units.

    Args:
        value: The proportion, in [0, 1]; value · n need not be whole.
        n: Independent units behind it; need not be whole.
        interval: "wilson" or "clopper-pearson".
        level: Coverage.

    Returns:
        Lower and upper end, both NaN where nothing was counted.

    Raises:
        InputError: Another interval.
    """
    if interval not in _STATSMODELS:
        raise InputError(f"unknown interval {interval!r}: expected wilson or clopper-pearson")
    if n == 0 or np.isnan(value):
        return np.nan, np.nan
    low, high = proportion_confint(
        value * n, n, alpha=2 - 2 * _upper(level), method=_STATSMODELS[interval]
    )
    return min(float(low), value), max(float(high), value)  # rounding may miss 0 and 1


def share(hits, groups=None, interval="wilson", level=0.95):
    """Measures how many radiographs are hits, with an interval that counts groups.

    Args:
        hits: n times yes or no (0, 1 or bool).
        groups: n labels of what is independent; None: every radiograph is.
        interval: "wilson" or "clopper-pearson".
        level: Coverage.

    Returns:
        Share, lower end, upper end; all NaN where n is 0.

    Raises:
        InputError: As `coded`.
    """
    hits = np.asarray(hits, dtype=float)
    codes = coded(groups, len(hits))
    value = hits.mean() if len(hits) else np.nan
    return (value, *proportion(value, effective(hits, codes), interval, level))


def average(values, groups=None, level=0.95):
    """Averages numbers, with an interval that resamples groups.

    Args:
        values: n numbers, or an array (n, k) of them.
        groups: n labels of what is independent; None: every row is.
        level: Coverage.

    Returns:
        Mean, lower end, upper end: a number each, or an array (k,) each. The ends are NaN where all
        numbers are the same; all is NaN where n is 0.

    Raises:
        InputError: As `coded`.
    """
    values = np.asarray(values, dtype=float)
    if len(values) == 0:
        return (np.full(values.shape[1:], np.nan)[()],) * 3
    codes = coded(groups, len(values))
    sums = sum_groups(np.column_stack([values, np.ones(len(values))]), codes)

    def means(weights):
        total = weights @ sums
        with np.errstate(invalid="ignore"):  # one group left out of one
            return total[:, :-1] / total[:, -1:]

    found = resample(means, len(sums))
    parts = (found[0], *percentiles(*found, level).T)
    return parts if values.ndim > 1 else tuple(float(part[0]) for part in parts)


def auc(truth, score, groups=None, level=0.95):
    """Measures how well scores put radiographs in order, with an interval that counts groups.

    Args:
        truth: n times yes or no (0, 1 or bool).
        score: n numbers, higher for a likelier yes.
        groups: n labels of what is independent; None: every radiograph is.
        level: Coverage.

    Returns:
        AUC, lower end, upper end (`auc_interval`, with effective numbers); all NaN unless there is
        a yes and a no.

    Raises:
        InputError: As `coded`.
    """
    truth, score = np.asarray(truth) == 1, np.asarray(score, dtype=float)
    codes = coded(groups, len(truth))
    if not truth.any() or truth.all():
        return np.nan, np.nan, np.nan
    ranks, kinds = rankdata(score), (truth, ~truth)
    # Of each radiograph, the share of the other kind that lies below it.
    below = [(ranks[kind] - rankdata(score[kind])) / (~kind).sum() for kind in kinds]
    units = [effective(values, codes[kind]) for values, kind in zip(below, kinds)]
    value = below[0].mean()
    return (value, *auc_interval(value, *units, level))


def auc_interval(auc, positives, negatives, level=0.95):
    """Newcombe's (2006, method 5) interval of an AUC, sound also where it is 0 or 1.

    Args:
        auc: In [0, 1].
        positives: Independent units with the target; need not be whole.
        negatives: Independent units without it.
        level: Coverage.

    Returns:
        Lower and upper end; both NaN where the AUC is.
    """
    if np.isnan(auc):
        return np.nan, np.nan
    z, mean = norm.ppf(_upper(level)), (positives + negatives) / 2

    def low(value):
        def off(t):  # how far, in variances, the value lies from a true AUC of t
            spread = 1 + (mean - 1) * ((1 - t) / (2 - t) + t / (1 + t))
            return (value - t) ** 2 * positives * negatives / (t * (1 - t) * spread) - z**2

        nearly_0, end = 1e-9, min(value, 1 - 1e-9)
        return brentq(off, nearly_0, end) if end > nearly_0 and off(nearly_0) > 0 else 0.0

    return low(auc), 1 - low(1 - auc)


def averaged(parts, alike):
    """Joins intervals into that of their mean (Zou and Donner 2008).

    Args:
        parts: k times value, lower end, upper end.
        alike: Array (k, k), the correlation of the parts.
    """
    value, low, high = np.transpose(parts)
    below, above = value - low, high - value
    squares = [below @ alike @ below, above @ alike @ above]
    halves = np.sqrt(np.maximum(squares, 0)) / len(value)  # below 0 by rounding only
    return value.mean() - halves[0], value.mean() + halves[1]


def _upper(level):
    """Returns the share of a distribution below the upper end of an interval."""
    if not 0 < level < 1:
        raise InputError(f"level {level} is no share: give one between 0 and 1, such as 0.95")
    return 0.5 + level / 2


def wald(value, n, level):
    """Returns the ends of Wald's interval, the paper's, of a measure that n units stand behind."""
    if n == 0 or np.isnan(value):
        return np.nan, np.nan
    half = norm.ppf(_upper(level)) * np.sqrt(value * (1 - value) / n)
    return value - half, value + half
