"""Notebooks are thin, come in pairs that agree, and refuse parameters they do not know."""

import ast
import dataclasses
import inspect
import re
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import jupytext
import nbformat
import pytest

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


@each
def test_one_cell_holds_all_parameters_with_the_profiles_types_defaults_and_comments(text):
    cells = [c for c in code_cells(text) if "parameters" in c.metadata.get("tags", [])]
    assert len(cells) == 1
    lines = re.findall(r"^(\w+): (\w+) = (.+?)(?:  # (.+))?$", cells[0].source, re.MULTILINE)
    source = inspect.getsource(profiles.Profile)
    for field, (name, kind, default, comment) in zip(
        dataclasses.fields(profiles.Profile), lines, strict=True
    ):
        plain = list(field.default) if isinstance(field.default, tuple) else field.default
        assert (name, ast.literal_eval(default)) == (field.name, plain)
        assert kind == type(plain).__name__
        assert comment is None or comment in source


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
def test_every_figure_has_a_caption_a_name_and_an_alternative_text(text):
    for cell in code_cells(text):
        last = cell.source.rstrip().splitlines()[-1]
        if last.startswith("figures."):
            shown = cell.metadata["mystnb"]
            assert shown["figure"]["caption"]
            assert shown["figure"]["name"].startswith("fig-")
            assert shown["image"]["alt"]


def namespace(**changed):
    values = {field.name: field.default for field in dataclasses.fields(profiles.Profile)}
    injected = "# Parameters\n" + "\n".join(f"{k} = {v!r}" for k, v in changed.items())
    return {**values, **changed, "In": ["", "x = 1", injected]}


def test_known_parameters_become_a_profile():
    assert notebooks.begin(namespace(epochs=1, arms=["efficient"])).epochs == 1


def test_an_unknown_parameter_is_refused_by_name():
    with pytest.raises(InputError, match="unknown parameter 'epohcs': did you mean 'epochs'?"):
        notebooks.begin(namespace(epohcs=1))


def test_a_wrong_type_is_refused_by_name():
    with pytest.raises(InputError, match="seed is '7' .str.: it must be int"):
        notebooks.begin(namespace(seed="7"))


def test_the_book_lists_every_notebook():
    listed = (Path(__file__).parents[1] / "book" / "_toc.yml").read_text()
    patterns = re.findall(r"(?:file|glob): (experiments/\S+)", listed)
    for text in TEXTS:
        assert any(fnmatch(f"experiments/{text.stem}", pattern) for pattern in patterns)


@each
def test_the_parameters_say_word_for_word_what_the_profile_says(text):
    """Same order, defaults and comments as the fields of `profiles.Profile`."""
    cell = next(c for c in code_cells(text) if "parameters" in c.metadata.get("tags", []))
    fields = re.findall(r"^    (\w+): .+? = (.+)$", inspect.getsource(profiles.Profile), re.M)
    fields = [(name, rest.replace("()", "[]", 1)) for name, rest in fields]
    assert re.findall(r"^(\w+): \w+ = (.+)$", cell.source, re.M) == fields


@each
def test_a_chapters_parameters_are_a_profile_before_anything_is_injected(text):
    names = {}
    for cell in code_cells(text):
        if "parameters" in cell.metadata.get("tags", []):
            exec(cell.source, names)
    assert notebooks.begin(names) == profiles.Profile()


def test_an_unknown_notebook_is_refused_with_those_there_are(project):
    (project / "notebooks").mkdir()
    (project / "notebooks" / "01-one.md").touch()
    with pytest.raises(InputError, match="no notebook '02-two': there are 01-one"):
        notebooks.execute("02-two", profiles.Profile(), project / "out.ipynb")


def test_a_kernel_that_the_machine_ends_is_one_line_that_names_it(project):
    """As where memory is short."""
    (project / "notebooks").mkdir()
    text = TEXTS[0].read_text(encoding="utf-8").split("```{code-cell}")
    killed = " ipython3\nimport os\nos.kill(os.getpid(), 9)\n```\n"
    chapter = "```{code-cell}".join([*text[:2], killed])
    (project / "notebooks" / "01-one.md").write_text(chapter)
    shutil.copy(TEXTS[0].with_name("jupytext.toml"), project / "notebooks")
    command = [CXR, "notebook", "01-one", "out.ipynb", "--profile", "mine.yml"]
    (project / "mine.yml").write_text("name: mine\n")
    outcome = subprocess.run(command, cwd=project, capture_output=True, text=True)
    assert outcome.returncode == 1
    assert outcome.stderr.startswith("cxr: notebook 01-one: its kernel was killed")
    assert outcome.stderr.count("\n") == 1
    assert not list(project.glob("*.ipynb")) + list(project.glob(".*.ipynb"))
