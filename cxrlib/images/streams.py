"""Compressed streams, in a DICOM file or alone: what they say of themselves, and their pixels.

The stream is believed, not the header around it: decoders that are told another depth or kind
fail, or answer something else without a word.
"""

import contextlib
import io
import os
import re
import struct
from typing import NamedTuple

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import pixel_array
from pydicom.uid import JPEG2000, JPEGLosslessSV1, JPEGLSLossless

from cxrlib.errors import InputError
from cxrlib.images import seen

SEGMENTS = 10_000
"""Segments of a JPEG that are looked through for its frame."""

SCANS = 100
"""Passes a progressive JPEG may have (10 are usual): each costs the time of a whole image."""

TAIL = 8
"""Bytes at the end of a JPEG's data without which its last pixels differ."""

LEFT = 32
"""Bytes of a JPEG's data that may be left after its last pixel: none should be."""

LOST = f"is cut short or lost data in its middle (a JPEG): {seen.AGAIN}"

LOSSY = (0xC0, 0xC1, 0xC2, 0xC9, 0xCA)
FRAMES = (*LOSSY, 0xC3, 0xC5, 0xC6, 0xC7, 0xCB, 0xCD, 0xCE, 0xCF, 0xF7)
"""Markers of a JPEG's frame by coding; F7 is JPEG-LS."""


BLOCKS = {0xC0: 8, 0xC1: 8, 0xC9: 8, 0xC3: 1, 0xCB: 1}
"""Edge of what is coded at a time, in pixels, by the codings whose first scan has it all."""


class Stream(NamedTuple):
    """What a stream says of itself."""

    codec: str
    height: int
    width: int
    components: int
    precision: int
    is_progressive: bool = False


def header(content):
    """Reads a stream's own header.

    Args:
        content: The stream, bytes.

    Returns:
        A `Stream`, or None where it is neither JPEG, JPEG-LS nor JPEG 2000.
    """
    if content[:2] == b"\xff\xd8":
        return _jpeg(content)
    start = content[:4096].find(b"\xff\x4f\xff\x51")
    if start < 0:
        return None
    right, lower, left, upper = struct.unpack_from(">4I", content, start + 8)
    components, depth = struct.unpack_from(">HB", content, start + 40)
    return Stream("JPEG 2000", lower - upper, right - left, components, (depth & 127) + 1)


def segments(content):
    """Yields a JPEG's segments up to its data: each one's marker, its body, and where it ends."""
    at = 2
    for _ in range(SEGMENTS):
        if at + 4 > len(content) or content[at] != 0xFF:
            return
        marker, length = content[at + 1], int.from_bytes(content[at + 2 : at + 4])
        if marker == 0xFF:  # a filling byte
            at += 1
            continue
        yield marker, content[at + 4 : at + 2 + length], at + 2 + length
        at += 2 + length


def _jpeg(content):
    """Reads the header of a JPEG of any kind."""
    for marker, body, _ in segments(content):
        if marker in FRAMES:
            precision, height, width, components = struct.unpack_from(">BHHB", body)
            codec = "JPEG" if marker in LOSSY else "lossless JPEG"
            codec = "JPEG-LS" if marker == 0xF7 else codec
            progressive = marker in (0xC2, 0xCA)
            return Stream(codec, height, width, components, precision, progressive)
    return None


def is_plain(stream):
    """Returns whether a stream is the JPEG that browsers show: lossy, of 8 bits."""
    return stream.codec == "JPEG" and stream.precision == 8


def decoded(content, stream, kind="", signed=False):
    """Decodes a stream.

    Args:
        content: The stream, bytes.
        stream: What `header` says of it.
        kind: What a DICOM header calls its colours (photometric interpretation).
        signed: Whether a DICOM header says that its values are signed.

    Returns:
        uint8, uint16 or int16 array (height, width), or (height, width, 3), RGB.
    """
    if is_plain(stream):
        return _plain(content, stream, kind)
    if content[:2] == b"\xff\xd8":
        _check_restarts(content)
    with _complaints() as said:
        pixels = _by_name(content, stream, kind, signed)
    left = re.search(rb"Corrupt JPEG data(: (\d+) extraneous)?", said[0])
    if left and (left[2] is None or int(left[2]) > LEFT):
        raise InputError(LOST)
    return pixels


def _by_name(content, stream, kind, signed):
    """Decodes a stream with the decoder for its kind, whose name pydicom is told."""
    frame, colour = Dataset(), stream.components > 1
    frame.file_meta = FileMetaDataset()
    # pydicom refuses JPEG Extended of 12 bits, because its name does not tell GDCM the depth. GDCM
    # goes by the stream, and decodes it under the name of lossless JPEG.
    frame.file_meta.TransferSyntaxUID = {
        "JPEG 2000": JPEG2000, "JPEG-LS": JPEGLSLossless,
    }.get(stream.codec, JPEGLosslessSV1)  # fmt: skip
    frame.Rows, frame.Columns, frame.SamplesPerPixel = stream.height, stream.width, stream[3]
    frame.BitsAllocated = 8 if stream.precision <= 8 else 16
    frame.BitsStored, frame.HighBit = stream.precision, stream.precision - 1
    frame.PixelRepresentation = int(signed)
    frame.PhotometricInterpretation = (kind or "RGB") if colour else "MONOCHROME2"
    if colour:
        frame.PlanarConfiguration = 0
    frame.PixelData = encapsulate([content])
    # Pillow takes half of GDCM's memory, but has no lossless JPEG, and 8 bits for deep colour.
    if stream.codec == "JPEG 2000" and (stream.precision <= 8 or not colour):
        with contextlib.suppress(RuntimeError):  # some that Pillow calls broken GDCM reads
            return pixel_array(frame, index=0, decoding_plugin="pillow")
    try:
        return pixel_array(frame, index=0, decoding_plugin="gdcm")
    except ValueError as error:
        if "color space" not in str(error):
            raise
        raise InputError(
            f"has YCbCr colours of {stream.precision} bits ({stream.codec}), which no decoder here "
            f"reads: {seen.PNG}"
        ) from None


def _plain(content, stream, kind):
    """Decodes a plain JPEG with Pillow.

    Three components are YCbCr, unless the stream says otherwise. A DICOM header's word is taken
    where the stream says nothing; of that word, pydicom minds nothing where JFIF contradicts it.
    """
    with Image.open(io.BytesIO(content), formats=["JPEG"]) as image:
        names = "".join(chr(layer[0]) for layer in image.layer)
        says_nothing = names != "RGB" and not {"jfif", "adobe_transform"} & set(image.info)
        subsampled = len({layer[1:3] for layer in image.layer}) > 1
        if image.mode == "RGB" and kind == "RGB" and says_nothing and not subsampled:
            image.draft("YCbCr", image.size)  # as it stands, without conversion
            return np.asarray(image)
        check_end(image, io.BytesIO(content))
        return np.asarray(image if image.mode == "L" else image.convert("RGB"))


def whole_jpeg(content, notes):
    """Checks that a plain JPEG has an end, and not so many scans that decoding takes for ever.

    Args:
        content: The file, bytes.
        notes: List to which a line is added where only the mark of the end is missing.

    Returns:
        The file's bytes, with a mark of its end.

    Raises:
        InputError: Too many scans, or data are missing in the middle.
        ValueError: It is cut short.
    """
    scans = content.count(b"\xff\xda")
    if scans > SCANS:
        raise InputError(f"is a JPEG of {scans} scans, which no radiograph has: save it anew")
    _check_restarts(content)
    last_scan = content.rfind(b"\xff\xda") if scans > 1 else content.find(b"\xff\xda")
    if content.find(b"\xff\xd9", last_scan) >= 0:
        return content
    content = content.rstrip(b"\xff")
    if scans != 1 or not _ends_with_data(content):
        raise ValueError("its last part is missing")
    notes.append("lacks the mark of its end (a JPEG): the picture is whole, and was read")
    return content + b"\xff\xd9"


def _check_restarts(content):
    """Refuses a JPEG whose marks of restart, where it has any, are too few or not in their order.

    A decoder that misses one puts what follows elsewhere, and says nothing. Some programs put one
    more before the end.
    """
    interval = edge = 0
    for marker, body, end in segments(content):
        if marker in FRAMES:
            edge, frame = BLOCKS.get(marker, 0), body
        elif marker == 0xDD:
            interval = int.from_bytes(body[:2])
        elif marker == 0xDA:
            if not edge or not interval:
                return
            needed = -(-_units(frame, body, edge) // interval) - 1
            marks = re.findall(rb"\xff([\xd0-\xd7])", content[end : _end_of_data(content, end)])
            order = [0xD0 + k % 8 for k in range(needed + 1)]
            if list(b"".join(marks)) not in (order, order[:-1]):
                raise InputError(LOST)
            return


@contextlib.contextmanager
def _complaints():
    """Takes what is written to the screen, as GDCM's decoders do and say it nowhere else.

    Yields:
        List; what was written is in it at the end, or as much of it as a pipe holds.
    """
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    screen, said = os.dup(2), []
    os.dup2(theirs, 2)
    os.close(theirs)
    try:
        yield said
    finally:
        os.dup2(screen, 2)
        os.close(screen)
        with open(ours, "rb") as pipe:  # noqa: PTH123
            said.append(pipe.read())


def _end_of_data(content, start):
    """Returns where a scan's data end: at the first mark that is none of restart."""
    return re.compile(rb"\xff[^\0\xd0-\xd7\xff]|\Z").search(content, start).start()


def _units(frame, scan, edge):
    """Returns how many units (MCU) a JPEG's scan has, by the bodies of its headers."""
    height, width, components = struct.unpack_from(">xHHB", frame)
    factors = {frame[at]: divmod(frame[at + 1], 16) for at in range(6, 6 + 3 * components, 3)}
    across, down = (max(sizes) for sizes in zip(*factors.values()))
    if scan[0] == 1:  # blocks of one component, which may have fewer pixels than the whole
        its = factors[scan[1]]
        width, height = -(-width * its[0] // across), -(-height * its[1] // down)
        across = down = 1
    return -(-width // (edge * across)) * -(-height // (edge * down))


def _ends_with_data(content):
    """Returns whether a JPEG without its mark of the end ends exactly with its last pixel's data.

    What follows then changes nothing, and what goes before is needed: zeros of a broken download
    would not be.
    """

    def shows(data):
        with Image.open(io.BytesIO(data + b"\xff\xd9"), formats=["JPEG"]) as image:
            return np.asarray(image)

    whole, noise = shows(content), bytes(range(1, 255))
    return (shows(content + noise) == whole).all() and (
        shows(content[:-TAIL].rstrip(b"\xff") + noise) != whole
    ).any()


def check_end(image, source):
    """Checks that a JPEG goes on to its last pixel, though it has its mark of the end.

    Args:
        image: The `PIL.Image.Image`; it is decoded.
        source: The open file that it comes from.

    Raises:
        ValueError: Data are missing.
    """
    last = image.getpixel((image.width - 1, image.height - 1))
    if set(np.atleast_1d(last)) <= {127, 128}:  # the grey that stands where data are missing
        source.seek(0)
        if _is_cut(source.read()):
            raise ValueError("its last part is missing")


def _is_cut(content):
    """Returns whether a JPEG with its mark of the end ends before its last pixel.

    The decoder would fill the rest with grey and say nothing. So noise is put before the mark: it
    changes the picture only where the decoder still looks for data. (A progressive JPEG that lost
    its finer scans is a coarse picture of the whole, and is read.)
    """
    end = content.rfind(b"\xff\xd9")
    noisy = content[:end] + bytes(range(1, 255)) + content[end:]
    return (_eighth(content) != _eighth(noisy)).any()


def _eighth(content):
    """Decodes a JPEG in grey at an eighth of its size, which takes hardly any memory."""
    with Image.open(io.BytesIO(content), formats=["JPEG"]) as image:
        image.draft("L", (max(image.width // 8, 1), max(image.height // 8, 1)))
        return np.asarray(image.convert("L"))
