"""A user's own radiographs, listed in a table: read by one rule a column, and checked."""

import functools
import posixpath
import re
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from cxrlib import targets
from cxrlib.cohort import folders, tables
from cxrlib.errors import InputError, InputWarning
from cxrlib.images import decode
from cxrlib.targets import GROUPS, TARGETS

OPTIONAL = ("publication", "view", "age_group")
"""Columns that are "" where nothing is known."""

SPLITS = ("train", "validation", "test")

OTHER = "other"
"""The group of radiographs whose targets are those of no group: fungal pneumonia, say."""

KNOWN = ("file", "group", "patient", "source", *OPTIONAL, "split", *TARGETS)
"""Columns of a table that mean something here."""

_MEANT = {
    "file": "image imagefile imagename imagepath filename filepath path name",
    "group": "label labels class diagnosis finding",
    "patient": "patientid patientname patientnumber subject subjectid person personid pid mrn",
    "source": "site hospital institution dataset collection",
    "publication": "doi paper article",
    "view": "projection viewposition position",
    "age_group": "age patientage",
    "split": "set subset partition",
    "Virus": "viral",
    "COVID": "covid19 sarscov2",
    "": "patientsex patientgender",  # alike to a name here, and not meant for it
}
_MEANT = {word: name for name, words in _MEANT.items() for word in words.split()}
"""What people call columns that mean something here, in letters and figures alone."""

_SPELLINGS = {"val": "validation", "valid": "validation", "dev": "validation"}
_SPELLINGS |= {"training": "train", "testing": "test"}
_POSTURES = {
    "supine", "erect", "semi", "upright", "portable", "mobile", "bedside", "sitting", "standing",
    "chest", "view", "projection",
}  # fmt: skip
_VIEWS = {
    "pa": "PA", "posteroanterior": "PA", "postero anterior": "PA", "posterior anterior": "PA",
    "ap": "AP", "anteroposterior": "AP", "antero posterior": "AP", "anterior posterior": "AP",
}  # fmt: skip
ADULT = 18
"""Years from which somebody is an adult."""


class Fault(NamedTuple):
    """What is wrong with a row: the file, the problem, its mend, and all of it as a sentence."""

    file: str
    problem: str
    mend: str
    said: str


def read_folder(table):
    """Reads a user's own radiographs, listed in a CSV file.

    Args:
        table: The CSV file. Its columns: `file`, a path from the CSV's folder; `group`, or the five
            targets as 0 and 1, or both where they agree. Besides, where known, patient, source,
            publication, view, age_group and split (train, validation, test: it is then kept).
            Without `view`, DICOM files say.

    Returns:
        A cohort in the file's order. Without `patient`, each radiograph counts as a patient of its
        own. Where the targets are those of no group, the group is "other". What was changed on
        reading, and which columns were not read (see `tables`), is said in an `InputWarning`.

    Raises:
        InputError: No such file, no row in it, a column it lacks, a file listed twice or missing, a
            value that is not one of the choices, or answers that contradict each other.
    """
    table = Path(table)
    rows, notes = listed(table)
    if notes:  # what was not read may be why something is wrong
        said = "; ".join(map(str, notes))
        warnings.warn(f"{table}: {said}", InputWarning, stacklevel=2)
    problems = [fault.said for fault in faults(rows)]
    problems += [f"{row.file} is not there" for row in rows.itertuples() if not row.path_there]
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise InputError(f"{table}: {problems[0]}{more}")
    answers = _answers(rows)
    groups = [group or OTHER for group in targets.decode(answers)]
    files = rows["file"]
    facts = {name: rows.get(name, "") for name in OPTIONAL}
    if "view" not in rows:
        views = [decode.dicom_facts(path)["view"] for path in rows["path"]]
        facts["view"] = [view if view in ("PA", "AP") else "" for view in views]
    cohort = pd.DataFrame(
        {
            "file": files,
            "path": rows["path"],
            "group": groups,
            "patient": rows.get("patient", files).where(lambda patient: patient != "", files),
            "source": rows.get("source", folders.text(table.stem)),
            **facts,
        }
    )
    return pd.concat([cohort, answers, rows[["split"] if "split" in rows else []]], axis=1)


def listed(table):
    """Lists a user's table as it is, right or wrong, each cell by its column's rule.

    Args:
        table: The file.

    Returns:
        DataFrame with the columns of `KNOWN` that are there (str), path, and path_there: whether a
        file is there; and a list of `tables.Note`. The file is a name that can be written (see
        `folders.text`), the path the one that opens it.

    Raises:
        InputError: No such file, no table, no column `file`, or no row.
    """
    table = Path(table)
    if not table.is_file():
        raise InputError(f"no file {table}: list your radiographs there, a row each")
    rows, notes = tables.read(table, KNOWN, _MEANT)
    if "file" not in rows:
        hint = tables.missed("file", notes)
        raise InputError(f"{table} lacks the column file: name an image in each row{hint}")
    if rows.empty:
        raise InputError(f"{table} lists no radiographs: write a row each")
    written = rows["file"].copy()
    tables.normalise(rows, _rules(table.parent), notes)
    tables.note_alike(rows, ("patient", "publication"), notes)
    rows["file"] = _same_files(table.parent, rows["file"], notes)
    rows = _once(rows, written, notes)
    for name in ("split", "group"):  # a column that says nothing
        if name in rows and (rows[name] == "").all():
            rows = rows.drop(columns=name)
    rows["path"] = [str(table.parent / file) if file else "" for file in rows["file"]]
    rows["path_there"] = [not path or folders.is_there(path) for path in rows["path"]]
    rows["file"] = ["/".join(map(folders.text, file.split("/"))) for file in rows["file"]]
    return rows, notes


def faults(rows):
    """Finds rows without a file, files listed twice, and labels that mean nothing or clash.

    Args:
        rows: A cohort, or what `listed` returns.

    Yields:
        `Fault`, column by column.
    """
    for file in rows["file"][rows["file"].duplicated() & (rows["file"] != "")]:
        yield Fault(file, "listed twice", "keep one row", f"{file} is listed twice")
    for _ in rows["file"][rows["file"] == ""]:
        yield Fault("", "a row names no file", "name an image", "a row names no file: name one")
    lacking = [name for name in TARGETS if name not in rows]
    if lacking and "group" not in rows:
        said = f"the column {lacking[0]} is missing: write a group, or all five targets"
        yield Fault("", "no labels", "list the files in a CSV file with their group", said)
        return
    wrong = set()
    for name, known in _choices(rows).items():
        for i, value in enumerate(rows.get(name, ())):
            given = name in TARGETS and value == "" and rows.get("group", {}).get(rows.index[i], "")
            if str(value) in known or given in GROUPS:
                continue
            file, shown = rows["file"].iloc[i], ", ".join(filter(None, known))
            wrong.add(i)
            said = f"{file}: {name} {str(value)!r} is none of {shown}"
            yield Fault(file, f"{name} {str(value)!r} is unknown", f"one of {shown}", said)
    yield from _contradictions(rows, wrong)


def _contradictions(rows, wrong):
    """Finds rows whose answers contradict each other, but for rows that are wrong anyhow."""
    right = rows[[i not in wrong for i in range(len(rows))]]
    groups = right["group"] if "group" in right else [""] * len(right)
    answers = _answers(right).to_numpy().tolist()
    for file, group, given in zip(right["file"], groups, answers):
        clash = targets.contradiction(given, group)
        if clash:
            mend = "find out which is right"
            yield Fault(file, clash, mend, f"{file}: {clash}: {mend}")


def _choices(rows):
    """Returns what each column may hold: a group may be left to the targets where all are there."""
    open_groups = (OTHER, "") if set(TARGETS) <= set(rows) else ()
    choices = {"group": (*GROUPS, *open_groups), "split": SPLITS}
    return choices | dict.fromkeys(TARGETS, ("0", "1"))


def _answers(rows):
    """Returns the five targets of each row, uint8: its own, or else its group's."""
    groups = rows["group"] if "group" in rows else pd.Series("", rows.index)
    answers = {}
    for i, name in enumerate(TARGETS):
        own = rows[name] if name in rows else pd.Series("", rows.index)
        of_group = groups.map(lambda group, i=i: GROUPS[group][i] if group in GROUPS else 0)
        answers[name] = own.where(own.astype(str) != "", of_group).astype(np.uint8)
    return pd.DataFrame(answers, index=rows.index)


def _rules(folder):
    """Returns the rule of each column."""
    return {
        "file": folders.Paths(folder).find,
        "group": tables.choice(*GROUPS, OTHER),
        "patient": tables.identifiers(),
        "source": tables.fact,
        "publication": tables.identifiers(),
        "view": read_view,
        "age_group": _age_group,
        "split": tables.choice(*SPLITS, **_SPELLINGS),
        **dict.fromkeys(TARGETS, tables.answer),
    }


def _same_files(folder, names, notes):
    """Calls each file as where it comes first, also where it is named in full or through a link."""
    real = functools.cache(posixpath.realpath)  # of folders, each looked up once
    parts = [posixpath.split(folder / name) for name in names]
    whole = [posixpath.join(real(place), last) for place, last in parts]
    places = [posixpath.realpath(path) if posixpath.islink(path) else path for path in whole]
    spelt = dict(zip(reversed(places), reversed(list(names))))
    first = pd.Series([spelt[place] for place in places], names.index)
    other = names != first
    if other.any():
        was, now = names[other.idxmax()], first[other.idxmax()]
        notes.append(tables.Note("file", int(other.sum()), repr(was), f"is the file {now!r}"))
    return first


def _once(rows, written, notes):
    """Leaves out rows that name a file once more, in another spelling, and say the same of it."""
    again = rows.duplicated() & (rows["file"] != "")
    first = written.groupby(rows["file"]).transform("first")
    again &= written != first
    if again.any():
        shown = repr(written[again.idxmax()])
        note = tables.Note("file", int(again.sum()), shown, "is listed before: left out")
        notes.append(note)
    return rows[~again].reset_index(drop=True)


def read_view(cell):
    """Reads a view: PA or AP, whatever the posture; any other stays as it is."""
    cell = tables.fact(cell)
    words = re.findall(r"[a-z]+", cell.lower().replace(".", ""))
    return _VIEWS.get(" ".join(word for word in words if word not in _POSTURES), cell)


def _age_group(cell):
    """Reads an age group, or an age in years."""
    years = re.match(r"^(\d+)([.,]\d+)?\s*(y|yrs|years?)?$", tables.fact(cell).lower())
    if years:
        return "adult" if int(years[1]) >= ADULT else "child"
    return tables.choice("adult", "child")(cell)
