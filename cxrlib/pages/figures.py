"""Figures for the book, from frames and arrays. They never train and read no network."""

import itertools

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from IPython import get_ipython
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PathCollection
from matplotlib.lines import Line2D
from matplotlib_inline.backend_inline import set_matplotlib_formats
from sklearn.metrics import roc_curve

from cxrlib import labels, paper, shortcuts, targets
from cxrlib.labels import GROUP_LABELS
from cxrlib.metrics import calibration
from cxrlib.networks import ARCHITECTURES
from cxrlib.study.experiments import EXPERIMENTS
from cxrlib.study.runs import join_histories, join_metrics

ARM_COLOURS = {
    (name, weights): colour
    for name, row in ARCHITECTURES.items()
    for weights, colour in zip(("none", "imagenet"), row.colours)
}
GROUP_COLOURS = {
    "normal": "#888888",
    "virus": "#bbcc33",
    "bacteria": "#ffaabb",
    "covid": "#ee3377",
    "other": "#44bb99",
}
SPLIT_COLOURS = {"train": "#4c6a85", "validation": "#9fb4c7", "test": "#e0a458"}
MASK_COLOURS = {"lungs": "#56b4e9", "lesions": "#e69f00", "marks": "#00c78c", "devices": "#e377c2"}
_VARIANT_COLOURS = {"A-cropped": "#56b4e9", "C-uncropped": "#cc79a7"}
EXPERIMENT_COLOURS = dict(sorted({
    **_VARIANT_COLOURS, **{name: experiment.colour for name, experiment in EXPERIMENTS.items()},
}.items()))  # fmt: skip
CHANGE_COLOURS = {
    "lesion removed": "#e69f00",
    "mark removed": "#00a878",
    "mark moved": "#56b4e9",
    "mark reversed": "#0b6e4f",
}
DASHES = dict(zip(ARCHITECTURES, itertools.cycle(((4, 1.5), (6, 1.5, 1, 1.5), ()))))
"""Of the lines of each architecture, where the colour is the experiment's."""

WIDTH = 8.0
"""Inches: what the book's column shows without shrinking the letters."""

DENSE = 400
"""Dots of one kind from which on they are drawn as pixels: as shapes they would weigh more."""


def style():
    """Sets the look of every figure: white ground, so that dark mode changes no colour.

    Notebooks show figures as SVG, whose lines and letters are sharp on any screen and on paper.
    """
    sns.set_theme(style="whitegrid", context="notebook", font_scale=0.9)
    plt.rcParams.update(
        {
            "figure.dpi": 110,
            "savefig.bbox": "tight",
            "figure.facecolor": "white",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "figure.constrained_layout.use": True,
            "text.parse_math": False,  # a $ in a file's name is no formula
            "svg.hashsalt": "cxrlib",  # the same figure twice is the same file
        }
    )
    if get_ipython():
        set_matplotlib_formats("svg", metadata={"Date": None})


def groups(cohort):
    """Bars of radiographs by group and split (the paper's Figure 4)."""
    style()
    figure, axis = plt.subplots(figsize=(WIDTH, 2.8))
    counts = cohort.groupby(["group", "split"]).size().unstack(fill_value=0)
    there = [group for group in GROUP_LABELS if group in counts.index]
    _stacked(axis, counts.reindex(there, columns=SPLIT_COLOURS, fill_value=0).rename(GROUP_LABELS))
    return closed(figure)


def target_counts(cohort):
    """Bars of radiographs by target and split (the paper's Figure 5); one can have several."""
    style()
    figure, axis = plt.subplots(figsize=(WIDTH, 3.2))
    counts = cohort.groupby("split")[list(targets.TARGETS)].sum().T
    _stacked(axis, counts.reindex(columns=SPLIT_COLOURS, fill_value=0))
    return closed(figure)


def sheet(images, titles, columns=4, masks=None):
    """A contact sheet of images.

    Args:
        images: Sequence of uint8 arrays (size, size, 3).
        titles: One a image.
        columns: Images a row.
        masks: For each image a dict of lungs, lesions, marks, devices -> bool mask (size, size),
            whose outlines are drawn.
    """
    style()
    lines = -(-len(images) // columns)
    figure, axes = plt.subplots(
        lines, columns, figsize=(WIDTH, WIDTH / columns * lines * 1.1), squeeze=False
    )
    for axis in axes.flat:
        axis.axis("off")
    for i, (axis, image, title) in enumerate(zip(axes.flat, images, titles)):
        axis.imshow(image)
        axis.set_title(title, fontsize=9)
        _outline(axis, masks[i] if masks else {})
    return closed(figure)


def layers(phantom):
    """What adds to the beam's attenuation in a phantom, the radiograph, and what is known of it.

    Args:
        phantom: A `cxrlib.phantom.Phantom`.
    """
    style()
    figure, axes = plt.subplots(2, 4, figsize=(WIDTH, WIDTH / 2 * 1.1))
    for axis in axes.flat:
        axis.axis("off")
    for axis, (name, amount) in zip(axes.flat, phantom.layers.items()):
        shown = np.abs(amount)
        axis.imshow(shown, cmap="gray", vmin=0)
        axis.set_title(f"{name}: up to {'−' if name == 'air' else ''}{shown.max():.2f}", fontsize=9)
    for axis, title in zip(axes.flat[-2:], ("radiograph", "with outlines")):
        axis.imshow(phantom.image)
        axis.set_title(title, fontsize=9)
    _outline(axes.flat[-1], {name: getattr(phantom, name) for name in MASK_COLOURS})
    return closed(figure)


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


def gallery(runs, radiographs, pixels, rows=("normal", "bacteria", "covid")):
    """Heatmaps over radiographs: a row a group, a column an arm (the paper's Figures 11, 13, 14).

    Shows the first test radiograph of each group: chosen before any result was seen. Each heatmap
    explains the target of its row's group; the title gives the probability of that target.

    Args:
        runs: Runs of one experiment.
        radiographs: The experiment's radiographs.
        pixels: uint8 (n, size, size, 3), row by row `radiographs`.
        rows: Groups to show, those of them that were tested; if none was, what was instead.
    """
    style()
    finished = [run for run in runs if run.finished]
    positions = np.flatnonzero(radiographs["split"] == "test")
    test = radiographs.iloc[positions].reset_index(drop=True)
    tested = [group for group in targets.GROUP_TARGET if group in set(test["group"])]
    rows = [group for group in rows if group in tested] or tested
    columns = len(finished) + 1
    edge = min(WIDTH / columns, 2.2)
    figure, axes = plt.subplots(
        len(rows), columns, figsize=(edge * columns, edge * len(rows) * 1.12), squeeze=False
    )
    for line, group in zip(axes, rows):
        place = int(test.index[test["group"] == group][0])
        target, image = targets.GROUP_TARGET[group], pixels[positions[place]]
        line[0].imshow(image)
        line[0].set_ylabel(GROUP_LABELS[group], fontsize=10)
        for axis, run in zip(line[1:], finished):
            axis.imshow(image)
            extent = (-0.5, image.shape[1] - 0.5, image.shape[0] - 0.5, -0.5)
            shades = {"cmap": "inferno", "alpha": 0.45, "vmin": 0, "vmax": 1}
            axis.imshow(run.heatmaps[place] / 255, extent=extent, **shades)
            probability = run.test_predictions.loc[place, f"p_{target}"]
            axis.set_xlabel(f"{target} {100 * probability:.0f} %", fontsize=9)
    axes[0][0].set_title("Radiograph", fontsize=9)
    for axis, run in zip(axes[0][1:], finished):
        label = labels.arm_label(*run.key[1:]).replace(" (", "\n(")
        axis.set_title(label, fontsize=9)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
        axis.grid(False)
    if finished:
        heat_bar(figure, axes)
    return closed(figure)


def layer_choice(choice, images):
    """Grad-CAM of one radiograph on the final feature map and on the last convolution, by arm.

    Args:
        choice: As `sanity.layer_choice` returns it.
        images: uint8 (n, size, size, 3), the radiographs explained; the first is shown.
    """
    style()
    columns = ("Radiograph", "Final feature map", "Last convolution (paper)")
    lines = max(len(choice), 1)
    figure, axes = plt.subplots(lines, 3, figsize=(6.6, 2.35 * lines), squeeze=False)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
        axis.imshow(images[0])
        axis.grid(False)
    for axis, title in zip(axes[0], columns):
        axis.set_title(title, fontsize=9)
    for line, (arm, maps) in zip(axes, choice.items()):
        line[0].set_ylabel(arm.replace(" (", "\n("), fontsize=9)
        for axis, heatmap in zip(line[1:], maps[:, 0]):
            axis.imshow(heatmap, cmap="inferno", alpha=0.45, vmin=0, vmax=1)
    if choice:
        heat_bar(figure, axes)
    return closed(figure)


def cascade(table):
    """How alike heatmaps stay as layers are randomised from the output; dashed: other radiographs.

    Args:
        table: As `sanity.cascades` returns it.
    """
    style()
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.4), sharex=True)
    names = table["heatmap"].unique()
    for heatmap, colour in zip(names, sns.color_palette("colorblind", len(names))):
        for axis, measure in zip(axes, ("ssim", "rank")):
            rows = table[(table["heatmap"] == heatmap) & (table["measure"] == measure)]
            share = 100 * rows["share"]
            axis.plot(share, rows["value"], "o-", color=colour, markersize=4, label=heatmap)
            axis.fill_between(share, rows["low"], rows["high"], color=colour, alpha=0.15)
            axis.axhline(rows["pairs"].iloc[0], color=colour, linewidth=1, linestyle="--")
    for axis, name in zip(axes, ("Structural similarity", "Rank correlation")):
        axis.set(title=name, xlabel="Layers random, per cent", ylim=(None, 1.02))
    handles, names = axes[0].get_legend_handles_labels()
    handles.append(Line2D([], [], color="grey", linestyle="--"))
    names.append("two different radiographs")
    figure.legend(handles, names, loc="outside lower center", ncols=2, frameon=False)
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


def attention(measured, region="lungs"):
    """Where heatmaps have their energy: a dot a radiograph, a line for what chance gives.

    Args:
        measured: As `study.lung_attention` returns it, of one or several runs.
        region: Which of its regions.
    """
    style()
    part = measured[measured["region"] == region].dropna(subset="energy").reset_index(drop=True)
    keys = ["experiment", "architecture", "weights"]
    runs_there = list(part[keys].drop_duplicates().itertuples(index=False, name=None))
    figure, axis = plt.subplots(figsize=(WIDTH, 0.42 * len(runs_there) + 1.2))
    rng = np.random.default_rng(0)
    for y, key in enumerate(runs_there):
        own = part[(part[keys] == key).all(axis=1)]
        shift = rng.uniform(-0.24, 0.24, len(own))
        for group in [group for group in GROUP_LABELS if group in set(own["group"])]:
            dots = (own["group"] == group).to_numpy()
            label = GROUP_LABELS[group] if y == 0 else None
            axis.plot(100 * own["energy"][dots], y + shift[dots], ".", color=GROUP_COLOURS[group],
                      markersize=4, alpha=0.6, label=label)  # fmt: skip
        for chance, line in (("area", "-"), ("gaussian", ":")):
            at = 100 * own[chance].mean()
            label = {"area": "its share of the image", "gaussian": "a centred Gaussian"}[chance]
            axis.plot([at, at], [y - 0.38, y + 0.38], line, color="black", linewidth=1.5,
                      label=label if y == 0 else None)  # fmt: skip
        axis.plot(100 * own["energy"].mean(), y, "D", color="black", markerfacecolor="white",
                  markersize=6, label="mean" if y == 0 else None)  # fmt: skip
    axis.set_yticks(range(len(runs_there)), [labels.run_label(*key) for key in runs_there])
    axis.invert_yaxis()
    axis.set_xlabel(f"Heatmap energy inside the {region}, per cent")
    figure.legend(loc="outside upper center", ncols=4, frameon=False, fontsize=9)
    return closed(figure)


def gaps(table, version="random", target="all"):
    """The shortcut gap against how strongly marks were tied to groups in training.

    Args:
        table: As `shortcuts.gaps` returns it.
        version: The marks that the gap is taken against.
        target: "all" or a target.
    """
    style()
    part = table[(table["version"] == version) & (table["target"] == target)]
    figure, axis = plt.subplots(figsize=(WIDTH, 3.4))
    there = [name for name in EXPERIMENT_COLOURS if name in set(part["experiment"])]
    for shift, experiment in zip(np.linspace(-0.018, 0.018, len(there)), there):
        own = part[part["experiment"] == experiment]
        colour = EXPERIMENT_COLOURS[experiment]
        axis.plot(own["tie"] + shift, own["gap"], ".", color=colour, alpha=0.6)
        mean = shortcuts.over_seeds(own, "gap", ["tie"]).sort_values("tie")
        spread = [mean["mean"] - mean["low"], mean["high"] - mean["mean"]]
        axis.errorbar(mean["tie"] + shift, mean["mean"], spread, fmt="o-", color=colour,
                      capsize=3, label=experiment.replace("-", ", "))  # fmt: skip
    axis.axhline(0, color="black", linewidth=1)
    axis.set(xlabel="Tie of marks to groups in training", ylabel="AUC lost")
    axis.set_xticks(sorted(set(part["tie"])))
    figure.legend(loc="outside upper right", ncols=4, frameon=False)
    return closed(figure)


def changes(table):
    """How far answers move when the mark or the lesion goes, against the tie in training.

    Args:
        table: The "change" frames of `shortcuts.sweep`, joined.
    """
    style()
    names = [name for name in EXPERIMENT_COLOURS if name in set(table["experiment"])]
    figure, axes = plt.subplots(1, len(names), figsize=(WIDTH, 3.2), sharey=True, squeeze=False)
    keys = ["experiment", "tie", "seed", "change"]
    sizes = table.dropna(subset="size").groupby(keys)["size"].mean().reset_index()
    for axis, name in zip(axes[0], names):
        for (change, colour), line in zip(CHANGE_COLOURS.items(), ("o-", "s--", "D-.", "^:")):
            own = sizes[(sizes["experiment"] == name) & (sizes["change"] == change)]
            mean = shortcuts.over_seeds(own, "size", ["tie"]).sort_values("tie")
            spread = [mean["mean"] - mean["low"], mean["high"] - mean["mean"]]
            axis.errorbar(mean["tie"], mean["mean"], spread, fmt=line, color=colour, capsize=3,
                          label=change)  # fmt: skip
        axis.set_title(name.replace("-", ", "), fontsize=10)
    figure.supxlabel("Tie of marks to groups in training", fontsize=10)
    axes[0][0].set_ylabel("Change of probability")
    lines, names = axes[0][0].get_legend_handles_labels()
    figure.legend(lines, names, loc="outside upper right", ncols=4, frameon=False)
    return closed(figure)


def occlusion(table):
    """AUC of networks that were trained and tested with parts of every radiograph covered.

    Args:
        table: As `shortcuts.occlusion` returns it, all runs joined; dots are the mean over seeds,
            lines go from the lowest lower to the highest upper end of the seeds' intervals.
    """
    style()
    covers = list(dict.fromkeys(table["cover"]))
    figure, axes = plt.subplots(1, 5, figsize=(WIDTH, 0.36 * len(covers) + 1.3), sharey=True)
    for axis, target in zip(axes, targets.TARGETS):
        own = table[table["target"] == target].groupby("cover", sort=False)
        found = own.agg(value=("value", "mean"), low=("low", "min"), high=("high", "max"))
        found = found.loc[covers]
        places = range(len(covers))
        axis.hlines(places, found["low"], found["high"], color="#0072b2", linewidth=1.5)
        axis.plot(found["value"], places, "o", color="#0072b2", markersize=5)
        axis.axvline(0.5, color="black", linewidth=1)
        axis.set_title(target, fontsize=10)
        axis.set(xlim=(0.3, 1.02), xticks=[0.5, 1.0])
    axes[0].set_yticks(range(len(covers)), [labels.COVERED[cover] for cover in covers])
    axes[0].invert_yaxis()
    figure.supxlabel("AUC (0.5: no better than chance)", fontsize=10)
    return closed(figure)


def honesty(table):
    """Lung and mark attention of each run against its shortcut gap.

    Args:
        table: The frame that `shortcuts.honesty` returns.
    """
    style()
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.4), sharey=True)
    for axis, region in zip(axes, ("lungs", "marks")):
        for experiment, own in table.groupby("experiment"):
            colour = EXPERIMENT_COLOURS[experiment]
            axis.scatter(100 * own[region], own["gap"], s=12 + 50 * own["tie"], color=colour,
                         alpha=0.7, label=experiment.replace("-", ", "))  # fmt: skip
        axis.axvline(0, color="black", linewidth=1, linestyle=":")
        axis.set_xlabel(f"Energy in the {region} above their share, points")
    axes[0].set_ylabel("Shortcut gap")
    lines, names = axes[0].get_legend_handles_labels()
    figure.legend(lines, names, loc="outside upper right", ncols=4, frameon=False)
    return closed(figure)


def confounders(table):
    """What each fact alone tells about each target, from 0 (nothing) to 1 (it settles it).

    Args:
        table: As `audit.confounders` returns it.
    """
    style()
    strength = table.pivot(index="fact", columns="target", values="strength")
    strength = strength.loc[table["fact"].unique(), list(targets.TARGETS)].dropna(how="all")
    figure, axis = plt.subplots(figsize=(WIDTH, 0.36 * len(strength) + 1.1))
    shades = {"cmap": "Blues", "vmin": 0, "vmax": 1, "annot": True, "fmt": ".2f"}
    sns.heatmap(strength, ax=axis, linewidths=1, cbar=False, annot_kws={"size": 9}, **shades)
    names = [name.get_text() for name in axis.get_yticklabels()]
    names = [labels.FACTS.get(name, name) for name in names]
    axis.set_yticklabels(names, rotation=0)
    axis.set(xlabel="", ylabel="")
    axis.xaxis.tick_top()
    return closed(figure)


def baselines(table):
    """AUC of models without anatomy: filled dots tested by patient, hollow ones on the given split.

    Args:
        table: As `audit.report` returns it: rows of `baselines.measure` with a column `tested`.
    """
    style()
    table = table.dropna(subset="auc")
    names = list(table["features"].unique())
    rows = [(target, name) for target in targets.TARGETS for name in names]
    rows = [row for row in rows if row in set(zip(table["target"], table["features"]))]
    figure, axis = plt.subplots(figsize=(WIDTH, 0.25 * len(rows) + 1.2))
    colours = dict(zip(names, sns.color_palette("colorblind", len(names))))
    for row in table.itertuples():
        own = row.tested == "given split"
        y, colour = rows.index((row.target, row.features)) + 0.16 * (2 * own - 1), colours[row[1]]
        axis.plot([row.low, row.high], [y, y], color=colour, linewidth=1.5)
        face = "white" if own else colour
        axis.plot(row.auc, y, "o", color=colour, markerfacecolor=face, markersize=5)
    axis.axvline(0.5, color="black", linewidth=1)
    axis.set_yticks(range(len(rows)), [f"{target}, {name}" for target, name in rows])
    axis.invert_yaxis()
    axis.set_xlabel("AUC (95 % interval); 0.5 is chance")
    marks = [Line2D([], [], marker="o", color="grey", markerfacecolor=f) for f in ("grey", "white")]
    ways = ["by patient", "on the study's split"]
    figure.legend(marks, ways, loc="outside upper right", ncols=2, frameon=False)
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


def _outline(axis, masks):
    for what, mask in masks.items():
        if mask.any():
            axis.contour(mask, [0.5], colors=[MASK_COLOURS[what]], linewidths=1)


def _stacked(axis, counts):
    """Bars of counts, one split after another; numbers that their bars cannot hold stand beside."""
    left, least = np.zeros(len(counts)), 0.04 * counts.sum(axis=1).max()
    for split, colour in SPLIT_COLOURS.items():
        bars = axis.barh(counts.index, counts[split], left=left, color=colour, label=split)
        texts = [f"{n}" if n >= least else "" for n in counts[split]]
        ink = "white" if split == "train" else "black"
        axis.bar_label(bars, texts, label_type="center", fontsize=8, color=ink)
        left += counts[split].to_numpy()
    for row, (place, end) in enumerate(zip(counts.to_numpy(), left)):
        if 0 < place.min() < least:
            axis.text(end + least / 4, row, ", ".join(map(str, place)), va="center", fontsize=8)
    axis.invert_yaxis()
    axis.set_xlabel("Radiographs")
    axis.grid(axis="y")
    axis.figure.legend(loc="outside upper right", ncols=3, frameon=False)


def heat_bar(figure, axes):
    """Says beside heatmaps what their colours mean."""
    colours = ScalarMappable(plt.Normalize(0, 1), "inferno")
    bar = figure.colorbar(colours, ax=axes, shrink=0.6, ticks=[0, 1], aspect=30)
    bar.ax.set_yticklabels(["0", "most"], fontsize=9)


def closed(figure):
    """Returns the figure without leaving it open: a notebook would show it twice.

    Images in it keep about the pixels that they have; dense dots become twice as many as the
    screen's, and all else stays lines and letters.
    """
    plt.close(figure)
    dense = figure.findobj(_is_dense)
    for dots in dense:
        dots.set_rasterized(True)
    if dense:
        figure.set_dpi(2 * plt.rcParams["figure.dpi"])
    return figure


def _is_dense(artist):
    """Returns whether something drawn is a cloud of dots."""
    if isinstance(artist, PathCollection):
        return len(artist.get_offsets()) > DENSE
    marked = isinstance(artist, Line2D) and artist.get_marker() not in ("None", None, "", " ")
    return marked and len(artist.get_xdata()) > DENSE
