"""Tables that grow network by network."""

import dataclasses

import pandas as pd
import pytest

from cxrlib import files
from cxrlib.columns import whole
from cxrlib.errors import InputError
from cxrlib.shortcuts import growing
from cxrlib.study.profiles import Profile
from tests.conftest import ROOT, cxr

CHECKS = {"seed": whole(), "score": whole()}


def begun(path, profile=None, **facts):
    return growing.begin(path, CHECKS, profile or Profile(), **facts)


def grown(path, seed, score):
    return growing.add(begun(path), pd.DataFrame({"score": [score], "seed": [seed]}), path)


def test_a_table_goes_on_where_another_call_ended(tmp_path):
    path = tmp_path / "of-this" / "table.csv"
    assert begun(path).empty
    grown(path, 1, 10)
    assert grown(path, 2, 20).to_dict("list") == {"seed": [1, 2], "score": [10, 20]}
    assert begun(path)["score"].tolist() == [10, 20]


def test_a_table_of_other_settings_is_refused_and_stays_as_it_is(tmp_path):
    path = tmp_path / "table.csv"
    grown(path, 1, 10)
    before = path.read_bytes()
    for change in ({"epochs": 3}, {"precision": "bfloat16"}, {"source_tie": 0.5}):
        (name, value), default = *change.items(), Profile()
        with pytest.raises(InputError, match=f"begun with {name} .*, and now {name} is {value}"):
            begun(path, dataclasses.replace(default, **change))
    assert path.read_bytes() == before


def test_other_new_patients_are_other_settings(tmp_path):
    path = tmp_path / "table.csv"
    begun(path, new_patients="ours")
    growing.add(pd.DataFrame(columns=list(CHECKS)), pd.DataFrame({"seed": [1], "score": [2]}), path)
    with pytest.raises(InputError, match="new_patients ours, and now new_patients is theirs"):
        begun(path, new_patients="theirs")


def test_a_fact_that_came_later_is_learnt_from_whoever_goes_on_with_the_table(tmp_path):
    path = tmp_path / "table.csv"
    grown(path, 1, 10)
    assert len(begun(path, radiographs="these")) == 1
    with pytest.raises(InputError, match="radiographs these, and now radiographs is those"):
        begun(path, radiographs="those")


def test_more_seeds_and_a_folder_elsewhere_are_the_same_settings(tmp_path):
    path = tmp_path / "table.csv"
    grown(path, 1, 10)
    moved = dataclasses.replace(Profile(), more_seeds=(1, 2), data="/elsewhere", threads=2)
    assert len(begun(path, moved)) == 1


def test_a_table_that_does_not_say_how_it_was_made_is_refused(tmp_path):
    path = tmp_path / "table.csv"
    grown(path, 1, 10)
    path.with_suffix(".json").unlink()
    with pytest.raises(InputError, match="table.json is missing. Give the profile another name"):
        begun(path)


def test_a_parameter_that_came_later_had_its_default(tmp_path):
    path = tmp_path / "table.csv"
    grown(path, 1, 10)
    beside = path.with_suffix(".json")
    beside.write_text(beside.read_text().replace('  "copies": 2,\n', ""))
    assert len(begun(path)) == 1


def test_two_processes_never_add_to_one_table_at_once(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    path = ROOT / "results" / "remedies" / "shortcuts" / "remedies.csv"
    before = path.read_bytes()
    with files.locked(path):
        assert cxr(monkeypatch, "remedies", "--remedy", "none") == 2
    assert "another process adds to" in capsys.readouterr().err
    assert path.read_bytes() == before
