"""What a run made of cohorts from elsewhere: a folder external/NAME in the run's, for each.

counts.json       how many rows each of its tables has; written last
predictions.csv   probabilities of its radiographs
left-out.csv      how many of its radiographs were not tested, and why
findings.csv      what became of each finding, of Cohen et al.'s collection
attention.csv     how much of a heatmap lies in the lungs, where they are outlined
mean-lungs.npy    their average, as `means` reads it
"""

import numpy as np

from cxrlib import columns
from cxrlib.columns import anything, number, one_of, text, whole
from cxrlib.errors import InputError
from cxrlib.files import read_json, reading, replacing, write_csv, write_json
from cxrlib.targets import TARGETS

COUNTS, MEAN_LUNGS = "counts.json", "mean-lungs.npy"
FILES = (COUNTS, "predictions.csv", "left-out.csv", "findings.csv", "attention.csv", MEAN_LUNGS)

MEAN_EDGE, DOZEN = 64, 12
"""Of averages over radiographs: their edge in pixels, and the fewest that are averaged."""

_PLACED = {"file": text, "group": text, "patient": text}
_SCORES = {f"y_{target}": whole(0, 1) for target in TARGETS}
_SCORES |= {f"p_{target}": number(0, 1) for target in TARGETS}
PREDICTIONS = {**_PLACED, **_SCORES}
ATTENTION = {
    **_PLACED, "target": one_of(*TARGETS), "region": text, "energy": number(0, 1, missing=True),
    "pointing": number(0, 1, missing=True), "area": number(0, 1), "gaussian": number(0, 1),
}  # fmt: skip
FINDINGS = {"finding": text, "group": anything, "reason": anything, "radiographs": whole()}
LEFT_OUT = {"reason": text, "finding": anything, "group": anything, "radiographs": whole(1)}
"""What each of the tables must hold: column -> its check (see `columns`)."""


def write(folder, tables, means=None):
    """Writes what a run made of a cohort from elsewhere, in the place of an older test of it.

    A test is there once its counts are: last written, first deleted of an older one.

    Args:
        folder: external/NAME in the run's folder.
        tables: Dictionary: predictions, left-out, and where they were made findings and attention,
            None otherwise -> DataFrame.
        means: The mean of the lungs, as `mean_lungs` returns it.
    """
    for name in FILES:
        (folder / name).unlink(missing_ok=True)
    if means is not None:
        with replacing(folder / MEAN_LUNGS) as temporary:
            np.save(temporary, means)
    there = {name: table for name, table in tables.items() if table is not None}
    for name, table in there.items():
        write_csv(table, folder / f"{name}.csv")
    write_json({name: len(table) for name, table in there.items()}, folder / COUNTS)


def read_all(folder, table, checks):
    """Reads one table of all cohorts that a run was tested on.

    Args:
        folder: The run's folder.
        table: Its name, one of `FILES`.
        checks: What it must hold.

    Returns:
        Dict: name of the cohort, sorted -> DataFrame. A cohort of which it was not made is left
        out.
    """
    tested = [path.parent for path in (folder / "external").glob(f"[!.]*/{COUNTS}")]
    read = {place.name: _counted(place / table, checks) for place in sorted(tested)}
    return {name: found for name, found in read.items() if found is not None}


def left_out(folder, name):
    """Returns a DataFrame of a cohort: reason, finding, group, radiographs not tested."""
    return _counted(_tested(folder, name) / "left-out.csv", LEFT_OUT, empty=True)


def findings(folder, name):
    """Returns what `cohort.count_findings` does of a cohort; None of one without findings."""
    return _counted(_tested(folder, name) / "findings.csv", FINDINGS)


def mean_lungs(folder, name):
    """Returns the mean of a cohort's lungs, float16 (64, 64) in [0, 1]; None if not outlined."""
    path = _tested(folder, name) / MEAN_LUNGS
    return means(path, (MEAN_EDGE, MEAN_EDGE)) if path.exists() else None


def _tested(folder, name):
    place = folder / "external" / name
    if not (place / COUNTS).exists():
        raise InputError(f"the run in {folder} was not tested on {name}: `cxr external`")
    return place


def _counted(path, checks, empty=False):
    """Reads a table of a test elsewhere, None where it made none, and refuses it where it was cut.

    Raises:
        InputError: It is damaged, or has not the rows that the test counted; the message says how
            to make it again.
    """
    counts = read_json(path.with_name(COUNTS))
    with reading(path.with_name(COUNTS)):
        if not isinstance(counts, dict) or "predictions" not in counts:
            raise ValueError("predictions are not counted in it")
        if path.stem not in counts:
            return None
    table = columns.read(path, checks, empty=empty)
    with reading(path):
        if len(table) != counts[path.stem]:
            raise ValueError(f"{len(table)} rows for {counts[path.stem]!r} of {COUNTS}")
        if path.stem == "predictions":
            columns.refuse_twice(table, ["file"])
    return table


def means(path, shape):
    """Reads averages over radiographs, a float16 array of the shape."""
    with reading(path):
        found = np.load(path)
        if found.dtype != np.float16 or found.shape != shape:
            raise ValueError(f"{found.dtype} of shape {found.shape}: no means over radiographs")
        return found
