"""The external test: a trained run on cohorts from elsewhere, none of whose patients it knows.

What a run makes of a cohort is kept in its folder, in external/NAME (see `study.elsewhere`).
"""

import dataclasses
import functools
import re
import warnings
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pandas as pd
from tqdm import tqdm

from cxrlib import cohort as cohorts
from cxrlib import files, heatmaps, images, metrics, study, targets
from cxrlib.cohort import audit, duplicates, lungs
from cxrlib.errors import InputError, InputWarning
from cxrlib.heatmaps import attention
from cxrlib.labels import GROUP_LABELS
from cxrlib.study import elsewhere, experiments, profiles, runs
from cxrlib.targets import TARGETS

SHARED = {
    "patient": "patient in the training cohort",
    "publication": "publication in the training cohort",
}
PICTURE, UNREADABLE = "picture in the training cohort", "unreadable"
"""Why a radiograph is not tested, beside what its reader says (`cohort.left_out`)."""

CALLED = ("COVID", "Pneumonia", "Normal")
"""Targets of which it is told how often each group is called so."""

_LEGAL = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")
_BATCH = 16


class Tested(NamedTuple):
    """What came of a test: the cohort's name, its folder, and the tables that were written there.

    attention is None where no outlines of lungs were given.
    """

    name: str
    folder: Path
    predictions: pd.DataFrame
    left_out: pd.DataFrame
    attention: pd.DataFrame | None = None


def test(run, place, trained=None, *, name=None, keep_duplicates=False, outlines=None):
    """Tests a run on a cohort from elsewhere, and writes what came of it to external/NAME.

    Args:
        run: A finished `runs.Run`, with its network.
        place: The cohort, as `cohort.read` takes it: Cohen et al.'s, or a user's own table.
        trained: The cohort that the run was drawn from (see `trained_on`): radiographs of its
            patients, publications and pictures are left out. None: nobody can tell which these are.
        name: Of the cohort; None: that of the folder, or of the table without its ending.
        keep_duplicates: Test also on pictures that are in the training cohort.
        outlines: Folder of lung masks and boxes, as `lungs.join` takes it: where the run looks is
            then measured, too.

    Returns:
        `Tested`.

    Raises:
        InputError: The run has no network, the cohort cannot be read, nothing of it is left, its
            name is none, other radiographs are kept under it, or no lungs are outlined.
    """
    name = named(place, name)
    model, folder = run.network, run.folder / "external" / name
    radiographs, left_out = select(place, trained, keep_duplicates)
    if radiographs.empty:
        why = ", ".join(f"{n} {reason}" for reason, n in counted(left_out).items())
        raise InputError(f"{place} has nothing left to test {run.experiment} {run.arm} on: {why}")
    _refuse_namesake(run, name, radiographs)
    known = None if outlines is None else _outlined(run, radiographs, outlines, place)
    predictions = _ask(run, model, radiographs)
    measured = None if known is None else lung_attention(run, model, known)
    found = cohorts.count_findings(place) if "finding" in radiographs else None
    enough = known is not None and len(known) >= elsewhere.DOZEN
    tables = {"left-out": left_out, "findings": found, "attention": measured}
    means = mean_lungs(run, known) if enough else None
    elsewhere.write(folder, {"predictions": predictions, **tables}, means)
    return Tested(name, folder, predictions, left_out, measured)


def name_of(place):
    """Returns the name of a cohort's folder, or of its table without the ending."""
    path = Path(place).absolute()  # links keep the name that they were given
    path = path.resolve() if path.name == ".." else path
    return path.stem if path.is_file() else path.name


def named(place, name=None):
    """Returns what a cohort is called: the name given, or `name_of` its place.

    Raises:
        InputError: It has other letters than `A-Z a-z 0-9 - _ .`, begins with a dot or is long.
    """
    name = name_of(place) if name is None else name
    if not _LEGAL.fullmatch(name):
        raise InputError(
            f"{name!r} is no name of a cohort: give one with --name, of letters, digits, -, _ and ."
        )
    return name


def trained_on(run):
    """Returns the cohort that a run's radiographs were drawn from, as its run.json describes it.

    Returns:
        A cohort; None where it is not at hand, or the run does not say.
    """
    try:
        return study.everything(profiles.from_mapping(run.info["profile"]))
    except (InputError, KeyError):
        return None


def select(place, trained=None, keep_duplicates=False):
    """Reads a cohort from elsewhere, and leaves out what would be no test.

    Args:
        place, trained, keep_duplicates: As `test` takes them.

    Returns:
        The cohort's radiographs that are left, and a DataFrame that counts the others: reason,
        finding and group (both "" where not known), radiographs. An `InputWarning` names each
        file that cannot be read.

    Raises:
        InputError: As `cohort.read`.
    """
    cohort = cohorts.read(place).assign(reason="")
    cohort["patient"] = cohort["patient"].replace(cohorts.same_patients())
    if trained is not None:
        cohort["reason"] = cohorts.shared(cohort, trained).replace(SHARED)
    left = cohort["reason"] == ""
    described, thumbs = audit.facts_and_thumbnails(cohort[left], progress=_bar)
    unreadable = described["error"] != ""
    cohort.loc[described.index[unreadable], "reason"] = UNREADABLE
    for row in described[unreadable].itertuples():
        warnings.warn(f"{row.file} {row.error}", InputWarning, stacklevel=2)
    if trained is not None and not keep_duplicates and left.any() and (trained["path"] != "").all():
        _, known = audit.facts_and_thumbnails(trained, progress=_bar)  # phantoms are nobody's
        copied = duplicates.among(thumbs[~unreadable], known)
        cohort.loc[described.index[~unreadable][copied], "reason"] = PICTURE
    dropped = cohort[cohort["reason"] != ""].assign(radiographs=1)
    parts = [cohorts.left_out(place), dropped.reindex(columns=list(elsewhere.LEFT_OUT))]
    counts = pd.concat(parts, ignore_index=True).fillna({"finding": "", "group": ""})
    keys = ["reason", "finding", "group"]
    counts = counts.groupby(keys, sort=False)["radiographs"].sum().astype(int).reset_index()
    kept = cohort[cohort["reason"] == ""].drop(columns="reason").reset_index(drop=True)
    return kept, counts


def counted(left_out):
    """Sums what was left out by reason alone: Series of radiographs, in the order of the table."""
    return left_out.groupby("reason", sort=False)["radiographs"].sum()


def scores(predictions):
    """Measures how well a run puts the radiographs of a cohort in order, target by target.

    Args:
        predictions: DataFrame with patient, y_* and p_*, as `Run.external` holds them.

    Returns:
        DataFrame, a row a target: target, n (radiographs), positives (with the target), patients,
        auc, low, high (95 %, counting patients); the last three NaN where all have the target, or
        none.
    """
    rows = []
    for target in TARGETS:
        positives = int(predictions[f"y_{target}"].sum())
        counts = (len(predictions), positives, predictions["patient"].nunique())
        rows.append((target, *counts, *metrics.auc_of(predictions, target)))
    names = ["target", "n", "positives", "patients", "auc", "low", "high"]
    return pd.DataFrame(rows, columns=names)


def called(predictions, threshold=0.5):
    """Measures how often the radiographs of each group are called COVID, Pneumonia and Normal.

    Args:
        predictions: As `scores` takes them, with group.
        threshold: Probability from which on a target is said to be there.

    Returns:
        DataFrame, a row a target and group: target, group (those that there are, COVID last), n,
        patients, share, low, high (95 %, counting patients).
    """
    rows = []
    for target in CALLED:
        for group in [group for group in GROUP_LABELS if group in set(predictions["group"])]:
            part = predictions[predictions["group"] == group]
            found = metrics.share(part[f"p_{target}"] >= threshold, part["patient"])
            rows.append((target, group, len(part), part["patient"].nunique(), *found))
    names = ["target", "group", "n", "patients", "share", "low", "high"]
    return pd.DataFrame(rows, columns=names)


def tested(profile):
    """Returns the runs that were tested elsewhere: those kept in results/, and a study's own.

    Args:
        profile: The study's profile; all its seeds and folds count.
    """
    kept, own = files.root() / "results", [study.folder(trial) for trial in profile.trials]
    folders = [folder for folder in (kept, *own) if next(folder.rglob("run.json"), None)]
    return [run for folder in folders for run in runs.load_all(folder) if run.external]


def lung_attention(run, model, known):
    """Measures where a run looks in radiographs whose lungs are known.

    Each is explained for the target of its group.

    Args:
        run: A finished `runs.Run`.
        model: Its network.
        known: A cohort of the four groups, as `lungs.join` returns it, each with its lungs.

    Returns:
        DataFrame as `attention.lung_attention` returns it for the lungs, without row.
    """
    pixels, parts = _pixels(run, known.drop(columns=["lung_mask", "lung_boxes"])), []
    for start in range(0, len(known), heatmaps.BATCH):  # so that memory does not grow with them
        for group, rows in known.iloc[start : start + heatmaps.BATCH].groupby("group"):
            target = targets.GROUP_TARGET[group]
            maps = heatmaps.explain(model, np.asarray(pixels[rows.index]), target)
            placed = ({"lungs": mask} for mask in _placed(run, rows))
            parts.append(attention.lung_attention(maps, rows, placed))
    return pd.concat(parts, ignore_index=True).drop(columns="row")


def mean_lungs(run, known):
    """Averages the lungs of radiographs, treated as the run's were.

    Args:
        run: A `runs.Run`.
        known: As `lung_attention` takes it.

    Returns:
        float16 array (64, 64): the share of the radiographs whose lungs are there.
    """
    edge = (elsewhere.MEAN_EDGE, elsewhere.MEAN_EDGE)
    whole = (mask.astype(np.float32) for mask in _placed(run, known))
    small = (cv2.resize(mask, edge, interpolation=cv2.INTER_AREA) for mask in whole)
    return (sum(small) / len(known)).astype(np.float16)


def _placed(run, known):
    """Yields the lungs of each radiograph, bool (edge, edge), as the run's treatment puts them."""
    size = run.info["image_size"]
    for _, row in known.iterrows():
        outlined = None
        if images.needs_lungs(run.treatment):
            outlined = study.outline(images.load(row["path"], size))
        yield images.place(lungs.mask(row, size), run.treatment, outlined)


def _outlined(run, radiographs, outlines, place):
    """Returns the radiographs of the four groups whose lungs somebody has outlined or boxed."""
    known = lungs.join(radiographs, outlines)
    outlined = (known["lung_mask"] != "") | (known["lung_boxes"].map(len) > 0)
    known = known[outlined & known["group"].isin(targets.GROUP_TARGET)].reset_index(drop=True)
    if known.empty:
        raise InputError(f"{outlines} has no lungs of the radiographs in {place}: name its own")
    for _, row in known.iterrows():  # one that is no outline is refused before all is computed
        lungs.mask(row, run.info["image_size"])
    return known


def _ask(run, model, radiographs):
    """Predicts radiographs: DataFrame of file, group, patient, y_* and p_*."""
    from cxrlib.networks import training  # seconds: Keras comes with it

    table = radiographs.assign(split="test", copy=0)
    answers = training.predict(model, _pixels(run, table), table, ("test",), _BATCH)
    return answers.drop(columns=["split", "copy"])


def _pixels(run, radiographs):
    """Returns radiographs as the run's own were treated, row by row."""
    cover, size = run.info.get("cover", "none"), run.info["image_size"]
    profile = profiles.Profile(cohort="folder", image_size=size, cover=cover)
    experiment = dataclasses.replace(
        experiments.A, name=run.treatment.replace("+", "-"), treatment=run.treatment
    )
    return study.pixels(profile, experiment, radiographs.assign(copy=0))


def _refuse_namesake(run, name, radiographs):
    """Refuses to write over what was made of another cohort that has the same name."""
    kept, here = run.external.get(name), set(radiographs["file"])
    there = here if kept is None else set(kept["file"])
    if 2 * len(there & here) <= min(len(there), len(here)):  # hospitals count from 1, too
        raise InputError(
            f"{run.folder / 'external' / name} holds other radiographs: give these another --name"
        )


_bar = functools.partial(tqdm, desc="radiographs", unit="image", delay=2, disable=None)
