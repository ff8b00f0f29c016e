"""The external test: an arm on a collection from elsewhere, none of whose patients it knows."""

import numpy as np
import pandas as pd

from cxrlib import cohort as cohorts
from cxrlib import files, heatmaps, images, study, targets
from cxrlib.errors import InputError
from cxrlib.heatmaps import attention
from cxrlib.images import lungs
from cxrlib.shortcuts.asking import asker


def test(profile, experiment, arm, root):
    """Tests a trained arm on a collection from elsewhere, none of whose patients it has seen.

    Radiographs that share a publication with the cohort are left out, too. Writes external.csv
    in the run folder and, of Cohen et al.'s collection, findings.csv: what became of each finding.

    Args:
        profile: The study's profile.
        experiment: An `Experiment`.
        arm: One of its arms; it is trained if it is not yet.
        root: The collection, as `cohort.read` takes it: Cohen et al.'s, or a user's own table.

    Returns:
        The predictions, as `training.predict` returns them.

    Raises:
        InputError: The collection cannot be read or holds nobody new, or the arm could not be run.
    """
    run, collection = _elsewhere(profile, experiment, arm, root)
    predictions = asker(profile, experiment, arm)(collection)
    files.write_csv(predictions.drop(columns=["split", "copy"]), run.folder / "external.csv")
    if "finding" in collection:
        files.write_csv(cohorts.count_findings(root), run.folder / "findings.csv")
    return predictions


def lung_attention(profile, experiment, arm, root, outlines):
    """Measures where a trained arm looks in radiographs from elsewhere whose lungs are known.

    Each is explained for the target of its group. Writes attention.csv in the run folder.

    Args:
        profile, experiment, arm, root: As `test` takes them.
        outlines: Folder of the lung masks and boxes, as `lungs.join` takes it.

    Returns:
        DataFrame as `attention.lung_attention` returns it for the lungs, without row and copy.

    Raises:
        InputError: As `test` and `lungs.join`, or nobody has outlined or boxed any lungs.
    """
    run, collection = _elsewhere(profile, experiment, arm, root)
    known = lungs.join(collection, outlines)
    outlined = (known["lung_mask"] != "") | (known["lung_boxes"].map(len) > 0)
    named = known["group"].isin(targets.GROUP_TARGET)
    known = known[outlined & named].reset_index(drop=True)
    if known.empty:
        raise InputError(f"{outlines} has no lungs of the radiographs in {root}: name its own")
    pixels = study.pixels(profile, experiment, known.drop(columns=["lung_mask", "lung_boxes"]))
    model, parts = run.network, []
    for start in range(0, len(known), heatmaps.BATCH):  # so that memory does not grow with them
        for group, rows in known.iloc[start : start + heatmaps.BATCH].groupby("group"):
            target = targets.GROUP_TARGET[group]
            maps = heatmaps.explain(model, np.asarray(pixels[rows.index]), target)
            masks = (lungs.mask(row, profile.image_size) for _, row in rows.iterrows())
            placed = ({"lungs": images.place(mask, experiment.treatment)} for mask in masks)
            parts.append(attention.lung_attention(maps, rows, placed))
    measured = pd.concat(parts, ignore_index=True).drop(columns=["row", "copy"])
    files.write_csv(measured, run.folder / "attention.csv")
    return measured


def _elsewhere(profile, experiment, arm, root):
    """Returns a finished run, and the radiographs from elsewhere to test it on."""
    run = study.train(profile, experiment, arm)
    if not run.finished:
        raise InputError(f"{run.experiment} {run.arm} was not run: {run.info['reason']}")
    collection = cohorts.apart(cohorts.read(root), study.everything(profile))
    if collection.empty:
        raise InputError(f"{root} has nobody whom {run.experiment} {run.arm} has not seen")
    return run, collection.assign(split="test", copy=0)
