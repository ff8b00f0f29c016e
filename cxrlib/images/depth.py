"""Whole numbers of any depth to 8 bits, and pictures that show nothing."""

import cv2
import numpy as np

from cxrlib.errors import InputError

BITS = range(8, 17)
"""Depths that 16-bit files hold: the smallest that holds the brightest pixel is taken."""

FLAT = 0.99
"""A picture shows nothing when a value fills so much of it."""

FEWEST = 64
"""Pixels below which there is no picture that could be stretched."""

EDGE = 128
"""Rows and columns that are looked at first to tell whether a picture is flat."""


def eight_bits(pixels, notes):
    """Reduces whole numbers of up to 16 bits to 8.

    White is the smallest depth of `BITS` that holds the brightest pixel. Where that shows nothing,
    the pixels are shown from the darkest to the brightest.

    Args:
        pixels: Whole numbers (height, width) or (height, width, 3).
        notes: List to which a line is added where the pixels are not shown as they stand.

    Returns:
        uint8 array of the same shape.

    Raises:
        InputError: Pixels below 0 or above 16 bits.
    """
    if pixels.dtype == np.uint8:
        return pixels
    darkest, brightest = int(pixels.min()), int(pixels.max())
    if darkest < 0 or brightest >= 2**16:
        raise InputError("has pixels below 0 or above 16 bits: save it with 8 or 16 bits")
    values = np.arange(brightest + 1)
    image = look_up(values / white(brightest), pixels)
    if darkest == brightest or pixels.size < FEWEST or not is_flat(image):
        return image
    full = look_up(np.clip((values - darkest) / (brightest - darkest), 0, 1), pixels)
    if is_flat(full):
        return image
    notes.append("shows nothing at its full depth: read from its darkest to its brightest value")
    return full


def white(brightest):
    """Returns the white of the smallest depth of `BITS` that holds the brightest value."""
    return 2 ** next(bits for bits in BITS if brightest < 2**bits) - 1


def look_up(shares, pixels):
    """Returns each pixel its share of white, row by row: indices take eight bytes each.

    Args:
        shares: Floats in [0, 1], one for every value that a pixel can have.
        pixels: Indices into them, of any shape.

    Returns:
        uint8 array of the same shape.
    """
    table = (255 * shares).round().astype(np.uint8)
    return np.stack([table[row] for row in pixels])


def is_flat(pixels, ignored=None):
    """Returns whether one value fills nearly all of an image, in each of its channels.

    Args:
        pixels: uint8 array (height, width) or (height, width, 3).
        ignored: bool array (height, width) of pixels that do not count.
    """
    steps = tuple(slice(None, None, -(-edge // EDGE)) for edge in pixels.shape[:2])
    if not _is_one_value(pixels[steps], None if ignored is None else ignored[steps]):
        return False  # a look at some of it, which costs next to nothing, is enough for most
    return _is_one_value(pixels, ignored)


def _is_one_value(pixels, ignored):
    mask = None if ignored is None or ignored.all() else np.uint8(~ignored)
    pixels = np.ascontiguousarray(pixels)
    for channel in range(pixels.shape[2] if pixels.ndim == 3 else 1):
        counts = cv2.calcHist([pixels], [channel], mask, [256], [0, 256])
        if np.convolve(counts.ravel(), np.ones(3)).max() < FLAT * counts.sum():
            return False  # three neighbours count as one: a JPEG's noise is no picture
    return True
