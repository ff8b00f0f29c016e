"""Runs: one trained arm and all it left behind, in one folder. Only its network needs Keras.

run.json          experiment, arm, state, profile, schedule, fingerprint, versions, seconds
history.csv       one row an epoch
predictions.csv   probabilities of the validation and test radiographs
metrics.csv       the measures on the test radiographs
model.keras       the network of the epoch with the lowest validation loss
heatmaps.npy      one heatmap a test radiograph
model-*.tflite    the released network once more, see `networks.lite`

and, for each cohort from elsewhere that the run was tested on, a folder external/NAME:

counts.json       how many rows each of its tables has; written last
predictions.csv   probabilities of its radiographs
left-out.csv      how many of its radiographs were not tested, and why
findings.csv      what became of each finding, of Cohen et al.'s collection
attention.csv     how much of a heatmap lies in the lungs, where they are outlined
"""

import re
import reprlib
import shutil
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from cxrlib import columns, images
from cxrlib.columns import anything, number, one_of, text, whole
from cxrlib.errors import InputError, printable
from cxrlib.files import (
    read_json,
    reading,
    replacing,
    write_csv,
    write_json,
)
from cxrlib.networks import ARCHITECTURES
from cxrlib.study import experiments
from cxrlib.targets import GROUPS, TARGETS

KEPT = ("run.json", "history.csv", "predictions.csv", "metrics.csv")
MEAN_HEATMAPS, MEAN_LUNGS = "mean-heatmaps.npy", "mean-lungs.npy"
COUNTS = "counts.json"
ELSEWHERE = (
    COUNTS, "predictions.csv", "left-out.csv", "findings.csv", "attention.csv", MEAN_LUNGS,
)  # fmt: skip
"""Files that are kept of a run, and of each cohort from elsewhere that it was tested on."""

FACTS = ("experiment", "arm", "architecture", "weights", "state", "cohort", "split", "seed")
"""What run.json says of every run; it says more of one that was trained."""

TRAINED = (
    "image_size", "schedule", "epochs", "best_epoch", "images_per_epoch", "training_seconds",
    "precision", "python", "machine", "versions",
)  # fmt: skip
"""What it also says of a finished one."""

RELEASED = 2_000_000
"""Bytes of a network that is kept with its numbers at most: Efficient's have one million."""

MEAN_EDGE, DOZEN = 64, 12
"""Of mean heatmaps: their edge in pixels, and the fewest radiographs that are averaged."""

LEFT = ("history.csv", "predictions.csv", "metrics.csv", "model.keras", "heatmaps.npy")
"""Files that a finished run has left; one that was damaged and deleted is made anew."""

FINISHED, NOT_RUN, RUNNING = "finished", "not run", "running"
NONE = "none of these runs is finished"

_SCORES = {f"y_{target}": whole(0, 1) for target in TARGETS}
_SCORES |= {f"p_{target}": number(0, 1) for target in TARGETS}
_PLACED = {"file": text, "group": text, "patient": text}
EXTERNAL = {**_PLACED, **_SCORES}
PREDICTIONS = {**EXTERNAL, "copy": whole(), "split": one_of("validation", "test")}
METRICS = {
    "target": one_of("all", *TARGETS), "metric": text, "value": number(0, 1, missing=True),
    "low": number(0, 1, missing=True), "high": number(0, 1, missing=True), "n": number(0),
}  # fmt: skip
ATTENTION = {
    **_PLACED, "target": one_of(*TARGETS), "region": text, "energy": number(0, 1, missing=True),
    "pointing": number(0, 1, missing=True), "area": number(0, 1), "gaussian": number(0, 1),
}  # fmt: skip
FINDINGS = {"finding": text, "group": anything, "reason": anything, "radiographs": whole()}
LEFT_OUT = {"reason": text, "finding": anything, "group": anything, "radiographs": whole(1)}
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
            _refuse_twice(predictions, ["split", "file", "copy"])
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
        return self._elsewhere("predictions.csv", EXTERNAL)

    @property
    def attention_elsewhere(self):
        """Dict as `external` -> DataFrame as `external.lung_attention` returns it."""
        return self._elsewhere("attention.csv", ATTENTION)

    def mean_lungs(self, name):
        """float16 array (64, 64) as `external.mean_lungs` returns it; None if not outlined."""
        path = self._of_cohort(name) / MEAN_LUNGS
        return _read_means(path, (MEAN_EDGE, MEAN_EDGE)) if path.exists() else None

    def left_out(self, name):
        """DataFrame of a cohort from elsewhere: reason, finding, group, radiographs not tested."""
        return _counted(self._of_cohort(name) / "left-out.csv", LEFT_OUT, empty=True)

    def findings(self, name):
        """DataFrame as `cohort.count_findings` returns it; None of a cohort without findings."""
        return _counted(self._of_cohort(name) / "findings.csv", FINDINGS)

    def _elsewhere(self, table, checks):
        folders = [path.parent for path in (self.folder / "external").glob(f"[!.]*/{COUNTS}")]
        read = {folder.name: _counted(folder / table, checks) for folder in sorted(folders)}
        return {name: found for name, found in read.items() if found is not None}

    def _of_cohort(self, name):
        folder = self.folder / "external" / name
        if not (folder / COUNTS).exists():
            raise InputError(f"the run in {self.folder} was not tested on {name}: `cxr external`")
        return folder

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


def keep(runs, folder):
    """Copies what a run's numbers are, without pictures of anybody, to be committed.

    Of a run on real radiographs its mean heatmaps are kept too, and a small network, so that others
    can use it: making them again takes an hour, and the radiographs.

    Args:
        runs: Finished or not-run runs.
        folder: Where `EXPERIMENT/ARM/` folders with run.json, history.csv, predictions.csv and
            metrics.csv go, and where there are some external/, mean-heatmaps.npy and model.keras.

    Returns:
        Paths of the folders written.

    Raises:
        InputError: A run does not lie in the folder that its facts name: it would be kept in the
            place of another.
    """
    written = []
    for run in runs:
        refuse_moved(run)
    for run in runs:
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


def write_test(folder, tables, means=None):
    """Writes what a run made of a cohort from elsewhere, in the place of an older test of it.

    A test is there once its counts are: last written, first deleted of an older one.

    Args:
        folder: external/NAME in the run's folder.
        tables: Dictionary: predictions, left-out, and where they were made findings and attention,
            None otherwise -> DataFrame.
        means: The mean of the lungs, as `Run.mean_lungs` returns it.
    """
    for name in ELSEWHERE:
        (folder / name).unlink(missing_ok=True)
    if means is not None:
        with replacing(folder / MEAN_LUNGS) as temporary:
            np.save(temporary, means)
    there = {name: table for name, table in tables.items() if table is not None}
    for name, table in there.items():
        write_csv(table, folder / f"{name}.csv")
    write_json({name: len(table) for name, table in there.items()}, folder / COUNTS)


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
            _refuse_twice(table, ["file"])
    return table


def _refuse_twice(table, keys):
    """Raises ValueError where a radiograph is in a table twice."""
    twice = table.duplicated(keys)
    if twice.any():
        file = printable(str(table.loc[twice.idxmax(), "file"]))[:80]
        raise ValueError(f"{file} is in it twice")


def _keep_elsewhere(run, target):
    """Copies what a run made of cohorts from elsewhere."""
    for name in run.external:
        for path in (run.folder / "external" / name).iterdir():
            if path.name in ELSEWHERE:
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
    kept = run.folder / MEAN_HEATMAPS
    if kept.exists():
        return _read_means(kept, (len(GROUPS), MEAN_EDGE, MEAN_EDGE))
    groups, maps = run.test_predictions["group"], run.heatmaps
    means = np.full((len(GROUPS), MEAN_EDGE, MEAN_EDGE), np.nan, np.float16)
    for mean, group in zip(means, GROUPS):
        rows = np.flatnonzero(groups == group)
        if len(rows) >= DOZEN:
            whole = np.mean(maps[rows], axis=0, dtype=np.float32)
            mean[:] = cv2.resize(whole, (MEAN_EDGE, MEAN_EDGE), interpolation=cv2.INTER_AREA)
    return means


def _read_means(path, shape):
    with reading(path):
        means = np.load(path)
        if means.dtype != np.float16 or means.shape != shape:
            raise ValueError(f"{means.dtype} of shape {means.shape}: no means over radiographs")
        return means


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
