"""Figures of what networks answer: here and elsewhere, right and wrong, and where they look."""

import matplotlib.pyplot as plt
import numpy as np

from cxrlib import labels, metrics, targets
from cxrlib.labels import GROUP_LABELS
from cxrlib.pages.figures.drawn import GROUP_COLOURS, WIDTH, closed, heat_bar, style

ANSWERS = ("Normal", "Virus", "Bacteria", "COVID", "other")
"""What five yes-or-no answers can amount to; "other" is any combination that fits no group."""

_PLACES = {"test": "Test split", "elsewhere": "New patients"}
_APART = "All of the sample, patients apart"
"""Whom models that see no lungs are asked about: each is tested on patients it has not seen."""


def probabilities(here, elsewhere, target="COVID"):
    """How sure networks are of a target where it is and where it is not: here, and on new patients.

    The two panels of a network stand side by side; of one alone, one above the other.

    Args:
        here: Dict of labels and predictions of the test split, a row each.
        elsewhere: Dict of the same labels and predictions of radiographs from elsewhere.
        target: One of the five.
    """
    style()
    grid, size = (len(here), 2), (WIDTH, 1.15 * len(here) + 0.8)
    if len(here) == 1:  # narrow enough for a phone
        grid, size = (2, 1), (5, 3.4)
    figure, axes = plt.subplots(*grid, figsize=size, sharex=True, squeeze=False)
    rng = np.random.default_rng(0)
    for line, label in zip(axes.reshape(-1, 2), here):
        for axis, place, answers in zip(line, _PLACES, (here[label], elsewhere[label])):
            has = answers[f"y_{target}"] == 1
            for y, (part, colour) in enumerate(((has, GROUP_COLOURS["covid"]), (~has, "#888888"))):
                said = answers.loc[part, f"p_{target}"]
                axis.plot(
                    said, y + rng.uniform(-0.3, 0.3, len(said)), ".", color=colour,
                    markersize=4, alpha=0.45, markeredgewidth=0,
                )  # fmt: skip
            axis.set_yticks([0, 1], [f"{target} ({has.sum()})", f"others ({(~has).sum()})"])
            axis.set(xlim=(-0.02, 1.02), ylim=(1.5, -0.5), xticks=[0, 0.5, 1])
            axis.axvline(0.5, color="black", linewidth=1, linestyle=":")
            value = labels.ranged(*metrics.auc_of(answers, target))
            axis.set_title(f"{label}, {_PLACES[place].lower()}: AUC {value}", fontsize=9)
            axis.grid(axis="y", visible=False)
    figure.supxlabel(f"Probability of {target}", fontsize=10)
    return closed(figure)


def confusion(predictions, threshold=0.5):
    """Counts which of the paper's answers each group of radiographs gets.

    Args:
        predictions: DataFrame with group, y_* and p_* columns.
        threshold: A target counts as answered yes from here on.

    Returns:
        DataFrame of whole numbers: a row each of `GROUPS` that was tested, in their order, a column
        each of `ANSWERS`. Radiographs of group "other" are left out: their targets differ, and so
        none of the answers is right of all.
    """
    said = targets.decode(predictions[[f"p_{t}" for t in targets.TARGETS]].to_numpy() >= threshold)
    names = [targets.GROUP_TARGET.get(group, "other") for group in said]
    table = predictions.assign(said=names).groupby(["group", "said"]).size().unstack(fill_value=0)
    there = [group for group in targets.GROUPS if group in table.index]
    return table.reindex(index=there, columns=ANSWERS, fill_value=0)


def confusions(runs, columns=3):
    """What each group's test radiographs are answered, per cent of the group: a panel a run.

    The right answer is bold. Of group "other" nothing is shown (see `confusion`).

    Args:
        runs: Finished runs.
        columns: Panels a line.
    """
    style()
    lines = -(-len(runs) // columns)
    figure, axes = plt.subplots(
        lines, columns, figsize=(WIDTH, 2.35 * lines), squeeze=False, sharex=True, sharey=True
    )
    for axis in axes.flat[len(runs) :]:
        axis.axis("off")
    for axis, run in zip(axes.flat, runs):
        counts = confusion(run.test_predictions)
        share = counts.div(counts.sum(axis=1), axis=0).to_numpy()
        axis.imshow(share, cmap="Greys", vmin=0, vmax=1.4, aspect="auto")
        right = [ANSWERS.index(targets.GROUP_TARGET[group]) for group in counts.index]
        for (y, x), value in np.ndenumerate(share):
            axis.text(
                x, y, f"{100 * value:.0f}", ha="center", va="center", fontsize=8,
                color="white" if value > 0.8 else "black",
                fontweight="bold" if x == right[y] else "normal",
            )  # fmt: skip
        axis.set_yticks(range(len(counts)), [GROUP_LABELS[group] for group in counts.index])
        axis.set_xticks(range(len(ANSWERS)), ANSWERS, rotation=35, ha="right", fontsize=8)
        axis.set_title(labels.run_label(*run.key), fontsize=9)
        axis.grid(False)
    figure.supxlabel("Answer", fontsize=10)
    figure.supylabel("Radiograph of", fontsize=10)
    return closed(figure)


def without_lungs(baselines, runs, elsewhere, target="COVID"):
    """AUC of a target for models that see no lungs beside networks: here, and on new patients.

    Args:
        baselines: DataFrame of `baselines.measure`, tested by patient.
        runs: Finished runs.
        elsewhere: Predictions of radiographs from elsewhere, one table a run.
        target: One of the five.
    """
    style()
    own = baselines.query("target == @target and tested == 'by patient'")
    rows = [
        (f"{row.features} alone", {_APART: (row.auc, row.low, row.high)})
        for row in own.itertuples()
    ]
    for run, answers in zip(runs, elsewhere):
        ends = (run.measure("auc", target), metrics.auc_of(answers, target))
        rows.append((labels.run_label(*run.key), dict(zip(_PLACES.values(), ends))))
    figure, axis = plt.subplots(figsize=(WIDTH, 0.33 * len(rows) + 1.5))
    here, there = _PLACES.values()
    looks = {
        _APART: ("#767676", 0, "s"),
        here: ("#000000", -0.13, "o"),
        there: (GROUP_COLOURS["covid"], 0.13, "D"),
    }
    for place, (ink, shift, marker) in looks.items():
        found = [(y + shift, *ends[place]) for y, (_, ends) in enumerate(rows) if place in ends]
        for y, value, low, high in found:
            axis.plot([low, high], [y, y], color=ink, linewidth=1.5)
            label = place if y == found[0][0] else None
            axis.plot(value, y, marker, markersize=5, color=ink, label=label)
    axis.axvline(0.5, color="black", linewidth=1, linestyle=":")
    axis.set_yticks(range(len(rows)), [name for name, _ in rows])
    axis.invert_yaxis()
    axis.set(xlim=(0.35, 1.02))
    axis.set_xlabel(f"AUC of {target} (95 % interval); 0.5 is a coin")
    figure.legend(loc="outside upper right", ncols=3, frameon=False, fontsize=9)
    return closed(figure)


def mean_heatmaps(maps, outlines):
    """Mean heatmaps over the test radiographs of each group: a line a run, with the mean lungs.

    Args:
        maps: Dict of labels and float arrays (4, edge, edge), in the order of `targets.GROUPS`.
        outlines: For each label the mean of lung masks, float (edge, edge) in [0, 1], or None.
    """
    style()
    figure, axes = plt.subplots(
        len(maps), 4, figsize=(WIDTH * 0.86, 1.62 * len(maps) + 0.3), squeeze=False
    )
    for axis, group in zip(axes[0], targets.GROUPS):
        axis.set_title(GROUP_LABELS[group], fontsize=9)
    for line, (label, of_groups) in zip(axes, maps.items()):
        line[0].set_ylabel(label.replace("\u2002", "\n"), fontsize=9)
        for axis, heatmap in zip(line, of_groups):
            axis.imshow(heatmap / max(heatmap.max(), 1e-9), cmap="inferno", vmin=0, vmax=1)
            if outlines[label] is not None:
                axis.contour(outlines[label], [0.5], colors=["#56b4e9"], linewidths=1)
            axis.set(xticks=[], yticks=[])
            axis.grid(False)
    heat_bar(figure, axes)
    return closed(figure)
