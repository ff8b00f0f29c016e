"""Can heatmaps be trusted? Whether they follow what a network has learnt (Adebayo et al. 2018).

A heatmap that stays the same when the weights are replaced by random ones shows the radiograph,
not the network. How alike two heatmaps are is set beside how alike heatmaps of different
radiographs are anyway, since lungs lie where they lie.
"""

import cv2
import numpy as np
import pandas as pd
from scipy import stats

from cxrlib import heatmaps, metrics, targets
from cxrlib.errors import InputError
from cxrlib.networks import ARCHITECTURES

LIKENESSES = ("ssim", "rank")
"""How alike two heatmaps are: `ssim` and `rank`."""

_COLUMNS = ["measure", "value", "low", "high", "pairs", "n", "verdict"]
TESTED = {
    "Grad-CAM": (3, ("Grad-CAM",)),
    "guided saliency": (5, ("guided saliency", "plain saliency")),
}
"""What is put to the test of a network that the paper explains so: at how many depths (a deep
network takes several seconds each), and by which of `heatmaps.METHODS`."""

_WINDOW, _SIGMA = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2


def ssim(a, b):
    """Structural similarity of two heatmaps (Wang et al. 2004).

    Gaussian windows of 11 by 11 pixels, sigma 1.5, that lie wholly inside.

    Args:
        a, b: Float arrays (H, W) in [0, 1], at least 11 pixels high and wide.

    Returns:
        The mean over the windows, in [-1, 1]; 1 for the same heatmap.
    """
    # tf.image.ssim gives the same but for its float32 (tests/test_sanity.py); it takes ten times
    # as long, and only TensorFlow has it.
    a, b = (np.asarray(one, np.float64) for one in (a, b))
    mean_a, mean_b = _local(a), _local(b)
    spread = _local(a * a) - mean_a**2 + _local(b * b) - mean_b**2
    together = _local(a * b) - mean_a * mean_b
    light = (2 * mean_a * mean_b + _C1) / (mean_a**2 + mean_b**2 + _C1)
    return float((light * (2 * together + _C2) / (spread + _C2)).mean())


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
        DataFrame of n rows with `LIKENESSES` as columns.
    """
    pairs = list(zip(ones, others, strict=True))
    return pd.DataFrame({"ssim": [ssim(*p) for p in pairs], "rank": [rank(*p) for p in pairs]})


def pairs(maps):
    """Compares each heatmap with those of all other radiographs.

    Args:
        maps: Float array (n, H, W) in [0, 1], n at least 2.

    Returns:
        DataFrame of n rows: the mean similarity to the others, by `LIKENESSES`.
    """
    tables = {measure: np.full((len(maps), len(maps)), np.nan) for measure in LIKENESSES}
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
    from cxrlib.networks.backend import keras  # seconds: Keras comes with it

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
        DataFrame, a row for each of `LIKENESSES`: measure; value, low, high (mean over radiographs,
        95 % interval over resampled ones); pairs (mean over those heatmaps of different
        radiographs); n (radiographs whose heatmaps can be compared); and verdict: whether the
        interval lies "above" or "below" pairs, or holds it ("like").
    """
    found, chance = similarity(ones, others), pairs(ones).mean()
    rows = []
    for measure in LIKENESSES:
        values, other = found[measure].dropna(), chance[measure]
        value, low, high = metrics.average(values)
        if np.isnan(low):  # all the same: no resample says otherwise
            low = high = value
        verdict = "above" if low > other else "below" if high < other else "like"
        rows.append([measure, value, low, high, other, len(values), verdict])
    return pd.DataFrame(rows, columns=_COLUMNS)


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
    return pd.concat(parts, ignore_index=True)[["depth", "share", "layer", *_COLUMNS]]


def cascades(networks, images, target):
    """Runs the cascade on networks, each explained in the ways that `TESTED` names.

    Args:
        networks: Pairs of an arm's label and its network, a list or as they come.
        images: uint8 (n, size, size, 3), test radiographs of different patients.
        target: A name of `TARGETS`.

    Returns:
        DataFrame as `cascade`, with heatmap (which arm, which method) and change (what was done
        to the network, in words) before; no row if no arm finished.
    """
    parts = []
    for label, model in networks:
        steps, names = TESTED[ARCHITECTURES[model.name].heatmap]
        for name in names:
            found = cascade(model, images, target, heatmaps.METHODS[name], steps=steps)
            parts.append(_labelled(found, f"{label}, {name}", _extents(found)))
    empty = pd.DataFrame(columns=["heatmap", "change", "depth", "share", "layer", *_COLUMNS])
    return pd.concat(parts, ignore_index=True) if parts else empty


def retrained(trainings, images, target):
    """Compares a network's heatmaps with those of networks that were trained in its place.

    Args:
        trainings: Tuples of an arm's label, its network, and a dict of the other trainings: what
            was changed -> network.
        images, target: As `cascades`.

    Returns:
        DataFrame: heatmap, change and the columns of `compare`; no row without trainings.
    """
    parts = []
    for label, model, others in trainings:
        for name in TESTED[ARCHITECTURES[model.name].heatmap][1]:
            method = heatmaps.METHODS[name]
            maps = method(model, images, target)
            for change, other in others.items():
                found = compare(maps, method(other, images, target))
                parts.append(_labelled(found, f"{label}, {name}", change))
    empty = pd.DataFrame(columns=["heatmap", "change", *_COLUMNS])
    return pd.concat(parts, ignore_index=True) if parts else empty


def layer_choice(networks, images, target):
    """Explains radiographs by the final feature map and by the last convolution, as the paper did.

    Args:
        networks: As `cascades`; those that the paper explains by Grad-CAM are taken.
        images: uint8 (n, size, size, 3).
        target: A name of `TARGETS`.

    Returns:
        Dict from an arm's label to float32 (2, n, H, W): final feature map, last convolution.
    """
    found = {}
    for label, model in networks:
        if ARCHITECTURES[model.name].heatmap == "Grad-CAM":
            layers = (None, heatmaps.last_convolution(model))
            ways = [heatmaps.grad_cam(model, images, target, layer=layer) for layer in layers]
            found[label] = np.stack(ways)
    return found


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


def _local(image):
    """Averages over Gaussian windows wholly inside."""
    margin = _WINDOW // 2
    blurred = cv2.GaussianBlur(image, (_WINDOW, _WINDOW), _SIGMA)
    return blurred[margin:-margin, margin:-margin]
