"""The table and the figure of what mends a shortcut."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from cxrlib.labels import ranged
from cxrlib.pages.figures import WIDTH, closed, style
from cxrlib.shortcuts import over_seeds
from cxrlib.shortcuts.remedies import REMEDIES

TIED = ("marks", "source")
"""Shortcuts that are shown beside no shortcut at all."""

MENDED = 0.2
"""A gap is mended where its interval ends below this share of the gap without a remedy."""

_LOOKS = {"nothing": ("#767676", "s"), "marks": ("#332288", "o"), "source": ("#cc6677", "D")}
_WITHOUT = next(iter(REMEDIES))


def verdicts(effects):
    """Says which remedies mend which shortcut, and which cost something.

    Args:
        effects: As `shortcuts.remedies.effects` returns it.

    Returns:
        Dict: "marks" and "source" -> what the remedies that mend it are called (the 95 % interval
        of the gap over seeds ends below `MENDED` of the gap without a remedy), and "costs" ->
        those that lower the AUC where nothing is tied (interval without 0).
    """
    found = {}
    for shortcut in TIED:
        gaps = _over(effects, shortcut, "gap")
        most = MENDED * gaps.loc[_WITHOUT, "mean"]
        mends = gaps.index[gaps["high"] < most]
        found[shortcut] = [REMEDIES[name].says for name in mends if not _is_control(name)]
    price = _over(effects, "nothing", "gained").drop(index=_WITHOUT)
    dear = price.index[price["high"] < 0]
    return found | {"costs": [REMEDIES[name].says for name in dear if not _is_control(name)]}


def table(effects):
    """Tabulates what is left of a score with each remedy.

    Args:
        effects: As `shortcuts.remedies.effects` returns it.

    Returns:
        A row a remedy: AUC where nothing is tied; AUC without the shortcut, and the gap, where
        marks and where sources are tied. Means over seeds with 95 % intervals; "–" where not run.
    """
    columns = {"AUC, nothing tied": _over(effects, "nothing", "random")}
    for shortcut in TIED:
        columns[f"{shortcut.capitalize()}: AUC without"] = _over(effects, shortcut, "random")
        columns[f"{shortcut.capitalize()}: gap"] = _over(effects, shortcut, "gap")
    rows = []
    for name, remedy in REMEDIES.items():
        cells = {title: _cell(of, name) for title, of in columns.items()}
        rows.append({"Remedy": remedy.says, "Takes": remedy.takes or "–", **cells})
    return pd.DataFrame(rows)


def figure(effects):
    """What is left of the AUC without the shortcut, a row a remedy; small dots are seeds.

    Args:
        effects: As `shortcuts.remedies.effects` returns it.
    """
    style()
    names = [name for name in REMEDIES if name in set(effects["remedy"])]
    drawn, axis = plt.subplots(figsize=(WIDTH, 0.42 * len(names) + 1.2))
    for shift, (shortcut, (colour, marker)) in zip((-0.22, 0, 0.22), _LOOKS.items()):
        own = effects[(effects["shortcut"] == shortcut) & effects["remedy"].isin(names)]
        rows = own["remedy"].map(names.index) + shift
        axis.plot(own["random"], rows, ".", color=colour, markersize=4, alpha=0.5)
        mean = own.groupby("remedy")["random"].mean()
        label = "nothing tied" if shortcut == "nothing" else f"{shortcut} tied, then at random"
        axis.plot(mean, [names.index(name) + shift for name in mean.index], marker, color=colour,
                  markersize=6, label=label)  # fmt: skip
    axis.axvline(0.5, color="black", linewidth=1, linestyle=":")
    axis.set_yticks(range(len(names)), [REMEDIES[name].says for name in names])
    axis.invert_yaxis()
    axis.set_xlabel("AUC on new patients, the mean of five targets; 0.5 is a coin")
    drawn.legend(loc="outside upper right", ncols=3, frameon=False, fontsize=9)
    return closed(drawn)


def _is_control(name):
    return name in (_WITHOUT, "border alone")


def _over(effects, shortcut, measure):
    """Averages a measure over seeds: a row a remedy with mean, low and high."""
    own = effects[effects["shortcut"] == shortcut]
    return over_seeds(own, measure, ["remedy"]).set_index("remedy")


def _cell(averages, name):
    if name not in averages.index:
        return "–"
    mean, low, high = averages.loc[name, ["mean", "low", "high"]]
    low, high = np.clip([low, high], -1, 1)
    return ranged(mean, low, high) if np.isfinite(low) else f"{mean:.2f}"
