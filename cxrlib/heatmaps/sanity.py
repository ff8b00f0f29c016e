"""Can heatmaps be trusted? Whether they follow what a network has learnt (Adebayo et al. 2018).

A heatmap that stays the same when the weights are replaced by random ones shows the radiograph,
not the network. How alike two heatmaps are is read beside how alike heatmaps of different
radiographs are anyway, since lungs lie where they lie.
"""

import functools

import cv2
import numpy as np
import pandas as pd
from scipy import stats

from cxrlib import files, heatmaps, labels, predict, study, targets
from cxrlib.errors import InputError
from cxrlib.networks import models, training
from cxrlib.networks.backend import keras
from cxrlib.study.runs import chosen
from cxrlib.targets import TARGETS

MEASURES = ("ssim", "rank")
COLUMNS = ["measure", "value", "low", "high", "pairs", "n", "verdict"]
METHODS = {
    "efficient": {
        "guided saliency": heatmaps.saliency,
        "plain saliency": functools.partial(heatmaps.saliency, guided=False),
    },
    "deep": {"Grad-CAM": heatmaps.grad_cam},
}
"""What is put to the test: the paper's ways to explain, and saliency that is not guided."""

STEPS = {"efficient": 5, "deep": 3}
"""Depths that a cascade tries: a deep network takes several seconds each."""

WINDOW, SIGMA = 11, 1.5
C1, C2 = 0.01**2, 0.03**2
RESAMPLES = 1000


def ssim(a, b):
    """Structural similarity of two heatmaps (Wang et al. 2004).

    Gaussian windows of 11 by 11 pixels, sigma 1.5, that lie wholly inside.

    Args:
        a, b: Float arrays (H, W) in [0, 1], at least 11 pixels high and wide.

    Returns:
        The mean over the windows, in [-1, 1]; 1 for the same heatmap.
    """
    a, b = (np.asarray(one, np.float64) for one in (a, b))
    mean_a, mean_b = _local(a), _local(b)
    spread = _local(a * a) - mean_a**2 + _local(b * b) - mean_b**2
    together = _local(a * b) - mean_a * mean_b
    light = (2 * mean_a * mean_b + C1) / (mean_a**2 + mean_b**2 + C1)
    return float((light * (2 * together + C2) / (spread + C2)).mean())


def rank(a, b):
    """Spearman's rank correlation of two heatmaps' pixels.

    Args:
        a, b: Float arrays (H, W).

    Returns:
        In [-1, 1]; 0 where one of them is the same everywhere, since it puts no pixel above
        another, and NaN where both are.
    """
    flat = [np.ptp(one) == 0 for one in (a, b)]
    if any(flat):
        return np.nan if all(flat) else 0.0
    return float(stats.spearmanr(np.ravel(a), np.ravel(b)).statistic)


def similarity(ones, others):
    """Compares heatmaps, each with the one in its place.

    Args:
        ones, others: Float arrays (n, H, W) in [0, 1].

    Returns:
        DataFrame of n rows with `MEASURES` as columns.
    """
    pairs = list(zip(ones, others, strict=True))
    return pd.DataFrame({"ssim": [ssim(*p) for p in pairs], "rank": [rank(*p) for p in pairs]})


def pairs(maps):
    """Compares each heatmap with those of all other radiographs.

    Args:
        maps: Float array (n, H, W) in [0, 1], n at least 2.

    Returns:
        DataFrame of n rows: the mean similarity to the others, by `MEASURES`.
    """
    tables = {measure: np.full((len(maps), len(maps)), np.nan) for measure in MEASURES}
    for i in range(len(maps)):
        for j in range(i):
            for measure, compare in (("ssim", ssim), ("rank", rank)):
                tables[measure][i, j] = tables[measure][j, i] = compare(maps[i], maps[j])
    return pd.DataFrame({name: pd.DataFrame(table).mean() for name, table in tables.items()})


def sample(radiographs, target, count=20):
    """Picks test radiographs that have a target, one a patient, evenly along the table.

    Args:
        radiographs: DataFrame with split, patient and targets.
        target: A name of `TARGETS`.
        count: How many, fewer if there are not so many.

    Returns:
        Integer array of places in `radiographs`, ascending.
    """
    targets.index(target)
    table = radiographs.reset_index(drop=True)
    wanted = table[(table["split"] == "test") & (table[target] == 1)].drop_duplicates("patient")
    if len(wanted) < 2:
        raise InputError(f"{len(wanted)} test radiographs have {target}: at least 2 are compared")
    places = np.linspace(0, len(wanted) - 1, min(count, len(wanted))).round().astype(int)
    return wanted.index.to_numpy()[places]


def depths(model, steps):
    """Spreads steps evenly from the output layer alone down to all layers that have weights."""
    return np.unique(np.linspace(1, len(_weighted(model)), steps).round().astype(int)).tolist()


def randomise(model, depth, seed=0):
    """Copies a network with its last layers as they were before training.

    Args:
        model: A trained network.
        depth: How many of the layers that have weights, counted from the output.
        seed: Of the random weights; the deeper copy has the shallower one's.

    Returns:
        The copy; the network itself is unchanged.

    Raises:
        InputError: The network has fewer layers.
    """
    theirs = _weighted(model)
    if not 0 <= depth <= len(theirs):
        raise InputError(f"depth is {depth}: {model.name} has {len(theirs)} layers with weights")
    keras.utils.set_random_seed(seed)
    copy = keras.models.clone_model(model)
    for layer, trained in list(zip(_weighted(copy), theirs))[: len(theirs) - depth]:
        layer.set_weights(trained.get_weights())
    return copy


def compare(ones, others):
    """Returns how alike two networks' heatmaps are, beside heatmaps of different radiographs.

    Args:
        ones: Float array (n, H, W) in [0, 1]: heatmaps of n patients, the first network's.
        others: The other network's, of the same radiographs.

    Returns:
        DataFrame, a row for each of `MEASURES`: measure, value, low, high (mean over radiographs,
        95 % bootstrap interval), pairs (mean over those heatmaps of different radiographs), n
        (radiographs whose heatmaps can be compared) and verdict: whether the interval lies
        "above" or "below" pairs, or holds it ("like").
    """
    found, chance = similarity(ones, others), pairs(ones).mean()
    rows = []
    for measure in MEASURES:
        value, low, high, n = _mean(found[measure].dropna().to_numpy())
        other = chance[measure]
        verdict = "above" if low > other else "below" if high < other else "like"
        rows.append([measure, value, low, high, other, n, verdict])
    return pd.DataFrame(rows, columns=COLUMNS)


def cascade(model, images, target, method, *, steps=5, seed=0):
    """Compares a network's heatmaps with those after its layers are randomised, from the output.

    Args:
        model: A trained network.
        images: As `heatmaps.grad_cam` takes them, of different patients.
        target: A name of `TARGETS`.
        method: A function as `heatmaps.grad_cam`.
        steps: Depths to try, from the output layer alone to the whole network.
        seed: Of the random weights.

    Returns:
        DataFrame: depth (layers with weights that are random), share of them, layer (the lowest
        of them), and the columns of `compare`.
    """
    trained = method(model, images, target)
    names = [layer.name for layer in reversed(_weighted(model))]
    parts = []
    for depth in depths(model, steps):
        random = method(randomise(model, depth, seed), images, target)
        facts = {"depth": depth, "share": depth / len(names), "layer": names[depth - 1]}
        parts.append(compare(trained, random).assign(**facts))
    return pd.concat(parts, ignore_index=True)[["depth", "share", "layer", *COLUMNS]]


def cascades(runs, images, target):
    """Runs the cascade on what the paper looked at: saliency of Efficient, Grad-CAM of a deep arm.

    Args:
        runs: Runs of one experiment. Of the deep arms the one with the lowest validation loss
            is taken; a kind of network that has no finished run is left out.
        images: uint8 (n, size, size, 3), test radiographs of different patients.
        target: A name of `TARGETS`.

    Returns:
        DataFrame as `cascade`, with heatmap (which arm, which method) and change (what was done
        to the network, in words) before.
    """
    parts = []
    for kind in METHODS:
        rivals = [run for run in runs if run.finished and _kind(run) == kind]
        if not rivals:
            continue
        run = chosen(rivals)
        model = predict.network(run)
        for name, method in METHODS[kind].items():
            found = cascade(model, images, target, method, steps=STEPS[kind])
            parts.append(_labelled(found, f"{_arm(run)}, {name}", _extents(found)))
    return pd.concat(parts, ignore_index=True)


def retrained(profile, runs, images, target):
    """Compares Efficient's heatmaps with those of another seed's, and of one of shuffled labels.

    Args:
        profile: The study's profile.
        runs, images, target: As `cascades`.

    Returns:
        DataFrame: heatmap, change ("another seed", "another seed, shuffled labels") and the
        columns of `compare`; no row if Efficient is not among the runs.
    """
    parts = [pd.DataFrame(columns=["heatmap", "change", *COLUMNS])]
    for run in runs:
        if not run.finished or _kind(run) != "efficient":
            continue
        seed, trained = profile.seed + 1, predict.network(run)
        others = {
            "another seed": retrain(profile, run, seed=seed),
            "another seed, shuffled labels": retrain(profile, run, seed=seed, shuffled=True),
        }
        for name, method in METHODS["efficient"].items():
            maps = method(trained, images, target)
            for change, other in others.items():
                found = compare(maps, method(other, images, target))
                parts.append(_labelled(found, f"{_arm(run)}, {name}", change))
    return pd.concat([part for part in parts if len(part)] or parts, ignore_index=True)


def layer_choice(runs, images, target):
    """Explains radiographs by the final feature map and by the last convolution, as the paper did.

    Args:
        runs: Runs; those of deep networks that are finished are taken.
        images: uint8 (n, size, size, 3).
        target: A name of `TARGETS`.

    Returns:
        Dict from an arm's name to float32 (2, n, H, W): final feature map, last convolution.
    """
    found = {}
    for run in runs:
        if run.finished and _kind(run) == "deep":
            model = predict.network(run)
            last = heatmaps.last_convolution(model)
            ways = [heatmaps.grad_cam(model, images, target, layer=layer) for layer in (None, last)]
            found[_arm(run)] = np.stack(ways)
    return found


def retrain(profile, run, *, seed, shuffled=False):
    """Trains a run's network once more: from other random weights, or on shuffled labels.

    Args:
        profile: The study's profile.
        run: A finished run that started from random weights.
        seed: Of the initial weights, the order and the shuffling.
        shuffled: Deal the labels of training and validation radiographs out at random.

    Returns:
        The network, kept in the run's folder and trained only once.
    """
    folder = run.folder / "sanity" / f"seed-{seed}{'-shuffled' * shuffled}"
    experiment = profile.experiment(run.experiment)
    radiographs = study.radiographs(profile, experiment)
    with files.locked(folder):
        training.train(
            folder,
            architecture=run.architecture,
            weights=None,
            schedule=profile.schedule(experiment, run.architecture),
            online=experiment.online,
            pixels=study.pixels(profile, experiment),
            radiographs=shuffle(radiographs, seed) if shuffled else radiographs,
            seed=seed,
            precision=run.info["precision"],
            label=folder.name,
            lines=True,
        )
    return models.load(folder / "model.keras")


def shuffle(radiographs, seed):
    """Deals each split's targets out anew among its radiographs; the test split keeps its own."""
    dealt = radiographs.copy()
    rng = np.random.default_rng(seed)
    for split in ("train", "validation"):
        rows = dealt.index[dealt["split"] == split]
        dealt.loc[rows, list(TARGETS)] = dealt.loc[rng.permutation(rows), list(TARGETS)].to_numpy()
    return dealt


def _kind(run):
    return "efficient" if run.architecture == "efficient" else "deep"


def _arm(run):
    return labels.arm_label(*run.key[1:])


def _extents(found):
    """Returns, in words, how much of a network is random, row by row."""
    shares = found["share"].map("top {:.0%} of layers random".format).str.replace("%", " %")
    shares[found["share"] == 1] = "all layers random"
    shares[found["depth"] == 1] = "output layer random"
    return shares


def _labelled(found, heatmap, change):
    labelled = found.assign(heatmap=heatmap, change=change)
    return labelled[["heatmap", "change", *found.columns]]


def _weighted(model):
    return [layer for layer in model.layers if layer.weights]


def _mean(values):
    """Returns a mean, its 95 % interval by resampling, and of how many."""
    if len(values) == 0:
        return np.nan, np.nan, np.nan, 0
    drawn = np.random.default_rng(0).choice(values, (RESAMPLES, len(values))).mean(axis=1)
    return values.mean(), *np.quantile(drawn, [0.025, 0.975]), len(values)


def _local(image):
    """Averages over Gaussian windows wholly inside."""
    margin = WINDOW // 2
    blurred = cv2.GaussianBlur(image, (WINDOW, WINDOW), SIGMA)
    return blurred[margin:-margin, margin:-margin]
