"""The paper's measures with 95 % intervals that know what is independent.

Measures of the whole answer (target "all"): accuracy ("harsh": all five targets right),
macro_precision, macro_recall, macro_f1, hamming_loss. Per target: precision, recall, f1.
"""

import numpy as np
import pandas as pd
from scipy.stats import beta, norm
from sklearn.metrics import multilabel_confusion_matrix

from cxrlib.errors import InputError
from cxrlib.targets import TARGETS

INTERVALS = ("wald", "wilson", "clopper-pearson", "bootstrap")
OVERALL = ("accuracy", "macro_precision", "macro_recall", "macro_f1", "hamming_loss")
PER_TARGET = ("precision", "recall", "f1")
DRAWS = 1000
"""Bootstrap samples; drawn with a fixed seed, so that a table can be made again."""


def evaluate(y_true, y_score, *, threshold=0.5, interval="wilson", groups=None, level=0.95):
    """Measures how right the probabilities are at a threshold, with intervals.

    Args:
        y_true: Array (n, 5) of 0 and 1, columns in the order of `TARGETS`.
        y_score: Array (n, 5) of probabilities in [0, 1].
        threshold: A target counts as answered yes from here on.
        interval: "wald" is the paper's, v ± z·sqrt(v(1−v)/n) for every measure, with n the images
            (overall) or the target's support (per target). "wilson" and "clopper-pearson" hold for
            proportions (accuracy, precision, recall); Hamming loss, F1 and macro averages are not
            proportions of independent images and get the bootstrap's interval. "bootstrap" is the
            percentile interval over 1,000 resamples for everything.
        groups: n labels of what is independent (patients, say); None: every image is. The
            bootstrap resamples groups, and Wilson and Clopper-Pearson count groups, not images.
        level: Coverage of the intervals.

    Returns:
        DataFrame: target, metric, value, low, high, n. n is the independent units behind the value
        (with "wald", the paper's n). A precision without any predicted positive and a recall or F1
        without any positive are undefined: NaN. Macro averages count an undefined part as 0, as
        the paper and scikit-learn do.

    Raises:
        InputError: Shapes differ, targets are not 0 or 1, scores are outside [0, 1] or NaN, no
            rows, or an unknown interval.
    """
    truth, score = _checked(y_true, y_score, interval)
    answer = (score >= threshold).astype(np.uint8)
    groups = np.arange(len(truth)) if groups is None else np.asarray(groups)
    if len(groups) != len(truth):
        raise InputError(f"{len(groups)} groups for {len(truth)} rows: give one a row")
    values = _measures(_counts(truth, answer))
    lows, highs = _bootstrap(truth, answer, groups, level)
    rows = []
    for i, (target, metric) in enumerate(_names()):
        value = values[i]
        counted = _counted(truth, answer, target, metric)
        if interval == "wald":
            n = len(truth) if target == "all" else int(truth[:, TARGETS.index(target)].sum())
            low, high = _wald(value, n, level)
        else:
            n = len(np.unique(groups[counted]))
            low, high = lows[i], highs[i]
            if interval != "bootstrap" and metric in ("accuracy", "precision", "recall"):
                low, high = proportion(value, n, interval, level)
        rows.append((target, metric, value, low, high, n))
    return pd.DataFrame(rows, columns=["target", "metric", "value", "low", "high", "n"])


def of_predictions(predictions):
    """Evaluates a run's predictions with the study's intervals: Wilson and bootstrap by patient.

    Args:
        predictions: DataFrame with patient, y_* and p_* columns, one split of one run.

    Returns:
        As `evaluate`.
    """
    return evaluate(
        predictions[[f"y_{target}" for target in TARGETS]],
        predictions[[f"p_{target}" for target in TARGETS]],
        groups=predictions["patient"],
    )


def _checked(y_true, y_score, interval):
    truth, score = np.asarray(y_true), np.asarray(y_score, dtype=float)
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
    if interval not in INTERVALS:
        raise InputError(f"unknown interval {interval!r}: expected one of {', '.join(INTERVALS)}")
    return truth.astype(np.uint8), score


def _names():
    return [("all", metric) for metric in OVERALL] + [
        (target, metric) for target in TARGETS for metric in PER_TARGET
    ]


def _counts(truth, answer):
    """Counts (tn, fp, fn, tp) per target, and exact matches with images."""
    matrices = multilabel_confusion_matrix(truth, answer).reshape(-1, 4).astype(float)
    exact = (truth == answer).all(axis=1).sum()
    return matrices, float(exact), len(truth)


def _measures(counts):
    """Gives the 20 measures in the order of `_names`; undefined ones are NaN."""
    matrices, exact, n = counts
    _, fp, fn, tp = matrices.T
    with np.errstate(invalid="ignore"):
        precision, recall = tp / (tp + fp), tp / (tp + fn)
        f1 = np.where(tp + fn > 0, 2 * tp / (2 * tp + fp + fn), np.nan)
    macro = [np.nan_to_num(part).mean() for part in (precision, recall, f1)]
    overall = [exact / n, *macro, (fp + fn).sum() / (n * len(TARGETS))]
    return np.concatenate([overall, np.stack([precision, recall, f1], axis=1).ravel()])


def _counted(truth, answer, target, metric):
    """Marks the images that a measure is counted over (the denominator)."""
    if target == "all":
        return np.ones(len(truth), bool)
    column = TARGETS.index(target)
    positive, said = truth[:, column] == 1, answer[:, column] == 1
    return {"precision": said, "recall": positive, "f1": said | positive}[metric]


def _bootstrap(truth, answer, groups, level):
    """Resamples whole groups; gives lower and upper percentiles of the 20 measures."""
    _, codes = np.unique(groups, return_inverse=True)
    n_groups = codes.max() + 1
    per_image = np.concatenate(
        [
            (truth & answer), (answer & ~truth & 1), (truth & ~answer & 1),
            (truth == answer).all(axis=1, keepdims=True), np.ones((len(truth), 1), np.uint8),
        ],
        axis=1,
    )  # fmt: skip
    per_group = np.zeros((n_groups, per_image.shape[1]))
    np.add.at(per_group, codes, per_image)
    rng = np.random.default_rng(0)
    times = rng.multinomial(n_groups, np.full(n_groups, 1 / n_groups), size=DRAWS)
    drawn = []
    for sums in times @ per_group:
        tp, fp, fn = sums[:15].reshape(3, 5)
        matrices = np.stack([np.zeros(5), fp, fn, tp], axis=1)
        drawn.append(_measures((matrices, sums[15], sums[16])))
    tail = 50 * (1 - level)
    drawn = np.array(drawn)
    lows, highs = np.full(drawn.shape[1], np.nan), np.full(drawn.shape[1], np.nan)
    defined = ~np.isnan(drawn).all(axis=0)
    lows[defined], highs[defined] = np.nanpercentile(drawn[:, defined], [tail, 100 - tail], axis=0)
    return lows, highs


def _wald(value, n, level):
    if n == 0 or np.isnan(value):
        return np.nan, np.nan
    half = norm.ppf(0.5 + level / 2) * np.sqrt(value * (1 - value) / n)
    return value - half, value + half


def proportion(value, n, interval="wilson", level=0.95):
    """Wilson's (1927) or Clopper and Pearson's (1934) interval of a proportion of n units.

    Args:
        value: The proportion, in [0, 1]; with groups, value · n need not be whole.
        n: Independent units behind it.
        interval: "wilson" or "clopper-pearson".
        level: Coverage.

    Returns:
        Lower and upper end, both NaN where nothing was counted.
    """
    if n == 0 or np.isnan(value):
        return np.nan, np.nan
    if interval == "wilson":
        z = norm.ppf(0.5 + level / 2)
        centre = (value + z**2 / (2 * n)) / (1 + z**2 / n)
        half = z / (1 + z**2 / n) * np.sqrt(value * (1 - value) / n + z**2 / (4 * n**2))
        return max(0.0, centre - half), min(1.0, centre + half)
    tail, k = (1 - level) / 2, value * n
    low = 0.0 if k == 0 else beta.ppf(tail, k, n - k + 1)
    high = 1.0 if k == n else beta.ppf(1 - tail, k + 1, n - k)
    return low, high
