"""Tables and figures of what mends a shortcut, and of which heatmaps show it."""

import textwrap

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from cxrlib.labels import ranged
from cxrlib.networks import ARCHITECTURES
from cxrlib.pages.figures.drawn import closed, style
from cxrlib.shortcuts import over_seeds, remedies
from cxrlib.shortcuts.populations import REAL, VERSIONS
from cxrlib.shortcuts.remedies import CONTROLS, ON_REAL, REMEDIES, WITHOUT

TIED = ("marks", "source")
"""Shortcuts that are shown beside no shortcut at all."""

UNCROPPED = ("marks between the lungs", "devices")
"""Shortcuts that no crop to the lungs takes away."""

FIRMER = ("source, wholly", "marks and source")
"""Shortcuts with the source that are firmer than the source in nine radiographs of ten."""

MENDED = 0.2
"""A gap is mended where its interval ends below this share of the gap without a remedy."""

STARTS = {"none": "at random weights", "pretrained": "on phantoms"}
"""Where networks of real radiographs begin, by remedy, in words."""

CHOSEN_BY = {
    "validation, tied": "validation phantoms with the shortcut as in training",
    "validation, random": "validation phantoms without the shortcut",
    "random": "the new phantoms themselves, which nobody can ask",
}
"""Ways to choose a remedy, in words."""

_LOOKS = {"nothing": ("#767676", "s"), "marks": ("#332288", "o"), "source": ("#cc6677", "D")}


def verdicts(effects):
    """Says which remedies mend which shortcut, and which cost something.

    Args:
        effects: As `shortcuts.remedies.effects` returns it.

    Returns:
        Dict: each shortcut that was measured -> what the remedies that mend it are called (the 95 %
        interval of the gap over seeds ends below `MENDED` of the gap without a remedy), and "costs"
        -> those that lower the AUC where nothing is tied (their interval, at the level of all of
        them together after Bonferroni, lies below 0).
    """
    found = {}
    for shortcut in set(effects["shortcut"]) - {"nothing"}:
        gaps = _over(effects, shortcut, "gap")
        most = MENDED * gaps.loc[WITHOUT, "mean"]
        mends = gaps.index[gaps["high"] < most]
        found[shortcut] = [REMEDIES[name].says for name in mends if name not in CONTROLS]
    tried = effects[~effects["remedy"].isin(CONTROLS)]
    price = _over(tried, "nothing", "gained", 1 - 0.05 / tried["remedy"].nunique())
    dear = price.index[price["high"] < 0]
    return found | {"costs": [REMEDIES[name].says for name in dear]}


def table(effects, shortcuts=TIED):
    """Tabulates what is left of a score with each remedy.

    Args:
        effects: As `shortcuts.remedies.effects` returns it.
        shortcuts: Those that are shown.

    Returns:
        A row a remedy that was tried with any of them: AUC where nothing is tied; AUC without each
        shortcut, and the gap, where it is tied. Means over seeds with 95 % intervals; "–" where not
        run.
    """
    columns = {"AUC, nothing tied": _over(effects, "nothing", "random")}
    for shortcut in shortcuts:
        columns[f"{shortcut.capitalize()}: AUC, tie broken"] = _over(effects, shortcut, "random")
        columns[f"{shortcut.capitalize()}: gap"] = _over(effects, shortcut, "gap")
    asked = set(effects.loc[effects["shortcut"].isin(shortcuts), "remedy"])
    return _tabulated([name for name in REMEDIES if name in asked], columns)


def in_common(measured, shortcut="marks"):
    """Takes what all architectures were asked: one shortcut, and the seeds that all have.

    Args:
        measured: As `shortcuts.remedies.read` returns it.
        shortcut: Which one.

    Returns:
        Dict of an architecture's label -> its effects, as `shortcuts.remedies.effects` returns
        them.
    """
    asked = measured[measured["shortcut"] == shortcut]
    of = {
        row.label: remedies.effects(asked, architecture=name) for name, row in ARCHITECTURES.items()
    }
    seeds = set.intersection(*(set(effects["seed"]) for effects in of.values()))
    return {label: effects[effects["seed"].isin(seeds)] for label, effects in of.items()}


def architectures_table(effects, shortcut="marks"):
    """Tabulates what is left of a score by architecture, for the remedies that all have tried.

    Args:
        effects: As `in_common` returns them.
        shortcut: Which one.

    Returns:
        A row a remedy: of each architecture the AUC without the shortcut, and the gap. Means over
        seeds, with 95 % intervals where there is more than one.
    """
    tried, columns = [*REMEDIES], {}
    for label, own in effects.items():
        tried = [remedy for remedy in tried if remedy in set(own["remedy"])]
        columns[f"{label}: AUC, tie broken"] = _over(own, shortcut, "random")
        columns[f"{label}: gap"] = _over(own, shortcut, "gap")
    return _tabulated(tried, columns)


def choice_table(chosen):
    """Tabulates which remedy validation would have chosen, and what it is worth.

    Args:
        chosen: As `shortcuts.remedies.chosen` returns it, of one shortcut.

    Returns:
        A row a way to choose: what was chosen, in how many seeds, and the AUC on new patients
        without the shortcut, a mean over seeds with a 95 % interval.
    """
    averages, rows = over_seeds(chosen, "random", ["by"]).set_index("by"), []
    for by, says in CHOSEN_BY.items():
        often = chosen.loc[chosen["by"] == by, "remedy"].value_counts()
        named = [f"{REMEDIES[name].says}: {n}" for name, n in often.items()]
        cell = _cell(averages, by, least=0)
        rows.append({"Chosen by": says, "Chosen, in seeds": "; ".join(named), "AUC": cell})
    return pd.DataFrame(rows)


def figure(effects):
    """What is left of the AUC without the shortcut, a row a remedy; small dots are seeds.

    Args:
        effects: As `shortcuts.remedies.effects` returns it.
    """
    style()
    names = [name for name in REMEDIES if name in set(effects["remedy"])]
    drawn, axis = plt.subplots(figsize=(5, 0.46 * len(names) + 1.6))  # a phone shows it whole
    for shift, (shortcut, (colour, marker)) in zip((-0.22, 0, 0.22), _LOOKS.items()):
        own = effects[(effects["shortcut"] == shortcut) & effects["remedy"].isin(names)]
        rows = own["remedy"].map(names.index) + shift
        axis.plot(own["random"], rows, ".", color=colour, markersize=4, alpha=0.5)
        mean = own.groupby("remedy")["random"].mean()
        label = "nothing tied" if shortcut == "nothing" else f"{shortcut} tied, then at random"
        axis.plot(mean, [names.index(name) + shift for name in mean.index], marker, color=colour,
                  markersize=6, label=label)  # fmt: skip
    axis.axvline(0.5, color="black", linewidth=1, linestyle=":")
    says = [textwrap.fill(REMEDIES[name].says, 26) for name in names]
    axis.set_yticks(range(len(names)), says, fontsize=8)
    axis.invert_yaxis()
    axis.set_xlabel("AUC on new phantoms, mean of five targets; 0.5 is a coin", fontsize=9)
    drawn.legend(loc="outside upper right", frameon=False, fontsize=9)
    return closed(drawn)


def real_table(effects, before):
    """Tabulates the AUC of one target on real radiographs with each remedy.

    Args:
        effects: As `shortcuts.remedies.effects` returns it, of the shortcut `REAL`.
        before: The same of networks that were trained with the same seeds another time.

    Returns:
        A row a remedy that was tried: AUC in the test split, on new patients, how much higher that
        is than without a remedy, and how much higher it was before. Means over seeds with 95 %
        intervals.
    """
    measures = {"Test split": "tied", "New patients": "random", "Gain over none": "gained"}
    columns = {title: _over(effects, REAL, measure) for title, measure in measures.items()}
    columns["Gain, trained before"] = _over(before, REAL, "gained")
    for title in ("Gain over none", "Gain, trained before"):
        columns[title] = columns[title].drop(index=WITHOUT)
    return _tabulated([name for name in ON_REAL if name in set(effects["remedy"])], columns)


def starts_table(effects):
    """Tabulates where networks begin, and what their score in the test split hangs on.

    Args:
        effects: As `shortcuts.remedies.effects` returns it, of the shortcut `REAL`.

    Returns:
        A row a start: AUC in the test split, with its border covered, from its border alone, and on
        new patients. Means over seeds with 95 % intervals.
    """
    measures = {
        "Test split": "tied", "Border covered": "border covered", "Border alone": "border alone",
        "New patients": "random",
    }  # fmt: skip
    columns = {title: _over(effects, REAL, measure) for title, measure in measures.items()}
    rows = _tabulated(list(STARTS), columns).drop(columns=["Remedy", "Takes"])
    rows.insert(0, "Begun", list(STARTS.values()))
    return rows


def helping(*trainings):
    """Names the remedies that raise the AUC on new patients: 95 % interval over seeds above 0.

    Args:
        trainings: Effects, as `shortcuts.remedies.effects` returns them, of networks of the same
            seeds trained once or more often; a remedy has to help in each.
    """
    return _called(trainings, lambda gained: gained["low"] > 0)


def harming(*trainings):
    """Names the remedies that lower the AUC on new patients: 95 % interval over seeds below 0.

    Args:
        trainings: As `helping` takes them.
    """
    return _called(trainings, lambda gained: gained["high"] < 0)


def _called(trainings, which):
    averages = [_over(effects, REAL, "gained") for effects in trainings]
    names = [set(gained.index[which(gained)]) for gained in averages]
    shown = set.intersection(*names) - set(CONTROLS)
    return [remedy.says for name, remedy in REMEDIES.items() if name in shown]


def carried(simulated, real, shortcut="source"):
    """Sets what remedies do on phantoms against what they do on real radiographs.

    Args:
        simulated: Effects of phantoms, as `shortcuts.remedies.effects` returns them.
        real: Effects of real radiographs.
        shortcut: Of the phantoms.

    Returns:
        DataFrame, a row a remedy that was tried on both, controls left out: remedy, simulated and
        real (means over seeds of the AUC gained without the shortcut); and Spearman's rank
        correlation of the two with its p.
    """
    means = {
        name: _over(effects, which, "gained")["mean"]
        for name, effects, which in (("simulated", simulated, shortcut), ("real", real, REAL))
    }
    table = pd.DataFrame(means).dropna().drop(index=[*CONTROLS], errors="ignore")
    rank, p = spearmanr(table["simulated"], table["real"])
    return table.rename_axis("remedy").reset_index(), float(rank), float(p)


def carried_figure(table):
    """What remedies gain on phantoms, across, against what they gain on real radiographs, up.

    Args:
        table: As `carried` returns it.
    """
    style()
    drawn, axis = plt.subplots(figsize=(5.5, 4.5))
    axis.axhline(0, color="black", linewidth=1, linestyle=":")
    axis.axvline(0, color="black", linewidth=1, linestyle=":")
    axis.plot(table["simulated"], table["real"], "o", color=_LOOKS["source"][0])
    for row in table.itertuples():
        axis.annotate(row.remedy, (row.simulated, row.real), xytext=(5, 3), fontsize=8,
                      textcoords="offset points")  # fmt: skip
    axis.set_xlabel("AUC gained on phantoms, source tied")
    axis.set_ylabel("AUC of COVID gained on real new patients")
    axis.margins(x=0.2)
    return closed(drawn)


def transfer_table(measured, by, columns):
    """Tabulates how networks answer about radiographs that may be unlike those they learnt from.

    Args:
        measured: As `shortcuts.transfer.read` returns it.
        by: Dict of title -> column that tells the rows apart.
        columns: Dict of title -> (target, "auc" or "right").

    Returns:
        A row each: means over seeds with 95 % intervals over seeds, "–" where there is none.
    """
    rows, names = [], list(by.values())
    for key, part in measured.groupby(names, sort=False):
        row = dict(zip(by, key))
        for title, (target, measure) in columns.items():
            own = part[part["target"] == target]
            averages = over_seeds(own.assign(of=0), measure, ["of"])
            row[title] = _cell(averages, 0, least=0)
        rows.append(row)
    return pd.DataFrame(rows)


def heatmap_table(ranked, shares):
    """Tabulates which kinds of heatmap put networks in the order of their shortcut gaps.

    Args:
        ranked: As `shortcuts.telling.ranked` returns it.
        shares: Dict of title -> a mean by method, as `telling.shares` returns it.

    Returns:
        A row a method, the best first: rank correlation with each number of heatmaps shown (95 %
        intervals with the most), and each mean, per cent.
    """
    most, rows = ranked["shown"].max(), []
    best_first = ranked[ranked["shown"] == most].sort_values("rank", ascending=False)
    for method in best_first["method"]:
        part = ranked[ranked["method"] == method].set_index("shown")
        few = {f"{n} shown": f"{part.loc[n, 'rank']:.2f}" for n in part.index if n != most}
        last = {f"{most} shown": ranged(*part.loc[most, ["rank", "low", "high"]])}
        own = {title: f"{100 * of[method]:.0f} %" for title, of in shares.items()}
        rows.append({"Heatmap": method, **few, **last, **own})
    return pd.DataFrame(rows)


def _tabulated(names, columns):
    """Tabulates remedies: a row a name, a column each of averages as `_over` returns them."""
    rows = []
    for name in names:
        cells = {title: _cell(of, name) for title, of in columns.items()}
        rows.append({"Remedy": REMEDIES[name].says, "Takes": REMEDIES[name].takes or "–", **cells})
    return pd.DataFrame(rows)


def _over(effects, shortcut, measure, level=0.95):
    """Averages a measure over seeds: a row a remedy with mean, low and high."""
    own = effects[effects["shortcut"] == shortcut]
    found = over_seeds(own, measure, ["remedy"], level).set_index("remedy")
    if measure in VERSIONS:  # AUCs, which Student's interval may leave
        found[["low", "high"]] = found[["low", "high"]].clip(0, 1)
    return found


def _cell(averages, name, least=-1):
    if name not in averages.index or np.isnan(averages.loc[name, "mean"]):
        return "–"
    mean, low, high = averages.loc[name, ["mean", "low", "high"]]
    low, high = np.clip([low, high], least, 1)
    return ranged(mean, low, high) if np.isfinite(low) else f"{mean:.2f}"
