"""Cohorts: tables of radiographs with their patients, sources and targets, and how they are split.

A cohort is a DataFrame with one row a radiograph and the columns

    file     name, unique in the cohort, as text whatever its encoding on the disk
    path     where its pixels are ("" for phantoms, which are simulated when wanted)
    group    normal, virus, bacteria or covid; "other" where the targets are those of none of them
    patient  who it shows: radiographs that share it are not independent
    source   the collection it comes from
    publication  what a picture was cut from: pictures that share it share more than a disease
    view     PA or AP
    age_group    adult or child
    Normal, Pneumonia, Virus, Bacteria, COVID   the five targets, 0 or 1

and, once split, `split`: train, validation or test. A publication, view or age group that is not
known is "". How a cell is read, and what makes two names one, is decided in `cohort.tables` and
`cohort.folders`; the columns of a user's own table have their rules in `cohort.own`.
"""

import warnings

import numpy as np
import pandas as pd

from cxrlib.cohort.own import OPTIONAL, OTHER, SPLITS
from cxrlib.cohort.readers import (
    COLUMNS,
    LATERAL,
    NOT_FRONTAL,
    UNSETTLED,
    changes,
    count_findings,
    findings,
    left_out,
    listed,
    read,
    read_coronahack,
    read_covid_chestxray,
    read_folder,
    same_patients,
)
from cxrlib.errors import InputError, InputWarning
from cxrlib.targets import TARGETS

__all__ = [
    "COLUMNS",
    "OPTIONAL",
    "FRACTIONS",
    "LATERAL",
    "NOT_FRONTAL",
    "OTHER",
    "PAPER_COUNTS",
    "SPLITS",
    "UNSETTLED",
    "changes",
    "check",
    "check_patients",
    "clusters",
    "completed",
    "count_findings",
    "findings",
    "leakage",
    "left_out",
    "listed",
    "paper_split",
    "read",
    "read_coronahack",
    "read_covid_chestxray",
    "read_folder",
    "same_patients",
    "sample",
    "shared",
    "split_by_image",
    "split_by_patient",
    "split_in_folds",
]

FRACTIONS = (0.64, 0.16, 0.20)
"""Of each group in training, validation and test (Albert 2020)."""

PAPER_COUNTS = {"normal": 1400, "virus": 700, "bacteria": 700, "covid": 58}
"""Radiographs that the paper sampled of each group."""


def shared(cohort, other):
    """Says what each radiograph of a cohort shares with those of another.

    A patient known under two names (`readers.same_patients`) is one.

    Args:
        cohort: A cohort to test on.
        other: A cohort that was trained on.

    Returns:
        Series: "patient", "publication", or "" where they have neither in common.
    """
    published = set(other["publication"]) - {""}
    known = same_patients()
    seen = cohort["patient"].replace(known).isin(other["patient"].replace(known))
    found = pd.Series("", cohort.index)
    return found.mask(cohort["publication"].isin(published), "publication").mask(seen, "patient")


def sample(cohort, counts):
    """Draws radiographs group by group, as the paper did (pandas, random state 42).

    Args:
        cohort: A cohort.
        counts: Group name -> number of radiographs, 0 for all that there are. A group that is
            taken whole keeps its order.

    Raises:
        InputError: A group has fewer radiographs than asked for.
    """
    parts = []
    for group, n in counts.items():
        rows = cohort[cohort["group"] == group]
        n = n or len(rows)
        if n > len(rows):
            raise InputError(
                f"{n} {group} radiographs asked for, {len(rows)} there: lower `{group}`"
            )
        parts.append(rows if n == len(rows) else rows.sample(n, random_state=42))
    return pd.concat(parts).reset_index(drop=True)


def split_by_image(cohort):
    """Splits each group 0.64 / 0.16 / 0.20 into train, validation and test, image by image.

    The paper's way: scikit-learn's `train_test_split(test_size=0.2, random_state=718)`, twice.
    It does not keep a patient's radiographs together; `leakage` counts what that costs.

    Args:
        cohort: A cohort; every group that occurs needs at least three radiographs.

    Returns:
        The cohort with a column `split`, rows ordered by group, then split.

    Raises:
        InputError: A group is too small to be split.
    """
    from sklearn.model_selection import train_test_split  # half a second: SciPy comes with it

    parts = []
    for group, rows in cohort.groupby("group", sort=False):
        if group == OTHER and len(rows) < 3:  # no group of the study: too few to be tested on
            parts.append(rows.assign(split="train"))
            continue
        if len(rows) < 3:
            raise InputError(
                f"{len(rows)} {group} radiographs cannot be split in 3: raise `{group}`"
            )
        rest, test = train_test_split(rows, test_size=0.2, random_state=718)
        train, validation = train_test_split(rest, test_size=0.2, random_state=718)
        parts += [part.assign(split=name) for name, part in zip(SPLITS, (train, validation, test))]
    return pd.concat(parts).reset_index(drop=True)


def split_by_patient(cohort, seed, fractions=FRACTIONS, spared=(OTHER,)):
    """Splits each group so that no patient, and no publication, is in two splits.

    The largest clusters of radiographs are placed first, each where it brings the group's split
    nearest to the fractions (least squares, relative to what is wanted).

    Args:
        cohort: A cohort; every group needs a cluster for each split (see `clusters`).
        seed: A whole number; another one draws another split. The rows' order plays no part.
        fractions: Of training, validation and test; or of the first two alone.
        spared: Groups that are for training where they have too few clusters to be split.

    Returns:
        The cohort with a column `split`, rows ordered by group, then split.

    Raises:
        InputError: A group has fewer clusters than there are splits.
    """
    names, counts = np.unique(cohort["group"], return_counts=True)
    rare_first = list(names[np.lexsort([names, counts])])
    # A patient may have radiographs in two groups: the rarer one decides where they all go.
    cluster, rarity = clusters(cohort), cohort["group"].map(rare_first.index)
    main = rarity.groupby(cluster).transform("min")
    placed, rng = {}, np.random.default_rng(seed)
    for rank, group in enumerate(rare_first):
        sizes = cluster[main == rank].value_counts()
        if group in spared and len(sizes) < len(fractions):
            placed |= dict.fromkeys(sizes.index, SPLITS[0])
            continue
        if len(sizes) < len(fractions):
            raise InputError(
                f"{len(sizes)} independent {group} patients cannot be split in {len(fractions)}:"
                " add some"
            )
        placed |= _place(sizes, np.array(fractions), rng)
    split = cluster.map(placed)
    groups_as_they_come = pd.factorize(cohort["group"])[0]
    order = np.lexsort([split.map(SPLITS.index), groups_as_they_come])
    return cohort.assign(split=split).iloc[order].reset_index(drop=True)


def split_in_folds(cohort, seed, folds, fold):
    """Splits for cross-validation: each radiograph is in the test split of one fold.

    Clusters stay whole (see `clusters`), and groups are spread over the folds as evenly as whole
    clusters allow (scikit-learn's StratifiedGroupKFold). Of what is not tested a fifth is for
    validation.

    Args:
        cohort: A cohort.
        seed: A whole number; another one draws other folds.
        folds: How many, 2 or more.
        fold: Which of them is the test split, from 1.

    Returns:
        The cohort with a column `split`, in its own order.

    Raises:
        InputError: A group has fewer clusters than there are folds, or a fold leaves fewer
            than two for training and validation.
    """
    from sklearn.model_selection import StratifiedGroupKFold  # half a second: SciPy comes with it

    cluster = clusters(cohort)
    for group, counted in cluster.groupby(cohort["group"]).nunique().items():
        if counted < folds and group != OTHER:
            raise InputError(
                f"{counted} independent {group} patients for {folds} folds: lower `folds`"
            )
    rows = cohort.assign(cluster=cluster).sort_values("file")  # the order of the rows plays no part
    drawn = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    rest, _ = list(drawn.split(rows, rows["group"], rows["cluster"]))[fold - 1]
    split = pd.Series("test", rows.index)
    apart = split_by_patient(rows.iloc[rest], seed, (0.8, 0.2)).set_index("file")["split"]
    split.iloc[rest] = rows["file"].iloc[rest].map(apart).to_numpy()
    return cohort.assign(split=split)


def completed(cohort, seed):
    """Returns a cohort that came split with a validation split, taken from training if it has none.

    A fifth of the training patients of each group is then for validation; clusters stay whole (see
    `clusters`), and an `InputWarning` says so.

    Args:
        cohort: A cohort with the column `split`.
        seed: A whole number; another one takes others.

    Raises:
        InputError: There are no training or no test radiographs, or too few to take any from.
    """
    for name in ("train", "test"):
        if not (cohort["split"] == name).any():
            raise InputError(
                f"no radiograph has split {name}: give some patients that split, or leave the"
                " column split out"
            )
    if (cohort["split"] == "validation").any():
        return cohort
    training = cohort["split"] == "train"
    drawn = split_by_patient(cohort[training], seed, (0.8, 0.2), spared=set(cohort["group"]))
    taken = training & (cohort["file"].map(drawn.set_index("file")["split"]) == "validation")
    if not taken.any():
        raise InputError(
            "no radiograph has split validation, and no group has two training patients, of which"
            " one could be taken for it: add some"
        )
    warnings.warn(
        f"no radiograph has split validation: {taken.sum()} of {training.sum()} training"
        " radiographs, about a fifth of the patients, are taken for it",
        InputWarning,
        stacklevel=2,
    )
    return cohort.assign(split=cohort["split"].mask(taken, "validation"))


def check(cohort):
    """Checks that something can be learnt from a split cohort, and says what cannot be measured.

    An `InputWarning` names the targets that training or test radiographs lack.

    Raises:
        InputError: All training radiographs have the same answers.
    """
    targets = list(TARGETS)
    training, test = (cohort.loc[cohort["split"] == name, targets] for name in ("train", "test"))
    if len(training.drop_duplicates()) < 2:
        alone = " and ".join(sorted(set(cohort.loc[cohort["split"] == "train", "group"])))
        raise InputError(
            f"all training radiographs have the same targets ({alone or 'there are none'}): a"
            " study needs two groups"
        )
    unlearnt = [target for target in targets if not training[target].any()]
    unmeasured = [target for target in targets if not test[target].any()]
    for lacking, what in (
        (unlearnt, "training radiograph has {}: it cannot be learnt"),
        ([t for t in unmeasured if t not in unlearnt], "test radiograph has {}: no recall of it"),
    ):
        if lacking:
            warnings.warn("no " + what.format(" or ".join(lacking)), InputWarning, stacklevel=2)


def check_patients(cohort):
    """Warns where a user's cohort is split by patient and does not say whom its radiographs show.

    A radiograph that names neither patient nor publication counts as a patient of its own, which is
    right where each shows somebody else. An `InputWarning` says how many do.

    Args:
        cohort: What `read_folder` returns.
    """
    alone = (cohort["patient"] == cohort["file"]) & (cohort["publication"] == "")
    if alone.any():
        so = ", so that the split by patient is one by image" if alone.all() else ""
        warnings.warn(
            f"{alone.sum()} of {len(cohort)} radiographs name neither patient nor publication:"
            f" each counts as a patient of its own{so}. The column is called patient",
            InputWarning,
            stacklevel=2,
        )


def clusters(cohort):
    """Returns the cluster of each radiograph: those in one share a patient or a publication.

    A patient known under two names (`readers.same_patients`) is one.

    Args:
        cohort: A cohort.

    Returns:
        Series of a name for each radiograph, the same for all of its cluster, however long the
        chain that joins them: the first file name among them.
    """
    from scipy.sparse import coo_array  # a tenth of a second
    from scipy.sparse.csgraph import connected_components

    n = len(cohort)
    codes = [pd.factorize(cohort["patient"].replace(same_patients()))[0]]
    # A radiograph without a known publication shares it with none.
    alone = "alone " + cohort["file"]
    published = cohort["publication"].where(cohort["publication"] != "", alone)
    codes.append(pd.factorize(published)[0] + codes[0].max(initial=-1) + 1)
    width = n + codes[1].max(initial=-1) + 1
    ends = [n + code for code in codes]
    edges = coo_array(
        (np.ones(2 * n, bool), (np.tile(np.arange(n), 2), np.concatenate(ends))), (width, width)
    )
    labels = connected_components(edges, directed=False)[1][:n]
    return cohort["file"].groupby(labels).transform("min").rename("cluster")


def _place(sizes, fractions, rng):
    """Places clusters of these sizes in the splits: cluster -> split."""
    sizes = sizes.sort_index().sample(frac=1, random_state=rng)
    sizes = sizes.sort_values(ascending=False, kind="stable")
    wanted = fractions * sizes.sum()
    have, placed = np.zeros(len(fractions)), {}
    for i, (cluster, size) in enumerate(sizes.items()):
        cost = size * (size - 2 * (wanted - have)) / wanted
        empty = have == 0
        if len(sizes) - i <= empty.sum():  # the last ones go where there is none yet
            cost[~empty] = np.inf
        chosen = int(np.argmin(cost))
        have[chosen] += size
        placed[cluster] = SPLITS[chosen]
    return placed


def paper_split(cohort):
    """Regenerates the paper's 2,858 sampled radiographs and their split, from the names alone.

    Args:
        cohort: What `read_coronahack` returns.

    Returns:
        2,858 rows with the column `split`.
    """
    return split_by_image(sample(cohort, PAPER_COUNTS))


def leakage(cohort):
    """Counts the test radiographs whose patient also has a radiograph in training.

    Args:
        cohort: A cohort with the column `split`.

    Returns:
        DataFrame with one row a group: group, test_images, with_patient_in_train.
    """
    test = cohort[cohort["split"] == "test"]
    seen = test["patient"].isin(cohort.loc[cohort["split"] == "train", "patient"])
    counted = seen.groupby(test["group"], sort=False).agg(["size", "sum"]).reset_index()
    return counted.set_axis(["group", "test_images", "with_patient_in_train"], axis=1)
