"""Runs: one trained arm and all it left behind, in one folder. Only its network needs Keras.

run.json          experiment, arm, state, profile, schedule, fingerprint, versions, seconds
history.csv       one row an epoch
predictions.csv   probabilities of the validation and test radiographs
metrics.csv       the measures on the test radiographs
model.keras       the network of the epoch with the lowest validation loss
heatmaps.npy      one heatmap a test radiograph
model-*.tflite    the released network once more, see `networks.lite`
external/         what it made of cohorts from elsewhere, see `elsewhere`
"""

import re
import reprlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cxrlib import columns, images
from cxrlib.columns import number, one_of, text, whole
from cxrlib.errors import InputError
from cxrlib.files import read_json, reading
from cxrlib.networks import ARCHITECTURES
from cxrlib.study import elsewhere, experiments
from cxrlib.targets import TARGETS

FACTS = ("experiment", "arm", "architecture", "weights", "state", "cohort", "split", "seed")
"""What run.json says of every run; it says more of one that was trained."""

TRAINED = (
    "image_size", "schedule", "epochs", "best_epoch", "images_per_epoch", "training_seconds",
    "precision", "python", "machine", "versions",
)  # fmt: skip
"""What it also says of a finished one."""

LEFT = ("history.csv", "predictions.csv", "metrics.csv", "model.keras", "heatmaps.npy")
"""Files that a finished run has left; one that was damaged and deleted is made anew."""

FINISHED, NOT_RUN, RUNNING = "finished", "not run", "running"
NONE = "none of these runs is finished"

PREDICTIONS = {**elsewhere.PREDICTIONS, "copy": whole(), "split": one_of("validation", "test")}
METRICS = {
    "target": one_of("all", *TARGETS), "metric": text, "value": number(0, 1, missing=True),
    "low": number(0, 1, missing=True), "high": number(0, 1, missing=True), "n": number(0),
}  # fmt: skip
"""What each table of a run must hold: column -> its check (see `columns`)."""

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
"""Names of experiments and arms: no path can be made of them."""


def _word(value):
    return isinstance(value, str)


def _count(value):
    return type(value) is int and 0 <= value < 2**63


def _seconds(value):
    return type(value) in (int, float) and 0 <= value < 1e12  # NaN is neither


def _among(names):
    return lambda value: isinstance(value, str) and value in names


def _plain(value):
    return isinstance(value, str) and _PLAIN.fullmatch(value) is not None


_TYPES = {
    "experiment": _plain, "arm": _plain, "architecture": _among(ARCHITECTURES),
    "weights": _among(("none", "imagenet", "best")), "state": _among((FINISHED, NOT_RUN, RUNNING)),
    **dict.fromkeys(("answers", "epochs", "best_epoch", "images_per_epoch", "image_size"), _count),
    **dict.fromkeys(("training_seconds", "last_session_seconds"), _seconds),
    **dict.fromkeys(("cohort", "split", "precision", "python", "machine", "reason"), _word),
    "seed": _count, "treatment": _among(images.TREATMENTS), "cover": _among(images.COVERS),
    "schedule": lambda value: isinstance(value, dict) and _count(value.get("epochs")),
    "versions": lambda value: isinstance(value, dict) and all(map(_word, value.values())),
    "profile": lambda value: isinstance(value, dict),
}  # fmt: skip
"""What a fact of run.json must be, where it is told."""


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
        """Name of the experiment."""
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
    def learnt(self):
        """Whether it says more than one answer given to every radiograph would.

        The 95 % interval of its harsh accuracy lies above the share of the commonest answer among
        the test radiographs. A network that has not learnt is left out of claims about heatmaps.
        """
        if not self.finished:
            return False
        truth = self.test_predictions[[f"y_{target}" for target in TARGETS]]
        return bool(self.measure("accuracy")[1] > truth.value_counts(normalize=True).max())

    @property
    def history(self):
        """DataFrame with one row an epoch: loss, accuracy, harsh_accuracy, val_*, learning_rate."""
        path = self.folder / "history.csv"
        history = columns.read_history(path)
        with reading(path):
            if self.finished and history["val_loss"].isna().all():
                raise ValueError("no validation loss")
            self._refuse_cut(history, "epochs")
        return history

    @property
    def predictions(self):
        """DataFrame: file, group, patient, copy, split, y_*, p_*; validation and test."""
        path = self.folder / "predictions.csv"
        predictions = columns.read(path, PREDICTIONS)
        with reading(path):
            self._refuse_cut(predictions, "answers")
            columns.refuse_twice(predictions, ["split", "file", "copy"])
        return predictions

    def _refuse_cut(self, table, fact):
        """Raises ValueError where a table has fewer rows, or more, than the run.json counts."""
        if self.finished and len(table) != self.info.get(fact, len(table)):
            raise ValueError(f"{len(table)} rows for {self.info[fact]} {fact} of run.json")

    @property
    def test_predictions(self):
        """The test rows of `predictions`, numbered from 0."""
        return self._of_split("test")

    @property
    def validation_predictions(self):
        """The validation rows of `predictions`, numbered from 0."""
        return self._of_split("validation")

    def _of_split(self, split):
        predictions = self.predictions
        found = predictions[predictions["split"] == split].reset_index(drop=True)
        with reading(self.folder / "predictions.csv"):
            if found.empty:
                raise ValueError(f"no {split} rows")
        return found

    @property
    def metrics(self):
        """DataFrame as `metrics.evaluate` returns, of the test radiographs."""
        from cxrlib import metrics  # half a second: SciPy comes with it

        path = self.folder / "metrics.csv"
        table = columns.read(path, METRICS)
        with reading(path):
            rows = list(zip(table["target"], table["metric"]))
            lost = [name for name in metrics.NAMES if rows.count(name) != 1]
            if lost:
                raise ValueError(f"{' '.join(lost[0])} is not in it once")
        return table

    def measure(self, metric, target="all"):
        """Returns a measure of the test radiographs: value, lower and upper end."""
        rows = self.metrics.set_index(["target", "metric"])
        return tuple(rows.loc[(target, metric), ["value", "low", "high"]])

    @property
    def treatment(self):
        """What was done to its radiographs, one of `images.TREATMENTS`."""
        # Older runs name their experiment alone.
        return self.info.get("treatment") or experiments.find(self.experiment).treatment

    @property
    def external(self):
        """Dict: cohort from elsewhere, sorted -> DataFrame as `predictions`, of its radiographs."""
        return elsewhere.read_all(self.folder, "predictions.csv", elsewhere.PREDICTIONS)

    @property
    def attention_elsewhere(self):
        """Dict as `external` -> DataFrame as `external.lung_attention` returns it."""
        return elsewhere.read_all(self.folder, "attention.csv", elsewhere.ATTENTION)

    def left_out(self, name):
        """As `elsewhere.left_out` of a cohort."""
        return elsewhere.left_out(self.folder, name)

    def findings(self, name):
        """As `elsewhere.findings` of a cohort."""
        return elsewhere.findings(self.folder, name)

    def mean_lungs(self, name):
        """As `elsewhere.mean_lungs` of a cohort."""
        return elsewhere.mean_lungs(self.folder, name)

    @property
    def network(self):
        """The network of the epoch with the lowest validation loss.

        Raises:
            InputError: The run is not finished, or its network cannot be read; the message says how
                to train it.
        """
        again = f"`cxr train {self.experiment} {self.folder.name}` trains it"
        if not self.finished:
            raise InputError(f"the run in {self.folder} is {self.info['state']}: {again}")
        path = self.folder / "model.keras"
        if not path.exists():
            raise InputError(f"{path} is not there: {again}")
        from cxrlib.networks import models  # seconds: Keras comes with it

        return models.load(path, self.architecture, self.info.get("image_size"))

    @property
    def heatmaps(self):
        """uint8 memory map (n test radiographs, edge, edge), row by row `test_predictions`."""
        path = self.folder / "heatmaps.npy"
        rows = len(self.test_predictions)
        with reading(path):
            maps = np.load(path, mmap_mode="r")
            if maps.dtype != np.uint8 or maps.ndim != 3 or maps.shape[1] != maps.shape[2]:
                raise ValueError(f"{maps.dtype} of shape {maps.shape}: no square pictures of bytes")
            if len(maps) != rows or not maps.shape[1]:
                raise ValueError(f"{len(maps)} pictures for {rows} test radiographs")
        return maps


def load(folder):
    """Reads a run folder.

    Raises:
        InputError: It is not one; the message says how to make it.
    """
    folder = Path(folder)
    if not (folder / "run.json").is_file():
        raise InputError(f"no run in {folder}: `cxr train EXPERIMENT ARM` makes one")
    info = read_json(folder / "run.json")
    check_facts(info, folder / "run.json")
    return Run(folder, info)


def check_facts(info, path):
    """Refuses a run.json that lacks a fact, or in which one is not what it must be."""
    if not isinstance(info, dict):
        raise InputError(f"{path} is damaged (no facts): delete the folder and run again")
    needed = (*FACTS, *TRAINED) if info.get("state") == FINISHED else FACTS
    missing = [fact for fact in needed if fact not in info]
    if missing:
        raise InputError(
            f"{path} lacks {', '.join(missing)}: made by another version?"
            " delete the folder and run again"
        )
    for fact, right in _TYPES.items():
        if fact in info and not right(info[fact]):
            what = "is no name" if right is _plain else "is none that can be"
            raise InputError(
                f"{path}: {fact} {reprlib.repr(info[fact])} {what}: delete the folder and run again"
            )


def load_all(folder):
    """Reads every run below a folder, sorted by the path of its own folder.

    Raises:
        InputError: There is none.
    """
    told = sorted(path for path in Path(folder).rglob("run.json") if path.is_file())
    # What a killed unpacking left lies in a hidden folder.
    found = [load(path.parent) for path in told if "/." not in f"/{path.relative_to(folder)}"]
    if not found:
        raise InputError(f"no runs below {folder}")
    return found


def chosen(runs):
    """Returns the run that speaks for an experiment: the lowest *validation* loss.

    Args:
        runs: Runs of one experiment.

    Raises:
        InputError: None is finished.
    """
    finished = [run for run in runs if run.finished]
    if not finished:
        raise InputError(NONE)
    return min(finished, key=lambda run: run.history["val_loss"].min())


def speakers(by_experiment):
    """Returns the run that speaks for each experiment; one of which no arm finished has none.

    Args:
        by_experiment: Experiment name -> its runs.

    Returns:
        List of what `chosen` returns, in the same order, perhaps empty.
    """
    return [chosen(runs) for runs in by_experiment.values() if any(run.finished for run in runs)]


def refuse_moved(run):
    """Refuses a run in a folder of another name; "best" in a name is resolved in the facts."""
    best = re.sub(r"-(none|imagenet)$", "-best", run.arm)
    if run.folder.parent.name != run.experiment or run.folder.name not in (run.arm, best):
        raise InputError(
            f"{run.folder} holds {run.experiment} {run.arm} by its run.json: put it back where it"
            " was made, or delete it"
        )


def check(run):
    """Reads all that a run has left but its network.

    Raises:
        InputError: One of its files is damaged; the message names it.
    """
    for name in ("history", "predictions", "metrics", "heatmaps"):
        if next(run.folder.glob(f"{name}.*"), None) is not None:
            getattr(run, name)
    for name in (*run.external, *run.attention_elsewhere):
        run.left_out(name)
        run.findings(name)


def join_metrics(runs):
    """Joins the metrics of finished runs.

    Returns:
        DataFrame: experiment, arm, architecture, weights, and the columns of `Run.metrics`.
    """
    return _joined(runs, "metrics")


def join_histories(runs):
    """Joins the histories of finished runs, as `join_metrics` does."""
    return _joined(runs, "history")


def join_attention(runs, name):
    """Joins where finished runs looked in a cohort from elsewhere, as `join_metrics` does.

    Args:
        runs: Runs; those that were not measured there are passed over.
        name: Of the cohort.

    Returns:
        DataFrame: experiment, arm, architecture, weights, the columns of
        `Run.attention_elsewhere`, and seed.
    """
    parts = [
        _with_names(run, run.attention_elsewhere[name]).assign(seed=run.info["seed"])
        for run in runs
        if run.finished and name in run.attention_elsewhere
    ]
    return only_finished(parts)


def _joined(runs, what):
    return only_finished([_with_names(run, getattr(run, what)) for run in runs if run.finished])


def _with_names(run, table):
    """Returns a table of a run with the run's names before its columns."""
    keys = ("experiment", "arm", "architecture", "weights")
    names = pd.DataFrame({key: run.info[key] for key in keys}, table.index)
    return names.join(table.drop(columns=list(keys), errors="ignore"))


def only_finished(parts):
    """Joins the frames of finished runs.

    Raises:
        InputError: There is none.
    """
    if not parts:
        raise InputError(NONE)
    return pd.concat(parts, ignore_index=True)
