"""Networks asked about radiographs unlike those that they learnt from."""

import dataclasses

import numpy as np
import pytest

from cxrlib.shortcuts import transfer
from cxrlib.targets import TARGETS


def test_phantoms_with_two_infections_have_the_targets_of_both():
    cohort = transfer.co_infections(7, 64, 3)
    assert (cohort.table[list(TARGETS)] == [0, 1, 1, 1, 0]).all().all()
    assert cohort.pixels.shape == (3, 64, 64, 3) and cohort.pixels.dtype == np.uint8


@pytest.mark.slow
def test_one_choice_never_names_two_infections_and_nothing_is_trained_twice(tiny, tmp_path):
    once, path = dataclasses.replace(tiny, epochs=1, batch_size=8), tmp_path / "transfer.csv"
    said = list(transfer.measure(once, path, n=3))
    ways = [f"seed {once.seed}, learnt from phantoms: {way}" for way in transfer.WAYS]
    assert said == ways
    assert not list(transfer.measure(once, path, n=3))
    found = transfer.read(path).query("asked == 'co-infections' and way == 'one choice'")
    assert found.set_index("target").loc["all", "right"] == 0
    assert found["auc"].isna().all() and set(found["radiographs"]) == {3}


@pytest.mark.slow
def test_networks_of_radiographs_are_asked_about_phantoms_and_the_reverse(collections, tmp_path):
    profile, new = collections
    said = list(transfer.measure(profile, tmp_path / "transfer.csv", new, n=3))
    assert len(said) == 4
    found = transfer.read(tmp_path / "transfer.csv")
    asked = {"phantoms", "co-infections", "test split", "new patients"}
    assert all(set(part["asked"]) == asked for _, part in found.groupby(["learnt", "way"]))
    assert found["steps"].nunique() == 1
