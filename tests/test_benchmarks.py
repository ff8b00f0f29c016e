"""The benchmarks run, at the smallest size; no test depends on what they measure."""

import importlib
import math
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SMALL = {
    "phantom": {"sizes": (32,), "count": 2},
    "pixels": {"size": 64, "count": 2},
    "augmentation": {"size": 64, "count": 2},
    "training": {"networks": {"efficient": (121, 16, 1)}},
    "heatmaps": {"architectures": ("efficient",), "edge": 128, "count": 2},
    "memory": {"edge": 121, "counts": (60, 120)},
    "start": {"commands": {"ours": (sys.executable, "-c", "pass"), "a shell": ("sh", "-c", ":")}},
}


@pytest.fixture(autouse=True)
def at_root(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)


TRAIN = {"training", "heatmaps", "memory", "start"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in TRAIN)) for name in SMALL]
)
def test_a_benchmark_compares_ours_with_something_else(name):
    rows = list(importlib.import_module(f"benchmarks.{name}").measure(**SMALL[name]))
    assert rows
    for row in rows:
        assert row.against and row.unit
        assert math.isfinite(row.ours / row.theirs) and row.ours > 0


def test_every_benchmark_is_run_by_make_bench():
    listed = {path.stem for path in (ROOT / "benchmarks").glob("*.py")}
    listed -= {"__init__", "__main__", "timing"}
    assert listed == set(SMALL) == set(importlib.import_module("benchmarks.__main__").NAMES)


def test_a_benchmark_that_does_not_exist_is_refused():
    command = [sys.executable, "-m", "benchmarks", "speed"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert said.returncode == 1
    assert said.stderr.startswith("no benchmark speed: there are start, ")
