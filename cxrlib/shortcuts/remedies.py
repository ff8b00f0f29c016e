"""What mends a shortcut? Remedies side by side, on equal terms.

Every network is Efficient from random weights and takes as many steps over as many radiographs.
Tested is on new patients, with the shortcut as in training, and without it.

On phantoms a fact that has nothing to do with the lungs goes with the group in nine training
radiographs of ten, and is at random where it is tested. A seed is a training and a test cohort of
its own, so seeds differ in all that chance decides.

On the paper's radiographs the shortcut is the source: all COVID radiographs are from one
collection, all others from another. Without it are later patients of the first collection alone,
with COVID and without; a seed tests a third of them.

What a remedy takes to work (steps, balanced radiographs, outlines of lungs) is part of its row.
"""

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from cxrlib import cohort as cohorts_of
from cxrlib import columns, images, metrics, phantom, study
from cxrlib.columns import number, one_of, whole
from cxrlib.errors import InputError
from cxrlib.images import augment
from cxrlib.networks import ARCHITECTURES
from cxrlib.shortcuts import external, growing
from cxrlib.study import experiments
from cxrlib.study.profiles import Profile
from cxrlib.targets import GROUPS, TARGETS

TIE = 0.9
"""How often the fact goes with the group; the rest is what balancing can learn from."""


@dataclasses.dataclass(frozen=True)
class Shortcut:
    """What goes with the group in training, and what of it somebody has written down.

    Attributes:
        ties: As `phantom.table` takes them.
        known: Columns that balancing and adversaries read.
        at: Where the middle of each mark is, (x, y) as fractions of the image; None: at its edge.
    """

    ties: dict[str, float]
    known: tuple[str, ...] = ("mark", "source")
    at: tuple[float, float] | None = None


BETWEEN_LUNGS = (0.5, 0.42)
"""Where a mark lies on the spine, and no crop to the lungs takes it away."""

SHORTCUTS = {
    "nothing": Shortcut({}),
    "marks": Shortcut({"mark_tie": TIE}),
    "source": Shortcut({"source_tie": TIE}),
    "source, wholly": Shortcut({"source_tie": 1.0}),
    "marks and source": Shortcut({"mark_tie": TIE, "source_tie": TIE}),
    "marks between the lungs": Shortcut({"mark_tie": TIE}, at=BETWEEN_LUNGS),
    "devices": Shortcut({"device_tie": TIE}, known=("device",)),
}
"""What goes with the group in the training phantoms."""

REAL = "collections"
"""The shortcut of the paper's radiographs, named beside those of phantoms."""

THIRDS = 3
"""Parts of the new patients: a seed tests one of them, and the others have no tie to learn."""

PHANTOMS = 200
"""Phantoms of each group that a network of real radiographs begins on."""

VERSIONS = ("tied", "random", "validation, tied", "validation, random")
"""With the shortcut as in training, and without it: of new patients, and of others to choose by."""

TESTED = 100
"""Phantoms of each group in a test."""

VALIDATED = 50
"""Phantoms of each group, with the shortcut and without it, by which a remedy could be chosen."""

BALANCED = 10
"""Phantoms of each group, with marks and sources at random, to learn from beside the others."""

STEP_SIZE = 0.05
"""Of the weights of GroupDRO's cells (eta; Sagawa et al. 2020 take 0.01, over many more steps)."""

STRENGTH = 1.0
"""Weight of the loss of an adversary, and of the energy outside the lungs, beside the answers'."""


class Cohort(NamedTuple):
    """Radiographs: a table, pixels uint8 (n, size, size, 3), and lungs bool (n, size, size).

    The table has group, the columns `known`, of which one may go with it, and a 0/1 column for
    each target. The lungs of phantoms are known, of real radiographs outlined.
    """

    table: pd.DataFrame
    pixels: np.ndarray
    lungs: np.ndarray
    known: tuple[str, ...] = ("mark", "source")

    def made(self, picture):
        """Returns the cohort with other pixels: a function of an image and its lungs."""
        return self._replace(pixels=np.stack([*map(picture, self.pixels, self.lungs)]))


class Course(NamedTuple):
    """How every network of a comparison learns: a trial of the profile, steps, and what it is."""

    profile: Profile
    steps: int
    architecture: str = "efficient"


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
        remedies: Keys of `REMEDIES`; None: all, or those of `ON_REAL`.
        n: Test phantoms of each group.
        architecture: Of the networks; a deep one takes as many steps as Efficient.

    Yields:
        A line that says what was measured.

    Raises:
        InputError: As `named` and `growing.begin`.
    """
    simulated, new_patients = profile.cohort == "phantom", named(profile, place)
    shortcuts = shortcuts or (tuple(SHORTCUTS) if simulated else (REAL,))
    remedies = remedies or (tuple(REMEDIES) if simulated else ON_REAL)
    profile = settled(profile)
    done = growing.begin(path, COLUMNS, profile, new_patients=new_patients)
    for trial in profile.trials:
        for shortcut in shortcuts:
            facts = {"shortcut": shortcut, "architecture": architecture, "seed": trial.seed}
            there = set(done[(done[[*facts]] == [*facts.values()]).all(axis=1)]["remedy"])
            missing = [name for name in remedies if name not in there]
            if not missing:
                continue
            if simulated:
                trained, tests = cohorts(trial, SHORTCUTS[shortcut], n)
            else:
                trained, tests = real(trial, place)
            for name in missing:
                course = Course(trial, _steps(trial, trained), architecture)
                rows = _measured(course, REMEDIES[name], trained, tests)
                done = growing.add(done, rows.assign(remedy=name, **facts), path)
                yield f"seed {trial.seed}, {shortcut}: {name}"


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
    return Path(place).stem if place else ""


def settled(profile):
    """Returns a profile with Efficient's epochs, batch size and rate, the paper's for a 0."""
    schedule = profile.schedule(experiments.A, "efficient")
    names = ("epochs", "batch_size", "learning_rate")
    return dataclasses.replace(profile, **{name: getattr(schedule, name) for name in names})


def read(path):
    """Reads what `measure` wrote: a DataFrame of `COLUMNS`."""
    return columns.read(path, COLUMNS)


def effects(measured, target="all"):
    """Measures what each remedy does to a score, seed by seed.

    Args:
        measured: As `read` returns it.
        target: Whose AUC; "all": the mean of the five.

    Returns:
        DataFrame, a row an architecture, shortcut, remedy and seed: `VERSIONS`, tied and random
        among them (AUC with the shortcut as in training and without it; NaN where not asked), gap
        (tied less random), closed (how much smaller the gap is than without a remedy) and gained
        (how much higher the AUC without the shortcut; where nothing is tied, what the remedy costs,
        if it is negative).
    """
    keys = ["architecture", "shortcut", "remedy", "seed"]
    asked = measured[measured["target"] == target]
    table = asked.pivot(index=keys, columns="version", values="auc").reset_index()
    table["gap"] = table["tied"] - table["random"]
    of = ["architecture", "shortcut", "seed"]
    without = table[table["remedy"] == next(iter(REMEDIES))].set_index(of)
    base = without[["gap", "random"]].reindex(pd.MultiIndex.from_frame(table[of]))
    table["closed"] = base["gap"].to_numpy() - table["gap"]
    table["gained"] = table["random"] - base["random"].to_numpy()
    return table.rename_axis(columns=None)


def cohorts(profile, shortcut, n=TESTED):
    """Simulates the phantoms of a seed.

    Args:
        profile: A trial of phantoms.
        shortcut: A `Shortcut`.
        n: Test phantoms of each group.

    Returns:
        The training `Cohort`, and a dict of version -> `Cohort`: "tied" (new patients, the shortcut
        as in training), "random" (the same patients without it); "validation, tied" and
        "validation, random", the same of other patients, `VALIDATED` of each group; and "balanced",
        others again, without the shortcut: `BALANCED` of each group are there to learn from.
    """
    of = populations(profile)
    asked = {
        "tied": (n, of.test, shortcut.ties),
        "random": (n, of.test, {}),
        "validation, tied": (VALIDATED, of.validation, shortcut.ties),
        "validation, random": (VALIDATED, of.validation, {}),
        "balanced": (BALANCED, of.more, {}),
    }
    tests = {}
    for name, (each, seed, ties) in asked.items():
        table = phantom.table(dict.fromkeys(profile.counts, each), seed=seed, **ties)
        tests[name] = _simulated(table, seed, profile, shortcut)
    table = phantom.table(profile.counts, seed=of.train, **shortcut.ties)
    return _simulated(table, of.train, profile, shortcut), tests


class Populations(NamedTuple):
    """The simulated populations of a seed, each named by its own seed; no patient is in two."""

    train: int
    test: int
    more: int
    validation: int
    untied: int


def populations(profile):
    """Returns the `Populations` of a trial."""
    own = 3 * profile.seed
    return Populations(own, own + 1, own + 2, own + 20_000_000, own + 10_000_000)


def simulate(row, seed, size, at=None):
    """Simulates the phantom of a table's row, its mark at (x, y), as `phantom.simulate` does."""
    mark = row["mark"] if at is None or row["mark"] == "none" else phantom.Mark(row["mark"], *at)
    facts = {"target": row["group"], "source": row["source"], "device": row["device"]}
    return phantom.simulate(int(row["index"]), size, mark=mark, seed=seed, **facts)


def real(profile, place):
    """Reads the radiographs of a seed: the paper's, and new patients of one of its collections.

    Args:
        profile: A trial of the study's profile.
        place: As `measure` takes it.

    Returns:
        As `cohorts`: "tied" is the paper's test split, "random" a third of the new patients, and
        "balanced" the others of them. Lungs are as the released network outlines them.

    Raises:
        InputError: As `study.cohort` and `external.select`.
    """
    table = study.cohort(profile)
    new, _ = external.select(place, study.everything(profile))
    drawn = StratifiedGroupKFold(THIRDS, shuffle=True, random_state=0)
    thirds = [*drawn.split(new, new["COVID"], cohorts_of.clusters(new))]
    others, third = thirds[profile.seed % THIRDS]
    parts = {
        "": table[table["split"] == "train"], "tied": table[table["split"] == "test"],
        "random": new.iloc[third], "balanced": new.iloc[others],
    }  # fmt: skip
    made = {name: _read(part.reset_index(drop=True), profile) for name, part in parts.items()}
    return made.pop(""), made


def _read(table, profile):
    """Reads the radiographs of a table, whose marks nobody knows."""
    from cxrlib.networks import unet  # seconds: Keras comes with it

    pixels = study.pixels(profile, experiments.A, table.assign(copy=0))
    lungs = unet.outline(unet.kept(), pixels)
    lungs[~lungs.any(axis=(1, 2))] = True  # none were found: it is taken whole
    return Cohort(table.assign(mark="none"), np.asarray(pixels), lungs)


def _simulated(table, seed, profile, shortcut):
    """Simulates the phantoms of a table."""
    at, size = shortcut.at, profile.image_size
    made = [simulate(row, seed, size, at) for _, row in table.iterrows()]
    return gathered(table, made)._replace(known=shortcut.known)


def gathered(table, phantoms):
    """Returns the `Cohort` of a table and its phantoms, row by row."""
    parts = (np.stack([getattr(one, part) for one in phantoms]) for part in ("image", "lungs"))
    return Cohort(table, *parts)


def _steps(profile, trained):
    return profile.epochs * len(trained.table) // profile.batch_size


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


def cells(cohort):
    """Numbers the cells of a cohort: radiographs of one group alike in all that is known."""
    return cohort.table.groupby(["group", *cohort.known], sort=True).ngroup().to_numpy()


def evenly(cells):
    """Returns weights, 1 on average, with which every cell counts alike."""
    each = 1 / np.bincount(cells)[cells]
    return each / each.mean()


# How networks learn: each returns a function of pixels that returns probabilities (n, 5).


def fit(cohort, remedy, course):
    """Trains on the answers alone, with a remedy's draws and weights: returns the network."""
    model, weight = _network(course), remedy.weigh(cells(cohort))
    for rows, batch, targets in _batches(cohort, remedy, course):
        model.train_on_batch(batch, targets, sample_weight=weight[rows])
    return model


def _plain(cohort, balanced, remedy, course):
    # Trains on the answers alone. (As a default its docstring would be a second one of `learn`.)
    return _answers(fit(cohort, remedy, course))


def _worst_cells(cohort, balanced, remedy, course):
    """GroupDRO: what counts most is the cell that does worst (Sagawa et al. 2020)."""
    model, cell = _network(course), cells(cohort)
    share = np.full(cell.max() + 1, 1 / (cell.max() + 1))
    for rows, batch, targets in _batches(cohort, remedy, course):
        said = np.clip(model.predict_on_batch(batch), 1e-6, 1 - 1e-6)
        loss = -np.mean(targets * np.log(said) + (1 - targets) * np.log(1 - said), axis=1)
        there, place = np.unique(cell[rows], return_inverse=True)
        counts = np.bincount(place)
        share[there] *= np.exp(STEP_SIZE * np.bincount(place, loss) / counts)
        share /= share.sum()
        weight = share[cell[rows]] / counts[place]
        model.train_on_batch(batch, targets, sample_weight=weight / weight.mean())
    return _answers(model)


def _last_layer(cohort, balanced, remedy, course):
    """Retrains the last layer on radiographs without the shortcut (DFR; Kirichenko et al. 2023)."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from cxrlib.networks.backend import keras

    model = _network(course)
    for _, batch, targets in _batches(cohort, remedy, course):
        model.train_on_batch(batch, targets)
    pooled = _answers(keras.Model(model.input, model.layers[-1].input))
    features = pooled(balanced.pixels)
    tells = [
        make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000)).fit(
            features, balanced.table[target]
        )
        for target in TARGETS
    ]

    def answer(pixels):
        values = pooled(pixels)
        return np.column_stack([tell.predict_proba(values)[:, 1] for tell in tells])

    return answer


def _adversary(cohort, balanced, remedy, course):
    """Unlearns what is known: an adversary reads it, its gradient reversed (Ganin 2016)."""
    from cxrlib.networks.backend import keras

    names = cohort.known
    codes = {name: cohort.table[name].astype("category").cat.codes.to_numpy() for name in names}
    model = _network(course)
    pooled = model.layers[-1].input
    reversed_ = keras.layers.Lambda(lambda x: 2 * keras.ops.stop_gradient(x) - x)(pooled)
    hidden = keras.layers.Dense(64, activation="relu")(reversed_)
    read = [
        keras.layers.Dense(int(codes[name].max()) + 1, activation="softmax", name=name)(hidden)
        for name in names
    ]
    both = keras.Model(model.input, [model.output, *read])
    losses = ["binary_crossentropy", *["sparse_categorical_crossentropy"] * len(names)]
    both.compile(
        _optimizer(course),
        loss=losses,
        loss_weights=[1, *[STRENGTH] * len(names)],
        jit_compile=False,
    )
    for rows, batch, targets in _batches(cohort, remedy, course):
        both.train_on_batch(batch, [targets, *(codes[name][rows] for name in names)])
    return _answers(model)


def _within_lungs(cohort, balanced, remedy, course):
    """Pays for energy of the last feature map outside the lungs (after Ross et al. 2017)."""
    from cxrlib.networks.backend import keras

    model = _network(course)
    last = model.get_layer("pool").input
    edge = last.shape[1]
    outside = keras.Input((edge, edge, 1))
    energy = keras.layers.Lambda(
        lambda x: (
            keras.ops.sum(x[0] ** 2 * x[1], axis=(1, 2, 3))
            / (keras.ops.sum(x[0] ** 2, axis=(1, 2, 3)) + 1e-6)
        ),
        output_shape=(),
    )([last, outside])
    both = keras.Model([model.input, outside], [model.output, energy])
    both.compile(
        _optimizer(course),
        loss=["binary_crossentropy", lambda _, share: share],
        loss_weights=[1, STRENGTH],
        jit_compile=False,
    )
    air = np.stack([~images.shrink(lungs, edge) for lungs in cohort.lungs])[..., None]
    for rows, batch, targets in _batches(cohort, remedy, course):
        given = [batch, air[rows].astype("float32")]
        both.train_on_batch(given, [targets, np.zeros(len(rows), "float32")])
    return _answers(model)


def _begun_without(cohort, balanced, remedy, course):
    """Begins on phantoms without the shortcut: half of the steps there, half on the cohort."""
    profile = course.profile
    seed, counts = populations(profile).untied, profile.counts
    if profile.cohort != "phantom":
        counts = dict.fromkeys(counts, PHANTOMS)
    other = _simulated(phantom.table(counts, seed=seed), seed, profile, SHORTCUTS["nothing"])
    other = other.made(remedy.picture)
    model = _network(course)
    for part in (other, cohort):
        for _, batch, targets in _batches(part, remedy, course._replace(steps=course.steps // 2)):
            model.train_on_batch(batch, targets)
    return _answers(model)


def _with_others(cohort, balanced, remedy, course):
    """Learns from radiographs without the shortcut, too: a dataset that holds both."""
    table = pd.concat([cohort.table, balanced.table], ignore_index=True)
    pixels = np.concatenate([cohort.pixels, balanced.pixels])
    lungs = np.concatenate([cohort.lungs, balanced.lungs])
    return _plain(Cohort(table, pixels, lungs, cohort.known), balanced, remedy, course)


def _one_choice(cohort, balanced, remedy, course):
    """Chooses one of the four groups, and answers the five targets as its group does."""
    from cxrlib.networks.backend import keras

    model, groups = _network(course), list(GROUPS)
    logits = keras.layers.Dense(len(groups), activation="softmax")(model.layers[-1].input)
    model = keras.Model(model.input, logits)
    loss = "sparse_categorical_crossentropy"
    model.compile(_optimizer(course), loss=loss, jit_compile=False)
    chosen = cohort.table["group"].map(groups.index).to_numpy()
    for rows, batch, _ in _batches(cohort, remedy, course):
        model.train_on_batch(batch, chosen[rows])
    answer = _answers(model)
    return lambda pixels: answer(pixels) @ np.array([*GROUPS.values()], np.float32)


def _network(course):
    """Returns a network from random weights, ready for its first step."""
    from cxrlib.networks import models
    from cxrlib.networks.backend import keras

    keras.utils.set_random_seed(course.profile.seed)
    model = models.build(course.architecture, course.profile.image_size)
    model.compile(_optimizer(course), loss="binary_crossentropy", jit_compile=False)
    return model


def _optimizer(course):
    from cxrlib.networks.backend import keras

    decay = keras.optimizers.schedules.CosineDecay(course.profile.learning_rate, course.steps)
    return keras.optimizers.Adam(decay)


def _batches(cohort, remedy, course):
    """Draws batches: yields rows of the cohort, pixels and targets, as often as there are steps."""
    rng = np.random.default_rng(course.profile.seed)
    targets = cohort.table[list(TARGETS)].to_numpy(np.float32)
    group = cohort.table["group"].to_numpy()
    share = remedy.draw(cells(cohort))
    share = share / share.sum()
    for _ in range(course.steps):
        rows = rng.choice(len(targets), course.profile.batch_size, p=share)
        batch = cohort.pixels[rows]
        for place, row in enumerate(rows):
            if remedy.ranges and (not remedy.copied or group[row] in remedy.copied):
                batch[place] = augment.apply(batch[place], augment.draw(remedy.ranges, rng))
        yield rows, batch, targets[rows]


def _answers(model):
    return lambda pixels: model.predict(pixels, batch_size=64, verbose=0)


# What is done to images


def _treated(treatment):
    return lambda image, lungs: images.treat(image, treatment)


def _border_alone(image, lungs):
    return images.cover(image, "not-border")


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
        learn: Function that trains, as `_plain` does.
    """

    says: str
    takes: str = ""
    picture: Callable = lambda image, lungs: image
    ranges: augment.Ranges | None = None
    copied: tuple[str, ...] = ()
    draw: Callable = lambda cells: np.ones(len(cells))
    weigh: Callable = lambda cells: np.ones(len(cells))
    learn: Callable = _plain


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
    "dro": Remedy("worst cell first (GroupDRO)", _KNOWN,
                  learn=_worst_cells),
    "last layer": Remedy("last layer anew (DFR)", _WITHOUT_TIE,
                         learn=_last_layer),
    "adversary": Remedy("adversary on what goes with the group", _KNOWN,
                        learn=_adversary),
    "lungs cropped": Remedy("cropped to the lungs", _OUTLINES, picture=images.crop_to_lungs),
    "lungs outlined": Remedy("cropped to lungs that a network outlines", picture=_to_outline),
    "lungs alone": Remedy("all but the lungs covered", _OUTLINES, picture=images.cover_all_else),
    "energy": Remedy("energy outside the lungs paid for", "outlines of the lungs, in training",
                     learn=_within_lungs),
    "border alone": Remedy("all but the border covered (no remedy: what it tells)",
                           picture=_border_alone),
    "pretrained": Remedy("begun on phantoms without the tie", "phantoms; half of the steps",
                         learn=_begun_without),
    "joined": Remedy("radiographs without the tie added", _WITHOUT_TIE, learn=_with_others),
    "joined evenly": Remedy("radiographs without the tie added, cells drawn alike",
                            _WITHOUT_TIE, learn=_with_others, draw=evenly),
    "one choice": Remedy("one choice of four groups for five answers", learn=_one_choice),
}  # fmt: skip
"""What may mend it, by name. The first one is what the others are measured against."""

ON_REAL = (
    "none", "augment", "c", "lungs cropped", "lungs alone", "border alone", "energy", "adversary",
    "last layer", "joined", "joined evenly", "pretrained", "one choice",
)  # fmt: skip
"""Those that are asked of real radiographs, whose lungs a network outlines and whose marks nobody
has written down."""

COLUMNS = {
    "shortcut": one_of(*SHORTCUTS, REAL), "remedy": one_of(*REMEDIES), "seed": whole(),
    "architecture": one_of(*ARCHITECTURES), "version": one_of(*VERSIONS),
    "target": one_of(*TARGETS, "all"), "auc": number(0, 1), "steps": whole(1), "seconds": number(0),
}  # fmt: skip
