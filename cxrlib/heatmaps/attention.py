"""Lung attention: how much of a heatmap lies where the disease can be, against chance.

It is known as the energy-based pointing game (Wang et al. 2020), here with its chance beside it.

A heatmap says something about where a network looks only if it beats two things that do not look at
the network at all: the share of the image that a region fills, and a Gaussian in the middle of the
image, where lungs are in every radiograph.
"""

from itertools import zip_longest

import numpy as np
import pandas as pd

from cxrlib import images, metrics
from cxrlib.errors import InputError
from cxrlib.targets import GROUP_TARGET

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


def lung_attention(heatmaps, radiographs, regions):
    """Measures heatmaps that were made for the target of each radiograph's group.

    Args:
        heatmaps: Array (n, H, H), not negative.
        radiographs: DataFrame of n rows with file, group and patient, and perhaps copy.
        regions: As `measure` takes them, of any size: masks are shrunk to the heatmaps'.

    Returns:
        DataFrame: file, group, patient, copy where it is known, target, and what `measure` returns.
        Empty where no region is known, as of most real radiographs.
    """
    edge = heatmaps.shape[1]
    shrunk = ({name: images.shrink(mask, edge) for name, mask in of.items()} for of in regions)
    measured = measure(heatmaps, shrunk)
    names = [name for name in ("file", "group", "patient", "copy") if name in radiographs]
    facts = radiographs[names].iloc[measured["row"].astype(int)].reset_index(drop=True)
    return facts.assign(target=facts["group"].map(GROUP_TARGET)).join(measured)


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
        value, low, high = metrics.average(values, part["patient"], level)
        facts = dict(zip(by, key)) | {"n": len(part), "patients": part["patient"].nunique()}
        parts.append(
            pd.DataFrame({"measure": names, "value": value, "low": low, "high": high, **facts})
        )
    columns = [*by, "measure", "value", "low", "high", "n", "patients"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)
