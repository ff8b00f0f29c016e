"""What a study still has to train, why, and roughly how long that takes: said before it begins."""

import os
import statistics
from typing import NamedTuple

from cxrlib import files
from cxrlib.errors import InputError
from cxrlib.labels import span
from cxrlib.study import arms, data, experiments, packing, runs

_WORDS = {
    "fingerprint": "radiographs", "image_size": "image size", "online": "augmentation",
    "weights": "initial weights", "weights_file": "file of initial weights",
}  # fmt: skip
"""What a fact of run.json is called where its name would not be said aloud."""


class Task(NamedTuple):
    """An arm that has something left to do.

    Args:
        name: Experiment and arm, and the trial where a study has several: "A efficient seed 719".
        why: In a few words.
        seconds: That its training should take; None where no earlier run tells.
    """

    name: str
    why: str
    seconds: float | None


def tasks(profile, wanted=None):
    """Lists what a study would train, without touching anything.

    Args:
        profile: The study's profile.
        wanted: Names of the experiments that are asked for; None: all.

    Returns:
        List of `Task` in the order of the chapters, and how many arms the study has.
    """
    paces, found, total = _paces(), [], 0
    for trial in profile.trials:
        for name in experiments.EXPERIMENTS if wanted is None else wanted:
            experiment = trial.experiment(name)
            for arm in experiment.arms:
                total += 1
                why, left = _outlook(trial, experiment, arm)
                if why:
                    seconds = left and _seconds(trial, experiment, arm, left, paces)
                    of = f" {trial.trial_name}" if len(profile.trials) > 1 else ""
                    found.append(Task(f"{name} {arm.name}{of}", why, seconds))
    return found, total


def lines(profile, tasks, total, at_once):
    """Writes what is to be trained, why, and how long it takes, in lines for a person.

    Args:
        profile: The study's profile.
        tasks, total: What `tasks` returned.
        at_once: How many arms run side by side.

    Returns:
        List of lines.
    """
    where = arms.folder(profile).relative_to(files.root())
    if not tasks:
        done = f"all {total} arms are trained" if total else "no chapter shows an arm"
        return [f"Study {profile.name} in {where}: {done}"]
    wide = max(len(task.name) for task in tasks)
    told = [f"Study {profile.name} in {where}: {len(tasks)} of {total} arms are left to train"]
    told += [f"  {task.name:{wide}}  {task.why}" for task in tasks]
    known = [task.seconds for task in tasks if task.seconds is not None]
    if known:
        longest = max(max(known), sum(known) / min(at_once, len(known)))
        unknown = len(tasks) - len(known)
        rest = f"; of {unknown} of them none tells" if unknown else ""
        told.append(f"Roughly {span(longest)} of training, as earlier runs here took{rest}")
    return told


def at_once(profile, cores):
    """Returns how many arms run side by side on so many processor cores, at least one."""
    cores = cores or os.cpu_count() or 1
    return max(cores // (profile.threads or cores), 1)


def not_run(profile):
    """Says which arms of a study were not run, and why: a line a reason."""
    by_reason = {}
    for trial in profile.trials:
        for name in experiments.EXPERIMENTS:
            for arm in trial.experiment(name).arms:
                info, _ = _kept(arms.run_folder(trial, trial.experiment(name), arm))
                if info and info["state"] == runs.NOT_RUN:
                    label = f"{name} {arm.name}"
                    by_reason.setdefault(info.get("reason", ""), {})[label] = None
    return [f"not run: {', '.join(names)}: {reason}" for reason, names in by_reason.items()]


def _outlook(profile, experiment, arm):
    """Returns why an arm has something left to do, "" if nothing, and which epochs are left.

    Of an arm that only answers or explains anew no epoch is left, None: nothing is trained.
    """
    epochs = profile.schedule(experiment, arm.architecture).epochs
    folder = arms.run_folder(profile, experiment, arm)
    try:
        facts = {"experiment": experiment.name, **arms.inputs(profile, experiment, arm)}
        info, left = _kept(folder)
        if info is None:
            return "no run yet", epochs
        facts |= _initial(profile, arm)
        changed = arms.changed(info, facts)
        if changed:
            arms.refuse_other_data(profile, folder, info)
            told = [_difference(name, info.get(name), facts.get(name)) for name in changed]
            return f"again: {', '.join(told)}", epochs
        return _unfinished(folder, info, left, facts["code"], epochs)
    except InputError as error:  # no data here, say: the arm itself will say so
        return str(error), epochs


def _unfinished(folder, info, left, code, epochs):
    """Returns what `_outlook` does of a run that is made from what it would be made from now."""
    if info["state"] == runs.NOT_RUN:
        packed = folder.with_name(f"{folder.name}.zip").is_file()
        return ("", None) if packed else (f"once more: {info.get('reason', 'not run')}", epochs)
    if info["state"] != runs.FINISHED:
        done = len(runs.load(folder).history) if "history.csv" in left else 0
        why = f"goes on after epoch {done} of {epochs}" if done else "was stopped in epoch 1"
        return why, max(epochs - done, 0)
    gone = sorted({"history.csv", "model.keras"} - left)
    if gone:
        return f"again: {' and '.join(gone)} not there", epochs
    anew = [step for step in ("answers", "heatmaps") if arms.made_by(info).get(step) != code[step]]
    if anew:
        return f"no training, its {' and '.join(anew)} anew: other code", None
    lost = sorted(set(runs.LEFT) - left)
    return (f"no training, {' and '.join(lost)} anew: not there", None) if lost else ("", None)


def _initial(profile, arm):
    """Returns the facts of an arm's initial weights, none where training in A decides them."""
    if arm.weights == experiments.BEST:
        first = profile.experiment("A")
        rivals = [rival for rival in first.arms if rival.architecture == arm.architecture]
        if any(_outlook(profile, first, rival)[1] is not None for rival in rivals):
            return {}
        ran = [runs.load(arms.run_folder(profile, first, rival)) for rival in rivals]
        arm = arm._replace(weights=arms.best_of(ran))
    return {"arm": arm.name, **arm._asdict()}


def _kept(folder):
    """Reads a run's facts and the names of its files, packed or not; None where there is none."""
    if (folder / "run.json").is_file():
        return runs.load(folder).info, {path.name for path in folder.iterdir()}
    packed = folder.with_name(f"{folder.name}.zip")
    return packing.look_into(packed) if packed.is_file() else (None, set())


def _difference(name, was, now):
    """Says in a few words what a run was made from, and what it would be made from now."""
    word = _WORDS.get(name, name)
    if isinstance(was, dict) and isinstance(now, dict) and name != "code":
        return " and ".join(
            _difference(key, was.get(key), now[key]) for key in now if was.get(key) != now[key]
        )
    plain = all(isinstance(value, str | int | float) for value in (was, now))
    if plain and name not in ("fingerprint", "weights_file"):
        return f"{word.replace('_', ' ')} {now} instead of {was}"
    return f"other {word.replace('_', ' ')}"


def _paces():
    """Returns how long earlier runs here took: (architecture, image size) -> seconds an image."""
    found = {}
    for path in sorted((files.root() / "runs").glob("*/*/*/run.json")):
        try:
            run = runs.load(path.parent)
        except (InputError, OSError):
            continue  # whoever needs that run says so
        if run.finished:
            took = max(run.info["training_seconds"], run.info.get("last_session_seconds", 0))
            images = run.info["epochs"] * run.info["images_per_epoch"]
            key = run.architecture, run.info["image_size"]
            found.setdefault(key, []).append(took / max(images, 1))
    return {key: statistics.median(paces) for key, paces in found.items()}


def _seconds(profile, experiment, arm, epochs, paces):
    """Returns how long so many epochs of an arm take at the pace of earlier runs, or None."""
    pace = paces.get((arm.architecture, profile.image_size))
    if pace is None:
        return None
    try:
        table = data.radiographs(profile, experiment)
    except InputError:
        return None
    passes = profile.schedule(experiment, arm.architecture).passes_per_epoch
    return pace * epochs * passes * int((table["split"] == "train").sum())
