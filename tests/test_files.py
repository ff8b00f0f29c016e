"""Files are written whole or not at all."""

import errno
import hashlib
import os
import subprocess
import sys

import pytest

from cxrlib import files
from cxrlib.errors import InputError


def test_a_cut_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text("old")
    with pytest.raises(RuntimeError), files.replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_named_with_the_file_and_leaves_nothing(tmp_path):
    path = tmp_path / "new" / "model.keras"
    with (
        pytest.raises(OSError, match=r"No space left.*model\.keras"),
        files.replacing(path) as part,
    ):
        part.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert list(path.parent.iterdir()) == []


def test_what_a_killed_process_left_is_deleted_and_what_a_living_one_writes_stays(tmp_path):
    path = tmp_path / "history.csv"
    code = (
        "import sys, time; from cxrlib import files\n"
        "with files.replacing(sys.argv[1]) as temporary:\n"
        "    temporary.touch(); print(flush=True); time.sleep(60)"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    for writer in writers:
        writer.stdout.readline()
    assert len(list(tmp_path.iterdir())) == 2
    writers[0].kill()
    writers[0].communicate()
    with files.replacing(path) as temporary:
        temporary.touch()
        others = [other for other in tmp_path.iterdir() if other != temporary]
        assert [str(writers[1].pid) in other.name for other in others] == [True]
    writers[1].kill()
    writers[1].communicate()


def test_the_temporary_name_keeps_the_ending(tmp_path):
    with files.replacing(tmp_path / "model.keras") as temporary:
        assert temporary.suffix == ".keras"
        temporary.touch()


@pytest.mark.parametrize("stem", ["n" * 251, "é" * 125, "[*]" * 83])
def test_a_name_as_long_as_a_file_system_takes_can_be_written_and_is_cleared(tmp_path, stem):
    path = tmp_path / f"{stem}.zip"
    with files.replacing(path) as temporary:
        temporary.write_text("whole")
    assert path.read_text() == "whole"
    left = temporary.with_name(temporary.name.replace(f"-{os.getpid()}", "-gone"))
    left.touch()
    with files.replacing(path) as temporary:
        temporary.touch()
    assert list(tmp_path.iterdir()) == [path]


def test_a_shortened_name_stays_its_own():
    long = ["x" * 300 + end for end in "ab"]
    assert files.shortened("short", 50) == "short"
    short = [files.shortened(name, 50) for name in long]
    assert {len(name) for name in short} == {50} and len(set(short)) == 2
    assert len(os.fsencode(files.shortened("é\udcff" * 300, 50))) <= 50


def test_a_file_is_digested_by_content_and_read_again_only_when_it_changed(tmp_path, monkeypatch):
    (tmp_path / "Snakefile").touch()
    monkeypatch.chdir(tmp_path)
    one, two = tmp_path / "one.png", tmp_path / "two, or three.png"
    one.write_bytes(b"same")
    two.write_bytes(b"same")
    before = files.digests([one, two])
    assert before == [hashlib.sha256(b"same").hexdigest()] * 2
    two.write_bytes(b"else")  # as long as before
    os.utime(two, (1, 1))
    monkeypatch.setattr(files, "_digest", lambda path: {two: "new"}[path])
    assert files.digests([one, two]) == [before[0], "new"]


def test_damaged_digests_are_named(tmp_path, monkeypatch):
    (tmp_path / "Snakefile").touch()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "digests.csv").write_text("one,two,three\n")
    (tmp_path / "one.png").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"digests\.csv is damaged .*delete it"):
        files.digests([tmp_path / "one.png"])


def test_the_project_is_found_from_its_subfolders_and_missed_outside(tmp_path, monkeypatch):
    (tmp_path / "Snakefile").touch()
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    assert files.root() == tmp_path
    (tmp_path / "Snakefile").unlink()
    with pytest.raises(InputError, match="not inside the study's folder"):
        files.root()
