"""What is kept of runs and committed: their numbers and small networks, without any picture."""

import shutil
from pathlib import Path

import cv2
import numpy as np

from cxrlib.files import replacing
from cxrlib.study import elsewhere, runs
from cxrlib.targets import GROUPS

KEPT = ("run.json", "history.csv", "predictions.csv", "metrics.csv")
MEAN_HEATMAPS = "mean-heatmaps.npy"

RELEASED = 2_000_000
"""Bytes of a network that is kept with its numbers at most: Efficient's have one million."""


def keep(made, folder):
    """Copies what a run's numbers are, without pictures of anybody, to be committed.

    Of a run on real radiographs its mean heatmaps are kept too, and a small network, so that others
    can use it: making them again takes an hour, and the radiographs.

    Args:
        made: Finished or not-run `runs.Run`.
        folder: Where `EXPERIMENT/ARM/` folders with run.json, history.csv, predictions.csv and
            metrics.csv go, and where there are some external/, mean-heatmaps.npy and model.keras.

    Returns:
        Paths of the folders written.

    Raises:
        InputError: A run does not lie in the folder that its facts name: it would be kept in the
            place of another.
    """
    written = []
    for run in made:
        runs.refuse_moved(run)
    for run in made:
        target = Path(folder) / run.experiment / run.arm
        target.mkdir(parents=True, exist_ok=True)
        if not _is_copy(target, run):  # tests of another network say nothing of this one
            shutil.rmtree(target / "external", ignore_errors=True)
        is_real = run.finished and run.info["cohort"] != "phantom"
        network = run.folder / "model.keras"
        is_small = is_real and network.exists() and network.stat().st_size <= RELEASED
        for name in (*KEPT, "model.keras"):
            if (run.folder / name).exists() and (name in KEPT or is_small):
                with replacing(target / name) as temporary:
                    shutil.copyfile(run.folder / name, temporary)
            else:
                (target / name).unlink(missing_ok=True)  # of a run that was there before
        _keep_elsewhere(run, target)
        (target / MEAN_HEATMAPS).unlink(missing_ok=True)
        if is_real:
            with replacing(target / MEAN_HEATMAPS) as temporary:
                np.save(temporary, mean_heatmaps(run))
        written.append(target)
    return written


def _is_copy(folder, run):
    """Returns whether a folder holds a copy of a run."""
    facts = folder / "run.json"
    return facts.exists() and facts.read_bytes() == (run.folder / "run.json").read_bytes()


def _keep_elsewhere(run, target):
    """Copies what a run made of cohorts from elsewhere."""
    for name in run.external:
        for path in (run.folder / "external" / name).iterdir():
            if path.name in elsewhere.FILES:
                with replacing(target / "external" / name / path.name) as temporary:
                    shutil.copyfile(path, temporary)


def mean_heatmaps(run):
    """Averages a run's heatmaps over the test radiographs of each group.

    Args:
        run: A finished run.

    Returns:
        float16 array (4, 64, 64) in [0, 255], in the order of `GROUPS`; NaN for a group of fewer
        than a dozen radiographs, whose average might show one of them.
    """
    shape = (len(GROUPS), elsewhere.MEAN_EDGE, elsewhere.MEAN_EDGE)
    kept = run.folder / MEAN_HEATMAPS
    if kept.exists():
        return elsewhere.means(kept, shape)
    groups, maps = run.test_predictions["group"], run.heatmaps
    means = np.full(shape, np.nan, np.float16)
    for mean, group in zip(means, GROUPS):
        rows = np.flatnonzero(groups == group)
        if len(rows) >= elsewhere.DOZEN:
            whole = np.mean(maps[rows], axis=0, dtype=np.float32)
            mean[:] = cv2.resize(whole, shape[1:], interpolation=cv2.INTER_AREA)
    return means
