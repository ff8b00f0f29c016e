"""Cohorts: tables of radiographs with their patients, sources and targets, and how they are split.

A cohort is a DataFrame with one row a radiograph and the columns

    file     name, unique in the cohort
    path     where its pixels are ("" for phantoms, which are simulated when wanted)
    group    normal, virus, bacteria or covid
    patient  who it shows: radiographs that share it are not independent
    source   the collection it comes from
    Normal, Pneumonia, Virus, Bacteria, COVID   the five targets, 0 or 1

and, once split, `split`: train, validation or test.
"""

import re
from importlib import resources
from pathlib import Path

import pandas as pd
from sklearn.model_selection import train_test_split

from cxrlib import targets
from cxrlib.errors import InputError

COLUMNS = ("file", "path", "group", "patient", "source", *targets.TARGETS)
SPLITS = ("train", "validation", "test")

PAPER_COUNTS = {"normal": 1400, "virus": 700, "bacteria": 700, "covid": 58}
"""Radiographs that the paper sampled of each group."""

LATERAL = (
    "35AF5C3B-D04D-4B4B-92B7-CB1F67D83085.jpeg",
    "44C8E3D6-20DA-42E9-B33B-96FA6D6DE12F.jpeg",
    "4C4DEFD8-F55D-4588-AAD6-C59017F55966.jpeg",
    "D5ACAA93-C779-4E22-ADFA-6A220489F840.jpeg",
)
"""Side views among the COVID images, dropped by the paper."""

_NAME, _LABEL, _FOLDER = "X_ray_image_name", "Label", "Dataset_type"
_VIRUS, _CAUSE = "Label_2_Virus_category", "Label_1_Virus_category"
_IMAGES = {".jpeg", ".jpg", ".png"}


def read_coronahack(root):
    """Reads the CoronaHack Chest X-Ray dataset as Kaggle ships it.

    Finds the metadata file and the images wherever they lie below `root`. Drops what the paper
    drops: Stress-Smoking (ARDS), Streptococcus and the four lateral views; SARS joins COVID.

    Args:
        root: Folder that holds the unpacked dataset.

    Returns:
        A cohort of 5,899 rows (all that can be had) in the paper's order: the TRAIN rows by name
        as a spreadsheet sorts them, then the TEST rows as the metadata file lists them.

    Raises:
        InputError: No folder, no metadata file, a column or label that is not CoronaHack's, or
            images that the metadata lists and the folder lacks.
    """
    root = Path(root)
    if not root.is_dir():
        raise InputError(f"no folder {root}: point `data` at the unpacked CoronaHack dataset")
    table = _coronahack_metadata(root)
    table = table[~table[_NAME].isin(LATERAL)].assign(group=_coronahack_groups)
    table = table[table["group"].notna()]
    train = table[table[_FOLDER] == "TRAIN"].sort_values(_NAME, key=_spreadsheet_key)
    table = pd.concat([train, table[table[_FOLDER] == "TEST"]])
    cohort = pd.DataFrame(
        {
            "file": table[_NAME],
            "path": _image_paths(root, table[_NAME]),
            "group": table["group"],
            "patient": _coronahack_patients(table),
            "source": table["group"].map(lambda group: "cohen" if group == "covid" else "kermany"),
        }
    ).reset_index(drop=True)
    return with_targets(cohort)


def with_targets(cohort):
    """Adds the five target columns that follow from the `group` column."""
    columns = pd.DataFrame(
        targets.encode(cohort["group"]), columns=list(targets.TARGETS), index=cohort.index
    )
    return pd.concat([cohort, columns], axis=1)


def sample(cohort, counts):
    """Draws radiographs group by group, as the paper did (pandas, random state 42).

    Args:
        cohort: A cohort.
        counts: Group name -> number of radiographs. A group that is taken whole keeps its order.

    Raises:
        InputError: A group has fewer radiographs than asked for.
    """
    parts = []
    for group, n in counts.items():
        rows = cohort[cohort["group"] == group]
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
    parts = []
    for group, rows in cohort.groupby("group", sort=False):
        if len(rows) < 3:
            raise InputError(
                f"{len(rows)} {group} radiographs cannot be split in three: raise `{group}`"
            )
        rest, test = train_test_split(rows, test_size=0.2, random_state=718)
        train, validation = train_test_split(rest, test_size=0.2, random_state=718)
        parts += [part.assign(split=name) for name, part in zip(SPLITS, (train, validation, test))]
    return pd.concat(parts).reset_index(drop=True)


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


def _coronahack_metadata(root):
    needed = {_NAME, _LABEL, _FOLDER, _VIRUS, _CAUSE}
    files = sorted(root.rglob("*.csv"))
    tables = {file: _columns(file) for file in files if file.is_file()}
    for file, columns in tables.items():
        if needed <= columns:
            return pd.read_csv(file)
    nearest = max(tables, key=lambda file: len(needed & tables[file]), default=None)
    if nearest is None:
        raise InputError(
            f"no metadata file below {root}: Chest_xray_Corona_Metadata.csv is missing"
        )
    missing = ", ".join(sorted(needed - tables[nearest]))
    raise InputError(f"{nearest} lacks the column {missing}: take CoronaHack's own metadata file")


def _columns(file):
    """Gives a CSV file's column names; none if it is something else."""
    try:
        return set(pd.read_csv(file, nrows=0).columns)
    except ValueError:
        return set()


def _coronahack_groups(table):
    """Gives each metadata row its group, or None where the paper drops the row."""
    unknown = set(table[_LABEL]) - {"Normal", "Pnemonia"}
    if unknown:
        raise InputError(f"unknown {_LABEL} {sorted(map(str, unknown))[0]!r} in the metadata")
    facts = table[[_LABEL, _CAUSE, _VIRUS]].astype(object).fillna("")
    groups = {
        ("Normal", "", ""): "normal",
        ("Pnemonia", "Virus", ""): "virus",
        ("Pnemonia", "bacteria", ""): "bacteria",
        ("Pnemonia", "Virus", "COVID-19"): "covid",
        ("Pnemonia", "Virus", "SARS"): "covid",
    }
    return [groups.get(row) for row in facts.itertuples(index=False, name=None)]


def _spreadsheet_key(names):
    """Sorts as the paper's spreadsheet did: no case, no hyphen or apostrophe, underscore first."""
    return names.str.lower().str.replace("[-']", "", regex=True).str.replace("_", " ")


def _image_paths(root, names):
    found = {path.name: str(path) for path in root.rglob("*") if path.suffix.lower() in _IMAGES}
    missing = [name for name in names if name not in found]
    if missing:
        raise InputError(
            f"{len(missing)} images of the metadata are not below {root}"
            f" ({missing[0]} is the first): unpack the whole dataset there"
        )
    return names.map(found)


def _coronahack_patients(table):
    """Names who a radiograph shows, as far as file names and Cohen's metadata tell.

    Kermany's person number counts within its class: most numbers occur in both, so the same
    number in virus and bacteria is taken for two people.
    """
    with resources.files("cxrlib.facts").joinpath("covid_patients.csv").open() as file:
        covid = pd.read_csv(file).set_index("file")["patient"]

    def patient(name, group):
        if group == "covid":
            return f"cohen-{covid.get(name, name)}"
        study = re.match(r"person\d+|(?:NORMAL2-)?IM-\d+", name)
        return f"{group}-{study[0]}" if study else f"{group}-{name}"

    return [patient(*row) for row in zip(table[_NAME], table["group"])]
