"""The two halves of each notebook, NN-name.md and NN-name.ipynb, kept in step.

People review the text; papermill and JupyterLab open the .ipynb; either may be edited. The .ipynb
carries digests of the cells that both last held, so a half whose cells still have these digests is
the older one, and is written anew from the other. Where neither has them, both were edited, and a
person decides. Times of change do not count: a clone has its own.
"""

import difflib
import hashlib
import itertools
import json
import os
import re

import jupytext
import nbformat
import yaml
from jupytext.config import load_jupytext_configuration_file
from jupytext.myst import MystMetadataParsingError

from cxrlib import files
from cxrlib.errors import InputError

_UNREADABLE = (
    ValueError, TypeError, KeyError, AttributeError, NotImplementedError,
    yaml.YAMLError, MystMetadataParsingError, nbformat.ValidationError,
)  # fmt: skip
"""What Jupytext and nbformat raise where a file is no notebook."""

_HEADER = re.compile(r"\A---\n(?:.*\n)*?---\n")
_OPTIONS = re.compile(
    r"^(`{3,}\{(?:code|raw)-cell\}.*\n)(---\n(?:.*\n)*?---\n|(?::.*\n)+\n?)", re.MULTILINE
)


def settle_all():
    """Brings the halves of every notebook in step.

    Yields:
        Path of each file that was written anew.

    Raises:
        InputError: As from `settle`; the notebooks before this one are in step.
    """
    folder = files.root() / "notebooks"
    paths = [*folder.glob("[!.]*.md"), *folder.glob("[!.]*.ipynb")]
    for name in sorted({path.stem for path in paths}):
        yield from settle(name)


def settle(name, older=""):
    """Brings the halves of one notebook in step: what was edited is kept, in either.

    Args:
        name: The notebook, 02-experiment-a say. One of its halves may be missing.
        older: A former text, whose form its text takes on.

    Returns:
        Paths of the files that were written anew.

    Raises:
        InputError: As from `agree`; nothing was written.
    """
    paths, halves = _paths(name), _read(name)
    if halves == (None, None):
        return []
    text = halves[0] and in_the_form_of(older, halves[0])
    changed = []
    for path, half, wanted in zip(paths, halves, agree(name, text, halves[1])):
        if half != wanted:
            with files.replacing(path) as temporary:
                temporary.write_text(wanted, encoding="utf-8")
            changed.append(path)
    if paths[0].stat().st_mtime_ns < paths[1].stat().st_mtime_ns:
        os.utime(paths[0])  # Jupytext opens no .ipynb that is newer than its text
    return changed


def check(name, content):
    """Refuses to write a notebook that no text can hold, or over an edit that its text lacks.

    Args:
        name: The notebook.
        content: Content of its .ipynb, as it is to be written.

    Returns:
        The text that is there; "" where there is none.

    Raises:
        InputError: One of the two; or as from `agree`.
    """
    _parse(f"notebooks/{name}.ipynb", content)
    text, notebook = _read(name)
    if None not in (text, notebook) and agree(name, text, notebook)[0] != text:
        raise InputError(
            f"notebooks/{name}.ipynb was edited elsewhere too: run `cxr pair`, and open it again"
        )
    return text or ""


def agree(name, text, notebook):
    """Returns both halves of a notebook brought in step.

    Args:
        name: The notebook, for messages.
        text: Content of its .md; None where there is none.
        notebook: Content of its .ipynb; None where there is none.

    Returns:
        (text, notebook). The half that was edited has the cells that it had, and the other one
        has them too. The .ipynb has no output, and its cells keep their identifiers.

    Raises:
        InputError: Both halves were edited: which cells differ. Or a half cannot be read, is
            empty where the other one is not, or holds what a text cannot.
    """
    theirs = None if notebook is None else _parse(f"notebooks/{name}.ipynb", notebook)
    if text is None:
        return agree(name, _text(theirs), notebook)
    ours = _parse(f"notebooks/{name}.md", text)
    if theirs is not None and _digests(ours) != _digests(theirs):
        if not (ours.cells and theirs.cells):
            empty = f"notebooks/{name}" + (".ipynb" if ours.cells else ".md")
            raise InputError(f"{empty} is empty: delete it, and `cxr pair` makes it from the other")
        paired = theirs.metadata.get("cxr", {}).get("paired")
        if paired == _digests(ours):
            text = in_the_form_of(text, _text(theirs))
            ours = _parse(f"notebooks/{name}.md", text)
        elif paired != _digests(theirs):
            raise InputError(_apart(name, [*_digests(ours), *(paired or [])], theirs))
    return text, _ipynb(ours, theirs)


def in_the_form_of(older, text):
    """Returns a text in the form of an older one: its header, its cells' options where they agree.

    Jupytext breaks long captions into lines and quotes them in its own way, so a save would change
    lines that nobody edited.

    Args:
        older: A former text of the same notebook, or "".
        text: Its text.

    Returns:
        A text of the same cells.
    """
    header = _HEADER.match(older)
    if header is None:
        return text
    forms = {_meaning(form): form for _, form in _OPTIONS.findall(older)}
    formed = _OPTIONS.sub(lambda found: found[1] + forms.get(_meaning(found[2]), found[2]), text)
    formed = _HEADER.sub(lambda _: header[0], formed)
    return formed if _digests(_parse("text", formed)) == _digests(_parse("text", text)) else text


def _paths(name):
    folder = files.root() / "notebooks"
    return folder / f"{name}.md", folder / f"{name}.ipynb"


def _read(name):
    """Reads the halves of a notebook, None for one that is missing."""
    halves = []
    for path in _paths(name):
        try:
            halves.append(path.read_text(encoding="utf-8") if path.exists() else None)
        except UnicodeDecodeError as error:
            raise InputError(f"{path} is not UTF-8: save it as that") from error
    return tuple(halves)


def _parse(path, content):
    """Reads a half, and refuses what its text could not tell again.

    Returns:
        A notebook of the cells that a text tells, with the half's identifiers and metadata.
    """
    is_text = not path.endswith(".ipynb")
    try:
        notebook = jupytext.reads(content, "md:myst") if is_text else nbformat.reads(content, 4)
        told = jupytext.reads(_text(notebook), "md:myst")
        told.metadata = notebook.metadata
        nbformat.writes(told)  # YAML has dates, JSON has not
    except _UNREADABLE as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:80]
        raise InputError(f"{path} cannot be read as a notebook ({reason}): mend it") from error
    cells = [cell for cell in notebook.cells if cell.cell_type != "markdown" or cell.source.strip()]
    for number, (cell, again) in enumerate(itertools.zip_longest(cells, told.cells), 1):
        if cell and cell.get("attachments"):
            raise InputError(
                f"{path}, cell {number} holds a picture, which a text cannot: "
                "save it as a file in book/, and link to that"
            )
        if cell is None or again is None or _plain(cell) != _plain(again):
            raise InputError(
                f"{path}, cell {number} cannot be told as text (is a fence left open?): mend it"
            )
        again["id"] = cell.get("id")
    return told


def _plain(cell):
    """Returns a cell's kind and source, without the blank lines around it."""
    return cell.cell_type, re.sub(r"\A([^\S\n]*\n)+", "", cell.source).rstrip()


def _text(notebook):
    """Writes a notebook as text, as JupyterLab does."""
    config = load_jupytext_configuration_file(str(files.root() / "notebooks" / "jupytext.toml"))
    known = {key: notebook.metadata[key] for key in ("kernelspec",) if key in notebook.metadata}
    python = {"language_info": {"name": "python", "pygments_lexer": "ipython3"}}
    named = nbformat.from_dict({**notebook, "metadata": {**known, **python}})
    return jupytext.writes(named, "md:myst", config=config)


def _ipynb(notebook, older):
    """Writes a notebook as .ipynb, its cells named as in an older one where they are the same.

    The same text and older notebook always give the same bytes.
    """
    cells, named = _digests(notebook), [] if older is None else older.cells
    names = {}
    matcher = difflib.SequenceMatcher(None, _digests(older) if older else [], cells, autojunk=False)
    for _, i, i_end, j, j_end in matcher.get_opcodes():
        names |= {b: named[a]["id"] for a, b in zip(range(i, i_end), range(j, j_end))}
    free = (f"cell-{n:02d}" for n in itertools.count())
    for number, cell in enumerate(notebook.cells):
        cell["id"] = names.get(number) or next(n for n in free if n not in names.values())
    notebook.metadata.pop("jupytext", None)
    notebook.metadata["cxr"] = {"paired": cells}
    notebook.nbformat_minor = 5
    return nbformat.writes(notebook) + "\n"


def _digests(notebook):
    """Digests each cell: its kind, source and metadata."""
    cells = [json.dumps([*_plain(cell), cell.metadata], sort_keys=True) for cell in notebook.cells]
    return [hashlib.sha256(cell.encode()).hexdigest()[:12] for cell in cells]


def _apart(name, known, theirs):
    """Returns which cells of an .ipynb are neither in its text nor older ones."""
    new = [
        f"cell {number} ({cell.source.strip()[:30]!r})"
        for number, (cell, digest) in enumerate(zip(theirs.cells, _digests(theirs)), 1)
        if digest not in known
    ]
    where = f"the .md lacks {' and '.join(new)}" if new else "its cells are fewer or elsewhere"
    return (
        f"notebooks/{name}.ipynb and its .md were both edited, {where}: bring all that you want"
        " to keep into one of them, delete the other, and run `cxr pair`"
    )


def _meaning(options):
    """Reads a cell's options, whichever way they are written, into a form to compare."""
    plain = options[4:-4] if options.startswith("-") else re.sub(r"^:", "", options, flags=re.M)
    try:
        return json.dumps(yaml.safe_load(plain), sort_keys=True, default=str)
    except (yaml.YAMLError, TypeError):
        return options
