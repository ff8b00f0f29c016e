"""The paper's measures and those that it leaves out, with intervals that count patients.

Measures of the whole answer (target "all"): accuracy (the paper's "harsh" accuracy, known as subset
accuracy: all five targets right), macro_precision, macro_recall, macro_f1, hamming_loss. Per
target: precision, recall, f1, specificity, balanced_accuracy, auc and average_precision; the last
two need no threshold. Where their intervals come from is told in `cxrlib.metrics.intervals`.
"""

from functools import partial

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from cxrlib.errors import InputError
from cxrlib.metrics.intervals import (  # noqa: F401 (measures and intervals are one room)
    auc,
    auc_interval,
    average,
    averaged,
    coded,
    degrees_of_freedom,
    effective,
    kish,
    percentiles,
    proportion,
    resample,
    share,
    sum_groups,
    wald,
)
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

_RESAMPLED = ("hamming_loss", "average_precision")
_CELLS = 2_000_000  # weights held at once: 16 MB


def evaluate(y_true, y_score, *, threshold=0.5, interval="wilson", groups=None, level=0.95):
    """Measures how right the probabilities are at a threshold, with intervals.

    Args:
        y_true: Array (n, 5) of 0 and 1, columns in the order of `TARGETS`.
        y_score: Array (n, 5) of probabilities in [0, 1].
        threshold: A target counts as answered yes from here on; one number, or one a target.
        interval: "wald" is the paper's, v ± z·sqrt(v(1−v)/n) for every measure, with n the images
            (overall), the target's support (what the paper prints per target) or the images that
            the measure counts (what it does not print). "wilson" and "clopper-pearson" are as
            `intervals` describes them. "bootstrap" is the expanded percentile interval over
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
    values = measures(truth, score, answer, codes, np.ones((1, codes.max() + 1)))[0]
    counted = _counted(truth, answer)
    if interval == "wald":
        n = [_papers_n(truth, counted, *name) for name in NAMES]
        bounds = [wald(value, count, level) for value, count in zip(values, n)]
    else:
        n = [len(np.unique(codes[counted[name]])) for name in NAMES]
        bounds = _bounds(truth, score, answer, codes, interval, level)
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


def auc_of(predictions, target):
    """Measures how well a run's predictions of one target put radiographs in order, by patient.

    Args:
        predictions: DataFrame with patient, y_* and p_* columns.
        target: One of `TARGETS`.

    Returns:
        As `auc`.
    """
    return auc(predictions[f"y_{target}"], predictions[f"p_{target}"], predictions["patient"])


def aucs(truth, said):
    """Measures how well probabilities put radiographs in order, target by target.

    Args:
        truth: Array (n, 5) of 0 and 1.
        said: Probabilities (n, 5).

    Returns:
        Dict of target -> AUC, and "all" -> the mean of the five; NaN where undefined.
    """
    found = {t: auc(truth[:, i], said[:, i])[0] for i, t in enumerate(TARGETS)}
    return found | {"all": np.mean([*found.values()])}


def harsh_once(predictions):
    """Measures the harsh accuracy with each radiograph counted once, whatever its copies.

    Args:
        predictions: As `arrays` takes them, with file.

    Returns:
        Mean over files of the share of a file's copies of which all five answers are right, in
        [0, 1]; a yes begins at 0.5.

    Raises:
        InputError: As `arrays`.
    """
    return float(all_right(predictions).groupby(predictions["file"]).mean().mean())


def all_right(predictions):
    """Says of which radiographs all five answers are right, a yes from 0.5 on: Series of bool.

    Args, Raises: As `arrays`.
    """
    truth, score, _ = arrays(predictions)
    return pd.Series(((score >= 0.5) == truth).all(axis=1), predictions.index)


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
    return sum_groups(np.concatenate(parts, axis=1), codes)


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


def _bounds(truth, score, answer, codes, interval, level):
    """Returns the ends of all intervals but Wald's: array (40, 2) as `NAMES`."""
    resampled = resample(partial(measures, truth, score, answer, codes), codes.max() + 1)
    closed = partial(_closed, truth, score, answer, codes, resampled[1], level)
    bounds = percentiles(*resampled, level)
    if interval != "bootstrap":
        only_resampled = np.array([metric in _RESAMPLED for _, metric in NAMES])
        bounds = np.where(only_resampled[:, None], bounds, closed(interval))
    if np.isnan(bounds).any():
        bounds = np.where(np.isnan(bounds), closed("clopper-pearson"), bounds)
    return bounds


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
        ends[target, "balanced_accuracy"] = averaged(both, np.eye(2))
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
        ends["all", f"macro_{metric}"] = averaged(parts, alike)
    ends |= {name: part[1:] for name, part in shares.items()}
    return np.array([ends.get(name, (np.nan, np.nan)) for name in NAMES])
