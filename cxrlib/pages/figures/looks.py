"""Where networks look, and what their answers hang on."""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.lines import Line2D

from cxrlib import labels, shortcuts, targets
from cxrlib.labels import GROUP_LABELS
from cxrlib.pages.figures.drawn import (
    CHANGE_COLOURS,
    EXPERIMENT_COLOURS,
    GROUP_COLOURS,
    WIDTH,
    closed,
    heat_bar,
    style,
)


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
