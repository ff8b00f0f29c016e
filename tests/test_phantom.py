"""Phantoms: what is known about them is true, and only what was asked for differs."""

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency

from cxrlib import phantom
from cxrlib.errors import InputError
from cxrlib.targets import GROUPS, TARGETS

SICK = ("virus", "bacteria", "covid")
COUNTS = {"normal": 40, "virus": 25, "bacteria": 25, "covid": 12}


def grey(result):
    return result.image[:, :, 0].astype(int)


def overlap(one, other):
    return (one & other).sum() / (one | other).sum()


def shrink(mask, size):
    small = cv2.resize(mask.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA)
    return small > 0.5


def ring(mask, width):
    """The pixels around a mask, up to `width` away."""
    near = cv2.dilate(mask.astype(np.uint8), np.ones((2 * width + 1, 2 * width + 1), np.uint8))
    return (near > 0) & ~mask


# What comes back


@pytest.mark.parametrize("group", GROUPS)
def test_a_phantom_has_the_shapes_and_types_it_promises(group):
    result = phantom.simulate(3, 70, target=group, mark="R", seed=2)
    assert result.image.shape == (70, 70, 3)
    assert result.image.dtype == np.uint8
    assert (result.image == result.image[:, :, :1]).all()
    for mask in (result.lungs, result.lesions, result.marks):
        assert mask.shape == (70, 70)
        assert mask.dtype == bool
    assert result.targets == GROUPS[group]
    assert (result.group, result.mark, result.index) == (group, "R", 3)
    assert (result.seed, result.size) == (2, 70)
    assert result.patient.startswith("P")


@settings(max_examples=40, deadline=None)
@given(
    index=st.integers(0, 5_000_000),
    size=st.integers(32, 160),
    group=st.sampled_from(sorted(GROUPS)),
    mark=st.sampled_from(phantom.MARKS),
    seed=st.integers(0, 2**40),
)
def test_every_phantom_keeps_its_promises(index, size, group, mark, seed):
    result = phantom.simulate(index, size, target=group, mark=mark, seed=seed)
    assert 0.24 < result.lungs.mean() < 0.41
    assert not (result.lesions & ~result.lungs).any()
    assert not (result.marks & result.lungs).any()
    assert result.lesions.any() == (group != "normal")
    assert result.marks.any() == (mark != "none")
    assert result.image.std() > 30


# Same arguments, same phantom


def test_phantoms_do_not_depend_on_the_order_they_are_made_in():
    there = {index: phantom.simulate(index, 64, seed=1) for index in range(12)}
    for index in reversed(range(12)):
        again = phantom.simulate(index, 64, seed=1)
        first = there[index]
        assert (again.group, again.mark, again.patient) == (first.group, first.mark, first.patient)
        for name in ("image", "lungs", "lesions", "marks"):
            np.testing.assert_array_equal(getattr(again, name), getattr(first, name))


def test_indices_and_seeds_give_different_phantoms():
    images = [
        phantom.simulate(i, 64, seed=s, target="normal").image for i in (0, 1) for s in (0, 1)
    ]
    for i, image in enumerate(images):
        for other in images[:i]:
            assert np.abs(image.astype(int) - other).mean() > 2


def test_the_global_random_state_is_neither_used_nor_changed():
    np.random.seed(0)
    before = np.random.get_state()[1].copy()
    phantom.simulate(5, 48)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


# Only what was asked for differs


@pytest.mark.parametrize("group", GROUPS)
def test_the_mark_changes_no_pixel_outside_itself(group):
    for index in range(4):
        plain = phantom.simulate(index, 96, target=group, mark="none")
        for mark in phantom.MARKS[1:]:
            marked = phantom.simulate(index, 96, target=group, mark=mark)
            np.testing.assert_array_equal(
                marked.image[~marked.marks], plain.image[~marked.marks], err_msg=mark
            )
            np.testing.assert_array_equal(marked.lungs, plain.lungs)
            np.testing.assert_array_equal(marked.lesions, plain.lesions)


@pytest.mark.parametrize(("group", "size"), [(g, s) for g in SICK for s in (64, 256)])
def test_the_target_changes_the_lesion_and_nothing_else(group, size):
    halo = 1 + size // 100
    for index in range(4):
        healthy = phantom.simulate(index, size, target="normal", mark="text")
        sick = phantom.simulate(index, size, target=group, mark="text")
        away = ~sick.lesions & ~ring(sick.lesions, halo)
        np.testing.assert_array_equal(sick.image[away], healthy.image[away])
        np.testing.assert_array_equal(sick.lungs, healthy.lungs)
        np.testing.assert_array_equal(sick.marks, healthy.marks)


# The truth about an image is true


def test_lungs_fill_a_quarter_to_two_fifths_of_the_image():
    shares = [phantom.simulate(index, 96, seed=7).lungs.mean() for index in range(60)]
    assert min(shares) >= 0.25
    assert max(shares) <= 0.40
    assert np.std(shares) > 0.01


def test_lungs_are_a_left_and_a_right_one():
    for index in range(10):
        lungs = phantom.simulate(index, 128).lungs
        number, _, stats, centres = cv2.connectedComponentsWithStats(lungs.astype(np.uint8))
        assert number == 3
        assert stats[1:, cv2.CC_STAT_AREA].min() > 0.08 * lungs.size
        assert sorted(x < 64 for x, _ in centres[1:]) == [False, True]


def test_more_tissue_is_brighter_and_air_is_darker():
    for index in range(10):
        result = phantom.simulate(index, 128, target="normal", mark="none")
        image, lungs = grey(result), result.lungs
        rows, columns = np.nonzero(lungs)
        low = int(np.percentile(rows, 80))
        left = columns[columns < 64]
        lung = image[lungs & (np.arange(128) < np.median(left))].mean()
        heart = image[low - 8 : low, 60:72].mean()
        belly = image[-8:, 50:78].mean()
        assert heart > lung + 60
        assert belly > lung + 60


def test_lesions_are_brighter_than_the_lung_they_replace():
    for group in SICK:
        for index in range(10):
            sick = phantom.simulate(index, 96, target=group, mark="none")
            healthy = phantom.simulate(index, 96, target="normal", mark="none")
            assert (grey(sick) - grey(healthy))[sick.lesions].mean() > 2


def test_normals_have_no_lesion_and_the_sick_have_one_that_can_be_seen():
    for index in range(20):
        assert not phantom.simulate(index, 64, target="normal").lesions.any()
        for group in SICK:
            result = phantom.simulate(index, 64, target=group)
            assert result.lesions.sum() > 0.03 * result.lungs.sum()


def test_groups_show_their_signs():
    """Bacteria in one place, the viral groups on both sides, COVID low and to the outside."""
    sides = {group: [] for group in SICK}
    shift = {group: [] for group in SICK}
    for index in range(40):
        for group in SICK:
            result = phantom.simulate(index, 96, target=group)
            share = [half.sum() for half in np.split(result.lesions, 2, axis=1)]
            sides[group].append(min(share) / sum(share))
            lesion, lungs = (np.argwhere(m) for m in (result.lesions, result.lungs))
            middle = lungs[:, 1].mean()
            low = lesion[:, 0].mean() - lungs[:, 0].mean()
            out = np.abs(lesion[:, 1] - middle).mean() - np.abs(lungs[:, 1] - middle).mean()
            shift[group].append((low / 96, out / 96))
    assert np.median(sides["bacteria"]) < 0.05
    assert min(sides["virus"] + sides["covid"]) > 0.1
    low, out = np.mean(shift["covid"], axis=0)
    assert low > 0.05
    assert out > 0.03


@pytest.mark.parametrize("mark", phantom.MARKS[1:])
@pytest.mark.parametrize("size", [64, 128])
def test_marks_are_brighter_than_what_surrounds_them(mark, size):
    for index in range(15):
        result = phantom.simulate(index, size, mark=mark)
        image, around = grey(result), ring(result.marks, 2)
        assert image[result.marks].mean() > image[around].mean() + 20


def test_side_letters_hang_as_on_a_film():
    for index in range(10):
        for mark, left in (("R", True), ("L", False)):
            rows, columns = np.nonzero(phantom.simulate(index, 96, mark=mark).marks)
            assert (columns.mean() < 48) == left
            assert rows.mean() < 32


@pytest.mark.parametrize("group", GROUPS)
def test_every_size_shows_the_same_patient(group):
    for index in range(6):
        small, large = (phantom.simulate(index, s, target=group, mark="R") for s in (64, 128))
        assert overlap(small.lungs, shrink(large.lungs, 64)) > 0.9
        if group != "normal":
            assert overlap(small.lesions, shrink(large.lesions, 64)) > 0.7
        shrunk = cv2.resize(large.image, (64, 64), interpolation=cv2.INTER_AREA)
        assert np.abs(shrunk.astype(int) - small.image).mean() < 6


# Patients


def test_about_one_patient_in_four_comes_back():
    patients = pd.Series([phantom.simulate(i, 32).patient for i in range(200)])
    sizes = patients.value_counts()
    assert set(sizes) == {1, 2, 3}
    assert 0.2 < (sizes > 1).mean() < 0.35


def test_radiographs_of_a_patient_share_anatomy_and_differ_in_pose_and_noise():
    shown = [phantom.simulate(i, 96, target="normal", mark="none") for i in range(60)]
    same, others = [], []
    for one, other in zip(shown, shown[1:]):
        pair = overlap(one.lungs, other.lungs)
        (same if one.patient == other.patient else others).append(pair)
        assert (one.image != other.image).any()
    assert np.median(same) > 0.85 > np.median(others)


def test_a_drawn_group_is_one_for_each_patient_and_every_group_is_drawn():
    drawn = pd.DataFrame([vars(phantom.simulate(i, 32)) for i in range(120)])
    assert drawn.groupby("patient")["group"].nunique().max() == 1
    assert set(drawn["group"]) == set(GROUPS)
    assert set(drawn["mark"]) == set(phantom.MARKS)


def test_targets_name_groups_too():
    for target, group in zip(("Normal", "Virus", "Bacteria", "COVID"), GROUPS):
        assert phantom.simulate(1, 32, target=target).group == group
    assert {phantom.simulate(i, 32, target="Pneumonia").group for i in range(40)} == set(SICK)


# The table of a cohort


def test_a_table_has_the_rows_asked_for():
    rows = phantom.table(COUNTS, seed=3)
    assert list(rows) == ["index", "file", "group", "patient", "source", "mark", *TARGETS]
    assert rows["group"].value_counts().to_dict() == COUNTS
    assert rows["file"].is_unique
    assert rows["index"].is_unique
    assert set(rows["source"]) == {"phantom"}
    for group, part in rows.groupby("group"):
        assert (part[list(TARGETS)] == list(GROUPS[group])).all(axis=None)
    assert rows["file"].iloc[7] == "phantom-00000007.png"


def test_a_table_says_what_simulate_will_make():
    for row in phantom.table({"virus": 6, "covid": 6}, seed=4).to_dict("records"):
        drawn = phantom.simulate(row["index"], 32, target=row["group"], seed=4)
        assert (drawn.patient, drawn.mark) == (row["patient"], row["mark"])
        assert drawn.targets == tuple(row[target] for target in TARGETS)


def test_a_patient_is_in_one_group():
    rows = phantom.table({group: 200 for group in GROUPS})
    assert rows.groupby("patient")["group"].nunique().max() == 1
    assert rows["patient"].duplicated().any()


def test_growing_one_group_moves_no_other_row():
    before = phantom.table(COUNTS, seed=5, mark_tie=0.5)
    after = phantom.table({**COUNTS, "normal": 90}, seed=5, mark_tie=0.5)
    kept = after[after["index"].isin(before["index"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, before)


def test_a_table_depends_on_its_seed_alone():
    pd.testing.assert_frame_equal(phantom.table(COUNTS, seed=6), phantom.table(COUNTS, seed=6))
    assert not phantom.table(COUNTS, seed=6).equals(phantom.table(COUNTS, seed=7))


def test_a_table_of_nothing_keeps_its_columns():
    assert list(phantom.table({})) == list(phantom.table({"covid": 1}))
    assert len(phantom.table({"normal": 0})) == 0


def test_a_full_tie_lets_the_mark_tell_the_group():
    rows = phantom.table(COUNTS, mark_tie=1)
    assert (rows["mark"] == rows["group"].map(phantom.TIED_MARK)).all()


def test_without_a_tie_the_mark_tells_nothing():
    rows = phantom.table({group: 150 for group in GROUPS}, mark_tie=0.0)
    assert set(rows["mark"]) == set(phantom.MARKS)
    assert chi2_contingency(pd.crosstab(rows["group"], rows["mark"])).pvalue > 0.01


def test_half_a_tie_ties_about_half():
    rows = phantom.table({group: 150 for group in GROUPS}, mark_tie=0.5)
    tied = (rows["mark"] == rows["group"].map(phantom.TIED_MARK)).mean()
    assert tied == pytest.approx(0.5 + 0.5 / len(phantom.MARKS), abs=0.06)


# What cannot be simulated


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"target": "flu"}, "'flu'"),
        ({"target": "NORMAL"}, "'NORMAL'"),
        ({"target": 1}, "1"),
        ({"mark": "X"}, "'X'"),
        ({"mark": "r"}, "'r'"),
        ({"size": 31}, "31"),
        ({"size": 64.0}, "64.0"),
        ({"size": True}, "True"),
        ({"size": "64"}, "'64'"),
        ({"index": -1}, "-1"),
        ({"index": 1.5}, "1.5"),
        ({"seed": -3}, "-3"),
        ({"seed": None}, "None"),
    ],
)
def test_bad_arguments_are_named(arguments, named):
    with pytest.raises(InputError, match=named) as caught:
        phantom.simulate(**{"index": 0, "size": 64, **arguments})
    assert "expected" in str(caught.value)
    assert next(iter(arguments)) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_bad_target_or_mark_lists_the_choices():
    with pytest.raises(ValueError, match="normal.*virus.*bacteria.*covid.*Pneumonia"):
        phantom.simulate(0, 64, target="flu")
    with pytest.raises(ValueError, match="none, R, L, ticks, text"):
        phantom.simulate(0, 64, mark="X")


@pytest.mark.parametrize(
    ("counts", "options", "named"),
    [
        ({"flu": 3}, {}, "'flu'"),
        ({"Normal": 3}, {}, "'Normal'"),
        ({"normal": -1}, {}, "-1"),
        ({"normal": 2.5}, {}, "2.5"),
        ({"normal": 1_000_001}, {}, "1000001"),
        (["normal"], {}, "normal"),
        ({"normal": 1}, {"mark_tie": 1.1}, "1.1"),
        ({"normal": 1}, {"mark_tie": float("nan")}, "nan"),
        ({"normal": 1}, {"mark_tie": "half"}, "'half'"),
        ({"normal": 1}, {"seed": -1}, "-1"),
    ],
)
def test_bad_tables_are_named(counts, options, named):
    with pytest.raises(InputError, match=named):
        phantom.table(counts, **options)
