"""Which heatmap would have told? Networks that hang on marks, ranked by their heatmaps alone.

Networks are trained on phantoms whose marks are tied to groups, from not at all to wholly, so that
how much each hangs on marks is known: its shortcut gap. A reader who sees heatmaps alone would take
that for larger the more of them lies on marks, or the less in the lungs. Where a kind of heatmap
puts networks in another order than the gap does, that reader is misled.
"""

import functools

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from cxrlib import columns, heatmaps, metrics
from cxrlib.columns import number, one_of, whole
from cxrlib.heatmaps import removal
from cxrlib.shortcuts import growing, learning, populations, remedies
from cxrlib.shortcuts.ties import TIES
from cxrlib.targets import GROUP_TARGET, TARGETS

REGIONS = ("marks", "lungs", "lesions")

CURVES = ("deleted", "inserted")
"""What `removal.curves` returns."""

EXPLAINED = 10
"""Phantoms of each group that are explained, with marks as in training."""

SHOWN = (1, 4, 10, 40)
"""Heatmaps of each network that a reader may see."""

DRAWS = 500
"""Of the heatmaps that are shown, to be averaged."""

COLUMNS = {
    "seed": whole(), "tie": number(0, 1), "gap": number(-1, 1),
    "method": one_of(*heatmaps.METHODS), "place": whole(),
    **{region: number(0, 1, missing=True) for region in REGIONS},
    **{curve: number(0, 1, missing=True) for curve in CURVES},
}  # fmt: skip


def measure(profile, path, ties=TIES, n=populations.TESTED, explained=EXPLAINED):
    """Trains a network a seed and tie, and measures where each kind of heatmap points.

    Args:
        profile: A profile of phantoms, as `remedies.measure` takes it.
        path: The CSV file with a row a heatmap: seed, tie, gap (AUC, the mean of the five targets,
            with marks as in training less with marks at random), method, place (which phantom), the
            share of the heatmap's energy in each of `REGIONS`, and what `removal.curves` returns.
            Networks that are there are not trained again.
        ties: Of marks to groups, in training.
        n: Test phantoms of each group.
        explained: Of these, how many of each group are explained.

    Yields:
        A line that says which network was measured.

    Raises:
        InputError: As `growing.begin`.
    """
    profile = remedies.settled(profile)
    done = growing.begin(path, COLUMNS, profile)
    for trial in profile.trials:
        for tie in ties:
            if len(done.query("seed == @trial.seed and tie == @tie")):
                continue
            facts = {"seed": trial.seed, "tie": tie}
            found = _measured(trial, tie, n, explained).assign(**facts)
            done = growing.add(done, found, path)
            yield "seed {seed}, tie {tie}".format(**facts)


def read(path):
    """Reads what `measure` wrote: a DataFrame of `COLUMNS`."""
    return columns.read(path, COLUMNS)


def _measured(trial, tie, n, explained):
    """Trains one network and explains phantoms whose marks are as in training."""
    shortcut = populations.Shortcut({"mark_tie": tie})
    trained, tests = populations.cohorts(trial, shortcut, n, validated=0)
    course = learning.course(trial, len(trained.table))
    model = learning.fit(trained, remedies.REMEDIES["none"], course)
    aucs = [_auc(model, tests[version]) for version in ("tied", "random")]
    shown = tests["tied"].table.groupby("group", sort=False).head(explained)
    seed = populations.of(trial).test
    parts = []
    for group, rows in shown.groupby("group", sort=False):
        known = [populations.simulate(row, seed, trial.image_size) for _, row in rows.iterrows()]
        pixels = np.stack([one.image for one in known])
        for method, explain in heatmaps.METHODS.items():
            maps = explain(model, pixels, GROUP_TARGET[group])
            inside = [_inside(heatmap, one) for heatmap, one in zip(maps, known)]
            curves = removal.curves(model.predict_on_batch, pixels, maps, GROUP_TARGET[group])
            found = pd.DataFrame(inside).assign(method=method, place=rows.index)
            parts.append(found.assign(**dict(zip(CURVES, np.round(curves, 4)))))
    return pd.concat(parts, ignore_index=True).assign(gap=aucs[0] - aucs[1])


def _auc(model, cohort):
    """Returns the AUC of a network on a cohort, the mean of the five targets."""
    said = model.predict(cohort.pixels, batch_size=64, verbose=0)
    return metrics.aucs(cohort.table[list(TARGETS)].to_numpy(), said)["all"]


def _inside(heatmap, known):
    """Returns the share of a heatmap's energy in each region; NaN where either is empty."""
    total, shares = heatmap.sum(dtype=float), {}
    for region in REGIONS:
        mask = getattr(known, region)
        empty = total == 0 or not mask.any()
        shares[region] = np.nan if empty else round(heatmap[mask].sum(dtype=float) / total, 4)
    return shares


def ranked(measured, region="marks", shown=SHOWN, seed=0):
    """Asks whether heatmaps put networks in the order of their gaps.

    Args:
        measured: As `read` returns it.
        region: Whose share of the energy a reader would go by.
        shown: How many heatmaps of each network the reader sees.
        seed: Of the draws.

    Returns:
        DataFrame, a row a method and number shown: method, shown, rank (Spearman's correlation of
        the mean share with the gap over networks, the mean over draws of the heatmaps shown), low,
        high (95 %, drawing networks again, too) and networks.
    """
    rows = []
    for method, part in measured.groupby("method", sort=False):
        shares = part.pivot(index=["seed", "tie"], columns="place", values=region)
        gap = part.groupby(["seed", "tie"])["gap"].first().reindex(shares.index).to_numpy()
        values = shares.to_numpy()
        for many in shown:
            ranks = functools.partial(_ranks, values, gap, many, np.random.default_rng(seed))
            _, replicates, left_out = metrics.resample(ranks, len(gap))
            rank = ranks(np.ones((DRAWS, len(gap)))).mean(axis=0)
            ends = metrics.percentiles(rank, replicates, left_out)[0]
            rows.append((method, many, rank[0], *ends, len(gap)))
    names = ["method", "shown", "rank", "low", "high", "networks"]
    return pd.DataFrame(rows, columns=names)


def _ranks(values, gap, many, rng, weights):
    """Ranks networks by some of their heatmaps, others for every row of weights.

    Args:
        values: Array (n, places), the share of each network's heatmaps in a region, or NaN.
        gap: Array (n,).
        many: Heatmaps that are shown.
        rng: Of the draws.
        weights: Array (k, n): how often each network counts; all rows have the same sum.

    Returns:
        Array (k, 1): Spearman's correlation of the mean share with the gap; 0 where one of them is
        the same for all networks.
    """
    shares, gaps = [], []
    for times in weights.astype(int):
        seen = values[:, rng.choice(values.shape[1], min(many, values.shape[1]), replace=False)]
        share = np.nansum(seen, axis=1) / np.maximum((~np.isnan(seen)).sum(axis=1), 1)
        shares.append(np.repeat(share, times))
        gaps.append(np.repeat(gap, times))
    ranks = [rankdata(part, axis=1) for part in (shares, gaps)]
    x, y = (rank - rank.mean(axis=1, keepdims=True) for rank in ranks)
    spread = np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
    return ((x * y).sum(axis=1) / np.where(spread == 0, 1, spread))[:, None]


def shares(measured, column):
    """Averages the share of the energy in a region, or a curve, over networks, by method."""
    return measured.groupby("method", sort=False)[column].mean()
