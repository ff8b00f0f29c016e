"""Files are written whole or not at all."""

import errno

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


def test_the_temporary_name_keeps_the_ending(tmp_path):
    with files.replacing(tmp_path / "model.keras") as temporary:
        assert temporary.suffix == ".keras"
        temporary.touch()


def test_the_project_is_found_from_its_subfolders_and_missed_outside(tmp_path, monkeypatch):
    (tmp_path / "Snakefile").touch()
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    assert files.root() == tmp_path
    (tmp_path / "Snakefile").unlink()
    with pytest.raises(InputError, match="not inside the study's folder"):
        files.root()
