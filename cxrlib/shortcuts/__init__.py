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
from cxrlib.shortcuts.covers import occlusion, origin  # noqa: F401
from cxrlib.shortcuts.films import marks_changed, marks_scored
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


def kept_in(profile):
    """Returns where the measured shortcuts of a study are kept."""
    return files.root() / "results" / profile.name / "shortcuts"


def measured(profile):
    """Reads what `measure` found in a study: dict of `SHEETS` that there are -> DataFrame."""
    paths = {sheet: kept_in(profile) / f"{sheet}.csv" for sheet in SHEETS}
    return {sheet: _read(path) for sheet, path in paths.items() if path.exists()}


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
    """
    simulated, frames = profile.cohort == "phantom", {}

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
