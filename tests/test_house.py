"""The rules of the house: rooms in order, short functions, and Keras only where networks are."""

import ast
import graphlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = (
    "errors", "files", "columns", "targets", "phantom", "metrics", "images", "cohort", "networks",
    "labels", "heatmaps", "study", "paper", "shortcuts", "pages", "predict", "cli",
)  # fmt: skip
"""In the order of the study: a room imports from those before it only."""

LONGEST = 50


def modules():
    """Returns the path of each module of the library by its name."""
    paths = sorted((ROOT / "cxrlib").rglob("*.py"))
    parts = [path.relative_to(ROOT).with_suffix("").parts for path in paths]
    return {".".join(p for p in part if p != "__init__"): path for part, path in zip(parts, paths)}


def imported(path, known):
    """Returns the names in `known` that a file imports, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: write the import in full"
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (inner & known) or {node.module}
    return found & known


MODULES = modules()
IMPORTS = {name: imported(path, set(MODULES)) for name, path in MODULES.items()}


def room(name):
    """Returns the room of a module: "metrics" for cxrlib.metrics.calibration."""
    return name.split(".")[1]


def test_every_module_has_a_room():
    assert {room(name) for name in MODULES if "." in name} == set(ROOMS)


def test_no_room_imports_from_a_later_one():
    upward = {
        (name, room(other))
        for name, others in IMPORTS.items()
        for other in others
        if ROOMS.index(room(other)) > ROOMS.index(room(name))
    }
    assert not upward


def test_no_module_imports_itself_in_a_circle():
    graphlib.TopologicalSorter(IMPORTS).prepare()  # a CycleError names the circle


@pytest.mark.parametrize("folder", ["cxrlib", "tests", "benchmarks"])
def test_functions_fit_on_a_screen(folder):
    long = {
        f"{path.relative_to(ROOT)}: {node.name}"
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and node.end_lineno - node.lineno >= LONGEST
    }
    assert not long


IMPORT_WITHOUT_KERAS = """
import importlib, json, sys
sys.modules |= dict.fromkeys(("keras", "tensorflow"))  # importing either fails from now on
failed = []
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name not in ("keras", "tensorflow"):
            raise
        failed.append(name)
print(json.dumps(failed))
"""


@pytest.mark.slow
def test_only_what_trains_or_explains_imports_keras():
    """Keras takes seconds to import: chapters and commands that train nothing do without it."""
    names = [name for name in MODULES if room(f"{name}.") != "networks"]
    command = [sys.executable, "-c", IMPORT_WITHOUT_KERAS, *names]
    outcome = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert outcome.returncode == 0, outcome.stderr
    assert json.loads(outcome.stdout) == []


def test_no_module_of_ours_can_be_skipped():
    """A renamed module must fail its tests: only what a user may lack is skipped."""
    calls = [
        node
        for path in (ROOT / "tests").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "importorskip"
    ]
    assert calls
    assert not [call for call in calls if ast.unparse(call.args[0]).startswith("'cxrlib")]
