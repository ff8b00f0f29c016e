"""Where networks look, and what their answers hang on."""

import numpy as np
import pandas as pd

from cxrlib.labels import COVERED, interval, number, ranged, run_label, signed
from cxrlib.pages.tables.shown import ENDS
from cxrlib.shortcuts.films import widest
from cxrlib.targets import GROUP_TARGET


def likeness(compared):
    """Tabulates how alike two networks' heatmaps are.

    Args:
        compared: As `sanity.cascades` or `sanity.retrained` returns it.
    """
    rows = []
    for (heatmap, change), found in compared.groupby(["heatmap", "change"], sort=False):
        cells = {"Heatmap": heatmap, "Network": change}
        for row in found.itertuples():
            measure = {"ssim": "Structural similarity", "rank": "Rank correlation"}[row.measure]
            shown = ranged(row.value, row.low, row.high)
            cells[measure] = shown
            cells[f"{measure}, others"] = number(row.pairs)
            cells["Compared"] = row.n
        rows.append(cells)
    none = [{"Heatmap": "none", "Network": "Efficient was not run"}]
    return pd.DataFrame(rows or none)


def attention(summary, of="region"):
    """Tabulates heatmap energy beside what chance gives.

    Args:
        summary: As `attention.summary` returns it, by experiment, architecture, weights, perhaps
            seed, and `of`.
        of: "region", or "target" where one region is shown target by target.
    """
    rows = []
    seed = [name for name in ("seed",) if name in summary]
    keys = ["experiment", "architecture", "weights", *seed, of]
    for (experiment, architecture, weights, *what), part in summary.groupby(keys, sort=False):
        found = part.set_index("measure")
        cells = [interval(*found.loc[measure, ENDS]) for measure in ("energy", "pointing")]
        chance = [f"{100 * found.loc[measure, 'value']:.1f}" for measure in ("area", "gaussian")]
        lift = signed(*found.loc["lift", ENDS])
        label = run_label(experiment, architecture, weights)
        rows.append([label, *what, found["n"].iloc[0], *cells, *chance, lift])
    chance = ["Its share", "Gaussian"]
    which = [name.capitalize() for name in (*seed, of)]
    columns = ["Arm", *which, "n", "Energy", "Highest point", *chance, "Above share"]
    return pd.DataFrame(rows, columns=columns)


def recovery(measured):
    """Tabulates how much of the marks of phantoms is found.

    Args:
        measured: As `marks.recovery` returns it.
    """
    rows = [
        {
            "Mark": row.mark,
            "Phantoms": row.n,
            "Found": f"{100 * row.found:.0f}",
            "Recall": "" if np.isnan(row.recall) else f"{100 * row.recall:.0f}",
            "Precision": "" if np.isnan(row.precision) else f"{100 * row.precision:.0f}",
        }
        for row in measured.itertuples()
    ]
    return pd.DataFrame(rows)


def marks_changed(measured):
    """Tabulates what a change of its marks does to the probability of each group's own target.

    Args:
        measured: As `shortcuts.marks_changed` returns it, of one or several experiments.
    """
    own = measured[measured["target"] == measured["group"].map(GROUP_TARGET)]
    rows = []
    for (change, mark, group), part in own.groupby(["change", "mark", "group"], sort=False):
        found, first = part.set_index("experiment"), part.iloc[0]
        cells = [f"{mark} pasted" if change == "pasted" else change, group]
        cells.append(f"{first['n']} ({100 * first['share']:.0f}\u00a0%)")
        for experiment in found.index:
            ends = found.loc[experiment, ["mean", "low", "high"]]
            cells += [signed(*ends), f"{100 * found.loc[experiment, 'flipped']:.1f}"]
        rows.append(cells)
    columns = ["Change", "Group", "Radiographs"]
    for experiment in own["experiment"].unique():
        columns += [f"{experiment}: change", "turned"]
    return pd.DataFrame(rows, columns=columns)


def marks_scored(measured):
    """Tabulates what a change of the marks that were found does to a network's scores.

    Args:
        measured: As `shortcuts.marks_scored` returns it, of one or several experiments and seeds.

    Returns:
        A row an experiment and change: the harsh accuracy as it was, and how it and the AUC of
        COVID change, as `shortcuts.widest` averages it.
    """
    rows = []
    for (experiment, change), part in measured.groupby(["experiment", "change"], sort=False):
        harsh, covid = (
            part[(part["target"] == target) & (part["metric"] == metric)]
            for target, metric in (("all", "accuracy"), ("COVID", "auc"))
        )
        rows.append({
            "Experiment": experiment, "Marks": change, "Seeds": harsh["seed"].nunique(),
            "Harsh accuracy": f"{100 * harsh['before'].mean():.1f}",
            "Change in points": signed(*widest(harsh)),
            "AUC of COVID": f"{covid['before'].mean():.2f}",
            "Change": ranged(*widest(covid), digits=3),
        })  # fmt: skip
    return pd.DataFrame(rows)


def occlusion(measured):
    """Tabulates how well targets and origin are told with parts of every radiograph covered.

    Args:
        measured: As `shortcuts.occlusion` returns it, all runs joined. Where some seeds could not
            be measured, the others are shown, and how many they are.
    """
    rows = []
    for cover, part in measured.groupby("cover", sort=False):
        row = {"Radiographs": COVERED[cover]}
        for target, runs_of in part.groupby("target", sort=False):
            notes = runs_of["note"].fillna("")
            row[target] = "; ".join(notes.unique()) if notes.ne("").all() else _ends(runs_of, notes)
        rows.append(row)
    titles = {"origin": "Origin", "origin, untrained": "Origin, untrained"}
    return pd.DataFrame(rows).rename(columns=titles)


def _ends(runs_of, notes):
    """Writes the mean of the seeds that were measured, with the lowest and the highest end."""
    known = runs_of[notes == ""]
    shown = ranged(known["value"].mean(), known["low"].min(), known["high"].max())
    few = len(known) < len(runs_of)
    return f"{shown}, {len(known)} of {len(runs_of)} seeds" if few else shown


def over_seeds(measured, columns):
    """Tabulates measures that were averaged over seeds.

    Args:
        measured: As `shortcuts.over_seeds` returns it.
        columns: Column of `measured` -> its heading; the mean with its interval comes last.
    """
    rows = measured[list(columns)].astype(str).rename(columns=columns)
    points = [signed(*ends) for ends in measured[["mean", "low", "high"]].itertuples(index=False)]
    return rows.assign(**{"Mean (95 % interval)": points})
