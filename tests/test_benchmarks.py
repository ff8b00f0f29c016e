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
    "gpu": {
        "architectures": ("efficient",),
        "edge": 121,
        "batches": (8,),
        "count": 16,
        "epochs": 1,
        "command": ("sh", "-c", "while echo 50; do sleep 1; done"),
    },
    "training": {"networks": {"efficient": (121, 16, 1)}},
    "heatmaps": {"architectures": ("efficient",), "edge": 128, "count": 2},
    "memory": {"edge": 121, "counts": (60, 120)},
    "start": {
        "commands": {"ours": (sys.executable, "-c", "pass"), "a shell": ("sh", "-c", ":")},
        "times": 1,
    },
}


@pytest.fixture(autouse=True)
def at_root(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)


TRAIN = {"gpu", "training", "heatmaps", "memory", "start"}


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
    assert listed == {*SMALL, "growth"} == set(importlib.import_module("benchmarks.__main__").NAMES)


@pytest.mark.slow
def test_every_step_is_measured_at_each_size_with_its_exponent():
    growth = importlib.import_module("benchmarks.growth")
    rows = list(growth.measure(sizes=(200, 400)))
    assert [(row.step, row.rows) for row in rows] == [
        (step, size) for step in growth.STEPS for size in (200, 400)
    ]
    for before, after in zip(rows[::2], rows[1::2]):
        assert 0 < before.seconds < growth.LIMIT and 0 < before.peak < 4000
        assert math.isnan(before.exponent)
        assert after.seconds == pytest.approx(before.seconds * 2**after.exponent)


def test_a_size_that_would_take_too_long_is_left_out_and_so_are_larger_ones():
    growth = importlib.import_module("benchmarks.growth")
    rows = list(growth.measure(sizes=(200, 400, 800), steps=["split by patient"], limit=0))
    assert [row.rows for row in rows] == [200, 400]
    assert math.isnan(rows[1].seconds) and "left out" in str(rows[1])


def test_a_table_is_written_where_all_that_it_holds_was_run(monkeypatch, tmp_path):
    main = importlib.import_module("benchmarks.__main__")
    row = importlib.import_module("benchmarks.timing").Row("what", 2.0, "other", 1.0, "s")
    monkeypatch.setattr(main, "_measured", lambda name: [row])
    monkeypatch.chdir(tmp_path)
    for names, written in ((["start"], []), (["growth"], ["growth.csv"])):
        main.main(names)
        assert [path.name for path in tmp_path.rglob("*.csv")] == written
    main.main([])
    assert {path.name for path in tmp_path.rglob("*.csv")} == set(main.TABLES)


def test_where_no_gpu_is_in_sight_nothing_is_measured():
    gpu = importlib.import_module("benchmarks.gpu")
    assert list(gpu.measure(command=("no-such-command",))) == []


def test_a_benchmark_that_does_not_exist_is_refused():
    command = [sys.executable, "-m", "benchmarks", "speed"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert said.returncode == 1
    assert said.stderr.startswith("no benchmark speed: there are start, ")
