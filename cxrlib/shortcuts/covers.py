"""Occlusion: networks are trained anew with parts of every radiograph covered."""

import dataclasses

import numpy as np
import pandas as pd

from cxrlib import metrics, study
from cxrlib.targets import TARGETS


def occlusion(profile, covers, experiment="A"):
    """Trains the Efficient arm anew with parts of every radiograph covered.

    Args:
        profile: Any profile; each of its trials is trained.
        covers: Of `profiles.COVERS`.
        experiment: Its name.

    Yields:
        A DataFrame for each run: experiment, cover, seed, of `Run.metrics` the rows of the AUC, and
        two of `origin`, trained and untrained; their note is "" in the others.
    """
    bench = {}
    for base in profile.trials:
        for cover in covers:
            trial = dataclasses.replace(base, cover=cover, arms=("efficient",))
            chosen = trial.experiment(experiment)
            run = study.train(trial, chosen, chosen.arms[0], bench=bench)
            found = run.metrics.query("metric == 'auc' and target != 'all'").assign(note="")
            told = [origin(trial, chosen, chosen.arms[0], trained) for trained in (True, False)]
            found = pd.concat([found, pd.DataFrame(told)], ignore_index=True)
            facts = {"experiment": experiment, "cover": cover, "seed": trial.seed}
            yield pd.DataFrame([facts] * len(found)).join(found)


def origin(profile, experiment, arm, trained=True):
    """Measures how well the source of a radiograph follows from the features of an arm.

    A logistic regression is fitted on the final pooled features of the training radiographs.

    Args:
        profile: The study's profile.
        experiment: An `Experiment`.
        arm: One of its arms.
        trained: False asks a network of that architecture before its first step.

    Returns:
        Dict as a row of `Run.metrics`: target "origin" or "origin, untrained", metric "auc", value
        (each source against the others in the test radiographs, and the mean), low and high
        (averaged likewise, so rather too wide than too narrow), n (patients); and note, which is ""
        unless nothing was measured: "undefined: one source", or "the same as COVID" where a target
        settles the source and the source the target.
    """
    from sklearn.linear_model import LogisticRegression  # a quarter of a second
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from cxrlib.networks import training  # seconds: Keras comes with it

    table = study.radiographs(profile, experiment)
    train, test = (
        ((table["split"] == s) & (table["copy"] == 0)).to_numpy() for s in ("train", "test")
    )
    target = "origin" if trained else "origin, untrained"
    row = {"target": target, "metric": "auc", "value": np.nan, "low": np.nan, "high": np.nan}
    row |= {"n": table["patient"][test].nunique(), "note": _no_origin(table[train | test])}
    if row["note"]:
        return row
    model = _network(profile, experiment, arm, trained)
    batch = profile.schedule(experiment, arm.architecture).batch_size
    values = training.features(model, study.pixels(profile, experiment), table, batch)
    tell = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    tell.fit(values[train], table["source"][train])
    told = zip(tell.classes_, tell.predict_proba(values[test]).T)
    known, patients = table["source"][test], table["patient"][test]
    each = [metrics.auc(known == source, score, patients) for source, score in told]
    return row | dict(zip(("value", "low", "high"), np.nanmean(each, axis=0)))


def _network(profile, experiment, arm, trained):
    """Returns the network of an arm, or one like it from random weights that has learnt nothing."""
    if trained:
        return study.train(profile, experiment, arm).network
    from cxrlib.networks import models
    from cxrlib.networks.backend import keras

    keras.utils.set_random_seed(profile.seed)
    return models.build(arm.architecture, profile.image_size)


def _no_origin(table):
    """Returns why the source of these radiographs cannot be learnt or tested, or ""."""
    if table.groupby("split")["source"].nunique().min() < 2:
        return "undefined: one source"
    for target in TARGETS:
        pairs = table[["source", target]].drop_duplicates()
        if len(pairs) == 2 and pairs[target].nunique() == 2:
            return f"the same as {target}"
    return ""
