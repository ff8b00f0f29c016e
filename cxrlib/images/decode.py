"""Image files of any kind, hospitals' DICOM among them, to 8-bit pixels.

A file is judged by its content, never by its name. Its header is read first, and a file that
claims more pixels than can be decoded in 512 MB is refused before any of them is allocated.

PNG, JPEG, BMP, GIF, PPM and plain DICOM are decoded here. The decoders of the other formats
believe what a damaged file claims, write to the screen or, GDCM's, abort: they run in a process of
their own, whose memory and time are bounded, at 0.4 s a file.
"""

import io
import logging
import os
import re
import resource
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import cv2
import numpy as np
import pydicom
from PIL import Image, ImageOps
from pydicom.filereader import read_file_meta_info
from pydicom.pixels import apply_color_lut, pixel_array
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    JPEG2000TransferSyntaxes,
    JPEGBaseline8Bit,
)

from cxrlib.errors import InputError

# What a library thinks of a file is said once, by our error, and not on the user's screen or in a
# log: pydicom quotes what it finds, and in a damaged file that may be the patient's name.
logging.getLogger("pydicom").disabled = True
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
warnings.filterwarnings("ignore", module=r"(PIL|pydicom|cxrlib\.decode)\b")
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM")
"""What Pillow may try here; its other readers are for no radiograph, and one runs a program."""

FORMATS_APART = ("TIFF", "JPEG2000", "WEBP")
STARTS_APART = (
    b"II*\0", b"MM\0*", b"II+\0", b"MM\0+",  # TIFF
    b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51",  # JPEG 2000
    b"RIFF",  # WebP
)  # fmt: skip

KINDS = {
    "PNG": rb"\x89PNG\r\n\x1a\n",
    "JPEG": rb"\xff\xd8\xff",
    "BMP": rb"BM....\0\0\0\0",
    "GIF": rb"GIF8[79]a",
    "PPM": rb"P[1-6]\s+(#[^\n]*\n\s*)*\d+\s",
    "TIFF": rb"II[*+]\0|MM\0[*+]",
    "JPEG2000": rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51",
    "WEBP": rb"RIFF....WEBP",
    # With its preamble; or without one, which begins with a small element of group 2 or 8.
    "DICOM": rb".{128}DICM|[\x02\x08]\0.\0([A-Z]{2}|[^\0]\0\0\0)|\0[\x02\x08]\0.[A-Z]{2}",
}
"""How a file of each format that is read begins."""

MEGAPIXELS = 100
FILE_BYTES = 200e6
MEMORY = 400e6
"""Bytes that decoding one image may take, beside the 90 MB of the libraries themselves."""

BYTES = {"1": 3, "L": 3, "I;16": 7, "I;16B": 7}
"""Measured peak of decoding, in bytes a pixel, by Pillow's mode; colour takes 11."""

SECONDS_APART = 120
SCANS = 100
"""Passes a progressive JPEG may have (10 are usual): each costs the time of a whole image."""

BAND = 256
"""Rows that are converted at a time: Pillow's conversion of a whole image takes thrice as much."""

BITS = (8, 10, 12, 14, 16)
"""Depths that 16-bit files hold: the smallest that holds the brightest pixel is taken."""

FRAME_TAGS = [
    "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames",
    "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
    "PixelPaddingValue", "PixelPaddingRangeLimit", "RescaleIntercept", "RescaleSlope",
    "ModalityLUTSequence", "VOILUTSequence", "WindowCenter", "WindowWidth", "VOILUTFunction",
    "RedPaletteColorLookupTableDescriptor", "RedPaletteColorLookupTableData",
    "GreenPaletteColorLookupTableDescriptor", "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableDescriptor", "BluePaletteColorLookupTableData",
]  # fmt: skip
FACT_TAGS = ["ViewPosition", "ImageLaterality", "Laterality"]
"""With the pixels, all that is read of a DICOM file: nothing about the patient is among it."""

VIEWS = ("AP", "PA", "LL", "RL", "LATERAL", "RLD", "LLD", "RLO", "LLO")
LATERALITIES = ("R", "L", "U", "B")


def kind(path):
    """Returns a file's format by its first bytes: a key of `KINDS`, or "" if it is of none.

    Raises:
        OSError: The file cannot be opened.
    """
    with Path(path).open("rb") as file:
        head = file.read(200)
    return next((name for name, start in KINDS.items() if re.match(start, head, re.DOTALL)), "")


def read(path):
    """Decodes an image file.

    The pixels are as a viewer shows them: turned as EXIF says, palettes looked up, a DICOM
    rescaled, windowed and with its air black. Transparency is dropped. Of several pages or
    animation frames the first is read; a DICOM of several frames is refused, since none of them
    is the radiograph.

    Pixels of 16 bits are divided so that white is the smallest of `BITS` that holds the
    brightest: by 257 for the full range, while 12-bit data stored in 16 does not come out black.
    A DICOM is shown through its own window (VOI) or, without one, from its darkest to its
    brightest value, padding aside.

    Args:
        path: The file.

    Returns:
        uint8 array (height, width) for grey or (height, width, 3), RGB, for colour.

    Raises:
        OSError: The file cannot be opened.
        InputError: It is no image, damaged, too large, or of a kind that is not read; one line
            that names the file and nothing that is in it.
    """
    return _guarded(path, lambda file: _apart(file) if _is_risky(file) else _decoded(file))


def dicom_facts(path):
    """Reads the two facts of a DICOM file that a cohort needs, and nothing about the patient.

    Args:
        path: The file.

    Returns:
        Dictionary: `view`, one of `VIEWS`, and `laterality`, one of `LATERALITIES`, each "" where
        the file does not say. Both are "" for an image that is not DICOM.

    Raises:
        OSError: The file cannot be opened.
        InputError: It is a damaged DICOM file.
    """
    return _guarded(path, _facts)


def _guarded(path, step):
    """Runs a step on the open file; an error is one line that names the file."""
    path = Path(path)
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise InputError(f"{path} is not a file: replace it or drop its row")  # a pipe would hang
    with path.open("rb") as file:
        try:
            if path.stat().st_size > FILE_BYTES:
                raise InputError("is larger than any radiograph: replace it or drop its row")
            return _attempted(step, file)
        except InputError as error:
            raise InputError(f"{path} {error}") from None
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from None


def _attempted(step, file):
    """Runs a step; whatever a decoder raises becomes an InputError.

    Damage makes decoders raise anything. Their words may hold what a DICOM says of its patient,
    so they are not repeated.
    """
    try:
        return step(file)
    except InputError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise _unreadable() from None


def _unreadable():
    return InputError("is not an image that can be read: replace the file or drop its row")


def _decoded(file, formats=FORMATS):
    """Decodes in this process."""
    return _dicom(file) if _is_dicom(file) else _picture(file, formats)


def _is_risky(file):
    """Returns whether a file must be decoded apart."""
    if _is_dicom(file):
        return _syntax(file).is_compressed
    file.seek(0)
    return file.read(12).startswith(STARTS_APART)


def _apart(file):
    """Decodes in a process of its own: see this module's first lines."""
    command = [sys.executable, "-P", "-m", "cxrlib.images.decode", file.name]
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # each reserves memory
    with tempfile.TemporaryFile() as answer:
        status = subprocess.run(
            command, env={**os.environ, **threads}, timeout=SECONDS_APART,
            stdin=subprocess.DEVNULL, stdout=answer, stderr=subprocess.DEVNULL,
        ).returncode  # fmt: skip
        answer.seek(0)
        if status == 0:
            return np.load(answer)
        raise InputError(answer.read().decode()) if status == 2 else _unreadable()


def _main(path):
    """Answers `_apart`: pixels on the standard output, or a refusal and status 2."""
    taken = Path("/proc/self/statm")
    if taken.exists():  # Linux; elsewhere the sizes that are checked must do
        pages = int(taken.read_text().split()[0])
        limit = pages * resource.getpagesize() + int(MEMORY)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    try:
        with Path(path).open("rb") as file:
            pixels = _attempted(lambda file: _decoded(file, FORMATS_APART), file)
    except InputError as error:
        sys.stdout.write(str(error))
        sys.exit(2)
    np.save(sys.stdout.buffer, pixels)


def _check_size(width, height, bytes_per_pixel):
    """Refuses an image that cannot be decoded within `MEMORY`."""
    if not 0 < width * height <= min(MEGAPIXELS * 1e6, MEMORY / bytes_per_pixel):
        raise InputError(
            f"is not an image of a size that can be read ({width} x {height} pixels): "
            "save it smaller or drop its row"
        )


# Pictures: what Pillow reads


def _picture(file, formats):
    """Decodes a file that is not DICOM."""
    with _open(file, formats) as image:
        _check_header(image, file)
        grey, deep_colour = image.mode.startswith("I"), _is_deep_colour(image)
        white_is_zero = image.format == "TIFF" and image.tag_v2.get(262) == 0
        if image.format == "PNG":
            _check_checksums(image, file)
    if deep_colour:
        return _deep_colour(file)
    with _open(file, formats) as image:
        if image.format in ("JPEG", "MPO") and _ends_grey(image) and _is_cut(file):
            raise ValueError("its last part is missing")
        ImageOps.exif_transpose(image, in_place=True)
        if grey:
            pixels = _eight_bits(np.asarray(image))
            return 255 - pixels if white_is_zero else pixels  # Pillow minds it at 8 bits only
        return _in_bands(image, "L" if image.mode in ("1", "L", "LA") else "RGB")


def _open(file, formats):
    """Reads an image's header."""
    file.seek(0)
    return Image.open(file, formats=formats)


def _check_header(image, file):
    """Refuses what its header alone tells to be too large, endless or of no meaning."""
    if image.mode == "F":
        raise InputError(
            "has floating-point pixels, whose black and white nobody knows: "
            "save it with 8 or 16 bits"
        )
    needed = 20 if _is_deep_colour(image) else BYTES.get(image.mode, 11)
    _check_size(*image.size, needed + 11 * (image.format in ("JPEG2000", "WEBP")))
    if image.format in ("JPEG", "MPO"):
        _check_scans(file)


def _check_scans(file):
    """Checks that a JPEG has an end, and not so many scans that decoding would never end."""
    file.seek(0)
    content = file.read()
    last_scan = content.rfind(b"\xff\xda")
    if content.count(b"\xff\xda") > SCANS or b"\xff\xd9" not in content[last_scan:]:
        raise ValueError("more scans than any radiograph, or one that does not end")


def _ends_grey(image):
    """Returns whether a JPEG's last pixel is the grey that stands where data are missing."""
    last = image.getpixel((image.width - 1, image.height - 1))
    return set(np.atleast_1d(last)) <= {127, 128}


def _is_cut(file):
    """Returns whether a JPEG ends before its last pixel, though it has its mark of the end.

    The decoder would fill the rest with grey and say nothing. So noise is put before the mark: it
    changes the picture only where the decoder still looks for data. (A progressive JPEG that lost
    its finer scans is a coarse picture of the whole, and is read.)
    """
    file.seek(0)
    content = file.read()
    end = content.rfind(b"\xff\xd9")
    noisy = content[:end] + bytes(range(1, 255)) + content[end:]
    return (_eighth(content) != _eighth(noisy)).any()


def _eighth(content):
    """Decodes a JPEG in grey at an eighth of its size, which takes hardly any memory."""
    with Image.open(io.BytesIO(content), formats=FORMATS) as image:
        image.draft("L", (max(image.width // 8, 1), max(image.height // 8, 1)))
        return np.asarray(image)


def _check_checksums(image, file):
    """Checks a PNG to its last byte; decoding minds few checksums. The image is used up."""
    image.verify()
    file.seek(0)
    if b"IEND\xae\x42\x60\x82" not in file.read():
        raise ValueError("no end")


def _is_deep_colour(image):
    """Returns whether an image has colour of 16 bits a channel, from how its pixels are packed."""
    return ";16" in str(image.tile) and not image.mode.startswith("I")


def _deep_colour(file):
    """Decodes colour of 16 bits a channel, of which Pillow would keep the upper eight."""
    file.seek(0)
    content = np.frombuffer(file.read(), np.uint8)
    image = cv2.imdecode(content, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    return cv2.cvtColor(_eight_bits(image), cv2.COLOR_BGR2RGB)


def _in_bands(image, mode):
    """Converts a Pillow image to an array, some rows at a time."""
    width, height = image.size
    pixels = np.empty((height, width) if mode == "L" else (height, width, 3), np.uint8)
    for top in range(0, height, BAND):
        band = image.crop((0, top, width, min(top + BAND, height)))
        pixels[top : top + BAND] = np.asarray(band.convert(mode))
    return pixels


def _eight_bits(pixels):
    """Reduces whole numbers of up to 16 bits to 8, by the smallest depth that holds them all."""
    if pixels.dtype == np.uint8:
        return pixels
    darkest, brightest = int(pixels.min()), int(pixels.max())
    if darkest < 0 or brightest >= 2**16:
        raise InputError("has pixels below 0 or above 16 bits: save it with 8 or 16 bits")
    white = 2 ** next(bits for bits in BITS if brightest < 2**bits) - 1
    return _look_up(np.arange(white + 1) / white, pixels)


def _look_up(shares, pixels):
    """Returns each pixel its share of white, row by row: indices take eight bytes each."""
    table = (255 * shares).round().astype(np.uint8)
    return np.stack([table[row] for row in pixels])


# DICOM


def _is_dicom(file):
    file.seek(128)
    return file.read(4) == b"DICM"


def _syntax(file):
    """Reads a DICOM file's transfer syntax: how the rest is written, and its pixels compressed."""
    syntax = read_file_meta_info(file.name).TransferSyntaxUID
    if syntax == DeflatedExplicitVRLittleEndian:  # nobody knows how large before it is too large
        raise InputError("is a deflated DICOM: save it without deflation")
    return syntax


def _elements(file, names, **options):
    """Reads the named elements of a DICOM file and passes over the others."""
    _syntax(file)
    file.seek(0)
    return pydicom.dcmread(file, specific_tags=names, **options)


def _facts(file):
    """Reads a DICOM file's view and laterality."""
    if not _is_dicom(file):
        return {"view": "", "laterality": ""}
    elements = _elements(file, FACT_TAGS, stop_before_pixels=True)
    return {
        "view": _code(elements.get("ViewPosition"), VIEWS),
        "laterality": _code(
            elements.get("ImageLaterality") or elements.get("Laterality"), LATERALITIES
        ),
    }


def _code(value, codes):
    """Takes one of DICOM's codes; anything else is free text, which may name a person."""
    code = str(value or "").strip().upper()
    return code if code in codes else ""


def _dicom(file):
    """Decodes a DICOM file of one frame."""
    frame = _elements(file, FRAME_TAGS, stop_before_pixels=True)
    if (frame.get("NumberOfFrames") or 1) != 1:
        raise InputError(
            f"is a DICOM of {int(frame.NumberOfFrames)} frames: save the radiograph alone"
        )
    if "Rows" not in frame:
        raise InputError("is a DICOM without pixels: replace it or drop its row")
    samples, bits = frame.SamplesPerPixel, frame.BitsAllocated
    if bits not in (1, 8, 16):
        raise InputError(f"is a DICOM of {int(bits)} bits a pixel: save it with 8 or 16")
    kind, syntax = frame.PhotometricInterpretation, _syntax(file)
    times = 11 if syntax.is_compressed or kind.startswith("YBR") else 3  # measured
    _check_size(frame.Columns, frame.Rows, times * samples * bits / 8)
    # Pillow takes half of GDCM's memory, but has no lossless JPEG.
    plugin = "pillow" if syntax in (*JPEG2000TransferSyntaxes, JPEGBaseline8Bit) else ""
    pixels = pixel_array(file, index=0, decoding_plugin=plugin)
    if kind == "PALETTE COLOR":
        return _eight_bits(apply_color_lut(pixels, frame))
    if samples == 3:
        return _eight_bits(pixels)
    return _shown(pixels, frame, inverted=kind == "MONOCHROME1")


def _shown(pixels, frame, inverted):
    """Shows stored values of one sample as a viewer does.

    Every value that can be stored is shown once, in a table, and the pixels are looked up in it:
    a tenth of the memory of showing each pixel.

    Args:
        pixels: Whole numbers (height, width) of 8 or 16 bits, signed or not.
        frame: The dataset that says what they mean.
        inverted: Whether the smallest value is white.

    Returns:
        uint8 array (height, width).
    """
    indices = pixels.view(f"u{pixels.itemsize}")
    stored = np.arange(256**pixels.itemsize, dtype=indices.dtype).view(pixels.dtype)
    padding = _padding(stored, frame)
    values = _rescaled(stored.astype(float), frame)
    shares = _windowed(values, frame)
    if shares is None:
        there = np.zeros(stored.shape, bool)
        for row in indices:
            there[row] = True
        seen = values[there & ~padding if (there & ~padding).any() else there]
        shares = (values - seen.min()) / (np.ptp(seen) or 1)
    shares = np.clip(shares, 0, 1)
    return _look_up(np.where(padding, 0, 1 - shares if inverted else shares), indices)


def _padding(stored, frame):
    """Returns which stored values mean that there is no pixel."""
    if (value := frame.get("PixelPaddingValue")) is None:
        return np.zeros(stored.shape, bool)
    limit = frame.get("PixelPaddingRangeLimit", value)
    low, high = sorted(np.array([value, limit]).astype(stored.dtype))
    return (low <= stored) & (stored <= high)


def _rescaled(stored, frame):
    """Turns stored values into what they measure (the modality transformation)."""
    if frame.get("ModalityLUTSequence"):
        return _table(frame.ModalityLUTSequence[0], stored)[0]
    slope, intercept = frame.get("RescaleSlope") or 1, frame.get("RescaleIntercept") or 0
    return stored * float(slope) + float(intercept)


def _windowed(values, frame):
    """Turns measured values into shares of white by the file's own window, or None without one.

    The window's three shapes are those of the DICOM standard, PS3.3 C.11.2.
    """
    if frame.get("VOILUTSequence"):
        shown, bits = _table(frame.VOILUTSequence[0], values)
        return shown / (2**bits - 1)
    centre, width = (_first(frame.get(name)) for name in ("WindowCenter", "WindowWidth"))
    if centre is None or width is None or width <= 0:
        return None
    shape = frame.get("VOILUTFunction") or "LINEAR"
    if shape == "SIGMOID":
        return 0.5 + 0.5 * np.tanh(2 * (values - centre) / width)
    if shape == "LINEAR":
        centre, width = centre - 0.5, max(width - 1, 1e-6)
    return (values - centre) / width + 0.5


def _first(value):
    """Takes the first of several values, or the only one, as a number."""
    several = isinstance(value, pydicom.multival.MultiValue)
    value = (value[0] if value else None) if several else value
    return None if value is None else float(value)


def _table(item, values):
    """Looks values up in a DICOM table; gives what it holds for them and its depth in bits."""
    _, first, bits = item.LUTDescriptor
    held = item.LUTData
    held = np.frombuffer(held, np.uint16) if isinstance(held, bytes) else np.asarray(held)
    indices = np.clip(values - first, 0, len(held) - 1).astype(int)
    return held[indices].astype(float), bits


if __name__ == "__main__":
    _main(sys.argv[1])
