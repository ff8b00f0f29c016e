"""What readers see for names and numbers of the code: in tables, figures and prose alike."""

import numpy as np

from cxrlib.networks import ARCHITECTURES

LABELS = {
    **{name: row.label for name, row in ARCHITECTURES.items()},
    "imagenet": "ImageNet",
    "none": "random",
    "best": "best start",
    "accuracy": "Harsh accuracy",
    "macro_precision": "Macro precision",
    "macro_recall": "Macro recall",
    "macro_f1": "Macro F1",
    "hamming_loss": "Hamming loss",
    "precision": "Precision",
    "recall": "Recall",
    "specificity": "Specificity",
    "f1": "F1",
    "auc": "AUC",
    "brier": "Brier score",
    "calibration_error": "Calibration error",
    "chance_error": "by chance",
}
"""What readers see for a name of the code."""

GROUP_LABELS = {
    "normal": "Normal",
    "virus": "Virus",
    "bacteria": "Bacteria",
    "other": "Other",
    "covid": "COVID",
}
"""What readers see for each group, in the order of every table and figure: COVID last."""

SPLIT_LABELS = {
    "paper": "split by image, as in the paper",
    "by-patient": "split by patient",
    "given": "split as the data came",
}
"""How a split is called in a caption."""

COHORTS = {
    "phantom": "phantoms, simulated radiographs whose truth is known",
    "coronahack": "the paper's radiographs",
    "folder": "your own radiographs",
}
"""What a reader is told of the radiographs of each `Profile.cohort`."""

FACTS = {
    "age_group": "age group",
    "bytes_per_pixel": "bytes per pixel",
    "format": "file format",
    "mode": "colour or grey",
    "mean": "mean grey",
    "deviation": "contrast (spread of greys)",
    "sharpness": "sharpness (fine detail)",
}
"""What readers see for facts of a file (see `audit.facts`); the others are called as they are."""

COVERED = {
    "none": "nothing covered",
    "lungs": "lungs covered",
    "not-lungs": "only lungs left",
    "centre": "only a frame left",
    "not-border": "only the border left",
}
"""What readers see for each of `images.COVERS`."""


UNTRAINED = "not trained enough to say"
"""What is said of an arm that does no better than the commonest answer."""


def arm_label(architecture, weights):
    """Names an arm for a reader: DenseNet-121 (ImageNet), say."""
    if ARCHITECTURES[architecture].pretrained:
        return f"{LABELS[architecture]} ({LABELS[weights]})"
    return LABELS[architecture]


def run_label(experiment, architecture, weights):
    """Names the arm of an experiment for a reader: A DenseNet-121 (ImageNet), say."""
    return f"{experiment}\u2002{arm_label(architecture, weights)}"


def measure_label(metric, target):
    """Returns how a measure of one target, or of "all", reads in tables and figures."""
    return LABELS[metric] + ("" if target == "all" else f" for {target}")


def interval(value, low, high, metric="accuracy"):
    """Writes a value with its interval: per cent, or a plain share for the Hamming loss."""
    if np.isnan(value):
        return "undefined"
    scale, digits = (1, 3) if metric == "hamming_loss" else (100, 1)
    if np.isnan(low):
        return f"{scale * value:.{digits}f}"
    low, high = f"{scale * low:.{digits}f}", f"{scale * high:.{digits}f}"
    return f"{scale * value:.{digits}f}\u00a0({low}\u2060–\u2060{high})"  # never broken over lines


def signed(value, low, high, metric="accuracy"):
    """Writes a difference with its interval, in points, as `interval` writes a measure."""
    if np.isnan(value):
        return "undefined"
    scale, digits = (1, 3) if metric == "hamming_loss" else (100, 1)
    value, low, high = (_written(scale * v, digits, "+") for v in (value, low, high))
    return value if "nan" in low else f"{value} ({low}\u00a0to\u00a0{high})"


def per_cent(value, low=np.nan, high=np.nan, digits=1):
    """Writes a share as a sentence has it: 81.2 % (78.0–84.1 %)."""
    if np.isnan(value):
        return "an undefined share"
    value, low, high = (f"{100 * v:.{digits}f}" for v in (value, low, high))
    ends = "" if "nan" in (low, high) else f" ({low}\u2060–\u2060{high}\u00a0%)"  # never broken
    return f"{value}\u00a0%{ends}"


def number(value, digits=2):
    """Writes a number that may be negative, with a minus and not a hyphen: −0.42."""
    return _written(value, digits)


def _written(value, digits, sign=""):
    """Writes a number with a minus and not a hyphen; what rounds to nothing has none."""
    return f"{round(value, digits) + 0.0:{sign}.{digits}f}".replace("-", "−")


def ranged(value, low, high, digits=2):
    """Writes a number that may be negative with its interval: −0.42 (−0.61 to −0.20)."""
    return f"{number(value, digits)} ({number(low, digits)} to {number(high, digits)})"


def listed(items):
    """Writes a list as a sentence has it: one, two and three."""
    *most, last = items
    return f"{', '.join(most)} and {last}" if most else last


def split_label(split):
    """Returns, in words, how radiographs were split; what is not among `SPLIT_LABELS` is a fold."""
    return SPLIT_LABELS.get(split, f"split by patient, {split}")


def span(seconds):
    """Writes a time as one would say it."""
    for unit, size, below in (("seconds", 1, 90), ("minutes", 60, 90), ("hours", 3600, 48)):
        if seconds < below * size:
            n = max(round(seconds / size), 1)
            return f"{n} {unit if n > 1 else unit[:-1]}"
    return f"{round(seconds / 86400)} days"


def size(count):
    """Writes so many bytes as one would say it."""
    for unit, of in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= of:
            return f"{count / of:.{1 if count < 10 * of else 0}f} {unit}"
    return f"{count} bytes"


def plain(value):
    """Writes three digits of a number, or all of its whole ones."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def p_value(value):
    """Writes a p-value to three digits."""
    return "<\u00a00.001" if value < 0.001 else f"{value:.3f}"
