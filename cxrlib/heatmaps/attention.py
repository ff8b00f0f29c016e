"""Lung attention: how much of a heatmap lies where the disease can be, against chance.

A heatmap says something about where a network looks only if it beats two things that do not look at
the network at all: the share of the image that a region fills, and a Gaussian in the middle of the
image, where lungs are in every radiograph.
"""

from itertools import zip_longest

import numpy as np
import pandas as pd

from cxrlib import metrics
from cxrlib.errors import InputError

REGIONS = ("lungs", "lesions", "marks", "devices")
"""Where a heatmap's energy is looked for; a radiograph need not have all of them."""

MEASURES = ("energy", "pointing", "area", "gaussian")
"""The share of a heatmap's energy inside a region; whether its highest point lies there (pointing
game, Zhang et al. 2018); and what chance gives: the region's share of the image, and of a centred
Gaussian."""

SPREAD = 0.25
"""Standard deviation of the centred Gaussian, as a share of the image's edge."""


def measure(heatmaps, regions):
    """Measures heatmaps against regions, radiograph by radiograph.

    Args:
        heatmaps: Array (n, H, W), not negative.
        regions: n dicts of region -> bool mask (H, W), a list or as they come. An empty or missing
            one is not measured.

    Returns:
        DataFrame: row (0 to n - 1), region, and `MEASURES`: shares in [0, 1], pointing 0 or 1.
        energy and pointing are NaN where a heatmap is 0 throughout: it points nowhere.

    Raises:
        InputError: A mask has another shape, or there are not as many as heatmaps.
    """
    heatmaps = np.asarray(heatmaps)
    prior = gaussian(heatmaps.shape[1:])
    rows = []
    for i, (heatmap, masks) in enumerate(zip_longest(heatmaps, regions)):
        if heatmap is None or masks is None:
            raise InputError(f"row {i} has {'regions' if heatmap is None else 'a heatmap'} alone")
        total, peak = heatmap.sum(dtype=float), np.unravel_index(heatmap.argmax(), heatmap.shape)
        for region, mask in masks.items():
            if mask.shape != heatmap.shape:
                raise InputError(f"{region} of row {i} are {mask.shape}, heatmaps {heatmap.shape}")
            if not mask.any():
                continue
            inside = heatmap[mask].sum(dtype=float) / total if total else np.nan
            hit = float(mask[peak]) if total else np.nan
            rows.append((i, region, inside, hit, mask.mean(), prior[mask].sum()))
    return pd.DataFrame(rows, columns=["row", "region", *MEASURES])


def gaussian(shape):
    """Returns the centred Gaussian: float64 array of a shape (H, W) that sums to 1."""
    across = [np.exp(-((np.arange(n) + 0.5 - n / 2) ** 2) / (2 * (SPREAD * n) ** 2)) for n in shape]
    prior = np.outer(*across)
    return prior / prior.sum()


def summary(measured, by, level=0.95):
    """Averages measurements, with intervals that count patients.

    Args:
        measured: What `measure` returns, with a column patient and those of `by`.
        by: Columns to group by, such as ["arm", "group", "region"].
        level: Coverage.

    Returns:
        DataFrame: the columns of `by`, measure (one of `MEASURES`, or "lift": energy less area, 0
        for a heatmap that ignores the region), value, low, high, n (radiographs whose heatmap
        points anywhere), patients.
    """
    names = [*MEASURES, "lift"]
    parts = []
    for key, part in measured.groupby(by, sort=False):
        part = part.dropna(subset=["energy"])
        if part.empty:
            continue
        values = part.assign(lift=part["energy"] - part["area"])[names].to_numpy(float)
        codes = metrics.coded(part["patient"], len(part))
        sums = np.zeros((codes.max() + 1, len(names) + 1))
        np.add.at(sums, codes, np.column_stack([values, np.ones(len(values))]))
        found = metrics.resample(lambda w, sums=sums: _means(w @ sums), len(sums))
        low, high = metrics.percentiles(*found, level).T
        facts = dict(zip(by, key)) | {"n": len(part), "patients": len(sums)}
        parts.append(
            pd.DataFrame({"measure": names, "value": found[0], "low": low, "high": high, **facts})
        )
    columns = [*by, "measure", "value", "low", "high", "n", "patients"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def _means(sums):
    with np.errstate(invalid="ignore"):  # no patient is left: NaN
        return sums[:, :-1] / sums[:, -1:]
