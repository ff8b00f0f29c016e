"""Do answers carry over? Networks asked about radiographs unlike those that they learnt from.

One network learns from phantoms, one from the paper's radiographs, for as many steps; both are
asked about phantoms, about the paper's test split and about new patients. Each learns twice: to
answer five questions, and to choose one of the four groups (see `remedies`). Phantoms with two
infections at once, which no network has seen, can be named by five answers alone.
"""

import dataclasses
import time

import numpy as np
import pandas as pd

from cxrlib import columns, metrics, phantom, study
from cxrlib.columns import number, one_of, whole
from cxrlib.shortcuts import external, growing, learning, populations, remedies
from cxrlib.targets import TARGETS

WAYS = {"five questions": "none", "one choice": "one choice"}
"""How networks answer, and the `remedies.REMEDIES` that trains so."""

CO_INFECTED = ("virus", "bacteria")
"""The groups whose lesions a phantom with two infections shows."""

COLUMNS = {
    "learnt": one_of("phantoms", "radiographs"), "way": one_of(*WAYS), "seed": whole(),
    "asked": one_of("phantoms", "co-infections", "test split", "new patients"),
    "target": one_of(*TARGETS, "all"), "auc": number(0, 1, missing=True), "right": number(0, 1),
    "radiographs": whole(1), "steps": whole(1), "seconds": number(0),
}  # fmt: skip


def measure(profile, path, place=None, n=populations.TESTED):
    """Trains networks on phantoms, and on radiographs where a profile has them, and asks them all.

    Args:
        profile: A profile of phantoms, or of CoronaHack with new patients at `place`.
        path: The CSV file; networks that are in it are not trained again. A row a network, kind of
            radiograph asked about and target: auc, NaN where all or none have the target, and right
            (the share answered rightly, yes from 0.5); of the target "all" the mean AUC, and the
            share of radiographs with all five answers right (harsh accuracy).
        place: Where new patients are, as `cohort.read` takes it.
        n: Phantoms of each group, and with two infections, that are asked about.

    Yields:
        A line that says which network was measured.

    Raises:
        InputError: As `remedies.measure`.
    """
    facts = {"new_patients": remedies.named(profile, place)}
    profile = remedies.settled(profile)
    facts |= growing.radiographs(profile, place)
    done = growing.begin(path, COLUMNS, profile, **facts)
    for trial in profile.trials:
        there = set(done.query("seed == @trial.seed")[["learnt", "way"]].itertuples(index=False))
        learnt = ("phantoms", "radiographs") if place else ("phantoms",)
        missing = [(name, way) for name in learnt for way in WAYS if (name, way) not in there]
        if not missing:
            continue
        cohorts, asked = _cohorts(trial, place, n)
        for name, way in missing:
            facts = {"learnt": name, "way": way, "seed": trial.seed}
            rows = _measured(trial, remedies.REMEDIES[WAYS[way]], cohorts[name], asked)
            done = growing.add(done, rows.assign(**facts), path)
            yield "seed {seed}, learnt from {learnt}: {way}".format(**facts)


def read(path):
    """Reads what `measure` wrote: a DataFrame of `COLUMNS`."""
    return columns.read(path, COLUMNS)


def co_infections(seed, size, n):
    """Simulates phantoms with two infections, of patients of their own.

    Args:
        seed: Of the simulated population.
        size: Pixels a side.
        n: How many.

    Returns:
        A `populations.Cohort`.
    """
    first, second = CO_INFECTED
    rows = phantom.table({first: n}, seed=seed)
    asked = {"target": first, "also": second, "seed": seed}
    made = [phantom.simulate(int(index), size, **asked) for index in rows["index"]]
    truth = dict(zip(TARGETS, np.array([one.targets for one in made]).T))
    return populations.gathered(rows.assign(**truth), made)


def _cohorts(profile, place, n):
    """Returns what networks learn from, and what they are asked about: two dicts of cohorts."""
    made = profile
    if place:
        same = dict.fromkeys(profile.counts, learning.PHANTOMS)
        made = dataclasses.replace(profile, **same)
    phantoms, tests = populations.cohorts(made, populations.SHORTCUTS["nothing"], n, validated=0)
    more = populations.of(profile).more
    learnt = {"phantoms": phantoms}
    asked = {
        "phantoms": tests["random"],
        "co-infections": co_infections(more, profile.image_size, n),
    }
    if place:
        table = study.cohort(profile)
        new, _ = external.select(place, study.everything(profile))
        learnt["radiographs"] = populations.read(table[table["split"] == "train"], profile)
        asked["test split"] = populations.read(table[table["split"] == "test"], profile)
        asked["new patients"] = populations.read(new, profile)
    return learnt, asked


def _measured(profile, remedy, cohort, asked):
    """Trains one network, and measures its answers to all that are asked about."""
    course = learning.course(profile, sum(profile.counts.values()))
    started = time.perf_counter()
    answer = remedy.learn(cohort, None, remedy, course)
    took = round(time.perf_counter() - started, 1)
    rows = []
    for name, one in asked.items():
        truth, said = one.table[list(TARGETS)].to_numpy(), answer(one.pixels)
        right = (said >= 0.5) == truth
        shares = dict(zip(TARGETS, right.mean(axis=0))) | {"all": right.all(axis=1).mean()}
        aucs = metrics.aucs(truth, said)
        rows += [
            (name, target, aucs[target], share, len(truth)) for target, share in shares.items()
        ]
    table = pd.DataFrame(rows, columns=["asked", "target", "auc", "right", "radiographs"])
    return table.assign(steps=course.steps, seconds=took)
