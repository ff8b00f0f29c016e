"""The paper's published numbers and their audit (Albert 2020, Tables 4 to 9).

The author released each network's measures, from which its confusion counts follow. `published`
reads what was printed and `counts` what was counted; `recomputed` puts both side by side, and
`audit` lists what it finds there.
"""

from importlib import resources

import numpy as np
import pandas as pd

from cxrlib import labels, metrics
from cxrlib.study import experiments

_PRINTED = {"DenseNet-121": "densenet121", "ResNet-50": "resnet50", "Efficient": "efficient"}

FINDINGS = {
    "weighted average": "the average weighted by support stands where the macro average belongs",
    "value": "the printed value does not follow from the counts",
    "denominator": "the interval was computed with an n that is not the target's support",
    "precision interval": "a precision has the predicted positives as its n, not the support",
    "zero width": "Wald's interval has no width at 0 and 100 %, however few the images",
    "past 100 %": "the interval reaches past 100 %, which Wald's can and a share cannot",
    "copies": "copies of one image are not independent; the right interval counts each image once",
}
"""What `audit` looks for, by name, and what is wrong with it."""

MISSED = "1-s2.0-S0140673620303706-fx1_lrg.jpg"
"""The COVID test image behind every miss in B and C that could be looked up.

This follows from the predictions that the author released image by image, not from the counts.
"""

_ARM = ["experiment", "architecture", "weights"]
_LAST_DIGIT = 1e-4  # per cent have two decimals, the Hamming loss has four
_ROUNDING = 1e-9
_Z = 1.96


def published():
    """Reads the paper's tables as printed.

    Returns:
        DataFrame: table (4 to 9), experiment, architecture, weights, target ("all" for overall),
        metric, value, low, high; shares in [0, 1] where the paper prints per cent, intervals as
        printed (Wald).
    """
    table = _fact("published_tables.csv")
    per_cent = table["metric"].ne("hamming_loss").map({True: 100, False: 1})
    half = table["ci95_half_width"].astype(float)
    half = half / per_cent
    value = table["value"].astype(float) / per_cent
    return pd.DataFrame(
        {
            "table": table["table"],
            "experiment": table["experiment"],
            "architecture": table["architecture"].map(_PRINTED),
            "weights": table["weights"],
            "target": table["target"],
            "metric": table["metric"],
            "value": value,
            "low": value - half,
            "high": value + half,
        }
    ).round(6)


def beside(runs):
    """Returns what can stand beside runs: `published`, or nothing of it.

    Args:
        runs: Runs of one study. Phantoms are another task than the paper's, and so are anybody's
            own radiographs.
    """
    same = any(run.info["cohort"] == "coronahack" for run in runs)
    return published() if same else published().head(0)


def of_arm(table, experiment, architecture, weights):
    """Finds what the paper has of an arm or, without it, of the same one from other weights.

    Args:
        table: As `published` or `recomputed` returns it.
        experiment: Letter of the experiment.
        architecture: Key of the architecture.
        weights: What it was initialised with.

    Returns:
        Rows of `table`, none where the paper has no such architecture in this experiment, and
        whether they began from the same weights.
    """
    there = table[(table["experiment"] == experiment) & (table["architecture"] == architecture)]
    exact = there[there["weights"] == weights]
    return (exact, True) if len(exact) else (there, False)


def counts():
    """Reads the confusion counts behind the printed tables.

    Returns:
        DataFrame, a row for each arm and target: experiment, architecture, weights, n_test and
        n_exact_match (test images, and those with all five targets right), target, tp, fp, fn, tn.
    """
    table = _fact("confusion_counts.csv")
    return table.assign(architecture=table["architecture"].map(_PRINTED))


def split():
    """Reads the paper's sample and split, as `cohort.paper_split` regenerates it.

    Returns:
        DataFrame of 2,858 rows: file, group, patient, split; enough for `cohort.leakage`.
    """
    return _fact("paper_split.csv")


def recomputed():
    """Computes every printed value and interval again from the counts.

    Precision, recall and accuracy are proportions and get Clopper and Pearson's (1934) interval of
    their own n. So does F1, because F1 / (2 − F1) = tp / (tp + fp + fn) is one (Hand et al. 2021).
    A COVID image that Experiments B and C test in copies counts once; the copies among Virus,
    Pneumonia and the whole answer cannot be told apart in the counts and stay in.

    Returns:
        DataFrame, a row for each printed number:

        - table, experiment, architecture, weights, target, metric: as `published`.
        - printed, printed_low, printed_high: shares in [0, 1] as printed.
        - printed_n: the n behind the printed interval (see `implied_n`).
        - support: the n by the paper's own rule, the test images or those with the target.
        - right: the value that follows from the counts.
        - agrees: whether it is the printed one to its last digit, be that rounded or cut off.
        - weighted: for macro averages, the average weighted by support instead; else NaN.
        - right_low, right_high, right_n: the exact interval and its n; NaN for macro averages and
          the Hamming loss, which are no proportions, and where nothing was counted.
    """
    table = counts()
    by_target = _by_target(table)
    measured = pd.concat([_overall(table, by_target), by_target])
    exact = [_exact(*row) for row in measured[["metric", "share", "right_n"]].to_numpy()]
    measured[["right_low", "right_high"]] = exact
    names = {"value": "printed", "low": "printed_low", "high": "printed_high"}
    keys = [*_ARM, "target", "metric"]
    numbers = published().rename(columns=names)
    numbers = numbers.merge(measured.drop(columns="share"), on=keys, validate="one_to_one")
    numbers["agrees"] = _same(numbers["printed"], numbers["right"])
    for _, rows in numbers.groupby(["table", "target"]):
        halves = rows["printed_high"] - rows["printed"]
        solved = implied_n(rows["printed"], halves, near=rows["support"].iloc[0])
        numbers.loc[rows.index, "printed_n"] = solved
    return numbers


def implied_n(values, halves, near):
    """Solves which n makes Wald's 1.96·sqrt(v(1 − v)/n) the printed half-widths.

    Args:
        values: Printed shares v in [0, 1], one column of a table.
        halves: Their printed half-widths, shares too; those of no width tell nothing.
        near: The n that is expected.

    Returns:
        Of the n up to 1,000 that give most of the half-widths to their last digit, the nearest to
        the one expected; NaN where no interval has a width.
    """
    values, halves = np.asarray(values, float), np.asarray(halves, float)
    wide = halves > _ROUNDING
    if not wide.any():
        return np.nan
    candidates = np.arange(1, 1001)
    made = _half_width(values[wide], candidates[:, None])
    hits = (np.abs(made - halves[wide]) < _LAST_DIGIT / 2 + _ROUNDING).sum(axis=1)
    best = candidates[hits == hits.max()]
    return best[np.abs(best - near).argmin()]


def audit():
    """Finds the printed numbers that do not follow from the counts, or claim more than they can.

    Returns:
        DataFrame, a row for each number and finding: finding (a key of `FINDINGS`), then the
        columns of `recomputed`. With "denominator", the right interval is the paper's own, with
        the support as its n; otherwise the exact one.
    """
    numbers = recomputed()
    value, n, support = numbers["printed"], numbers["right_n"], numbers["support"]
    wide = numbers["printed_high"] - value > _ROUNDING
    weighted = ~numbers["agrees"] & _same(value, numbers["weighted"])
    half = _half_width(value, support)
    by_rule = numbers.assign(right_low=value - half, right_high=value + half, right_n=support)
    found = {
        "weighted average": numbers[weighted],
        "value": numbers[~numbers["agrees"] & ~weighted],
        "denominator": by_rule[wide & (numbers["printed_n"] != support)],
        "precision interval": numbers[wide & (numbers["metric"] == "precision") & (n != support)],
        "zero width": numbers[~wide],
        "past 100 %": numbers[numbers["printed_high"] > 1 + _ROUNDING],
        "copies": numbers[(numbers["metric"] == "recall") & (n != support)],
    }
    return pd.concat(found, names=["finding", None]).reset_index(0).reset_index(drop=True)


def summary(findings):
    """Puts findings in words: one a line, or a line a printed column where an n is wrong.

    Args:
        findings: What `audit` returns, or some of its rows.

    Returns:
        DataFrame of text: Finding, Paper's table, Arm, Target, Measure, Printed, Right, all in per
        cent; and Numbers, how many printed numbers the line is about.
    """
    about_n = findings["finding"].isin(["denominator", "precision interval"])
    apart = findings.index.to_series().mask(about_n, -1)
    lines = findings.groupby(["finding", "table", "target", apart], sort=False)
    return pd.DataFrame([_line(rows) for _, rows in lines])


def without_covid():
    """Bounds what the tables say of the radiographs that show no COVID, the same in A, B and C.

    In B and C copies of COVID images are a fifth of the test images and half of those with Virus.
    At worst every COVID radiograph that was found was right in all five targets, and every one was
    called Virus: what is left was earned on the others.

    Returns:
        DataFrame, a row an arm: experiment, architecture, weights, accuracy and virus_recall (of
        all test images), accuracy_others and virus_recall_others (the least that they can be
        without COVID), n_others and virus_others (how many images those count).
    """
    table = counts().set_index([*_ARM, "target"])
    covid, virus = (table.xs(target, level="target") for target in ("COVID", "Virus"))
    n_covid, n_virus = covid["tp"] + covid["fn"], virus["tp"] + virus["fn"]
    n_others, virus_others = covid["n_test"] - n_covid, n_virus - n_covid
    return pd.DataFrame(
        {
            "accuracy": covid["n_exact_match"] / covid["n_test"],
            "virus_recall": virus["tp"] / n_virus,
            "accuracy_others": (covid["n_exact_match"] - covid["tp"]) / n_others,
            "virus_recall_others": (virus["tp"] - n_covid).clip(lower=0) / virus_others,
            "n_others": n_others,
            "virus_others": virus_others,
        }
    ).reset_index()


def _fact(name):
    with resources.files("cxrlib.paper").joinpath("facts", name).open() as file:
        return pd.read_csv(file, keep_default_na=False)


def _by_target(table):
    """Computes precision, recall and F1; `share` and `right_n` are for their exact intervals."""
    tp, fp, fn = (table[name] for name in ("tp", "fp", "fn"))
    copies = _copies(table)
    images, missed = tp / copies, fn / copies
    parts = {
        "precision": (tp / (tp + fp), images + fp),
        "recall": (tp / (tp + fn), images + missed),
        "f1": (2 * tp / (2 * tp + fp + fn), images + fp + missed),
    }
    frames = [
        table[[*_ARM, "target"]].assign(
            # Where nothing was predicted the paper, as scikit-learn, takes a precision of 0.
            metric=metric, right=value.fillna(0), share=images / n, right_n=n, support=tp + fn,
        )
        for metric, (value, n) in parts.items()
    ]  # fmt: skip
    return pd.concat(frames)


def _copies(table):
    """Returns how many test images of each row's target are copies of one image."""
    made = {
        name: experiment.copies.test if experiment.copies else 1
        for name, experiment in experiments.EXPERIMENTS.items()
    }
    return table["experiment"].map(made).where(table["target"] == "COVID", 1)


def _overall(table, by_target):
    """Computes the measures of the whole answer, macro averages also weighted by support."""
    products = by_target.assign(weighted=by_target["right"] * by_target["support"])
    macro = products.groupby([*_ARM, "metric"], sort=False).agg(
        right=("right", "mean"), weighted=("weighted", "sum"), support=("support", "sum")
    )
    macro = macro.assign(weighted=macro["weighted"] / macro["support"]).reset_index()
    macro["metric"] = "macro_" + macro["metric"]
    arms = table.assign(errors=table["fp"] + table["fn"]).groupby(_ARM, sort=False)
    arms = arms.agg(
        support=("n_test", "first"), exact=("n_exact_match", "first"), errors=("errors", "mean")
    )
    accuracy, hamming = arms["exact"] / arms["support"], arms["errors"] / arms["support"]
    n = arms["support"]
    parts = [
        arms.assign(metric="accuracy", right=accuracy, share=accuracy, right_n=n),
        arms.assign(metric="hamming_loss", right=hamming),
    ]
    frames = [macro.drop(columns="support").merge(n, on=_ARM), *(p.reset_index() for p in parts)]
    return pd.concat(frames).drop(columns=["exact", "errors"]).assign(target="all")


def _exact(metric, share, n):
    low, high = metrics.proportion(share, n, "clopper-pearson")
    if metric == "f1":
        return 2 * low / (1 + low), 2 * high / (1 + high)
    return low, high


def _half_width(value, n):
    return _Z * np.sqrt(value * (1 - value) / n)


def _same(printed, computed):
    """Returns whether they agree to the last printed digit, be that rounded or cut off."""
    return (printed - computed).abs() < _LAST_DIGIT - _ROUNDING


def _line(rows):
    """Puts one finding in words: about one number, or about the n of a column's intervals."""
    first, alone = rows.iloc[0], len(rows) == 1
    arm = labels.arm_label(first["architecture"], first["weights"])
    if first["finding"] in ("denominator", "precision interval"):
        printed, right = (f"n = {_range(rows[name])}" for name in ("printed_n", "right_n"))
    elif first["finding"] in ("zero width", "past 100 %", "copies"):
        half = first["printed_high"] - first["printed"]
        printed = f"{100 * first['printed']:.2f} ± {100 * half:.2f}"
        right = f"{100 * first['right_low']:.1f}–{100 * first['right_high']:.1f}"
        right = "undefined" if np.isnan(first["right_low"]) else right
    else:
        printed, right = f"{100 * first['printed']:.2f}", f"{100 * first['right']:.2f}"
    return {
        "Finding": first["finding"],
        "Paper's table": str(first["table"]),
        "Arm": f"{first['experiment']}\u2002{arm if alone else 'all'}",
        "Target": first["target"],
        "Measure": labels.LABELS[first["metric"]] if rows["metric"].nunique() == 1 else "all",
        "Printed": printed,
        "Right": right,
        "Numbers": str(len(rows)),
    }


def _range(numbers):
    low, high = f"{numbers.min():.0f}", f"{numbers.max():.0f}"
    return low if low == high else f"{low}–{high}"
