"""Profiles: how big a study runs, as a flat YAML file that papermill also takes with `-f`."""

import dataclasses
import difflib
import hashlib
import json
import math
import re
import reprlib
import warnings
from dataclasses import dataclass
from pathlib import Path

import yaml

from cxrlib import images
from cxrlib.errors import InputError, InputWarning, printable
from cxrlib.networks import ARCHITECTURES
from cxrlib.study import experiments

COHORTS = ("phantom", "coronahack", "folder")
BY_IMAGE, BY_PATIENT = "paper", "by-patient"
_FEWEST = {"normal": 3, "virus": 3, "bacteria": 3, "covid": 5}
_MOST = {
    "image_size": 4096, "normal": 10**6, "virus": 10**6, "bacteria": 10**6, "covid": 10**6,
    "epochs": 10**4, "deep_epochs": 10**4, "batch_size": 4096, "norm_images": 10**6,
    "copies": 1000, "threads": 1024, "folds": 10,
}  # fmt: skip
"""Far above any study's and below what kills a machine: TensorFlow dies of a million threads."""

_LONGEST = 60
"""Letters of a name, of which folders are made; and seeds of a study."""

_BYTES = 2**16
"""Size of a profile's file at most; one that names and explains every parameter has 2 kB."""

INITIALISATIONS = (experiments.BEST, "imagenet", "none")


CHANGE_NO_RUN = ("name", "data", "arms", "threads", "more_seeds")
"""Parameters that say which runs there are, or where and how, and not what one is made from."""


@dataclass(frozen=True)
class Profile:
    """Everything a study can be told; the defaults are `profiles/quick.yml`.

    A 0 in `epochs`, `batch_size`, `learning_rate` or `copies` stands for the paper's own number.
    `norm_images` 0 is the paper's way too: running averages over the last hundred steps or so,
    right after thousands of steps, far behind the weights after a few hundred. Otherwise they are
    taken anew from that many training images before each validation (Wu and Johnson 2021).

    Of a user's own radiographs (`cohort: folder`) a group whose number is the default is taken
    whole, as if it were 0: what suits phantoms says nothing about them.
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
        for name in _FEWEST if self.cohort == "folder" else ():
            if getattr(self, name) == type(self).__dataclass_fields__[name].default:
                object.__setattr__(self, name, 0)
        _one_of("split", self.split, (BY_IMAGE, BY_PATIENT))
        _one_of("initialisation", self.initialisation, INITIALISATIONS)
        _one_of("cover", self.cover, images.COVERS)
        _one_of("precision", self.precision, ("auto", "float32", "bfloat16"))
        known = {arm.name for e in experiments.EXPERIMENTS.values() for arm in e.arms}
        for arm in self.arms:
            _one_of("arms", arm, sorted(known))
        _refuse_names(self)
        for name, least in {"image_size": images.SMALLEST, **_FEWEST}.items():
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
            if value and field.name in _MOST and value > _MOST[field.name]:
                raise InputError(f"{field.name} is {value}: at most {_MOST[field.name]}")
        for seed in (self.seed, *self.more_seeds):
            if not 0 <= seed < 2**32:
                raise InputError(f"seed is {_shown(seed)}: it lies between 0 and {2**32 - 1}")
        if len({self.seed, *self.more_seeds}) <= len(self.more_seeds):
            raise InputError(
                f"more_seeds is {_shown(list(self.more_seeds))}: each seed once, `seed` too"
            )
        if self.folds == 1:
            raise InputError(f"folds is 1: 0 for one split, or 2 to {_MOST['folds']}")
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
        """Name of the study's folder: its name, and a digest of all that its runs are made from.

        So a study with other epochs, say, never overwrites the runs of this one. Up to two
        parameters that are no default are named: quick-epochs-1-6d2f9a31.
        """
        facts = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if getattr(self, field.name) != field.default  # so a new parameter renames no study
            and field.name not in CHANGE_NO_RUN
        }
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
        told = facts.items() if len(facts) <= 2 else ()
        words = [f"{name.replace('_', '-')}-{value}" for name, value in told]
        return "-".join([self.name, *words, digest[:8]])

    def schedule(self, experiment, architecture):
        """Returns an experiment's schedule as this profile shortens it."""
        schedule = experiment.schedule
        epochs = self.epochs or schedule.epochs
        if ARCHITECTURES[architecture].pretrained and self.deep_epochs:
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


def _refuse_names(profile):
    """Refuses texts of which no folder can be made or found, and lists without end."""
    if not profile.name or set(profile.name) - set("abcdefghijklmnopqrstuvwxyz0123456789-_"):
        raise InputError(f"name {_shown(profile.name)}: use small letters, digits, - and _")
    if len(profile.name) > _LONGEST:
        raise InputError(f"name has {len(profile.name)} letters: at most {_LONGEST}")
    if printable(profile.data) != profile.data:
        raise InputError(f"data is {_shown(profile.data)}: no path has such letters")
    if len(profile.more_seeds) > _LONGEST:
        raise InputError(f"more_seeds has {len(profile.more_seeds)} seeds: at most {_LONGEST}")


def plain(profile):
    """Returns a profile's parameters as YAML and papermill take them: a dict, its lists lists."""
    values = dataclasses.asdict(profile)
    return {name: list(v) if isinstance(v, tuple) else v for name, v in values.items()}


def from_mapping(mapping):
    """Makes a profile from names and values.

    Raises:
        InputError: A name is not a parameter (the nearest one is offered), or a value is refused.
    """
    names = [field.name for field in dataclasses.fields(Profile)]
    for name in mapping:
        if name not in names:
            near = difflib.get_close_matches(str(name)[:_LONGEST], names, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(names)}"
            raise InputError(f"unknown parameter {_shown(name)}: {hint}")
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
        mapping = yaml.load(_flat(path), _Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is not YAML: {' '.join(str(error).split())[:300]}") from error
    if not isinstance(mapping, dict):
        raise InputError(f"{path} must hold `name: value` lines")
    for name in _FEWEST if mapping.get("cohort") == "folder" else ():
        if mapping.get(name) == getattr(Profile, name):
            warnings.warn(
                f"{path}: {name} {mapping[name]} is the default, which for cohort: folder means all"
                " there are",
                InputWarning,
                stacklevel=2,
            )
    try:
        return from_mapping(mapping)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


class _Loader(yaml.SafeLoader):
    """Reads YAML as most people write it (version 1.2), and refuses a name that is there twice.

    To version 1.1, which PyYAML reads, 1e-4 is a text, 010 is 8, and 1:30 is 90.
    """

    yaml_implicit_resolvers = {
        first: [(tag, rule) for tag, rule in rules if not tag.endswith((":int", ":float"))]
        for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node, deep=False):
        names = [key.value for key, _ in node.value]
        for name in names:
            if names.count(name) > 1:
                raise yaml.constructor.ConstructorError(
                    problem=f"{name} is there twice", problem_mark=node.start_mark
                )
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"[-+]?(0|[1-9][0-9]*)$"), "-+0123456789"
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"[-+]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?$|[-+]?\.(inf|Inf|INF)$"
        r"|\.(nan|NaN|NAN)$"
    ),
    "-+.0123456789",
)


def _flat(path):
    """Reads the text of a profile, without what could make more of it than stands there.

    Raises:
        InputError: It is too long, lists in lists, or has an alias or a tag.
    """
    with path.open("rb") as file:
        content = file.read(_BYTES + 1)
    if len(content) > _BYTES:
        raise InputError(f"{path} is longer than {_BYTES} bytes: it is no profile")
    text = content.decode("utf-8")
    depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > 2:
            raise InputError(f"{path} must hold `name: value` lines")
        if getattr(event, "anchor", None) or getattr(event, "tag", None):
            line = event.start_mark.line + 1
            raise InputError(f"{path}, line {line}: a profile has no &, * or ! before its values")
    return text


def _typed(field, value):
    """Checks one value's type; whole numbers pass for floats, what `_listed` reads for lists."""
    if field.type in (int, float) and type(value) is int and value.bit_length() > 64:
        raise InputError(f"{field.name} is {_shown(value)}")
    if field.type is float and type(value) is int:
        return float(value)
    if field.type in (int, float, str):
        if type(value) is not field.type:
            raise InputError(
                f"{field.name} is {_shown(value)} ({type(value).__name__}):"
                f" it must be {field.type.__name__}"
            )
        return value
    kind, what = (int, "whole numbers") if field.type == tuple[int, ...] else (str, "names")
    items = _listed(value, kind)
    if not isinstance(items, list | tuple) or not all(type(item) is kind for item in items):
        raise InputError(f"{field.name} is {_shown(value)}: it must be a list of {what}")
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
        near = difflib.get_close_matches(value[:_LONGEST], choices, 1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise InputError(
            f"{name}: unknown {_shown(value)}{hint}: expected one of {', '.join(choices)}"
        )


def _shown(value):
    """Writes a value in a line of a message, whatever it is."""
    return _SHORT.repr(value)


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 60
# Python refuses to write a number of thousands of digits.
_SHORT.repr_int = lambda n, _: repr(n) if n.bit_length() <= 64 else "a number of too many digits"
