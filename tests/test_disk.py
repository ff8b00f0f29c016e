"""The disk: what studies left is told and cleaned, and never what is used or somebody's own."""

import os
import subprocess
import sys

import numpy as np
import pytest

from cxrlib import files, study
from cxrlib.images import caches
from cxrlib.study import data, disk, runs
from tests.conftest import cxr, make_run

HOLD = """
import sys
from pathlib import Path
from cxrlib.images import caches
pixels = caches.opened(Path(sys.argv[1]))
print("open", flush=True)
sys.stdin.read()
"""


def make_cache(folder, name, used=0):
    """Writes a pixel cache of five images that was used at a time."""
    path = folder / f"phantom-8-{name}-0123abcd.npy"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.zeros((5, 8, 8, 3), np.uint8))
    path.with_suffix(caches.KEYS).write_text("abcde")
    os.utime(path.with_suffix(caches.KEYS), (used, used))
    return path


@pytest.fixture
def cached(project):
    """Four pixel caches, the first used longest ago."""
    return [make_cache(data.pixel_folder(), name, used) for used, name in enumerate("ABCD")]


def make_checkpoint(run):
    path = run.folder / "checkpoint-0002.keras"
    path.write_bytes(bytes(1000))
    return path


def names(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_caches_used_longest_ago_go_first_and_only_as_many_as_must(cached):
    each = caches.size(cached[0])
    caches.bound(data.pixel_folder(), 2 * each + 1)
    assert [path.exists() for path in cached] == [False, False, True, True]
    assert not cached[0].with_suffix(caches.KEYS).exists()


def test_opening_a_cache_counts_as_using_it(cached):
    caches.opened(cached[0])
    caches.bound(data.pixel_folder(), caches.size(cached[0]))
    assert [path.exists() for path in cached] == [True, False, False, False]


def test_a_cache_in_use_stays_until_its_last_picture_is_let_go(cached):
    picture = caches.opened(cached[0])[1:3][0]
    caches.bound(data.pixel_folder(), 0)
    assert [path.exists() for path in cached] == [True, False, False, False]
    assert not picture.any()
    del picture
    assert caches.remove(cached[0]) > 0


def test_a_cache_that_another_process_uses_or_makes_stays(cached):
    command = [sys.executable, "-c", HOLD, cached[0]]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as other, files.locked(cached[1]):
        assert other.stdout.readline() == "open\n"
        caches.bound(data.pixel_folder(), 0)
        other.stdin.close()
    assert [path.exists() for path in cached] == [True, True, False, False]


def test_a_study_keeps_its_own_pixels_and_no_more_than_the_bound(tiny, cached, monkeypatch):
    monkeypatch.setattr(data, "MOST", 0)
    pixels = study.pixels(tiny, tiny.experiment("A"))
    assert [path.exists() for path in cached] == [False] * 4
    assert len(caches.found(data.pixel_folder())) == 1
    assert pixels[0].any()


def test_files_of_somebody_else_are_no_caches(project):
    folder = data.pixel_folder()
    linked = make_cache(project / "elsewhere", "A")
    folder.mkdir(parents=True)
    (folder / linked.name).symlink_to(linked)
    np.save(folder / "mine.npy", np.zeros(3))
    (folder / "notes-8-A-0123abcd.txt").write_text("mine")
    before = names(project)
    assert disk.clean() == ["nothing to remove"]
    assert names(project) == before


def test_cleaning_takes_caches_and_old_checkpoints_and_leaves_all_else(project, cached):
    done = make_run(project / "runs" / "tiny")
    (done.folder / "model.keras").touch()
    old = make_checkpoint(done)
    going = make_checkpoint(make_run(project / "runs" / "tiny", "resnet50", state=runs.RUNNING))
    (project / "results").mkdir()
    (project / "results" / "kept.csv").write_text("a\n1\n")
    before = names(project)
    told = disk.clean()
    assert told[0].startswith("removed 4 pixel caches: ")
    assert told[1] == "removed 1 checkpoint: 1.0 kB"
    gone = {path.relative_to(project).as_posix() for path in (*cached, old)}
    gone |= {path.replace(".npy", ".keys") for path in gone}
    locks = {name for name in names(project) if name.endswith(".lock")}
    assert names(project) - locks == before - gone - {old.relative_to(project).as_posix()}
    assert going.exists()


def test_cleaning_says_what_a_process_uses_and_leaves_it(cached):
    pixels = caches.opened(cached[0])
    told = disk.clean()
    assert told[-1] == f"left data/pixels/{cached[0].name}: a process uses it"
    assert cached[0].exists() and not pixels.any()


def test_checkpoints_of_a_run_without_its_network_stay(project):
    checkpoint = make_checkpoint(make_run(project / "runs" / "tiny"))
    assert disk.clean() == ["nothing to remove"]
    assert checkpoint.exists()


def test_half_a_cache_of_a_killed_process_goes_and_of_a_living_one_stays(project):
    folder = data.pixel_folder()
    with files.replacing(folder / "phantom-8-A-0123abcd.npy") as writing:
        writing.write_bytes(bytes(2000))
        dead = writing.with_name(writing.name.replace(f"-{os.getpid()}.", "-999999999."))
        dead.write_bytes(bytes(3000))
        assert disk.clean() == ["removed 1 cut-off cache: 3.0 kB"]
        assert writing.exists() and not dead.exists()


def test_what_is_left_is_told_with_its_size(project, cached, monkeypatch, capsys):
    make_run(project / "runs" / "tiny")
    (project / "_build" / "tiny").mkdir(parents=True)
    (project / "_build" / "tiny" / "index.html").write_bytes(bytes(12_000_000))
    (project / "_build" / "html").symlink_to("tiny")
    before = names(project)
    assert cxr(monkeypatch, "study", "--status") == 0
    told = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0].strip() for line in told[:-1]] == ["pixel caches", "runs", "book"]
    assert "data/pixels: made anew when wanted" in told[0]
    assert "runs/tiny: 1 run: yours to keep or delete" in told[1]
    assert "12 MB  _build/tiny: `make book` builds it" in told[2]
    assert told[3].startswith("In all 12 MB; `cxr clean` frees 4.")
    assert names(project) == before


def test_cleaning_from_the_command_says_what_went_and_what_is_left(cached, monkeypatch, capsys):
    assert cxr(monkeypatch, "clean") == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith("removed 4 pixel caches: ")
    assert told[1:] == ["", "What is left:", "No study has left anything here"]


def test_outside_a_study_nothing_is_cleaned(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cxr(monkeypatch, "clean") == 2
    assert "is not inside the study's folder" in capsys.readouterr().err
