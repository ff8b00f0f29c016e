"""DICOM files: their headers, within bounds, and the pixels that they store (PS3.3 C.7.6.3)."""

import io
import struct
import zlib
from typing import NamedTuple

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, generate_fragments
from pydicom.filereader import read_dataset
from pydicom.pixels import pixel_array
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    RLELossless,
)

from cxrlib.errors import InputError
from cxrlib.images import display, seen, streams
from cxrlib.images.bounded import READS, Bounded

OVERLAYS = [(group, 0x0100) for group in range(0x6000, 0x6020, 2)]
"""Bits in which overlays lie: their own or, above one, those that the pixels leave."""

FRAME_TAGS = [
    "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames",
    "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
    "PixelPaddingValue", "PixelPaddingRangeLimit", "RescaleIntercept", "RescaleSlope",
    "ModalityLUTSequence", "VOILUTSequence", "WindowCenter", "WindowWidth", "VOILUTFunction",
    *(f"{segmented}{colour}PaletteColorLookupTable{part}"
      for colour in ("Red", "Green", "Blue")
      for segmented, part in (("", "Descriptor"), ("", "Data"), ("Segmented", "Data"))),
    *OVERLAYS,
]  # fmt: skip
FACT_TAGS = ["ViewPosition", "ImageLaterality", "Laterality"]
"""With the pixels, all that is read of a DICOM file: nothing about the patient is among it."""

VIEWS = ("AP", "PA", "LL", "RL", "LATERAL", "RLD", "LLD", "RLO", "LLO")
LATERALITIES = ("R", "L", "U", "B")
GREYS = ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR")
COLOURS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")

READ = (
    *pydicom.uid.JPEGTransferSyntaxes, *pydicom.uid.JPEGLSTransferSyntaxes,
    *pydicom.uid.JPEG2000TransferSyntaxes, RLELossless,
)  # fmt: skip
"""Compressions that are read."""

ITEM = b"\xfe\xff\0\xe0"
STREAMS = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP")
"""How compressed pixels begin in a DICOM: in fragments or, against the standard, bare."""

BAND = 256
"""Rows whose neighbours are compared at a time."""

HEADER_BYTES = 32e6
INFLATED = 100e6
"""Bytes that a deflated file may hold."""

PIECE = 2**20


class Layout(NamedTuple):
    """Which bits of what is allocated hold the pixel."""

    allocated: int
    stored: int
    high: int
    signed: bool

    def values(self, container):
        """Returns the pixel that each container's value stands for, as int32.

        Shifted up to the container's top and down again: the bits above and below are another's,
        and the sign is spread. pydicom takes the high bit for the one below BitsStored.
        """
        up, down = self.allocated - 1 - self.high, self.allocated - self.stored
        kind = f"{'i' if self.signed else 'u'}{self.allocated // 8}"
        return ((container << up).astype(container.dtype).view(kind) >> down).astype(np.int32)


def is_dicom(file):
    """Returns whether a file is DICOM, with its preamble of 128 bytes or without."""
    file.seek(0)
    return seen.kind(file.read(seen.HEAD)) == "DICOM"


def is_compressed(file):
    """Returns whether a DICOM file's pixels are compressed, whatever its header says."""
    frame, file = _elements(file, FRAME_TAGS)
    _, start = _pixels(file, frame)
    return start.startswith((ITEM, *STREAMS))


def facts(file):
    """Reads a DICOM file's view and laterality, as codes: free text may name a person."""
    elements, file = _elements(file, FACT_TAGS)
    _pixels(file, elements)  # where there are none, the file is cut short or no image
    return {
        "view": _code(elements.get("ViewPosition"), VIEWS),
        "laterality": _code(
            elements.get("ImageLaterality") or elements.get("Laterality"), LATERALITIES
        ),
    }


def _code(value, codes):
    """Returns a code, or "" for anything else: it is free text, which may name a person."""
    code = str(value or "").strip().upper()
    return code if code in codes else ""


def size(file):
    """Reads a DICOM file's width and height in pixels."""
    frame, _ = _elements(file, ["Rows", "Columns"])
    return int(frame.Columns), int(frame.Rows)


# The file


def _elements(file, names):
    """Reads the named elements of a DICOM file, up to its pixels, and passes over the others.

    Returns:
        The dataset, and the open file at its pixels: another one where it was deflated.
    """
    file.reads_left, file.bytes_left = READS, HEADER_BYTES
    file.seek(0)
    file.seek(132 if file.read(132)[128:] == b"DICM" else 0)
    meta = read_dataset(file, False, True, stop_when=lambda tag, *_: tag.group != 2)
    if meta.get("MediaStorageSOPClassUID") == "1.2.840.10008.1.3.10":
        raise InputError("is a DICOMDIR, a list of files: name one of these")
    if meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
        file = _inflated(file)
    else:
        file.seek(0)
    # Without a transfer syntax pydicom tells by the first element how the rest is written.
    frame = pydicom.dcmread(file, force=True, specific_tags=names, stop_before_pixels=True)
    file.reads_left = file.bytes_left = np.inf
    return frame, file


def _inflated(file):
    """Inflates the rest of a file, up to a bound, and reads no more of it than that takes."""
    file.reads_left = file.bytes_left = np.inf
    inflating, raw = zlib.decompressobj(-zlib.MAX_WBITS), io.BytesIO()
    while not inflating.eof and (piece := file.read(PIECE)):
        raw.write(inflating.decompress(piece, int(INFLATED) + 1 - raw.tell()))
        if raw.tell() > INFLATED:
            raise InputError("is a deflated DICOM of more than 100 MB: save it without deflation")
    raw.name = file.name
    inflated = Bounded(raw)
    inflated.reads_left, inflated.bytes_left = READS, HEADER_BYTES
    return inflated


def _pixels(file, frame):
    """Reads where the pixels are.

    Returns:
        Their length in bytes, None where they say themselves where they end, and their first bytes;
        the file stands at the first.
    """
    implicit, little = frame.original_encoding
    start = file.read(12)
    order = "<" if little else ">"
    if len(start) < 8:
        raise InputError(
            "is not an image that can be read: a DICOM without pixels, or cut short before them"
        )
    group, element = struct.unpack(f"{order}HH", start[:4])
    if (group, element) != (0x7FE0, 0x0010):
        raise InputError("is a DICOM whose pixels are floating-point numbers: save it with 16 bits")
    long = not implicit and start[4:6] in (b"OB", b"OW", b"UN")
    length = struct.unpack(f"{order}I", start[8:12] if long else start[4:8])[0]
    if not implicit and not long:
        length &= 0xFFFF
    file.seek(0 if long else -4, 1)
    at = file.tell()
    first = file.read(16)
    file.seek(at)
    frame.pixel_vr = "OW" if implicit else start[4:6].decode("latin-1")
    return (None if length == 0xFFFFFFFF else length), first


def read(file, check_size, notes):
    """Decodes a DICOM file of one frame.

    Args:
        file: The open file, a `Bounded`.
        check_size: Function of width, height and bytes a pixel that refuses what is too large.
        notes: List to which a line is added where the file is not read as its header says.

    Returns:
        uint8 array (height, width) or (height, width, 3), RGB.

    Raises:
        InputError: A kind that is not read, or a header that contradicts itself or the pixels; what
            a decoder raises of a damaged file.
    """
    frame, file = _elements(file, FRAME_TAGS)
    if (frame.get("NumberOfFrames") or 1) != 1:
        raise InputError(
            f"is a DICOM of {int(frame.NumberOfFrames)} frames: save the radiograph alone"
        )
    if "Rows" not in frame or "Columns" not in frame:
        raise InputError("is a DICOM without pixels: replace it or drop its row")
    kind, samples = _kind(frame, notes)
    length, first = _pixels(file, frame)
    compressed = _compressed_content(file, length, first, frame)
    if compressed is None:
        pixels, layout = _native(file, length, frame, kind, samples, check_size, notes)
    else:
        pixels, layout = _compressed(compressed, frame, kind, samples, check_size, notes)
    if kind == "PALETTE COLOR":
        return display.painted(pixels, layout, frame, notes)
    if samples == 3:
        return display.coloured(pixels, layout)
    return display.shown(pixels, layout, frame, kind == "MONOCHROME1", notes)


def _kind(frame, notes):
    """Returns a file's photometric interpretation and its samples a pixel, which must agree."""
    kind = str(frame.get("PhotometricInterpretation") or "").strip().upper()
    samples = frame.get("SamplesPerPixel") or (3 if kind in COLOURS else 1)
    if not kind and samples in (1, 3):
        kind = "MONOCHROME2" if samples == 1 else "RGB"
        notes.append(f"does not say what its pixels mean (a DICOM): read as {kind}")
    if kind not in GREYS + COLOURS:
        raise InputError(
            "is a DICOM of a photometric interpretation that is not read: save it grey"
        )
    if samples != (1 if kind in GREYS else 3):
        raise InputError(
            f"is a DICOM that contradicts itself ({kind} with {int(samples)} samples a pixel): "
            "save it anew or drop its row"
        )
    return kind, samples


def _compressed_content(file, length, first, frame):
    """Reads a compressed stream, which shows itself by its first bytes; None where it is none."""
    if first.startswith(ITEM):
        file.reads_left = READS
        return _joined(generate_fragments(file))
    needed = frame.Rows * frame.Columns * (frame.get("BitsAllocated") or 8) // 8
    if first.startswith(STREAMS) and (length is None or length < needed):
        return file.read() if length is None else file.read(length)
    if length is None:
        raise InputError("is a DICOM whose pixels have no end: copy or download it again")
    return None


def _joined(fragments):
    """Joins the fragments of the one frame, up to a second one's.

    The table before them says where each frame begins. It is believed of no other place: it may be
    wrong, or missing.
    """
    table, *fragments = fragments
    if table.startswith(STREAMS):
        table, fragments = b"", [table, *fragments]
    ends = np.cumsum([8 + len(fragment) for fragment in fragments]).tolist()
    second = int.from_bytes(table[4:8], "little")
    return b"".join(fragments[: ends.index(second) + 1] if second in ends else fragments)


def _syntax_name(frame):
    """Returns the name of a file's transfer syntax, for a message: a registered one, or ""."""
    syntax = UID(frame.file_meta.get("TransferSyntaxUID") or "")
    return (
        syntax.name if syntax.is_valid and not syntax.is_private and syntax != syntax.name else ""
    )


# What is stored


def _native(file, length, frame, kind, samples, check_size, notes):
    """Reads pixels that are not compressed."""
    bits = frame.get("BitsAllocated") or 0
    if bits not in (1, 8, 16, 32) or (bits == 32 and samples > 1):
        raise InputError(f"is a DICOM of {int(bits)} bits a pixel: save it with 8 or 16")
    times = 11 if kind.startswith("YBR") else 3 if bits < 32 else 6  # measured
    check_size(frame.Columns, frame.Rows, times * samples * bits / 8)
    needed = -(-frame.Rows * frame.Columns * (2 if kind == "YBR_FULL_422" else samples) * bits // 8)
    content = file.read(min(length, needed + needed % 2))
    if len(content) < needed:
        name = _syntax_name(frame)
        raise InputError(
            f"is a DICOM{f' ({name})' if name else ''} cut short, or its header and its pixels "
            f"disagree: {needed} bytes are needed for {frame.Columns} x {frame.Rows} pixels and "
            f"{len(content)} are there; copy or download it again"
        )
    if length >= 2 * needed and length > needed + 1:
        raise InputError(
            f"is a DICOM whose header and pixels disagree: {needed} bytes are needed for "
            f"{frame.Columns} x {frame.Rows} pixels and {length} are there; save it anew"
        )
    layout = _layout(frame, bits, bits)
    stored = _described(kind, samples, frame.Rows, frame.Columns, bits, layout.signed)
    little = frame.original_encoding[1]
    syntax = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
    stored.file_meta.TransferSyntaxUID = syntax
    if samples == 3:
        stored.PlanarConfiguration = frame.get("PlanarConfiguration") or 0
    stored.PixelData = content + b"\0" * (len(content) % 2)  # two bytes a word, also the last
    stored["PixelData"].VR = "OB" if frame.pixel_vr == "OB" and bits <= 8 else "OW"
    pixels = pixel_array(stored, index=0)
    pixels = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)  # "big" comes as it lies
    layout = _wide(_believed(layout, pixels, notes), pixels, frame, notes)
    return (pixels, layout) if bits < 32 else _narrowed(pixels, layout)


def _narrowed(pixels, layout):
    """Returns pixels of 32 bits in 16, and how they lie there, if they fit."""
    values, kind = layout.values(pixels), np.dtype("i2" if layout.signed else "u2")
    if np.iinfo(kind).min > values.min() or values.max() > np.iinfo(kind).max:
        raise InputError("is a DICOM of more than 16 bits a pixel: save it with 8 or 16")
    return values.astype(kind), Layout(16, 16, 15, layout.signed)


def _described(kind, samples, rows, columns, bits, signed):
    """Describes pixels to pydicom's decoders with all bits as they lie."""
    stored = Dataset()
    stored.file_meta = FileMetaDataset()
    stored.PhotometricInterpretation, stored.SamplesPerPixel = kind, samples
    stored.Rows, stored.Columns = rows, columns
    stored.BitsAllocated = stored.BitsStored = bits
    stored.HighBit, stored.PixelRepresentation = bits - 1, int(signed)
    return stored


def _layout(frame, allocated, precision):
    """Returns where the bits of a pixel lie, as far as the header makes sense.

    Args:
        frame: The header.
        allocated: Bits of a pixel's container.
        precision: Bits that can be used of it: all of them or, compressed, what the stream says.
    """
    stored = frame.get("BitsStored") or precision
    stored = stored if 0 < stored <= precision else precision
    high = frame.get("HighBit")
    high = stored - 1 if high is None or not stored - 1 <= high < precision else high
    return Layout(max(allocated, 8), stored, high, frame.get("PixelRepresentation") == 1)


def _believed(layout, pixels, notes):
    """Returns the layout, unless its high bit is above all pixels, whose low bits are in use."""
    shift = layout.high + 1 - layout.stored
    if not shift or layout.signed:
        return layout
    low, brightest = 2**shift - 1, int(pixels.max())
    if brightest >= 2**layout.stored or not (pixels & low).any():
        return layout
    notes.append(
        "says that its pixels lie in the high bits (a DICOM), but they lie in the low ones"
    )
    return layout._replace(high=layout.stored - 1)


def _wide(layout, pixels, frame, notes):
    """Returns the layout, or that of all bits where the pixels go on above those that are said.

    What lies there may also be an overlay, a sign or a padding: what makes more neighbours differ
    less is the picture.
    """
    full = layout._replace(stored=layout.allocated, high=layout.allocated - 1)
    values = pixels.view(f"{'i' if layout.signed else 'u'}{pixels.itemsize}")
    above = 2 ** (layout.stored - layout.signed)
    fits = values.max() < above and values.min() >= -above * layout.signed
    overlaid = any((words := display.words(frame, tag)) and words[0] > 1 for tag in OVERLAYS)
    if fits or overlaid or layout.high != layout.stored - 1:
        return layout
    smoother = 0
    for top in range(0, len(pixels), BAND):
        band = pixels[top : top + BAND + 1]
        for axis in (0, 1):
            steps = [
                np.abs(np.diff(one.values(band).astype(float), axis=axis)) for one in (full, layout)
            ]
            smoother += np.sign(steps[1] - steps[0]).sum()
    if smoother <= 0:
        return layout
    notes.append(
        f"says that its pixels have {layout.stored} bits (a DICOM), but they have more: these were "
        "believed"
    )
    return full


def _compressed(content, frame, kind, samples, check_size, notes):
    """Decodes compressed pixels, by what their stream says of itself."""
    stream = streams.header(content)
    if stream is None:
        return _run_lengths(content, frame, kind, samples, check_size, notes)
    codec, said = stream.codec, (frame.Columns, frame.Rows)
    if said != (stream.width, stream.height):
        raise InputError(
            f"is a DICOM whose header and pixels disagree: {said[0]} x {said[1]} pixels against "
            f"{stream.width} x {stream.height} in its {codec} stream; save it anew"
        )
    if samples != stream.components:
        raise InputError(
            f"is a DICOM whose header and pixels disagree: {samples} samples a pixel against "
            f"{stream.components} in its {codec} stream; save it anew"
        )
    if stream.precision > 16:
        raise InputError(f"is a DICOM of {stream.precision} bits a pixel: save it with 8 or 16")
    check_size(stream.width, stream.height, 11 * samples * (1 if stream.precision <= 8 else 2))
    if streams.is_plain(stream):
        content = streams.whole_jpeg(content, notes)
    elif b"\xff\xd9" not in content[-64:]:
        raise InputError(f"is a DICOM whose {codec} stream is cut short: copy or download it again")
    layout = _layout(frame, 8 if stream.precision <= 8 else 16, stream.precision)
    pixels = streams.decoded(content, stream, kind if samples == 3 else "", layout.signed)
    beyond = not layout.signed and int(pixels.max()) >= 2**layout.stored
    if beyond and layout.high == layout.stored - 1:
        notes.append(
            f"says that its pixels have {layout.stored} bits (a DICOM), but its {codec} stream has "
            f"{stream.precision}: the stream was believed"
        )
        return pixels, layout._replace(stored=stream.precision, high=stream.precision - 1)
    return pixels, _believed(layout, pixels, notes)


def _run_lengths(content, frame, kind, samples, check_size, notes):
    """Decodes pixels that are compressed by run lengths, or wrapped and not compressed at all."""
    segments, first = struct.unpack_from("<2I", content.ljust(8, b"\0"))
    bits = 8 * segments // samples
    if first == 64 and bits > 16:
        raise InputError(f"is a DICOM of {bits} bits a pixel: save it with 8 or 16")
    if first != 64 or bits not in (8, 16) or segments % samples:
        if frame.file_meta.get("TransferSyntaxUID") in READ:
            raise ValueError("its stream is none of that kind")
        name = _syntax_name(frame)
        raise InputError(
            f"is a DICOM compressed {f'as {name}' if name else 'in a way that is not known here'}, "
            "which no decoder here reads: save it uncompressed"
        )
    check_size(frame.Columns, frame.Rows, 11 * samples * bits / 8)
    layout = _layout(frame, bits, bits)
    stored = _described(kind, samples, frame.Rows, frame.Columns, bits, layout.signed)
    stored.file_meta.TransferSyntaxUID = RLELossless
    if samples == 3:
        stored.PlanarConfiguration = frame.get("PlanarConfiguration") or 0
    stored.PixelData = encapsulate([content])
    pixels = pixel_array(stored, index=0)
    return pixels, _wide(layout, pixels, frame, notes)
