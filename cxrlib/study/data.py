"""A profile's radiographs: the cohort, what is known of each, and the pixels that networks see."""

import dataclasses
import functools
import hashlib
import json
import warnings
from importlib import metadata

import numpy as np
import pandas as pd
from tqdm import tqdm

from cxrlib import cohort as cohorts
from cxrlib import files, images, networks, phantom
from cxrlib.errors import InputError, InputWarning
from cxrlib.images import augment, caches, marks
from cxrlib.study import profiles, provenance

DECODERS = ("opencv-python-headless", "pillow", "pydicom", "python-gdcm")
"""Packages that make pixels of files: another version may make others."""

MOST = 40_000_000_000
"""Bytes of pixel caches that are kept: the paper's study at 768 px has half as many."""


PREDICTED = "predicted lungs"
"""The region of a real radiograph that the released network takes for lungs."""


def _while_the_table_stays(make):
    """Keeps what a function makes of a profile until the table behind it is another.

    So a table that was mended is read again in a notebook that is open. `cache_clear` forgets all.
    """
    made = {}

    @functools.wraps(make)
    def kept(profile):
        tables = _tables(profile)
        if profile not in made or made[profile][0] != tables:
            made[profile] = tables, make(profile)
        return made[profile][1]

    kept.cache_clear = made.clear
    return kept


def _tables(profile):
    """Returns path, size and time of the tables that list a profile's radiographs.

    They are its CSV file, or those that lie at the top of its folder, as metadata do.
    """
    if profile.cohort == "phantom" or not profile.data:
        return []
    place = files.root() / profile.data
    there = sorted(place.glob("*.[ct]sv")) if place.is_dir() else [place]
    states = [(path, path.stat()) for path in there if path.is_file()]
    return [(path, state.st_size, state.st_mtime_ns) for path, state in states]


@_while_the_table_stays
def cohort(profile):
    """Makes a profile's cohort: radiographs, targets and split.

    Returns:
        A cohort (see `cxrlib.cohort`) with the column `split`, the same one until the table behind
        it is another; phantoms also have what `phantom.table` says of them. A user's table that has
        a split keeps it, and every row; if none is for validation, see `cohort.completed`.

    Raises:
        InputError: The data are missing or not what the profile says, or nothing can be learnt
            from them.
    """
    table = _split(profile, everything(profile))
    if profile.cohort == "folder":
        cohorts.check(table)
    return table


def _split(profile, table):
    if "split" in table and not profile.folds:
        return cohorts.completed(table, profile.seed)
    if profile.cohort == "folder" and profile.split == profiles.BY_PATIENT:
        cohorts.check_patients(table)
    if profile.cohort != "phantom":
        # Radiographs of none of the four groups all stay: no count is asked of them.
        table = cohorts.sample(table, profile.counts | {cohorts.OTHER: 0})
    if profile.folds:
        return cohorts.split_in_folds(table, profile.seed, profile.folds, profile.fold)
    if profile.split == profiles.BY_PATIENT:
        return cohorts.split_by_patient(table, profile.seed)
    return cohorts.split_by_image(table)


def split(profile):
    """Returns how a profile's cohort is split: "paper", "by-patient", "given", or "fold 2 of 5"."""
    if profile.folds:
        return f"fold {profile.fold} of {profile.folds}"
    return "given" if "split" in everything(profile) else profile.split


@_while_the_table_stays
def everything(profile):
    """Returns all radiographs that a profile may draw from."""
    if profile.cohort == "phantom":
        ties = {"mark_tie": profile.mark_tie, "source_tie": profile.source_tie}
        return phantom.table(profile.counts, **ties).assign(path="", publication="")
    if not profile.data:
        raise InputError("data is empty: name the dataset's folder, or the CSV file that lists it")
    read = {"coronahack": cohorts.read_coronahack, "folder": cohorts.read_folder}
    return read[profile.cohort](files.root() / profile.data)


def radiographs(profile, experiment):
    """Lists the images that an experiment trains and tests on (see `with_copies`)."""
    return with_copies(experiment, cohort(profile))


def with_copies(experiment, cohort):
    """Lists the images that an experiment trains and tests on.

    Args:
        experiment: An `Experiment`.
        cohort: A cohort with the column `split`.

    Returns:
        The cohort with a column `copy`: 0 for an image as it is. Where the experiment makes
        copies, each COVID row is replaced by its augmented copies 1, 2, ..., as in the image
        sets that the paper released, which hold the copies only.
    """
    cohort = cohort.assign(copy=0)
    if experiment.copies is None:
        return cohort
    is_covid = cohort["group"] == "covid"
    times = [experiment.copies.of(split)[0] for split in cohort.loc[is_covid, "split"]]
    copied = cohort[is_covid].loc[cohort.index[is_covid].repeat(times)]
    copied["copy"] = copied.groupby(level=0).cumcount() + 1
    return pd.concat([cohort[~is_covid], copied]).reset_index(drop=True)


def copy_generator(file, copy):
    """Returns the random generator of one augmented copy: the same wherever it is made."""
    return np.random.default_rng([copy, *file.encode()])


def image(profile, row):
    """Renders one radiograph as the cohort has it, without treatment or augmentation.

    Args:
        profile: The study's profile; its `cover` is painted over.
        row: A row of the cohort. On a real radiograph a `mark` is pasted, at a place drawn from its
            file name, or a `change` (one of `marks.CHANGES`) is made to the marks that it has.

    Returns:
        uint8 array (size, size, 3).

    Raises:
        InputError: As `images.load` and `images.cover`.
    """
    if row["path"]:
        return images.cover(_film(profile, row), profile.cover)
    known = _simulated(profile, row)
    return images.cover(known.image, profile.cover, known.lungs)


def _film(profile, row):
    """Reads a real radiograph, and changes its marks where the row asks for it."""
    loaded = images.load(row["path"], profile.image_size)
    if row.get("mark", "none") != "none":
        rng = copy_generator(row["file"], 0)
        loaded = phantom.paste(loaded, phantom.Mark(row["mark"]), rng)
    if row.get("change") in marks.CHANGES:
        loaded = marks.CHANGES[row["change"]](loaded, marks.find(loaded))
    return loaded


def truth(profile, row):
    """Returns what is known of a phantom for sure, and nothing for a real radiograph.

    Returns:
        Dict of "lungs", "lesions", "marks" and "devices" -> bool mask (size, size); empty if real.
    """
    if row["path"]:
        return {}
    known = _simulated(profile, row)
    return {name: getattr(known, name) for name in ("lungs", "lesions", "marks", "devices")}


def regions(profile, experiment, row):
    """Returns what `truth` knows, where an experiment's augmentation and treatment have put it.

    Args:
        profile: The study's profile.
        experiment: An `Experiment`.
        row: A row of its `radiographs`.

    Returns:
        As `truth`.
    """
    known = truth(profile, row)
    if row["copy"]:
        moved = _transform(experiment, row)._replace(brightness=1.0)
        for name, mask in known.items():
            grey = np.repeat(mask[..., None].astype(np.uint8) * 255, 3, axis=2)
            known[name] = augment.apply(grey, moved)[..., 0] > 127
    treatment, outlined = experiment.treatment, None
    if known and images.needs_lungs(treatment):
        outlined = outline(_before_treatment(profile, experiment, row))
    return {name: images.place(mask, treatment, outlined) for name, mask in known.items()}


def treated(image, treatment, file=""):
    """Treats one image; where that needs the lungs, the released network outlines them.

    Args:
        image: uint8 array (size, size, 3).
        treatment: A name of `images.TREATMENTS`.
        file: Named by an `InputWarning` where no lungs are found: the image is then not cropped.

    Returns:
        uint8 array of the same shape.

    Raises:
        InputError: The network that outlines lungs is needed and not there.
    """
    if not images.needs_lungs(treatment):
        return images.treat(image, treatment)
    lungs = outline(image)
    if not lungs.any():
        warnings.warn(
            f"{file}: no lungs were found, so it is taken whole", InputWarning, stacklevel=2
        )
    return images.treat(image, treatment, lungs)


def outline(image):
    """Outlines the lungs of one image by the released network: bool array (size, size)."""
    from cxrlib.networks import unet  # seconds: Keras comes with it

    return unet.outline(unet.kept(), image[None])[0]


def rendered(profile, experiment, row):
    """Renders one radiograph as the networks of an experiment see it: uint8 (size, size, 3)."""
    made = _before_treatment(profile, experiment, row)
    return treated(made, experiment.treatment, row["file"])


def _before_treatment(profile, experiment, row):
    """Renders one radiograph as an experiment augments it, before it is treated."""
    made = image(profile, row)
    return augment.apply(made, _transform(experiment, row)) if row["copy"] else made


def _transform(experiment, row):
    """Returns the transform that made an augmented copy."""
    ranges = experiment.copies.of(row["split"])[1]
    return augment.draw(ranges, copy_generator(row["file"], row["copy"]))


def _simulated(profile, row):
    asked = {"target": row["group"], "mark": row["mark"], "source": row["source"]}
    return phantom.simulate(int(row["index"]), profile.image_size, **asked)


def pixels(profile, experiment, table=None):
    """Returns radiographs as an experiment treats them, rendered once and kept on disk.

    Where all that is kept is larger than `MOST`, what was used longest ago goes.

    Args:
        profile: The study's profile.
        experiment: An `Experiment`.
        table: The radiographs, with a column `copy`; the experiment's own (`radiographs`) if None.

    Returns:
        Read-only uint8 memory map (n, size, size, 3), row by row the radiographs.
    """
    table = radiographs(profile, experiment) if table is None else table
    keys = _pixel_keys(profile, experiment, table)
    name = f"{profile.cohort}-{profile.image_size}-{experiment.name}-{_digest(keys)[:8]}.npy"
    path = pixel_folder() / name

    def render(i):
        return rendered(profile, experiment, table.iloc[i])

    # A bar only for a person who waits: none in a log, none for what takes a moment.
    bar = functools.partial(tqdm, desc="pixels", unit="image", delay=2, disable=None)
    with files.locked(path):
        made = images.cache(path, keys, profile.image_size, render, bar)
    caches.bound(path.parent, MOST)
    return made


def pixel_folder():
    """Returns the folder of the pixel caches."""
    return files.root() / "data" / "pixels"


def _pixel_keys(profile, experiment, table):
    """Digests, for each radiograph, all that its pixels are made from."""
    names, apart = rendering(experiment.treatment, _are_simulated(table))
    code = provenance.digest(*names, apart=apart)
    shared = [profile.image_size, profile.cover, experiment.treatment, code]
    shared += outlining(experiment)
    shared, keys = _digest([*shared, *map(version, DECODERS)]), []
    for content, row in zip(_contents(table), table.to_dict("records")):
        # The file's name draws where a mark is pasted.
        facts = [shared, content, row["file"], row.get("mark"), row.get("change")]
        if row["copy"]:
            facts += _transform(experiment, row)
        keys.append(_digest(facts)[:32])
    return keys


def rendering(treatment, simulated):
    """Names the code that makes pixels, for whatever is made from them.

    Args:
        treatment: A name of `images.TREATMENTS`.
        simulated: Whether the radiographs are phantoms.

    Returns:
        Two lists of dotted names, as `provenance.digest` takes them: of the code, and of what of
        it is not called for such radiographs.
    """
    steps = [f"images.{step.__name__}" for step in images.TREATMENTS[treatment]]
    apart = ["study.data._film" if simulated else "study.data._simulated"]
    apart += [] if images.needs_lungs(treatment) else ["study.data.outline"]
    return ["study.data.rendered", "study.experiments.Copies", *steps], apart


def outlining(experiment):
    """Digests what outlines the lungs for an experiment: a list of one, or empty if nothing does.

    Raises:
        InputError: The network that outlines lungs is not there.
    """
    if not images.needs_lungs(experiment.treatment):
        return []
    network = files.digests([networks.released_unet()])[0]
    return [network, provenance.digest("networks.unet.outline")]


def _contents(table):
    """Returns what each radiograph comes from: a file's content, or the simulator and its facts."""
    if _are_simulated(table):
        facts = table[["index", "group", "source"]]
        return [f"phantom {index} {group} {source}" for index, group, source in facts.values]
    return files.digests(table["path"])


def _are_simulated(table):
    return (table["path"] == "").all()


def fingerprint(profile, experiment):
    """Digests what an experiment's pixels and targets are made from.

    For phantoms the simulator's own source counts as data; for files their names and content do.
    """
    return _fingerprint(profile, radiographs(profile, experiment), experiment)


def _fingerprint(profile, table, experiment):
    simulated = _are_simulated(table)
    content = provenance.digest("phantom.simulate") if simulated else files.digests(table["path"])
    copies = experiment.copies and dataclasses.asdict(experiment.copies)
    facts = [table.drop(columns="path").to_csv(index=False), content, copies]
    facts += [] if profile.cover == "none" else [profile.cover]
    return _digest(facts + outlining(experiment))


def identity(table):
    """Digests which radiographs a table lists: what it says of each, and what is in its file.

    Where the files are makes no difference.

    Args:
        table: A cohort of files, as `cohort.read` returns it.
    """
    return _digest([table.drop(columns="path").to_csv(index=False), files.digests(table["path"])])


def lung_attention(profile, run):
    """Measures the heatmaps of a finished run against what is known of its test radiographs.

    Of a real radiograph no more is known than the lungs as the released network outlines them, the
    region `PREDICTED`; one in which it finds none is left out.

    Args:
        profile: The study's profile.
        run: One of its runs.

    Returns:
        DataFrame as `attention.lung_attention` returns it, with experiment, arm, architecture and
        weights before.
    """
    from cxrlib.heatmaps import attention  # half a second: SciPy comes with it

    experiment = profile.experiment(run.experiment)
    table = radiographs(profile, experiment)
    test = table[table["split"] == "test"].reset_index(drop=True)
    measure = _predicted if (test["path"] != "").any() else regions
    known = (measure(profile, experiment, row) for _, row in test.iterrows())
    found = attention.lung_attention(run.heatmaps, test, known)
    for place, name in enumerate(("experiment", "arm", "architecture", "weights")):
        found.insert(place, name, run.info[name])
    return found


def attention_of(trained):
    """Averages how much of the heatmaps of several runs lies in the lungs.

    Args:
        trained: Pairs of a profile and a finished run of its.

    Returns:
        DataFrame as `attention.summary` returns it, by experiment, arm, seed and region; a
        radiograph's augmented copies count as one.
    """
    from cxrlib.heatmaps import attention

    by = ["experiment", "arm", "seed", "region"]
    looked = [
        lung_attention(profile, run).assign(seed=run.info["seed"]) for profile, run in trained
    ]
    radiograph = [*by, "file", "patient"]
    table = pd.concat(looked).groupby(radiograph, sort=False)[list(attention.MEASURES)].mean()
    return attention.summary(table.reset_index(), by)


def _predicted(profile, experiment, row):
    """Returns `PREDICTED` where an experiment's augmentation and treatment have put it."""
    lungs = outline(_before_treatment(profile, experiment, row))
    placed = images.place(lungs, experiment.treatment, lungs)
    return {PREDICTED: placed} if lungs.any() else {}


def version(package):
    """Returns the version of an installed package, or "unknown"."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"


def _digest(value):
    return hashlib.sha256(json.dumps(value, default=str, sort_keys=True).encode()).hexdigest()
