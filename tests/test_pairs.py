"""Whichever half of a notebook was edited, the edit reaches the other, and none is ever lost."""

import json
import subprocess
import sys
from pathlib import Path

import jupytext
import nbformat
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cxrlib.errors import InputError
from cxrlib.pages import pairs
from tests.chapters import NOTEBOOK, TEXT, cell, edited, say
from tests.conftest import copy_chapter

CXR = Path(sys.executable).with_name("cxr")


def agree(text, notebook):
    return pairs.agree("chapter", text, notebook)


def told(content):
    """Lists what the cells of either half say."""
    is_text = content.startswith("---")
    notebook = jupytext.reads(content, "md:myst") if is_text else nbformat.reads(content, 4)
    return [(c.cell_type, c.source, c.metadata.get("tags")) for c in notebook.cells]


EDITS = {
    "a sentence": say,
    "a line of code": lambda n: say(n, 3, "draw(answer + 1)"),
    "a new cell": lambda n: n["cells"].insert(1, cell("Between.")),
    "new code at the end": lambda n: n["cells"].append(cell("print(answer)", "code")),
    "a cell less": lambda n: n["cells"].pop(2),
    "cells exchanged": lambda n: n["cells"].reverse(),
    "a tag": lambda n: n["cells"][3]["metadata"].update(tags=["hide-output"]),
    "everything": lambda n: n.update(cells=[cell("# Another chapter")]),
}
each_edit = pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)


def test_halves_in_step_stay_as_they_are():
    assert agree(TEXT, NOTEBOOK) == (TEXT, NOTEBOOK)
    assert told(TEXT) == told(NOTEBOOK)


def test_an_edited_text_reaches_the_ipynb():
    text = TEXT + "\nMore.\n"
    again, notebook = agree(text, NOTEBOOK)
    assert again == text
    assert told(notebook) == told(text) != told(NOTEBOOK)


@each_edit
def test_an_edited_ipynb_reaches_the_text(edit):
    notebook = edited(edit)
    text, again = agree(TEXT, notebook)
    assert told(text) == told(again) == told(notebook)
    assert agree(text, again) == (text, again)


@each_edit
def test_two_edits_that_differ_are_refused(edit):
    with pytest.raises(InputError, match=r"chapter.ipynb and its .md were both edited") as refusal:
        agree(TEXT + "\nMore.\n", edited(edit))
    assert "\n" not in str(refusal.value)


def test_the_refusal_names_the_cells_that_the_text_lacks():
    notebook = edited(lambda n: (say(n), n["cells"].insert(1, cell("Between."))))
    with pytest.raises(InputError, match=r"the .md lacks cell 2 \('Between.'\) and cell 6 \('What"):
        agree(TEXT.replace("asks", "wants"), notebook)


def test_the_same_edit_of_both_halves_is_no_matter():
    """As JupyterLab leaves them that has Jupytext and nothing of ours."""

    def save(notebook):
        say(notebook)
        notebook["cells"][1].update(outputs=[], execution_count=3)
        notebook["cells"][1]["outputs"] = [
            {"output_type": "stream", "name": "stdout", "text": ["a megabyte"]}
        ]
        notebook["cells"][1]["metadata"]["editable"] = True
        notebook["metadata"]["language_info"] = {"name": "python", "version": "3.12.1"}

    text = TEXT + "Said in the .ipynb.\n"
    again, notebook = agree(text, edited(save))
    assert again == text
    assert notebook == agree(text, NOTEBOOK)[1]


def test_an_older_half_from_another_commit_is_never_taken_for_an_edit():
    text = TEXT + "\nMore.\n"
    notebook = agree(text, NOTEBOOK)[1]
    assert agree(text, NOTEBOOK) == (text, notebook)
    assert agree(TEXT, notebook) == (TEXT, NOTEBOOK)


def test_a_missing_half_is_made_from_the_other():
    assert agree(TEXT, None) == (TEXT, NOTEBOOK)
    text, notebook = agree(None, edited(say))
    assert told(text) == told(notebook) == told(edited(say))


@pytest.mark.parametrize("empty", ["", "---\njupytext: {}\n---\n"])
def test_an_emptied_half_is_no_edit(empty):
    """A full disk leaves such files."""
    with pytest.raises(InputError, match="notebooks/chapter.md is empty: delete it"):
        agree(empty, NOTEBOOK)
    with pytest.raises(InputError, match="notebooks/chapter.ipynb is empty: delete it"):
        agree(TEXT, edited(lambda n: n.update(cells=[])))
    assert agree(empty, agree(empty, None)[1])[0] == empty


def test_without_digests_halves_agree_or_are_refused():
    bare = edited(lambda n: n["metadata"].pop("cxr"))
    assert agree(TEXT, bare) == (TEXT, NOTEBOOK)
    with pytest.raises(InputError, match="both edited"):
        agree(TEXT + "\nMore.\n", bare)


def test_an_edit_of_one_sentence_changes_one_line_of_the_text():
    text, _ = agree(TEXT, edited(lambda n: say(n, 0)))
    lines = TEXT.splitlines()
    after = lines.index("What it asks.") + 1
    assert text.splitlines() == [*lines[:after], "Said in the .ipynb.", *lines[after:]]


def test_cells_keep_their_identifiers_and_new_ones_get_free_ones():
    notebook = edited(lambda n: n["cells"].insert(1, cell("Between.")))
    names = [c["id"] for c in json.loads(agree(TEXT, notebook)[1])["cells"]]
    assert names == ["cell-00", "mine", "cell-01", "cell-02", "cell-03", "cell-04"]
    text = TEXT.replace("The answer.", "The answer.\n\n+++\n\nBetween.").replace("asks", "wants")
    names = [c["id"] for c in json.loads(agree(text, NOTEBOOK)[1])["cells"]]
    assert names == ["cell-00", "cell-01", "cell-02", "cell-05", "cell-03", "cell-04"]


def test_the_header_that_a_person_wrote_stays():
    text = TEXT.replace("jupytext:", "title: Answers\njupytext:")
    notebook = agree(text, NOTEBOOK)[1]
    assert json.loads(notebook)["metadata"]["title"] == "Answers"
    assert agree(text, edited(say, notebook))[0].startswith(text[: text.index("What it means")])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda n: say(n, 2, "```"), "cell 3 cannot be told as text"),
        (lambda n: say(n, 0, "+++"), "cell 1 cannot be told as text"),
        (lambda n: n["cells"][4].update(attachments={"a.png": {}}), "cell 5 holds a picture"),
        (lambda n: n["cells"][4].update(cell_type="heading"), "cannot be read as a notebook"),
    ],
    ids=["a fence left open", "a cell's end", "a pasted picture", "no kind of cell"],
)
def test_what_a_text_cannot_hold_is_refused_by_its_cell(change, said):
    for text in (TEXT, None):
        with pytest.raises(InputError, match=f"notebooks/chapter.ipynb,? {said}"):
            agree(text, edited(change))


@pytest.mark.parametrize("content", ["", "[]", "{}", "<<<<<<< HEAD\n" + NOTEBOOK, NOTEBOOK[:-9]])
def test_an_ipynb_that_is_none_is_refused_by_name(content):
    with pytest.raises(InputError, match="notebooks/chapter.ipynb cannot be read"):
        agree(TEXT, content)


@pytest.mark.parametrize(
    "text",
    [
        TEXT.replace("kernelspec:", "kernelspec: ["),
        TEXT.replace("mystnb:", "mystnb: ["),
        TEXT.replace("What it means.", '+++ {"tags"\n\nWhat it means.'),
    ],
    ids=["header", "options", "a cell's metadata"],
)
def test_a_text_that_is_none_is_refused_by_name(text):
    with pytest.raises(InputError, match="notebooks/chapter.md cannot be read"):
        agree(text, NOTEBOOK)


WORDS = st.text(st.sampled_from(list("ab \n#`-+:{}%'\"\\é")), max_size=30) | st.text(max_size=9)
CELL = st.tuples(st.sampled_from(["markdown", "code", "raw"]), WORDS)
CELLS = st.lists(CELL, max_size=4)
PLAIN = st.lists(
    st.tuples(st.sampled_from(["markdown", "code"]), st.sampled_from("abc")), min_size=1, max_size=3
)


def written(cells, notebook=NOTEBOOK):
    """Returns an .ipynb of cells."""
    made = [cell(source, kind) | {"id": f"c{i}"} for i, (kind, source) in enumerate(cells)]
    return edited(lambda n: n.update(cells=made), notebook)


def words(content):
    """Lists a half's cells without the blank lines around them; empty prose is no cell."""
    found = [(kind, source.strip()) for kind, source, _ in told(content)]
    return [(kind, source) for kind, source in found if source or kind != "markdown"]


@pytest.mark.slow
@given(CELLS)
@settings(deadline=None)
@example([("markdown", "a\n```"), ("code", "1")])
@example([("markdown", "a"), ("markdown", "b\n\n+++\n\nc")])
@example([("code", ":a\n"), ("code", "---\na"), ("code", "\n\n  a"), ("raw", "```\n")])
@example([("markdown", "a\u2028b"), ("code", "a\rb")])
def test_whatever_is_written_in_an_ipynb_is_in_its_text_or_refused(cells):
    notebook = written(cells)
    try:
        text, again = agree(None, notebook)
    except InputError as error:
        assert "notebooks/chapter.ipynb" in str(error)
        return
    assert words(text) == words(again) == words(notebook)
    assert agree(text, again) == (text, again)


@pytest.mark.slow
@given(PLAIN, PLAIN, PLAIN)
@settings(deadline=None)
@example([("markdown", "a")], [("markdown", "b")], [("markdown", "a")])
@example([("markdown", "a")], [("markdown", "a")], [("markdown", "b")])
@example([("markdown", "a")], [("markdown", "b")], [("markdown", "c")])
def test_of_three_versions_the_edited_one_remains(paired, texts, notebooks):
    """The rule as a table: what both held, what the text says now, what the .ipynb says now."""
    base = agree(None, written(paired))
    text, notebook = agree(None, written(texts))[0], written(notebooks, base[1])
    if texts != notebooks and paired not in (texts, notebooks):
        with pytest.raises(InputError, match="both edited"):
            agree(text, notebook)
        return
    after = agree(text, notebook)
    assert words(after[0]) == words(after[1]) == (notebooks if texts == paired else texts)
    assert agree(*after) == after


@pytest.mark.slow
@given(CELLS, CELLS)
@settings(deadline=None)
def test_the_form_of_an_older_text_changes_no_cell(older, cells):
    try:
        older, text = agree(None, written(older))[0], agree(None, written(cells))[0]
    except InputError:
        return
    assert told(pairs.in_the_form_of(older, text)) == told(text)
    assert pairs.in_the_form_of(text, text) == text


@given(st.text())
@settings(deadline=None)
@example("---\n")
@example("---\n- a\n---\n")
@example("---\n---\n")
@example("---\n2020-01-01: 1\nb: 2\n---\n")
@example("```{code-cell}\n:1: 2\n:b: 3\n```\n")
@example("```{code-cell}\n---\na: 2020-01-01\n---\n```\n")
def test_any_text_is_read_or_refused(text):
    try:
        again, notebook = agree(text, None)
    except InputError as error:
        assert "notebooks/chapter.md" in str(error)
        return
    assert again == text
    assert agree(text, notebook) == (text, notebook)


def test_only_what_changed_is_written(chapter):
    text, notebook = chapter
    assert list(pairs.settle_all()) == []
    notebook.unlink()
    assert list(pairs.settle_all()) == [notebook]
    text.write_text(TEXT + "\nMore.\n")
    assert list(pairs.settle_all()) == [notebook]
    notebook.write_text(edited(say, notebook.read_text()))
    assert list(pairs.settle_all()) == [text, notebook]
    assert text.read_text().endswith("More.\nSaid in the .ipynb.\n")
    text.unlink()
    assert list(pairs.settle_all()) == [text]


def test_a_refusal_writes_nothing(chapter):
    text, notebook = chapter
    text.write_text(TEXT + "\nMore.\n")
    notebook.write_text(edited(say))
    before = text.read_bytes(), notebook.read_bytes()
    with pytest.raises(InputError, match="both edited"):
        list(pairs.settle_all())
    assert (text.read_bytes(), notebook.read_bytes()) == before


def test_a_text_in_another_encoding_is_refused_by_name(chapter):
    chapter[0].write_bytes(TEXT.replace("asks", "fragt, schön").encode("latin-1"))
    with pytest.raises(InputError, match="chapter.md is not UTF-8"):
        list(pairs.settle_all())


def test_what_others_are_writing_is_no_notebook(chapter):
    chapter[0].with_name(".~other.ipynb").touch()
    chapter[0].with_name(".other.host-1.md").touch()
    assert list(pairs.settle_all()) == []


@pytest.mark.slow
def test_an_edit_of_either_half_is_shown_by_the_next_study(tmp_path):
    study = copy_chapter(tmp_path / "study", "06-paper-audit")
    text = study / "notebooks" / "06-paper-audit.md"
    notebook = text.with_suffix(".ipynb")

    def page():
        command = [CXR, "study", "--profile", "profiles/quick.yml"]
        outcome = subprocess.run(command, cwd=study, capture_output=True, text=True)
        assert outcome.returncode == 0, outcome.stderr
        html = study / "_build" / "html" / "experiments" / "06-paper-audit.html"
        return outcome.stdout, html.read_text()

    assert "brought in step" not in page()[0]
    text.write_text(text.read_text() + "\nWritten in the text.\n")
    said, shown = page()
    assert "notebooks/06-paper-audit.ipynb: brought in step" in said
    assert "Written in the text." in shown
    notebook.write_text(edited(say, notebook.read_text()))
    said, shown = page()
    assert "notebooks/06-paper-audit.md: brought in step" in said
    assert "Written in the text.\nSaid in the .ipynb." in shown
