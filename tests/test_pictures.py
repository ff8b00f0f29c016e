"""Picture files as the world has them: what is read, what is said, and what it may cost."""

import errno
import gzip
import io
import itertools
import json
import os
import re
import resource
import signal
import struct
import subprocess
import sys
import time
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest
from PIL import Image, features

from cxrlib import cli
from cxrlib.cohort import lungs
from cxrlib.errors import InputError, InputWarning
from cxrlib.images import apart, decode, depth
from tests.test_decode import GREY, RADIOGRAPH, by_opencv, dicom, encoded
from tests.test_dicom import seen

ROOT = Path(__file__).parents[1]
FAULTS = ROOT.parent / "shared/faults/pixels"
ITEM = b"\xfe\xff\0\xe0\0\0\0\0"


def difference(pixels, expected):
    return np.abs(pixels.astype(int) - expected).mean()


@pytest.mark.skipif(not FAULTS.is_dir(), reason="no ../shared/faults")
def test_the_reported_files_give_their_right_pictures(tmp_path):
    for right in sorted(FAULTS.glob("*.npy")):
        path = right.with_name(right.name.removesuffix(".expected.npy"))
        pixels, said = seen(tmp_path, path.read_bytes(), path.name)
        assert difference(pixels, np.load(right)) < 2, path.name
        assert bool(said) == path.name.startswith(("10-window-nan", "11c", "32d", "36e")), path.name


# Depth and colour


@pytest.mark.parametrize("bits", range(8, 17))
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_any_depth_in_sixteen_bits_reaches_white(tmp_path, bits, kind):
    stored = np.rint(np.arange(400).reshape(20, 20) / 399 * (2**bits - 1)).astype(np.uint16)
    pixels, said = seen(tmp_path, encoded(stored, kind), "x-ray")
    assert np.abs(pixels - np.arange(400).reshape(20, 20) / 399 * 255).max() < 1
    assert not said


@pytest.mark.parametrize("top", [1, 100, 255, 256, 1023, 4095, 65535])
@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("colour", [False, True])
def test_a_pgm_or_ppm_of_any_white_and_size_is_read(tmp_path, top, large, colour):
    stored = np.rint((RADIOGRAPH if colour else GREY) / RADIOGRAPH.max() * top).astype(int)
    stored = np.tile(stored, (7, 7, 1)[: stored.ndim]) if large else stored
    height, width = stored.shape[:2]
    head = b"P%d # drawn\n%d\n#by hand\n %d\t%d\n" % (6 if colour else 5, width, height, top)
    content = head + stored.astype(">u2" if top > 255 else "u1").tobytes()
    pixels, said = seen(tmp_path, content, "x-ray.pgm")
    assert np.abs(pixels - stored / top * 255).max() <= 0.51
    assert not said
    (tmp_path / "x-ray.pgm").write_bytes(content[:-1])
    with pytest.raises(InputError, match=r"x-ray\.pgm .* PPM and damaged or cut short"):
        decode.read(tmp_path / "x-ray.pgm")


@pytest.mark.parametrize("kind", [1, 2, 3, 4])
def test_other_kinds_of_ppm_are_read(tmp_path, kind):
    bits = (GREY > 100).astype(int)
    if kind == 4:
        content = np.packbits(1 - bits, axis=1).tobytes()
    else:
        stored = 1 - bits if kind == 1 else bits if kind == 2 else np.dstack([bits] * 3)
        content = b" ".join(b"%d" % value for value in stored.ravel())
    head = b"P%d 128 128%b\n" % (kind, b"" if kind in (1, 4) else b" 1")
    pixels, _ = seen(tmp_path, head + content, "x-ray.pbm")
    assert difference(pixels if pixels.ndim == 2 else pixels[..., 0], bits * 255) == 0


def tiff(pixels, planes=True, order="<", compressed=False, rows=16, tile=None):
    """Writes a TIFF of 8 or 16 bits, its colours apart or together, in strips or tiles."""
    height, width, samples = pixels.shape
    pixels = pixels.astype(pixels.dtype.newbyteorder(order))
    blocks = []
    for plane in np.moveaxis(pixels, 2, 0)[..., None] if planes else [pixels]:
        if tile is None:
            parts = [plane[top : top + rows] for top in range(0, height, rows)]
        else:
            corners = itertools.product(range(0, height, tile), range(0, width, tile))
            parts = [plane[top : top + tile, left : left + tile] for top, left in corners]
        blocks += [
            zlib.compress(part.tobytes()) if compressed else part.tobytes() for part in parts
        ]
    offsets = 8 + np.cumsum([0, *map(len, blocks)])
    where, sizes = (273, 279) if tile is None else (324, 325)
    tags = {
        256: [width], 257: [height], 258: [8 * pixels.itemsize] * samples,
        259: [8 if compressed else 1], 262: [2 if samples == 3 else 1], where: offsets[:-1],
        277: [samples], sizes: [len(block) for block in blocks], 284: [2 if planes else 1],
    }  # fmt: skip
    tags |= {278: [rows]} if tile is None else {322: [tile], 323: [tile]}
    start, extra, entries = int(offsets[-1]) + 2 + 12 * len(tags) + 4, b"", b""
    for tag, listed in sorted(tags.items()):
        value = struct.pack(f"{order}{len(listed)}I", *listed)
        if len(listed) > 1:
            value, extra = struct.pack(f"{order}I", start + len(extra)), extra + value
        entries += struct.pack(f"{order}HHI", tag, 4, len(listed)) + value
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", offsets[-1])
    ifd = struct.pack(f"{order}H", len(tags)) + entries + bytes(4)
    return head + b"".join(blocks) + ifd + extra


@pytest.mark.parametrize("planes", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("tile", [None, 32])
@pytest.mark.parametrize("factor", [1, 257, 16])
def test_colours_apart_or_together_are_the_same_picture(
    tmp_path, planes, order, compressed, tile, factor
):
    deep = RADIOGRAPH.astype(np.uint16) * factor if factor > 1 else RADIOGRAPH.copy()
    tinted = deep // np.array([1, 2, 4], deep.dtype)
    content = tiff(tinted, planes, order, compressed, tile=tile)
    pixels, _ = seen(tmp_path, content, "x-ray.tif")
    white = 255 if factor == 1 else depth.white(int(tinted.max()))
    assert difference(pixels, tinted.astype(float) / white * 255) < 1


@pytest.mark.parametrize("bits", range(9, 17))
@pytest.mark.parametrize("colour", [False, True])
def test_fewer_bits_of_jpeg_2000_stored_in_sixteen_are_not_black(tmp_path, bits, colour):
    stored = np.rint(RADIOGRAPH / 255 * (2**bits - 1)).astype(np.uint16)
    stored[0, 0] = 2**bits - 1
    found = dicom(stored if colour else stored[..., 0], "JPEG2000Lossless")
    stream = pydicom.encaps.get_frame(
        pydicom.dcmread(io.BytesIO(found)).PixelData, 0, number_of_frames=1
    )
    pixels, said = seen(tmp_path, stream, "x-ray.j2k")
    assert difference(pixels[1:], RADIOGRAPH[1:] if colour else GREY[1:]) < 1
    assert not said


@pytest.mark.parametrize(("colours", "is_deep"), [(b"\x10", True), (b"\x12", False)])
def test_a_dark_jpeg_2000_of_ycbcr_is_left_to_pillow(tmp_path, colours, is_deep):
    dark = dicom(RADIOGRAPH.astype(np.uint16) * 4, "JPEG2000Lossless")
    stream = pydicom.encaps.get_frame(
        pydicom.dcmread(io.BytesIO(dark)).PixelData, 0, number_of_frames=1
    )
    boxes = encoded(RADIOGRAPH, "JPEG2000")
    at, called = boxes.index(b"jp2c"), b"colr\1\0\0\0\0\0"
    content = boxes[: at - 4] + bytes(4) + b"jp2c" + stream  # up to the end
    content = content.replace(called + b"\x10", called + colours)
    pixels, _ = seen(tmp_path, content, "x-ray.jp2")
    with Image.open(io.BytesIO(content)) as image:
        assert (pixels == np.asarray(image.convert("RGB"))).all() != is_deep
    assert not is_deep or difference(pixels, RADIOGRAPH) < 1


def test_a_tiff_of_cmyk_apart_in_sixteen_bits_is_refused_by_name(tmp_path):
    cmyk = np.dstack([255 - RADIOGRAPH, np.zeros_like(GREY)]).astype(np.uint16) * 257
    content = bytearray(tiff(cmyk))
    at = content.index(struct.pack("<HHII", 262, 4, 1, 1))
    content[at + 8] = 5
    (tmp_path / "x-ray.tif").write_bytes(content)
    with pytest.raises(InputError, match=r"x-ray\.tif is a TIFF of 16 bits .*not RGB"):
        decode.read(tmp_path / "x-ray.tif")


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "LA"])
def test_a_picture_in_the_transparency_alone_is_read_and_said(tmp_path, deep, kind):
    if deep and kind != "PNG":
        return
    black = np.zeros_like(RADIOGRAPH)
    both = np.dstack([black, GREY])
    if deep:
        content = by_opencv(both.astype(np.uint16) * 257, ".png")
    elif kind == "LA":
        content = encoded(np.dstack([black[..., 0], GREY]), "PNG")
    else:
        content = encoded(
            both, kind, **({"lossless": True, "exact": True} if kind == "WEBP" else {})
        )
    pixels, said = seen(tmp_path, content, "x-ray")
    assert difference(pixels, GREY) < 1
    assert "transparency" in said


# Pictures that show nothing


@pytest.mark.parametrize("value", [0, 90, 255])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_one_grey_is_never_silent(tmp_path, value, kind):
    flat = np.full((300, 200), value, np.uint8)
    flat[3:6, 4] = 128  # a speck does not make a radiograph
    _, said = seen(tmp_path, encoded(flat, kind), "x-ray")
    assert "all over" in said


def test_next_to_nothing_is_never_silent(tmp_path):
    _, said = seen(tmp_path, encoded(GREY // 16, "PNG"), "x-ray.png")
    assert "hardly anything" in said


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("kind", ["PNG", "DICOM"])
def test_a_burned_in_mark_that_leaves_hardly_any_grey_is_never_silent(tmp_path, kind, dark):
    stored = GREY.astype(np.uint16) * 4  # 10 bits of tissue
    stored[5:25, 5:25] = 65535
    if dark:
        stored = 65535 - stored
    content = encoded(stored, "PNG") if kind == "PNG" else dicom(stored)
    _, said = seen(tmp_path, content, "x-ray")
    assert "hardly anything" in said


def test_sixteen_bits_of_nearly_one_value_are_stretched_and_said(tmp_path):
    stored = 30_000 + (GREY.astype(np.uint16) // 4)
    pixels, said = seen(tmp_path, encoded(stored, "PNG"), "x-ray.png")
    assert "darkest" in said
    assert np.ptp(pixels) == 255


def test_the_command_says_a_warning_in_one_line_and_its_status_stays(tmp_path, capsys, monkeypatch):
    path = tmp_path / "black.png"
    path.write_bytes(encoded(np.zeros((9, 9), np.uint8), "PNG"))
    monkeypatch.setattr(cli, "app", lambda: decode.read(path))
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        cli.main()
    printed = capsys.readouterr()
    assert printed.out == ""
    assert re.fullmatch(r"cxr: \S*black\.png is black all over.*\n", printed.err)


def test_a_warning_is_shown_whoever_reads_the_file_and_nothing_else_is(tmp_path):
    flat = np.full((30, 30), 900, np.uint16)
    for name, content in {"a.dcm": dicom(flat), "b.dcm": dicom(flat, "RLELossless")}.items():
        (tmp_path / name).write_bytes(content)
    code = (
        "import sys; from cxrlib import cli, images\n"
        "cli.app = lambda: [images.load(path, 32) for path in sys.argv[1:]]\n"
        "cli.main()"
    )
    outcome = subprocess.run(
        [sys.executable, "-c", code, *map(str, sorted(tmp_path.iterdir()))], cwd=ROOT,
        capture_output=True, text=True,
    )  # fmt: skip
    lines = outcome.stderr.splitlines()
    assert [re.match(r"cxr: .*/(.)\.dcm is black", line)[1] for line in lines] == ["a", "b"]


# What is seen of a file that is not read


KINDS = {
    "lfs pull": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    "Git LFS pointer": b"\xef\xbb\xbfversion https://git-lfs.github.com/spec/v1\r\n",
    "annex link": b"../../.git/annex/objects/Xx/9p/SHA256E-s9--0.png",
    "dvc pull": b"outs:\n- md5: d41d8cd98f00b204e9800998ecf8427e\n",
    "HTML": b"<!-- saved from url -->\n<!DOCTYPE html><html>",
    "page (HTML)": "<!DOCTYPE html><html>".encode("utf-16"),
    "with nothing in it": b"PK\5\6" + bytes(18),
    "PDF document": b"\r\n%PDF-1.4\n",
    "of no format": b"\xff\xd8",
    "annex get": b"/annex/objects/SHA256E-s9--0.png\n",
    "empty": b"",
    "zeros": bytes(9000),
    "web page": b"\xef\xbb\xbf\n <!DOCTYPE html><html><title>Sign in</title>",
    "XML": b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
    "JSON": b'{"message": "Not Found"}',
    "SVG": b'<svg xmlns="http://www.w3.org/2000/svg">',
    "gzip": gzip.compress(encoded(GREY, "PNG")),
    "zip archive": b"PK\x03\x04" + bytes(99),
    "bzip2": b"BZh91AY&SY",
    "tar": bytes(257) + b"ustar\0" + bytes(300),
    "PDF": b"%PDF-1.7\n",
    "HEIC": b"\0\0\0\x18ftypheic" + bytes(30),
    "Mac's notes": b"\0\x05\x16\x07" + bytes(80),
    "NIfTI": bytes(344) + b"n+1\0" + bytes(9),
    "base64": b"iVBORw0KGgoAAAANSUhEUgAA",
    "as if it were text": encoded(GREY, "PNG").replace(b"\r\n", b"\n"),
    "text": "Grüße, eine Tabelle".encode(),
    "PNG and cut short": encoded(GREY, "PNG")[:900],
    "JPEG and cut short": encoded(GREY, "JPEG")[:900],
    "GIF and cut short": encoded(GREY, "GIF")[:2000],
    "BMP and cut short": encoded(GREY, "BMP")[:2000],
    "WebP and cut short": encoded(RADIOGRAPH, "WEBP")[:900],
    "JPEG 2000 and cut short": encoded(GREY, "JPEG2000")[:900],
    "TIFF": encoded(GREY, "TIFF")[:900],
    "DICOM": dicom(GREY)[:900],
    "BigTIFF of big-endian words": b"MM\0+\0\x08\0\0" + bytes(7) + b"\x10" + bytes(30),
}
if features.check("avif"):
    avif = encoded(RADIOGRAPH, "AVIF")
    KINDS["AVIF and damaged or cut short"] = avif[: len(avif) // 2]


@pytest.mark.parametrize("word", KINDS)
def test_a_file_that_is_not_read_is_called_what_it_is(tmp_path, word):
    path = tmp_path / "x-ray.png"
    path.write_bytes(KINDS[word])
    with pytest.raises(InputError) as caught:
        decode.read(path)
    line = str(caught.value)
    assert word in line
    assert "x-ray.png" in line
    assert "\n" not in line


def whole_tiff(kind, tags=None):
    """Gives a radiograph as an uncompressed TIFF of a kind of numbers."""
    pixels = (GREY.astype(int) - (128 if kind == "int8" else 0)).astype(kind)
    bits, sign = 8 * pixels.itemsize, {"u": 1, "i": 2, "f": 3}[pixels.dtype.kind]
    entries = {256: 128, 257: 128, 258: bits, 259: 1, 262: 1, 273: 8, 277: 1, 278: 128}
    entries |= {279: pixels.nbytes, 339: sign} | (tags or {})
    content = b"II*\0" + struct.pack("<I", 8 + pixels.nbytes) + pixels.tobytes()
    content += struct.pack("<H", len(entries))
    content += b"".join(struct.pack("<HHII", tag, 4, 1, n) for tag, n in entries.items())
    return content + bytes(4)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (whole_tiff("int8"), "below 0"),  # Pillow calls its sign the highest bit
        (whole_tiff("float32"), "floating-point"),
        (whole_tiff("float64"), "floating-point"),
        (whole_tiff("float16"), "floating-point"),
        (whole_tiff("uint64"), "1 x 64 bits a pixel, which no decoder here reads"),
        (whole_tiff("uint16", {259: 34887}), "compression (number 34887)"),
    ],
)
def test_a_tiff_that_is_whole_and_not_read_is_not_called_damaged(tmp_path, content, said):
    (tmp_path / "x-ray.tif").write_bytes(content)
    with pytest.raises(InputError) as caught:
        decode.read(tmp_path / "x-ray.tif")
    assert said in str(caught.value)
    assert "damaged" not in str(caught.value)


def test_colour_of_twelve_bits_in_a_jpeg_is_not_called_damaged(tmp_path):
    content, path = encoded(RADIOGRAPH, "JPEG", subsampling=0), tmp_path / "x-ray.jpg"
    at = content.index(b"\xff\xc0")
    path.write_bytes(
        content[:at] + b"\xff\xc1" + content[at + 2 : at + 4] + b"\x0c" + content[at + 5 :]
    )
    with pytest.raises(InputError, match=r"x-ray\.jpg has YCbCr colours of 12 bits \(JPEG\)"):
        decode.read(path)


@pytest.mark.parametrize("kind", ["uint8", "uint16", "int16", "uint32", "int32"])
def test_a_tiff_of_whole_numbers_is_read_where_they_fit(tmp_path, kind):
    (tmp_path / "x-ray.tif").write_bytes(whole_tiff(kind))
    assert (decode.read(tmp_path / "x-ray.tif") == GREY).all()


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
def test_avif_is_read(tmp_path):
    (tmp_path / "x-ray.png").write_bytes(encoded(RADIOGRAPH, "AVIF", quality=100))
    assert decode.header(tmp_path / "x-ray.png")["format"] == "AVIF"
    assert difference(decode.read(tmp_path / "x-ray.png"), RADIOGRAPH) < 1


@pytest.mark.parametrize("colour", [GREY, RADIOGRAPH])
def test_a_jpeg_that_lacks_only_its_end_is_read_and_said(tmp_path, colour):
    content = encoded(colour, "JPEG", quality=95)
    for kept in (content[:-2], content[:-1]):
        pixels, said = seen(tmp_path, kept, "x-ray.jpg")
        assert difference(pixels, colour) < 2
        assert "end" in said
    for lost in (9, 30, 300):
        path = tmp_path / "x-ray.jpg"
        path.write_bytes(content[:-lost])
        with pytest.raises(InputError, match="cut short"):
            decode.read(path)


def with_chunk(kind, data):
    """Puts a chunk behind a PNG's header."""
    content = encoded(GREY, "PNG")
    check = struct.pack(">I", zlib.crc32(kind + data))
    return content[:33] + struct.pack(">I", len(data)) + kind + data + check + content[33:]


@pytest.mark.parametrize("kind", [b"zTXt", b"iCCP"])
@pytest.mark.parametrize("megabytes", [3, 100])
def test_text_and_profiles_of_any_size_keep_no_png_from_being_read(tmp_path, kind, megabytes):
    content = with_chunk(kind, b"a\0\0" + zlib.compress(bytes(megabytes * 10**6)))
    assert (seen(tmp_path, content, "x-ray.png")[0] == GREY).all()


LOST = r"x-ray\.jpg is cut short or lost data in its middle"


def with_restarts(pixels, every, chroma):
    options = [cv2.IMWRITE_JPEG_RST_INTERVAL, every, cv2.IMWRITE_JPEG_QUALITY, 95]
    options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, chroma]
    return cv2.imencode(".jpg", pixels[..., ::-1] if pixels.ndim == 3 else pixels, options)[1]


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("chroma", [0x411111, 0x221111, 0x111111, 0x211111])
@pytest.mark.parametrize("every", [1, 2, 7, 1000])
def test_a_jpeg_whose_marks_of_restart_do_not_follow_each_other_lost_data(
    tmp_path, colour, chroma, every
):
    path, pixels = tmp_path / "x-ray.jpg", RADIOGRAPH[:123, :107]
    content = with_restarts(pixels if colour else pixels[..., 0], every, chroma).tobytes()
    whole, said = seen(tmp_path, content, path.name)
    assert difference(whole, pixels if colour else pixels[..., 0]) < 4
    assert not said
    parts = re.split(rb"(\xff[\xd0-\xd7])", content[content.index(b"\xff\xda") :])
    last = len(parts) // 2
    more = content[:-2] + bytes([0xFF, 0xD0 + last % 8]) + content[-2:]  # before the end
    assert (seen(tmp_path, more, path.name)[0] == whole).all()
    if last < 9:
        return
    start = content[: content.index(b"\xff\xda")]
    for kept in (parts[:5] + parts[7:], parts[:3] + parts[19:], parts[:7] + parts[5:]):
        path.write_bytes(start + b"".join(kept))
        with pytest.raises(InputError, match=LOST):
            decode.read(path)


def by_hand(grey, interlaced, bits=8, samples=1, kept=None):
    """Writes a PNG of uint8 pixels at any depth, of which some bytes are kept."""
    unpacked = np.unpackbits(grey[..., None], axis=2)[..., :bits]
    unpacked = np.tile(unpacked, samples * max(bits // 8, 1))
    steps = ["0088", "4088", "0448", "2044", "0224", "1022", "0112"] if interlaced else ["0011"]
    rows = b"".join(
        b"\0" + np.packbits(row).tobytes()
        for x, y, across, down in (map(int, step) for step in steps)
        for row in unpacked[y::down, x::across]
        if row.size
    )
    height, width = grey.shape
    colour = {1: 0, 3: 2}[samples]
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlaced)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows[:kept])), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(
    ("bits", "samples"), [(1, 1), (2, 1), (4, 1), (8, 1), (16, 1), (8, 3), (16, 3)]
)
def test_a_png_whose_data_end_early_is_cut_short_and_a_whole_one_is_not(
    tmp_path, interlaced, bits, samples
):
    path = tmp_path / "x-ray.png"
    for height, width in ((1, 1), (2, 1), (1, 5), (3, 5), (13, 9), (128, 128)):
        grey = GREY[:height, :width]
        pixels, _ = seen(tmp_path, by_hand(grey, interlaced, bits, samples), path.name)
        if bits < 16:
            expected = (grey >> (8 - bits)) * (255 / (2**bits - 1))
            assert difference(pixels.reshape(*grey.shape, samples), expected[..., None]) < 1
        for kept in (-1, -len(grey) // 2):
            path.write_bytes(by_hand(grey, interlaced, bits, samples, kept))
            with pytest.raises(InputError, match=r"x-ray\.png is a PNG that is cut short"):
                decode.read(path)


CODECS = ("JPEGLosslessProcess14_1", "JPEGLSLossless")


def test_lossless_jpegs_alone_are_read(tmp_path):
    for codec in CODECS:
        stored = GREY.astype(np.uint16) * 16 + 15
        found = pydicom.dcmread(io.BytesIO(dicom(stored, codec, BitsStored=12)))
        stream = pydicom.encaps.get_frame(found.PixelData, 0, number_of_frames=1)
        pixels, _ = seen(tmp_path, stream, "x-ray.jpg")
        assert difference(pixels, GREY) < 2, codec


def lossless(pixels, codec="JPEGLosslessProcess14_1"):
    found = pydicom.dcmread(io.BytesIO(dicom(pixels, codec)))
    return pydicom.encaps.get_frame(found.PixelData, 0, number_of_frames=1)


def noisy(kind, low):
    """Returns a large radiograph with a film's noise, some of it black, of 8 or 16 bits."""
    large = cv2.resize(GREY, (700, 600)).astype(int) * 200 + 2000
    large += np.random.default_rng(0).normal(0, 200, large.shape).astype(int)
    large[-low:] = 0
    large[:, :low] = 0
    return large.astype(np.uint16) if kind == "uint16" else (large >> 8).astype(np.uint8)


@pytest.mark.parametrize("kind", ["uint8", "uint16"])
@pytest.mark.parametrize("low", [1, 200])
def test_a_lossless_jpeg_whose_data_became_zeros_is_refused(tmp_path, kind, low):
    content, path = lossless(noisy(kind, low)), tmp_path / "x-ray.jpg"
    assert not seen(tmp_path, content, path.name)[1]
    for zeros in (2000, 4096):
        middle = len(content) // 3
        path.write_bytes(content[:middle] + bytes(zeros) + content[middle + zeros :])
        with pytest.raises(InputError, match=r"x-ray\.jpg is .*(cut short|damaged)"):
            decode.read(path)


@pytest.mark.parametrize("kind", ["uint8", "uint16"])
@pytest.mark.parametrize("size", [(1, 2), (2, 3), (40, 50), (300, 200), (2000, 7)])
def test_a_lossless_jpeg_of_one_grey_or_of_zeros_is_whole(tmp_path, kind, size):
    for value in (0, 1, 200):
        flat = np.full(size, value, kind)
        pixels, said = seen(tmp_path, lossless(flat), "x-ray.jpg")
        assert pixels.shape == size
        assert "JPEG" not in said
        flat[: len(flat) // 2] = 90
        assert seen(tmp_path, lossless(flat), "x-ray.jpg")[0].shape == size


@pytest.mark.parametrize("turn", range(9))
@pytest.mark.parametrize("codec", CODECS)
def test_a_lossless_jpeg_is_turned_as_a_viewer_turns_it(tmp_path, turn, codec):
    exif = Image.Exif()
    exif[274] = turn
    plain = encoded(GREY[:90], "PNG", exif=exif)
    body = exif.tobytes()
    for grey in (GREY[:90], GREY[:90].astype(np.uint16) * 257):
        content = lossless(grey, codec)
        app = b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
        pixels, _ = seen(tmp_path, content[:2] + app + content[2:], "x-ray.jpg")
        assert (pixels == seen(tmp_path, plain, "x-ray.png")[0]).all()
    content = content[:2] + app.replace(b"MM\0*", b"oops") + content[2:]
    assert (seen(tmp_path, content, "x-ray.jpg")[0] == GREY[:90]).all()


def test_a_header_is_read_of_every_kind_of_file(tmp_path):
    from tests.test_decode import FILES

    more = {"text.png": with_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(10**7)))}
    for name, content in {**FILES, **more}.items():
        path = tmp_path / name
        path.write_bytes(content)
        found = decode.header(path)
        assert (found["width"], found["height"]) == (128, 128), name
        assert found["format"] == decode.kind(path) != "", name


# Bounds


def bombs():
    """Returns small files that take minutes or gigabytes of a parser that believes them."""
    plain = dicom(GREY)
    at, meta = plain.index(b"\x28\0\x02\0US"), plain.index(b"\x02\0\x10\0UI")
    open_sq = b"\x08\0\x40\x11SQ\0\0\xff\xff\xff\xff"
    close_sq = b"\xfe\xff\xdd\xe0\0\0\0\0"
    held = b"\x28\0\x10\x30SQ\0\0" + struct.pack("<I", 8 * 800_000) + ITEM * 800_000
    short = b"".join(b"\2\0" + struct.pack("<H", 4096 + k % 50_000) + b"SH\2\0AB"
                     for k in range(1_000_000))  # fmt: skip
    packed = dicom(GREY, "JPEG2000Lossless")
    pixels = packed.index(b"\xe0\x7f\x10\0OB") + 12
    jpeg, progressive = encoded(RADIOGRAPH, "JPEG"), io.BytesIO()
    Image.new("L", (4000, 4000), 90).save(progressive, "JPEG", progressive=True)
    scans = progressive.getvalue()
    start, end = scans.rfind(b"\xff\xda"), scans.rfind(b"\xff\xd9")
    png = encoded(GREY, "PNG")
    empty = b"\0\0\0\0tEXt" + struct.pack(">I", zlib.crc32(b"tEXt"))
    return {
        "items": plain[:at] + open_sq + ITEM * 800_000 + close_sq + plain[at:],
        "held items": plain[:at] + held + plain[at:],
        "nested items": plain[:at] + (open_sq + ITEM[:4] + b"\xff" * 4) * 100_000,
        "meta": plain[:meta] + short + plain[meta:],
        "fragments": packed[:pixels] + ITEM * 2_000_000,
        "table": plain[:at] + b"\x28\0\x06\x30OW\0\0\xff\xff\xff\x7f" + bytes(9) + plain[at:],
        "segments": jpeg[:2] + b"\xff\xfe\0\2" * 3_000_000 + jpeg[2:],
        "scans": scans[:end] + scans[start:end] * 80 + scans[end:],
        "comments": b"P2 8 8 255\n" + b"#\n" * 4_000_000 + b"9 " * 64,
        "comment": b"P5 #" + b"x" * 15_000_000 + b"\n8 8 255\n" + bytes(64),
        "chunks": png[:33] + empty * 1_000_000 + png[33:],
    }


def measure_bombs(folder):
    """Reads every bomb, in a process of its own; prints the slowest's seconds, and the peak."""
    warnings.simplefilter("ignore")
    slowest = 0
    for name, content in bombs().items():
        path = Path(folder) / "x-ray"
        path.write_bytes(content)
        del content
        start = time.process_time() + sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
        try:
            decode.read(path)
        except InputError as error:
            assert str(path) in str(error), name
        apart.stop()  # so that what its decoders took is counted
        end = time.process_time() + sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
        slowest = max(slowest, end - start)
    own = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(json.dumps({"seconds": slowest, "peak": max(int(own[1]), child) * 1024}))


def test_no_small_file_takes_minutes_or_gigabytes(tmp_path):
    code = f"from tests.test_pictures import measure_bombs; measure_bombs({str(tmp_path)!r})"
    outcome = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert outcome.returncode == 0, outcome.stderr
    report = json.loads(outcome.stdout)
    assert report["peak"] < 512e6
    assert report["seconds"] < 30  # of computing: 66 to 150 before there were bounds


# The machine's trouble


@pytest.fixture
def film(tmp_path):
    path = tmp_path / "good.tif"
    path.write_bytes(encoded(GREY, "TIFF"))
    return path


def elsewhere(code, film, **options):
    """Runs a program about a film in a process of its own; returns what it says, and its errors."""
    command = [sys.executable, "-W", "ignore", "-c", code, str(film)]
    outcome = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, **options)
    return outcome.stdout, outcome.stderr


@pytest.fixture
def server(monkeypatch):
    """Puts another program in the decoding server's place."""

    def replace(*lines):
        apart.stop()
        monkeypatch.setattr(apart, "COMMAND", ("-c", "\n".join(lines)))

    yield replace
    apart.stop()


def ends_by(name):
    """Returns a program that serves, and whose decoders end themselves by a signal."""
    return (
        "import os, signal",
        "from cxrlib.images import apart",
        f"apart.serve(lambda *_: os.kill(os.getpid(), signal.{name}))",
    )


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM"])
def test_a_killed_decoder_is_not_the_files_fault(film, server, name):
    server(*ends_by(name))
    with pytest.raises(OSError, match=r"its decoder was stopped.*good\.tif"):
        decode.read(film)


def test_a_decoder_that_cannot_start_is_not_the_files_fault(film, server):
    server("raise SystemExit(1)")
    with pytest.raises(OSError, match=r"its decoder could not start.*good\.tif"):
        decode.read(film)


def test_a_decoder_that_crashes_is_the_files_fault(film, server):
    server(*ends_by("SIGABRT"))
    with pytest.raises(
        InputError, match=r"good\.tif is not an image that can be read: it is a TIFF"
    ):
        decode.read(film)


def test_what_ends_one_decoder_harms_no_other(film, tmp_path):
    bad = tmp_path / "bad.tif"
    bad.write_bytes(film.read_bytes()[:60])
    for _ in range(3):
        with pytest.raises(InputError, match=r"bad\.tif"):
            decode.read(bad)
        assert (decode.read(film) == GREY).all()


def test_many_threads_share_the_decoding_server(film):
    with ThreadPoolExecutor(8) as threads:
        assert all((pixels == GREY).all() for pixels in threads.map(decode.read, [film] * 24))


def test_a_decoding_server_that_was_killed_is_started_again(film):
    decode.read(film)
    os.kill(apart._server[0].pid, signal.SIGKILL)
    apart._server[0].wait()
    assert (decode.read(film) == GREY).all()


def test_a_fork_of_a_process_has_a_decoding_server_of_its_own(film):
    code = (
        "import os, sys; from cxrlib.images import decode\n"
        "decode.read(sys.argv[1])\n"
        "child = os.fork()\n"
        "for _ in range(20): assert decode.read(sys.argv[1]).shape\n"
        "assert child == 0 or os.waitpid(child, 0)[1] == 0; print('read')"
    )
    said, errors = elsewhere(code, film)
    assert said == "read\nread\n", errors


def test_a_fork_that_lives_on_holds_no_decoding_up(film):
    code = (
        "import os, sys, threading, time; from cxrlib.images import decode\n"
        "decode.read(sys.argv[1]); done = []\n"
        "def read():\n"
        "    for _ in range(100): done.append(decode.read(sys.argv[1]).shape)\n"
        "thread = threading.Thread(target=read); thread.start()\n"
        "while thread.is_alive():\n"
        "    if os.fork() == 0: time.sleep(60); os._exit(0)\n"
        "    time.sleep(0.05)\n"
        "print(len(done), flush=True); os.killpg(0, 9)"
    )
    said, errors = elsewhere(code, film, timeout=50, start_new_session=True)
    assert said == "100\n", errors


def test_a_decoding_server_ends_with_the_process_that_asks_it(film):
    code = (
        "import os, sys; from cxrlib.images import apart, decode\n"
        "decode.read(sys.argv[1]); print(apart._server[0].pid, flush=True)\n"
        "os.kill(os.getpid(), 9)"
    )
    said, _ = elsewhere(code, film)
    for _ in range(50):
        status = Path(f"/proc/{said.strip()}/stat")
        if not status.exists() or ") Z " in status.read_text():
            return
        time.sleep(0.1)
    raise AssertionError("the server is still there")


def test_a_film_is_found_from_where_the_process_is_now(film, monkeypatch):
    decode.read(film)
    monkeypatch.chdir(film.parent)
    assert (decode.read(film.name) == GREY).all()


def test_too_little_memory_is_not_the_files_fault(tmp_path, monkeypatch):
    path = tmp_path / "good.png"
    path.write_bytes(encoded(GREY, "PNG"))

    def fail(*_):
        raise MemoryError

    monkeypatch.setattr(decode.pictures, "read", fail)
    with pytest.raises(OSError, match=r"too little memory.*good\.png") as caught:
        decode.read(path)
    assert caught.value.errno == errno.ENOMEM


def test_too_little_memory_of_the_whole_process_is_not_the_files_fault(film):
    code = (
        "import resource, sys; from cxrlib.images import decode\n"
        "taken = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (taken // 3, taken // 3))\n"
        "try: decode.read(sys.argv[1])\n"
        "except OSError as error: print(error)"
    )
    said, errors = elsewhere(code, film)
    assert "good.tif" in said, errors


def test_no_temporary_folder_is_needed(film, monkeypatch):
    monkeypatch.setenv("TMPDIR", "/nonexistent")
    assert (decode.read(film) == GREY).all()


# Lung masks


@pytest.mark.parametrize("white", [1, 255])
def test_a_mask_drawn_with_one_is_no_empty_mask(tmp_path, white):
    drawn = np.zeros((40, 40), np.uint8)
    drawn[10:30, 5:35] = white
    cv2.imwrite(str(tmp_path / "a.png"), drawn)
    row = {"file": "a.png", "lung_mask": str(tmp_path / "a.png"), "lung_boxes": ()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)
        assert (lungs.mask(row, 40) == (drawn > 0)).all()


def test_a_mask_of_a_huge_size_is_refused(tmp_path):
    from tests.test_decode import claims

    path = tmp_path / "a.png"
    path.write_bytes(claims(46_000, 46_000)["png"])
    with pytest.raises(InputError, match="46000 x 46000"):
        lungs.mask({"file": "a.png", "lung_mask": str(path), "lung_boxes": ()}, 32)
