"""Tables that people write: text in any of the usual shapes to clean cells, and what was changed.

An identifier that is written in two ways makes two patients of one, on both sides of a split, and
nobody is told. So what a cell means is decided here, by one rule for each kind of cell, on reading;
and every change is noted.
"""

import csv
import difflib
import io
import re
import unicodedata
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from cxrlib.errors import InputError
from cxrlib.images import decode

SEPARATORS = ",;\t|"

MEGABYTES, ROWS = 30, 500_000
"""What a table may have: within both, reading it takes less than 512 MB."""

UNKNOWN = {
    "", "na", "n/a", "#n/a", "<na>", "nan", "nat", "null", "none", "nil", "unknown", "missing",
    "not available", "-", "--", "?", ".",
}  # fmt: skip
"""What a cell holds, in small letters, where nothing is known."""

_OTHERS = {
    b"PK": "an Excel or OpenDocument file, or another zip: save the sheet as CSV",
    b"\xd0\xcf\x11\xe0": "an Excel file: save the sheet as CSV",
    b"\x1f\x8b": "compressed with gzip: unpack it",
    b"PAR1": "a Parquet file: save it as CSV",
    b"%PDF": "a PDF file: save the table as CSV",
    b"<": "a page of HTML or XML: download the CSV file itself",
    b"version https://git-lfs": "a Git LFS pointer: run `git lfs pull`",
}
"""How files begin that are taken for tables, and what they are."""


_UNREAD = "is not read: did you mean {}?"
_ALIKE = 0.75
"""How alike two headers are, from 0 to 1, where one may be a slip for the other."""


class Note(NamedTuple):
    """A change that was made on reading: where, in how many rows, and the first of them."""

    column: str
    rows: int
    was: str
    now: str

    def __str__(self):
        rows = f"{self.rows} row{'s' * (self.rows != 1)}:" if self.rows else ""
        return " ".join(filter(None, (rows, self.column, self.was, self.now)))


def read(path, known, meant=None):
    """Reads a table of text, whatever separator, encoding and line ends it was saved with.

    Args:
        path: The file.
        known: Names of columns, as they are to be called; capitals in the file play no part.
        meant: What people write for a known name, in small letters and figures alone -> that name.
            Each column of the file that is not read is then noted. None: it is passed over, as
            metadata have many.

    Returns:
        DataFrame of str, with the columns of the file that are known, and a list of `Note`. Cells
        are as they stand in the file (see `normalise`); rows in which every cell is empty are left
        out.

    Raises:
        InputError: The file is no table or too long a one, a known column is there twice, or a row
            has more cells than there are columns.
    """
    text, notes = _text(Path(path))
    rows = _cells(path, text, known)
    names = next(rows, (0, []))[1]
    if not names:
        raise InputError(f"{path} is empty: it lists no radiographs")
    columns, kept, empty = _columns(path, names, known), 0, 0
    cells = {name: [] for name in columns}
    for line, row in rows:
        if not any(map(clean, row)):
            empty += bool(row)
            continue
        if any(map(clean, row[len(names) :])):
            raise InputError(
                f"{path}, line {line}: {len(row)} cells for {len(names)} columns: put quotes around"
                " cells that hold the separator"
            )
        kept += 1
        if kept > ROWS:
            raise InputError(f"{path} has more than {ROWS:,} rows: part it into several tables")
        for name, i in columns.items():
            cells[name].append(row[i] if i < len(row) else "")
    if empty:
        notes.append(Note("", empty, "", "empty, left out"))
    if meant is not None:
        notes += _unread(names, known, columns, meant)
    return pd.DataFrame(cells, dtype=object), notes


def columns(path, known):
    """Returns which of the known columns a file has; none where it is no table."""
    try:
        text = _text(Path(path))[0]
        names = next(_cells(path, text[: 1 << 16], known), (0, []))[1]
        return set(_columns(path, names, known))
    except InputError:
        return set()


def missed(name, notes):
    """Returns what notes say of a column that may be meant for a known one: "" where none is."""
    return next((f" ({note})" for note in notes if note.now == _UNREAD.format(name)), "")


def normalise(rows, rules, notes):
    """Applies a rule to each column, and notes what that changed.

    Args:
        rows: DataFrame of str; it is changed.
        rules: Name of a column -> function of a cell that returns the clean cell. A column that is
            not there is passed over.
        notes: List of `Note`, to be added to.

    Returns:
        The rows.
    """
    for name in [name for name in rules if name in rows]:
        meaning = {cell: rules[name](cell) for cell in rows[name].unique()}
        now = rows[name].map(meaning)
        changed = rows[name] != now
        if changed.any():
            first = changed.idxmax()
            was, became = rows.loc[first, name], now[first]
            alike = unicodedata.normalize("NFC", was) == unicodedata.normalize("NFC", became)
            shown = ascii if alike else repr  # so that the difference is seen
            notes.append(Note(name, int(changed.sum()), shown(was), f"is read as {shown(became)}"))
        rows[name] = now
    return rows


def clean(cell):
    """Takes from a cell what nobody sees: spaces around it, double ones, how accents are composed.

    Characters without a width (a byte order mark, a soft hyphen) go, too.
    """
    if cell.isascii():  # as most are: ten times as fast
        return " ".join(cell.split())
    seen = (c for c in unicodedata.normalize("NFC", cell) if unicodedata.category(c) != "Cf")
    return " ".join("".join(seen).split())


def fact(cell):
    """Returns a clean cell, "" where it says that nothing is known: NA, nan, -."""
    cell = clean(cell)
    return "" if cell.casefold() in UNKNOWN else cell


def identifiers():
    """Returns a rule for cells that name a patient or a publication.

    Two names are one where they differ in spaces, capitals, full-width letters, or a `.0` behind a
    number, which programs add to a column that has gaps. The first spelling is kept.
    """
    spellings = {}

    def rule(cell):
        name = re.sub(r"^(\d+)\.0+$", r"\1", fact(cell))
        return spellings.setdefault(unicodedata.normalize("NFKC", name).casefold(), name)

    return rule


def note_alike(rows, names, notes):
    """Notes identifiers that might be one: nobody can tell, so they are kept apart.

    They differ in zeros before a number, dashes, underscores, apostrophes and spaces alone, as a
    spreadsheet leaves them.

    Args:
        rows: DataFrame of str, as `normalise` returns it.
        names: Columns of identifiers. One that is not there is passed over.
        notes: List of `Note`, to be added to.
    """
    for name in [name for name in names if name in rows]:
        spelt = pd.Series(rows[name].unique())
        spelt = spelt[spelt != ""]
        bare = spelt.map(_bare)
        alike = spelt[bare.duplicated(keep=False)]
        if len(alike):
            first, second = spelt[bare == bare[alike.index[0]]][:2]
            kept = f"and {second!r} are kept apart: write them alike if they are one"
            notes.append(Note(name, int(rows[name].isin(alike).sum()), repr(first), kept))


def _bare(name):
    """Returns what two identifiers have in common that a person might take for one."""
    name = unicodedata.normalize("NFKC", name).casefold()
    joined = "".join(" " if _joins(c) else c for c in name)
    apart = re.sub(r"(?<!\d) +| +(?!\d)", "", joined)  # 1-11 is not 11-1
    return re.sub(r"(?<![\d.])0+(?=\d)", "", apart)


def _joins(c):
    return c in " _'`\"\u2018\u2019\u02bc\u00b4\u2212" or unicodedata.category(c) == "Pd"


def choice(*known, **others):
    """Returns a rule for cells that hold one of a few words, whatever their capitals.

    Args:
        known: The words.
        others: What else is written for them -> the word.
    """
    words = {word.casefold(): word for word in known} | others

    def rule(cell):
        cell = clean(cell)
        return words.get(cell.casefold(), "" if cell.casefold() in UNKNOWN else cell)

    return rule


def answer(cell):
    """Reads yes and no: 1, 1.0, true, yes or y, and 0 and the like; what else is there stays."""
    cell = clean(cell)
    plain = re.sub(r"^([01])[.,]0*$", r"\1", cell)
    words = dict.fromkeys(("true", "yes", "y"), "1") | dict.fromkeys(("false", "no", "n"), "0")
    return words.get(plain.casefold(), plain)


def _text(path):
    """Returns a file's text, and a note where its encoding had to be guessed."""
    try:
        if path.stat().st_size > MEGABYTES * 1e6:
            raise InputError(
                f"{path} has more than {MEGABYTES} MB: name the table of your radiographs, leave"
                " columns out, or part it into several tables"
            )
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be opened: {error.strerror or error}") from error
    for start, what in _OTHERS.items():
        if content.removeprefix(b"\xef\xbb\xbf").lstrip()[:40].startswith(start):
            raise InputError(f"{path} is {what}")
    if decode.kind(path):
        raise InputError(f"{path} is an image, no table: name the folder or the CSV file")
    notes, text = [], None
    for encoding in _encodings(content):
        try:
            text = content.decode(encoding)
            break
        except UnicodeDecodeError:
            continue
    if encoding in ("cp1252", "latin-1"):
        notes.append(Note("", 0, "the text", "is not UTF-8: read as Latin-1"))
    if "\0" in text:
        raise InputError(f"{path} is no text: save the table as CSV (UTF-8)")
    return text, notes


def _encodings(content):
    """Lists what a text may be encoded in, the likeliest first."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return ["utf-16", "latin-1"]
    zeros = content[:200:2].count(0), content[1:200:2].count(0)
    if max(zeros) > 20 * min(zeros) + 3:  # every other byte of Latin letters in UTF-16 is 0
        return ["utf-16-be" if zeros[0] > zeros[1] else "utf-16-le", "latin-1"]
    return ["utf-8-sig", "cp1252", "latin-1"]


def _cells(path, text, known):
    """Yields the rows of cells of a text, each with its line, from the one that names the columns.

    That is the first in which anything stands. Parted where that gives the most columns that are
    known, or else the most columns.
    """
    told = re.match(r"\s*\"?sep=(.)\"?\s*?(\r\n|\r|\n)", text)  # Excel's own first line
    separators, skipped = (told[1], told[0].count("\n") or 1) if told else (SEPARATORS, 0)
    text, wanted = text[told.end() :] if told else text, {name.casefold() for name in known}

    def parsed(separator):
        reader = csv.reader(
            io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True
        )
        try:
            for row in reader:
                yield reader.line_num + skipped, row
        except csv.Error as error:
            raise InputError(f"{path}, line {reader.line_num}, is not CSV: {error}") from error

    def header(separator):
        return next((row for row in parsed(separator) if any(map(clean, row[1]))), None)

    def worth(separator):
        try:
            names = (header(separator) or (0, []))[1]
        except InputError:
            return -1, 0
        return len({clean(name).casefold() for name in names} & wanted), len(names)

    best = max(separators, key=worth)
    begins = header(best)
    if begins is not None:
        yield from (row for row in parsed(best) if row[0] >= begins[0])


def _columns(path, names, known):
    """Returns the place of each known column."""
    known, found = {name.casefold(): name for name in known}, {}
    for i, name in enumerate(names):
        name = known.get(clean(name).casefold())
        if name in found:
            raise InputError(f"{path} has two columns {name}: keep one")
        if name:
            found[name] = i
    return found


def _unread(names, known, found, meant):
    """Notes each column that is not known beside the one that may be meant, and the rest at once.

    Args:
        names: Those of the file.
        known, meant: As `read` takes them.
        found: Known columns that are there: no other one is meant for them.
    """
    heard, notes, rest = {name.casefold() for name in known}, [], []
    words = {_letters(name): name for name in known} | meant
    for name in dict.fromkeys(map(clean, names)):
        if not name or name.casefold() in heard:
            continue
        likest = difflib.get_close_matches(_letters(name), words, 1, _ALIKE)
        wanted = words[likest[0]] if likest else ""
        if wanted and wanted not in found:
            notes.append(Note("", 0, f"the column {name!r}", _UNREAD.format(wanted)))
        else:
            rest.append(repr(name))
    if len(rest) == 1:
        notes.append(Note("", 0, f"the column {rest[0]}", "is not read"))
    elif rest:
        notes.append(Note("", 0, f"the columns {', '.join(rest)}", "are not read"))
    return notes


def _letters(name):
    return re.sub(r"[\W_]", "", name.casefold())
