"""An arm on its way from the profile to its finished run: plan, fit, answer, explain, record.

`train` is the way; each step below it does nothing where its work is there already, so a run that
was cut goes on from any of them. What a run is made from (`inputs`) decides whether it still holds:
parameters, radiographs, and the code that is executed, with a digest of its own for what makes the
network, the answers and the heatmaps. So another way to draw a heatmap trains nothing.
"""

import contextlib
import dataclasses
import functools
import json
import multiprocessing
import os
import platform
import shutil
import sys
import time
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cxrlib import files, heatmaps
from cxrlib.errors import InputError
from cxrlib.networks import ARCHITECTURES, Recipe
from cxrlib.study import data, experiments, provenance, runs
from cxrlib.study.experiments import Arm, Experiment
from cxrlib.study.profiles import Profile

VERSIONED = ("cxrlib", "tensorflow", "keras", "numpy", "opencv-python-headless", "scikit-learn")
"""Packages whose versions run.json names."""

BEGUN = ("precision", "backend", "threads", "weights_file")
"""How a training was begun: it goes on in the same way, whatever this machine would choose."""


class Plan(NamedTuple):
    """An arm, and what there is of its run.

    Args:
        profile, experiment: As `train` takes them.
        arm: With the weights that it starts from: "imagenet" or "none"; "best" if A has none.
        weights: A file to take them from, or None.
        folder: The run folder.
        facts: What the run is made from, as run.json holds it.
        info: What run.json holds of a run that is gone on with; empty for a new one.
        settled: Whether nothing is left to be done.
    """

    profile: Profile
    experiment: Experiment
    arm: Arm
    weights: Path | None
    folder: Path
    facts: dict
    info: dict = {}
    settled: bool = False


def train(profile, experiment, arm, *, weights=None, lines=False, retry=False, bench=None):
    """Trains one arm, or continues it, or finds it finished.

    Args:
        profile: The study's profile.
        experiment: An `Experiment`, as `profile.experiment` returns it.
        arm: One of its arms.
        weights: A file of ImageNet weights, instead of downloading them.
        lines: Report progress in lines instead of a bar.
        retry: Ask again for ImageNet weights that could not be had before.
        bench: As `training.start` takes it, where one process trains several arms.

    Returns:
        The `runs.Run`. An arm whose ImageNet weights cannot be had, whose loss is never a number,
        or that takes the best of arms of which none finished, ends as "not run", with the reason.

    Raises:
        InputError: As `cohort`; B and C come before A; random weights from a file; or another
            profile of this name has trained here on other data, or this one on another backend.
    """
    with files.locked(run_folder(profile, experiment, arm)):
        plan = plan_arm(profile, experiment, arm, weights, retry)
        if not plan.settled:
            from cxrlib.networks import models, training  # seconds: Keras comes with them

            started, plan = time.perf_counter(), _begin(plan)
            try:
                _fit(plan, lines, bench)
                network = functools.cache(lambda: _network(plan))
                _answer(plan, network)
                _explain(plan, network)
                _record(plan, network, time.perf_counter() - started)
            except (models.WeightsUnavailable, training.Diverged) as error:
                not_run = {"state": runs.NOT_RUN, "reason": str(error)}
                files.write_json(plan.info | not_run, plan.folder / "run.json")
        return runs.load(plan.folder)


def plan_arm(profile, experiment, arm, weights=None, retry=False):
    """Returns what is left to do for an arm, and clears away what no longer holds.

    Args:
        profile, experiment, arm, weights, retry: As `train` takes them.

    Returns:
        A `Plan`. An arm that begins says so in a line; of one that is trained again, a
        line on stderr says why.

    Raises:
        InputError: As `train`.
    """
    folder = run_folder(profile, experiment, arm)
    arm = arm._replace(weights=_initial_weights(profile, experiment, arm))
    if weights is not None and arm.weights == "none":
        raise InputError(f"{folder.name} starts from random weights: leave the weights file out")
    facts = {"experiment": experiment.name, "arm": arm.name, **arm._asdict()}
    facts |= inputs(profile, experiment, arm)
    if weights is not None:
        facts["weights_file"] = files.digests([weights])[0]
    plan = Plan(profile, experiment, arm, weights, folder, facts)
    if not (folder / "run.json").exists():
        print(f"{experiment.name} {arm.name}  begins: it has no run yet")
        shutil.rmtree(folder, ignore_errors=True)  # a removal was cut short: of unknown inputs
        return plan
    run = runs.load(folder)
    differing = changed(run.info, facts)
    if differing:
        refuse_other_data(profile, folder, run.info)
        what = ", ".join(differing)
        print(f"cxr: {experiment.name} {arm.name} is trained again: new {what}", file=sys.stderr)
        shutil.rmtree(folder)  # nothing of it can be continued
        return plan
    if run.info["state"] == runs.NOT_RUN and not retry:
        return plan._replace(info=run.info, settled=True)
    _clear(run, facts["code"])
    left = {name: (folder / name).exists() for name in runs.LEFT}
    if left["history.csv"] and left["model.keras"]:
        return plan._replace(info=run.info, settled=run.finished and all(left.values()))
    begun = BEGUN if left["history.csv"] else ()
    return plan._replace(info={key: run.info[key] for key in begun if key in run.info})


def _begin(plan):
    """Writes run.json, so that whoever finds the folder knows what is being made in it.

    Raises:
        InputError: The training was begun on another backend.
    """
    from cxrlib.networks import backend  # seconds: Keras comes with it

    running = backend.keras.backend.backend()
    info = {
        **plan.info,
        **plan.facts,
        "cover": plan.profile.cover,
        "state": runs.RUNNING,
        "precision": backend.choose_precision(plan.profile.precision),
        "backend": running,
        "threads": backend.count_threads(plan.profile.threads),
        "profile": dataclasses.asdict(plan.profile),
    }
    info |= {key: plan.info[key] for key in BEGUN if key in plan.info}
    if info["backend"] != running and not (plan.folder / "model.keras").exists():
        raise InputError(
            f"{plan.folder} was begun with KERAS_BACKEND={info['backend']}: set it to go on, or"
            " delete the folder"
        )
    plan.folder.mkdir(parents=True, exist_ok=True)
    # What a cluster or another machine was sent is no longer what is here.
    plan.folder.with_name(f"{plan.folder.name}.zip").unlink(missing_ok=True)
    files.write_json(info, plan.folder / "run.json")
    backend.set_threads(info["threads"])
    return plan._replace(info=info)


def _fit(plan, lines, bench):
    """Trains the network: history.csv and model.keras."""
    from cxrlib.networks import models, training  # seconds: Keras comes with them

    profile, experiment, arm = plan.profile, plan.experiment, plan.arm
    if arm.weights == experiments.BEST:
        label = ARCHITECTURES[arm.architecture].label
        raise models.WeightsUnavailable(f"no {label} finished in experiment A, whose best it takes")
    recipe = Recipe(
        architecture=arm.architecture,
        weights=plan.weights or {"none": None}.get(arm.weights, arm.weights),
        schedule=profile.schedule(experiment, arm.architecture),
        online=experiment.online,
        seed=profile.seed,
        precision=plan.info["precision"],
    )
    radiographs, pixels = data.radiographs(profile, experiment), data.pixels(profile, experiment)
    label, alone = f"{experiment.name} {arm.name}", _is_in_a_kernel_alone()
    options = {"label": label, "lines": lines or alone, "bench": bench}
    # A kernel's `sys.stderr` ends in the notebook; its descriptor leads to who executes it, too.
    with contextlib.redirect_stderr(sys.__stderr__) if alone else contextlib.nullcontext():
        training.fit(plan.folder, recipe, pixels, radiographs, **options)


def _is_in_a_kernel_alone():
    """Returns whether a notebook is executed that nobody has open, by papermill say.

    A Jupyter server, JupyterLab's say, tells its kernels which notebook they are for.
    """
    kernels = sys.modules.get("ipykernel.kernelapp")
    running = kernels is not None and kernels.IPKernelApp.initialized()
    return running and "JPY_SESSION_NAME" not in os.environ


def _network(plan):
    """Reads the network that `_fit` left; a deep one takes seconds: the steps after it share it."""
    from cxrlib.networks import models  # seconds: Keras comes with it

    path, size = plan.folder / "model.keras", plan.profile.image_size
    return models.load(path, plan.arm.architecture, size)


def _answer(plan, network):
    """Predicts validation and test radiographs: predictions.csv and metrics.csv."""
    predictions, measured = plan.folder / "predictions.csv", plan.folder / "metrics.csv"
    if predictions.exists() and measured.exists():
        return
    from cxrlib import metrics  # half a second: SciPy comes with it
    from cxrlib.networks import training  # seconds: Keras comes with it

    radiographs = data.radiographs(plan.profile, plan.experiment)
    pixels = data.pixels(plan.profile, plan.experiment)
    batch = plan.profile.schedule(plan.experiment, plan.arm.architecture).batch_size
    answers = training.predict(network(), pixels, radiographs, ("validation", "test"), batch)
    files.write_csv(answers, predictions)
    files.write_csv(metrics.of_predictions(answers[answers["split"] == "test"]), measured)


def _explain(plan, network):
    """Shows where the network looks in each test radiograph: heatmaps.npy."""
    if (plan.folder / "heatmaps.npy").exists():
        return
    if plan.info["backend"] == "tensorflow":
        _write_heatmaps(plan, network())
        return
    # In a process of its own: TensorFlow is the one backend of tf-keras-vis.
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn, initializer=_take_tensorflow) as apart:
        try:
            apart.submit(_write_heatmaps, plan).result()
        except BrokenExecutor as error:
            raise ChildProcessError(
                f"the process that explains {plan.folder} was killed: is memory short?"
            ) from error


def _write_heatmaps(plan, network=None):
    pixels = data.pixels(plan.profile, plan.experiment)
    radiographs = data.radiographs(plan.profile, plan.experiment)
    heatmaps.write(plan.folder / "heatmaps.npy", network or _network(plan), pixels, radiographs)


def _take_tensorflow():
    os.environ["KERAS_BACKEND"] = "tensorflow"


def _record(plan, network, seconds):
    """Ends run.json: how the training went, how long it took, with which versions and where."""
    from cxrlib.networks import backend, training  # seconds: Keras comes with them

    run, info = runs.load(plan.folder), plan.info
    history = run.history
    schedule = plan.profile.schedule(plan.experiment, plan.arm.architecture)
    radiographs = data.radiographs(plan.profile, plan.experiment)
    info |= {"state": runs.FINISHED, "answers": len(run.predictions)}
    if "versions" not in info:  # else only what follows from the network was made anew
        info |= {
            "epochs": len(history),
            "best_epoch": training.best_epoch(history),
            "images_per_epoch": int((radiographs["split"] == "train").sum())
            * schedule.passes_per_epoch,
            "training_seconds": round(float(history["seconds"].sum()), 1),
            "last_session_seconds": round(seconds, 1),
            "parameters": network().count_params(),
            "versions": {name: data.version(name) for name in VERSIONED},
            "python": platform.python_version(),
            "processor": backend.processor(),
            "machine": _machine(info, len(backend.devices(schedule.batch_size))),
        }
    files.write_json(info, plan.folder / "run.json")


def folder(profile):
    """Returns the folder of a study's runs."""
    return files.root() / "runs" / profile.folder_name


def run_folder(profile, experiment, arm):
    """Returns the folder of one run."""
    return folder(profile) / experiment.name / arm.name


def inputs(profile, experiment, arm):
    """Returns all that a run is made from, but for the weights that it starts from.

    Args:
        profile: The study's profile.
        experiment: An `Experiment`, as `profile.experiment` returns it.
        arm: One of its arms.

    Returns:
        Dict as run.json holds it. A run is trained anew when one of its values changes; of "code",
        when that of the training does.

    Raises:
        InputError: As `cohort`.
    """
    facts = {
        "cohort": profile.cohort,
        "split": data.split(profile),
        "image_size": profile.image_size,
        "seed": profile.seed,
        "schedule": dataclasses.asdict(profile.schedule(experiment, arm.architecture)),
        "treatment": experiment.treatment,
        "online": experiment.online and experiment.online._asdict(),
        "fingerprint": data.fingerprint(profile, experiment),
        "code": _code(profile, arm.architecture, experiment.treatment),
    }
    return json.loads(json.dumps(facts))  # as they come back from run.json


def _code(profile, architecture, treatment):
    """Digests the code behind a run's network, its answers and its heatmaps."""
    row = ARCHITECTURES[architecture]
    builder = row.builder if provenance.knows(f"networks.models.{row.builder}") else "_deep"
    if row.heatmap not in heatmaps.METHODS:
        known = ", ".join(heatmaps.METHODS)
        raise InputError(f"{architecture}: heatmap {row.heatmap!r} is none of {known}")
    method = heatmaps.METHODS[row.heatmap]
    explained = getattr(method, "func", method).__name__
    pixels, apart = data.rendering(treatment, profile.cohort == "phantom")
    return {
        "training": provenance.digest(
            "networks.training.fit", f"networks.models.{builder}", "study.data.with_copies",
            *pixels, apart=apart,
        ),
        "answers": provenance.digest("networks.training.predict", "metrics.of_predictions"),
        "heatmaps": provenance.digest("heatmaps.write", f"heatmaps.{explained}"),
    }  # fmt: skip


def changed(info, facts):
    """Names the facts that a run was made from and that are others now."""
    names = [name for name in facts if name != "code" and info.get(name) != facts[name]]
    if made_by(info).get("training") != facts["code"]["training"]:
        names.append("code")
    return names


def made_by(info):
    """Returns the digests of the code that made a run; of none where run.json is damaged there."""
    code = info.get("code")
    return code if isinstance(code, dict) else {}


def _clear(run, code):
    """Deletes files of a run that other code made: its network makes them anew."""
    made = {"answers": ("predictions.csv", "metrics.csv"), "heatmaps": ("heatmaps.npy",)}
    for step, names in made.items():
        if made_by(run.info).get(step) != code[step]:
            for name in names:
                (run.folder / name).unlink(missing_ok=True)
    if run.finished and not (run.folder / "history.csv").exists():
        (run.folder / "model.keras").unlink(missing_ok=True)  # it would end the training at once


def refuse_other_data(profile, folder, info):
    """Keeps a profile from deleting the runs of its namesake on another dataset."""
    made_from = info.get("profile", {}).get("data", profile.data)
    if made_from != profile.data:
        raise InputError(
            f"{folder} was made from data {made_from!r}, this profile's is {profile.data!r}:"
            " give it another name"
        )


def _initial_weights(profile, experiment, arm):
    """Resolves "best" by validation loss in Experiment A, whose arms are trained if missing."""
    if arm.weights != experiments.BEST:
        return arm.weights
    first = profile.experiment("A")
    rivals = [rival for rival in first.arms if rival.architecture == arm.architecture]
    return best_of([train(profile, first, rival) for rival in rivals])


def best_of(ran):
    """Returns the initialisation that B and C take, by what ran in Experiment A.

    Args:
        ran: The `runs.Run` of an architecture's arms in A.

    Returns:
        As `choose_weights`; "best" where none of them finished.

    Raises:
        InputError: There is none.
    """
    losses = {run.weights: run.history["val_loss"].min() for run in ran if run.finished}
    if ran and not losses:
        return experiments.BEST  # of which there is none
    return choose_weights(losses)


def choose_weights(losses):
    """Chooses the initialisation that B and C take for an architecture.

    Args:
        losses: Maps "none" and "imagenet" to the best *validation* loss that the arm reached in
            Experiment A; an arm that did not run is left out.

    Returns:
        "none" or "imagenet".

    Raises:
        InputError: Neither ran.
    """
    losses = {weights: loss for weights, loss in losses.items() if not np.isnan(loss)}
    if not losses:
        raise InputError("no arm of this architecture ran in experiment A: train one there first")
    return min(losses, key=lambda weights: (losses[weights], weights))


def _machine(info, devices):
    threads = "1 thread" if info["threads"] == 1 else f"{info['threads']} threads"
    what = f"{platform.system()} {platform.machine()}, {threads}"
    return f"{what}, {devices} devices" if devices else what


def ensure(profile, name):
    """Returns the runs of an experiment, training those that are missing.

    Args:
        profile: The study's profile.
        name: Of the experiment, one of `experiments.EXPERIMENTS`.

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
        name: Of the experiment.

    Returns:
        List of runs: what `ensure` returns for each of `Profile.trials`.
    """
    return [run for trial in profile.trials for run in ensure(trial, name)]


def by_experiment(profile):
    """Returns the runs of all experiments, training those that are missing.

    Args:
        profile: The study's profile.

    Returns:
        Dict of the experiment's name -> its runs, as `ensure` returns them.
    """
    return {name: ensure(profile, name) for name in experiments.EXPERIMENTS}
