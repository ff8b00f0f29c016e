"""Phantoms: what is known about them is true, and only what was asked for differs."""

import dataclasses
import re

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
ADULT = {"age_group": "adult", "view": "PA", "source": "digital", "device": "none"}
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
    for mask in (result.lungs, result.lesions, result.marks, result.devices):
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
    asked=st.fixed_dictionaries({}, optional={
        "age_group": st.sampled_from(sorted(phantom.AGE_GROUPS)),
        "view": st.sampled_from(sorted(phantom.VIEWS)),
        "source": st.sampled_from(sorted(phantom.SOURCES)),
        "device": st.sampled_from(sorted(phantom.DEVICES)),
        "severity": st.floats(*phantom.SEVERITIES),
    }),
)  # fmt: skip
def test_every_phantom_keeps_its_promises(index, size, group, mark, seed, asked):
    result = phantom.simulate(index, size, target=group, mark=mark, seed=seed, **asked)
    if group == "normal":
        asked = {**asked, "severity": 0}
    assert {name: getattr(result, name) for name in asked} == asked
    assert 0.20 < result.lungs.mean() < 0.45
    assert result.devices.any() == (result.device != "none")
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
        assert again.placed == first.placed
        for name in ("image", "lungs", "lesions", "marks", "devices"):
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


@pytest.mark.parametrize("source", phantom.SOURCES)
def test_the_device_changes_no_pixel_outside_itself(source):
    for index in range(4):
        bare = phantom.simulate(index, 96, source=source, device="none")
        for device in ("tube", "line", "electrodes"):
            result = phantom.simulate(index, 96, source=source, device=device)
            away = ~result.devices
            np.testing.assert_array_equal(result.image[away], bare.image[away], err_msg=device)
            np.testing.assert_array_equal(result.lesions, bare.lesions)
            assert (grey(result) - grey(bare))[result.devices].mean() > 1


@pytest.mark.parametrize("source", phantom.SOURCES)
def test_the_severity_changes_the_lesion_and_nothing_else(source):
    for index in range(4):
        mild, severe = (
            phantom.simulate(index, 96, target="bacteria", source=source, severity=severity)
            for severity in (0.3, 1.0)
        )
        lesion = mild.lesions | severe.lesions
        away = ~lesion & ~ring(lesion, 1)
        np.testing.assert_array_equal(mild.image[away], severe.image[away])
        assert (grey(severe) - grey(mild))[mild.lesions].mean() > 5


def test_age_view_and_source_leave_mark_group_and_patient_alone():
    for index in range(6):
        one = phantom.simulate(index, 48, age_group="adult", view="PA", source="digital")
        other = phantom.simulate(index, 48, age_group="child", view="AP", source="film")
        for name in ("group", "severity", "mark", "device", "patient"):
            assert getattr(one, name) == getattr(other, name)
        assert (one.image != other.image).any()


# Marks where they are wanted


def test_a_phantom_made_again_from_its_placed_marks_is_the_same():
    for index in range(6):
        for name in phantom.MARKS[1:]:
            first = phantom.simulate(index, 96, mark=name)
            again = phantom.simulate(index, 96, mark=first.placed)
            assert again.placed == first.placed
            np.testing.assert_array_equal(again.image, first.image)


@pytest.mark.parametrize("name", phantom.MARKS[1:])
def test_a_mark_goes_where_it_is_wanted_in_the_size_and_grey_that_is_wanted(name):
    plain = phantom.simulate(4, 128, mark="none")
    usual = phantom.simulate(4, 128, mark=name).placed[0]
    larger = dataclasses.replace(usual, x=0.5, y=0.05, size=1.4 * usual.size, brightness=120)
    if name == "ticks":
        larger = dataclasses.replace(usual, x=0.97, y=0.5, brightness=120)
    result = phantom.simulate(4, 128, mark=larger)
    rows, columns = np.nonzero(result.marks)
    assert (columns.min() + columns.max() + 1) / 256 == pytest.approx(larger.x, abs=0.02)
    assert (rows.min() + rows.max() + 1) / 256 == pytest.approx(larger.y, abs=0.02)
    toward = np.abs(grey(result) - 120) <= np.abs(grey(plain) - 120)
    assert toward[result.marks].all()
    if name != "ticks":
        before = np.ptp(np.nonzero(phantom.simulate(4, 128, mark=name).marks)[0])
        assert np.ptp(rows) == pytest.approx(1.4 * before, abs=3)


def test_several_marks_are_all_there_and_each_can_be_removed_alone():
    both = phantom.simulate(2, 96, mark=["R", "ticks"])
    assert both.mark == "R+ticks"
    assert [mark.name for mark in both.placed] == ["R", "ticks"]
    letter, ticks = (phantom.simulate(2, 96, mark=name) for name in ("R", "ticks"))
    np.testing.assert_array_equal(both.marks, letter.marks | ticks.marks)
    away = ~ticks.marks
    np.testing.assert_array_equal(both.image[away], letter.image[away])


def test_a_text_says_what_it_is_told_to():
    one, other = (phantom.Mark("text", words=words) for words in ("LEFT", "RIGHT"))
    shown = [phantom.simulate(1, 96, mark=mark) for mark in (one, other)]
    assert shown[0].placed[0].words == "LEFT"
    assert (shown[0].marks != shown[1].marks).any()


def test_a_mark_within_the_lungs_or_wider_than_the_image_is_refused():
    with pytest.raises(InputError, match="mark R of phantom 3: it lies within the lungs"):
        phantom.simulate(3, 96, mark=phantom.Mark("R", x=0.27, y=0.45, size=0.02))
    with pytest.raises(InputError, match="wider than the image"):
        phantom.simulate(3, 96, mark=phantom.Mark("text", size=0.3))


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"name": "none"}, "mark 'none'"),
        ({"name": "X"}, "mark 'X'"),
        ({"name": "R", "x": 1.2}, "x of mark R 1.2"),
        ({"name": "R", "y": "top"}, "y of mark R 'top'"),
        ({"name": "R", "size": 0}, "size of mark R 0"),
        ({"name": "R", "brightness": None}, "brightness of mark R None"),
        ({"name": "R", "brightness": float("nan")}, "brightness of mark R nan"),
        ({"name": "R", "words": "hello"}, "words of mark R 'hello'"),
        ({"name": "text", "words": "two\nlines"}, "words of mark text"),
        ({"name": "text", "words": ""}, "words of mark text ''"),
    ],
)
def test_a_mark_that_cannot_be_drawn_is_named(values, named):
    with pytest.raises(InputError, match=re.escape(named)):
        phantom.Mark(**values)


# The truth about an image is true


def test_the_layers_add_up_to_what_the_beam_lost():
    """Without scatter and noise, grey values would follow the sum of the layers pixel by pixel."""
    for index in range(5):
        result = phantom.simulate(index, 96, mark="none", source="digital")
        assert tuple(result.layers) == phantom.LAYERS
        lost = sum(result.layers.values())
        order = np.argsort(lost, axis=None)
        shown = np.ravel(grey(result))[order]
        assert np.corrcoef(np.arange(len(shown)), shown)[0, 1] > 0.9
        assert (result.layers["air"][result.lungs] < 0).mean() > 0.99
        assert ((result.layers["device"] > 0) == result.devices).all()
        assert not result.layers["lesion"][~result.lungs & ~ring(result.lungs, 2)].any()


def test_a_child_has_a_larger_heart_and_a_shorter_chest_than_the_same_adult():
    def shape(result):
        rows, columns = np.nonzero(result.lungs)
        return np.ptp(rows) / np.ptp(columns)

    flat, wide = [], []
    for index in range(12):
        adult, child = (
            phantom.simulate(index, 96, age_group=age, view="PA", target="normal")
            for age in ("adult", "child")
        )
        flat.append(shape(adult) - shape(child))
        wide.append(child.layers["heart"].mean() - adult.layers["heart"].mean())
    assert min(flat) > 0.05
    assert np.mean(wide) > 0


def test_a_view_from_the_front_shows_a_larger_heart_and_less_breath():
    for index in range(12):
        back, front = (
            phantom.simulate(index, 96, view=view, age_group="adult", target="normal")
            for view in ("PA", "AP")
        )
        assert front.lungs.sum() < back.lungs.sum()
        share = [(r.layers["heart"] > 0.05).sum() / r.lungs.sum() for r in (back, front)]
        assert share[1] > 1.1 * share[0]


def test_a_film_has_fog_and_dark_edges_and_a_figure_few_greys():
    for index in range(5):
        known = {"target": "normal", "mark": "none", "age_group": "adult"}
        shown = {s: grey(phantom.simulate(index, 128, source=s, **known)) for s in phantom.SOURCES}
        assert len(np.unique(shown["figure"])) < 60 < len(np.unique(shown["digital"]))
        assert shown["film"][:, [0, -1]].max() < 15
        assert shown["film"][4:-4, 4:-4].min() > 10


def test_a_tube_ends_above_the_lungs_middle_and_electrodes_lie_on_both_sides():
    for index in range(8):
        tube = phantom.simulate(index, 128, device="tube")
        rows, columns = np.nonzero(tube.devices)
        top, bottom = np.percentile(np.nonzero(tube.lungs)[0], (0, 100))
        assert rows.max() < top + 0.45 * (bottom - top)
        assert np.abs(columns / 128 - 0.5).max() < 0.15
        pads = phantom.simulate(index, 128, device="electrodes").devices
        assert pads[:, :50].any()
        assert pads[:, 78:].any()


def test_an_adults_lungs_fill_a_quarter_to_two_fifths_of_the_image():
    shares = [phantom.simulate(index, 96, seed=7, **ADULT).lungs.mean() for index in range(60)]
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
    known = {"view": "PA", "source": "digital", "target": "normal", "mark": "none"}
    shown = [phantom.simulate(i, 96, **known) for i in range(60)]
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
    assert drawn.groupby("patient")["age_group"].nunique().max() == 1


@pytest.mark.parametrize(
    ("name", "shares"),
    [
        ("age_group", phantom.AGE_GROUPS), ("view", phantom.VIEWS), ("source", phantom.SOURCES),
        ("device", phantom.DEVICES),
    ],
)  # fmt: skip
def test_what_is_not_asked_for_is_drawn_with_its_frequency_whatever_the_group(name, shares):
    rows = phantom.table({group: 400 for group in GROUPS}, seed=3)
    assert sum(shares.values()) == pytest.approx(1)
    found = rows[name].value_counts(normalize=True)
    for value, share in shares.items():
        assert found[value] == pytest.approx(share, abs=0.05)
    once = rows.drop_duplicates("patient")
    assert chi2_contingency(pd.crosstab(once["group"], once[name])).pvalue > 0.005


def test_targets_name_groups_too():
    for target, group in zip(("Normal", "Virus", "Bacteria", "COVID"), GROUPS):
        assert phantom.simulate(1, 32, target=target).group == group
    assert {phantom.simulate(i, 32, target="Pneumonia").group for i in range(40)} == set(SICK)


# The table of a cohort


def test_a_table_has_the_rows_asked_for():
    rows = phantom.table(COUNTS, seed=3)
    facts = ["source", "view", "age_group", "device", "mark"]
    assert list(rows) == ["index", "file", "group", "patient", *facts, *TARGETS]
    assert rows["group"].value_counts().to_dict() == COUNTS
    assert rows["file"].is_unique
    assert rows["index"].is_unique
    assert set(rows["source"]) == set(phantom.SOURCES)
    for group, part in rows.groupby("group"):
        assert (part[list(TARGETS)] == list(GROUPS[group])).all(axis=None)
    assert rows["file"].iloc[7] == "phantom-00000007.png"


def test_a_table_says_what_simulate_will_make():
    for row in phantom.table({"virus": 6, "covid": 6}, seed=4).to_dict("records"):
        drawn = phantom.simulate(row["index"], 32, target=row["group"], seed=4)
        for name in ("patient", "mark", "source", "view", "age_group", "device"):
            assert getattr(drawn, name) == row[name]
        assert drawn.targets == tuple(row[target] for target in TARGETS)


@pytest.mark.parametrize("group", ["virus", "bacteria", "covid"])
def test_a_co_infection_has_both_lesions_and_the_targets_of_both_groups(group):
    also = "virus" if group == "bacteria" else "bacteria"
    alone, both = (phantom.simulate(4, 96, target=group, also=a) for a in ("", also))
    assert both.targets == tuple(map(max, zip(GROUPS[group], GROUPS[also])))
    assert (both.lesions >= alone.lesions).all() and both.lesions.sum() > alone.lesions.sum()
    assert (both.group, both.also, alone.also) == (group, also, "")
    apart = both.lungs | both.devices | (both.image == alone.image)[..., 0]
    assert apart.mean() > 0.95  # outside the lungs scatter alone differs


@pytest.mark.parametrize(
    ("group", "also", "expected"),
    [("virus", "virus", "bacteria, covid"), ("covid", "normal", "virus, bacteria"),
     ("normal", "virus", "nothing, as it is normal")],
)  # fmt: skip
def test_what_is_no_second_lesion_is_named(group, also, expected):
    with pytest.raises(InputError, match=f"also '{also}': expected one of {expected}"):
        phantom.simulate(4, 64, target=group, also=also)


def test_a_patient_is_in_one_group():
    rows = phantom.table({group: 200 for group in GROUPS})
    assert rows.groupby("patient")["group"].nunique().max() == 1
    assert rows["patient"].duplicated().any()


def test_growing_one_group_moves_no_other_row():
    ties = {"mark_tie": 0.5, "source_tie": 0.5, "device_tie": 0.5}
    before = phantom.table(COUNTS, seed=5, **ties)
    after = phantom.table({**COUNTS, "normal": 90}, seed=5, **ties)
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
    assert set(rows["source"]) == set(phantom.SOURCES)


def test_with_a_full_tie_of_sources_all_figures_show_covid():
    rows = phantom.table(COUNTS, source_tie=1)
    assert (rows["source"] == rows["group"].map(phantom.TIED_SOURCE)).all()
    assert ((rows["source"] == "figure") == (rows["group"] == "covid")).all()
    assert set(rows["mark"]) == set(phantom.MARKS)


def test_with_a_full_tie_of_devices_each_group_has_its_own_and_nothing_else_is_tied():
    rows, loose = phantom.table(COUNTS, device_tie=1), phantom.table(COUNTS)
    assert (rows["device"] == rows["group"].map(phantom.TIED_DEVICE)).all()
    assert rows.drop(columns="device").equals(loose.drop(columns="device"))


def test_without_a_tie_the_mark_says_nothing_of_the_group():
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
        ({"age_group": "old"}, "'old'"),
        ({"view": "pa"}, "'pa'"),
        ({"source": "phantom"}, "'phantom'"),
        ({"device": "pacemaker"}, "'pacemaker'"),
        ({"severity": 0.2}, "0.2"),
        ({"severity": 1.1}, "1.1"),
        ({"severity": "mild"}, "'mild'"),
        ({"mark": ["R", "X"]}, "'X'"),
        ({"mark": 3}, "3"),
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
        ({"normal": 1}, {"source_tie": -0.1}, "source_tie -0.1"),
        ({"normal": 1}, {"device_tie": 2}, "device_tie 2"),
        ({"normal": 1}, {"seed": -1}, "-1"),
    ],
)
def test_bad_tables_are_named(counts, options, named):
    with pytest.raises(InputError, match=named):
        phantom.table(counts, **options)
