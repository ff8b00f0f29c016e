"""Outlined or boxed lungs are found by file name and come at any size."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from cxrlib import cohort, phantom
from cxrlib.errors import InputError
from cxrlib.images import lungs

SHARED = Path(__file__).parents[1].parent / "shared" / "data"
RADIOGRAPHS = pd.DataFrame({"file": ["a.jpeg", "b.png", "c.jpg"]})
BOXES = pd.DataFrame(
    [("b.png", "Right Lung", 0.1, 0.2, 0.4, 0.8), ("b.png", "Left Lung", 0.6, 0.2, 0.9, 0.8)],
    columns=["filename", "lung", "x0", "y0", "x1", "y1"],
)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "lung_masks").mkdir()
    known = phantom.simulate(0, 96).lungs
    cv2.imwrite(str(tmp_path / "lung_masks" / "a.png"), known.astype(np.uint8) * 255)
    BOXES.to_csv(tmp_path / "lung_boxes.csv", index=False)
    return tmp_path


def test_an_outline_is_read_as_it_was_drawn(folder):
    row = lungs.join(RADIOGRAPHS, folder).iloc[0]
    assert (lungs.mask(row, 96) == phantom.simulate(0, 96).lungs).all()


def test_an_outline_covers_the_same_share_at_another_size(folder):
    row = lungs.join(RADIOGRAPHS, folder).iloc[0]
    assert lungs.mask(row, 224).mean() == pytest.approx(lungs.mask(row, 96).mean(), abs=0.01)


def test_boxes_are_filled_where_there_is_no_outline(folder):
    row = lungs.join(RADIOGRAPHS, folder).iloc[1]
    filled = lungs.mask(row, 100)
    assert filled.sum() == 2 * 30 * 60
    assert filled[50, 20] and filled[50, 70] and not filled[50, 50]


def test_a_radiograph_without_either_is_named(folder):
    row = lungs.join(RADIOGRAPHS, folder).iloc[2]
    with pytest.raises(InputError, match=r"c\.jpg"):
        lungs.mask(row, 32)


def test_a_folder_with_neither_is_named(tmp_path):
    with pytest.raises(InputError, match="neither lung_masks/ nor lung_boxes.csv"):
        lungs.join(RADIOGRAPHS, tmp_path)


def test_boxes_without_a_corner_are_refused(tmp_path):
    BOXES.drop(columns="y1").to_csv(tmp_path / "lung_boxes.csv", index=False)
    with pytest.raises(InputError, match="lacks the column y1"):
        lungs.join(RADIOGRAPHS, tmp_path)


def test_a_mask_that_is_no_image_is_named(folder):
    (folder / "lung_masks" / "a.png").write_bytes(b"not a picture")
    with pytest.raises(InputError, match=r"a\.png is not an image"):
        lungs.mask(lungs.join(RADIOGRAPHS, folder).iloc[0], 32)


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the real radiographs in ../shared")
def test_masks_and_boxes_of_real_radiographs_agree():
    collection = cohort.read_covid_chestxray(SHARED / "covid-chestxray-224")
    joined = lungs.join(collection, SHARED)
    outlined = joined[(joined["lung_mask"] != "") & (joined["lung_boxes"].map(len) == 2)]
    assert len(outlined) > 200
    overlaps = []
    for _, row in outlined[::10].iterrows():
        drawn = lungs.mask(row, 112)
        boxed = lungs.mask({**row, "lung_mask": ""}, 112)
        overlaps.append((drawn & boxed).sum() / drawn.sum())
    assert np.median(overlaps) > 0.9
