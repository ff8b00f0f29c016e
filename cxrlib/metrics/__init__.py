"""The paper's measures and those that it leaves out, with intervals that know what is independent.

Measures of the whole answer (target "all"): accuracy ("harsh": all five targets right),
macro_precision, macro_recall, macro_f1, hamming_loss. Per target: precision, recall, f1,
specificity, balanced_accuracy, auc and average_precision; the last two need no threshold.

Radiographs of one patient (and copies of one radiograph) are not independent, and twelve patients
are few. Intervals were therefore tried in simulated studies, where the truth is known
(tests/test_coverage.py repeats some); these held it most nearly in 95 of 100:

- Of a proportion (accuracy, precision, recall, specificity) Wilson's (1927) or Clopper and
  Pearson's (1934) with the *effective* number of radiographs (`effective`): 92 to 98 of 100. With
  twelve patients of twelve copies each among three hundred radiographs, a plain count of patients
  held it in 74 to 98 of 100, one of radiographs in 65 to 91.
- F1 is 2J/(1+J) of a proportion, Jaccard's J = tp/(tp+fp+fn); so are its ends.
- Balanced accuracy and macro averages are means: their parts' ends are joined (Zou and Donner
  2008), with the correlation of the parts in the bootstrap: 91 to 99 of 100. The bootstrap alone
  held the macro averages in 87 to 94, and knows no doubt about a part that is perfect.
- Of an AUC Newcombe's (2006, method 5) with effective numbers, sound also at 0 and 1: 94 to 100 of
  100. The bootstrap held it in 74 to 92 where twelve patients carry the target.
- Of Hamming loss and average precision, and of what is compared between arms: the percentiles of a
  bootstrap of whole groups, taken further out where few groups matter (`percentiles`): 92 to 97 of
  100, of an average precision near 1 with twelve patients 88 to 94. Plain percentiles held it in 80
  to 94, the bias-corrected and accelerated bootstrap in 87 to 94, and of differences in 78 to 95.
"""

from functools import partial

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.stats import norm, rankdata
from scipy.stats import t as student
from statsmodels.stats.proportion import proportion_confint

from cxrlib.errors import InputError
from cxrlib.targets import TARGETS

INTERVALS = ("wald", "wilson", "clopper-pearson", "bootstrap")
OVERALL = ("accuracy", "macro_precision", "macro_recall", "macro_f1", "hamming_loss")
PER_TARGET = ("precision", "recall", "f1")
"""What the paper prints of each target."""

UNPRINTED = ("specificity", "balanced_accuracy", "auc", "average_precision")
"""What the paper does not print of each target."""

NAMES = tuple(
    [("all", metric) for metric in OVERALL]
    + [
        (target, metric)
        for kept in (PER_TARGET, UNPRINTED)
        for target in TARGETS
        for metric in kept
    ]
)
"""Target and metric of each row of `evaluate`, in order."""

DRAWS = 2000
"""Bootstrap samples; drawn with a fixed seed, so that a table can be made again."""

LEFT_OUT = 500
"""Most parts that are left out, one at a time, to see how many groups matter to a measure."""

_METHODS = {"wilson": "wilson", "clopper-pearson": "beta"}  # statsmodels' names
_RESAMPLED = ("hamming_loss", "average_precision")
_CELLS = 2_000_000  # weights held at once: 16 MB
_SAME = 1e-12  # measures closer than this differ by rounding only
_UNDEFINED = 0.1  # of the resamples may leave a measure undefined


def evaluate(y_true, y_score, *, threshold=0.5, interval="wilson", groups=None, level=0.95):
    """Measures how right the probabilities are at a threshold, with intervals.

    Args:
        y_true: Array (n, 5) of 0 and 1, columns in the order of `TARGETS`.
        y_score: Array (n, 5) of probabilities in [0, 1].
        threshold: A target counts as answered yes from here on; one number, or one a target.
        interval: "wald" is the paper's, v ± z·sqrt(v(1−v)/n) for every measure, with n the images
            (overall), the target's support (what the paper prints per target) or the images that
            the measure counts (what it does not print). "wilson" and "clopper-pearson" are as this
            module describes them. "bootstrap" is the expanded percentile interval over
            resampled groups for everything (`percentiles`).
        groups: n labels of what is independent (patients, say); None: every image is.
        level: Coverage of the intervals.

    Returns:
        DataFrame: target, metric, value, low, high, n; rows as `NAMES`. n is the groups behind the
        value (with "wald", the paper's n). A precision without any predicted positive, a recall, F1
        or average precision without any positive, a specificity without any negative, and an AUC or
        balanced accuracy without either are undefined: NaN, with NaN ends. Macro averages count an
        undefined part as 0, as the paper and scikit-learn do. The bootstrap says nothing where all
        resamples are alike (a perfect score, say) or over a tenth leave the measure undefined:
        there the "clopper-pearson" interval stands in; of a Hamming loss it is that of a
        proportion, and of average precision that of the mean precision at the positives (Boyd
        et al. 2013).

    Raises:
        InputError: Shapes differ, targets are not 0 or 1, scores are outside [0, 1] or NaN, no
            rows, a row without a group, a threshold that is not one or five numbers, an unknown
            interval, or a level outside (0, 1).
    """
    truth, score, answer = checked(y_true, y_score, threshold)
    codes = coded(groups, len(truth))
    if interval not in INTERVALS:
        raise InputError(f"unknown interval {interval!r}: expected one of {', '.join(INTERVALS)}")
    statistic = partial(measures, truth, score, answer, codes)
    values = statistic(np.ones((1, codes.max() + 1)))[0]
    counted = _counted(truth, answer)
    if interval == "wald":
        n = [_papers_n(truth, counted, *name) for name in NAMES]
        bounds = [_wald(value, count, level) for value, count in zip(values, n)]
    else:
        n = [len(np.unique(codes[counted[name]])) for name in NAMES]
        value, drawn, left_out = resample(statistic, codes.max() + 1)
        closed = partial(_closed, truth, score, answer, codes, drawn, level)
        bounds = percentiles(value, drawn, left_out, level)
        if interval != "bootstrap":
            resampled = np.array([metric in _RESAMPLED for _, metric in NAMES])
            bounds = np.where(resampled[:, None], bounds, closed(interval))
        if np.isnan(bounds).any():
            bounds = np.where(np.isnan(bounds), closed("clopper-pearson"), bounds)
    table = pd.DataFrame(NAMES, columns=["target", "metric"]).assign(value=values)
    table[["low", "high"]] = bounds
    return table.assign(n=n)


def of_predictions(predictions, **options):
    """Evaluates a run's predictions with the study's intervals: Wilson and bootstrap by patient.

    Args:
        predictions: DataFrame with patient, y_* and p_* columns, one split of one run.
        options: As `evaluate` takes them (threshold, interval, level).

    Returns:
        As `evaluate`.

    Raises:
        InputError: A column is missing, or as `evaluate`.
    """
    truth, score, patients = arrays(predictions)
    return evaluate(truth, score, groups=patients, **options)


def arrays(predictions):
    """Takes predictions apart.

    Args:
        predictions: DataFrame with patient, y_* and p_* columns.

    Returns:
        Truth (n, 5), probabilities (n, 5) and patients (n,), arrays as they are in the frame.

    Raises:
        InputError: A column is missing.
    """
    truths, scores = ([f"{letter}_{target}" for target in TARGETS] for letter in "yp")
    missing = [name for name in (*truths, *scores, "patient") if name not in predictions]
    if missing:
        raise InputError(f"the predictions have no column {missing[0]!r}: `cxr train` writes it")
    return tuple(predictions[name].to_numpy() for name in (truths, scores, "patient"))


def checked(y_true, y_score, threshold=0.5):
    """Checks truth and probabilities and answers yes or no.

    Args:
        y_true, y_score, threshold: As `evaluate` takes them.

    Returns:
        Truth (n, 5) uint8, probabilities (n, 5) float64, answers (n, 5) uint8.

    Raises:
        InputError: As `evaluate`.
    """
    try:
        truth, score = np.asarray(y_true), np.asarray(y_score, dtype=float)
        threshold = np.asarray(threshold, dtype=float)
    except (TypeError, ValueError) as error:
        raise InputError(f"y_true, y_score and threshold must be numbers: {error}") from None
    if truth.shape != score.shape or truth.ndim != 2 or truth.shape[1] != len(TARGETS):
        raise InputError(
            f"y_true {truth.shape} and y_score {score.shape} must both be (n, {len(TARGETS)})"
        )
    if len(truth) == 0:
        raise InputError("nothing to evaluate: no rows")
    if not np.isin(truth, (0, 1)).all():
        raise InputError("y_true must hold 0 and 1 only")
    if not ((score >= 0) & (score <= 1)).all():
        raise InputError("y_score must lie in [0, 1], without NaN")
    if threshold.shape not in ((), (len(TARGETS),)) or np.isnan(threshold).any():
        raise InputError(f"threshold must be one number or {len(TARGETS)}, without NaN")
    return truth.astype(np.uint8), score, (score >= threshold).astype(np.uint8)


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


def measures(truth, score, answer, codes, weights):
    """Computes all measures for many weightings of the groups at once.

    Args:
        truth, score, answer: As `checked` returns them.
        codes: Integer array (n,), the group of each row, numbered from 0.
        weights: Array (k, groups): how often each group counts in each of k weightings.

    Returns:
        float64 array (k, 40): the measures in the order of `NAMES`; undefined ones are NaN.
    """
    found = of_tallies(weights @ tallies(truth, answer, codes))
    for i, target in enumerate(TARGETS):
        columns = [NAMES.index((target, metric)) for metric in ("auc", "average_precision")]
        found[:, columns] = _rankings(truth[:, i], score[:, i], codes, weights)
    return found


def tallies(truth, answer, codes):
    """Counts right and wrong answers in each group.

    Args:
        truth, answer, codes: As `measures` takes them.

    Returns:
        float64 array (groups, 22): true and false positives, false and true negatives of the five
        targets, exact matches, radiographs. Sums of its rows are what `of_tallies` takes.
    """
    yes, said = truth == 1, answer == 1
    exact = (yes == said).all(axis=1, keepdims=True)
    parts = [yes & said, ~yes & said, yes & ~said, ~yes & ~said, exact, np.ones_like(exact)]
    counts = np.zeros((codes.max() + 1, 22))
    np.add.at(counts, codes, np.concatenate(parts, axis=1))
    return counts


def of_tallies(sums):
    """Computes the measures that follow from counts.

    Args:
        sums: Array (k, 22), k sums of rows of `tallies`.

    Returns:
        float64 array (k, 40) in the order of `NAMES`; AUC, average precision and what is undefined
        are NaN.
    """
    tp, fp, fn, tn = sums[:, :20].reshape(-1, 4, len(TARGETS)).transpose(1, 0, 2)
    exact, n = sums[:, 20], sums[:, 21]
    with np.errstate(invalid="ignore"):
        precision, recall, specificity = tp / (tp + fp), tp / (tp + fn), tn / (tn + fp)
        f1 = np.where(tp + fn > 0, 2 * tp / (2 * tp + fp + fn), np.nan)
        macro = [np.nan_to_num(part).mean(axis=1) for part in (precision, recall, f1)]
        overall = [exact / n, *macro, (fp + fn).mean(axis=1) / n]
    unknown = np.full_like(tp, np.nan)
    unprinted = [specificity, (recall + specificity) / 2, unknown, unknown]
    blocks = [np.stack(part, axis=2) for part in ((precision, recall, f1), unprinted)]
    blocks = [block.reshape(len(sums), -1) for block in blocks]
    return np.concatenate([np.stack(overall, axis=1), *blocks], axis=1)


def _rankings(truth, score, codes, weights):
    """Computes AUC and average precision of one target for many weightings: array (k, 2).

    scikit-learn's `roc_auc_score` and `average_precision_score` with sample weights, thousands of
    times faster: the scores are sorted once, not once a weighting.
    """
    order = np.argsort(-score, kind="stable")
    truth, codes = truth[order], codes[order]
    last = np.flatnonzero(np.append(np.diff(score[order]) != 0, True))  # equal scores move together
    step = max(1, _CELLS // len(truth))
    parts = []
    for start in range(0, len(weights), step):
        rows = weights[start : start + step, codes].astype(float)
        said = np.cumsum(rows, axis=1)[:, last]
        tp = np.cumsum(rows * truth, axis=1)[:, last]
        fp = said - tp
        new_tp, new_fp = (np.diff(part, axis=1, prepend=0) for part in (tp, fp))
        precision = np.divide(tp, said, out=np.zeros_like(tp), where=said > 0)
        with np.errstate(invalid="ignore"):
            auc = (new_fp * (tp - new_tp / 2)).sum(axis=1) / (tp[:, -1] * fp[:, -1])
            average = (precision * new_tp).sum(axis=1) / tp[:, -1]
        parts.append(np.stack([auc, average], axis=1))
    return np.concatenate(parts)


def resample(statistic, n):
    """Computes measures anew with groups drawn again, and with groups left out.

    Args:
        statistic: Turns weights (k, n) of the groups into measures (k, m).
        n: Groups.

    Returns:
        The measures (m,); of 2,000 bootstrap samples of the groups (2000, m); and with each of at
        most 500 equal parts of the groups left out (parts, m). The same each time.
    """
    rng = np.random.default_rng(0)
    drawn = statistic(rng.multinomial(n, np.full(n, 1 / n), size=DRAWS))
    part = rng.permutation(n) % min(n, LEFT_OUT)
    left_out = statistic((part != np.arange(part.max() + 1)[:, None]).astype(float))
    return statistic(np.ones((1, n)))[0], drawn, left_out


def percentiles(value, drawn, left_out, level=0.95):
    """Expanded percentile intervals (Hesterberg 2015) of m measures.

    Percentiles of the bootstrap are too narrow where few groups matter. So they are taken at the
    tails that Student's t has beyond the normal, with as many degrees of freedom as groups matter
    to the measure: Kish's effective number of what leaving each out changes, squared.

    Args:
        value, drawn, left_out: As `resample` returns them.
        level: Coverage.

    Returns:
        float64 array (m, 2), lower and upper ends. NaN where the measure is undefined, undefined in
        more than a tenth of the resamples, or the same in all of them.
    """
    tails = norm.cdf(np.outer(student.ppf(_upper(level), freedom(left_out)), [-1, 1]))
    ends = np.full((len(value), 2), np.nan)
    for i, column in enumerate(drawn.T):
        defined = column[~np.isnan(column)]
        enough = len(defined) >= (1 - _UNDEFINED) * len(column)
        if enough and not np.isnan(value[i]) and np.ptp(defined) > _SAME:
            ends[i] = np.quantile(defined, tails[i])
    return ends


def freedom(left_out):
    """Returns how many groups matter to each of m measures.

    Args:
        left_out: As `resample` returns it.

    Returns:
        float64 array (m,), at least 1.
    """
    known = ~np.isnan(left_out)
    mean = np.nan_to_num(left_out).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    pull = np.where(known, left_out - mean, 0) ** 2
    return np.maximum(pull.sum(axis=0) ** 2 / np.maximum((pull**2).sum(axis=0), 1e-300), 1)


def effective(values, groups):
    """Returns how many independent radiographs these are worth.

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
        values: n numbers.
        groups: n labels of what is independent; None: every number is.
        level: Coverage.

    Returns:
        Mean, lower end, upper end; the ends are NaN where all are the same.

    Raises:
        InputError: As `coded`.
    """
    codes = coded(groups, len(values))
    sums = np.zeros((codes.max() + 1, 2))
    np.add.at(sums, codes, np.column_stack([values, np.ones(len(values))]))

    def mean(weights):
        total = weights @ sums
        with np.errstate(invalid="ignore"):  # one group left out of one
            return total[:, :1] / total[:, 1:]

    found = resample(mean, len(sums))
    return float(found[0][0]), *map(float, percentiles(*found, level)[0])


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
    if interval not in _METHODS:
        raise InputError(f"unknown interval {interval!r}: expected wilson or clopper-pearson")
    if n == 0 or np.isnan(value):
        return np.nan, np.nan
    low, high = proportion_confint(
        value * n, n, alpha=2 - 2 * _upper(level), method=_METHODS[interval]
    )
    return min(float(low), value), max(float(high), value)  # rounding may miss 0 and 1


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


def _counted(truth, answer):
    """Marks, for each of `NAMES`, the images that the measure is counted over."""
    every = np.ones(len(truth), bool)
    marks = {("all", metric): every for metric in OVERALL}
    for target, positive, said in zip(TARGETS, truth.T == 1, answer.T == 1):
        own = {"precision": said, "recall": positive, "f1": positive | said}
        own |= {"specificity": ~positive}
        marks |= {(target, metric): own.get(metric, every) for metric in PER_TARGET + UNPRINTED}
    return marks


def _papers_n(truth, counted, target, metric):
    if metric in PER_TARGET:
        return int(truth[:, TARGETS.index(target)].sum())
    return int(counted[target, metric].sum())


def _upper(level):
    """Returns the share of a distribution below the upper end of an interval."""
    if not 0 < level < 1:
        raise InputError(f"level {level} is no share: give one between 0 and 1, such as 0.95")
    return 0.5 + level / 2


def _wald(value, n, level):
    if n == 0 or np.isnan(value):
        return np.nan, np.nan
    half = norm.ppf(_upper(level)) * np.sqrt(value * (1 - value) / n)
    return value - half, value + half


def _closed(truth, score, answer, codes, drawn, level, interval):
    """Returns the bounds that follow from proportions: array (40, 2) as `NAMES`, NaN for none."""
    right = truth == answer
    ends = {("all", "accuracy"): share(right.all(axis=1), codes, interval, level)[1:]}
    shares, loss = {}, 1 - right.mean(axis=1)
    ends["all", "hamming_loss"] = proportion(loss.mean(), effective(loss, codes), interval, level)
    for i, target in enumerate(TARGETS):
        positive, said, hit = truth[:, i] == 1, answer[:, i] == 1, right[:, i]
        parts = {"precision": said, "recall": positive, "specificity": ~positive}
        parts = {key: share(hit[mark], codes[mark], interval, level) for key, mark in parts.items()}
        either = positive | said if positive.any() else positive
        jaccard = np.array(share(hit[either], codes[either], interval, level))
        parts["f1"] = 2 * jaccard / (1 + jaccard)
        shares |= {(target, key): part for key, part in parts.items()}
        both = [parts["recall"], parts["specificity"]]
        ends[target, "balanced_accuracy"] = _averaged(both, np.eye(2))
        ends[target, "auc"] = auc(positive, score[:, i], codes, level)[1:]
        ranks = [rankdata(-score[mark, i], "max") for mark in (positive, slice(None))]
        precise = ranks[0] / ranks[1][positive]  # precision at each positive's own score
        units = effective(precise, codes[positive])
        if units:
            ends[target, "average_precision"] = proportion(precise.mean(), units, interval, level)
    for metric in PER_TARGET:
        names = [(target, metric) for target in TARGETS]
        columns = np.nan_to_num(drawn[:, [NAMES.index(name) for name in names]])
        spread = columns - columns.mean(axis=0)
        length = np.linalg.norm(spread, axis=0)
        alike = spread.T @ spread / np.maximum(np.outer(length, length), 1e-12)
        np.fill_diagonal(alike, 1)  # also of what never varied
        parts = np.nan_to_num([shares[name] for name in names])
        ends["all", f"macro_{metric}"] = _averaged(parts, alike)
    ends |= {name: part[1:] for name, part in shares.items()}
    return np.array([ends.get(name, (np.nan, np.nan)) for name in NAMES])


def _averaged(parts, alike):
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
