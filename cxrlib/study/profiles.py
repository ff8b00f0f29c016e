"""Profiles: how big a study runs, as a flat YAML file that papermill also takes with `-f`."""

import dataclasses
import difflib
import hashlib
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path

import yaml

from cxrlib import images
from cxrlib.errors import InputError
from cxrlib.study import experiments

COHORTS = ("phantom", "coronahack", "folder")
BY_IMAGE, BY_PATIENT = "paper", "by-patient"
_FEWEST = {"normal": 3, "virus": 3, "bacteria": 3, "covid": 5}
INITIALISATIONS = (experiments.BEST, "imagenet", "none")


@dataclass(frozen=True)
class Profile:
    """Everything a study can be told; the defaults are `profiles/quick.yml`.

    A 0 in `epochs`, `batch_size`, `learning_rate` or `copies` stands for the paper's own number.
    `norm_images` 0 is the paper's way too: running averages over the last hundred steps or so,
    right after thousands of steps, far behind the weights after a few hundred. Otherwise they are
    taken anew from that many training images before each validation (Wu and Johnson 2021).
    """

    name: str = "quick"  # of the study: its runs go to runs/<name>-<digest>
    cohort: str = "phantom"  # phantom, coronahack, or folder: your own, listed in a CSV file
    data: str = ""  # the dataset's folder, or your CSV file; unused for phantoms
    split: str = "paper"  # paper: by image, as the paper did; by-patient: no patient on both sides
    image_size: int = 128  # edge in pixels; at least 121
    normal: int = 180  # radiographs of each group; 0: all there are (not for phantoms)
    virus: int = 90
    bacteria: int = 90
    covid: int = 45
    mark_tie: float = 0.0  # phantoms: how often the group decides the mark, 0 to 1
    source_tie: float = 0.0  # phantoms: how often the group decides the source, 0 to 1
    cover: str = "none"  # of every image: none, lungs, not-lungs, centre or not-border
    arms: tuple[str, ...] = ()  # names of the arms to run; empty: all
    initialisation: str = "best"  # of B and C: best (on validation in A), imagenet or none
    epochs: int = 20  # at most; 0: the paper's 30, 30 and 50
    deep_epochs: int = 3  # at most, for DenseNet-121 and ResNet-50; 0: as epochs
    batch_size: int = 8  # 0: the paper's 3, 3 and 5
    learning_rate: float = 0.001  # 0: the paper's 0.0001
    norm_images: int = 64  # training images behind batch normalisation's averages; 0: running ones
    copies: int = 2  # augmented copies of a COVID image in B and C; 0: the paper's 15 and 12
    precision: str = "auto"  # float32, bfloat16, or auto: bfloat16 where the processor has it
    threads: int = 1  # processor threads an arm takes; 0: all. Arms run side by side on the rest
    seed: int = 718  # of initial weights, order and augmentation
    more_seeds: tuple[int, ...] = ()  # tables then also show the spread over seeds
    folds: int = 0  # 0: the split above; 5, say: each fifth of the patients is the test split once
    fold: int = 1  # which of the folds the chapters show

    def __post_init__(self):
        """Refuses what cannot be run.

        Raises:
            InputError: A value of the wrong type or outside its range, by the parameter's name.
        """
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, _typed(field, getattr(self, field.name)))
        _one_of("cohort", self.cohort, COHORTS)
        _one_of("split", self.split, (BY_IMAGE, BY_PATIENT))
        _one_of("initialisation", self.initialisation, INITIALISATIONS)
        _one_of("cover", self.cover, images.COVERS)
        _one_of("precision", self.precision, ("auto", "float32", "bfloat16"))
        known = {arm.name for e in experiments.EXPERIMENTS.values() for arm in e.arms}
        for arm in self.arms:
            _one_of("arms", arm, sorted(known))
        if not self.name or set(self.name) - set("abcdefghijklmnopqrstuvwxyz0123456789-_"):
            raise InputError(f"name {self.name!r}: use small letters, digits, - and _")
        for name, least in {"image_size": 121, **_FEWEST}.items():
            value = getattr(self, name)
            everything = value == 0 and name in _FEWEST and self.cohort != "phantom"
            if value < least and not everything:
                raise InputError(f"{name} is {value}: at least {least}")
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.type is float and not math.isfinite(value):
                raise InputError(f"{field.name} is {value}: it must be a finite number")
            if field.type in (int, float) and value < 0:
                raise InputError(f"{field.name} is {value}: it cannot be negative")
        for seed in (self.seed, *self.more_seeds):
            if not 0 <= seed < 2**32:
                raise InputError(f"seed is {seed}: it lies between 0 and {2**32 - 1}")
        if len({self.seed, *self.more_seeds}) <= len(self.more_seeds):
            raise InputError(f"more_seeds is {list(self.more_seeds)}: each seed once, `seed` too")
        if self.folds == 1 or self.folds > 10:
            raise InputError(f"folds is {self.folds}: 0 for one split, or 2 to 10")
        if self.folds and self.split != BY_PATIENT:
            raise InputError(f"folds is {self.folds}: folds are of patients; set split: by-patient")
        if not 1 <= self.fold <= max(self.folds, 1):
            raise InputError(f"fold is {self.fold}: 1 to {max(self.folds, 1)}")
        for name in ("mark_tie", "source_tie"):
            if getattr(self, name) > 1:
                raise InputError(f"{name} is {getattr(self, name)}: it lies between 0 and 1")

    @property
    def counts(self):
        """Radiographs of each group."""
        return {group: getattr(self, group) for group in ("normal", "virus", "bacteria", "covid")}

    @property
    def trials(self):
        """The profiles of all seeds and folds, this one's own among them, each to be run alone."""
        return [
            dataclasses.replace(self, seed=seed, more_seeds=(), fold=fold)
            for seed in (self.seed, *self.more_seeds)
            for fold in range(1, max(self.folds, 1) + 1)
        ]

    def trial(self, seed=None, fold=None):
        """Returns the profile of one seed and fold, its own where None.

        Raises:
            InputError: The profile has no such seed or fold.
        """
        wanted = self.seed if seed is None else seed, self.fold if fold is None else fold
        for trial in self.trials:
            if (trial.seed, trial.fold) == wanted:
                return trial
        raise InputError(f"seed {wanted[0]}, fold {wanted[1]}: not among this profile's trials")

    @property
    def trial_name(self):
        """Name of this seed and fold: seed-718, or seed-718-fold-2."""
        return f"seed-{self.seed}" + (f"-fold-{self.fold}" if self.folds else "")

    @property
    def folder_name(self):
        """Name of the study's folder: its name and a digest of all that its runs are made from.

        So a study with other epochs, say, never overwrites the runs of this one.
        """
        facts = dataclasses.asdict(self)
        for name in ("name", "data", "arms", "threads", "more_seeds"):  # they change no run
            del facts[name]
        if not self.folds:
            del facts["folds"], facts["fold"]
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
        return f"{self.name}-{digest[:8]}"

    def schedule(self, experiment, architecture):
        """Returns an experiment's schedule as this profile shortens it."""
        schedule = experiment.schedule
        epochs = self.epochs or schedule.epochs
        if architecture != "efficient" and self.deep_epochs:
            epochs = min(epochs, self.deep_epochs)
        return dataclasses.replace(
            schedule,
            epochs=epochs,
            batch_size=self.batch_size or schedule.batch_size,
            learning_rate=self.learning_rate or schedule.learning_rate,
            norm_images=self.norm_images,
        )

    def experiment(self, name):
        """Returns an experiment by name, with this profile's copies and choice of arms."""
        experiment = experiments.find(name)
        arms = [arm for arm in experiment.arms if self._wants(arm)]
        if self.initialisation != experiments.BEST:
            pinned = {experiments.BEST: self.initialisation}
            arms = [arm._replace(weights=pinned.get(arm.weights, arm.weights)) for arm in arms]
        copies = experiment.copies
        if copies and self.copies:
            copies = dataclasses.replace(copies, train=self.copies, test=self.copies)
        return dataclasses.replace(experiment, arms=tuple(arms), copies=copies)

    def _wants(self, arm):
        """Returns whether to run an arm; a best-of-A arm is wanted if any of its kind is."""
        if not self.arms or arm.name in self.arms:
            return True
        chosen = {name.split("-")[0] for name in self.arms}
        return arm.weights == experiments.BEST and arm.architecture in chosen


def from_mapping(mapping):
    """Makes a profile from names and values.

    Raises:
        InputError: A name is not a parameter (the nearest one is offered), or a value is refused.
    """
    names = [field.name for field in dataclasses.fields(Profile)]
    for name in mapping:
        if name not in names:
            near = difflib.get_close_matches(str(name), names, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(names)}"
            raise InputError(f"unknown parameter {name!r}: {hint}")
    return Profile(**mapping)


def read(path):
    """Reads a profile.

    Raises:
        InputError: No such file, no flat YAML mapping, or a name or value that is refused.
    """
    path = Path(path)
    if not path.is_file():
        there = ", ".join(sorted(str(file) for file in path.parent.glob("*.yml"))) or "none"
        raise InputError(f"no profile {path}: there are {there}")
    try:
        mapping = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError) as error:  # the latter of bytes, or a date, that are none
        raise InputError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(mapping, dict):
        raise InputError(f"{path} must hold `name: value` lines")
    try:
        return from_mapping(mapping)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _typed(field, value):
    """Checks one value's type; whole numbers pass for floats, what `_listed` reads for lists."""
    if field.type is float and type(value) is int:
        return float(value)
    if field.type in (int, float, str):
        if type(value) is not field.type:
            raise InputError(
                f"{field.name} is {value!r} ({type(value).__name__}):"
                f" it must be {field.type.__name__}"
            )
        return value
    kind, what = (int, "whole numbers") if field.type == tuple[int, ...] else (str, "names")
    items = _listed(value, kind)
    if not isinstance(items, list | tuple) or not all(type(item) is kind for item in items):
        raise InputError(f"{field.name} is {value!r}: it must be a list of {what}")
    return tuple(items)


def _listed(value, kind):
    """Reads a list from a number alone, or from text, as `papermill -p` hands it over."""
    if type(value) is int:
        return [value]
    if not isinstance(value, str):
        return value
    text = value.strip().removeprefix("[").removesuffix("]").strip()
    items = [item.strip().strip("'\"") for item in text.split(",")] if text else []
    whole = re.compile(r"-?[0-9]{1,19}")
    return [int(item) if kind is int and whole.fullmatch(item) else item for item in items]


def _one_of(name, value, choices):
    if value not in choices:
        near = difflib.get_close_matches(str(value), choices, 1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise InputError(f"{name}: unknown {value!r}{hint}: expected one of {', '.join(choices)}")
