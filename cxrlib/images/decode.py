"""Image files of any kind, hospitals' DICOM among them, to 8-bit pixels: the one door to them.

A file is judged by its content, never by its name. Its header is read first, within bounds, and a
file that claims more pixels than can be decoded in 512 MB is refused before any is allocated.

Plain DICOM and, up to 16 MB, PNG, JPEG, BMP, GIF and PPM are decoded here. The decoders of the
other formats believe what a damaged file claims, write to the screen or, GDCM's, abort: they run in
a process of their own, whose memory and time are bounded (`apart`).

`pictures` and `dicom` read what is stored, `streams` what is compressed in either; `display` shows
what a DICOM stores, `depth` brings any depth to 8 bits, and `seen` says what a file is that cannot
be read.
"""

import errno
import logging
import warnings
from pathlib import Path

import cv2
import numpy as np
import pydicom
from PIL import Image

from cxrlib.errors import InputError, InputWarning
from cxrlib.images import apart, depth, dicom, pictures, seen
from cxrlib.images.bounded import Bounded

# What a library thinks of a file is said once, by our error, and not on the user's screen or in a
# log: pydicom quotes what it finds, and in a damaged file that may be the patient's name.
logging.getLogger("pydicom").disabled = True
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
warnings.filterwarnings("ignore", module=r"(PIL|pydicom)\b")
Image.MAX_IMAGE_PIXELS = None  # `_check_size` knows better, and refuses instead of warning
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

MEGAPIXELS = 100
FILE_BYTES = 200e6
FAINT = 20
"""Grey levels from dark to bright below which a picture shows next to nothing."""

MOST = 2.5, 97.5
"""Percentiles that are its dark and its bright: a burned-in mark does not make a radiograph."""


def read(path):
    """Decodes an image file.

    The pixels are as a viewer shows them: turned as EXIF says, palettes looked up, a DICOM
    rescaled, windowed and with its air black. Transparency is dropped. Of several pages or
    animation frames the first is read; a DICOM of several frames is refused, since none of them
    is the radiograph.

    Pixels of 16 bits are divided so that white is the smallest of `depth.BITS` that holds the
    brightest: by 257 for the full range, while 12-bit data stored in 16 does not come out black.
    A DICOM is shown through the first of its own windows (VOI) that shows anything or, without one,
    from its darkest to its brightest value, padding aside.

    Warns with an `InputWarning`, one line that names the file and the cause, where the picture is
    of one grey, or a file was not read as it says of itself.

    Args:
        path: The file.

    Returns:
        uint8 array (height, width) for grey or (height, width, 3), RGB, for colour.

    Raises:
        OSError: The file cannot be opened, or the machine lacks what decoding takes.
        InputError: It is no image, damaged, too large, or of a kind that is not read; one line
            that names the file and nothing that is in it.
    """
    notes = []
    pixels = _guarded(
        path, lambda file: _checked((apart.decode if _is_risky(file) else _here)(file, notes))
    )
    if note := faint(pixels):
        notes.append(note)
    for note in notes:
        warnings.warn(f"{path} {note}", InputWarning, stacklevel=2)
    return pixels


def kind(path):
    """Returns a file's format by its first bytes: a key of `seen.KINDS`, or "" if it is of none.

    Raises:
        OSError: The file cannot be opened.
    """
    with Path(path).open("rb") as file:
        return seen.kind(file.read(seen.HEAD))


def dicom_facts(path):
    """Reads the two facts of a DICOM file that a cohort needs, and nothing about the patient.

    Args:
        path: The file.

    Returns:
        Dictionary: `view`, one of `dicom.VIEWS`, and `laterality`, one of `dicom.LATERALITIES`,
        each "" where the file does not say. Both are "" for an image that is not DICOM.

    Raises:
        OSError: The file cannot be opened.
        InputError: It is a damaged DICOM file.
    """
    unknown = {"view": "", "laterality": ""}
    return _guarded(path, lambda file: dicom.facts(file) if dicom.is_dicom(file) else unknown)


def header(path):
    """Reads what an image file says of itself, without decoding it.

    Args:
        path: The file.

    Returns:
        Dictionary: `format`, a key of `seen.KINDS`, `width` and `height` in pixels, as stored.

    Raises:
        OSError: The file cannot be opened.
        InputError: It is no image of a format that is read.
    """

    def step(file):
        if dicom.is_dicom(file):
            return ("DICOM", *dicom.size(file))
        return pictures.header(file)

    return dict(zip(("format", "width", "height"), _guarded(path, step)))


def _guarded(path, step):
    """Runs a step on the open file; an error is one line that names the file."""
    path = Path(path)
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise InputError(f"{path} is not a file: replace it or drop its row")  # a pipe would hang
    with path.open("rb", buffering=0) as raw, Bounded(raw) as file:
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
    so they are not repeated. What the machine lacks is not the file's fault.
    """
    try:
        return step(file)
    except InputError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        if isinstance(error, MemoryError) or "Insufficient memory" in str(error):
            raise OSError(errno.ENOMEM, "there is too little memory to decode it") from None
        file.reads_left = file.bytes_left = np.inf
        raise InputError(seen.unreadable(file)) from None


def _here(file, notes, formats=pictures.FORMATS):
    """Decodes in this process."""
    if dicom.is_dicom(file):
        return dicom.read(file, _check_size, notes)
    return pictures.read(file, formats, _check_size, notes)


def _is_risky(file):
    """Returns whether a file must be decoded apart."""
    return dicom.is_compressed(file) if dicom.is_dicom(file) else pictures.is_risky(file)


def _checked(pixels):
    """Returns what a decoder made, if it is a picture: whatever the decoder, it ends here."""
    is_picture = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)
    if pixels.dtype != np.uint8 or not is_picture or not pixels.size:
        raise InputError("is decoded to something that is no picture: save it anew as PNG")
    return np.ascontiguousarray(pixels)


def faint(pixels):
    """Returns that a picture shows nothing, or hardly anything, in words.

    Args:
        pixels: uint8 array (height, width) or (height, width, 3).

    Returns:
        What follows the file's name in a message, with the mend; "" where it shows something.
    """
    some = pixels[tuple(slice(None, None, -(-edge // depth.EDGE)) for edge in pixels.shape[:2])]
    if np.ptp(_most(some)) >= FAINT and not depth.is_flat(some):
        return ""  # a look at some of it, which costs next to nothing, is enough for most
    if depth.is_flat(pixels):
        shade = {0: "black", 255: "white"}.get(int(np.median(pixels)), "of one grey")
        return f"is {shade} all over or nearly: see what is in it, or drop its row"
    dark, bright = _most(pixels)
    if bright - dark < FAINT:
        return f"shows hardly anything (most in greys {dark} to {bright} of 255): see what is in it"
    return ""


def _most(pixels):
    """Returns the darkest and the brightest grey of a picture, but for a few pixels."""
    return np.percentile(pixels, MOST, method="nearest").astype(int).tolist()


def _check_size(width, height, bytes_per_pixel):
    """Refuses an image that cannot be decoded within `apart.MEMORY`."""
    if not 0 < width * height <= min(MEGAPIXELS * 1e6, apart.MEMORY / bytes_per_pixel):
        raise InputError(
            f"is not an image of a size that can be read ({width} x {height} pixels): "
            "save it smaller or drop its row"
        )


def serve():
    """Decodes what other processes may not: see `apart`."""
    apart.serve(
        lambda file, notes: _checked(_attempted(lambda _: _here(file, notes, pictures.ALL), file))
    )
