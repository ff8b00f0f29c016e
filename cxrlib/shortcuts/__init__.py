"""Shortcuts: how much of a score hangs on marks, measured where mark and lesion can be parted.

ties        networks are trained where marks are tied to groups, and tested where they are not
covers      networks are trained anew with the lungs covered, or all but the border
films       marks are pasted on real radiographs; those that they have are painted over and moved
external    networks are tested on radiographs from elsewhere
remedies    what is said to mend a shortcut is compared, on equal terms
learning    the ways to learn that remedies take
populations cohorts with a shortcut, and new patients without it
telling     kinds of heatmap are compared: which of them shows how much hangs on marks
retraining  networks are trained once more, on labels that mean nothing
"""

import itertools

import pandas as pd

from cxrlib import files, images
from cxrlib.shortcuts import growing
from cxrlib.shortcuts.covers import occlusion, origin  # noqa: F401
from cxrlib.shortcuts.films import marks_changed, marks_scored, widest  # noqa: F401
from cxrlib.shortcuts.ties import (  # noqa: F401
    TESTED,
    TIES,
    aucs,
    changes,
    gaps,
    honesty,
    over_seeds,
    sweep,
    versions,
)

SHEETS = ("auc", "change", "attention", "marks-changed", "marks-scored", "occlusion")
"""Tables that `measure` writes, those that a cohort allows."""

SETTINGS = "shortcuts.json"
"""Beside them, as `growing.keep_to` writes it: what their networks were trained with, and on."""


def kept_in(profile):
    """Returns where the measured shortcuts of a study are kept."""
    return files.root() / "results" / profile.name / "shortcuts"


def measured(profile):
    """Reads what `measure` found in a study: dict of `SHEETS` that there are -> DataFrame.

    Raises:
        InputError: A table is damaged, or another profile of the same name made them.
    """
    folder = kept_in(profile)
    begun, beside = _begun(folder), folder / SETTINGS
    if begun and beside.exists():  # older tables have none, and are taken as they are
        growing.refuse_others(beside, next(iter(begun.values())), profile)
    return {sheet: _read(path) for sheet, path in begun.items()}


def _begun(folder):
    """Returns the tables that there are: sheet -> path."""
    paths = {sheet: folder / f"{sheet}.csv" for sheet in SHEETS}
    return {sheet: path for sheet, path in paths.items() if path.exists()}


def _read(path):
    with files.reading(path):
        return pd.read_csv(path)


def measure(profile, folder, ties=TIES, n=TESTED):
    """Measures all shortcuts that a cohort allows, and writes what is known after every run.

    On phantoms the sweep and the occlusion; on real radiographs marks pasted, painted over and
    moved on the test radiographs, and the occlusion without lungs, which nobody knows there. What
    was trained before is not trained again.

    Args:
        profile: Any profile; all its seeds are measured.
        folder: Where the tables go, SHEET.csv each (see `SHEETS`).
        ties, n: As `sweep` takes them.

    Yields:
        A line that says which run was measured.

    Raises:
        InputError: There are tables of a profile with other settings, or of other radiographs, or
            they do not say of which.
    """
    simulated, frames = profile.cohort == "phantom", {}
    begun = next(iter(_begun(folder).values()), None)
    growing.keep_to(folder / SETTINGS, begun, profile, **growing.radiographs(profile))

    def keep(what, frame):
        frames.setdefault(what, []).append(frame)
        files.write_csv(pd.concat(frames[what], ignore_index=True), folder / f"{what}.csv")

    if simulated:
        for what, frame in sweep(profile, ties=ties, n=n):
            keep(what, frame)
            if what == "attention":
                yield "{experiment} tie {tie} seed {seed}".format(**frame.iloc[0])
    else:
        for name in ("A", "C"):
            keep("marks-changed", marks_changed(profile, name))
            yield f"{name} marks changed"
        for trial, name in itertools.product(profile.trials, ("A", "C")):
            keep("marks-scored", marks_scored(trial, name))
            yield f"{name} seed {trial.seed} scored with its marks changed"
    covers = [cover for cover in images.COVERS if simulated or "lungs" not in cover]
    for frame in occlusion(profile, covers):
        keep("occlusion", frame)
        yield "{experiment} cover {cover} seed {seed}".format(**frame.iloc[0])
