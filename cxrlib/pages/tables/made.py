"""What a study was made of: radiographs, arms, settings, versions, and how long it took."""

import dataclasses

import numpy as np
import pandas as pd

from cxrlib.labels import (
    UNTRAINED,
    listed,
    measure_label,
    number,
    plain,
    run_label,
    signed,
    span,
    split_label,
)
from cxrlib.networks import ARCHITECTURES
from cxrlib.study import experiments, trials


def arms(runs):
    """Tabulates what became of each arm: trained how long, or not run and why.

    Args:
        runs: Runs of one or several experiments.
    """
    rows = []
    for run in runs:
        info, finished = run.info, run.finished
        state = f"{info['state']}: {info['reason']}" if "reason" in info else info["state"]
        if finished and not run.learnt:
            state += f": {UNTRAINED}"
        rows.append(
            {
                "Arm": run_label(*run.key),
                "State": state,
                "Epochs": f"{info['epochs']}/{info['schedule']['epochs']}" if finished else "–",
                "Best": str(info["best_epoch"]) if finished else "–",
                "Images an epoch": f"{info['images_per_epoch']:,}" if finished else "–",
                "Training": span(info["training_seconds"]) if finished else "–",
            }
        )
    return pd.DataFrame(rows)


def setup(experiment, profile, split):
    """Tabulates what an experiment does, as this study's profile runs it and as the paper did.

    Args:
        experiment: As the profile has it.
        profile: The study's profile.
        split: How the radiographs were split (see `study.split`).

    Returns:
        A row a setting; no column "paper" for an experiment that the paper does not have.
    """
    kinds = {row.pretrained: name for name, row in ARCHITECTURES.items()}
    deep, small = (profile.schedule(experiment, kinds[kind]) for kind in (True, False))
    as_split = split_label(split).removeprefix("split ")
    columns = {"this study": _settings(experiment, as_split, profile.image_size, deep, small)}
    if experiment.published:
        papers = experiments.find(experiment.name)
        columns["paper"] = _settings(papers, "by image", 768, papers.schedule, papers.schedule)
    return pd.DataFrame(columns).rename_axis("Setting").reset_index().astype(str)


def _settings(experiment, split, edge, deep, small):
    """Returns what an experiment does, in words and numbers by what they are of."""
    copies = experiment.copies
    small_ones = [row.label for row in ARCHITECTURES.values() if not row.pretrained]
    return {
        "Images": experiment.treatment.replace("+", " + "),
        "Split": split,
        "Edge in pixels": edge,
        "Copies of a COVID image": f"{copies.train} train and validation, {copies.test} test"
        if copies
        else "none",
        "Augmentation while training": _online(experiment.online),
        "Batch": small.batch_size,
        "Epochs at most, deep networks": deep.epochs,
        f"Epochs at most, {listed(small_ones)}": small.epochs,
        "Passes an epoch": small.passes_per_epoch,
        "Learning rate": f"{small.learning_rate:g}",
        "Halve the learning rate after epochs without progress": small.reduce_after,
        "Stop after epochs without progress": small.stop_after,
        "Batch normalisation averages over": _norms(small),
    }


def _online(ranges):
    if ranges is None:
        return "none"
    return (
        f"rotation {ranges.rotation:g}°, shifts {ranges.height_shift:g} and {ranges.width_shift:g},"
        f" shear {ranges.shear:g}°, flip"
    )


def _norms(schedule):
    return f"{schedule.norm_images} images" if schedule.norm_images else "the last steps"


def cohort(table):
    """Tabulates radiographs by group and split."""
    counted = table.groupby(["group", "split"], sort=False).size().unstack(fill_value=0)
    counted = counted[["train", "validation", "test"]]
    counted["all"] = counted.sum(axis=1)
    counted.loc["all"] = counted.sum()
    return counted.reset_index().rename(columns={"group": "Group"})


def leakage(counts):
    """Tabulates test radiographs whose patient also occurs in training (see `cohort.leakage`)."""
    return counts.set_axis(["Group", "Test radiographs", "Patient also in training"], axis=1)


def profile(settings):
    """Tabulates a profile, parameter by parameter."""
    values = dataclasses.asdict(settings)
    values |= {"arms": ", ".join(settings.arms) or "all", "data": settings.data or "–"}
    rows = [(key, f"{value:g}" if type(value) is float else value) for key, value in values.items()]
    return pd.DataFrame(rows, columns=["Parameter", "Value"])


def versions(runs):
    """Tabulates with which versions and on what kind of machine the finished runs were made."""
    made = [
        {"Python": run.info["python"], **run.info["versions"], "Machine": run.info["machine"]}
        for run in runs
        if run.finished
    ]
    frame = pd.DataFrame(made).drop_duplicates().T.reset_index()
    frame.columns = [
        "Software",
        *(["Value"] if frame.shape[1] == 2 else map(str, range(1, frame.shape[1]))),
    ]
    return frame


def precisions(singles, halves):
    """Tabulates what computing in bfloat16 changes.

    Args:
        singles, halves: Runs in float32 and in bfloat16, of the same arms and several seeds.
    """
    single, half = trials.measured(singles), trials.measured(halves)
    rows = []
    for key in single[trials.ARM].drop_duplicates().itertuples(index=False, name=None):
        for target, metric in (("all", "accuracy"), ("all", "macro_f1"), ("COVID", "auc")):
            facts = pd.Series((*key, target, metric), [*trials.ARM, "target", "metric"])
            values = [
                table.loc[(table[facts.index] == facts).all(axis=1), "value"]
                for table in (single, half)
            ]
            rows.append([
                run_label(*key),
                measure_label(metric, target),
                *(f"{100 * v.mean():.1f} ± {100 * v.std():.1f}" for v in values),
                signed(*trials.shift(*values)),
            ])  # fmt: skip
    columns = ["Arm", "Measure", "float32", "bfloat16", "Difference"]
    return pd.DataFrame(rows, columns=columns)


def benchmarks(measured):
    """Tabulates what `make bench` measured.

    Args:
        measured: DataFrame: what, ours, against, theirs, unit.
    """
    rows = []
    for row in measured.itertuples():
        ours, theirs = (f"{plain(value)} {row.unit}" for value in (row.ours, row.theirs))
        rows.append((row.what, ours, row.against, theirs, f"{row.ours / row.theirs:.2f}"))
    columns = ["What", "Here", "Against", "There", "Ratio"]
    return pd.DataFrame(rows, columns=columns)


def growth(measured):
    """Tabulates how steps grow with the number of radiographs.

    Args:
        measured: DataFrame: step, rows, seconds, peak (MB), exponent; NaN where nothing is known.

    Returns:
        DataFrame with a row a step: at each size seconds and megabytes, and the last exponent.
    """
    rows = []
    for step, found in measured.groupby("step", sort=False):
        cells = {"Step": step}
        for row in found.itertuples():
            took = f"{plain(row.seconds)}\u00a0s, {row.peak:.0f}\u00a0MB"
            cells[f"{row.rows:,}"] = "–" if np.isnan(row.seconds) else took
        known = found["exponent"].dropna()
        rows.append({**cells, "Exponent": number(known.iloc[-1]) if len(known) else "–"})
    sizes = [f"{size:,}" for size in sorted(measured["rows"].unique())]
    return pd.DataFrame(rows, columns=["Step", *sizes, "Exponent"]).fillna("–")
