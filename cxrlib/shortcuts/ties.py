"""The sweep: networks trained where marks are tied to groups, and tested where they are not.

On phantoms one radiograph can be had with any mark, and with or without its lesion, all else equal.
So each network is tested on fresh phantoms whose marks are as in training, at random, exchanged
between groups, moved or gone.
"""

import dataclasses

import numpy as np
import pandas as pd
from scipy.stats import spearmanr
from scipy.stats import t as student

from cxrlib import heatmaps, metrics, phantom, study
from cxrlib.heatmaps import attention
from cxrlib.shortcuts.asking import asker
from cxrlib.targets import GROUP_TARGET, GROUPS, TARGETS

TIES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""How strongly marks are tied to groups in training, from at random to settled."""

VARIANTS = {"A-cropped": ("A", "cropped"), "C-uncropped": ("C", "clahe")}
"""Experiments that differ from one of the paper's by their treatment alone: which step mends it?"""

SWEPT = ("A", *VARIANTS, "C")
"""Experiments that `sweep` trains."""

EXCHANGED = {"normal": "covid", "covid": "normal", "virus": "bacteria", "bacteria": "virus"}
"""Whose mark each group carries where the tie is reversed."""

MOVED = {"R": 0.94, "L": 0.94, "text": 0.94, "ticks": 0.8}
"""How far down the middle of a mark is moved, as a fraction of the image: below the lungs."""

TESTED = 100
"""Fresh phantoms of each group in a test."""

EXPLAINED = 25
"""Of these, how many of each group are explained by heatmaps."""


def versions(profile, n=TESTED):
    """Lists fresh phantoms, of patients that no network of the study has seen, in six versions.

    Args:
        profile: A profile of phantoms; its `mark_tie` is the tie in training.
        n: Phantoms of each group.

    Returns:
        Dict of version -> cohort; row i shows the same patient, pose and noise in all of them:
        "tied" (marks as in training), "random" (marks at random), "reversed" (each group with
        another group's mark), "moved" (marks as in training, at the foot of the image), "removed"
        (no marks), and "no lesion" (marks as in training, and nobody ill).
    """
    tied, loose = _fresh(profile, n), _fresh(dataclasses.replace(profile, mark_tie=0.0), n)
    other = [phantom.TIED_MARK[EXCHANGED[group]] for group in tied["group"]]
    healthy = dict(zip(TARGETS, GROUPS["normal"]))
    return {
        "tied": tied,
        "random": loose,
        "reversed": tied.assign(mark=other),
        "moved": tied.assign(mark=tied["mark"].map(_moved)),
        "removed": tied.assign(mark="none"),
        "no lesion": tied.assign(group="normal", **healthy),
    }


def answers(profile, experiment, arm, n=TESTED):
    """Predicts, with a trained arm, all versions of fresh phantoms; it is trained if it is not yet.

    Returns:
        Dict of version -> predictions, as `training.predict` returns them, with the column mark;
        row by row `versions`.
    """
    ask = asker(profile, experiment, arm)
    tables = versions(profile, n)
    return {name: ask(table).assign(mark=table["mark"]) for name, table in tables.items()}


def aucs(answered):
    """Measures how well each version's answers put radiographs in order.

    Args:
        answered: What `answers` returns.

    Returns:
        DataFrame: version, target ("all": the mean of the five), auc. "no lesion" is left out: it
        has no positives.
    """
    rows = []
    for version, predictions in answered.items():
        if version == "no lesion":
            continue
        parts = ([f"{letter}_{target}" for target in TARGETS] for letter in "yp")
        truth, said = (predictions[names].to_numpy() for names in parts)
        rows += [(version, target, auc) for target, auc in metrics.aucs(truth, said).items()]
    return pd.DataFrame(rows, columns=["version", "target", "auc"])


def changes(answered):
    """Measures what a change of one thing does to the probability of a radiograph's own target.

    Args:
        answered: What `answers` returns.

    Returns:
        DataFrame: change ("mark removed", "mark reversed", "lesion removed"), group, n, mean (of
        the probability after less before) and size (mean of its absolute value). Only radiographs
        that had what is taken away: a mark as in training, a lesion.
    """
    before = answered["tied"]
    wanted = before["group"].map(GROUP_TARGET)
    steps = {
        "mark removed": "removed", "mark moved": "moved", "mark reversed": "reversed",
        "lesion removed": "no lesion",
    }  # fmt: skip
    rows = []
    for change, version in steps.items():
        after = answered[version]
        for group, target in GROUP_TARGET.items():
            had = (wanted == target) & (before["mark"] != "none" if "mark" in change else True)
            if group == "normal" and change == "lesion removed":
                continue
            less = (after[f"p_{target}"] - before[f"p_{target}"])[had]
            rows.append((change, group, len(less), less.mean(), less.abs().mean()))
    return pd.DataFrame(rows, columns=["change", "group", "n", "mean", "size"])


def lung_attention(profile, experiment, arm, n=EXPLAINED):
    """Measures the lung attention of a trained arm on fresh phantoms with marks as in training.

    Returns:
        DataFrame as `attention.lung_attention` returns it.
    """
    table = versions(profile, n)["tied"]
    model = study.train(profile, experiment, arm).network
    pixels, parts = study.pixels(profile, experiment, table), []
    for group, rows in table.groupby("group", sort=False):
        maps = heatmaps.explain(model, np.asarray(pixels[rows.index]), GROUP_TARGET[group])
        regions = (study.regions(profile, experiment, row) for _, row in rows.iterrows())
        parts.append(attention.lung_attention(maps, rows, regions))
    return pd.concat(parts, ignore_index=True)


def named(profile, name):
    """Returns an experiment of the paper, or one of `VARIANTS`, by its name."""
    if name not in VARIANTS:
        return profile.experiment(name)
    of, treatment = VARIANTS[name]
    return dataclasses.replace(profile.experiment(of), name=name, treatment=treatment)


def sweep(profile, experiments=SWEPT, ties=TIES, n=TESTED):
    """Trains the Efficient arm at each tie, and measures what it hangs on; goes on where it was.

    Args:
        profile: A profile of phantoms; each of its trials is swept.
        experiments: Names that `named` knows.
        ties: Of marks to groups, in training.
        n: Fresh phantoms of each group.

    Yields:
        (what, frame) for each run: "auc", "change" and "attention", each with the columns
        experiment, tie and seed before those of `aucs`, `changes` and `attention.summary`.
    """
    bench = {}
    for base in profile.trials:
        for tie in ties:
            for name in experiments:
                trial = dataclasses.replace(base, mark_tie=tie, arms=("efficient",))
                experiment = named(trial, name)
                facts = {"experiment": name, "tie": tie, "seed": trial.seed}
                arm = experiment.arms[0]
                study.train(trial, experiment, arm, bench=bench)
                answered = answers(trial, experiment, arm, n)
                seen = lung_attention(trial, experiment, arm, min(n, EXPLAINED))
                whole = attention.summary(seen, ["region"])
                for what, frame in (
                    ("auc", aucs(answered)), ("change", changes(answered)), ("attention", whole),
                ):  # fmt: skip
                    yield what, pd.DataFrame([facts] * len(frame)).join(frame)


def gaps(auc):
    """Takes the shortcut gap from a sweep: AUC with marks as in training less AUC with others.

    Args:
        auc: The sweep's "auc" frames, joined.

    Returns:
        DataFrame: experiment, tie, seed, target, version ("random", "reversed", "moved" or
        "removed"), gap.
    """
    keys = ["experiment", "tie", "seed", "target"]
    wide = auc.pivot(index=keys, columns="version", values="auc")
    less = wide[["tied"]].to_numpy() - wide[["random", "reversed", "moved", "removed"]]
    return less.stack().rename("gap").reset_index()


def over_seeds(table, value, by, level=0.95):
    """Averages a measure over seeds.

    Args:
        table: With the columns `by`, seed and the measure's.
        value: The measure's column.
        by: Columns to group by.
        level: Coverage.

    Returns:
        DataFrame: the columns of `by`, mean, low, high (Student's t over seeds: what other seeds
        would give, on these phantoms; NaN with one seed), seeds (those that have a value).
    """
    found = table.groupby(by, sort=False)[value].agg(["mean", "std", "count"]).reset_index()
    seeds = found["count"]
    half = student.ppf((1 + level) / 2, seeds - 1) * found["std"] / np.sqrt(seeds)
    ends = {"low": found["mean"] - half, "high": found["mean"] + half, "seeds": seeds}
    return found[[*by, "mean"]].assign(**ends)


def honesty(auc, looked, version="random"):
    """Measures whether a run's lung attention shows how large its shortcut gap is.

    Args:
        auc, looked: The sweep's "auc" and "attention" frames, joined.
        version: The marks that the gap is taken against.

    Returns:
        DataFrame with a row a run: experiment, tie, seed, gap (mean of the five targets), lungs
        (energy in the lungs less their share of the image), marks (the same); and a dict: for
        "lungs" and "marks" Spearman's correlation with the gap and its 95 % interval (runs
        resampled; NaN where no resample differs), and the number of runs.
    """
    keys = ["experiment", "tie", "seed"]
    gap = gaps(auc).query("target == 'all' and version == @version").set_index(keys)["gap"]
    lifts = looked[looked["measure"] == "lift"].pivot(index=keys, columns="region", values="value")
    table = lifts[["lungs", "marks"]].join(gap).reset_index()
    told = {"runs": len(table)}
    for region in ("lungs", "marks"):
        known = table[[region, "gap"]].dropna().to_numpy()

        def ranks(weights, known=known):  # how often each run counts
            drawn = (np.repeat(known, times, axis=0) for times in weights.astype(int))
            return np.array([[spearmanr(*runs.T).statistic] for runs in drawn])

        found = metrics.resample(ranks, len(known))
        told[region] = (float(found[0][0]), *map(float, metrics.percentiles(*found)[0]))
    return table, told


def _moved(mark):
    return mark if mark == "none" else phantom.Mark(mark, y=MOVED[mark])


def _fresh(profile, n):
    """Lists n phantoms of each group whose patients are not in the profile's own cohort."""
    spare = 8  # a patient that the cohort ends with may go on for two more radiographs
    more = {group: count + n + spare for group, count in profile.counts.items()}
    ties = {"mark_tie": profile.mark_tie, "source_tie": profile.source_tie}
    table = phantom.table(more, **ties).assign(path="", publication="")
    used = table["index"] % phantom.GROUP_SPAN < table["group"].map(profile.counts)
    seen = table.loc[used, "patient"]
    table = table[~table["patient"].isin(seen)].groupby("group", sort=False).head(n)
    return table.reset_index(drop=True).assign(split="test", copy=0)
