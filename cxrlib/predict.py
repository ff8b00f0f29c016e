"""What a trained run says of single radiographs, and where in them it looks. Not for diagnosis."""

import contextlib

import cv2
import numpy as np
import pandas as pd

from cxrlib import heatmaps, images, labels, phantom, targets
from cxrlib.errors import InputError
from cxrlib.files import root, write_new
from cxrlib.images import decode
from cxrlib.networks import lite
from cxrlib.shortcuts import external
from cxrlib.study import runs
from cxrlib.study.data import treated
from cxrlib.targets import TARGETS

RELEASED = "results/coronahack-224/C/efficient"
"""The run that answers when none is named, from the study's folder: its network is released."""

NOTICE = "This is a study, not a medical device: nothing here is fit to diagnose anyone."

_TOLD = ("experiment", "arm", "cohort", "split", "image_size", "seed")

BATCH = 16
"""Radiographs that are held in memory at once."""

_TRIED = 12
"""Phantoms of which a released network must say the same both ways."""


def default():
    """Returns the run that answers when none is named, `RELEASED`; it needs no training.

    Raises:
        InputError: It was deleted from the clone, or lacks its network.
    """
    folder = root() / RELEASED
    for name in ("run.json", "model.keras"):
        if not (folder / name).is_file():
            raise InputError(
                f"{folder / name} is not there: `git checkout {RELEASED}` brings back what is"
                " released, or name another run's folder with --run"
            )
    return runs.load(folder)


def release(run):
    """Writes a kept run's network so that it answers sooner, see `networks.lite`.

    Args:
        run: A finished `runs.Run`, `RELEASED` say.

    Raises:
        InputError: As `Run.network` and `lite.write`.
    """
    groups, size = list(targets.GROUPS), run.info["image_size"]
    made = [phantom.simulate(i, size, target=groups[i % len(groups)]) for i in range(_TRIED)]
    pixels = np.stack([one.image for one in made])
    lite.write(run.network, run.folder / "model.keras", pixels, *_facts(run))


def _facts(run):
    return run.architecture, run.info["image_size"]


def described(run):
    """Says which network answers, and what it is worth on patients from elsewhere.

    Args:
        run: A finished `runs.Run`.

    Returns:
        Dict of run (its folder), experiment, arm, cohort (what it was trained on), split,
        image_size, seed, untaught (targets of which it never saw both answers, so that its own
        says nothing), and elsewhere: a list of dicts, one a cohort from elsewhere, with
        cohort, and of COVID radiographs, patients, auc, low, high; the last three None where a
        cohort has only one answer.
    """
    facts = {name: run.info[name] for name in _TOLD}
    answers = run.predictions
    facts["untaught"] = [target for target in TARGETS if answers[f"y_{target}"].nunique() < 2]
    tested = []
    for name, predictions in run.external.items():
        (found,) = external.scores(predictions).query("target == 'COVID'").itertuples()
        ends = (found.auc, found.low, found.high)
        aucs = dict(zip(("auc", "low", "high"), (None if np.isnan(v) else float(v) for v in ends)))
        counts = {"cohort": name, "radiographs": found.n, "patients": found.patients}
        tested.append(counts | aucs)
    return {"run": str(run.folder), **facts, "elsewhere": tested}


def lines(run):
    """Writes what `described` says, and the notice, in lines for a person."""
    told = described(run)
    size, split, seed = (told[name] for name in ("image_size", "split", "seed"))
    first = (
        f"Answered by {labels.run_label(*run.key)} in {told['run']}, trained on {told['cohort']}"
        f" ({labels.split_label(split)}) at {size} px, seed {seed}."
    )
    worth = [
        f"On {one['patients']} patients from elsewhere ({one['cohort']}) its AUC of COVID is"
        f" {labels.ranged(one['auc'], one['low'], one['high'])}; a coin scores 0.50."
        for one in told["elsewhere"]
        if one["auc"] is not None
    ]
    untaught = [
        f"It never saw radiographs both with and without {target}: that number says nothing."
        for target in told["untaught"]
    ]
    worth = worth or ["It was not tested on patients from elsewhere."]
    return [first, *worth, *untaught, NOTICE]


def radiograph(run, path):
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
    with _naming(path):
        return _seen(run, decode.read(path), path)


def _seen(run, decoded, path):
    """Returns a decoded radiograph as the run sees it."""
    image = images.coloured(images.resize(decoded, run.info["image_size"]))
    covered = images.cover(image, run.info.get("cover", "none"))
    return treated(covered, run.treatment, path)


@contextlib.contextmanager
def _naming(path):
    """Names the file in whatever is wrong with it."""
    try:
        yield
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
    answer, rows = _answer(run), []
    for start in range(0, len(paths), BATCH):
        rows += _rows(answer, run, paths[start : start + BATCH])
    return pd.DataFrame(rows, columns=["file", *TARGETS, "error"])


def explain(run, path, target=None, method=None):
    """Predicts one radiograph and shows where the run finds a target.

    Args:
        run: A finished `runs.Run`.
        path: An image file.
        target: A name of `TARGETS`, in small letters or capitals; None takes the likeliest.
        method: A name of `heatmaps.METHODS`; None takes the paper's for this architecture.

    Returns:
        Dict of file, target, probabilities (Series by target, in [0, 1]), heatmap (float (size,
        size) in [0, 1]; all 0 where nothing speaks for the target), overlay: uint8 (size, size, 3),
        RGB, the heatmap over the radiograph as the network sees it, and original: uint8 (height,
        width, 3), RGB, the radiograph as it came.

    Raises:
        InputError: As `radiograph` and `predict`, or an unknown target or method.
    """
    target, explained = _asked(target, method)
    model = run.network
    return _explained(run, model, path, target, explained)


def explain_each(run, paths, target=None, method=None):
    """Explains radiographs one after the other, so that memory does not grow with their number.

    Args:
        run, target, method: As `explain` takes them.
        paths: Image files.

    Yields:
        What `explain` returns of each; of a file that cannot be read, a dict of file and error.

    Raises:
        InputError: Before the first: the run is not finished, its network cannot be read, or an
            unknown target or method.
    """
    target, explained = _asked(target, method)
    model = run.network
    for path in paths:
        try:
            found = _explained(run, model, path, target, explained)
        except InputError as error:
            found = {"file": str(path), "error": str(error)}
        yield found


def _asked(target, method):
    """Returns a target by its own name, or None, and the function that explains."""
    if method is not None and method not in heatmaps.METHODS:
        known = ", ".join(heatmaps.METHODS)
        raise InputError(f"unknown method {method!r}: expected one of {known}")
    explained = heatmaps.METHODS[method] if method else heatmaps.explain
    return target if target is None else targets.named(target), explained


def _explained(run, model, path, target, explained):
    with _naming(path):
        decoded = decode.read(path)
        image, original = _seen(run, decoded, path), images.coloured(decoded)
    probabilities = pd.Series(model.predict(image[None], verbose=0)[0], TARGETS)
    target = target or probabilities.idxmax()
    heatmap = explained(model, image[None], target)[0]
    overlay = heatmaps.overlay(image, heatmap)
    return {
        "file": str(path), "target": target, "probabilities": probabilities, "heatmap": heatmap,
        "overlay": overlay, "original": original,
    }  # fmt: skip


def picture(run, found):
    """Draws what `explain` found on the radiograph as it came, of its size, with a legend below.

    Where the run's treatment cuts each image in a way of its own, or paints over a part, the
    heatmap has no place on the original: the picture is then what the network sees, and says so.

    Args:
        run: The `runs.Run` that was asked.
        found: What `explain` returned.

    Returns:
        uint8 array (height and some, width, 3), RGB.
    """
    from cxrlib.heatmaps import legend  # Matplotlib comes with it

    part = images.seen_part(run.treatment, len(found["heatmap"]), run.info.get("cover", "none"))
    label = f"{found['target']} {found['probabilities'][found['target']]:.3f}"
    if part is None:
        return legend.with_legend(found["overlay"], label, "as the network sees it, not as it came")
    shown = legend.on_original(found["original"], found["heatmap"], part)
    whole = part == images.seen_part("raw", len(found["heatmap"]))
    return legend.with_legend(shown, label, "" if whole else "frame: what the network sees")


def report(run, table):
    """Turns predictions into plain values for JSON: only what is known, with the notice.

    Args:
        run: The `runs.Run` that was asked.
        table: What `predict` returned.

    Returns:
        Dict of notice, what `described` says, and radiographs: a list of dicts with file and either
        the five probabilities or error.
    """
    rows = [
        {name: value for name, value in row.items() if value != "" and not pd.isna(value)}
        for row in table.to_dict("records")
    ]
    return {"notice": NOTICE, **described(run), "radiographs": rows}


def write_table(table, path):
    """Writes predictions as CSV, never over another file: file, the five targets, error.

    Args:
        table: What `predict` returned.
        path: The file.

    Raises:
        InputError: As `files.write_new`.
    """
    # A file's name is bytes, of any encoding.
    return write_new(table.to_csv(index=False).encode("utf-8", "surrogateescape"), path)


def write_png(image, path, another=False):
    """Writes an image, uint8 (height, width, 3), RGB, as a PNG file.

    Args:
        image: The image.
        path: The file.
        another: Where something else is there, take path-2, path-3, ... instead.

    Returns:
        The path that was written.

    Raises:
        InputError: As `files.write_new`.
    """
    content = cv2.imencode(".png", image[..., ::-1])[1].tobytes()
    return write_new(content, path, another)


def _answer(run):
    """Returns what answers: TensorFlow Lite where it is there, Keras otherwise."""
    own = run.folder / "model.keras"
    path = lite.find(own, *_facts(run)) if run.finished and own.exists() else None
    if path:
        return lite.read(path)
    model = run.network
    return lambda pixels: model.predict(pixels, verbose=0)


def _rows(answer, run, paths):
    """Predicts as many radiographs as fit in memory."""
    rows, pixels = [], []
    for path in paths:
        try:
            pixels.append(radiograph(run, path))
            rows.append({"file": str(path), "error": ""})
        except InputError as error:
            rows.append({"file": str(path), "error": str(error)})
    good = [row for row in rows if not row["error"]]
    for row, probabilities in zip(good, answer(np.stack(pixels)) if pixels else ()):
        row |= dict(zip(TARGETS, probabilities))
    return rows
