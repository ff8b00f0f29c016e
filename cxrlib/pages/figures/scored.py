"""How training went and how networks scored, here and in the paper."""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.lines import Line2D
from sklearn.metrics import roc_curve

from cxrlib import labels, paper, targets
from cxrlib.labels import GROUP_LABELS
from cxrlib.metrics import calibration
from cxrlib.pages.figures.drawn import (
    ARM_COLOURS,
    DASHES,
    EXPERIMENT_COLOURS,
    GROUP_COLOURS,
    WIDTH,
    closed,
    style,
)
from cxrlib.study.runs import join_histories, join_metrics


def training_curves(runs):
    """Accuracy and loss by epoch for each arm, training dashed and validation solid (8 to 10)."""
    style()
    history = join_histories(runs)
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.3))
    for (architecture, weights), rows in history.groupby(["architecture", "weights"], sort=False):
        colour = ARM_COLOURS[architecture, weights]
        for axis, measure in zip(axes, ("accuracy", "loss")):
            axis.plot(rows["epoch"], rows[measure], "--", color=colour, linewidth=1)
            label = labels.arm_label(architecture, weights)
            axis.plot(rows["epoch"], rows[f"val_{measure}"], color=colour, label=label)
    for axis, measure in zip(axes, ("Accuracy per target", "Loss (binary cross-entropy)")):
        axis.set(xlabel="Epoch", title=measure)
        axis.xaxis.get_major_locator().set_params(integer=True)
    axes[1].set_ylim(bottom=0, top=min(axes[1].get_ylim()[1], 1.5))
    handles = axes[0].get_legend_handles_labels()[0]
    handles += [Line2D([], [], color="grey", linestyle=s) for s in ("-", "--")]
    names = axes[0].get_legend_handles_labels()[1] + ["validation", "training"]
    figure.legend(handles, names, loc="outside lower center", ncols=3, frameon=False)
    return closed(figure)


def comparison(runs, target="all", metric="accuracy"):
    """One measure over arms and experiments with 95 % intervals, the paper's values hollow.

    Args:
        runs: Runs of several experiments.
        target: "all" or a target.
        metric: A measure of `metrics.evaluate`.
    """
    style()
    published = paper.beside(runs)
    ran = any(run.finished for run in runs)
    measured = join_metrics(runs) if ran else published.head(0)
    keys = ["experiment", "architecture", "weights"]
    parts = [_measure(frame, target, metric) for frame in (measured, published)]
    order = sorted(
        set(parts[0][keys].itertuples(index=False, name=None))
        | set(parts[1][keys].itertuples(index=False, name=None)),
        key=lambda key: (key[0], list(ARM_COLOURS).index(key[1:])),
    )
    figure, axis = plt.subplots(figsize=(WIDTH, 0.34 * len(order) + 1.2))
    for frame, shift, filled in ((parts[0], -0.13, True), (parts[1], 0.13, False)):
        for row in frame.itertuples():
            key = (row.experiment, row.architecture, row.weights)
            y, colour = order.index(key) + shift, ARM_COLOURS[key[1:]]
            axis.plot([100 * row.low, 100 * row.high], [y, y], color=colour, linewidth=1.5)
            face = colour if filled else "white"
            axis.plot(100 * row.value, y, "o", color=colour, markerfacecolor=face, markersize=6)
    axis.set_yticks(range(len(order)), [labels.run_label(*key) for key in order])
    axis.invert_yaxis()
    axis.set_xlim(max(-2, axis.get_xlim()[0]), min(102, axis.get_xlim()[1]))
    name = labels.measure_label(metric, target)
    axis.set_xlabel(f"{name}, per cent (95 % interval)")
    faces = {"this study": "grey"} | ({"paper": "white"} if len(published) else {})
    marks = [Line2D([], [], marker="o", color="grey", markerfacecolor=f) for f in faces.values()]
    figure.legend(marks, faces, loc="outside upper right", ncols=2, frameon=False)
    return closed(figure)


def reliability(run):
    """How often a target was there against how often it was said to be, a panel a target.

    Args:
        run: A finished run; its test predictions are shown as they are and temperature-scaled.
    """
    style()
    fitted = calibration.temperature(run.validation_predictions)
    test = run.test_predictions
    kinds = {
        "as they are": test,
        f"temperature-scaled by {fitted:.2f}": calibration.temperature_scaled(test, fitted),
    }
    figure, axes = plt.subplots(1, 5, figsize=(WIDTH, 2.4), sharex=True, sharey=True)
    for (kind, answers), colour in zip(kinds.items(), ("#0072b2", "#d55e00")):
        curve = calibration.reliability(answers, bins=5)
        for axis, target in zip(axes, targets.TARGETS):
            part = curve[curve["target"] == target]
            spread = [part["observed"] - part["low"], part["high"] - part["observed"]]
            marks = {"fmt": "o-", "markersize": 4, "linewidth": 1, "color": colour}
            axis.errorbar(part["predicted"], part["observed"], spread, **marks, label=kind)
            axis.set_title(target, fontsize=10)
    for axis in axes:
        axis.plot([0, 1], [0, 1], color="grey", linewidth=1, linestyle=":")
        axis.set(xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
    axes[2].set_xlabel("Probability said")
    axes[0].set_ylabel("Share with it")
    lines, names = axes[0].get_legend_handles_labels()
    figure.legend(lines, names, loc="outside upper right", ncols=2, frameon=False)
    return closed(figure)


def scores(run, target="COVID"):
    """How a run's probabilities of a target are spread over each group's test radiographs.

    Args:
        run: A finished run.
        target: One of the five.
    """
    style()
    counts = calibration.histograms(run.test_predictions).query("target == @target")
    groups = [group for group in GROUP_LABELS if group in set(counts["group"])]
    figure, axes = plt.subplots(1, len(groups), figsize=(WIDTH, 2.2), sharex=True, sharey=True)
    for axis, group in zip(np.atleast_1d(axes), groups):
        part = counts[counts["group"] == group]
        ill = targets.GROUPS.get(group, (0,) * 5)[targets.index(target)]  # of "other" only some are
        colour = GROUP_COLOURS["covid" if ill else "normal"]
        axis.bar(part["low"], part["share"], part["high"] - part["low"], align="edge", color=colour)
        axis.axvline(0.5, color="grey", linewidth=1, linestyle=":")
        axis.set_title(f"{GROUP_LABELS[group]} ({part['n'].sum()})", fontsize=10)
    figure.supxlabel(f"Probability of {target}", fontsize=10)
    np.atleast_1d(axes)[0].set_ylabel("Share of the group")
    return closed(figure)


def roc(runs, name, target="COVID"):
    """ROC curves of a target: in the test split left, in a cohort from elsewhere right.

    Args:
        runs: Runs; a line each, in the experiment's colour and the architecture's dashes.
        name: Of the cohort; a run that was not tested on it has no line there.
        target: One of the targets; where all radiographs have it, or none, there is no curve.
    """
    style()
    finished = [run for run in runs if run.finished]
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 4.3), sharex=True, sharey=True)
    for run in finished:
        tested = (run.test_predictions, run.external.get(name))
        label = labels.run_label(*run.key)
        look = {"color": EXPERIMENT_COLOURS[run.experiment], "dashes": DASHES[run.architecture]}
        for axis, answers in zip(axes, tested):
            if answers is not None and calibration.has_both(answers, target):
                wrong, right, _ = roc_curve(answers[f"y_{target}"], answers[f"p_{target}"])
                axis.plot(100 * wrong, 100 * right, **look, linewidth=1.5, label=label)
    for axis, title in zip(axes, ("Test split", f"New patients ({name})")):
        axis.plot([0, 100], [0, 100], color="black", linewidth=1, linestyle=":", label="a coin")
        axis.set(title=title, xlabel=f"Without {target}, called so, per cent", aspect="equal")
    axes[0].set_ylabel(f"With {target}, found, per cent")
    lines, names = axes[0].get_legend_handles_labels()
    once = dict(zip(names, lines))  # several seeds of an arm have one name
    figure.legend(once.values(), once, loc="outside lower center", ncols=3, frameon=False)
    return closed(figure)


def decision(runs, target="COVID"):
    """Net benefit of acting on each run's probability of a target, over thresholds.

    Args:
        runs: Finished runs; one that was tested on radiographs of one kind alone has no curve.
        target: One of the targets.
    """
    style()
    figure, axis = plt.subplots(figsize=(WIDTH, 3.4))
    runs = [run for run in runs if calibration.has_both(run.test_predictions, target)]
    for run, colour in zip(runs, sns.color_palette("colorblind")):
        curves = calibration.net_benefit(run.test_predictions, target)
        curve = curves[curves["strategy"] == "model"]
        label = labels.run_label(*run.key)
        axis.plot(curve["threshold"], curve["net_benefit"], color=colour, label=label)
        axis.fill_between(curve["threshold"], curve["low"], curve["high"], color=colour, alpha=0.12)
        everyone = curves[curves["strategy"] == "everyone"]
        axis.plot(everyone["threshold"], everyone["net_benefit"], color=colour, linestyle=":")
    axis.axhline(0, color="black", linewidth=1)
    top = max(np.max(line.get_ydata()) for line in axis.lines)
    if top > 0:
        axis.set_ylim(-0.25 * top, 1.3 * top)
    axis.set(xlabel=f"Act on {target} above this probability", ylabel="Net benefit")
    figure.legend(loc="outside upper right", ncols=3, frameon=False)
    return closed(figure)


def restated(numbers):
    """One printed measure of every arm: filled with its exact interval, hollow as printed.

    Args:
        numbers: Rows of `paper.recomputed`, one an arm.
    """
    style()
    figure, axis = plt.subplots(figsize=(WIDTH, 0.34 * len(numbers) + 1.2))
    for y, row in enumerate(numbers.itertuples()):
        colour = ARM_COLOURS[row.architecture, row.weights]
        exact = (row.right, row.right_low, row.right_high, y - 0.13, colour)
        printed = (row.printed, row.printed_low, row.printed_high, y + 0.13, "white")
        for value, low, high, place, face in (exact, printed):
            axis.plot([100 * low, 100 * high], [place, place], color=colour, linewidth=1.5)
            axis.plot(100 * value, place, "o", color=colour, markerfacecolor=face, markersize=6)
    arms = zip(numbers["experiment"], numbers["architecture"], numbers["weights"])
    names = [labels.run_label(*key) for key in arms]
    axis.set_yticks(range(len(names)), names)
    axis.invert_yaxis()
    target, metric = numbers[["target", "metric"]].iloc[0]
    axis.set_xlabel(f"{labels.LABELS[metric]} for {target}, per cent (95 % interval)")
    marks = [Line2D([], [], marker="o", color="grey", markerfacecolor=f) for f in ("grey", "white")]
    ways = ["exact, each image once", "as printed"]
    figure.legend(marks, ways, loc="outside upper right", ncols=2, frameon=False)
    return closed(figure)


def _measure(frame, target, metric):
    return frame[(frame["target"] == target) & (frame["metric"] == metric)].dropna(subset="value")
