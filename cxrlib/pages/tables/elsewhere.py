"""What networks are worth on radiographs from elsewhere."""

import numpy as np
import pandas as pd

from cxrlib import metrics
from cxrlib.labels import GROUP_LABELS, interval, number, ranged, run_label, split_label
from cxrlib.shortcuts import external as elsewhere
from cxrlib.targets import TARGETS


def aucs(runs, tested):
    """Tabulates the AUC of each target in the test split, and of COVID on new patients.

    Args:
        runs: Finished runs.
        tested: Predictions of radiographs from elsewhere, one table a run.
    """
    rows = []
    for run, answers in zip(runs, tested):
        cells = {"Arm": f"{run_label(*run.key)}, {run.info['image_size']}\u00a0px"}
        cells["Seed"] = run.info["seed"]
        for target in TARGETS:
            value, *ends = run.measure("auc", target)
            cells[target] = ranged(value, *ends) if target == "COVID" else number(value)
        there = metrics.auc_of(answers, "COVID")
        rows.append(cells | {"COVID, new patients": ranged(*there)})
    return pd.DataFrame(rows)


def findings(counts):
    """Tabulates what a collection's findings mean here (see `cohort.count_findings`)."""
    shown = counts.assign(group=counts["group"].replace("", "left out"))
    heads = {"finding": "Finding", "group": "Counts as", "reason": "Because"}
    heads["radiographs"] = "Radiographs"
    return shown[list(heads)].rename(columns=heads)


def external(runs):
    """Tabulates how well each run orders radiographs from elsewhere by their probability of COVID.

    Args:
        runs: Runs; those that were not tested elsewhere have no row.

    Returns:
        A row a run and cohort; the cohort is named where there are several, and the split where it
        is not the paper's.
    """
    rows = []
    for run in runs:
        for name, predictions in run.external.items():
            (found,) = elsewhere.scores(predictions).query("target == 'COVID'").itertuples()
            counts = (found.n, found.patients, found.positives)
            rows.append([*_tested(run, name), *counts, _auc(found)])
    columns = ["Arm", "Trained", "Cohort", "Radiographs", "Patients", "With COVID", "AUC"]
    return _cohorts_told_apart(pd.DataFrame(rows, columns=columns))


def called(runs, target="COVID"):
    """Tabulates how often each run calls radiographs from elsewhere COVID, by their group.

    Args:
        runs: As `external` takes them.
        target: One of `shortcuts.external.CALLED`.

    Returns:
        A row a run and cohort, a column a group, COVID last: whole per cent, and of how many.
    """
    rows = []
    for run in runs:
        for name, predictions in run.external.items():
            cells = dict(zip(("Arm", "Trained", "Cohort"), _tested(run, name)))
            for row in elsewhere.called(predictions).query("target == @target").itertuples():
                share, *ends = (f"{100 * v:.0f}" for v in (row.share, row.low, row.high))
                around = "\u2060–\u2060".join(ends)  # never broken over lines
                cells[GROUP_LABELS[row.group]] = f"{share}\u00a0({around}) of {row.n}"
            rows.append(cells)
    order = ["Arm", "Trained", "Cohort", *GROUP_LABELS.values()]
    found = pd.DataFrame(rows, columns=order).dropna(axis=1, how="all")
    return _cohorts_told_apart(found.fillna("–"))


def scores(predictions):
    """Tabulates how well a run orders the radiographs of a cohort, target by target.

    Args:
        predictions: As `shortcuts.external.scores` takes them.
    """
    found = elsewhere.scores(predictions)
    found["auc"] = [_auc(row) for row in found.itertuples()]
    shown = {"target": "Target", "auc": "AUC", "n": "Radiographs", "positives": "With it"}
    return found[[*shown, "patients"]].rename(columns={**shown, "patients": "Patients"})


def shares(predictions):
    """Tabulates how often the radiographs of each group of a cohort are called what.

    Args:
        predictions: As `shortcuts.external.called` takes them.
    """
    rows = []
    for group, part in elsewhere.called(predictions).groupby("group", sort=False):
        cells = {"Group": GROUP_LABELS[group], "Radiographs": part["n"].iloc[0]}
        for row in part.itertuples():
            cells[row.target] = interval(row.share, row.low, row.high)
        rows.append(cells)
    return pd.DataFrame(rows)


def _tested(run, name):
    """Returns a run's arm, how it was trained, and the name of a cohort that it was tested on."""
    how = f"{run.info['image_size']} px, seed {run.info['seed']}"
    if run.info["split"] != "paper":
        how = f"{split_label(run.info['split'])}, {how}"
    own = run.folder.absolute().parents[2].name == "runs"
    return run_label(*run.key), f"{how}, this copy" if own else how, name


def _cohorts_told_apart(table):
    """Drops the name of the cohort where there is one only."""
    one = "Cohort" in table and table["Cohort"].nunique() == 1
    return table.drop(columns="Cohort") if one else table


def _auc(found):
    """Writes an AUC with its interval, or that there is none."""
    return "undefined" if np.isnan(found.auc) else ranged(found.auc, found.low, found.high)
