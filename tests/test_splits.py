"""A split by patient keeps clusters of radiographs whole and the groups in proportion."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cxrlib import cohort
from cxrlib.errors import InputError
from cxrlib.targets import GROUPS


def table(clusters, publications=None):
    """A cohort from (group, number of radiographs) of each patient."""
    rows = [
        (f"{i:04d}-{j}.png", group, f"patient {i}")
        for i, (group, n) in enumerate(clusters)
        for j in range(n)
    ]
    made = pd.DataFrame(rows, columns=["file", "group", "patient"])
    return made.assign(publication=publications or "")


patients = st.lists(
    st.tuples(st.sampled_from(sorted(GROUPS)), st.integers(1, 9)), min_size=3, max_size=60
)


def enough(clusters):
    counts = pd.Series([group for group, _ in clusters]).value_counts()
    return (counts >= 3).all()


@settings(max_examples=80, deadline=None)
@given(clusters=patients.filter(enough), seed=st.integers(0, 5))
def test_no_patient_is_in_two_splits_and_none_is_lost(clusters, seed):
    whole = table(clusters)
    split = cohort.split_by_patient(whole, seed)
    assert sorted(split["file"]) == sorted(whole["file"])
    assert (split.groupby("patient")["split"].nunique() == 1).all()
    assert (split.groupby("group")["split"].nunique() == 3).all()


@settings(max_examples=40, deadline=None)
@given(clusters=patients.filter(enough), seed=st.integers(0, 5), order=st.randoms())
def test_the_order_of_the_rows_plays_no_part(clusters, seed, order):
    whole = table(clusters)
    shuffled = list(whole.index)
    order.shuffle(shuffled)
    first = cohort.split_by_patient(whole, seed).set_index("file")["split"]
    second = cohort.split_by_patient(whole.loc[shuffled], seed).set_index("file")["split"]
    assert first.to_dict() == second.to_dict()


@settings(max_examples=40, deadline=None)
@given(sizes=st.lists(st.integers(1, 5), min_size=20, max_size=80), seed=st.integers(0, 5))
def test_the_proportions_are_kept_as_near_as_whole_patients_allow(sizes, seed):
    split = cohort.split_by_patient(table([("virus", n) for n in sizes]), seed)
    share = split["split"].value_counts().reindex(cohort.SPLITS) / len(split)
    off = np.abs(share.to_numpy() - cohort.FRACTIONS) * len(split)
    assert off.max() <= max(sizes)


def test_single_radiographs_fall_into_the_exact_proportions():
    split = cohort.split_by_patient(table([("normal", 1)] * 100), 0)
    assert split["split"].value_counts().to_dict() == {"train": 64, "test": 20, "validation": 16}


def test_another_seed_draws_another_split_and_the_same_seed_the_same():
    whole = table([("covid", 1 + i % 3) for i in range(40)])
    first, again, other = (cohort.split_by_patient(whole, seed) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(first, again)
    assert first.set_index("file")["split"].to_dict() != other.set_index("file")["split"].to_dict()


def test_pictures_of_one_publication_stay_together_however_long_the_chain():
    whole = table([("covid", 2), ("covid", 1), ("covid", 1), ("covid", 1), ("covid", 1)])
    whole["publication"] = ["a", "b", "b", "c", "", ""]  # patient 0 joins a and b
    names = cohort.clusters(whole)
    assert names.nunique() == 4
    assert names[0] == names[1] == names[2]
    split = cohort.split_by_patient(whole, 3)
    assert split[split["publication"].isin(["a", "b"])]["split"].nunique() == 1


def test_a_patient_known_under_two_names_is_one():
    for name, same in cohort.same_patients().items():
        whole = table([("normal", 1)] * 4)
        whole.loc[:1, "patient"] = [name, same]
        assert cohort.clusters(whole).nunique() == 3
        assert cohort.shared(whole[:1], whole[1:]).tolist() == ["patient"]
        assert cohort.shared(whole[:1], whole[2:]).tolist() == [""]


def test_unknown_publications_are_not_one_publication():
    assert cohort.clusters(table([("normal", 1)] * 7)).nunique() == 7


def test_a_patient_with_two_groups_is_kept_together_too():
    whole = table([("covid", 2), ("covid", 1), ("covid", 1), *[("normal", 1)] * 9])
    whole.loc[1, "group"] = "normal"
    split = cohort.split_by_patient(whole, 0)
    assert split[split["patient"] == "patient 0"]["split"].nunique() == 1


def test_two_patients_are_too_few_for_three_splits():
    with pytest.raises(InputError, match="2 independent virus patients"):
        cohort.split_by_patient(table([("virus", 30), ("virus", 30), *[("normal", 1)] * 5]), 0)


def test_other_fractions_can_be_asked_for():
    halves = cohort.split_by_patient(table([("normal", 1)] * 40), 0, fractions=(0.5, 0.25, 0.25))
    assert halves["split"].value_counts()["train"] == 20


plenty = st.lists(
    st.tuples(st.sampled_from(["normal", "covid"]), st.integers(1, 2)), min_size=24, max_size=60
)


@settings(max_examples=30, deadline=None)
@given(clusters=plenty, seed=st.integers(0, 5), folds=st.integers(2, 5), order=st.randoms())
def test_each_radiograph_is_tested_in_one_fold_and_its_patient_in_no_other_split(
    clusters, seed, folds, order
):
    counts = pd.Series([group for group, _ in clusters]).value_counts()
    assume(len(counts) == 2 and counts.min() >= 3 * folds)
    whole = table(clusters)
    shuffled = list(whole.index)
    order.shuffle(shuffled)
    tested = np.zeros(len(whole), int)
    for fold in range(1, folds + 1):
        split = cohort.split_in_folds(whole, seed, folds, fold)
        assert list(split["file"]) == list(whole["file"])
        assert (split.groupby("patient")["split"].nunique() == 1).all()
        assert set(split["split"]) == set(cohort.SPLITS)
        tested += (split["split"] == "test").to_numpy()
        again = cohort.split_in_folds(whole.loc[shuffled], seed, folds, fold)
        assert again.sort_index()["split"].tolist() == split["split"].tolist()
    assert (tested == 1).all()


def test_two_patients_beside_a_fold_are_enough_and_one_is_too_few():
    for fold in (1, 2):
        split = cohort.split_in_folds(table([("covid", 1)] * 4 + [("normal", 1)] * 20), 0, 2, fold)
        covid = split[split["group"] == "covid"]["split"].value_counts().to_dict()
        assert covid == {"train": 1, "validation": 1, "test": 2}
    with pytest.raises(InputError, match="1 independent covid patients cannot be split in 2: add"):
        cohort.split_in_folds(table([("covid", 1)] * 2 + [("normal", 1)] * 20), 0, 2, 1)


def test_folds_hold_their_share_of_each_group():
    whole = table([(group, 1) for group in ("normal", "covid") for _ in range(50)])
    for fold in (1, 3):
        split = cohort.split_in_folds(whole, 0, 5, fold)
        tested = split[split["split"] == "test"]["group"].value_counts()
        assert tested.to_dict() == {"normal": 10, "covid": 10}
        assert (split["split"] == "validation").sum() == 16
        assert (split["split"] == "train").sum() == 64
    first, other = (cohort.split_in_folds(whole, seed, 5, 1)["split"] for seed in (0, 1))
    assert (first != other).any()


def test_more_folds_than_patients_are_refused():
    with pytest.raises(InputError, match="4 independent covid patients for 5 folds: lower `folds`"):
        cohort.split_in_folds(table([("covid", 2)] * 4 + [("normal", 1)] * 9), 0, 5, 1)
