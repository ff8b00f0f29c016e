"""A study: a profile put to work. From a profile to cohorts, pixels and trained runs."""

import dataclasses
import functools
import hashlib
import inspect
import json
import multiprocessing
import os
import platform
import shutil
import time
from concurrent.futures import ProcessPoolExecutor
from importlib import metadata
from pathlib import Path

import numpy as np
from tqdm import tqdm

from cxrlib import cohort as cohorts
from cxrlib import files, images, phantom, targets
from cxrlib.errors import InputError
from cxrlib.heatmaps import attention
from cxrlib.images import augment, decode, depth, dicom, display, marks, pictures, streams
from cxrlib.study import experiments, profiles, runs

SOURCES = (
    "phantom/*", "cohort/__init__", "cohort/readers", "images/decode", "images/dicom",
    "images/display", "images/pictures", "images/streams", "images/depth", "images/__init__",
    "images/augment", "study/experiments", "networks/models",
)  # fmt: skip
"""Modules that a run is made from: it is made anew when they change."""

CODECS = (decode, dicom, display, pictures, streams, depth)
"""Modules that make pixels of files."""

DECODERS = ("opencv-python-headless", "pillow", "pydicom", "python-gdcm")
"""Packages that make pixels of files: another version may make others."""

VERSIONED = ("cxrlib", "tensorflow", "keras", "numpy", "opencv-python-headless", "scikit-learn")


def folder(profile):
    """Returns the folder of a study's runs."""
    return files.root() / "runs" / profile.folder_name


def run_folder(profile, experiment, arm):
    """Returns the folder of one run."""
    return folder(profile) / experiment.name / arm.name


@functools.cache
def cohort(profile):
    """Makes a profile's cohort: radiographs, targets and split.

    Returns:
        A cohort (see `cxrlib.cohort`) with the column `split`; phantoms also have what
        `phantom.table` says of them. A user's table that has a split keeps it, and every row.

    Raises:
        InputError: The data are missing or not what the profile says.
    """
    table = everything(profile)
    if "split" in table and not profile.folds:
        return table
    if profile.cohort != "phantom":
        table = cohorts.sample(table, profile.counts)
    if profile.folds:
        return cohorts.split_in_folds(table, profile.seed, profile.folds, profile.fold)
    if profile.split == profiles.BY_PATIENT:
        return cohorts.split_by_patient(table, profile.seed)
    return cohorts.split_by_image(table)


def split(profile):
    """Returns how a profile's cohort is split: "paper", "by-patient", "given", or "fold 2 of 5"."""
    if profile.folds:
        return f"fold {profile.fold} of {profile.folds}"
    return "given" if "split" in everything(profile) else profile.split


@functools.cache
def everything(profile):
    """Returns all radiographs that a profile may draw from."""
    if profile.cohort == "phantom":
        ties = {"mark_tie": profile.mark_tie, "source_tie": profile.source_tie}
        return phantom.table(profile.counts, **ties).assign(path="", publication="")
    if not profile.data:
        raise InputError("data is empty: name the dataset's folder, or the CSV file that lists it")
    read = {"coronahack": cohorts.read_coronahack, "folder": cohorts.read_folder}
    return read[profile.cohort](files.root() / profile.data)


def radiographs(profile, experiment):
    """Lists the images that an experiment trains and tests on (see `experiments.radiographs`)."""
    return experiments.radiographs(experiment, cohort(profile))


def image(profile, row):
    """Renders one radiograph as the cohort has it, without treatment or augmentation.

    Args:
        profile: The study's profile; its `cover` is painted over.
        row: A row of the cohort. On a real radiograph a `mark` is pasted, at a place drawn from its
            file name, or a `change` (one of `marks.CHANGES`) is made to the marks that it has.

    Returns:
        uint8 array (size, size, 3).

    Raises:
        InputError: As `images.load` and `images.cover`.
    """
    if row["path"]:
        loaded = images.load(row["path"], profile.image_size)
        if row.get("mark", "none") != "none":
            rng = experiments.copy_generator(row["file"], 0)
            loaded = phantom.paste(loaded, phantom.Mark(row["mark"]), rng)
        if row.get("change") in marks.CHANGES:
            loaded = marks.CHANGES[row["change"]](loaded, marks.find(loaded))
        return images.cover(loaded, profile.cover)
    known = _simulated(profile, row)
    return images.cover(known.image, profile.cover, known.lungs)


def truth(profile, row):
    """Returns what is known of a phantom for sure, and nothing for a real radiograph.

    Returns:
        Dict of "lungs", "lesions", "marks" and "devices" -> bool mask (size, size); empty if real.
    """
    if row["path"]:
        return {}
    known = _simulated(profile, row)
    return {name: getattr(known, name) for name in ("lungs", "lesions", "marks", "devices")}


def regions(profile, experiment, row):
    """Returns what `truth` knows, where an experiment's augmentation and treatment have put it.

    Args:
        profile: The study's profile.
        experiment: An `Experiment`.
        row: A row of its `radiographs`.

    Returns:
        As `truth`.
    """
    known = truth(profile, row)
    if row["copy"]:
        moved = _transform(experiment, row)._replace(brightness=1.0)
        for name, mask in known.items():
            grey = np.repeat(mask[..., None].astype(np.uint8) * 255, 3, axis=2)
            known[name] = augment.apply(grey, moved)[..., 0] > 127
    return {name: images.place(mask, experiment.treatment) for name, mask in known.items()}


def _transform(experiment, row):
    """Returns the transform that made an augmented copy."""
    ranges = experiment.copies.of(row["split"])[1]
    return augment.draw(ranges, experiments.copy_generator(row["file"], row["copy"]))


def _simulated(profile, row):
    asked = {"target": row["group"], "mark": row["mark"], "source": row["source"]}
    return phantom.simulate(int(row["index"]), profile.image_size, **asked)


def pixels(profile, experiment, table=None):
    """Returns radiographs as an experiment treats them, rendered once and kept on disk.

    Args:
        profile: The study's profile.
        experiment: An `Experiment`.
        table: The radiographs, with a column `copy`; the experiment's own (`radiographs`) if None.

    Returns:
        Read-only uint8 memory map (n, size, size, 3), row by row the radiographs.
    """
    table = radiographs(profile, experiment) if table is None else table
    keys = _pixel_keys(profile, experiment, table)
    name = f"{profile.cohort}-{profile.image_size}-{experiment.name}-{_digest(keys)[:8]}.npy"
    path = files.root() / "data" / "pixels" / name

    def render(i):
        row = table.iloc[i]
        pixels_of_row = image(profile, row)
        if row["copy"]:
            pixels_of_row = augment.apply(pixels_of_row, _transform(experiment, row))
        return images.treat(pixels_of_row, experiment.treatment)

    # A bar only for a person who waits: none in a log, none for what takes a moment.
    bar = functools.partial(tqdm, desc="pixels", unit="image", delay=2, disable=None)
    with files.locked(path):
        return images.cache(path, keys, profile.image_size, render, bar)


def _pixel_keys(profile, experiment, table):
    """Digests, for each radiograph, all that its pixels are made from."""
    shared = [
        profile.image_size, profile.cover, experiment.treatment, *map(_version, DECODERS),
        *map(inspect.getsource, (images, augment, *CODECS, marks)),
    ]  # fmt: skip
    shared, keys = _digest(shared), []
    pasting = phantom.digest()
    for content, row in zip(_contents(table), table.to_dict("records")):
        # The file's name draws where a mark is pasted.
        facts = [shared, content, row["file"], row.get("mark"), row.get("change")]
        if row.get("mark", "none") != "none":
            facts.append(pasting)
        if row["copy"]:
            facts += _transform(experiment, row)
        keys.append(_digest(facts)[:32])
    return keys


def _contents(table):
    """Returns what each radiograph comes from: a file's content, or the simulator and its facts."""
    if (table["path"] == "").all():
        simulator, facts = phantom.digest(), table[["index", "group", "source"]]
        return [f"{simulator} {index} {group} {source}" for index, group, source in facts.values]
    return files.digests(table["path"])


def train(profile, experiment, arm, *, weights=None, lines=False, retry=False):
    """Trains one arm, or continues it, or finds it finished.

    Args:
        profile: The study's profile.
        experiment: An `Experiment`, as `profile.experiment` returns it.
        arm: One of its arms.
        weights: A file of ImageNet weights, instead of downloading them.
        lines: Report progress in lines instead of a bar.
        retry: Ask again for ImageNet weights that could not be had before.

    Returns:
        The `runs.Run`. An arm whose ImageNet weights cannot be had, or whose loss is never a
        number, ends as "not run", with the reason.

    Raises:
        InputError: As `cohort`; B and C come before A; random weights from a file; or another
            profile of this name has trained here on other data, or this one on another backend.
    """
    where = run_folder(profile, experiment, arm)
    with files.locked(where):
        initial = _initial_weights(profile, experiment, arm)
        if weights is not None and initial == "none":
            raise InputError(f"{arm.name} starts from random weights: leave the weights file out")
        facts = {
            "experiment": experiment.name,
            "arm": arm._replace(weights=initial).name,
            "architecture": arm.architecture,
            "weights": initial,
            **inputs(profile, experiment, arm),
        }
        if weights is not None:
            facts["weights_file"] = files.digests([weights])[0]
        began = {}
        if not (where / "run.json").exists():
            shutil.rmtree(where, ignore_errors=True)  # a removal was cut short: of unknown inputs
        else:
            run = runs.load(where)
            unchanged = all(run.info.get(key) == value for key, value in facts.items())
            lost = [name for name in runs.LEFT if not (where / name).exists()]
            whole = run.finished and not lost
            settled = whole or (run.info["state"] == runs.NOT_RUN and not retry)
            if settled and unchanged:
                return run
            if not unchanged:
                _refuse_other_data(profile, run)
                shutil.rmtree(where)  # made from other inputs: nothing of it can be continued
            elif run.finished and set(lost) - {"heatmaps.npy"}:
                (where / "model.keras").unlink(missing_ok=True)  # it would end the training at once
            if (where / "history.csv").exists():
                began = run.info
        # What a cluster or another machine was sent is no longer what is here.
        where.with_name(f"{where.name}.zip").unlink(missing_ok=True)
        return _train(profile, experiment, where, facts, began, weights, lines)


def inputs(profile, experiment, arm):
    """Returns all that a run is made from, but for the weights that it starts from.

    Args:
        profile: The study's profile.
        experiment: An `Experiment`, as `profile.experiment` returns it.
        arm: One of its arms.

    Returns:
        Dict as run.json holds it. A run is trained anew when one of its values changes.

    Raises:
        InputError: As `cohort`.
    """
    facts = {
        "cohort": profile.cohort,
        "split": split(profile),
        "image_size": profile.image_size,
        "seed": profile.seed,
        "schedule": dataclasses.asdict(profile.schedule(experiment, arm.architecture)),
        "treatment": experiment.treatment,
        "online": experiment.online and experiment.online._asdict(),
        "fingerprint": fingerprint(profile, experiment),
        "sources": _sources(),
    }
    return json.loads(json.dumps(facts))  # as they come back from run.json


@functools.cache
def _sources():
    here = Path(__file__).parents[1]
    paths = [path for module in SOURCES for path in sorted(here.glob(f"{module}.py"))]
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()


def _refuse_other_data(profile, run):
    """Keeps a profile from deleting the runs of its namesake on another dataset."""
    data = run.info.get("profile", {}).get("data", profile.data)
    if data != profile.data:
        raise InputError(
            f"{run.folder} was made from data {data!r}, this profile's is {profile.data!r}:"
            " give it another name"
        )


def _explain(profile, experiment, where):
    from cxrlib import heatmaps
    from cxrlib.networks import models  # seconds: Keras comes with them

    model, cache = models.load(where / "model.keras"), pixels(profile, experiment)
    heatmaps.write(where / "heatmaps.npy", model, cache, radiographs(profile, experiment))


def _explain_apart(profile, experiment, where):
    """Explains in a process of its own on TensorFlow, the one backend of tf-keras-vis."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn, initializer=_take_tensorflow) as apart:
        apart.submit(_explain, profile, experiment, where).result()


def _take_tensorflow():
    os.environ["KERAS_BACKEND"] = "tensorflow"


def ensure(profile, name):
    """Returns the runs of an experiment, training those that are missing.

    Args:
        profile: The study's profile.
        name: A, B or C.

    Returns:
        List of `runs.Run` in the order of the arms.
    """
    experiment = profile.experiment(name)
    if not experiment.arms:
        raise InputError(f"no arm of experiment {name} is among `arms`: {', '.join(profile.arms)}")
    return [train(profile, experiment, arm) for arm in experiment.arms]


def every(profile, name):
    """Returns the runs of an experiment for all seeds and folds, training those that are missing.

    Args:
        profile: The study's profile.
        name: A, B or C.

    Returns:
        List of runs: what `ensure` returns for each of `Profile.trials`.
    """
    return [run for trial in profile.trials for run in ensure(trial, name)]


def lung_attention(profile, run):
    """Measures the heatmaps of a finished run against what is known of its test radiographs.

    Args:
        profile: The study's profile.
        run: One of its runs.

    Returns:
        DataFrame as `attention.measure` returns it, with experiment, arm, architecture, weights,
        file, group, patient, copy and target: that of the radiograph's group, for which the heatmap
        was made. Empty where nothing is known, as of real radiographs.
    """
    experiment = profile.experiment(run.experiment)
    table = radiographs(profile, experiment)
    test = table[table["split"] == "test"].reset_index(drop=True)
    edge = run.heatmaps.shape[1]
    known = (
        {
            name: images.shrink(mask, edge)
            for name, mask in regions(profile, experiment, row).items()
        }
        for _, row in test.iterrows()
    )
    measured = attention.measure(run.heatmaps, known)
    facts = test.loc[measured["row"], ["file", "group", "patient", "copy"]].reset_index(drop=True)
    for place, name in enumerate(("experiment", "arm", "architecture", "weights")):
        facts.insert(place, name, run.info[name])
    return facts.assign(target=facts["group"].map(targets.GROUP_TARGET)).join(measured)


def fingerprint(profile, experiment):
    """Digests what an experiment's pixels and targets are made from.

    For phantoms the simulator's own source counts as data; for files their names and content do.
    """
    return _fingerprint(profile, radiographs(profile, experiment), experiment)


def _fingerprint(profile, table, experiment):
    content = phantom.digest() if (table["path"] == "").all() else files.digests(table["path"])
    copies = experiment.copies and dataclasses.asdict(experiment.copies)
    facts = [table.drop(columns="path").to_csv(index=False), content, copies]
    return _digest(facts if profile.cover == "none" else [*facts, profile.cover])


def _initial_weights(profile, experiment, arm):
    """Resolves "best" by validation loss in Experiment A, whose arms are trained if missing."""
    if arm.weights != experiments.BEST:
        return arm.weights
    first = profile.experiment("A")
    rivals = [rival for rival in first.arms if rival.architecture == arm.architecture]
    ran = [train(profile, first, rival) for rival in rivals]
    losses = {run.weights: run.history["val_loss"].min() for run in ran if run.finished}
    return experiments.choose_weights(losses)


def _train(profile, experiment, where, facts, began, weights, lines):
    """Trains, or goes on with what run.json says began here, if anything did."""
    from cxrlib import heatmaps
    from cxrlib.networks import backend, models, training  # seconds: Keras comes with them

    schedule = profile.schedule(experiment, facts["architecture"])
    running = backend.keras.backend.backend()
    info = {
        **facts,
        "cover": profile.cover,
        "state": runs.RUNNING,
        "precision": backend.choose_precision(profile.precision),
        "backend": running,
        "profile": dataclasses.asdict(profile),
    }
    # What was trained so far was trained in this way, whatever this machine would choose.
    info |= {key: began[key] for key in ("precision", "backend", "weights_file") if key in began}
    if info["backend"] != running and not (where / "model.keras").exists():
        raise InputError(
            f"{where} was begun with KERAS_BACKEND={info['backend']}: set it to go on, or delete"
            " the folder"
        )
    where.mkdir(parents=True, exist_ok=True)
    files.write_json(info, where / "run.json")
    backend.set_threads(profile.threads)
    table, cache = radiographs(profile, experiment), pixels(profile, experiment)
    initial = weights or {"none": None}.get(facts["weights"], facts["weights"])
    started = time.perf_counter()
    try:
        history = training.train(
            where,
            architecture=facts["architecture"],
            weights=initial,
            schedule=schedule,
            online=experiment.online,
            pixels=cache,
            radiographs=table,
            seed=profile.seed,
            precision=info["precision"],
            label=f"{experiment.name} {facts['arm']}",
            lines=lines,
        )
    except (models.WeightsUnavailable, training.Diverged) as error:
        info |= {"state": runs.NOT_RUN, "reason": str(error)}
        files.write_json(info, where / "run.json")
        return runs.load(where)
    model = models.load(where / "model.keras")
    if running == "tensorflow":
        heatmaps.write(where / "heatmaps.npy", model, cache, table)
    else:
        _explain_apart(profile, experiment, where)
    info |= {
        "state": runs.FINISHED,
        "epochs": len(history),
        "best_epoch": training.best_epoch(history),
        "images_per_epoch": int((table["split"] == "train").sum()) * schedule.passes_per_epoch,
        "training_seconds": round(float(history["seconds"].sum()), 1),
        "last_session_seconds": round(time.perf_counter() - started, 1),
        "parameters": model.count_params(),
        "versions": {name: _version(name) for name in VERSIONED},
        "python": platform.python_version(),
        "machine": _machine(profile, running, len(backend.devices(schedule.batch_size))),
    }
    files.write_json(info, where / "run.json")
    return runs.load(where)


def _machine(profile, running, devices):
    count = profile.threads if running == "tensorflow" else 0  # the others take all
    threads = "1 thread" if count == 1 else f"{count or 'all'} threads"
    what = f"{platform.system()} {platform.machine()}, {threads}"
    return f"{what}, {devices} devices" if devices else what


def _version(package):
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"


def _digest(value):
    return hashlib.sha256(json.dumps(value, default=str, sort_keys=True).encode()).hexdigest()
