"""Trials: one arm trained with several seeds or on several folds, and what that says.

A trial is one seed and one fold of a study. The spread over seeds says what other trainings would
give on the same radiographs; a sampling interval says what other patients would give. They are two
things, and a table shows both.
"""

import numpy as np
import pandas as pd
from scipy.stats import t as student
from scipy.stats import ttest_ind

from cxrlib import metrics
from cxrlib.errors import InputError
from cxrlib.study.runs import only_finished

ARM = ["experiment", "architecture", "weights"]


def measured(runs):
    """Measures each arm once a seed; the folds of a seed are pooled.

    Args:
        runs: Runs of all seeds and folds, as `study.every` returns them.

    Returns:
        DataFrame: experiment, architecture, weights, seed, and the columns of `metrics.evaluate`,
        of finished arms. With folds each radiograph counts once a seed, tested by the network that
        had not seen its patient. Where B or C took other initialisations in other trials, weights
        is "best".

    Raises:
        InputError: None is finished, or two runs of an arm and seed were tested on the same
            radiographs: of two image sizes, say, or the same run twice.
    """
    found = {}
    for run in runs:
        if run.finished:
            place = run.experiment, run.architecture, run.folder.name
            found.setdefault(place, {}).setdefault(run.info["seed"], []).append(run)
    parts = []
    for (experiment, architecture, _), by_seed in found.items():
        used = {run.weights for own in by_seed.values() for run in own}
        facts = (experiment, architecture, used.pop() if len(used) == 1 else "best")
        for seed, own in by_seed.items():
            pooled = _pooled(own)
            table = own[0].metrics if len(own) == 1 else metrics.of_predictions(pooled)
            parts.append(table.assign(**dict(zip(ARM, facts)), seed=seed))
    joined = only_finished(parts)
    return joined[[*ARM, "seed", *joined.columns.drop([*ARM, "seed"])]]


def _pooled(folds):
    """Joins the test predictions of a seed's runs, each radiograph once."""
    pooled, seen = [], {}
    for run in folds:
        answers = run.test_predictions
        for key in zip(answers["file"], answers["copy"]):
            first = seen.setdefault(key, run)
            if first is not run:
                raise InputError(
                    f"{first.folder} and {run.folder} were both tested on {key[0]} with seed"
                    f" {run.info['seed']}: measure image sizes and splits one by one"
                )
        pooled.append(answers)
    return pd.concat(pooled, ignore_index=True)


def spread(measured):
    """Describes how measures differ between seeds.

    Args:
        measured: What `measured` returns.

    Returns:
        DataFrame: experiment, architecture, weights, target, metric, seeds (how many have a
        value), mean, sd (NaN with one seed), smallest, largest.
    """
    found = measured.groupby([*ARM, "target", "metric"], sort=False)["value"]
    names = {"count": "seeds", "mean": "mean", "std": "sd", "min": "smallest", "max": "largest"}
    return found.agg(list(names)).rename(columns=names).reset_index()


def expected(values, level=0.95):
    """Returns between which values one more seed would fall.

    Args:
        values: A measure, one value a seed.
        level: How surely.

    Returns:
        Lower and upper end (Student's prediction interval); NaN with fewer than three seeds, which
        say too little about their spread.
    """
    values = np.asarray(values, float)
    n = len(values)
    if n < 3 or np.isnan(values).any():
        return np.nan, np.nan
    half = student.ppf((1 + level) / 2, n - 1) * values.std(ddof=1) * np.sqrt(1 + 1 / n)
    return float(values.mean() - half), float(values.mean() + half)


def shift(ones, others, level=0.95):
    """Returns how far a measure differs on average between two ways to train.

    Args:
        ones, others: The measure, one value a seed, two or more of each.
        level: Coverage.

    Returns:
        Mean of the others less mean of the ones, and the ends of Welch's interval.
    """
    ends = ttest_ind(others, ones, equal_var=False).confidence_interval(level)
    return float(np.mean(others) - np.mean(ones)), float(ends.low), float(ends.high)


def verdict(values, printed, level=0.95):
    """Returns whether a printed value could be one more seed of ours.

    Args:
        values: A measure, one value a seed.
        printed: The paper's value.
        level: As `expected` takes it.

    Returns:
        "in range", "out of range", or "not said" where there are fewer than three seeds or no
        printed value.
    """
    low, high = expected(values, level)
    if np.isnan([low, high, printed]).any():
        return "not said"
    return "in range" if low <= printed <= high else "out of range"
