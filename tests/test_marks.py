"""Marks are found where they were put, painted over without a trace elsewhere, and moved whole."""

import numpy as np
import pytest

from cxrlib import phantom
from cxrlib.images import marks

UNSEEN = range(1000, 1040)  # no constant of `marks` was chosen on these


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "recall", "precision"),
    [(224, 0.8, 0.95), (128, 0.65, 0.95), (600, 0.8, 0.6)],  # 600: seen at 224, so a pixel wider
)
def test_most_of_every_mark_is_found_and_hardly_anything_else(size, recall, precision):
    found = marks.recovery(UNSEEN, size).set_index("mark")
    assert list(found.index) == list(phantom.MARKS)
    assert (found["n"] == len(UNSEEN)).all()
    assert found.loc["none", "found"] <= 0.1
    assert np.isnan(found.loc["none", ["recall", "precision"]].astype(float)).all()
    written = found.drop("none")
    assert (written["recall"] >= recall).all()
    assert (written["precision"] >= precision).all()
    assert (written.loc[["R", "L"], "found"] >= 0.9).all()


@pytest.mark.parametrize("source", phantom.SOURCES)
def test_tubes_lines_and_electrodes_are_no_marks(source):
    for device in phantom.DEVICES:
        for index in range(1000, 1004):
            one = phantom.simulate(index, 224, mark="none", source=source, device=device)
            assert not marks.find(one.image).any(), (source, device, index)


@pytest.fixture
def marked():
    return phantom.simulate(1003, 224, mark="R", device="none", source="digital")


def test_a_mark_in_the_middle_of_the_image_is_left_alone():
    rng = np.random.default_rng(0)
    image = np.full((128, 128, 3), 60, np.uint8)
    for y, expected in ((0.1, True), (0.5, False)):
        pasted = phantom.paste(image, phantom.Mark("R", x=0.5, y=y), rng)
        assert marks.find(pasted).any() == expected


def test_a_mark_that_is_painted_over_is_gone(marked):
    clean = phantom.simulate(1003, 224, mark="none", device="none", source="digital").image
    painted = marks.paint_over(marked.image, marks.find(marked.image))
    assert not marks.find(painted).any()
    before, after = (np.abs(one.astype(int) - clean).mean() for one in (marked.image, painted))
    assert after < 0.1 * before


def test_painting_changes_nothing_far_from_a_mark(marked):
    mask = marks.find(marked.image)
    rows, columns = np.nonzero(mask)
    near = np.zeros_like(mask)
    near[rows.min() - 3 : rows.max() + 4, max(0, columns.min() - 3) : columns.max() + 4] = True
    assert (marks.paint_over(marked.image, mask) == marked.image)[~near].all()
    elsewhere = marks.paint_elsewhere(marked.image, mask) != marked.image
    assert elsewhere.any()
    assert not elsewhere[~near[:, ::-1]].any()


def test_a_moved_mark_is_the_same_letter_across_the_image(marked):
    mask = marks.find(marked.image)
    moved = marks.find(marks.move(marked.image, mask))
    here, there = (np.argwhere(one) for one in (mask, moved))
    assert there[:, 0].min() == here[:, 0].min()
    assert there[:, 1].max() == 223 - here[:, 1].min()
    letters = [one[np.ix_(*map(np.unique, np.nonzero(one)))] for one in (mask, moved)]
    assert (letters[0] == letters[1]).mean() > 0.95


@pytest.mark.parametrize("change", marks.CHANGES)
def test_where_no_mark_was_found_nothing_changes(change, marked):
    nothing = np.zeros(marked.image.shape[:2], bool)
    assert (marks.CHANGES[change](marked.image, nothing) == marked.image).all()
