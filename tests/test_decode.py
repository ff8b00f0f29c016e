"""Any image file, hospitals' DICOM among them: the right pixels, or one line that names it."""

import collections
import faulthandler
import io
import json
import os
import random
import re
import resource
import struct
import subprocess
import sys
import tempfile
import warnings
import zlib
from pathlib import Path

import cv2
import gdcm
import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, generate_uid

from cxrlib import images, phantom
from cxrlib.errors import InputError, InputWarning
from cxrlib.images import apart, decode

RADIOGRAPH = phantom.simulate(3, 128).image
GREY = RADIOGRAPH[..., 0]
ORIGINALS = Path(__file__).parents[2] / "shared/data/originals"
PATIENT = "Mustermann^Erika"


def encoded(pixels, kind, mode=None, **options):
    """Encodes an array with Pillow, converted to a mode first."""
    image = Image.fromarray(pixels)
    buffer = io.BytesIO()
    (image.convert(mode) if mode else image).save(buffer, kind, **options)
    return buffer.getvalue()


def by_opencv(pixels, ending):
    return cv2.imencode(ending, pixels)[1].tobytes()


def dataset(pixels, **more):
    """Makes a DICOM of an array, full of facts about its patient."""
    found = Dataset()
    found.file_meta = FileMetaDataset()
    found.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    found.SOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    found.SOPInstanceUID = generate_uid(entropy_srcs=["a radiograph"])
    found.PatientName, found.PatientID, found.PatientBirthDate = PATIENT, "ID-4711", "19570803"
    found.PatientAddress = "Heidestrasse 17^Koeln"
    found.ReferringPhysicianName, found.InstitutionName = "Brinkmann^Klaus", "Schwarzwaldklinik"
    found.Modality, found.StudyDate, found.AccessionNumber = "DX", "20200401", "ACC-0815"
    found.Rows, found.Columns = pixels.shape[:2]
    found.SamplesPerPixel = 1 if pixels.ndim == 2 else 3
    found.PhotometricInterpretation = "MONOCHROME2" if pixels.ndim == 2 else "RGB"
    if pixels.ndim == 3:
        found.PlanarConfiguration = 0
    found.BitsAllocated = found.BitsStored = 8 * pixels.itemsize
    found.PixelRepresentation = int(pixels.dtype.kind == "i")
    for name, value in more.items():
        setattr(found, name, value)
    found.HighBit = max(found.BitsStored - 1, 0)
    found.PixelData = pixels.tobytes()
    found["PixelData"].VR = "OB" if pixels.itemsize == 1 else "OW"
    return found


def dicom(pixels, compression=None, **more):
    """Returns the bytes of a DICOM file, compressed by GDCM where a syntax is named."""
    buffer = io.BytesIO()
    dataset(pixels, **more).save_as(buffer, enforce_file_format=True)
    if compression is None:
        return buffer.getvalue()
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/image.dcm"
        Path(path).write_bytes(buffer.getvalue())
        reader = gdcm.ImageReader()
        reader.SetFileName(path)
        assert reader.Read()
        change = gdcm.ImageChangeTransferSyntax()
        change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, compression)))
        change.SetInput(reader.GetImage())
        assert change.Change()
        writer = gdcm.ImageWriter()
        writer.SetFileName(path)
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        assert writer.Write()
        if compression == "JPEGBaselineProcess1" and pixels.ndim == 3:  # GDCM forgets to say so
            written = pydicom.dcmread(path)
            written.PhotometricInterpretation = "YBR_FULL_422"
            written.save_as(path)
        return Path(path).read_bytes()


def files(colour):
    """Returns one radiograph, uint8 (n, n, 3), as files of every kind: name -> bytes."""
    grey = np.ascontiguousarray(colour[..., 0])
    deep = grey.astype(np.uint16) * 257
    deep_bgr = np.ascontiguousarray(colour[..., ::-1]) * np.uint16(257)
    window = {"WindowCenter": 127.5, "WindowWidth": 255, "VOILUTFunction": "LINEAR_EXACT"}
    window16 = window | {"WindowCenter": 32767.5, "WindowWidth": 65535}
    lossless = ["JPEGLosslessProcess14_1", "JPEGLSLossless", "JPEG2000Lossless", "RLELossless"]
    return {
        "grey.png": encoded(grey, "PNG"),
        "sixteen.png": encoded(deep, "PNG"),
        "colour.png": encoded(colour, "PNG"),
        "deep-colour.png": by_opencv(deep_bgr, ".png"),
        "alpha.png": encoded(colour, "PNG", "RGBA"),
        "grey-alpha.png": encoded(grey, "PNG", "LA"),
        "palette.png": encoded(grey, "PNG", "P"),
        "grey.jpg": encoded(grey, "JPEG", quality=95),
        "colour.jpg": encoded(colour, "JPEG", quality=95),
        "progressive.jpg": encoded(colour, "JPEG", quality=95, progressive=True),
        "cmyk.jpg": encoded(colour, "JPEG", "CMYK", quality=95),
        "colour.bmp": encoded(colour, "BMP"),
        "grey.bmp": encoded(grey, "BMP"),
        "grey.gif": encoded(grey, "GIF"),
        "colour.ppm": encoded(colour, "PPM"),
        "grey.pgm": encoded(grey, "PPM"),
        "sixteen.pgm": encoded(deep, "PPM"),
        "grey.dcm": dicom(grey, **window),
        "sixteen.dcm": dicom(deep, **window16),
        "colour.dcm": dicom(colour),
        "grey.tif": encoded(grey, "TIFF"),
        "colour.tif": encoded(colour, "TIFF"),
        "sixteen.tif": encoded(deep, "TIFF"),
        "sixteen-mac.tif": encoded(deep.astype(">u2"), "TIFF"),
        "deep-colour.tif": by_opencv(deep_bgr, ".tif"),
        "lzw.tif": encoded(colour, "TIFF", compression="tiff_lzw"),
        "deflate.tif": encoded(deep, "TIFF", compression="tiff_deflate"),
        "jpeg.tif": encoded(colour, "TIFF", compression="jpeg", quality=95),
        "colour.jp2": encoded(colour, "JPEG2000"),
        "sixteen.jp2": encoded(deep, "JPEG2000"),
        "tiled.j2k": encoded(grey, "JPEG2000", no_jp2=True, tile_size=(32, 32)),
        "lossy.webp": encoded(colour, "WEBP", quality=95),
        "lossless.webp": encoded(colour, "WEBP", lossless=True),
        "alpha.webp": encoded(colour, "WEBP", "RGBA", lossless=True),
        **{f"{name}.dcm": dicom(deep, name, **window16) for name in lossless},
        **{f"{name}-colour.dcm": dicom(colour, name) for name in lossless},
        "JPEGBaseline.dcm": dicom(grey, "JPEGBaselineProcess1", **window),
        "JPEGBaseline-colour.dcm": dicom(colour, "JPEGBaselineProcess1"),
    }  # fmt: skip


FILES = files(RADIOGRAPH)


def written(folder, name, content):
    path = folder / name
    path.write_bytes(content)
    return path


def difference(image, expected=RADIOGRAPH):
    return np.abs(image.astype(int) - expected).mean()


@pytest.mark.parametrize("name", FILES)
def test_the_same_radiograph_comes_back_from_every_kind_of_file(tmp_path, name):
    image = images.load(written(tmp_path, name, FILES[name]), 128)
    assert image.dtype == np.uint8
    assert image.shape == (128, 128, 3)
    lossy = any(kind in name for kind in ("jpg", "jpeg", "JPEGBaseline", "lossy"))
    assert difference(image) <= (2 if lossy else 0.01)


def test_a_file_is_judged_by_its_content_and_not_by_its_name(tmp_path):
    for name in ("grey.png", "grey.dcm", "lzw.tif"):
        assert difference(images.load(written(tmp_path, "x-ray.jpg", FILES[name]), 128)) < 0.01


@pytest.mark.parametrize(
    ("kind", "pixels"),
    [
        ("JPEG", RADIOGRAPH),
        ("PNG", RADIOGRAPH),
        ("PNG", GREY.astype(np.uint16) * 257),
        ("TIFF", RADIOGRAPH),
        ("TIFF", GREY.astype(np.uint16) * 257),
        ("WEBP", RADIOGRAPH),
    ],
)
@pytest.mark.parametrize("orientation", [3, 6, 8, 5])
def test_a_picture_is_turned_as_a_viewer_turns_it(tmp_path, kind, pixels, orientation):
    turned = {
        3: np.rot90(RADIOGRAPH, 2),
        5: RADIOGRAPH.transpose(1, 0, 2),
        6: np.rot90(RADIOGRAPH, -1),
        8: np.rot90(RADIOGRAPH, 1),
    }[orientation]
    exif = Image.Exif()
    exif[274] = orientation
    content = encoded(pixels, kind, exif=exif, **({} if kind == "TIFF" else {"quality": 95}))
    assert difference(images.load(written(tmp_path, "x-ray", content), 128), turned) < 2


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_fewer_bits_stored_in_sixteen_are_not_black(tmp_path, bits, kind):
    stored = np.round(np.arange(64).reshape(8, 8) / 63 * (2**bits - 1)).astype(np.uint16)
    image = images.load(written(tmp_path, "x-ray", encoded(stored, kind)), 8)
    assert difference(image[..., 0], np.arange(64).reshape(8, 8) / 63 * 255) < 0.6


def test_twelve_bits_of_colour_stored_in_sixteen_are_not_black(tmp_path):
    stored = ((RADIOGRAPH.astype(int) * 4095 + 127) // 255).astype(np.uint16)
    stored[0, 0] = 4095
    image = images.load(written(tmp_path, "x-ray", by_opencv(stored[..., ::-1], ".png")), 128)
    assert difference(image) < 1


@settings(max_examples=40, deadline=None)
@given(value=st.integers(0, 65535))
def test_a_full_range_of_sixteen_bits_is_divided_by_257(tmp_path_factory, value):
    path = tmp_path_factory.mktemp("deep") / "x-ray.png"
    path.write_bytes(encoded(np.array([[value, 65535]], np.uint16), "PNG"))
    assert decode.read(path).tolist() == [[round(value / 257), 255]]


@pytest.mark.parametrize("deep", [False, True])
def test_a_tiff_whose_zero_is_white_is_not_a_negative(tmp_path, deep):
    # Pillow turns 8 bits over by itself as it writes them.
    stored = 65535 - GREY.astype(np.uint16) * 257 if deep else GREY
    content = encoded(stored, "TIFF", tiffinfo={262: 0})
    with Image.open(io.BytesIO(content)) as image:
        assert image.tag_v2[262] == 0
    assert difference(images.load(written(tmp_path, "x-ray.tif", content), 128)) < 0.01


@pytest.mark.parametrize("kind", ["float32", "int32"])
def test_pixels_whose_white_nobody_knows_are_refused_with_the_mend(tmp_path, kind):
    stored = (GREY.astype(kind) - 50) * 1000
    path = written(tmp_path, "x-ray.tif", encoded(stored, "TIFF"))
    with pytest.raises(InputError, match=r"x-ray\.tif .*save it with 8 or 16 bits"):
        images.load(path, 32)


def test_one_bit_a_pixel_is_black_and_white(tmp_path):
    halves = np.zeros((8, 16), bool)
    halves[:, 8:] = True
    for name, kind in (("x.png", "PNG"), ("x.tif", "TIFF"), ("x.bmp", "BMP")):
        image = decode.read(written(tmp_path, name, encoded(halves, kind)))
        assert image.tolist() == (255 * halves).tolist()


def test_the_first_page_is_read(tmp_path):
    pages = [Image.fromarray(page) for page in (GREY, 255 - GREY)]
    for kind in ("TIFF", "GIF"):
        buffer = io.BytesIO()
        pages[0].save(buffer, kind, save_all=True, append_images=pages[1:])
        path = written(tmp_path, f"pages.{kind}", buffer.getvalue())
        assert difference(images.load(path, 128)) < 0.01


@pytest.mark.skipif(not ORIGINALS.is_dir(), reason="no ../shared/data/originals")
def test_originals_are_read_as_opencv_reads_them():
    for path in sorted(ORIGINALS.iterdir()):
        expected = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
        assert (images.load(path, 224) == images.resize(expected, 224)).all(), path.name


# DICOM


def shown(folder, pixels, **more):
    return decode.read(written(folder, "x-ray.dcm", dicom(pixels, **more)))


RAMP = np.arange(0, 4096, dtype=np.uint16).reshape(64, 64)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int16])
def test_without_a_window_the_darkest_value_is_black_and_the_brightest_white(tmp_path, kind):
    stored = np.array([[-3000, 0, 3000]] if kind is np.int16 else [[50, 125, 200]], kind)
    assert shown(tmp_path, stored).tolist() == [[0, 128, 255]]


def test_a_flat_dicom_without_a_window_is_no_error(tmp_path):
    assert (shown(tmp_path, np.full((5, 7), 900, np.uint16)) == 0).all()


def test_monochrome1_is_inverted(tmp_path):
    window = {"WindowCenter": 2048, "WindowWidth": 1000}
    for more in ({}, window):
        plain = shown(tmp_path, RAMP, **more)
        inverse = shown(tmp_path, RAMP, PhotometricInterpretation="MONOCHROME1", **more)
        assert np.abs(plain.astype(int) + inverse - 255).max() <= 1


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID", None])
def test_the_window_is_applied_as_the_standards_own_code_does(tmp_path, function):
    more = {"WindowCenter": [1500, 99], "WindowWidth": [900, 9]}
    more |= {"RescaleSlope": 2, "RescaleIntercept": -1024, "BitsStored": 12}
    if function:
        more["VOILUTFunction"] = function
    found = dataset(RAMP, **more)
    rescaled = pydicom.pixels.apply_modality_lut(RAMP, found)
    expected = pydicom.pixels.apply_windowing(rescaled, found)  # from -1024 to 2 * 4095 - 1024
    expected = (expected + 1024) / (2 * 4095) * 255
    assert np.abs(shown(tmp_path, RAMP, **more) - expected).max() <= 0.6


@pytest.mark.parametrize("width", [0, -5, ""])
def test_a_window_that_is_none_is_passed_over(tmp_path, width):
    without = shown(tmp_path, RAMP)
    assert (shown(tmp_path, RAMP, WindowCenter=50, WindowWidth=width) == without).all()


def table(values, first, bits):
    item = Dataset()
    item.LUTDescriptor = [len(values), first, bits]
    item.LUTData = [int(value) for value in values]
    item["LUTDescriptor"].VR = item["LUTData"].VR = "US"
    return item


def test_a_voi_table_goes_before_the_window_and_beyond_its_ends_the_ends_hold(tmp_path):
    curve = np.linspace(0, 1, 2048) ** 2 * 255
    more = {"VOILUTSequence": [table(curve, 1000, 8)], "WindowCenter": 5, "WindowWidth": 5}
    image = shown(tmp_path, RAMP, **more).ravel()
    assert (image[:1000] == 0).all()
    assert (image[1000:3048] == curve.astype(int)).all()
    assert (image[3048:] == 255).all()


def test_a_modality_table_is_looked_up(tmp_path):
    backwards = table(np.arange(4096)[::-1], 0, 16)
    image = shown(tmp_path, RAMP, ModalityLUTSequence=[backwards])
    assert np.abs(image.astype(int) + shown(tmp_path, RAMP) - 255).max() <= 1


@pytest.mark.parametrize("inverted", [False, True])
def test_padding_is_black_and_does_not_count_for_the_range(tmp_path, inverted):
    stored = np.array([[0, 1000, 2000, 65535]], np.uint16)
    more = {"PixelPaddingValue": 0, "PixelPaddingRangeLimit": 10}
    more["PhotometricInterpretation"] = "MONOCHROME1" if inverted else "MONOCHROME2"
    assert shown(tmp_path, stored[:, :3], **more).tolist() == [
        [0, 255 * inverted, 255 * (not inverted)]
    ]
    more = {"PixelPaddingValue": 65535}
    assert shown(tmp_path, stored[:, 1:], **more).tolist() == [[0, 255, 0]]


def test_colour_by_plane_by_palette_and_as_ybr_comes_as_rgb(tmp_path):
    planes = np.ascontiguousarray(RADIOGRAPH.transpose(2, 0, 1))
    more = {"Rows": 128, "Columns": 128, "SamplesPerPixel": 3, "PlanarConfiguration": 1}
    image = shown(tmp_path, planes, PhotometricInterpretation="RGB", **more)
    assert (image == RADIOGRAPH).all()

    ybr = cv2.cvtColor(RADIOGRAPH, cv2.COLOR_RGB2YCrCb)[..., [0, 2, 1]]
    image = shown(tmp_path, np.ascontiguousarray(ybr), PhotometricInterpretation="YBR_FULL")
    assert np.abs(image.astype(int) - RADIOGRAPH).max() <= 2

    more = {"PhotometricInterpretation": "PALETTE COLOR"}
    for colour, power in (("Red", 1), ("Green", 2), ("Blue", 3)):
        curve = ((np.arange(256) / 255) ** power * 65535).astype("<u2")
        more[f"{colour}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        more[f"{colour}PaletteColorLookupTableData"] = curve.tobytes()
    image = shown(tmp_path, GREY, **more)
    expected = np.dstack([(GREY / 255) ** power * 255 for power in (1, 2, 3)])
    assert np.abs(image - expected).max() < 1.1


def refusal(path, size=32):
    """Returns the one line with which a file is refused."""
    with pytest.raises(InputError) as caught:
        images.load(path, size)
    assert path.name in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_dicom_that_is_no_radiograph_is_refused_with_the_reason(tmp_path):
    several = dicom(np.zeros((3, 8, 8), np.uint8).reshape(24, 8), Rows=8, NumberOfFrames=3)
    assert "3 frames" in refusal(written(tmp_path, "cine.dcm", several))

    report = dataset(GREY)
    del report.PixelData, report.Rows
    report.save_as(tmp_path / "report.dcm", enforce_file_format=True)
    assert "without pixels" in refusal(tmp_path / "report.dcm")

    doses = dicom(GREY.astype(np.uint32) * 100_000)
    assert "more than 16 bits" in refusal(written(tmp_path, "dose.dcm", doses))


def test_a_deflated_dicom_is_read_up_to_a_bound(tmp_path, monkeypatch):
    deflated = dataset(GREY, WindowCenter=128, WindowWidth=256)
    deflated.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    deflated.save_as(tmp_path / "deflated.dcm", enforce_file_format=True)
    assert difference(decode.read(tmp_path / "deflated.dcm"), GREY) < 0.6
    monkeypatch.setattr(decode.dicom, "INFLATED", 10_000)
    assert "deflated DICOM" in refusal(tmp_path / "deflated.dcm")


def test_a_dicom_whose_pixels_are_fewer_than_it_claims_is_refused(tmp_path):
    refusal(written(tmp_path, "cut.dcm", dicom(GREY, Rows=256)))
    refusal(written(tmp_path, "none.dcm", dicom(GREY, Rows=0)))
    assert "size" in refusal(written(tmp_path, "huge.dcm", dicom(GREY, Rows=60000, Columns=60000)))


@pytest.mark.parametrize(
    ("more", "view", "laterality"),
    [
        ({"ViewPosition": "PA"}, "PA", ""),
        ({"ViewPosition": "ap ", "ImageLaterality": "L"}, "AP", "L"),
        ({"ViewPosition": "LL", "Laterality": "R"}, "LL", "R"),
        ({}, "", ""),
        ({"ViewPosition": PATIENT[:16], "Laterality": "ERIKA"}, "", ""),
    ],
)
def test_view_and_laterality_are_read_as_codes_and_nothing_else(tmp_path, more, view, laterality):
    with pydicom.config.disable_value_validation():
        path = written(tmp_path, "x-ray.dcm", dicom(GREY, **more))
    assert decode.dicom_facts(path) == {"view": view, "laterality": laterality}


def test_a_picture_has_no_dicom_facts_and_a_damaged_dicom_is_named(tmp_path):
    path = written(tmp_path, "x-ray.png", FILES["grey.png"])
    assert decode.dicom_facts(path) == {"view": "", "laterality": ""}
    damaged = written(tmp_path, "x-ray.dcm", FILES["grey.dcm"][:140])
    with pytest.raises(InputError, match=r"x-ray\.dcm is not an image"):
        decode.dicom_facts(damaged)


def test_nothing_of_a_patient_is_printed_logged_or_told(tmp_path, capfd, caplog):
    secrets = ["Mustermann", "Erika", "ID-4711", "19570803", "Heidestrasse", "Brinkmann"]
    secrets += ["Schwarzwald", "20200401", "ACC-0815"]
    caplog.set_level(0)
    rng = random.Random(7)
    told = []
    for k in range(300):
        content = dicom(GREY[:8, :8])
        assert all(secret.encode() in content for secret in secrets)
        if k:
            content = damaged(content, rng)
        path = written(tmp_path, "x-ray.dcm", content)
        for step in (decode.read, decode.dicom_facts):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always", InputWarning)
                try:
                    told.append(str(step(path)))
                except (InputError, OSError) as error:
                    told += [str(error), repr(error.__cause__)]
                    assert error.__suppress_context__
            told += [str(warned.message) for warned in caught]
    assert caplog.text == ""
    printed = "".join(capfd.readouterr()) + "".join(told)
    assert not [secret for secret in secrets if secret in printed]


# Damage


def claims(width, height):
    """Returns files of every kind whose headers claim a size: name -> bytes."""

    def chunk(kind, data):
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    small = files(RADIOGRAPH[:32, :32])

    def with_size(name, at, form):
        content = bytearray(small[name])
        struct.pack_into(form, content, at, width, height)
        return bytes(content)

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(b"")), chunk(b"IEND", b"")]
    short = {"width": min(width, 65535), "height": min(height, 65535)}
    jpeg, stream = bytearray(small["grey.jpg"]), bytearray(small["tiled.j2k"])
    struct.pack_into(">HH", jpeg, jpeg.index(b"\xff\xc0") + 5, short["height"], short["width"])
    many = bytearray(stream)  # tiles of one pixel
    struct.pack_into(">8I", many, 8, 32768, 32768, 0, 0, 1, 1, 0, 0)
    struct.pack_into(">2I", stream, 8, width, height)
    webp = small["lossless.webp"]
    canvas = (16383).to_bytes(3, "little") * 2
    extended = b"VP8X" + struct.pack("<I", 10) + bytes(4) + canvas
    tif = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: height, 279: 99}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tif.items())
    return {
        "png": b"\x89PNG\r\n\x1a\n" + b"".join(chunks),
        "jpg": bytes(jpeg),
        "bmp": with_size("grey.bmp", 18, "<ii"),
        "gif": b"GIF89a" + struct.pack("<HH", *short.values()) + small["grey.gif"][10:],
        "ppm": b"P6 %d %d 255 " % (width, height),
        "j2k": bytes(stream),
        "tiles.j2k": bytes(many),
        "webp": webp[:12] + extended + webp[12:],
        "tif": b"II*\0" + struct.pack("<IH", 8, len(tif)) + entries + bytes(4),
        "dcm": dicom(GREY, Rows=short["height"], Columns=short["width"]),
        "RLE.dcm": dicom(GREY, "RLELossless").replace(
            b"\x28\0\x10\0US\x02\0\x80\0\x28\0\x11\0US\x02\0\x80\0",
            b"\x28\0\x10\0US\x02\0\xff\xff\x28\0\x11\0US\x02\0\xff\xff",
        ),
    }


def damaged(content, rng):
    """Damages a file as disks, networks and programs do: cut, zeroed, swapped, flipped, overrun."""
    content = bytearray(content)
    kind = rng.choice(["cut", "zeros", "end", "swap", "head", "head", "anywhere", "junk", "huge"])
    at, other = rng.randrange(len(content)), rng.randrange(len(content))
    length = rng.randrange(1, 300)
    if kind == "cut":
        del content[at:]
    elif kind == "zeros":
        content[at : at + length] = bytes(length)
    elif kind == "end":
        content[at:] = bytes(len(content) - at)
    elif kind == "swap":
        content[at : at + length], content[other : other + length] = (
            content[other : other + length],
            content[at : at + length],
        )
    elif kind == "junk":
        content[at:] = rng.randbytes(length)
    elif kind == "huge":
        at %= 400
        content[at : at + 4] = rng.choice([b"\xff" * 4, b"\0\0\xff\xff", b"\x7f\xff\xff\xff"])
    else:
        for _ in range(rng.choice([1, 1, 4, 16])):
            at = rng.randrange(min(len(content), 500 if kind == "head" else len(content)))
            content[at] ^= 1 << rng.randrange(8)
    return bytes(content)


NOT_IMAGES = {
    "empty": b"",
    "zeros": bytes(5000),
    "text": b"file,patient,group\n" * 300,
    "html": b"<!DOCTYPE html><html><body>404 not found</body></html>",
    "zip": b"PK\x03\x04" + bytes(500),
    "pdf": b"%PDF-1.7\n" + bytes(500),
    "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n",
    "magic of a DICOM": bytes(128) + b"DICM",
    "magic of a PNG": b"\x89PNG\r\n\x1a\n",
    "magic of a JPEG": b"\xff\xd8\xff\xe0",
    "magic of a TIFF": b"II*\0",
    "magic of a JPEG 2000": b"\xff\x4f\xff\x51",
    "magic of a WebP": b"RIFF\xff\xff\xff\xffWEBP",
}


def attacks(path, here, elsewhere):
    """Yields what `attack` reads: damaged files, large claims, files that are no images."""
    rng = random.Random(20200401)
    seeds = files(images.resize(RADIOGRAPH, 48))

    def is_apart(content):
        path.write_bytes(content)
        with path.open("rb") as file:
            return decode._is_risky(file)

    split = {name: is_apart(content) for name, content in seeds.items()}
    for wanted, number in ((False, here), (True, elsewhere)):
        names = [name for name, found in split.items() if found is wanted]
        for k in range(number):
            yield damaged(seeds[names[k % len(names)]], rng)
    for size in ((100_000, 100_000), (65_535, 65_535), (30_000, 3_000), (0, 7)):
        yield from claims(*size).values()
    yield from NOT_IMAGES.values()


def attack(here, elsewhere):
    """Reads thousands of damaged files; run in a process of its own by the test below.

    Args:
        here: How many files of the formats that are decoded in this process.
        elsewhere: How many of the others, which are decoded apart.
    """
    outcomes = collections.Counter()

    def show(message, category, *_):
        assert category is InputWarning, message
        assert str(path) in str(message) and "\n" not in str(message), message
        outcomes["warned"] += 1

    warnings.simplefilter("always", InputWarning)
    warnings.showwarning = show
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x-ray"

        def attempt(content):
            path.write_bytes(content)
            faulthandler.dump_traceback_later(60, exit=True)
            try:
                outcomes["read"] += images.load(path, 32).shape == (32, 32, 3)
            except (InputError, OSError) as error:
                assert str(path) in str(error), error
                assert "\n" not in str(error), error
                outcomes["refused"] += 1
            faulthandler.cancel_dump_traceback_later()

        for content in attacks(path, here, elsewhere):
            attempt(content)
    apart.stop()  # so that what its decoders took is counted
    # This process's own peak: getrusage would count that of the process it was started from too.
    own = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    peak = max(int(own[1]), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
    heavy = sorted({"tensorflow", "keras"} & set(sys.modules))
    print(json.dumps({"peak": peak * 1024, "heavy": heavy, **outcomes}))


@pytest.mark.slow
def test_thousands_of_damaged_files_never_crash_hang_talk_or_take_512_mb():
    code = "from tests.test_decode import attack; attack(here=4000, elsewhere=300)"
    outcome = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[1], capture_output=True, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert outcome.returncode == 0, outcome.stderr
    assert outcome.stderr == ""
    assert len(outcome.stdout.splitlines()) == 1
    report = json.loads(outcome.stdout)
    assert report["heavy"] == []
    assert report["peak"] < 512e6
    assert report["refused"] > 2000
    assert report["read"] > 500  # a flipped pixel is no damage that can be seen


@pytest.mark.parametrize(
    "name", [name for name in FILES if not name.startswith(("RLE", "JPEG", "alpha", "grey"))]
)
def test_a_file_cut_short_is_refused_and_never_read_as_half_a_radiograph(tmp_path, name):
    content = FILES[name]
    for share in (0.02, 0.5, 0.97):
        refusal(written(tmp_path, name, content[: int(share * len(content))]))


@pytest.mark.parametrize("name", ["grey.jpg", "colour.jpg", "colour.png", "grey.gif"])
def test_a_download_whose_rest_is_zeros_is_refused(tmp_path, name):
    content = FILES[name]
    for share in (0.3, 0.5, 0.8):
        start = content[: int(share * len(content))]
        refusal(written(tmp_path, name, start + bytes(100_000)))


@pytest.mark.parametrize("name", ["palette.png", "sixteen.png", "grey.png"])
def test_any_flipped_bit_in_a_png_is_refused(tmp_path, name):
    for at in range(13, 300):  # the last 12 bytes are the mark of the end
        content = bytearray(FILES[name])
        content[-at] ^= 4
        refusal(written(tmp_path, name, bytes(content)))


@pytest.mark.parametrize("name", ["grey.jpg", "colour.jpg", "cmyk.jpg"])
def test_a_cut_jpeg_that_was_given_an_end_is_refused(tmp_path, name):
    content = FILES[name]
    for share in (0.4, 0.6, 0.8, 0.95):
        start = content[: int(share * len(content))].rstrip(b"\xff")
        refusal(written(tmp_path, name, start + b"\xff\xd9"))


@pytest.mark.parametrize("value", [127, 128])
@pytest.mark.parametrize("kind", ["L", "RGB", "CMYK"])
def test_a_grey_corner_is_no_missing_part(tmp_path, kind, value):
    flat = np.full((40, 60, 3), value, np.uint8)
    for more in ({}, {"progressive": True}):
        content = encoded(flat, "JPEG", kind, **more)
        assert difference(images.load(written(tmp_path, "x-ray.jpg", content), 16), value) <= 1


def test_a_jpeg_of_endless_scans_is_refused_at_once(tmp_path):
    content = FILES["progressive.jpg"]
    start, end = content.rfind(b"\xff\xda"), content.rfind(b"\xff\xd9")
    bomb = content[:end] + content[start:end] * 200 + content[end:]
    refusal(written(tmp_path, "bomb.jpg", bomb))


def test_a_file_that_claims_a_huge_size_is_refused_by_that_size(tmp_path):
    for name, content in claims(12_000, 9_000).items():
        if not name.startswith(("tiles", "RLE", "webp")):
            line = refusal(written(tmp_path, f"huge.{name}", content))
            assert "12000 x 9000" in line, name


def test_what_is_no_image_is_refused_by_name(tmp_path):
    for name, content in NOT_IMAGES.items():
        assert "is not an image" in refusal(written(tmp_path, name, content))


def test_a_pipe_is_refused_and_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    assert "is not a file" in refusal(tmp_path / "pipe.png")


def test_a_file_larger_than_any_radiograph_is_refused_unread(tmp_path):
    path = written(tmp_path, "film.tif", b"II*\0")
    os.truncate(path, 300_000_000)
    assert "larger than any radiograph" in refusal(path)


def test_a_decoder_that_takes_too_long_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(apart, "SECONDS_PASSED", 1e-6)
    assert "takes longer" in refusal(written(tmp_path, "slow.tif", FILES["lzw.tif"]))
