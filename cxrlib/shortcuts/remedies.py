"""What mends a shortcut? Remedies side by side, on equal terms.

Every network takes as many steps over as many radiographs (`learning`). Tested is on new patients,
with the shortcut as in training, and without it (`populations`). What a remedy takes to work
(steps, balanced radiographs, outlines of lungs) is part of its row.
"""

import dataclasses
import itertools
import time
from collections.abc import Callable

import numpy as np
import pandas as pd

from cxrlib import columns, images, metrics, study
from cxrlib.columns import number, one_of, whole
from cxrlib.errors import InputError
from cxrlib.images import augment
from cxrlib.networks import ARCHITECTURES
from cxrlib.shortcuts import external, growing, learning, populations
from cxrlib.shortcuts.populations import REAL, SHORTCUTS, TESTED, VERSIONS
from cxrlib.study import experiments
from cxrlib.targets import TARGETS


@dataclasses.dataclass(frozen=True)
class Remedy:
    """One remedy: what it does, and what it takes beside the radiographs.

    Attributes:
        says: What it does, for tables.
        takes: What it needs that is not there for nothing; "" where nothing.
        picture: What is done to every image, in training and after it: a function of uint8
            (size, size, 3) and its lungs, bool (size, size).
        ranges: `augment.Ranges` for a new transform of every image in training, or None.
        copied: The groups that are transformed; empty for all.
        draw: Function of the cells of the radiographs that returns how often each is drawn.
        weigh: Function of the cells that returns how much each radiograph counts.
        learn: Function that trains, as those of `learning` do.
    """

    says: str
    takes: str = ""
    picture: Callable = lambda image, lungs: image
    ranges: augment.Ranges | None = None
    copied: tuple[str, ...] = ()
    draw: Callable = lambda cells: np.ones(len(cells))
    weigh: Callable = lambda cells: np.ones(len(cells))
    # By a factory: of a plain default the API's page would show the docstring a second time.
    learn: Callable = dataclasses.field(default_factory=lambda: learning.plain)


def evenly(cells):
    """Returns weights, 1 on average, with which every cell counts alike."""
    each = 1 / np.bincount(cells)[cells]
    return each / each.mean()


def _treated(treatment):
    return lambda image, lungs: images.treat(image, treatment)


def _to_outline(image, lungs):
    return images.crop_to_lungs(image, study.outline(image))


_ONLINE, _COPIES = experiments.C.online, experiments.B.copies.train_ranges
_KNOWN = "what goes with the group, of every radiograph"
_WITHOUT_TIE = "radiographs without the tie"
_OUTLINES = "outlines of the lungs, of every radiograph"

REMEDIES = {
    "none": Remedy("as it is (Experiment A)"),
    "copies": Remedy("COVID augmented (B)", ranges=_COPIES, copied=("covid",)),
    "crop": Remedy("border cropped", picture=_treated("cropped")),
    "clahe": Remedy("contrast equalised", picture=_treated("clahe")),
    "augment": Remedy("all augmented", ranges=_ONLINE),
    "c": Remedy("cropped, equalised, augmented (C)", picture=_treated("cropped+clahe"),
                ranges=_ONLINE),
    "resample": Remedy("cells drawn alike", _KNOWN, draw=evenly),
    "weigh": Remedy("cells weighed alike", _KNOWN, weigh=evenly),
    "dro": Remedy("worst cell first (GroupDRO)", _KNOWN, learn=learning.worst_cells),
    "last layer": Remedy("last layer anew (DFR)", _WITHOUT_TIE, learn=learning.last_layer),
    "adversary": Remedy("adversary on what goes with the group", _KNOWN, learn=learning.adversary),
    "lungs cropped": Remedy("cropped to the lungs", _OUTLINES, picture=images.crop_to_lungs),
    "lungs outlined": Remedy("cropped to lungs that a network outlines", picture=_to_outline),
    "lungs alone": Remedy("all but the lungs covered", _OUTLINES, picture=images.cover_all_else),
    "energy": Remedy("energy outside the lungs paid for", "outlines of the lungs, in training",
                     learn=learning.within_lungs),
    "border alone": Remedy("all but the border covered (no remedy: what it tells)",
                           picture=populations.border_alone),
    "pretrained": Remedy("begun on phantoms without the tie", "phantoms; half of the steps",
                         learn=learning.begun_without),
    "joined": Remedy("radiographs without the tie added", _WITHOUT_TIE, learn=learning.with_others),
    "joined evenly": Remedy("radiographs without the tie added, cells drawn alike",
                            _WITHOUT_TIE, learn=learning.with_others, draw=evenly),
    "one choice": Remedy("one choice of four groups for five answers", learn=learning.one_choice),
}  # fmt: skip
"""What may mend it, by name; first what the others are measured against."""

ON_REAL = (
    "none", "augment", "c", "lungs cropped", "lungs alone", "border alone", "energy", "adversary",
    "last layer", "joined", "joined evenly", "pretrained", "one choice",
)  # fmt: skip
"""Those that are asked of real radiographs, whose lungs a network outlines and whose marks nobody
has written down."""

WITHOUT = next(iter(REMEDIES))
"""What the remedies are measured against."""

CONTROLS = (WITHOUT, "border alone")
"""What is no remedy, and stands beside them to be compared with."""

COLUMNS = {
    "shortcut": one_of(*SHORTCUTS, REAL), "remedy": one_of(*REMEDIES), "seed": whole(),
    "architecture": one_of(*ARCHITECTURES), "version": one_of(*VERSIONS),
    "target": one_of(*TARGETS, "all"), "auc": number(0, 1), "steps": whole(1), "seconds": number(0),
}  # fmt: skip


def measure(
    profile, path, place=None, shortcuts=None, remedies=None, n=TESTED, architecture="efficient"
):
    """Trains a network a seed, shortcut and remedy, and measures what is left of its score.

    Args:
        profile: A profile of phantoms or of CoronaHack: size, groups, seeds, and epochs and batch
            size, from which the number of steps follows.
        path: The CSV file with a row a network and version; what is there is not trained again.
        place: Where the new patients of real radiographs are, as `cohort.read` takes it.
        shortcuts: Keys of `SHORTCUTS`, or `REAL` alone; None: all that the profile has.
        remedies: Keys of `REMEDIES`, beside the first, which all are measured against; None: all,
            or those of `ON_REAL`.
        n: Test phantoms of each group.
        architecture: Of the networks; a deep one takes as many steps as Efficient.

    Yields:
        A line that says what was measured.

    Raises:
        InputError: A name that there is not; or as `named` and `growing.begin`.
    """
    simulated, new_patients = profile.cohort == "phantom", named(profile, place)
    shortcuts = _asked("shortcut", shortcuts, tuple(SHORTCUTS) if simulated else (REAL,))
    remedies = _asked("remedy", remedies, tuple(REMEDIES) if simulated else ON_REAL)
    remedies = tuple(dict.fromkeys((WITHOUT, *remedies)))
    _asked("architecture", (architecture,), tuple(ARCHITECTURES))
    profile = settled(profile)
    facts = {"new_patients": new_patients, **growing.radiographs(profile, place)}
    done = growing.begin(path, COLUMNS, profile, **facts)
    for trial, shortcut in itertools.product(profile.trials, shortcuts):
        facts = {"shortcut": shortcut, "architecture": architecture, "seed": trial.seed}
        there = set(done[(done[[*facts]] == [*facts.values()]).all(axis=1)]["remedy"])
        missing = [name for name in remedies if name not in there]
        if not missing:
            continue
        if simulated:
            trained, tests = populations.cohorts(trial, SHORTCUTS[shortcut], n)
        else:
            trained, tests = populations.real(trial, place)
        course = learning.course(trial, len(trained.table), architecture)
        for name in missing:
            rows = _measured(course, REMEDIES[name], trained, tests)
            done = growing.add(done, rows.assign(remedy=name, **facts), path)
            yield f"seed {trial.seed}, {shortcut}: {name}"


def _asked(what, names, known):
    """Returns the names that are asked for, all that are known where none are."""
    for name in names or ():
        if name not in known:
            raise InputError(f"no {what} {name!r}: expected one of {', '.join(known)}")
    return tuple(dict.fromkeys(names or known))


def named(profile, place):
    """Returns what the place of new patients is called, "" where a profile of phantoms needs none.

    Raises:
        InputError: Of real radiographs no new patients are named, or of phantoms some are.
    """
    if profile.cohort == "phantom" and place:
        raise InputError(
            "the profile is of phantoms, who are new patients themselves: name no other"
        )
    if profile.cohort != "phantom" and not place:
        raise InputError(
            f"cohort is {profile.cohort}: name the new patients, data/covid-chestxray say"
        )
    return external.name_of(place) if place else ""


def settled(profile):
    """Returns a profile with Efficient's epochs, batch size and rate, the paper's for a 0."""
    schedule = profile.schedule(experiments.A, "efficient")
    names = ("epochs", "batch_size", "learning_rate")
    return dataclasses.replace(profile, **{name: getattr(schedule, name) for name in names})


def read(path):
    """Reads what `measure` wrote: a DataFrame of `COLUMNS`."""
    return columns.read(path, COLUMNS)


def effects(measured, target="all", architecture="efficient"):
    """Measures what each remedy does to a score, seed by seed.

    Args:
        measured: As `read` returns it.
        target: Whose AUC; "all": the mean of the five.
        architecture: Of the networks; others are left out.

    Returns:
        DataFrame, a row a shortcut, remedy and seed: the AUC of each of `VERSIONS` (tied: with the
        shortcut as in training; random: without it; NaN where it was not asked), gap (tied less
        random), closed (how much smaller the gap is than without a remedy) and gained (how much
        higher the AUC without the shortcut; where nothing is tied, what the remedy costs, if it is
        negative).
    """
    keys, of = ["shortcut", "remedy", "seed"], ["shortcut", "seed"]
    asked = measured[(measured["target"] == target) & (measured["architecture"] == architecture)]
    table = asked.pivot(index=keys, columns="version", values="auc")
    table = table.reindex(columns=VERSIONS).reset_index()
    table["gap"] = table["tied"] - table["random"]
    without = table[table["remedy"] == WITHOUT].set_index(of)
    base = without[["gap", "random"]].reindex(pd.MultiIndex.from_frame(table[of]))
    table["closed"] = base["gap"].to_numpy() - table["gap"]
    table["gained"] = table["random"] - base["random"].to_numpy()
    return table.rename_axis(columns=None)


def chosen(effects):
    """Says which remedy validation would have chosen, and what it is worth on new patients.

    Args:
        effects: As `effects` returns it. Seeds that have fewer networks than others to choose from,
            of those that were asked about validation patients, are left out.

    Returns:
        DataFrame, a row a shortcut, seed and way to choose: by ("validation, tied": one chooses
        who does not know of the shortcut; "validation, random": somebody who does; "random": the
        new patients choose, which nobody can ask), remedy, and random (its AUC on new patients
        without the shortcut).
    """
    ways = ["validation, tied", "validation, random", "random"]
    no_choice = set(CONTROLS) - {WITHOUT}
    asked = effects[~effects["remedy"].isin(no_choice)].dropna(subset=ways)
    of, rows = ["shortcut", "seed"], []
    choice = asked.groupby(of)["remedy"].transform("size")
    asked = asked[choice == choice.groupby(asked["shortcut"]).transform("max")]
    for by in ways:
        best = asked.loc[asked.groupby(of)[by].idxmax()]
        rows.append(best[[*of, "remedy", "random"]].assign(by=by))
    return pd.concat(rows, ignore_index=True)


def _measured(course, remedy, trained, tests):
    """Trains one network, and returns its AUCs: version, target, auc, steps and seconds."""
    seen = {name: one.made(remedy.picture) for name, one in {"": trained, **tests}.items()}
    started = time.perf_counter()
    answer = remedy.learn(seen.pop(""), seen["balanced"], remedy, course)
    took = time.perf_counter() - started
    rows = []
    for version in (name for name in VERSIONS if name in seen):
        truth = seen[version].table[list(TARGETS)].to_numpy()
        found = metrics.aucs(truth, answer(seen[version].pixels))
        rows += [(version, target, auc) for target, auc in found.items()]
    # Of a target that all or none of the radiographs have, nothing is said.
    table = pd.DataFrame(rows, columns=["version", "target", "auc"]).dropna()
    return table.assign(steps=course.steps, seconds=round(took, 1))
