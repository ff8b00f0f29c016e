"""Outlined or boxed lungs are found by file name and come at any size."""

import warnings
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from cxrlib import cohort, phantom
from cxrlib.cohort import lungs
from cxrlib.errors import InputError, InputWarning

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


def test_a_mask_is_found_whatever_its_names_encoding(folder):
    (folder / "lung_masks" / "a.png").rename(folder / "lung_masks" / "R\udcf6ntgen.png")
    joined = lungs.join(pd.DataFrame({"file": ["Röntgen.dcm"]}), folder)
    assert (lungs.mask(joined.iloc[0], 96) == phantom.simulate(0, 96).lungs).all()


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


# Masks of other people


LEFT, RIGHT = np.zeros((150, 180), np.uint8), np.zeros((150, 180), np.uint8)
LEFT[30:120, 20:75], RIGHT[30:120, 105:160] = 1, 1
HEART = np.zeros_like(LEFT)
HEART[90:120, 80:100] = 1
WHITE = 255 * (LEFT + RIGHT)
TRUTH = cv2.resize(LEFT + RIGHT, (90, 90), None, 0, 0, cv2.INTER_AREA) > 0


def drawn(folder, picture, name="a.png"):
    """Writes a mask of a.jpeg and reads its lungs."""
    (folder / "lung_masks").mkdir(exist_ok=True)
    cv2.imwrite(str(folder / "lung_masks" / name), picture)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)
        return lungs.mask(lungs.join(RADIOGRAPHS, folder).iloc[0], 90)


@pytest.mark.parametrize(
    "picture",
    [
        127 * LEFT + 255 * RIGHT,
        LEFT + 2 * RIGHT,
        LEFT + 2 * RIGHT + 3 * HEART,
        WHITE - 100 * HEART,
        np.dstack([255 * LEFT, 0 * LEFT, 255 * RIGHT]),
        np.dstack([0 * LEFT, 128 * LEFT, 128 * RIGHT]),
        cv2.resize(127 * LEFT + 255 * RIGHT, (1800, 1500), interpolation=cv2.INTER_CUBIC),
        np.tile(np.arange(180, dtype=np.uint8), (150, 1)),
    ],
)
def test_a_mask_with_a_shade_for_each_lung_or_for_the_heart_is_refused(tmp_path, picture):
    with pytest.raises(InputError, match=r"a\.png has more than two shades .* all else black"):
        drawn(tmp_path, picture)


@pytest.mark.parametrize(
    "picture",
    [
        WHITE,
        WHITE // 255,
        20 + WHITE // 2,
        np.dstack([WHITE, 0 * WHITE, 0 * WHITE]),
        cv2.resize(WHITE, (90, 75)),
        cv2.resize(WHITE, (1777, 1490)),
        cv2.resize(WHITE, (444, 333), interpolation=cv2.INTER_CUBIC),
        cv2.resize(WHITE, (77, 66), interpolation=cv2.INTER_AREA),
        cv2.GaussianBlur(WHITE, (0, 0), 5),
    ],
)
def test_a_mask_of_two_shades_is_read_whatever_they_are_and_however_smooth_its_edges(
    tmp_path, picture
):
    assert (drawn(tmp_path, picture) == TRUTH).mean() > 0.97


@pytest.mark.parametrize("quality", [5, 30, 75, 95])
def test_a_mask_that_was_a_jpeg_is_read(tmp_path, quality):
    _, packed = cv2.imencode(".jpg", WHITE, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert (drawn(tmp_path, cv2.imdecode(packed, 0)) == TRUTH).mean() > 0.97


@pytest.mark.parametrize("name", ["a.PNG", "a.jpg", "a.tif", "a.bmp"])
def test_a_mask_is_known_by_its_content_as_a_radiograph_is(tmp_path, name):
    assert (drawn(tmp_path, WHITE, name) == TRUTH).mean() > 0.97
    (tmp_path / "lung_masks" / name).rename(tmp_path / "lung_masks" / "a.mask")
    assert lungs.join(RADIOGRAPHS, tmp_path)["lung_mask"][0].endswith("a.mask")


def test_of_two_masks_of_one_name_none_is_taken(folder):
    cv2.imwrite(str(folder / "lung_masks" / "a.jpg"), WHITE)
    with pytest.raises(InputError, match=r"a\.jpg and .*a\.png are masks of one name: keep one"):
        lungs.join(RADIOGRAPHS, folder)


@pytest.mark.parametrize("picture", [0 * WHITE, 0 * WHITE + 255, np.eye(200, dtype=np.uint8)])
def test_a_mask_that_outlines_nothing_is_no_outline(tmp_path, picture):
    with pytest.raises(InputError, match=r"a\.png is .*: draw the lungs white"):
        drawn(tmp_path, picture)


def test_a_mask_that_is_black_in_the_lungs_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"a\.png is white in its corners: draw the lungs white"):
        drawn(tmp_path, 255 - WHITE)


# Boxes of other people


@pytest.mark.parametrize(
    "corners",
    ["20,30,75,120", "11,20,42,80", "0.4,0.8,0.1,0.2", ",0.2,0.4,0.8", "nan,0.2,0.4,0.8"]
    + ["zero,0.2,0.4,0.8", "-0.2,0.2,0.4,0.8", "0.1,0.2,0.1,0.8", "0.1,0.2", "0,0,inf,1"],
)
def test_a_box_that_is_none_is_refused_with_its_file(tmp_path, corners):
    boxes = tmp_path / "lung_boxes.csv"
    boxes.write_text(f"filename,x0,y0,x1,y1\nc.jpg,0,0,1,1\nb.png,{corners}\n")
    with pytest.raises(InputError, match=r"lung_boxes\.csv: .* is no box in b\.png: write x0 < x1"):
        lungs.join(RADIOGRAPHS, tmp_path)


@pytest.mark.parametrize("content", [b"", b"\0\0", b"PK\x03\x04", b"\xff\xfe\0"])
def test_boxes_that_are_no_table_are_refused_in_a_line(tmp_path, content):
    (tmp_path / "lung_boxes.csv").write_bytes(content)
    with pytest.raises(InputError, match=r"lung_boxes\.csv") as caught:
        lungs.join(RADIOGRAPHS, tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1"])
@pytest.mark.parametrize(("separator", "point"), [(",", "."), (";", ",")])
def test_boxes_are_read_however_they_were_saved(tmp_path, encoding, separator, point):
    cells = ("é 1", *(f"0{point}{n}" for n in (1, 2, 4, 8)))
    text = "\n".join(map(separator.join, [("filename", "x0", "y0", "x1", "y1"), cells]))
    (tmp_path / "lung_boxes.csv").write_text(text, encoding=encoding)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)
        joined = lungs.join(pd.DataFrame({"file": ["e\u0301 1"]}), tmp_path)
    assert joined["lung_boxes"][0] == ((0.1, 0.2, 0.4, 0.8),)


def test_a_name_of_digits_is_a_name(tmp_path):
    BOXES.assign(filename=["01", "2"]).to_csv(tmp_path / "lung_boxes.csv", index=False)
    joined = lungs.join(pd.DataFrame({"file": ["01", "1", "2"]}), tmp_path)
    assert joined["lung_boxes"].map(len).tolist() == [1, 0, 1]


def test_boxes_that_are_narrower_than_a_pixel_are_told(tmp_path):
    BOXES.assign(x1=BOXES["x0"] + 1e-4).to_csv(tmp_path / "lung_boxes.csv", index=False)
    with pytest.raises(InputError, match=r"boxes of b\.png are narrower than a pixel"):
        lungs.mask(lungs.join(RADIOGRAPHS, tmp_path).iloc[1], 90)
