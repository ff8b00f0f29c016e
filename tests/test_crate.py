"""A finished study as one file for an archive."""

import pytest

from cxrlib.errors import InputError
from cxrlib.pages import crate
from cxrlib.study import profiles


def test_an_unfinished_study_makes_no_crate(project, tmp_path):
    with pytest.raises(InputError, match="study quick is not finished: `cxr study` goes on"):
        crate.write(profiles.Profile(), tmp_path / "study.zip")
    assert not (tmp_path / "study.zip").exists()


def test_no_file_that_is_no_crate_is_written_over(project, tmp_path):
    mine = tmp_path / "study.zip"
    mine.write_text("mine")
    with pytest.raises(InputError, match="is there and is no RO-Crate: give another name"):
        crate.write(profiles.Profile(), mine)
    assert mine.read_text() == "mine"


def test_settings_travel_without_the_place_of_the_radiographs():
    told = crate._settings(profiles.Profile(cohort="folder", data="/home/somebody/films.csv"))
    assert "somebody" not in told and "cohort: folder" in told
