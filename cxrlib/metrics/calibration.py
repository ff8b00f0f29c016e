"""Do the probabilities mean what they say, and what would acting on them bring?

All functions take predictions (a frame with patient, y_* and p_* columns, one split of one run) and
return tidy frames. What is fitted (a temperature, thresholds) is fitted on validation predictions
and tried on test predictions. Intervals count patients, as in `metrics`.
"""

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit
from sklearn.metrics import roc_curve

from cxrlib import metrics
from cxrlib.errors import InputError
from cxrlib.targets import GROUP_TARGET, TARGETS, decode, index

PREVALENCES = (0.01, 0.05, 0.2)
"""Shares of patients with COVID at which its predictive value is worked out."""

RULES = ("youden", "f1")
"""Ways to choose thresholds."""

INCONSISTENT = {
    "Normal with Pneumonia": lambda said: said["Normal"] & said["Pneumonia"],
    "COVID without Virus": lambda said: said["COVID"] & ~said["Virus"],
    "Virus or Bacteria without Pneumonia": lambda said: (
        (said["Virus"] | said["Bacteria"]) & ~said["Pneumonia"]
    ),
}
"""Answers that contradict themselves, each with its test of the five answers: together they are
what `targets.contradiction` refuses of a label. No to all five is none of them."""

_NEAREST = 1e-7  # to 0 and 1 that a probability counts: logits and logarithms stay finite
_LONGEST = 20.0  # temperature, and its inverse the lowest
_CHANCES = 1000  # simulated studies behind a chance calibration error


def reliability(predictions, *, bins=10, by="quantile", level=0.95):
    """Sets how often a target was there against how often it was said to be.

    Args:
        predictions: As this module takes them.
        bins: How many, 1 or more.
        by: "quantile": bins of equally many radiographs (fewer bins where scores are equal);
            "width": bins equally wide.
        level: Coverage of the intervals.

    Returns:
        DataFrame: target, bin (ascending), n (radiographs), predicted (mean probability), observed
        (share with the target), low, high (Wilson, counting patients). Empty bins are left out.

    Raises:
        InputError: An unknown way to bin, or as `metrics.evaluate`.
    """
    truth, score, codes = _taken(predictions)
    rows = []
    for i, target in enumerate(TARGETS):
        places = _binned(score[:, i], bins, by)
        for place in np.unique(places):
            mark = places == place
            observed, low, high = metrics.share(truth[mark, i], codes[mark], level=level)
            predicted = score[mark, i].mean()
            rows.append((target, place, mark.sum(), predicted, observed, low, high))
    names = ["target", "bin", "n", "predicted", "observed", "low", "high"]
    return pd.DataFrame(rows, columns=names)


def scores(predictions, *, bins=10, by="quantile", level=0.95):
    """Measures how well the probabilities are calibrated; lower is better.

    Args:
        predictions, bins, by, level: As `reliability` takes them.

    Returns:
        DataFrame: target ("all": the mean of the five), metric, value, low, high, n (patients).
        metric is brier (mean squared error), log_loss (probabilities nearer than 1e-7 to 0 or 1
        count as that), calibration_error (expected: the mean distance of predicted and observed
        over bins, weighted by radiographs) and chance_error (the calibration error to be expected
        of probabilities that are exactly right, where a patient's radiographs share their truth).
        The calibration error is never 0, even of such probabilities, and resampling raises it
        further: it has no honest interval (NaN) and is read beside the chance error.

    Raises:
        InputError: As `reliability`.
    """
    truth, score, codes = _taken(predictions)
    near = np.clip(score, _NEAREST, 1 - _NEAREST)
    losses = {
        "brier": (score - truth) ** 2,
        "log_loss": -np.log(np.where(truth == 1, near, 1 - near)),
    }
    n = codes.max() + 1
    parts = []
    for metric, loss in losses.items():
        each = np.column_stack([loss, loss.mean(axis=1)])
        parts.append(_rows(metric, *metrics.average(each, codes, level)))
    errors = np.array(
        [_errors(truth[:, i], score[:, i], codes, bins, by) for i in range(len(TARGETS))]
    )
    for metric, error in zip(("calibration_error", "chance_error"), errors.T):
        parts.append(_rows(metric, np.append(error, error.mean())))
    table = pd.concat(parts, ignore_index=True).assign(n=n)
    order = ["all", *TARGETS]
    place = table["target"].map(order.index)
    return table.iloc[np.argsort(place, kind="stable")].reset_index(drop=True)


def temperature(validation):
    """Fits the temperature that makes a run's probabilities as likely as can be.

    One number for all five targets (Guo et al. 2017): logits are divided by it, so that above 1 the
    network was too sure and below 1 not sure enough. No order of radiographs and no answer at 0.5
    changes.

    Args:
        validation: Validation predictions.

    Returns:
        The temperature, in [1/20, 20]; at an end where no validation answer is wrong.

    Raises:
        InputError: As `metrics.evaluate`.
    """
    truth, score, _ = _taken(validation)
    logits, sign = _logits(score), np.where(truth == 1, 1, -1)

    def loss(log):
        return np.logaddexp(0, -sign * logits / np.exp(log)).mean()

    end = np.log(_LONGEST)
    return float(np.exp(minimize_scalar(loss, bounds=(-end, end), method="bounded").x))


def temperature_scaled(predictions, temperature):
    """Divides the logits of predictions by a temperature.

    Args:
        predictions: As this module takes them.
        temperature: Above 0, as `temperature` fits it.

    Returns:
        The predictions with new p_* columns.

    Raises:
        InputError: The temperature is not above 0, or as `metrics.evaluate`.
    """
    if not temperature > 0:
        raise InputError(f"temperature {temperature} must be above 0")
    _, score, _ = _taken(predictions)
    names = [f"p_{target}" for target in TARGETS]
    return predictions.assign(**dict(zip(names, expit(_logits(score) / temperature).T)))


def thresholds(validation, rule="youden"):
    """Chooses a threshold for each target on validation predictions.

    Args:
        validation: Validation predictions.
        rule: "youden": the highest recall + specificity. It does not depend on how common a target
            is, which here is a choice of the sample (COVID is copied twelvefold in B and C), and
            so is the default. "f1": the highest F1, which does depend on it.

    Returns:
        Tuple of five thresholds in [0, 1], each halfway between two scores; of equally good ones
        that nearest to 0.5.

    Raises:
        InputError: An unknown rule, a target without positives or negatives in validation, or as
            `metrics.evaluate`.
    """
    return _thresholds(validation, rule)


def at_thresholds(validation, test, rule="youden", **options):
    """Evaluates test predictions at 0.5 and at thresholds chosen on validation predictions.

    Args:
        validation, test: Predictions of one run.
        rule: As `thresholds` takes it.
        options: As `metrics.evaluate` takes them.

    Returns:
        DataFrame: rule ("fixed" or as given), threshold (NaN for target "all"), and the columns of
        `metrics.evaluate`. Its intervals hold for these thresholds; that other validation
        radiographs would give other ones is not in them. A target that all or none of the
        validation radiographs have stays at 0.5.

    Raises:
        InputError: An unknown rule, or as `metrics.evaluate`.
    """
    parts, fixed = [], (0.5,) * len(TARGETS)
    for name, values in (("fixed", fixed), (rule, _thresholds(validation, rule, lacking=0.5))):
        found = metrics.of_predictions(test, threshold=values, **options)
        cuts = found["target"].map(dict(zip(TARGETS, values)))
        parts.append(pd.DataFrame({"rule": name, "threshold": cuts}).join(found))
    return pd.concat(parts, ignore_index=True)


def net_benefit(predictions, target, *, thresholds=None, prevalence=None, level=0.95):
    """Draws a decision curve (Vickers and Elkin 2006): what acting on a probability brings.

    Who acts above a threshold t takes one found patient to be worth t/(1−t) false alarms the less:
    net benefit = recall·π − (1−specificity)·(1−π)·t/(1−t), in found patients a patient tested.

    Args:
        predictions: As this module takes them.
        target: One of `TARGETS`.
        thresholds: Probabilities in (0, 1); None: 0.01 to 0.99.
        prevalence: π, the share of patients with the target; None: the share of these radiographs.
        level: Coverage of the intervals.

    Returns:
        DataFrame: threshold, strategy (who is acted on: "model", "everyone", "no one"),
        net_benefit, low, high (resampled patients; NaN but for the model, and where it does not
        vary).

    Raises:
        InputError: A target without positives or negatives, a threshold or prevalence outside
            (0, 1), or as `metrics.evaluate`.
    """
    truth, score, codes = _taken(predictions)
    positive, score = truth[:, index(target)] == 1, score[:, index(target)]
    _both(positive, target)
    thresholds = _inside("threshold", np.arange(1, 100) / 100 if thresholds is None else thresholds)
    share = _inside("prevalence", positive.mean() if prevalence is None else prevalence)[0]
    odds = thresholds / (1 - thresholds)
    benefit = _benefit(positive, score[:, None] >= thresholds, codes, odds, prevalence)
    found = metrics.resample(benefit, codes.max() + 1)
    curves = {
        "model": (found[0], *metrics.percentiles(*found, level).T),
        "everyone": (share - (1 - share) * odds, np.nan, np.nan),
        "no one": (np.zeros(len(thresholds)), np.nan, np.nan),
    }
    parts = [
        pd.DataFrame({"threshold": thresholds, "strategy": name, "net_benefit": value}).assign(
            low=low, high=high
        )
        for name, (value, low, high) in curves.items()
    ]
    return pd.concat(parts, ignore_index=True)


def predictive_value(predictions, target, *, prevalences=PREVALENCES, threshold=0.5, level=0.95):
    """Works out how often a yes is right where a target is as rare as outside a study.

    Args:
        predictions: As this module takes them.
        target: One of `TARGETS`.
        prevalences: Shares of patients with the target, in (0, 1).
        threshold: As `metrics.evaluate` takes it.
        level: Coverage of the intervals.

    Returns:
        DataFrame: target, prevalence, value (positive predictive value), low, high. The interval
        joins the Wilson intervals of recall and specificity, counting patients, to that of the
        ratio recall / (1 − specificity) (Donner and Zou 2012). NaN where no answer is yes.

    Raises:
        InputError: A target without positives or negatives, a prevalence outside (0, 1), or as
            `metrics.evaluate`.
    """
    truth, score, codes = _taken(predictions)
    said = metrics.checked(truth, score, threshold)[2][:, index(target)]
    positive = truth[:, index(target)] == 1
    _both(positive, target)
    prevalences = _inside("prevalence", prevalences)
    parts = [metrics.share(said[m], codes[m], level=level) for m in (positive, ~positive)]
    ratio = np.full(3, np.nan) if not said.any() else _ratio(*parts)
    with np.errstate(divide="ignore"):
        found = 1 / (1 + 1 / np.outer(prevalences / (1 - prevalences), ratio))
    table = pd.DataFrame({"target": target, "prevalence": prevalences})
    table[["value", "low", "high"]] = found
    return table


def histograms(predictions, *, bins=20):
    """Counts the probabilities of each target by the group that a radiograph belongs to.

    Args:
        predictions: As this module takes them; groups follow from y_*.
        bins: Equally wide ones over [0, 1].

    Returns:
        DataFrame: target, group ("other": y_* describe none), low, high (ends of the bin), n, share
        (of the group's radiographs).

    Raises:
        InputError: As `metrics.evaluate`.
    """
    truth, score, _ = _taken(predictions)
    groups = np.array([group or "other" for group in decode(truth)])
    parts = []
    for i, target in enumerate(TARGETS):
        for group in (*GROUP_TARGET, "other"):
            own = score[groups == group, i]
            n, edges = np.histogram(own, bins=bins, range=(0, 1))
            if len(own):
                part = {"low": edges[:-1], "high": edges[1:], "n": n, "share": n / len(own)}
                parts.append(pd.DataFrame({"target": target, "group": group, **part}))
    return pd.concat(parts, ignore_index=True)


def inconsistent(predictions, *, threshold=0.5, level=0.95):
    """Counts the answers that contradict themselves, and beside them those of no to all five.

    The former are wrong of any radiograph. The latter are wrong of each of the four groups, and may
    be right of one of none.

    Args:
        predictions: As this module takes them.
        threshold: As `metrics.evaluate` takes it.
        level: Coverage of the intervals.

    Returns:
        DataFrame: answer (the keys of `INCONSISTENT`, which may overlap, "any of these", and
        "nothing at all", which is not among these), n (radiographs), share, low, high (Wilson,
        counting patients).

    Raises:
        InputError: As `metrics.evaluate`.
    """
    truth, score, codes = _taken(predictions)
    answer = metrics.checked(truth, score, threshold)[2] == 1
    said = dict(zip(TARGETS, answer.T))
    hits = {name: test(said) for name, test in INCONSISTENT.items()}
    hits["any of these"] = np.any(list(hits.values()), axis=0)
    hits["nothing at all"] = ~answer.any(axis=1)
    rows = [
        (name, hit.sum(), *metrics.share(hit, codes, level=level)) for name, hit in hits.items()
    ]
    return pd.DataFrame(rows, columns=["answer", "n", "share", "low", "high"])


def _taken(predictions):
    truth, score, patients = metrics.arrays(predictions)
    truth, score, _ = metrics.checked(truth, score)
    return truth, score, metrics.coded(patients, len(truth))


def _binned(score, bins, by):
    """Returns each score its bin, from 0; a score on an edge is in the lower one."""
    if bins < 1:
        raise InputError(f"{bins} bins: give 1 or more")
    if by == "width":
        edges = np.arange(1, bins) / bins
    elif by == "quantile":
        edges = np.unique(np.quantile(score, np.arange(1, bins) / bins))
    else:
        raise InputError(f"unknown way to bin {by!r}: expected quantile or width")
    return np.searchsorted(edges, score)


def _rows(metric, values, low=np.nan, high=np.nan):
    return pd.DataFrame(
        {"target": [*TARGETS, "all"], "metric": metric, "value": values, "low": low, "high": high}
    )


def _errors(truth, score, codes, bins, by):
    """Returns the expected calibration error of one target, and that of exact probabilities."""
    places = _binned(score, bins, by)
    rng = np.random.default_rng(0)
    exact = rng.random((_CHANCES, codes.max() + 1))[:, codes] < score
    gaps = np.vstack([truth, exact]) - score
    in_bin = places[:, None] == np.unique(places)
    errors = np.abs(gaps @ in_bin).sum(axis=1) / len(score)
    return errors[0], errors[1:].mean()


def _benefit(positive, said, codes, odds, prevalence):
    """Returns the function of weighted patients that works out net benefit at each threshold.

    Args:
        positive: bool array (n,), radiographs with the target.
        said: bool array (n, thresholds), which are acted on.
        codes: Their patients, numbered from 0.
        odds: Array (thresholds,), t/(1−t).
        prevalence: As `net_benefit` takes it.
    """
    parts = [said & positive[:, None], said & ~positive[:, None], positive, ~positive]
    sums, width = metrics.sum_groups(np.column_stack(parts), codes), len(odds)

    def benefit(weights):
        drawn = weights @ sums
        tp, fp, (p, q) = drawn[:, :width], drawn[:, width:-2], drawn[:, -2:].T[..., None]
        pi = p / (p + q) if prevalence is None else prevalence
        with np.errstate(invalid="ignore", divide="ignore"):
            return tp / p * pi - fp / q * (1 - pi) * odds

    return benefit


def _logits(score):
    return logit(np.clip(score, _NEAREST, 1 - _NEAREST))


def _ratio(one, other):
    """Divides two independent shares, each with its ends (Donner and Zou 2012).

    statsmodels has Miettinen and Nurminen's score interval of such a ratio, but where both shares
    are 1 or one is 0 its ends are complex or NaN.
    """
    (a, a_low, a_high), (b, b_low, b_high) = one, other

    def root(end, over):
        inner = end * (2 * a - end) * over * (2 * b - over)
        return np.sqrt(max((a * b) ** 2 - inner, 0))

    below, under = a * b + root(a_low, b_high), b_low * (2 * b - b_low)
    low = a_low * (2 * a - a_low) / below if below > 0 else 0.0
    high = (a * b + root(a_high, b_low)) / under if under > 0 else np.inf
    return np.array([a / b if b > 0 else np.inf, low, high])


def _inside(name, values):
    values = np.atleast_1d(np.asarray(values, dtype=float))
    if not ((values > 0) & (values < 1)).all():
        raise InputError(f"a {name} must lie between 0 and 1, both excluded")
    return values


def has_both(predictions, target):
    """Returns whether some radiographs have a target and some have not."""
    return predictions[f"y_{target}"].nunique() == 2


def _thresholds(validation, rule, lacking=None):
    """Chooses thresholds; where validation has only one answer, takes `lacking` if it is given."""
    if rule not in RULES:
        raise InputError(f"unknown rule {rule!r}: expected one of {', '.join(RULES)}")
    truth, score, _ = _taken(validation)
    return tuple(
        lacking
        if lacking is not None and not has_both(validation, target)
        else _threshold(truth[:, i], score[:, i], rule, target)
        for i, target in enumerate(TARGETS)
    )


def _both(positive, target):
    if not positive.any() or positive.all():
        kind = "with" if not positive.any() else "without"
        raise InputError(f"no radiograph {kind} {target}: this needs both kinds")


def _threshold(truth, score, rule, target):
    _both(truth == 1, target)
    fall, recall, cuts = roc_curve(truth, score, drop_intermediate=False)
    # The first cut, above all scores, is no better than the last, below them. A cut at a score
    # would hang on that one radiograph: go halfway to the next score below.
    fall, recall, cuts = fall[1:], recall[1:], (cuts[1:] + np.append(cuts[2:], 0)) / 2
    positives, negatives = truth.sum(), len(truth) - truth.sum()
    tp, fp = recall * positives, fall * negatives
    gain = recall - fall if rule == "youden" else 2 * tp / (tp + fp + positives)
    best = cuts[gain > gain.max() - 1e-9]
    return float(best[np.abs(best - 0.5).argmin()])
