"""Readers: from the layouts that radiographs come in to a cohort (see `cxrlib.cohort`)."""

import ast
from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd

from cxrlib import targets
from cxrlib.cohort import folders, metadata, tables
from cxrlib.cohort.own import ADULT, KNOWN, OPTIONAL, read_folder, read_view
from cxrlib.cohort.own import listed as listed_by_a_user
from cxrlib.errors import InputError

COLUMNS = ("file", "path", "group", "patient", "source", *OPTIONAL, *targets.TARGETS)

LATERAL = (
    "35AF5C3B-D04D-4B4B-92B7-CB1F67D83085.jpeg",
    "44C8E3D6-20DA-42E9-B33B-96FA6D6DE12F.jpeg",
    "4C4DEFD8-F55D-4588-AAD6-C59017F55966.jpeg",
    "D5ACAA93-C779-4E22-ADFA-6A220489F840.jpeg",
)
"""Side views among the COVID images, dropped by the paper."""

NOT_FRONTAL, UNSETTLED = "not frontal", "finding settles no target"
"""Why a reader leaves radiographs of a collection out."""

_NAME, _LABEL, _FOLDER = "X_ray_image_name", "Label", "Dataset_type"
_VIRUS, _CAUSE = "Label_2_Virus_category", "Label_1_Virus_category"
_PERSON = r"^(person\d+|(?:NORMAL2-)?IM-\d+)"
_OTHER_PNEUMONIA = (0, 1, 0, 0, 0)
_CORONAHACK = (_NAME, _LABEL, _FOLDER, _VIRUS, _CAUSE)
_COVID_CHESTXRAY = ("patientid", "finding", "view", "modality", "age", "filename", "doi", "url")
_DROPPED = {  # by the paper, as it says
    ("Pnemonia", "Stress-Smoking", "ARDS"),
    ("Pnemonia", "bacteria", "Streptococcus"),
}
_LABELLED = {  # of what CoronaHack's three label columns say
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
    table, notes, _ = _coronahack(root)
    metadata.warn(root, notes)
    unknown = sorted(set(table[_LABEL]) - {"Normal", "Pnemonia"})
    if unknown:
        raise InputError(f"unknown {_LABEL} {unknown[0]!r} in the metadata")
    train = table[table[_FOLDER] == "TRAIN"].sort_values(_NAME, key=_spreadsheet_key)
    table = pd.concat([train, table[table[_FOLDER] == "TEST"]])
    cohort = pd.DataFrame(
        {
            "file": table[_NAME],
            "path": metadata.image_paths(root, table[_NAME]),
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
    table, notes, _ = _covid_chestxray(root)
    metadata.warn(root, notes)
    table = table.query("group != ''").reset_index(drop=True)
    patients = table["patientid"].where(table["patientid"] != "", table["filename"])
    cohort = pd.DataFrame(
        {
            "file": table["filename"],
            "path": metadata.image_paths(root, table["filename"], table["place"]),
            "group": table["group"],
            "patient": "cohen-" + patients,
            "source": "cohen",
            "publication": _publications(table),
            "view": table["view"],
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
    counts = _covid_chestxray(root)[0].groupby(facts).size().rename("radiographs").reset_index()
    return counts.sort_values("radiographs", ascending=False, kind="stable", ignore_index=True)


def left_out(place):
    """Counts the radiographs that a dataset holds and its reader leaves out.

    Args:
        place: As `read` takes it.

    Returns:
        DataFrame: reason, finding ("" where it is not the finding's doing), radiographs. Empty of a
        user's own table, of which every radiograph is read.
    """
    layout = _layout(Path(place))[0]
    rows = []
    if layout in _COLLECTIONS:
        for note in _COLLECTIONS[layout](place)[2]:
            named = note.column in ("finding", _LABEL)
            reason = UNSETTLED if named else NOT_FRONTAL
            rows.append((reason, ast.literal_eval(note.was) if named else "", note.rows))
    counted = pd.DataFrame(rows, columns=["reason", "finding", "radiographs"])
    return counted.groupby(["reason", "finding"], sort=False, as_index=False).sum()


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
        table = _coronahack(place)[0]
        return metadata.placed(place, table[_NAME], table[["group"]])
    if layout == "covid-chestxray":
        table = _covid_chestxray(place)[0].query("group != ''").reset_index(drop=True)
        labels = table[["group", *targets.TARGETS]]
        return metadata.placed(place, table["filename"], labels, table["place"])
    if layout == "table":
        return listed_by_a_user(path)[0].drop(columns="path_there")
    paths = folders.images(place)
    if not paths:
        raise InputError(f"no images below {place}: point at your radiographs")
    names = [path.relative_to(place).as_posix() for path in paths]
    return pd.DataFrame({"file": names, "path": [str(path) for path in paths]})


def changes(place):
    """Lists what is changed and what is left out where a dataset is read.

    Of a user's own table also the columns that are not read.

    Args:
        place: As `listed` takes it.

    Returns:
        DataFrame: column ("" for whole rows and columns), rows (how many), was (the first of them,
        quoted), and now: how it is read, or why it is left out.

    Raises:
        InputError: As `listed`.
    """
    layout, path = _layout(Path(place))
    notes = []
    if layout == "table":
        notes = listed_by_a_user(path)[1]
    elif layout != "images":
        _, changed, dropped = _COLLECTIONS[layout](place)
        notes = [*changed, *dropped]
    return pd.DataFrame(notes, columns=tables.Note._fields)


def _layout(place):
    """Recognises a dataset's layout: its name, and the file that lists the radiographs."""
    if not place.exists():
        raise InputError(f"no file or folder {place}: point at your radiographs")
    if place.is_file():
        return "table", place
    for name, needed in (("coronahack", _CORONAHACK), ("covid-chestxray", _COVID_CHESTXRAY)):
        found = metadata.nearest(place, needed)
        if found:
            return name, found
    beside = [path for path in metadata.lists(place) if path.parent == place]
    for needed in (("file", "group"), ("file", *targets.TARGETS), ("file",)):
        found = metadata.one(
            [path for path in beside if set(needed) <= tables.columns(path, KNOWN)]
        )
        if found:
            return "table", found
    return "images", place


def _coronahack(root):
    """Reads CoronaHack's metadata: the rows that have a group, what was changed, what is left out.

    A row whose label is not CoronaHack's keeps that label as its group.
    """
    root = metadata.folder(root, "the unpacked CoronaHack dataset")
    table, notes, file = metadata.read(root, _CORONAHACK, "Chest_xray_Corona_Metadata.csv")
    rules = dict.fromkeys((_LABEL, _CAUSE, _VIRUS), tables.fact)
    rules |= {_NAME: tables.clean, _FOLDER: tables.choice("TRAIN", "TEST")}
    tables.normalise(table, rules, notes)
    unknown = sorted(set(table[_FOLDER]) - {"TRAIN", "TEST"})
    if unknown:
        raise InputError(f"{file}: unknown {_FOLDER} {unknown[0]!r}: TRAIN or TEST")
    metadata.refuse_twice(table[_NAME])
    lateral, left_out = table[_NAME].isin(LATERAL), []
    if lateral.any():
        left_out.append(tables.Note("", int(lateral.sum()), "", "lateral views, left out"))
    table = table[~lateral].assign(group=_coronahack_groups)
    heard = table[_LABEL].isin(["Normal", "Pnemonia"])
    table["group"] = table["group"].where(heard, table[_LABEL])
    dropped = table[table["group"].isna()]
    for facts, rows in dropped.groupby([_LABEL, _CAUSE, _VIRUS]):
        note = tables.Note(_LABEL, len(rows), repr("/".join(filter(None, facts))), "left out")
        (left_out if facts in _DROPPED else notes).append(note)
    return table[table["group"].notna()].reset_index(drop=True), notes, left_out


def _coronahack_groups(table):
    """Returns each metadata row its group, or None where the paper drops the row."""
    facts = table[[_LABEL, _CAUSE, _VIRUS]]
    return [_LABELLED.get(row) for row in facts.itertuples(index=False, name=None)]


def _spreadsheet_key(names):
    """Sorts as the paper's spreadsheet did: no case, no hyphen or apostrophe, underscore first."""
    return names.str.lower().str.replace("[-']", "", regex=True).str.replace("_", " ")


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
    """Reads the frontal rows of Cohen's metadata, each with what its finding means here.

    Returns:
        The rows, what was changed, and what is left out.
    """
    root = metadata.folder(root, "Cohen et al.'s collection")
    table, notes, file = metadata.read(root, _COVID_CHESTXRAY, "metadata.csv", also=("folder",))
    known = findings()
    heard = tables.choice(*known["finding"])
    rules = dict.fromkeys(("filename", "folder"), tables.clean)
    rules |= {"patientid": tables.identifiers(), "modality": tables.choice("X-ray", xray="X-ray")}
    tables.normalise(table, rules, notes)
    tables.note_alike(table, ("patientid",), notes)
    table["view"] = table["view"].map(read_view)
    frontal = table["view"].isin(["PA", "AP"]) & (table["modality"] == "X-ray")
    left_out = [
        tables.Note("view", int(n), repr(f"{view} {modality}".strip()), "left out")
        for (view, modality), n in table[~frontal].groupby(["view", "modality"]).size().items()
    ]
    table = table[frontal].assign(finding=table["finding"].map(_last_word).map(heard))
    table = table.merge(known, on="finding", how="left")  # keeps the order
    unheard = table["group"].isna()
    table.loc[unheard, ["group", "reason"]] = ["", "not in our table"]
    dropped = table[table["group"] == ""]
    for (finding, reason), rows in dropped.groupby(["finding", "reason"], sort=False):
        why = f"left out: {reason}" if reason else "left out"
        left_out.append(tables.Note("finding", len(rows), repr(finding), why))
    metadata.refuse_twice(table["filename"])
    places = table.get("folder", pd.Series("images", table.index))
    table["place"] = [file.parent / place for place in places]
    answers = [targets.GROUPS.get(group, _OTHER_PNEUMONIA) for group in table["group"]]
    answers = pd.DataFrame(answers, columns=list(targets.TARGETS), dtype=np.uint8)
    return table.join(answers), notes, left_out


def _age_groups(ages):
    """Turns years into "adult" or "child", and what is no number into ""."""
    years = pd.to_numeric(ages, errors="coerce")
    groups = np.select([years >= ADULT, years < ADULT], ["adult", "child"], "")
    return pd.Series(groups, index=years.index)


def _publications(table):
    """Names what an image was cut from: its DOI, or else the page it was found on."""
    doi, pages = (table[name].map(tables.fact) for name in ("doi", "url"))
    pages = pages.str.replace(r"^https?://(www\.)?", "", regex=True).str.rstrip("/")
    return doi.str.lower().where(doi != "", pages)


def _last_word(finding):
    """Shortens a finding such as Pneumonia/Viral/COVID-19 to its last part."""
    return str(finding).split("/")[-1].strip()


_COLLECTIONS = {"coronahack": _coronahack, "covid-chestxray": _covid_chestxray}
"""Function of a collection's folder that returns its rows, what was changed, what is left out."""
