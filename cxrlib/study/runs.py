"""Runs: one trained arm and all it left behind, in one folder. Reading them needs no Keras.

run.json          experiment, arm, state, profile, schedule, fingerprint, versions, seconds
history.csv       one row an epoch
predictions.csv   probabilities of the validation and test radiographs
metrics.csv       the measures on the test radiographs
external.csv      probabilities of radiographs from elsewhere, where the run was tested on some
findings.csv      what became of each finding there
attention.csv     how much of its heatmap lies in the lungs of each radiograph there
model.keras       the network of the epoch with the lowest validation loss
heatmaps.npy      one heatmap a test radiograph
"""

import json
import re
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cxrlib.errors import InputError
from cxrlib.files import locked, read_json, reading, replacing, root

KEPT = (
    "run.json", "history.csv", "predictions.csv", "metrics.csv", "external.csv", "findings.csv",
    "attention.csv",
)  # fmt: skip
FACTS = ("experiment", "arm", "architecture", "weights", "state")
"""What run.json says of every run; it says more of one that was trained."""

LEFT = ("history.csv", "predictions.csv", "metrics.csv", "model.keras", "heatmaps.npy")
"""Files that a finished run has left; one that was damaged and deleted is made anew."""

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
"""Names of experiments and arms: no path can be made of them."""

FINISHED, NOT_RUN, RUNNING = "finished", "not run", "running"


@dataclass(frozen=True)
class Run:
    """A run folder, read when asked.

    Attributes:
        folder: The run folder.
        info: What run.json holds.
    """

    folder: Path
    info: dict

    @property
    def experiment(self):
        """Name of the experiment: A, B or C."""
        return self.info["experiment"]

    @property
    def arm(self):
        """Name of the arm as it ran: densenet121-none, say, where B asked for the best one."""
        return self.info["arm"]

    @property
    def architecture(self):
        """Name of the network."""
        return self.info["architecture"]

    @property
    def weights(self):
        """Name of the initial weights."""
        return self.info["weights"]

    @property
    def key(self):
        """What tells it from the other runs of a trial: experiment, architecture, weights."""
        return self.experiment, self.architecture, self.weights

    @property
    def finished(self):
        """Whether it was trained to its end."""
        return self.info["state"] == FINISHED

    @property
    def history(self):
        """DataFrame with one row an epoch: loss, accuracy, harsh_accuracy, val_*, learning_rate."""
        return _table(self.folder / "history.csv")

    @property
    def predictions(self):
        """DataFrame: file, group, patient, copy, split, y_*, p_*; validation and test."""
        return _table(self.folder / "predictions.csv")

    @property
    def test_predictions(self):
        """The test rows of `predictions`, numbered from 0."""
        predictions = self.predictions
        return predictions[predictions["split"] == "test"].reset_index(drop=True)

    @property
    def validation_predictions(self):
        """The validation rows of `predictions`, numbered from 0."""
        predictions = self.predictions
        return predictions[predictions["split"] == "validation"].reset_index(drop=True)

    @property
    def metrics(self):
        """DataFrame as `metrics.evaluate` returns, of the test radiographs."""
        return _table(self.folder / "metrics.csv")

    def measure(self, metric, target="all"):
        """Returns a measure of the test radiographs: value, lower and upper end."""
        rows = self.metrics.set_index(["target", "metric"])
        return tuple(rows.loc[(target, metric), ["value", "low", "high"]])

    @property
    def external(self):
        """DataFrame as `predictions`, of radiographs from elsewhere; None if not tested there."""
        path = self.folder / "external.csv"
        return _table(path) if path.exists() else None

    @property
    def attention(self):
        """DataFrame as `external.look` returns it; None if nobody looked."""
        path = self.folder / "attention.csv"
        return _table(path) if path.exists() else None

    @property
    def heatmaps(self):
        """uint8 memory map (n test radiographs, edge, edge), row by row `test_predictions`."""
        path = self.folder / "heatmaps.npy"
        with reading(path):
            return np.load(path, mmap_mode="r")


def load(folder):
    """Reads a run folder.

    Raises:
        InputError: It is not one; the message says how to make it.
    """
    folder = Path(folder)
    if not (folder / "run.json").is_file():
        raise InputError(f"no run in {folder}: `cxr train EXPERIMENT ARM` makes one")
    info = read_json(folder / "run.json")
    missing = [fact for fact in FACTS if fact not in info]
    if missing:
        raise InputError(
            f"{folder / 'run.json'} lacks {', '.join(missing)}: made by another version?"
            " delete the folder and run again"
        )
    for fact in ("experiment", "arm"):  # folders are named after them
        if not _PLAIN.fullmatch(str(info[fact])):
            raise InputError(
                f"{folder / 'run.json'}: {fact} {info[fact]!r} is no name: delete the folder"
                " and run again"
            )
    return Run(folder, info)


def load_all(folder):
    """Reads every run below a folder, in the order of experiments and arms.

    Raises:
        InputError: There is none.
    """
    told = sorted(Path(folder).rglob("run.json"))
    # What a killed unpacking left lies in a hidden folder.
    found = [load(path.parent) for path in told if "/." not in f"/{path.relative_to(folder)}"]
    if not found:
        raise InputError(f"no runs below {folder}")
    return found


def chosen(runs):
    """Returns the run that speaks for an experiment: the lowest *validation* loss.

    Args:
        runs: Runs of one experiment; at least one finished.
    """
    return min((run for run in runs if run.finished), key=lambda run: run.history["val_loss"].min())


def keep(runs, folder):
    """Copies what a run's numbers are, without its network and pictures, to be committed.

    Args:
        runs: Finished or not-run runs.
        folder: Where `EXPERIMENT/ARM/` folders with run.json, history.csv, predictions.csv and
            metrics.csv go, and where there are some external.csv, findings.csv and
            attention.csv.

    Returns:
        Paths of the folders written.
    """
    written = []
    for run in runs:
        target = Path(folder) / run.experiment / run.arm
        target.mkdir(parents=True, exist_ok=True)
        for name in KEPT:
            if (run.folder / name).exists():
                with replacing(target / name) as temporary:
                    shutil.copyfile(run.folder / name, temporary)
            else:
                (target / name).unlink(missing_ok=True)  # of a run that was there before
        written.append(target)
    return written


def pack(folder, path):
    """Writes a run folder as one zip file, to be carried to another machine.

    Args:
        folder: The run folder, somewhere in the study's.
        path: The file.

    Raises:
        InputError: There is no run in the folder, it is still being trained, or it lies elsewhere.
    """
    folder = Path(folder)
    if load(folder).info["state"] == RUNNING:
        raise InputError(f"the run in {folder} has not ended: `cxr train` goes on with it")
    place = folder.absolute()  # links stay: runs/ may lie on another disk
    if ".." in place.parts or not place.is_relative_to(root()):
        raise InputError(f"{folder} is not in {root()}: a run is packed where it was made")
    place = place.relative_to(root())
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as packed:
        for name in ("run.json", *LEFT):
            if (folder / name).exists():
                packed.write(folder / name, place / name)


def unpack(path):
    """Puts a packed run where it was in the study, unless the same run or a better one is there.

    One that is finished is never replaced by one that is not.

    Args:
        path: What `pack` wrote.

    Returns:
        The run folder.

    Raises:
        InputError: The file is damaged or not a packed run.
    """
    with reading(path), zipfile.ZipFile(path) as packed:
        told = next((name for name in packed.namelist() if _PLACE.fullmatch(name)), None)
        if told is None:
            raise ValueError("no run in it")
        folder = root() / Path(told).parent
        with locked(folder):
            if _wanted(folder / "run.json", packed.read(told)):
                unpacked = folder.with_name(f".{folder.name}.unpacked")
                shutil.rmtree(unpacked, ignore_errors=True)  # of an unpacking that was killed
                packed.extractall(unpacked)
                shutil.rmtree(folder, ignore_errors=True)
                (unpacked / Path(told).parent).rename(folder)
                shutil.rmtree(unpacked)
    return folder


_PLACE = re.compile(r"runs/[^/.][^/]*/[^/.][^/]*/[^/.][^/]*/run\.json")
"""Where a run lies in a study, and its packed run.json too: runs/STUDY/EXPERIMENT/ARM/run.json."""


def _wanted(here, packed):
    """Returns whether a packed run.json should take the place of the one that is here, if any."""
    if not here.exists():
        return True
    if here.read_bytes() == packed:
        return False
    return read_json(here).get("state") != FINISHED or json.loads(packed)["state"] == FINISHED


def join_metrics(runs):
    """Joins the metrics of finished runs.

    Returns:
        DataFrame: experiment, arm, architecture, weights, and the columns of `Run.metrics`.
    """
    return _joined(runs, "metrics")


def join_histories(runs):
    """Joins the histories of finished runs, as `join_metrics` does."""
    return _joined(runs, "history")


def join_attention(runs):
    """Joins what finished runs looked at in radiographs from elsewhere, as `join_metrics` does."""
    return _joined(runs, "attention")


def _table(path):
    with reading(path):
        return pd.read_csv(path)


def _joined(runs, what):
    keys = ("experiment", "arm", "architecture", "weights")
    parts = [
        getattr(run, what).assign(**{key: run.info[key] for key in keys})
        for run in runs
        if run.finished
    ]
    joined = only_finished(parts)
    return joined[[*keys, *joined.columns.drop(list(keys))]]


def only_finished(parts):
    """Joins the frames of finished runs.

    Raises:
        InputError: There is none.
    """
    if not parts:
        raise InputError("none of these runs is finished")
    return pd.concat(parts, ignore_index=True)
