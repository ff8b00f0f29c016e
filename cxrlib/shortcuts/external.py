"""The external test: an arm on Cohen et al.'s collection, none of whose patients it knows."""

import numpy as np
import pandas as pd

from cxrlib import cohort as cohorts
from cxrlib import files, images, study, targets
from cxrlib.errors import InputError
from cxrlib.heatmaps import attention
from cxrlib.images import lungs


def test(profile, experiment, arm, root):
    """Tests a trained arm on Cohen et al.'s collection, none of whose patients it has seen.

    Radiographs that share a publication with the cohort are left out, too. Writes external.csv
    and findings.csv, what became of each finding, in the run folder.

    Args:
        profile: The study's profile.
        experiment: An `Experiment`.
        arm: One of its arms; it is trained if it is not yet.
        root: Folder of the collection, as `cohort.read_covid_chestxray` takes it.

    Returns:
        The predictions, as `training.predict` returns them.

    Raises:
        InputError: The collection cannot be read, or the arm could not be run.
    """
    run, model, collection = _elsewhere(profile, experiment, arm, root)
    from cxrlib.networks import training  # seconds: Keras comes with it

    cache = study.pixels(profile, experiment, collection)
    batch = profile.schedule(experiment, arm.architecture).batch_size
    predictions = training.predict(model, cache, collection, ("test",), batch)
    files.write_csv(predictions.drop(columns=["split", "copy"]), run.folder / "external.csv")
    files.write_csv(cohorts.count_findings(root), run.folder / "findings.csv")
    return predictions


def look(profile, experiment, arm, root, outlines):
    """Measures where a trained arm looks in Cohen et al.'s radiographs whose lungs are known.

    Each is explained for the target of its group. Writes attention.csv in the run folder.

    Args:
        profile, experiment, arm, root: As `test` takes them.
        outlines: Folder of the lung masks and boxes, as `lungs.join` takes it.

    Returns:
        DataFrame: file, group, patient, target, and what `attention.measure` returns for the lungs.

    Raises:
        InputError: As `test` and `lungs.join`.
    """
    run, model, collection = _elsewhere(profile, experiment, arm, root)
    from cxrlib import heatmaps  # seconds: Keras comes with it

    known = lungs.join(collection, outlines)
    outlined = (known["lung_mask"] != "") | (known["lung_boxes"].map(len) > 0)
    named = known["group"].isin(targets.GROUP_TARGET)
    known = known[outlined & named].reset_index(drop=True)
    cache, parts = (
        study.pixels(profile, experiment, known.drop(columns=["lung_mask", "lung_boxes"])),
        [],
    )
    for start in range(0, len(known), heatmaps.CHUNK):  # so that memory does not grow with them
        for group, rows in known.iloc[start : start + heatmaps.CHUNK].groupby("group"):
            target = targets.GROUP_TARGET[group]
            maps = heatmaps.METHODS[model.name](model, np.asarray(cache[rows.index]), target)
            masks = [lungs.mask(row, profile.image_size) for _, row in rows.iterrows()]
            placed = [{"lungs": images.place(mask, experiment.treatment)} for mask in masks]
            found = attention.measure(maps, placed)
            facts = rows[["file", "group", "patient"]].iloc[found["row"]].reset_index(drop=True)
            parts.append(facts.assign(target=target).join(found.drop(columns="row")))
    measured = pd.concat(parts, ignore_index=True)
    files.write_csv(measured, run.folder / "attention.csv")
    return measured


def _elsewhere(profile, experiment, arm, root):
    """Returns a finished run, its network, and the radiographs from elsewhere to test it on."""
    run = study.train(profile, experiment, arm)
    if not run.finished:
        raise InputError(f"{run.experiment} {run.arm} was not run: {run.info['reason']}")
    from cxrlib.networks import models  # seconds: Keras comes with it

    collection = cohorts.apart(cohorts.read_covid_chestxray(root), study.everything(profile))
    model = models.load(run.folder / "model.keras", run.architecture, profile.image_size)
    return run, model, collection.assign(split="test", copy=0)
