"""Any image file becomes a square of RGB bytes, or one clear error; pixels are kept once."""

import errno
import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cxrlib import images, phantom
from cxrlib.errors import InputError

RADIOGRAPH = phantom.simulate(3, 128, mark="R", source="digital").image


@pytest.mark.parametrize(
    ("name", "pixels"),
    [
        ("grey.png", RADIOGRAPH[..., 0]),
        ("colour.jpg", RADIOGRAPH),
        ("alpha.png", np.dstack([RADIOGRAPH, np.full((128, 128), 255, np.uint8)])),
        ("sixteen.png", RADIOGRAPH[..., 0].astype(np.uint16) * 257),
        ("tall.png", np.repeat(RADIOGRAPH, 2, axis=0)),
    ],
)
def test_every_kind_of_file_gives_the_same_square_of_bytes(tmp_path, name, pixels):
    path = tmp_path / name
    cv2.imwrite(str(path), pixels)
    image = images.load(path, 64)
    assert image.shape == (64, 64, 3)
    assert image.dtype == np.uint8
    assert np.abs(image.astype(int) - images.resize(RADIOGRAPH, 64)).mean() < 4


def test_colours_come_as_red_green_blue(tmp_path):
    cv2.imwrite(str(tmp_path / "red.png"), np.full((9, 9, 3), (0, 0, 255), np.uint8))
    assert images.load(tmp_path / "red.png", 9)[0, 0].tolist() == [255, 0, 0]


@settings(max_examples=60, deadline=None)
@given(junk=st.binary(max_size=400), keep=st.integers(0, 600), whole=st.booleans())
def test_a_damaged_file_is_one_error_that_names_it(tmp_path_factory, junk, keep, whole):
    path = tmp_path_factory.mktemp("junk") / "x-ray.jpg"
    jpeg = cv2.imencode(".jpg", RADIOGRAPH)[1].tobytes()
    path.write_bytes(junk if whole else jpeg[:keep] + junk)
    try:
        assert images.load(path, 32).shape == (32, 32, 3)
    except ValueError as error:
        assert "x-ray.jpg" in str(error)
        assert "\n" not in str(error)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(OSError, match=r"gone\.png"):
        images.load(tmp_path / "gone.png", 32)


def test_cropping_takes_the_papers_share_from_each_side():
    ramp = np.arange(768, dtype=np.float32)
    across = np.repeat(np.tile(ramp / 3, (768, 1))[..., None], 3, axis=2).astype(np.uint8)
    cropped = images.crop_borders(across)
    assert cropped.shape == across.shape
    assert abs(int(cropped[400, 0, 0]) - 40 / 3) < 2
    assert abs(int(cropped[400, -1, 0]) - (768 - 30) / 3) < 2
    assert abs(int(images.crop_borders(across.transpose(1, 0, 2))[0, 400, 0]) - 40 / 3) < 2


def test_cropping_removes_a_mark_in_the_corner():
    marked = RADIOGRAPH.copy()
    marked[:5, :5] = 255
    plain = RADIOGRAPH.copy()
    plain[:5, :5] = 0
    assert (images.crop_borders(marked) == images.crop_borders(plain)).all()


def test_clahe_raises_local_contrast_and_keeps_grey_grey():
    equalised = images.clahe(RADIOGRAPH)
    assert equalised.shape == RADIOGRAPH.shape
    assert np.ptp(equalised.astype(int), axis=2).max() <= 4
    fine = [np.abs(np.diff(i[..., 0].astype(int))).mean() for i in (RADIOGRAPH, equalised)]
    assert fine[1] > 1.5 * fine[0]


def test_pixels_are_rendered_once_and_cannot_be_changed(tmp_path):
    asked = []

    def render(i):
        asked.append(i)
        return np.full((4, 4, 3), i, np.uint8)

    for _ in range(2):
        cache = images.cache(tmp_path / "pixels.npy", "abcde", 4, render)
    assert sorted(asked) == [0, 1, 2, 3, 4]
    assert cache[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="read-only"):
        cache[0] = 1


def test_only_images_that_no_cache_holds_are_rendered(tmp_path):
    asked = []

    def render(keys):
        def image(i):
            asked.append(keys[i])
            return np.full((4, 4, 3), ord(keys[i]), np.uint8)

        return image

    for name, keys in (("one", "abc"), ("two", "dcae"), ("again", "eb")):
        pixels = images.cache(tmp_path / f"{name}.npy", keys, 4, render(keys))
        assert pixels[:, 0, 0, 0].tolist() == [ord(key) for key in keys]
    assert sorted(asked) == list("abcde")


def test_keys_whose_pixels_were_deleted_are_rendered_again(tmp_path):
    for name in ("one", "two"):
        cache = images.cache(
            tmp_path / f"{name}.npy", "ab", 4, lambda i: np.full((4, 4, 3), i, np.uint8)
        )
        assert cache[:, 0, 0, 0].tolist() == [0, 1]
        (tmp_path / f"{name}.npy").unlink()


def test_a_damaged_cache_is_named(tmp_path):
    path = tmp_path / "pixels.npy"
    images.cache(path, "abc", 4, lambda i: np.zeros((4, 4, 3), np.uint8))
    path.write_bytes(path.read_bytes()[:150])
    with pytest.raises(InputError, match=r"pixels\.npy is damaged .*delete it and run again"):
        images.cache(path, "abc", 4, pytest.fail)
    with pytest.raises(InputError, match=r"pixels\.npy is damaged"):
        images.cache(tmp_path / "other.npy", "abcd", 4, pytest.fail)


def test_a_cache_that_could_not_be_finished_leaves_nothing(tmp_path):
    def render(i):
        if i == 3:
            raise InputError("3.png is not an image")
        return np.zeros((4, 4, 3), np.uint8)

    with pytest.raises(InputError, match="3.png"):
        images.cache(tmp_path / "pixels.npy", "abcde", 4, render)
    assert list(tmp_path.iterdir()) == []


def test_a_palette_image_shows_its_colours(tmp_path):
    red = Image.new("RGB", (16, 16), (200, 10, 30)).convert("P", palette=Image.Palette.ADAPTIVE)
    red.save(tmp_path / "palette.png")
    assert images.load(tmp_path / "palette.png", 8)[4, 4].tolist() == [200, 10, 30]


@pytest.mark.parametrize("ending", [".jpg", ".png"])
def test_a_file_cut_anywhere_is_refused_and_never_read_as_half_a_radiograph(tmp_path, ending):
    path = tmp_path / f"x-ray{ending}"
    whole = cv2.imencode(ending, images.resize(RADIOGRAPH, 32))[1].tobytes()
    assert len(whole) > 200
    for kept in range(0, len(whole), 11):
        path.write_bytes(whole[:kept])
        with pytest.raises(InputError, match="x-ray"):
            images.load(path, 32)


def test_a_folder_in_place_of_a_file_is_named(tmp_path):
    with pytest.raises(OSError, match=tmp_path.name):
        images.load(tmp_path, 32)


@settings(max_examples=40, deadline=None)
@given(width=st.integers(1, 90), height=st.integers(1, 90), size=st.integers(1, 90))
def test_any_shape_becomes_a_square_and_one_grey_stays_that_grey(width, height, size):
    flat = np.full((height, width, 3), 77, np.uint8)
    resized = images.resize(flat, size)
    assert resized.shape == (size, size, 3)
    assert (resized == 77).all()


@pytest.mark.parametrize("size", [121, 224, 768])
def test_cropping_cuts_the_same_share_at_every_size(size):
    position = np.tile(np.arange(size) * 255 / size, (size, 1)).astype(np.uint8)
    cropped = images.crop_borders(np.dstack([position] * 3))
    assert int(cropped[0, 0, 0]) == pytest.approx(40 / 768 * 255, abs=2.5)
    assert int(cropped[0, -1, 0]) == pytest.approx((1 - 30 / 768) * 255, abs=3.5)


def test_clahe_changes_lightness_and_hardly_the_colour():
    tinted = RADIOGRAPH.astype(np.float32) * (0.8, 0.9, 1.0)
    tinted = np.clip(tinted, 40, 210).astype(np.uint8)
    before, after = (
        cv2.cvtColor(image, cv2.COLOR_RGB2LAB).astype(int)
        for image in (tinted, images.clahe(tinted))
    )
    change = np.abs(after - before).mean((0, 1))
    assert change[0] > 10
    assert change[1:].max() < 3


def test_a_treatment_crops_before_it_equalises():
    expected = images.clahe(images.crop_borders(RADIOGRAPH))
    assert (images.treat(RADIOGRAPH, "cropped+clahe") == expected).all()
    assert (images.treat(RADIOGRAPH, "raw") == RADIOGRAPH).all()


def test_nothing_has_the_caches_name_before_every_pixel_is_in_it(tmp_path):
    path = tmp_path / "new" / "pixels.npy"

    def render(i):
        assert not path.exists()
        return np.full((4, 4, 3), i, np.uint8)

    images.cache(path, list(map(str, range(40))), 4, render)
    names = sorted(file.name for file in path.parent.iterdir())
    assert names == ["pixels.keys", "pixels.npy"]


def test_a_full_disk_stops_the_cache_before_a_pixel_is_rendered(tmp_path, monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(images.os, "posix_fallocate", full, raising=False)
    with pytest.raises(OSError, match=r"No space left.*pixels\.npy"):
        images.cache(tmp_path / "pixels.npy", "abcde", 4, pytest.fail)
    assert list(tmp_path.iterdir()) == []


def png_that_claims(width, height):
    def chunk(kind, data):
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(b"")), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def test_an_image_that_claims_a_huge_size_is_refused_by_name(tmp_path):
    (tmp_path / "huge.png").write_bytes(png_that_claims(100_000, 100_000))
    with pytest.raises(InputError, match="huge.png is not an image"):
        images.load(tmp_path / "huge.png", 32)


def test_covers_leave_the_lungs_or_the_rest_or_a_frame():
    known = phantom.simulate(3, 128, source="digital")
    lungs = images.cover(known.image, "lungs", known.lungs)
    rest = images.cover(known.image, "not-lungs", known.lungs)
    assert not lungs[known.lungs].any()
    assert not rest[~known.lungs].any()
    assert (lungs + rest == known.image).all()
    assert images.cover(known.image, "none") is known.image
    for what, width in (("centre", 16), ("not-border", 8)):
        framed = images.cover(known.image, what)
        assert not framed[width:-width, width:-width].any()
        assert (framed[:width] == known.image[:width]).all()
        assert (framed[:, -width:] == known.image[:, -width:]).all()


def test_lungs_that_nobody_knows_cannot_be_covered():
    with pytest.raises(InputError, match="cover lungs: .*use centre"):
        images.cover(RADIOGRAPH, "lungs")


def test_a_mask_is_cropped_as_its_image():
    known = phantom.simulate(3, 128, source="digital")
    painted = np.repeat(known.lungs[..., None].astype(np.uint8) * 255, 3, axis=2)
    expected = images.crop_borders(painted)[..., 0] > 127
    assert (images.place(known.lungs, "cropped+clahe") == expected).all()
    assert (images.place(known.lungs, "raw") == known.lungs).all()


@pytest.mark.parametrize("size", [121, 224, 768])
def test_the_part_that_is_seen_is_what_a_treatment_leaves(size):
    rows, columns = images.seen_part("cropped+clahe", size)
    outside = np.full((size, size, 3), 255, np.uint8)
    outside[rows, columns] = 0
    assert not images.treat(outside, "cropped").any()
    outside[rows.start, columns] = outside[rows, columns.stop - 1] = 255
    assert images.treat(outside, "cropped").any()
    assert images.seen_part("clahe", size) == (slice(0, size), slice(0, size))


def test_no_part_is_told_where_each_image_is_cut_by_itself_or_painted_over():
    assert images.seen_part("lungs+clahe", 128) is None
    assert images.seen_part("raw", 128, cover="centre") is None
