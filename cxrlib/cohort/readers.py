"""Readers: from the layouts that radiographs come in to a cohort (see `cxrlib.cohort`)."""

from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd

from cxrlib import targets
from cxrlib.errors import InputError
from cxrlib.images import decode

FACTS = ("publication", "view", "age_group")
"""Columns that are "" where nothing is known."""

COLUMNS = ("file", "path", "group", "patient", "source", *FACTS, *targets.TARGETS)
SPLITS = ("train", "validation", "test")

OTHER = "other"
"""The group of radiographs whose targets are those of no group: pneumonia by a fungus, say."""

LATERAL = (
    "35AF5C3B-D04D-4B4B-92B7-CB1F67D83085.jpeg",
    "44C8E3D6-20DA-42E9-B33B-96FA6D6DE12F.jpeg",
    "4C4DEFD8-F55D-4588-AAD6-C59017F55966.jpeg",
    "D5ACAA93-C779-4E22-ADFA-6A220489F840.jpeg",
)
"""Side views among the COVID images, dropped by the paper."""

_NAME, _LABEL, _FOLDER = "X_ray_image_name", "Label", "Dataset_type"
_VIRUS, _CAUSE = "Label_2_Virus_category", "Label_1_Virus_category"
_PERSON = r"^(person\d+|(?:NORMAL2-)?IM-\d+)"
_IMAGES = {".jpeg", ".jpg", ".png", ".dcm", ".tif", ".tiff", ".bmp", ".jp2", ".webp"}
_FRONTAL = {"PA": "PA", "AP": "AP", "AP Supine": "AP", "AP Erect": "AP"}
_VIEWS = ("PA", "AP")
_OTHER_PNEUMONIA = (0, 1, 0, 0, 0)
_CORONAHACK = {_NAME, _LABEL, _FOLDER, _VIRUS, _CAUSE}
_COVID_CHESTXRAY = {"patientid", "finding", "view", "modality", "age", "filename", "doi", "url"}
_GROUPS = {  # of what CoronaHack's three label columns say
    ("Normal", "", ""): "normal",
    ("Pnemonia", "Virus", ""): "virus",
    ("Pnemonia", "bacteria", ""): "bacteria",
    ("Pnemonia", "Virus", "COVID-19"): "covid",
    ("Pnemonia", "Virus", "SARS"): "covid",
}


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
    root = _folder(root, "the unpacked CoronaHack dataset")
    table = _metadata(root, _CORONAHACK, "Chest_xray_Corona_Metadata.csv")
    unknown = sorted(map(str, set(table[_LABEL]) - {"Normal", "Pnemonia"}))
    if unknown:
        raise InputError(f"unknown {_LABEL} {unknown[0]!r} in the metadata")
    table = table[~table[_NAME].isin(LATERAL)].assign(group=_coronahack_groups)
    table = table[table["group"].notna()]
    train = table[table[_FOLDER] == "TRAIN"].sort_values(_NAME, key=_spreadsheet_key)
    table = pd.concat([train, table[table[_FOLDER] == "TEST"]])
    cohort = pd.DataFrame(
        {
            "file": table[_NAME],
            "path": _image_paths(root, table[_NAME]),
            "group": table["group"],
            **_coronahack_facts(table),
        }
    ).reset_index(drop=True)
    answers = pd.DataFrame(targets.encode(cohort["group"]), columns=list(targets.TARGETS))
    return pd.concat([cohort, answers], axis=1)


def read_covid_chestxray(root):
    """Reads Cohen et al.'s collection: frontal radiographs whose finding says what the targets are.

    Args:
        root: Folder that holds the collection: metadata.csv and the images it lists.

    Returns:
        A cohort in the metadata's order; `finding` keeps what the collection says. Lateral views,
        tomograms and findings that settle no target (see `findings`) are left out.

    Raises:
        InputError: No folder, no metadata, a column it lacks, or images that are not there.
    """
    table = _covid_chestxray(root).query("group != ''").reset_index(drop=True)
    cohort = pd.DataFrame(
        {
            "file": table["filename"],
            "path": _image_paths(Path(root), table["filename"]),
            "group": table["group"],
            "patient": "cohen-" + table["patientid"].astype(str),
            "source": "cohen",
            "publication": _publications(table),
            "view": table["view"].map(_FRONTAL),
            "age_group": _age_groups(table["age"]),
        }
    )
    return pd.concat([cohort, table[[*targets.TARGETS, "finding"]]], axis=1)


def same_patients():
    """Returns which patients the collections hold under two names, as `duplicates` found them out.

    Returns:
        Dict of a patient's name -> the name it goes by here.
    """
    with resources.files("cxrlib.cohort").joinpath("facts", "same_patients.csv").open() as file:
        return pd.read_csv(file).set_index("patient")["same_as"].to_dict()


def findings():
    """Returns what Cohen et al.'s findings mean here.

    Returns:
        DataFrame: finding, group (a group, "other", or "" where it settles no target), reason.
    """
    with resources.files("cxrlib.cohort").joinpath("facts", "cohen_findings.csv").open() as file:
        return pd.read_csv(file, keep_default_na=False)


def count_findings(root):
    """Counts the frontal radiographs of Cohen et al.'s collection by finding.

    Args:
        root: As `read_covid_chestxray` takes it.

    Returns:
        DataFrame: finding, group ("" where the finding is left out), reason, radiographs; the
        commonest first.
    """
    facts = ["finding", "group", "reason"]
    counts = _covid_chestxray(root).groupby(facts).size().rename("radiographs").reset_index()
    return counts.sort_values("radiographs", ascending=False, kind="stable", ignore_index=True)


def read_folder(table):
    """Reads a user's own radiographs, listed in a CSV file.

    Args:
        table: The CSV file. Its columns: `file`, a path from the CSV's folder; `group`, or the five
            targets as 0 and 1. Besides, where known, patient, source, publication, view, age_group
            and split (train, validation, test: it is then kept). Without `view`, DICOM files say.

    Returns:
        A cohort in the file's order. Without `patient`, each radiograph counts as a patient of its
        own. Where the targets are those of no group, the group is "other".

    Raises:
        InputError: No such file, a column it lacks or does not know the meaning of, a file listed
            twice or missing, a value that is not one of the choices.
    """
    table = Path(table)
    if not table.is_file():
        raise InputError(f"no file {table}: list your radiographs there, a row each")
    rows = _rows(table)
    problems = _folder_problems(rows, table)
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise InputError(f"{table}: {problems[0]}{more}")
    if "group" not in rows:
        answers = rows[list(targets.TARGETS)].astype(np.uint8)
        rows["group"] = [group or OTHER for group in targets.decode(answers)]
    else:
        answers = pd.DataFrame(targets.encode(rows["group"]), columns=list(targets.TARGETS))
    files = rows["file"]
    paths = [str(table.parent / file) for file in files]
    facts = {name: rows.get(name, "") for name in FACTS}
    if "view" not in rows:
        views = [decode.dicom_facts(path)["view"] for path in paths]
        facts["view"] = [view if view in _VIEWS else "" for view in views]
    cohort = pd.DataFrame(
        {
            "file": files,
            "path": paths,
            "group": rows["group"],
            "patient": rows.get("patient", files).where(lambda patient: patient != "", files),
            "source": rows.get("source", table.stem),
            **facts,
        }
    )
    return pd.concat([cohort, answers, rows[["split"] if "split" in rows else []]], axis=1)


def read(place):
    """Reads a dataset in any layout that has a reader.

    Args:
        place: As `listed` takes it.

    Returns:
        A cohort.

    Raises:
        InputError: As the layout's reader, or no layout is recognised.
    """
    layout, table = _layout(Path(place))
    if layout == "images":
        raise InputError(f"no table below {place} lists radiographs: write a CSV file, a row each")
    if layout == "table":
        return read_folder(table)
    return {"coronahack": read_coronahack, "covid-chestxray": read_covid_chestxray}[layout](place)


def listed(place):
    """Lists the radiographs of a dataset as they are, right or wrong.

    Args:
        place: CoronaHack's folder, Cohen et al.'s, a CSV file as `read_folder` takes it, a folder
            with one in it, or a folder of images.

    Returns:
        DataFrame: file, path (of a missing file: where it should be) and the labels that the
        dataset gives, unchecked. Rows that a reader leaves out are left out.

    Raises:
        InputError: There is no such file or folder, no image below it, or no table in the file.
    """
    place = Path(place)
    layout, path = _layout(place)
    if layout == "coronahack":
        table = pd.read_csv(path)
        table = table[~table[_NAME].isin(LATERAL)].assign(group=_coronahack_groups)
        known = table[_LABEL].isin(["Normal", "Pnemonia"])
        table["group"] = table["group"].where(known, table[_LABEL].astype(str))
        table = table[table["group"].notna()].reset_index(drop=True)
        return _placed(place, table[_NAME], table["group"])
    if layout == "covid-chestxray":
        table = _covid_chestxray(place).query("group != ''").reset_index(drop=True)
        return _placed(place, table["filename"], table[["group", *targets.TARGETS]])
    if layout == "table":
        rows = _rows(path)
        if "file" not in rows:
            raise InputError(f"{path} lacks the column file: name an image in each row")
        return rows.assign(path=[str(path.parent / file) for file in rows["file"]])
    paths = sorted(path for path in place.rglob("*") if path.suffix.lower() in _IMAGES)
    if not paths:
        raise InputError(f"no images below {place}: point at your radiographs")
    names = [str(path.relative_to(place)) for path in paths]
    return pd.DataFrame({"file": names, "path": [str(path) for path in paths]})


def _layout(place):
    """Recognises a dataset's layout: its name, and the file that lists the radiographs."""
    if not place.exists():
        raise InputError(f"no file or folder {place}: point at your radiographs")
    if place.is_file():
        return "table", place
    tables = sorted(path for path in place.rglob("*.csv") if path.is_file())
    columns = {path: _columns(path) for path in tables}
    for name, needed in (("coronahack", _CORONAHACK), ("covid-chestxray", _COVID_CHESTXRAY)):
        for path in tables:
            if needed <= columns[path]:
                return name, path
    own = [path for path in tables if path.parent == place and "file" in columns[path]]
    return ("table", own[0]) if own else ("images", place)


def _folder(root, what):
    root = Path(root)
    if not root.is_dir():
        raise InputError(f"no folder {root}: point `data` at {what}")
    return root


def _metadata(root, needed, name):
    """Finds and reads the CSV file below a folder that has the columns needed."""
    files = sorted(root.rglob("*.csv"))
    tables = {file: _columns(file) for file in files if file.is_file()}
    for file, columns in tables.items():
        if needed <= columns:
            return pd.read_csv(file)
    if not tables:
        raise InputError(f"no metadata file below {root}: {name} belongs there")
    nearest = max(tables, key=lambda file: len(needed & tables[file]))
    missing = sorted(needed - tables[nearest])[0]
    raise InputError(f"{nearest} lacks the column {missing}: take {name} itself")


def _columns(file):
    """Returns a CSV file's column names; none if it is something else."""
    try:
        return set(pd.read_csv(file, nrows=0).columns)
    except ValueError:
        return set()


def _coronahack_groups(table):
    """Returns each metadata row its group, or None where the paper drops the row."""
    facts = table[[_LABEL, _CAUSE, _VIRUS]].astype(object).fillna("")
    return [_GROUPS.get(row) for row in facts.itertuples(index=False, name=None)]


def _spreadsheet_key(names):
    """Sorts as the paper's spreadsheet did: no case, no hyphen or apostrophe, underscore first."""
    return names.str.lower().str.replace("[-']", "", regex=True).str.replace("_", " ")


def _found(root):
    return {path.name: str(path) for path in root.rglob("*") if path.suffix.lower() in _IMAGES}


def _image_paths(root, names):
    found = _found(root)
    missing = [name for name in names if name not in found]
    if missing:
        raise InputError(
            f"{len(missing)} images of the metadata are not below {root}"
            f" ({missing[0]} is the first): unpack the whole dataset there"
        )
    return names.map(found)


def _coronahack_facts(table):
    """Returns each row's patient, source, publication, view and age group, as far as known.

    Kermany's images are antero-posterior, of children of one to five (Kermany et al. 2018). Their
    person number counts within its class: most numbers occur in both, so the same number in virus
    and bacteria is taken for two people. Of Cohen's images his own metadata tells.
    """
    with resources.files("cxrlib.cohort").joinpath("facts", "covid_images.csv").open() as file:
        cohen = pd.read_csv(file, dtype=str, keep_default_na=False).set_index("file")
    covid = table["group"] == "covid"
    names = table[_NAME]
    known = cohen.reindex(names).fillna("").set_axis(table.index)
    person = table["group"] + "-" + names.str.extract(_PERSON)[0].fillna(names)
    patient = "cohen-" + known["patient"].where(known["patient"] != "", names)
    return {
        "patient": patient.where(covid, person),
        "source": covid.map({True: "cohen", False: "kermany"}),
        "publication": known["publication"].where(covid, ""),
        "view": known["view"].where(covid, "AP"),
        "age_group": _age_groups(known["age"]).where(covid, "child"),
    }


def _covid_chestxray(root):
    """Reads the frontal rows of Cohen's metadata, each with what its finding means here."""
    root = _folder(root, "Cohen et al.'s collection")
    table = _metadata(root, _COVID_CHESTXRAY, "metadata.csv")
    frontal = table["view"].isin(_FRONTAL) & (table["modality"] == "X-ray")
    table = table[frontal].assign(finding=table["finding"].map(_last_word))
    table = table.merge(findings(), on="finding", how="left")  # keeps the order
    unheard = table["group"].isna()
    table.loc[unheard, ["group", "reason"]] = ["", "not in our table"]
    answers = [targets.GROUPS.get(group, _OTHER_PNEUMONIA) for group in table["group"]]
    return table.join(pd.DataFrame(answers, columns=list(targets.TARGETS), dtype=np.uint8))


def _age_groups(ages):
    """Turns years into "adult" or "child", and what is no number into ""."""
    years = pd.to_numeric(ages, errors="coerce")
    groups = np.select([years >= 18, years < 18], ["adult", "child"], "")
    return pd.Series(groups, index=years.index)


def _publications(table):
    """Names what an image was cut from: its DOI, or else the page it was found on."""
    doi, pages = (table[name].astype(object).fillna("").str.strip() for name in ("doi", "url"))
    pages = pages.str.replace(r"^https?://(www\.)?", "", regex=True).str.rstrip("/")
    return doi.str.lower().where(doi != "", pages)


def _last_word(finding):
    """Shortens a finding such as Pneumonia/Viral/COVID-19 to its last part."""
    return str(finding).split("/")[-1].strip()


def _folder_problems(rows, table):
    """Lists what is wrong with a user's table, the first first."""
    answers = ["group"] if "group" in rows else list(targets.TARGETS)
    lacking = [name for name in ("file", *answers) if name not in rows]
    if lacking:
        return [f"the column {name} is missing" for name in lacking]
    choices = {"group": tuple(targets.GROUPS), "split": SPLITS, "view": (*_VIEWS, "")}
    choices |= {"age_group": ("adult", "child", "")}
    choices |= {name: ("0", "1") for name in targets.TARGETS}
    problems = [f"{file} is listed twice" for file in rows["file"][rows["file"].duplicated()]]
    for name in choices.keys() & set(rows):
        for file, value in zip(rows["file"], rows[name]):
            if value not in choices[name]:
                known = ", ".join(choice for choice in choices[name] if choice)
                problems.append(f"{file}: {name} {value!r} is none of {known}")
    missing = [file for file in rows["file"] if not (table.parent / file).is_file()]
    return problems + [f"{file} is not there" for file in missing]


def _placed(root, names, labels):
    """Lists files by the names that metadata give, there or not."""
    found = _found(root)
    paths = [found.get(name, str(root / name)) for name in names]
    return pd.concat([pd.DataFrame({"file": names, "path": paths}), labels], axis=1)


def _rows(table):
    try:
        return pd.read_csv(table, dtype=str, keep_default_na=False)
    except ValueError as error:
        raise InputError(f"{table} is not a CSV file: {error}") from error
