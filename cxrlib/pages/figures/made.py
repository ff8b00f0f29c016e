"""What a study was made of, and what tells its groups apart without lungs."""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.lines import Line2D

from cxrlib import labels, targets
from cxrlib.labels import GROUP_LABELS
from cxrlib.pages.figures.drawn import (
    MASK_COLOURS,
    SPLIT_COLOURS,
    WIDTH,
    closed,
    style,
)


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
