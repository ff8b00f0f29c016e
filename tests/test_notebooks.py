"""Notebooks are thin, come in pairs that agree, and refuse parameters they do not know."""

import ast
import dataclasses
import inspect
import re
import shutil
import subprocess
import sys
import tempfile
from fnmatch import fnmatch
from pathlib import Path

import jupytext
import nbformat
import pytest

from cxrlib import predict
from cxrlib.errors import InputError
from cxrlib.pages import notebooks, pairs
from cxrlib.study import profiles

CXR = Path(sys.executable).with_name("cxr")
TEXTS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.md"))
each = pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.stem)


def code_cells(text):
    return [cell for cell in jupytext.read(text, fmt="md:myst").cells if cell.cell_type == "code"]


@each
def test_the_pair_agrees_and_holds_no_output(text):
    halves = [half.read_text(encoding="utf-8") for half in (text, text.with_suffix(".ipynb"))]
    assert list(pairs.agree(text.stem, *halves)) == halves, "run: cxr pair"
    cells = nbformat.reads(halves[1], 4).cells
    assert [cell.source for cell in cells] == [cell.source for cell in jupytext.read(text).cells]
    assert all(not cell.get("outputs") for cell in cells)


def parameters(text):
    """The lines of a chapter's parameters: name, type, default and comment, as they stand there."""
    cells = [c for c in code_cells(text) if "parameters" in c.metadata.get("tags", [])]
    assert len(cells) == 1
    lines = [line for line in cells[0].source.splitlines() if not line.startswith("#")]
    assert len(lines) <= 10
    return [re.fullmatch(r"(\w+): (\w+) = (.+?)(?:  # (.+))?", line).groups() for line in lines]


@each
def test_a_chapter_declares_its_parameters_with_the_profiles_types_defaults_and_comments(text):
    fields = {field.name: field.default for field in dataclasses.fields(profiles.Profile)}
    source = inspect.getsource(profiles.Profile)
    commented = dict(re.findall(r"^    (\w+): .+?  # (.+)$", source, re.M))
    for name, kind, default, comment in parameters(text):
        plain = list(fields[name]) if isinstance(fields[name], tuple) else fields[name]
        assert (kind, ast.literal_eval(default)) == (type(plain).__name__, plain)
        assert comment == commented.get(name), "word for word as in profiles.py"
    order = [name for name, *_ in parameters(text)]
    assert order == [name for name in fields if name in order]


@each
def test_a_chapter_first_turns_its_parameters_into_a_profile(text):
    first = code_cells(text)[1]
    assert "notebooks.begin(globals())" in first.source


@each
def test_no_cell_takes_the_name_of_a_parameter(text):
    """It would be read as the parameter's value if the first cell were run once more."""
    fields = {field.name for field in dataclasses.fields(profiles.Profile)}
    for cell in code_cells(text):
        if "parameters" in cell.metadata.get("tags", []):
            continue
        tree = ast.parse(cell.source)
        comprehensions = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
        within = {
            id(name)
            for node in ast.walk(tree)
            if isinstance(node, comprehensions)
            for name in ast.walk(node)
        }
        imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
        taken = {alias.asname or alias.name for node in imports for alias in node.names}
        taken |= {
            node.id
            for node in ast.walk(tree)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
            if id(node) not in within
        }
        assert not taken & fields


@each
def test_cells_are_short_and_define_nothing(text):
    for cell in code_cells(text):
        if "parameters" in cell.metadata.get("tags", []):
            continue
        assert len(cell.source.splitlines()) <= 12
        kinds = (ast.FunctionDef, ast.ClassDef, ast.Lambda)
        assert not [node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, kinds)]
        assert all(len(line) <= 92 for line in cell.source.splitlines())


@each
def test_a_chapter_opens_with_its_question_and_ends_with_its_answer_and_what_to_read_next(text):
    said = text.read_text(encoding="utf-8")
    opening = said.partition("\n## ")[0]
    assert re.search(r"^# .+\n\n\*[A-Z][a-z]+ minutes\W", opening, re.MULTILINE)
    assert "You will see " in opening
    assert "**Question.** " in opening
    assert "**Answer.** " in said or text.stem == notebooks.FRONT  # all of which is one
    last = said.rpartition("**What to read next:**")[2]
    assert "](" in last
    assert "\n## " not in last


@each
def test_every_figure_has_a_caption_a_name_and_an_alternative_text(text):
    for cell in code_cells(text):
        last = cell.source.rstrip().splitlines()[-1]
        if last.startswith("figures."):
            shown = cell.metadata["mystnb"]
            assert shown["figure"]["caption"]
            assert shown["figure"]["name"].startswith("fig-")
            assert shown["image"]["alt"]


def namespace(**changed):
    injected = "# Parameters\n" + "\n".join(f"{k} = {v!r}" for k, v in changed.items())
    return {"epochs": 20, **changed, "In": ["", "epochs: int = 20", injected]}


def test_known_parameters_become_a_profile():
    assert notebooks.begin(namespace(epochs=1, arms=["efficient"])) == profiles.Profile(
        epochs=1, arms=("efficient",)
    )


def test_an_unknown_parameter_is_refused_by_name():
    with pytest.raises(InputError, match="unknown parameter 'epohcs': did you mean 'epochs'?"):
        notebooks.begin(namespace(epohcs=1))


def test_a_wrong_type_is_refused_by_name():
    with pytest.raises(InputError, match="seed is '7' .str.: it must be int"):
        notebooks.begin(namespace(seed="7"))


def test_the_book_lists_every_notebook():
    listed = (Path(__file__).parents[1] / "book" / "_toc.yml").read_text()
    patterns = re.findall(r"(?:file|glob|root): (\S+)", listed)
    for text in TEXTS:
        page = notebooks.page(text.stem).with_suffix("").relative_to("book")
        assert any(fnmatch(str(page), pattern) for pattern in patterns)


@each
def test_a_chapters_parameters_are_a_profile_before_anything_is_injected(text):
    names = {}
    for cell in code_cells(text):
        if "parameters" in cell.metadata.get("tags", []):
            exec(cell.source, names)
    assert notebooks.begin(names) == profiles.Profile()


@pytest.mark.parametrize("content", ["mine", "{}", '{"cells": [], "metadata": {}}'])
def test_no_file_that_is_no_executed_chapter_is_written_over(project, content):
    (project / "notebooks").mkdir()
    (project / "notebooks" / "01-one.ipynb").touch()
    (project / "mine.ipynb").write_text(content)
    with pytest.raises(InputError, match=r"mine\.ipynb is there and no chapter was run into it"):
        notebooks.execute("01-one", profiles.Profile(), project / "mine.ipynb")
    assert (project / "mine.ipynb").read_text() == content


def test_an_unknown_notebook_is_refused_with_those_there_are(project):
    (project / "notebooks").mkdir()
    (project / "notebooks" / "01-one.md").touch()
    with pytest.raises(InputError, match="no notebook '02-two': there are 01-one"):
        notebooks.execute("02-two", profiles.Profile(), project / "out.ipynb")


def run_chapter(project, code):
    """Runs a chapter of one cell, in a process of its own."""
    (project / "notebooks").mkdir()
    text = TEXTS[0].read_text(encoding="utf-8").split("```{code-cell}")
    chapter = "```{code-cell}".join([*text[:2], f" ipython3\n{code}\n```\n"])
    (project / "notebooks" / "01-one.md").write_text(chapter)
    shutil.copy(TEXTS[0].with_name("jupytext.toml"), project / "notebooks")
    command = [CXR, "notebook", "01-one", "out.ipynb", "--profile", "mine.yml"]
    (project / "mine.yml").write_text("name: mine\n")
    return subprocess.run(command, cwd=project, capture_output=True, text=True)


@pytest.mark.slow
def test_a_kernel_listens_at_no_port_that_another_program_may_have_taken(project):
    """Two studies side by side met at one port, and one of them stopped."""
    asks = "assert get_ipython().kernel.parent.transport == 'ipc', 'a port'"
    outcome = run_chapter(project, asks)
    assert outcome.returncode == 0, outcome.stderr


def test_too_deep_a_folder_for_a_kernels_sockets_is_named(project, monkeypatch):
    deep = project / ("deep" * 20)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    (project / "notebooks").mkdir()
    (project / "notebooks" / "01-one.ipynb").touch()
    with pytest.raises(InputError, match="too long a name for a kernel's sockets: set TMPDIR"):
        notebooks.execute("01-one", profiles.Profile(), project / "out.ipynb")
    assert not list(deep.iterdir())


@pytest.mark.slow
def test_a_kernel_that_the_machine_ends_is_one_line_that_names_it(project):
    """As where memory is short."""
    outcome = run_chapter(project, "import os\nos.kill(os.getpid(), 9)")
    assert outcome.returncode == 1
    assert outcome.stderr.startswith("cxr: notebook 01-one: its kernel was killed")
    assert outcome.stderr.count("\n") == 1
    assert not list(project.glob("*.ipynb")) + list(project.glob(".*.ipynb"))


@pytest.mark.parametrize("name", ["08-real-radiographs", "13-model-card", "14-primer"])
def test_a_chapter_that_shows_the_released_network_is_run_again_when_its_numbers_change(name):
    read = notebooks.reads(name, profiles.Profile())
    assert f"{predict.RELEASED}/external/covid-chestxray/predictions.csv" in read
