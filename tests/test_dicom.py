"""DICOM headers in all their combinations, right and wrong, each with its closed-form picture."""

import io
import itertools
import os
import struct
import tracemalloc
import warnings
from dataclasses import dataclass, replace

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from cxrlib.errors import InputError, InputWarning
from cxrlib.images import decode
from tests.test_decode import dataset, dicom, encoded

SHAPE = (24, 20)
SYNTAXES = {
    "implicit": ImplicitVRLittleEndian, "explicit": ExplicitVRLittleEndian,
    "big": ExplicitVRBigEndian, "deflated": DeflatedExplicitVRLittleEndian, "RLE": RLELossless,
    "JPEG2000Lossless": None, "JPEGLSLossless": None, "JPEGLosslessProcess14_1": None,
}  # fmt: skip
BY_GDCM = [name for name, syntax in SYNTAXES.items() if syntax is None]


@dataclass(frozen=True)
class Spec:
    """How one DICOM file is written."""

    stored: int = 12
    allocated: int = 16
    left: bool = False  # the high bit at the container's top
    signed: bool = False
    inverted: bool = False
    slope: float | None = None
    intercept: float | None = None
    view: str = "none"  # none, window, exact, sigmoid, voi, modality
    width: str = "words"  # of a table's entries: words, packed, 8-in-words
    declared: int | None = None  # bits that a table declares; what it holds if None
    vr: str = "OW"
    sign_of_first: str = "US"
    syntax: str = "explicit"


def values(spec):
    """Returns stored values over the whole range of a spec."""
    low = -(2 ** (spec.stored - 1)) if spec.signed else 0
    steps = np.linspace(low, low + 2**spec.stored - 1, SHAPE[0] * SHAPE[1])
    return np.rint(steps).astype(np.int64).reshape(SHAPE)


def measured(spec, stored):
    return stored * (spec.slope or 1) + (spec.intercept or 0)


def curve(spec, count):
    """Returns a table's entries."""
    top = 4095 if spec.width == "words" else 255
    return np.rint((np.arange(count) / (count - 1)) ** 0.5 * top).astype(int)


def reach(spec):
    """Returns the first value that a table maps, of 16 bits, and how many: the middle half."""
    into = values(spec) if spec.view == "modality" else measured(spec, values(spec))
    low, high = int(into.min()), int(into.max())
    first = max(low + (high - low) // 4, -(2**15))
    return first, min((high - low) // 2, 4000) // 2 * 2


def right(spec):
    """Returns the picture that a spec means, in floats from 0 to 255."""
    stored = values(spec)
    shown = measured(spec, stored).astype(float)
    if spec.view in ("voi", "modality"):
        first, count = reach(spec)
        into = stored if spec.view == "modality" else shown
        table = curve(spec, count)
        shown = table[np.clip(into - first, 0, count - 1).astype(int)].astype(float)
        share = shown / table.max()
    elif spec.view == "none":
        share = (shown - shown.min()) / (shown.max() - shown.min())
    else:
        centre, width = window(spec)
        if spec.view == "sigmoid":
            share = 1 / (1 + np.exp(-4 * (shown - centre) / width))
        elif spec.view == "exact":
            share = (shown - centre) / width + 0.5
        else:
            share = (shown - (centre - 0.5)) / (width - 1) + 0.5
    share = np.clip(share, 0, 1)
    return 255 * (1 - share if spec.inverted else share)


def window(spec):
    shown = measured(spec, values(spec))
    return round(float(shown.mean())), round(float(shown.max() - shown.min()) * 0.6)


def table(spec, order):
    """Writes a table as a spec says."""
    first, count = reach(spec)
    entries, item = curve(spec, count), Dataset()
    bits = spec.declared or int(entries.max()).bit_length()
    kind = "SS" if spec.sign_of_first == "SS" and first < 2**15 else "US"
    words = [count, first if kind == "SS" else first % 2**16, bits]
    item.add_new(0x00283002, kind, words)
    if spec.width == "packed":
        content = entries.astype(np.uint8)
        content = content.reshape(-1, 2)[:, ::-1] if order == ">" else content
    else:
        content = entries.astype(f"{order}u2")
    if spec.vr == "US":
        listed = np.frombuffer(content.tobytes(), f"{order}u2")
        item.add_new(0x00283006, "US", listed.tolist())
    else:
        item.add_new(0x00283006, "OW", content.tobytes())
    return item


def built(spec):
    """Returns the bytes of the file that a spec describes."""
    order = ">" if spec.syntax == "big" else "<"
    stored = values(spec) & (2**spec.stored - 1)
    high = spec.allocated - 1 if spec.left else spec.stored - 1
    container = (stored << (high + 1 - spec.stored)).astype(f"u{spec.allocated // 8}")
    more = {"BitsStored": spec.stored, "PixelRepresentation": int(spec.signed)}
    more["PhotometricInterpretation"] = "MONOCHROME1" if spec.inverted else "MONOCHROME2"
    if spec.slope is not None:
        more["RescaleSlope"] = spec.slope
    if spec.intercept is not None:
        more["RescaleIntercept"] = spec.intercept
    if spec.view in ("voi", "modality"):
        name = "VOILUTSequence" if spec.view == "voi" else "ModalityLUTSequence"
        more[name] = [table(spec, order)]
        if spec.view == "modality":
            top = int(curve(spec, reach(spec)[1]).max())
            more |= {"WindowCenter": (top + 1) / 2, "WindowWidth": top}
            more["VOILUTFunction"] = "LINEAR_EXACT"
            more["WindowCenter"] = top / 2
    elif spec.view != "none":
        more["WindowCenter"], more["WindowWidth"] = window(spec)
        more["VOILUTFunction"] = {"exact": "LINEAR_EXACT", "sigmoid": "SIGMOID"}.get(
            spec.view, "LINEAR"
        )
    if spec.syntax in BY_GDCM:
        signed = container.astype(np.int32)
        if spec.signed:  # GDCM wants the sign spread
            signed = np.where(signed >= 2 ** (spec.stored - 1), signed - 2**spec.stored, signed)
        kind = f"{'i' if spec.signed else 'u'}{spec.allocated // 8}"
        return dicom(signed.astype(kind), spec.syntax, **more)
    found = dataset(container, **more)
    found.HighBit = high
    found.PixelData = container.astype(f"{order}u{spec.allocated // 8}").tobytes()
    found["PixelData"].VR = "OB" if spec.allocated == 8 else "OW"
    found.file_meta.TransferSyntaxUID = SYNTAXES[spec.syntax]
    if spec.syntax == "RLE":
        found.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        found.compress(RLELossless, generate_instance_uid=False)
    buffer = io.BytesIO()
    found.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def difference(folder, spec):
    path = folder / "x-ray.dcm"
    path.write_bytes(built(spec))
    with warnings.catch_warnings():
        warnings.simplefilter("error", InputWarning)  # nothing here is set aside
        return np.abs(decode.read(path) - right(spec)).max()


def is_possible(spec):
    """Returns whether a file can be written as a spec says, and means one picture."""
    if spec.stored > spec.allocated or (spec.syntax in BY_GDCM and spec.left):
        return False
    if spec.view in ("voi", "modality") and spec.stored < 10:
        return False
    if spec.view == "modality" and (spec.slope is not None or spec.intercept is not None):
        return False
    if spec.view == "voi" and spec.slope not in (None, 1, 2):
        return False
    return spec.syntax != "JPEGLSLossless" or spec.stored not in (6, 7)


specs = st.builds(
    Spec,
    stored=st.sampled_from([8, 9, 10, 11, 12, 13, 14, 15, 16]),
    allocated=st.sampled_from([8, 16]),
    left=st.booleans(),
    signed=st.booleans(),
    inverted=st.booleans(),
    slope=st.sampled_from([None, 1, 2, 2.5, -1, 0.25]),
    intercept=st.sampled_from([None, 0, -1024, 7]),
    view=st.sampled_from(["none", "window", "exact", "sigmoid", "voi", "modality"]),
    width=st.sampled_from(["words", "packed", "8-in-words"]),
    declared=st.sampled_from([None, 16]),
    vr=st.sampled_from(["OW", "US"]),
    sign_of_first=st.sampled_from(["US", "SS"]),
    syntax=st.sampled_from(["implicit", "explicit", "big", "deflated"]),
).filter(is_possible)


@settings(max_examples=300, deadline=None)
@given(spec=specs)
def test_every_combination_of_a_header_means_its_closed_form_picture(tmp_path_factory, spec):
    assert difference(tmp_path_factory.mktemp("dicom"), spec) < 1.01


GRID = [
    *(Spec(stored=bits, allocated=size, left=left, signed=signed, view="window", syntax=syntax)
      for bits, size, left, signed, syntax in itertools.product(
          (8, 12, 16), (8, 16), (False, True), (False, True), ("implicit", "explicit", "big"))),
    *(Spec(view=view, width=width, vr=vr, syntax=syntax, declared=declared, signed=signed)
      for view, width, vr, syntax, declared, signed in itertools.product(
          ("voi", "modality"), ("words", "packed", "8-in-words"), ("OW", "US"),
          ("implicit", "explicit", "big"), (None, 16), (False, True))),
    *(Spec(view="voi", intercept=-1024, sign_of_first=sign) for sign in ("US", "SS")),
]  # fmt: skip


def test_a_fixed_grid_of_headers_means_its_closed_form_pictures(tmp_path):
    wrong = {
        spec: off for spec in filter(is_possible, GRID) if (off := difference(tmp_path, spec)) > 1
    }
    assert not wrong


@pytest.mark.parametrize(
    ("signed", "word", "first"),
    [(False, 2**15, 2**15), (True, 2**15, -(2**15)), (False, 2**16 - 9, -9)],
)
def test_a_tables_first_value_has_the_sign_of_most_that_it_maps(tmp_path, signed, word, first):
    stored, item = values(Spec(stored=16, signed=signed)), Dataset()
    item.add_new(0x00283002, "US", [0, word, 16])  # 2**16 entries
    item.add_new(0x00283006, "OW", np.arange(2**16, dtype=np.uint16).tobytes())
    kind = np.int16 if signed else np.uint16
    more = {"VOILUTSequence": [item], "PixelRepresentation": int(signed)}
    pixels, _ = seen(tmp_path, dicom(stored.astype(kind), **more))
    assert np.abs(pixels - (stored - first).clip(0, 65535) / 257).max() < 1


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("stored", [12, 16, 32])
def test_thirty_two_bits_that_sixteen_would_hold_are_read(tmp_path, signed, stored):
    pixels = values(Spec(signed=signed)).astype("i4" if signed else "u4")
    if stored < 32:
        pixels = (pixels & (2**stored - 1)).astype("u4")
    more = {"BitsStored": stored, "PixelRepresentation": int(signed)}
    assert np.abs(seen(tmp_path, dicom(pixels, **more))[0] - FULL).max() < 1.01


@pytest.mark.parametrize("syntax", ["RLE", *BY_GDCM])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("stored", [8, 12, 16])
def test_a_compressed_file_means_the_same_picture(tmp_path, syntax, signed, stored):
    spec = Spec(stored=stored, signed=signed, view="window", syntax=syntax)
    assert difference(tmp_path, replace(spec, allocated=8 if stored == 8 else 16)) < 1.01


def test_left_aligned_pixels_are_shifted_down_also_when_compressed(tmp_path):
    assert difference(tmp_path, Spec(left=True, view="window", syntax="RLE")) < 1.01


# Headers that are wrong


RAMP = values(Spec()).astype(np.uint16)
FULL = right(Spec())


def seen(folder, content, name="x-ray.dcm"):
    """Reads a file; gives its pixels and what is warned of it, each line naming the file."""
    path = folder / name
    path.write_bytes(content)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        pixels = decode.read(path)
    assert all(caught_one.category is InputWarning for caught_one in caught)
    lines = [str(caught_one.message) for caught_one in caught]
    assert all(line.startswith(str(path)) and "\n" not in line for line in lines)
    return pixels, " | ".join(lines)


def refused(folder, content):
    path = folder / "x-ray.dcm"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"x-ray\.dcm") as caught:
        decode.read(path)
    return str(caught.value)


def with_texts(**texts):
    """Writes a DICOM of 12 bits with raw texts in its DS elements."""
    with pydicom.config.disable_value_validation():
        found = dataset(RAMP, BitsStored=12)
        for name in texts:
            setattr(found, name, "1.0000000")
        buffer = io.BytesIO()
        found.save_as(buffer, enforce_file_format=True)
    content = buffer.getvalue()
    for name, text in texts.items():
        tag = pydicom.datadict.tag_for_keyword(name)
        at = content.index(struct.pack("<HH", tag >> 16, tag & 0xFFFF) + b"DS") + 6
        length = int.from_bytes(content[at : at + 2], "little")
        value = text.encode()
        value += b" " * (len(value) % 2)
        content = (
            content[:at] + len(value).to_bytes(2, "little") + value + content[at + 2 + length :]
        )
    return content


def test_a_decimal_comma_is_read(tmp_path):
    content = with_texts(WindowCenter="2048,0", WindowWidth="4096,0", RescaleSlope="1,0")
    pixels, said = seen(tmp_path, content)
    assert np.abs(pixels - FULL).max() < 1.01
    assert not said


@pytest.mark.parametrize("text", ["nan", "inf", "-", "abc", "1e999"])
def test_a_window_of_no_meaning_is_passed_over_and_said(tmp_path, text):
    pixels, said = seen(tmp_path, with_texts(WindowCenter=text, WindowWidth="4096"))
    assert np.abs(pixels - FULL).max() < 1.01
    assert "window" in said


@pytest.mark.parametrize("text", ["nan", "x", "0"])
def test_a_slope_of_no_meaning_is_passed_over_and_said(tmp_path, text):
    pixels, said = seen(tmp_path, with_texts(RescaleSlope=text, RescaleIntercept="0"))
    assert np.abs(pixels - FULL).max() < 1.01
    assert "slope" in said


@pytest.mark.parametrize("centre", [-9000, 90_000])
@pytest.mark.parametrize("inverted", [False, True])
def test_a_window_that_shows_nothing_is_set_aside_and_said(tmp_path, centre, inverted):
    kind = "MONOCHROME1" if inverted else "MONOCHROME2"
    more = {"WindowCenter": centre, "WindowWidth": 400, "PhotometricInterpretation": kind}
    pixels, said = seen(tmp_path, dicom(RAMP, BitsStored=12, **more))
    assert np.abs(pixels - (255 - FULL if inverted else FULL)).max() < 1.01
    assert "window" in said


def test_a_window_that_shows_nothing_beside_padding_is_set_aside(tmp_path):
    padded = RAMP + np.uint16(10)
    padded[:8] = 0
    more = {"PixelPaddingValue": 0, "WindowCenter": -500, "WindowWidth": 100}
    pixels, said = seen(tmp_path, dicom(padded, **more))
    assert "window" in said
    assert len(np.unique(pixels[8:])) > 200


@pytest.mark.parametrize(
    ("signed", "kind", "padding", "is_padding"),
    [
        (False, "US", 65535, False), (False, "US", 63536, False), (False, "SS", -1, False),
        (False, "US", 255, True), (True, "SS", -1, True), (True, "US", 255, True),
        (True, "US", 65535, True), (True, "SS", -129, False),
    ],
)  # fmt: skip
def test_a_padding_that_no_pixel_of_eight_bits_can_have_is_none(
    tmp_path, signed, kind, padding, is_padding
):
    stored = np.tile(np.arange(128, 256, dtype=np.uint8), (24, 1))
    found = dataset(stored, PixelRepresentation=int(signed))
    found.add_new("PixelPaddingValue", kind, padding)
    found.save_as(tmp_path / "made.dcm", enforce_file_format=True)
    pixels, said = seen(tmp_path, (tmp_path / "made.dcm").read_bytes())
    assert pixels[:, -2].tolist() == [255 if is_padding else 253] * 24
    assert pixels[:, -1].tolist() == [0 if is_padding else 255] * 24
    assert not said


def test_the_next_window_is_taken_where_the_first_shows_nothing(tmp_path):
    more = {"WindowCenter": [-9000, 2048], "WindowWidth": [10, 4096]}
    pixels, _ = seen(tmp_path, dicom(RAMP, BitsStored=12, **more))
    assert np.abs(pixels - FULL).max() < 1.01


def test_a_table_without_entries_gives_way_to_the_window(tmp_path):
    item = Dataset()
    item.add_new(0x00283002, "US", [0, 0, 16])
    item.add_new(0x00283006, "OW", b"")
    more = {"VOILUTSequence": [item], "WindowCenter": 2048, "WindowWidth": 4096}
    pixels, _ = seen(tmp_path, dicom(RAMP, BitsStored=12, **more))
    assert np.abs(pixels - FULL).max() < 1.01


@pytest.mark.parametrize("value", [0, 900])
def test_a_flat_picture_is_never_silent(tmp_path, value):
    _, said = seen(tmp_path, dicom(np.full(SHAPE, value, np.uint16)))
    assert "all over" in said


def test_a_high_bit_that_the_pixels_contradict_is_not_believed(tmp_path):
    content = dicom(RAMP, BitsStored=12, WindowCenter=2048, WindowWidth=4096)
    at = content.index(b"\x28\0\x02\x01US\x02\0") + 8
    pixels, said = seen(tmp_path, content[:at] + b"\x0f\0" + content[at + 2 :])
    assert np.abs(pixels - FULL).max() < 1.01
    assert "high bits" in said


SLOPE = np.add.outer(np.arange(64) * 30, np.arange(64) * 34)  # 12 bits, smooth


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("mark", [False, True])
@pytest.mark.parametrize("compressed", [False, True])
def test_pixels_of_more_bits_than_are_said_are_believed_and_said(
    tmp_path, signed, mark, compressed
):
    stored = (SLOPE - 2000 * signed).astype("i2" if signed else "u2")
    more = {"BitsStored": 10, "WindowCenter": 2016 - 2000 * signed, "WindowWidth": 4033}
    if mark:
        stored[:6, :6] = np.iinfo(stored.dtype).max
    more["PixelRepresentation"] = int(signed)
    found = dataset(stored, **more)
    if compressed:
        found.compress(RLELossless)
    found.save_as(tmp_path / "made.dcm", enforce_file_format=True)
    pixels, said = seen(tmp_path, (tmp_path / "made.dcm").read_bytes())
    assert np.abs(pixels - SLOPE / 4032 * 255)[6:].max() < 1
    assert "10 bits" in said


@pytest.mark.parametrize("declared", [False, True])
def test_an_overlay_above_the_pixels_is_none_of_theirs(tmp_path, declared):
    # What is declared is believed, also where the bits above go on with those below.
    stored = (SLOPE if declared else SLOPE + 4096 * (SLOPE % 7 == 0)).astype(np.uint16)
    found = dataset(stored, BitsStored=10 if declared else 12)
    if declared:
        found.add_new(0x60000100, "US", 16)
        found.add_new(0x60000102, "US", 10)
    found.save_as(tmp_path / "made.dcm", enforce_file_format=True)
    pixels, said = seen(tmp_path, (tmp_path / "made.dcm").read_bytes())
    expected = SLOPE % 1024 / 1023 if declared else SLOPE / SLOPE.max()
    assert np.abs(pixels - expected * 255).max() < 1.1
    assert not said


@pytest.mark.parametrize("kind", ["PALETTE COLOR", "MONOCHROME2", "MONOCHROME1"])
def test_three_samples_of_one_value_are_refused_by_name(tmp_path, kind):
    colour = np.zeros((*SHAPE, 3), np.uint8)
    assert kind in refused(tmp_path, dicom(colour, PhotometricInterpretation=kind))


@pytest.mark.parametrize("kind", ["RGB", "YBR_FULL", "CMYK", "HSV"])
def test_one_sample_of_a_colour_is_refused(tmp_path, kind):
    assert "DICOM" in refused(tmp_path, dicom(RAMP, PhotometricInterpretation=kind))


def test_an_empty_or_missing_palette_is_refused(tmp_path):
    more = {"PhotometricInterpretation": "PALETTE COLOR"}
    for colour in ("Red", "Green"):
        more[f"{colour}PaletteColorLookupTableDescriptor"] = [256, 0, 8]
        more[f"{colour}PaletteColorLookupTableData"] = bytes(range(256))
    assert "palette" in refused(tmp_path, dicom(np.zeros(SHAPE, np.uint8), **more))


@pytest.mark.parametrize("declared", [8, 16])
@pytest.mark.parametrize("wide", [False, True])
def test_a_palette_of_any_width_is_looked_up(tmp_path, declared, wide):
    grey = np.arange(SHAPE[0] * SHAPE[1], dtype=np.uint16).reshape(SHAPE)
    grey = grey if wide else (grey % 256).astype(np.uint8)
    more, shades = {"PhotometricInterpretation": "PALETTE COLOR"}, []
    for colour, power in (("Red", 1), ("Green", 2), ("Blue", 3)):
        shades.append(np.rint((np.arange(256) / 255) ** power * 255).astype(np.uint8))
        more[f"{colour}PaletteColorLookupTableDescriptor"] = [256, 0, declared]
        more[f"{colour}PaletteColorLookupTableData"] = shades[-1].tobytes()
    pixels, _ = seen(tmp_path, dicom(grey, **more))
    expected = np.dstack([shade[np.minimum(grey, 255)] for shade in shades])
    assert (pixels == expected).all()


@settings(max_examples=150, deadline=None)
@given(
    more=st.fixed_dictionaries(
        {
            "SamplesPerPixel": st.sampled_from([1, 2, 3, 4]),
            "PhotometricInterpretation": st.sampled_from(
                ["MONOCHROME2", "RGB", "PALETTE COLOR", "YBR_FULL", "YBR_FULL_422", "ARGB", ""]
            ),
            "PlanarConfiguration": st.sampled_from([0, 1, 7]),
            "BitsStored": st.sampled_from([0, 1, 8, 12, 16, 40]),
            "Rows": st.sampled_from([0, 1, 24]),
            "NumberOfFrames": st.sampled_from([0, 1, 2]),
        }
    ),
    kind=st.sampled_from([np.uint8, np.uint16]),
)
@pytest.mark.filterwarnings("ignore::cxrlib.errors.InputWarning")
def test_any_shape_attributes_give_a_picture_or_a_refusal(tmp_path_factory, more, kind):
    path = tmp_path_factory.mktemp("shapes") / "x-ray.dcm"
    path.write_bytes(dicom(np.arange(480, dtype=kind).reshape(SHAPE), **more))
    try:
        pixels = decode.read(path)
    except InputError as error:
        assert str(path) in str(error)
    else:
        assert pixels.dtype == np.uint8
        assert pixels.ndim == 2 or pixels.shape[2:] == (3,)


def test_what_follows_a_deflated_file_is_not_read(tmp_path):
    found = dataset(RAMP, BitsStored=12)
    found.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    path = tmp_path / "x-ray.dcm"
    found.save_as(path, enforce_file_format=True)
    os.truncate(path, 50_000_000)
    tracemalloc.start()
    assert np.abs(decode.read(path) - FULL).max() < 1.01
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6


# Headers that disagree with the stream


def wrapped(stream, syntax="1.2.840.10008.1.2.4.50", **more):
    """Writes a stream as a DICOM that may say something else."""
    found = dataset(np.zeros(SHAPE, np.uint8), WindowCenter=128, WindowWidth=256)
    found.PixelData = pydicom.encaps.encapsulate([stream])
    found["PixelData"].VR = "OB"
    found["PixelData"].is_undefined_length = True
    for name, value in more.items():
        setattr(found, name, value)
    found.file_meta.TransferSyntaxUID = syntax
    buffer = io.BytesIO()
    pydicom.dcmwrite(
        buffer, found, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=True,
        enforce_file_format=True,
    )  # fmt: skip
    return buffer.getvalue()


GREY = np.rint(FULL).astype(np.uint8)
JPEG = encoded(GREY, "JPEG", quality=98)
J2K = encoded(GREY, "JPEG2000", no_jp2=True)


@pytest.mark.parametrize("stream", [JPEG, J2K, encoded(GREY, "JPEG", quality=98, progressive=True)])
@pytest.mark.parametrize("number", ["50", "51", "70", "80", "90", "201"])
def test_a_stream_is_decoded_for_what_it_is(tmp_path, stream, number):
    content = wrapped(stream, f"1.2.840.10008.1.2.4.{number}", BitsAllocated=16)
    assert np.abs(seen(tmp_path, content)[0] - FULL).mean() < 2


@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("table", [(), (0,), (1000,), (0, 500), (0, 0), None])
@pytest.mark.parametrize("ends", [False, True])
def test_a_table_of_offsets_that_is_wrong_or_missing_does_no_harm(tmp_path, parts, table, ends):
    def items(stream):
        cuts = [len(stream) * k // parts // 2 * 2 for k in range(parts)] + [len(stream)]
        pieces = [stream[start:end] for start, end in zip(cuts, cuts[1:])]
        return b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(piece)) + piece for piece in pieces)

    first = b""
    if table is not None:
        first = struct.pack(f"<HHI{len(table)}I", 0xFFFE, 0xE000, 4 * len(table), *table)
    end = b"\xfe\xff\xdd\xe0\0\0\0\0" * ends
    even = JPEG + b"\0" * (len(JPEG) % 2)
    content = wrapped(JPEG)
    start = content.index(b"\xe0\x7f\x10\0OB") + 12
    pixels, said = seen(tmp_path, content[:start] + first + items(even) + end)
    assert np.abs(pixels - FULL).mean() < 2
    assert not said


def test_of_two_frames_where_one_is_said_the_first_is_read(tmp_path):
    found = dataset(RAMP, BitsStored=12)
    found.compress(RLELossless)
    frame = pydicom.encaps.get_frame(found.PixelData, 0, number_of_frames=1)
    found.PixelData = pydicom.encaps.encapsulate([frame, bytes(64) + frame])
    found.save_as(tmp_path / "made.dcm", enforce_file_format=True)
    pixels, _ = seen(tmp_path, (tmp_path / "made.dcm").read_bytes())
    assert np.abs(pixels - FULL).max() < 1.01


def test_a_stream_in_a_file_that_says_uncompressed_is_decoded(tmp_path):
    assert np.abs(seen(tmp_path, wrapped(JPEG, ExplicitVRLittleEndian))[0] - FULL).mean() < 2


@pytest.mark.parametrize(
    ("more", "said"),
    [({"Rows": 30}, "24"), ({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}, "samples")],
)
def test_a_header_that_disagrees_with_its_stream_is_refused_with_both(tmp_path, more, said):
    line = refused(tmp_path, wrapped(JPEG, **more))
    assert "disagree" in line
    assert said in line


def test_a_stream_cut_short_is_said_to_be(tmp_path):
    assert "cut short" in refused(tmp_path, wrapped(JPEG[: len(JPEG) // 2]))
    assert "cut short" in refused(tmp_path, wrapped(J2K[:-20], "1.2.840.10008.1.2.4.90"))


def test_a_compression_that_nothing_reads_is_named(tmp_path):
    assert "MPEG2" in refused(tmp_path, wrapped(b"\0\0\1\xb3" * 9, "1.2.840.10008.1.2.4.100"))


@pytest.mark.parametrize("start", [b"II*\0", b"MM\0*", b"\x89PNG\r\n\x1a\n", b"<html>"])
def test_a_preamble_may_be_another_formats_start(tmp_path, start):
    content = dicom(RAMP, BitsStored=12)
    pixels, _ = seen(tmp_path, start.ljust(128, b"\0") + content[128:])
    assert np.abs(pixels - FULL).max() < 1.01


def test_colours_are_as_the_header_says_where_the_jpeg_says_nothing(tmp_path):
    """As it says itself where it does, which some headers contradict."""
    grey = GREY.repeat(8, 0).repeat(8, 1)
    tinted = np.dstack([grey, grey // 2, grey // 4])
    more = {"Rows": 192, "Columns": 160, "SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}
    says = encoded(tinted, "JPEG", quality=98, subsampling=0)  # JFIF: YCbCr
    plain = encoded(tinted, "JPEG", quality=98, subsampling=0, keep_rgb=True)
    adobe = plain.index(b"\xff\xee")
    named = plain[:adobe] + plain[adobe + 16 :]  # its components are called R, G and B
    nothing = named.replace(b"R\x11\0G\x11\0B\x11\0", b"\1\x11\0\2\x11\0\3\x11\0")
    nothing = nothing.replace(b"\3R\0G\0B\0", b"\3\1\0\2\0\3\0")
    for stream in (says, plain, named, nothing):
        pixels, _ = seen(tmp_path, wrapped(stream, **more, PlanarConfiguration=0))
        assert np.abs(pixels.astype(int) - tinted).mean() < 2


def test_an_odd_number_of_bytes_in_big_words_keeps_its_last(tmp_path):
    found = dataset(np.zeros((3, 3), np.uint8), WindowCenter=4, WindowWidth=8)
    found.VOILUTFunction = "LINEAR_EXACT"
    found.PixelData = bytes([1, 0, 3, 2, 5, 4, 7, 6, 0, 8])
    found["PixelData"].VR = "OW"
    found.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    buffer = io.BytesIO()
    found.save_as(buffer, enforce_file_format=True)
    pixels, _ = seen(tmp_path, buffer.getvalue())
    assert np.abs(pixels.ravel() - np.arange(9) / 8 * 255).max() < 1


def test_no_transfer_syntax_and_no_preamble_are_read(tmp_path):
    content = dicom(RAMP, BitsStored=12, WindowCenter=2048, WindowWidth=4096)
    found = pydicom.dcmread(io.BytesIO(content))
    for implicit in (False, True):
        buffer = io.BytesIO()
        found.file_meta.TransferSyntaxUID = [ExplicitVRLittleEndian, ImplicitVRLittleEndian][
            implicit
        ]
        bare = Dataset({element.tag: element for element in found})
        pydicom.dcmwrite(buffer, bare, implicit_vr=implicit, little_endian=True)
        for start in (b"", bytes(128) + b"DICM"):
            pixels, _ = seen(tmp_path, start + buffer.getvalue())
            assert np.abs(pixels - FULL).max() < 1.01
