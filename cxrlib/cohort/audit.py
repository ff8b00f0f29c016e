"""The audit of a cohort: what tells its targets without any anatomy, and what is wrong with it.

A score means little until three things are known: what the facts of a file (its source, size,
sharpness) already tell about the targets, how far a model gets that sees no anatomy, and whether
the same picture is on both sides of the split (`cohort.baselines` and `cohort.duplicates` measure
the last two). All functions take frames and arrays and return tidy frames. What cannot be computed
is NaN and `note` says why.
"""

import hashlib
import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from scipy.stats.contingency import chi2_contingency
from sklearn.metrics import roc_auc_score

from cxrlib import cohort, images
from cxrlib.cohort import baselines, duplicates, folders, own
from cxrlib.errors import InputError, InputWarning
from cxrlib.images import decode
from cxrlib.targets import TARGETS

CATEGORIES = ("source", "view", "age_group", "device", "mark", "format", "mode")
"""Facts that are names; "" where unknown."""

NUMBERS = (
    "width", "height", "bytes", "bytes_per_pixel", "mean", "deviation", "sharpness",
)  # fmt: skip
"""Facts that are numbers; NaN where unknown."""

FILE_FACTS = (
    "error", "content", "picture", "format", "width", "height", "bytes", "bytes_per_pixel",
    "mode", "mean", "deviation", "sharpness",
)  # fmt: skip
"""Columns that `facts` adds."""

SIZE = 224
"""Edge in pixels at which radiographs of all sizes are compared."""

_FILES = "Problems"
_UNKNOWN = {name: np.nan if name in NUMBERS else "" for name in FILE_FACTS}


def facts(radiographs, pixels=None, progress=iter):
    """Adds the facts of each image file to a cohort; decodes each file once.

    Args:
        radiographs: DataFrame with file and path; a path "" has no file (phantoms).
        pixels: Array or sequence of n images, uint8 (size, size, 3), RGB, to be used instead of
            decoding the files; None: the files are decoded.
        progress: Wraps the iterator of finished images (tqdm, say).

    Returns:
        The radiographs with the columns error ("", or what is wrong with the file and the mend),
        content and picture (digests of bytes and pixels), format (JPEG, PNG, ...), width, height
        (pixels, as stored), bytes, bytes_per_pixel, mode ("grey" or "colour": channels differ),
        mean, deviation (grey levels) and sharpness (variance of the Laplacian), the last three at
        224 px. NaN or "" where there is no file or it cannot be read.
    """
    return facts_and_thumbnails(radiographs, pixels, progress)[0]


def facts_and_thumbnails(radiographs, pixels=None, progress=iter):
    """Returns facts and small grey pictures of radiographs in one pass.

    Args:
        radiographs, pixels, progress: As `facts` takes them.

    Returns:
        The radiographs with their facts, and uint8 thumbnails (n, 64, 64), black where a file
        cannot be read.
    """
    paths = list(radiographs["path"])
    seen = _in_threads(
        lambda i: _seen(paths[i], None if pixels is None else pixels[i]), range(len(paths))
    )
    rows, small = [], np.zeros((len(paths), baselines.EDGE, baselines.EDGE), np.uint8)
    for i, (row, thumbnail) in progress(enumerate(seen)):
        rows.append(_UNKNOWN | row)
        small[i] = thumbnail
    found = pd.DataFrame(rows, columns=list(FILE_FACTS), index=radiographs.index)
    found = found.astype({name: float for name in NUMBERS})
    return pd.concat(
        [radiographs.drop(columns=list(FILE_FACTS), errors="ignore"), found], axis=1
    ), small


def confounders(radiographs):
    """Measures what each fact alone tells about each target, the strongest first.

    Args:
        radiographs: A cohort with as many of `CATEGORIES` and `NUMBERS` as are known (`facts` adds
            those of the files).

    Returns:
        DataFrame: fact, target, measure, value, strength, n, patients, note. The measure of a
        category is "cramers_v" (bias-corrected, Bergsma 2013; from 0, nothing, to 1, it settles the
        target), that of a number "auc" (0.5: nothing). The strength puts both on one scale from 0
        to 1: V, or twice the distance of the AUC from 0.5. n counts the radiographs whose fact is
        known, and patients who they show.
        A fact that is unknown throughout is left out. A value is NaN where the fact or the target
        never changes, or no category occurs twice.
    """
    rows = []
    for fact in (*CATEGORIES, *NUMBERS):
        known = _known(radiographs, fact)
        patients = radiographs.loc[known, "patient"].nunique()
        measure = "cramers_v" if fact in CATEGORIES else "auc"
        for target in TARGETS if known.any() else ():
            positive, values = ((radiographs[name].to_numpy()[known]) for name in (target, fact))
            positive, value = positive == 1, np.nan
            note = baselines.undefined(positive, target)
            if len(np.unique(values)) < 2:
                note = f"undefined: one {fact}"
            elif not note:
                value = (_cramers_v if fact in CATEGORIES else roc_auc_score)(positive, values)
                note = f"undefined: each {fact} occurs once" if np.isnan(value) else ""
            strength = value if fact in CATEGORIES else 2 * abs(value - 0.5)
            behind = known.sum(), patients
            rows.append((fact, target, measure, value, strength, *behind, note))
    names = ["fact", "target", "measure", "value", "strength", "n", "patients", "note"]
    table = pd.DataFrame(rows, columns=names)
    return table.sort_values("strength", ascending=False, kind="stable", ignore_index=True)


def problems(radiographs):
    """Lists everything that is wrong with a cohort, or with a folder, at once.

    Missing and unreadable files, files listed twice, unknown labels, images that are too small or
    of one grey, and pictures that occur twice, with the same label or with another.

    Args:
        radiographs: A cohort, or what `cohort.listed` returns; with or without its facts.

    Returns:
        DataFrame: file, problem, mend. Empty where nothing is wrong.
    """
    table = radiographs if "error" in radiographs else facts(radiographs)
    labels = [fault[:3] for fault in own.faults(table)]
    found = [*labels, *_file_problems(table), *_duplicates(table)]
    return pd.DataFrame(found, columns=["file", "problem", "mend"])


def wanting(radiographs):
    """Lists what a cohort as a whole lacks for a study: a second group, a split.

    Args:
        radiographs: As `problems` takes them.

    Returns:
        DataFrame as `problems` returns it, of no file in particular.
    """
    found = []
    answers = [name for name in TARGETS if name in radiographs] or ["group"]
    if set(answers) <= set(radiographs) and len(radiographs[answers].drop_duplicates()) == 1:
        alike = radiographs["group"].iloc[0] if "group" in radiographs else "of the same targets"
        found.append(("", f"all radiographs are {alike}", "add a second group"))
    there = set(radiographs.get("split", cohort.SPLITS))
    for name in [name for name in cohort.SPLITS if name not in there]:
        mend = "give it to some patients, or leave the column split out"
        taken = "none needed: a study takes it from training patients"
        found.append(("", f"no split {name}", taken if name == "validation" else mend))
    return pd.DataFrame(found, columns=["file", "problem", "mend"])


def counts(radiographs):
    """Counts radiographs by group and split, as far as they are labelled.

    Args:
        radiographs: As `problems` takes them.

    Returns:
        DataFrame: group and split, where there are such columns, and radiographs.
    """
    parts = [name for name in ("group", "split") if name in radiographs]
    if not parts:
        return pd.DataFrame({"radiographs": [len(radiographs)]})
    return radiographs.groupby(parts, sort=False).size().rename("radiographs").reset_index()


def check(place):
    """Audits a dataset as it lies there, part by part, as far as it can be read.

    Args:
        place: As `cohort.listed` takes it.

    Yields:
        Title and DataFrame: first what is wrong with it, then what `report` finds.

    Raises:
        InputError: There is no dataset, or something must be mended before more can be said.
    """
    yield "Changed on reading, or left out", cohort.changes(place)
    found = cohort.listed(place)
    yield "Radiographs", counts(found)
    yield _FILES, problems(found)
    lacking = wanting(found)
    if len(lacking):
        yield "A study needs more", lacking
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InputWarning)  # it is in the first table
            radiographs = cohort.read(place)
    except InputError as error:
        raise InputError(f"{error}; the audit needs this mended") from error
    yield from ((title, frame) for title, frame in report(radiographs).items() if title != _FILES)


def report(radiographs, pixels=None, progress=iter):
    """Runs the whole audit of a cohort.

    Args:
        radiographs: A cohort; where it has a column split, the split is audited too.
        pixels: As `facts` takes them.
        progress: As `facts` takes it.

    Returns:
        Dict of title -> DataFrame. What cannot be read is among the problems and nowhere else;
        where nothing can be read there is nothing else.
    """
    table, thumbs = facts_and_thumbnails(radiographs, pixels, progress)
    found = {_FILES: problems(table)}
    seen = (table["picture"] != "").to_numpy()
    if not seen.any():
        return found
    table, thumbs = table[seen].reset_index(drop=True), thumbs[seen]
    inputs = baselines.features(thumbs, table)
    ways = {"by patient": baselines.by_patient(table)}
    if "split" in table:
        ways["given split"] = baselines.given(table)
        found["Patients in training and test"] = cohort.leakage(table)
    for title, measure in (("Baselines", baselines.measure), ("Origin", baselines.origin)):
        found[title] = pd.concat(
            [measure(inputs, table, folds).assign(tested=way) for way, folds in ways.items()],
            ignore_index=True,
        )
    return found | {
        "Confounders": confounders(table),
        "Near-duplicates": duplicates.near_duplicates(table, thumbs),
    }


def _seen(path, image):
    """Returns the facts and the thumbnail of one radiograph."""
    row, small = {}, np.zeros((baselines.EDGE, baselines.EDGE), np.uint8)
    try:
        if image is None and path:
            image = decode.read(path)
        if path:
            row = _file_facts(path)
    except InputError as error:
        return {"error": str(error).removeprefix(f"{path} ")}, small
    except OSError as error:
        return {"error": error.strerror or "cannot be opened"}, small
    if image is not None:
        image = np.ascontiguousarray(image)
        colour = image.ndim == 3 and bool((image != image[..., :1]).any())
        plain = image if colour or image.ndim == 2 else np.ascontiguousarray(image[..., 0])
        grey = _grey(plain)
        row |= {
            "error": decode.faint(plain),
            "picture": hashlib.sha256(repr(plain.shape).encode() + plain.tobytes()).hexdigest(),
            "mode": "colour" if colour else "grey",
            "mean": grey.mean(),
            "deviation": grey.std(),
            "sharpness": cv2.Laplacian(grey, cv2.CV_64F).var(),
        }
        small = images.resize(grey, baselines.EDGE)
    return row, small


def _file_facts(path):
    """Returns what an image file tells without being decoded."""
    found, content = decode.header(path), Path(path).read_bytes()
    return found | {
        "content": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
        "bytes_per_pixel": len(content) / (found["width"] * found["height"]),
    }


def _grey(image):
    """Returns an image (h, w) or (h, w, 3) in grey at the size at which all are compared."""
    image = images.resize(np.ascontiguousarray(image), SIZE)
    return image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)


def _in_threads(function, items):
    """Maps in threads, in order; what the function returns should be small, it may queue up."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(function, items)


def _known(radiographs, fact):
    """Marks the radiographs of which a fact is known."""
    if fact not in radiographs:
        return np.zeros(len(radiographs), bool)
    return (radiographs[fact].notna() & (radiographs[fact] != "")).to_numpy()


def _cramers_v(positive, category):
    table = pd.crosstab(category, positive).to_numpy()
    n, (rows, columns) = table.sum(), table.shape
    squared = chi2_contingency(table, correction=False).statistic / n
    squared = max(0.0, squared - (rows - 1) * (columns - 1) / (n - 1))
    rows, columns = (k - (k - 1) ** 2 / (n - 1) for k in (rows, columns))
    widest = min(rows, columns) - 1
    return np.sqrt(squared / widest) if widest > 0 else np.nan


def _file_problems(table):
    """Yields what is wrong with single files."""
    for row in table[["file", "path", *FILE_FACTS, *({"also"} & set(table))]].itertuples():
        if getattr(row, "also", ""):
            mend = "leave the radiographs alone below the folder"
            yield row.file, f"{row.also} are different pictures", mend
        if row.path and not folders.is_there(row.path):
            yield row.file, "missing", "add the file or drop the row"
        elif row.error:
            problem, _, mend = row.error.partition(": ")
            yield row.file, problem, mend or "replace the file or drop the row"
        elif min(row.width, row.height) < images.SMALLEST:
            size = f"{row.width:.0f} × {row.height:.0f} px"
            mend = f"find it with {images.SMALLEST} px or more a side"
            yield row.file, f"{size} is too small", mend


def _duplicates(table):
    """Yields files whose picture an earlier file has too: same bytes, or only same pixels."""
    labels = [name for name in ("group", *TARGETS) if name in table]
    table = table[table["picture"] != ""].drop_duplicates(["file", "path"])
    first = table.drop_duplicates("picture").set_index("picture")
    for _, row in table[table["picture"].duplicated()].iterrows():
        other = first.loc[row["picture"]]
        same = "bytes" if row["content"] and row["content"] == other["content"] else "pixels"
        problem, mend = f"same {same} as {other['file']}", "keep one of the two"
        differ = [name for name in labels if str(row[name]) != str(other[name])]
        if differ:
            name = differ[0]
            problem += f", but {name} {row[name]} against {other[name]}"
            mend = "find out which label is right"
        yield row["file"], problem, mend
