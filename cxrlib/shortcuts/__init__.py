"""Shortcuts: how much of a score hangs on marks, measured where mark and lesion can be parted.

On phantoms one radiograph can be had with any mark, and with or without its lesion, all else equal.
Networks are trained where marks are tied to groups more or less, and tested on fresh phantoms whose
marks are as in training, at random, exchanged between groups or gone. On real radiographs marks are
pasted, and those that they have are painted over and moved. On any cohort networks can be trained
anew with the lungs covered, or with nothing but the border left.
"""

import dataclasses

import numpy as np
import pandas as pd
from scipy.stats import spearmanr
from scipy.stats import t as student
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cxrlib import files, images, metrics, phantom, study
from cxrlib.heatmaps import attention
from cxrlib.images import marks
from cxrlib.targets import GROUP_TARGET, GROUPS, TARGETS

TIES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""How strongly marks are tied to groups in training, from at random to settled."""

VARIANTS = {"A-cropped": ("A", "cropped"), "C-uncropped": ("C", "clahe")}
"""Experiments that differ from one of the paper's by their treatment alone: which step mends it?"""

EXCHANGED = {"normal": "covid", "covid": "normal", "virus": "bacteria", "bacteria": "virus"}
"""Whose mark each group carries where the tie is reversed."""

MOVED = {"R": 0.94, "L": 0.94, "text": 0.94, "ticks": 0.8}
"""How far down the middle of a mark is moved, as a fraction of the image: below the lungs."""

TESTED = 100
"""Fresh phantoms of each group in a test."""

EXPLAINED = 25
"""Of these, how many of each group are explained by heatmaps."""


def tests(profile, n=TESTED):
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
        row by row `tests`.
    """
    from cxrlib.networks import training  # seconds: Keras comes with it

    model = _model(profile, experiment, arm)
    batch = profile.schedule(experiment, arm.architecture).batch_size
    answered = {}
    for version, table in tests(profile, n).items():
        pixels = study.pixels(profile, experiment, table)
        predictions = training.predict(model, pixels, table, ("test",), batch)
        answered[version] = predictions.assign(mark=table["mark"])
    return answered


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
        found = [metrics.auc(predictions[f"y_{t}"], predictions[f"p_{t}"])[0] for t in TARGETS]
        rows += [(version, t, auc) for t, auc in zip((*TARGETS, "all"), (*found, np.mean(found)))]
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


def looks(profile, experiment, arm, n=EXPLAINED):
    """Measures the lung attention of a trained arm on fresh phantoms with marks as in training.

    Returns:
        DataFrame as `attention.measure` returns it, with file, group, patient and target: that of
        the radiograph's group, for which it was explained.
    """
    from cxrlib import heatmaps  # seconds: Keras comes with it

    table = tests(profile, n)["tied"]
    model, pixels = _model(profile, experiment, arm), study.pixels(profile, experiment, table)
    explain, parts = heatmaps.METHODS[model.name], []
    for group, rows in table.groupby("group", sort=False):
        target = GROUP_TARGET[group]
        maps = explain(model, np.asarray(pixels[rows.index]), target)
        regions = [study.regions(profile, experiment, row) for _, row in rows.iterrows()]
        found = attention.measure(maps, regions)
        facts = rows[["file", "group", "patient"]].reset_index(drop=True).loc[found["row"]]
        parts.append(pd.concat([facts.reset_index(drop=True), found], axis=1).assign(target=target))
    return pd.concat(parts, ignore_index=True)


def find(profile, name):
    """Returns an experiment of the paper, or one of `VARIANTS`, by its name."""
    if name not in VARIANTS:
        return profile.experiment(name)
    of, treatment = VARIANTS[name]
    return dataclasses.replace(profile.experiment(of), name=name, treatment=treatment)


def sweep(profile, experiments=("A", *VARIANTS, "C"), ties=TIES, n=TESTED):
    """Trains the Efficient arm at each tie, and measures what it hangs on; goes on where it was.

    Args:
        profile: A profile of phantoms; each of its trials is swept.
        experiments: Names that `find` knows.
        ties: Of marks to groups, in training.
        n: Fresh phantoms of each group.

    Yields:
        (what, frame) for each run: "auc", "change" and "attention", each with the columns
        experiment, tie and seed before those of `aucs`, `changes` and `attention.summary`.
    """
    for base in profile.trials:
        for tie in ties:
            for name in experiments:
                trial = dataclasses.replace(base, mark_tie=tie, arms=("efficient",))
                experiment = find(trial, name)
                facts = {"experiment": name, "tie": tie, "seed": trial.seed}
                arm = experiment.arms[0]
                answered = answers(trial, experiment, arm, n)
                seen = looks(trial, experiment, arm, min(n, EXPLAINED))
                whole = attention.summary(seen, ["region"])
                for what, frame in (
                    ("auc", aucs(answered)), ("change", changes(answered)), ("attention", whole),
                ):  # fmt: skip
                    yield what, pd.DataFrame([facts] * len(frame)).join(frame)


def occlusion(profile, covers, experiment="A"):
    """Trains the Efficient arm anew with parts of every radiograph covered.

    Args:
        profile: Any profile; each of its trials is trained.
        covers: Of `profiles.COVERS`.
        experiment: Its name.

    Yields:
        A DataFrame for each run: experiment, cover, seed, of `Run.metrics` the rows of the AUC, and
        one of `origin`; its note is "" in the others.
    """
    for base in profile.trials:
        for cover in covers:
            trial = dataclasses.replace(base, cover=cover, arms=("efficient",))
            chosen = trial.experiment(experiment)
            run = study.train(trial, chosen, chosen.arms[0])
            found = run.metrics.query("metric == 'auc' and target != 'all'").assign(note="")
            told = origin(trial, chosen, chosen.arms[0])
            found = pd.concat([found, pd.DataFrame([told])], ignore_index=True)
            facts = {"experiment": experiment, "cover": cover, "seed": trial.seed}
            yield pd.DataFrame([facts] * len(found)).join(found)


def origin(profile, experiment, arm):
    """Measures how well the features of a trained arm tell which source a radiograph comes from.

    A logistic regression is fitted on the final pooled features of the training radiographs.

    Returns:
        Dict as a row of `Run.metrics`: target "origin", metric "auc", value (each source against
        the others in the test radiographs, and the mean), low and high (averaged likewise, so
        rather too wide than too narrow), n (patients); and note, which is "" unless nothing was
        measured: "undefined: one source", or "the same as COVID" where a target settles the source
        and the source the target.
    """
    from cxrlib.networks import training  # seconds: Keras comes with it

    table = study.radiographs(profile, experiment)
    train, test = (
        ((table["split"] == s) & (table["copy"] == 0)).to_numpy() for s in ("train", "test")
    )
    row = {"target": "origin", "metric": "auc", "value": np.nan, "low": np.nan, "high": np.nan}
    row |= {"n": table["patient"][test].nunique(), "note": _no_origin(table[train | test])}
    if row["note"]:
        return row
    model, batch = (
        _model(profile, experiment, arm),
        profile.schedule(experiment, arm.architecture).batch_size,
    )
    values = training.features(model, study.pixels(profile, experiment), table, batch)
    tell = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    tell.fit(values[train], table["source"][train])
    told = zip(tell.classes_, tell.predict_proba(values[test]).T)
    known, patients = table["source"][test], table["patient"][test]
    each = [metrics.auc(known == source, score, patients) for source, score in told]
    return row | dict(zip(("value", "low", "high"), np.nanmean(each, axis=0)))


def marks_changed(profile, name):
    """Changes the marks on the test radiographs of a study, and asks its Efficient arm again.

    Args:
        profile: Any profile of real radiographs.
        name: An experiment's name.

    Returns:
        DataFrame: experiment, change ("pasted" or one of `marks.CHANGES`), mark (which was pasted,
        or "found"), group, target, n (radiographs; but for "pasted" only those on which a mark was
        found), share (of the group's radiographs), patients, mean (of the probability after less
        before), low, high (counting patients), size (mean of its absolute value), and flipped
        (share of radiographs whose answer at 0.5 changed).
    """
    from cxrlib.networks import training  # seconds: Keras comes with it

    profile = dataclasses.replace(profile, arms=("efficient",))
    experiment = profile.experiment(name)
    arm = experiment.arms[0]
    model = _model(profile, experiment, arm)
    batch = profile.schedule(experiment, arm.architecture).batch_size
    table = study.cohort(profile).query("split == 'test'").reset_index(drop=True)
    table = table.assign(copy=0, mark="none")
    has = np.array([marks.find(study.image(profile, row)).any() for _, row in table.iterrows()])

    def ask(rows):
        pixels = study.pixels(profile, experiment, rows)
        return training.predict(model, pixels, rows, ("test",), batch)

    versions = {("pasted", mark): table.assign(mark=mark) for mark in phantom.MARKS[1:]}
    versions |= {(change, "found"): table.assign(change=change) for change in marks.CHANGES}
    before, parts = ask(table), []
    for (change, mark), rows in versions.items():
        chosen = has | (change == "pasted")
        found = _paired(before[chosen], ask(rows)[chosen])
        share = found["n"] / found["group"].map(table["group"].value_counts())
        facts = {"experiment": name, "change": change, "mark": mark}
        found.insert(3, "share", share)
        parts.append(pd.DataFrame([facts] * len(found)).join(found))
    return pd.concat(parts, ignore_index=True)


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
        would give, on these phantoms; NaN with one seed), seeds.
    """
    found = table.groupby(by, sort=False)[value].agg(["mean", "std", "size"]).reset_index()
    seeds = found["size"]
    half = student.ppf((1 + level) / 2, seeds - 1) * found["std"] / np.sqrt(seeds)
    ends = {"low": found["mean"] - half, "high": found["mean"] + half, "seeds": seeds}
    return found[[*by, "mean"]].assign(**ends)


def honesty(auc, looked, version="random"):
    """Measures whether lung attention tells how large a run's shortcut gap is.

    Args:
        auc, looked: The sweep's "auc" and "attention" frames, joined.
        version: The marks that the gap is taken against.

    Returns:
        DataFrame with a row a run: experiment, tie, seed, gap (mean of the five targets), lungs
        (energy in the lungs less their share of the image), marks (the same); and a dict: for
        "lungs" and "marks" Spearman's correlation with the gap, its ends (runs resampled), and the
        number of runs.
    """
    keys = ["experiment", "tie", "seed"]
    gap = gaps(auc).query("target == 'all' and version == @version").set_index(keys)["gap"]
    lifts = looked[looked["measure"] == "lift"].pivot(index=keys, columns="region", values="value")
    table = lifts[["lungs", "marks"]].join(gap).reset_index()
    rng, told = np.random.default_rng(0), {"runs": len(table)}
    for region in ("lungs", "marks"):
        known = table[[region, "gap"]].dropna().to_numpy()
        drawn = rng.integers(len(known), size=(2000, len(known)))
        values = [spearmanr(*known[rows].T)[0] for rows in drawn]
        ends = np.nanquantile(values, [0.025, 0.975])
        told[region] = (float(spearmanr(*known.T)[0]), *map(float, ends))
    return table, told


def measure(profile, folder, ties=TIES, n=TESTED):
    """Measures all shortcuts that a cohort allows, and writes what is known after every run.

    On phantoms the sweep and the occlusion; on real radiographs marks pasted, painted over and
    moved on the test radiographs, and the occlusion without lungs, which nobody knows there. What
    was trained before is not trained again.

    Args:
        profile: Any profile; all its seeds are measured.
        folder: Where auc.csv, change.csv, attention.csv, marks-changed.csv and occlusion.csv
            go.
        ties, n: As `sweep` takes them.

    Yields:
        A line that says which run was measured.
    """
    simulated, frames = profile.cohort == "phantom", {}

    def keep(what, frame):
        frames.setdefault(what, []).append(frame)
        files.write_csv(pd.concat(frames[what], ignore_index=True), folder / f"{what}.csv")

    if simulated:
        for what, frame in sweep(profile, ties=ties, n=n):
            keep(what, frame)
            if what == "attention":
                yield "{experiment} tie {tie} seed {seed}".format(**frame.iloc[0])
    else:
        for name in ("A", "C"):
            keep("marks-changed", marks_changed(profile, name))
            yield f"{name} marks changed"
    covers = [cover for cover in images.COVERS if simulated or "lungs" not in cover]
    for frame in occlusion(profile, covers):
        keep("occlusion", frame)
        yield "{experiment} cover {cover} seed {seed}".format(**frame.iloc[0])


def _model(profile, experiment, arm):
    from cxrlib.networks import models  # seconds: Keras comes with it

    run = study.train(profile, experiment, arm)
    return models.load(run.folder / "model.keras", run.architecture, profile.image_size)


def _paired(before, after):
    """Returns the change of each target's probability in each group, row by row of two answers."""
    rows = []
    for group, part in before.groupby("group", sort=False):
        for target in TARGETS:
            p, q = (one.loc[part.index, f"p_{target}"].to_numpy() for one in (before, after))
            ends = metrics.average(q - p, part["patient"])
            flipped = ((p >= 0.5) != (q >= 0.5)).mean()
            facts = (group, target, len(part), part["patient"].nunique())
            rows.append((*facts, *ends, np.abs(q - p).mean(), flipped))
    names = ["group", "target", "n", "patients", "mean", "low", "high", "size", "flipped"]
    return pd.DataFrame(rows, columns=names)


def _no_origin(table):
    """Returns why the source of radiographs to train and test on is not to be told, or ""."""
    if table.groupby("split")["source"].nunique().min() < 2:
        return "undefined: one source"
    for target in TARGETS:
        pairs = table[["source", target]].drop_duplicates()
        if len(pairs) == 2 and pairs[target].nunique() == 2:
            return f"the same as {target}"
    return ""


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
