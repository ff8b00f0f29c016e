"""Marks on real radiographs: pasted, painted over and moved, and what the answers make of it."""

import dataclasses

import numpy as np
import pandas as pd

from cxrlib import metrics, phantom, study
from cxrlib.images import marks
from cxrlib.shortcuts.asking import asker
from cxrlib.targets import TARGETS


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
    profile = dataclasses.replace(profile, arms=("efficient",))
    experiment = profile.experiment(name)
    ask = asker(profile, experiment, experiment.arms[0])
    table = study.cohort(profile).query("split == 'test'").reset_index(drop=True)
    table = table.assign(copy=0, mark="none")
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
