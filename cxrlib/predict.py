"""What a trained run says of single radiographs, and where in them it looks. Not for diagnosis."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from cxrlib import images, targets
from cxrlib.errors import InputError
from cxrlib.files import write_new
from cxrlib.study import experiments, runs
from cxrlib.targets import TARGETS

NOTICE = "This is a study, not a medical device: nothing here is fit to diagnose anyone."

CHUNK = 16
"""Radiographs that are held in memory at a time."""


def default(folder):
    """Returns the run that answers when none is named: Experiment C's lowest validation loss.

    Args:
        folder: A study's folder (`study.folder`).

    Raises:
        InputError: Experiment C has no finished run there.
    """
    found = [runs.load(path.parent) for path in sorted(Path(folder).glob("C/*/run.json"))]
    if not any(run.finished for run in found):
        raise InputError(
            f"no finished run of experiment C in {folder}: `cxr study` trains it,"
            " or name another run's folder with --run"
        )
    return runs.chosen(found)


def read(run, path):
    """Reads a radiograph and treats it exactly as the run's own were.

    Args:
        run: A `runs.Run`.
        path: An image of any kind that `decode.read` reads, DICOM among them.

    Returns:
        uint8 array (size, size, 3), RGB, of the run's image size.

    Raises:
        InputError: The file cannot be opened, is not an image, or the run covers the lungs, which
            are not known; the message names the file.
    """
    # Older runs name their experiment alone, and covered nothing.
    treatment = run.info.get("treatment") or experiments.find(run.experiment).treatment
    try:
        image = images.load(path, run.info["image_size"])
        return images.treat(images.cover(image, run.info.get("cover", "none")), treatment)
    except OSError as error:
        raise InputError(f"{path} cannot be opened: {error.strerror or error}") from error
    except InputError as error:
        raise InputError(str(error) if str(path) in str(error) else f"{path}: {error}") from error


def predict(run, paths):
    """Predicts the probabilities of radiographs; one that cannot be read does not stop the others.

    Args:
        run: A finished `runs.Run`.
        paths: Image files.

    Returns:
        DataFrame, a row a path: file, the five `TARGETS` (in [0, 1], NaN where the file cannot be
        read), and error: "" or what is wrong with the file, one line that names it.

    Raises:
        InputError: The run is not finished or its network cannot be read.
    """
    model = network(run)
    rows = []
    for start in range(0, len(paths), CHUNK):
        rows += _rows(model, run, paths[start : start + CHUNK])
    return pd.DataFrame(rows, columns=["file", *TARGETS, "error"])


def explain(run, path, target=None):
    """Predicts one radiograph and shows where the run finds a target, with the paper's method.

    Args:
        run: A finished `runs.Run`.
        path: An image file.
        target: A name of `TARGETS`; None takes the likeliest.

    Returns:
        Dict of file, target, probabilities (Series by target, in [0, 1]) and overlay: uint8
        (size, size, 3), RGB, the heatmap over the radiograph as the network sees it.

    Raises:
        InputError: As `read` and `predict`, or an unknown target.
    """
    if target is not None:
        targets.index(target)
    image, model = read(run, path), network(run)
    from cxrlib import heatmaps

    probabilities = pd.Series(_probabilities(model, [image])[0], TARGETS)
    target = target or probabilities.idxmax()
    heatmap = heatmaps.METHODS[model.name](model, image[None], target)[0]
    overlay = heatmaps.overlay(image, heatmap)
    return {"file": str(path), "target": target, "probabilities": probabilities, "overlay": overlay}


def report(run, table):
    """Turns predictions into plain values for JSON: only what is known, with the notice.

    Args:
        run: The `runs.Run` that was asked.
        table: What `predict` returned.

    Returns:
        Dict of notice, run (its folder) and radiographs: a list of dicts with file and either the
        five probabilities or error.
    """
    rows = [
        {name: value for name, value in row.items() if value != "" and not pd.isna(value)}
        for row in table.to_dict("records")
    ]
    return {"notice": NOTICE, "run": str(run.folder), "radiographs": rows}


def write_png(image, path):
    """Writes an image, uint8 (height, width, 3), RGB, as a PNG file.

    Raises:
        InputError: As `files.write_new`.
    """
    write_new(cv2.imencode(".png", image[..., ::-1])[1].tobytes(), path)


def network(run):
    """Loads a finished run's network.

    Raises:
        InputError: The run is not finished or its network cannot be read; the message says how to
            train it.
    """
    again = f"`cxr train {run.experiment} {run.folder.name}` trains it"
    if not run.finished:
        raise InputError(f"the run in {run.folder} is {run.info['state']}: {again}")
    path = run.folder / "model.keras"
    if not path.exists():
        raise InputError(f"{path} is not there: {again}")
    from cxrlib.networks import models  # seconds: Keras comes with it

    return models.load(path, run.architecture, run.info.get("image_size"))


def _rows(model, run, paths):
    """Predicts as many radiographs as fit in memory."""
    rows, pixels = [], []
    for path in paths:
        try:
            pixels.append(read(run, path))
            rows.append({"file": str(path), "error": ""})
        except InputError as error:
            rows.append({"file": str(path), "error": str(error)})
    good = [row for row in rows if not row["error"]]
    for row, probabilities in zip(good, _probabilities(model, pixels)):
        row |= dict(zip(TARGETS, probabilities))
    return rows


def _probabilities(model, pixels):
    """Returns float32 (n, 5) for uint8 images."""
    if not pixels:
        return np.zeros((0, len(TARGETS)), np.float32)
    return model.predict(np.stack(pixels), verbose=0)
