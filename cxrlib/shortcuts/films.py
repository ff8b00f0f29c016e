"""Marks on real radiographs: pasted, painted over and moved, and what the answers make of it."""

import dataclasses

import numpy as np
import pandas as pd

from cxrlib import metrics, phantom, study
from cxrlib.images import marks
from cxrlib.metrics import comparison
from cxrlib.shortcuts.asking import asker
from cxrlib.targets import TARGETS

SCORED = [
    "experiment", "seed", "change", "target", "metric", "before", "after", "difference", "low",
    "high", "n",
]  # fmt: skip
"""Columns of `marks_scored`."""


def marks_changed(profile, name):
    """Changes the marks on the test radiographs of a study, and asks its Efficient arm again.

    Args:
        profile: Any profile of real radiographs.
        name: An experiment's name.

    Returns:
        DataFrame: experiment, change ("pasted" or one of `marks.CHANGES`), mark (which was pasted,
        or "found"), group, target, n (radiographs; but for "pasted" only those on which a mark was
        found), share (of the group's radiographs), patients, mean (of the probability after less
        before), low, high (counting patients), size (mean of its absolute value), and flipped
        (share of radiographs whose answer at 0.5 changed).
    """
    table, ask = _asked(profile, name)
    has = np.array([marks.find(study.image(profile, row)).any() for _, row in table.iterrows()])

    versions = {("pasted", mark): table.assign(mark=mark) for mark in phantom.MARKS[1:]}
    versions |= {(change, "found"): table.assign(change=change) for change in marks.CHANGES}
    before, parts = ask(table), []
    for (change, mark), rows in versions.items():
        chosen = has | (change == "pasted")
        found = _paired(before[chosen], ask(rows)[chosen])
        share = found["n"] / found["group"].map(table["group"].value_counts())
        facts = {"experiment": name, "change": change, "mark": mark}
        found.insert(3, "share", share)
        parts.append(pd.DataFrame([facts] * len(found)).join(found))
    return pd.concat(parts, ignore_index=True)


def marks_scored(profile, name):
    """Changes the marks that the test radiographs carry, and scores the Efficient arm again.

    Radiographs on which no mark was found stay as they are, and count.

    Args:
        profile: Any profile of real radiographs; its first seed is asked.
        name: An experiment's name.

    Returns:
        DataFrame: experiment, seed, change (one of `marks.CHANGES`), target, metric (the harsh
        accuracy, and the AUC of each target), before, after, difference (after less before), low,
        high (counting patients) and n (patients), as `comparison.paired` measures them.
    """
    table, ask = _asked(profile, name)
    wanted = [("all", "accuracy"), *((target, "auc") for target in TARGETS)]
    wanted = pd.DataFrame(wanted, columns=["target", "metric"])
    before, parts = ask(table), []
    for change in marks.CHANGES:
        found = comparison.paired(ask(table.assign(change=change)), before)
        found = wanted.merge(found.rename(columns={"a": "after", "b": "before"}))
        parts.append(found.assign(experiment=name, seed=profile.seed, change=change))
    return pd.concat(parts, ignore_index=True)[SCORED]


def widest(scored):
    """Averages over seeds what a change of marks does to a score.

    Args:
        scored: Rows of what `marks_scored` returns, of one experiment, change and score.

    Returns:
        Array: the mean difference, the lowest and the highest end of the seeds' intervals. An
        interval that could not be measured, since nothing changed, has no width.
    """
    low, high = (scored[end].fillna(scored["difference"]) for end in ("low", "high"))
    return np.array([scored["difference"].mean(), low.min(), high.max()])


def _asked(profile, name):
    """Returns the test radiographs of a study, each once, and what asks its Efficient arm."""
    profile = dataclasses.replace(profile, arms=("efficient",))
    experiment = profile.experiment(name)
    ask = asker(profile, experiment, experiment.arms[0])
    table = study.cohort(profile).query("split == 'test'").reset_index(drop=True)
    return table.assign(copy=0, mark="none"), ask


def _paired(before, after):
    """Returns the change of each target's probability in each group, row by row of two answers."""
    rows = []
    for group, part in before.groupby("group", sort=False):
        for target in TARGETS:
            p, q = (one.loc[part.index, f"p_{target}"].to_numpy() for one in (before, after))
            ends = metrics.average(q - p, part["patient"])
            flipped = ((p >= 0.5) != (q >= 0.5)).mean()
            facts = (group, target, len(part), part["patient"].nunique())
            rows.append((*facts, *ends, np.abs(q - p).mean(), flipped))
    names = ["group", "target", "n", "patients", "mean", "low", "high", "size", "flipped"]
    return pd.DataFrame(rows, columns=names)
