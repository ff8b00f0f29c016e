"""Pixels: decode, resize, crop the borders, equalise, and keep the result on disk once.

Images are uint8 arrays (size, size, 3) in RGB order throughout.
"""

import contextlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from cxrlib.errors import InputError
from cxrlib.files import replacing, writing_array
from cxrlib.images import caches, decode

CROP = {"top": 40, "left": 40, "bottom": 30, "right": 30}
"""Pixels that Experiment C cuts off at 768 px (Albert 2020)."""

CROP_SIZE = 768
SMALLEST = 121
"""Smallest edge in pixels of an image that all networks of the study take (Efficient's; the deep
ones take smaller ones)."""

CLAHE_CLIP = 3.0
CLAHE_TILES = (8, 8)


def load(path, size):
    """Decodes an image file and resizes it to a square, without keeping the aspect as the paper.

    Args:
        path: An image of any kind that `decode.read` reads, DICOM among them.
        size: Edge of the result in pixels.

    Returns:
        uint8 array (size, size, 3), RGB.

    Raises:
        OSError: The file cannot be opened.
        InputError: It is not an image; the message names the file.
    """
    return coloured(resize(decode.read(path), size))


def coloured(image):
    """Returns an image in RGB: a grey one, uint8 (height, width), with equal channels."""
    return image if image.ndim == 3 else cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)


def resize(image, size):
    """Resizes to (size, size): by area when shrinking (no aliasing), linearly when growing."""
    if image.shape[:2] == (size, size):
        return image
    shrinking = min(image.shape[:2]) > size
    method = cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR
    return cv2.resize(image, (size, size), interpolation=method)


def crop_borders(image):
    """Cuts off the borders, where marks and figure letters lie, and resizes back.

    The paper cuts 40 px at the top and left and 30 px at the bottom and right of 768 px; other
    sizes lose the same share.

    Args:
        image: uint8 array (size, size, 3).

    Returns:
        uint8 array of the same shape.
    """
    size = image.shape[0]
    return resize(np.ascontiguousarray(image[_within_borders(size)]), size)


def _within_borders(size):
    """Returns what is left without the borders: rows and columns, two slices."""
    cut = {side: round(pixels * size / CROP_SIZE) for side, pixels in CROP.items()}
    return slice(cut["top"], size - cut["bottom"]), slice(cut["left"], size - cut["right"])


def clahe(image):
    """Equalises the histogram locally, with limited contrast (CLAHE; Zuiderveld 1994).

    Clip limit 3 and 8 by 8 tiles on the lightness of LAB, colours untouched (Albert 2020).

    Args:
        image: uint8 array (size, size, 3), RGB.

    Returns:
        uint8 array of the same shape.
    """
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
    equalise = cv2.createCLAHE(clipLimit=CLAHE_CLIP, tileGridSize=CLAHE_TILES)
    lab[..., 0] = equalise.apply(np.ascontiguousarray(lab[..., 0]))
    return cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)


MARGIN = 0.04
"""What is left around the lungs where an image is cropped to them, as a share of its edge."""


def crop_to_lungs(image, lungs):
    """Cuts off what lies around the lungs, but for a margin, and resizes back.

    Args:
        image: Array (size, size, 3) or (size, size).
        lungs: bool array (size, size); where nothing is set, the image stays as it is.

    Returns:
        Array of the image's shape and type.
    """
    if not lungs.any():
        return image
    size, margin = len(image), round(MARGIN * len(image))
    rows, cols = (np.flatnonzero(lungs.any(axis=axis)) for axis in (1, 0))
    top, left = max(rows[0] - margin, 0), max(cols[0] - margin, 0)
    inner = image[top : rows[-1] + margin + 1, left : cols[-1] + margin + 1]
    return resize(np.ascontiguousarray(inner), size)


def cover_all_else(image, lungs):
    """Paints all but the lungs black, as `cover` does; where nothing is set, the image stays."""
    return cover(image, "not-lungs", lungs) if lungs.any() else image


TREATMENTS = {
    "raw": (),
    "cropped": (crop_borders,),
    "clahe": (clahe,),
    "cropped+clahe": (crop_borders, clahe),
    "lungs+clahe": (crop_to_lungs, clahe, cover_all_else),
}
"""What an experiment does to every image, by name: functions in the order they are applied. Those
of `BY_LUNGS` take the lungs, too."""

BY_LUNGS = (crop_to_lungs, cover_all_else)
_CROPS = (crop_borders, crop_to_lungs)


FRAME = {"centre": 1 / 8, "not-border": 1 / 16}
"""How wide a frame is left of an image, as a share of its edge, where all within is covered."""

COVERS = ("none", "lungs", "not-lungs", *FRAME)
"""What of every image is covered (Maguolo and Nanni 2021): nothing, the lungs, all but the lungs,
all but a wide frame, or all but the border where marks lie."""


def cover(image, what, lungs=None):
    """Paints a part of an image black.

    Args:
        image: uint8 array (size, size, 3).
        what: One of `COVERS`.
        lungs: bool array (size, size), needed to cover the lungs or all but the lungs.

    Returns:
        uint8 array of the same shape; the image itself where nothing is covered.

    Raises:
        InputError: The lungs are to be covered and nobody knows where they are.
    """
    if what == "none":
        return image
    if what in FRAME:
        width = round(FRAME[what] * len(image))
        covered = np.zeros(image.shape[:2], bool)
        covered[width:-width, width:-width] = True
    elif lungs is None:
        raise InputError(f"cover {what}: the lungs of these radiographs are not known; use centre")
    else:
        covered = lungs if what == "lungs" else ~lungs
    return np.where(covered[..., None], np.uint8(0), image)


def needs_lungs(treatment):
    """Returns whether a treatment of `TREATMENTS` needs to know where the lungs are."""
    return not set(BY_LUNGS).isdisjoint(TREATMENTS[treatment])


def treat(image, treatment, lungs=None):
    """Applies a treatment to one image.

    Args:
        image: uint8 array (size, size, 3).
        treatment: A name of `TREATMENTS`.
        lungs: bool array (size, size), where the treatment needs them.

    Returns:
        uint8 array of the same shape.
    """
    for step in TREATMENTS[treatment]:
        image = step(image, lungs) if step in BY_LUNGS else step(image)
        if lungs is not None and step in _CROPS:
            lungs = _cropped(step, lungs, lungs)
    return image


def _cropped(step, mask, lungs):
    """Crops a mask as a step of a treatment crops the image."""
    grey = mask.astype(np.uint8) * 255
    return (step(grey, lungs) if step in BY_LUNGS else step(grey)) > 127


def shrink(mask, edge):
    """Scales a mask: bool array (size, size) to (edge, edge), set where more than half was."""
    if len(mask) == edge:
        return mask
    grey = mask.astype(np.uint8) * 255
    return cv2.resize(grey, (edge, edge), interpolation=cv2.INTER_AREA) > 127


def place(mask, treatment, lungs=None):
    """Takes a mask where a treatment takes the image: it is cropped, and its values are kept.

    Args:
        mask: bool array (size, size).
        treatment, lungs: As `treat` takes them.

    Returns:
        bool array (size, size).
    """
    for step in TREATMENTS[treatment]:
        mask = _cropped(step, mask, lungs) if step in _CROPS else mask
    return mask


def seen_part(treatment, size, cover="none"):
    """Returns which part of an image a network sees the whole of, once it is treated.

    Args:
        treatment: A name of `TREATMENTS`.
        size: Edge of the image before it is treated.
        cover: One of `COVERS`.

    Returns:
        Rows and columns, two slices of an image (size, size): what is in them, the treatment
        stretches over the whole image or leaves in its place. None where it is cut out of each
        image by itself, or painted over.
    """
    steps = TREATMENTS[treatment]
    if cover != "none" or needs_lungs(treatment):
        return None
    if crop_borders not in steps:
        return slice(0, size), slice(0, size)
    return _within_borders(size)


def cache(path, keys, size, render, progress=iter):
    """Keeps images in one memory-mapped file, each rendered once.

    Memory stays flat however many images there are, and an epoch decodes nothing. An image that
    another cache in the folder holds under the same key is copied from there.

    Args:
        path: The `.npy` file; its name must say what is in it, since a file that exists is used.
            The keys are kept beside it.
        keys: A string for each image that says all that it is made from.
        size: Edge in pixels.
        render: Function of i in range(len(keys)) that returns image i; called from threads.
        progress: Wraps the list of images still to render (tqdm, say).

    Returns:
        Read-only uint8 memory map (n, size, size, 3).
    """
    path = Path(path)
    if not path.exists():
        found = _rendered(path.parent, keys)
        missing = [i for i, key in enumerate(keys) if key not in found]
        shape = (len(keys), size, size, 3)
        with writing_array(path, shape) as pixels, ThreadPoolExecutor(os.cpu_count()) as pool:

            def put(i):
                pixels[i] = render(i)

            for i, key in enumerate(keys):
                if key in found:
                    pixels[i] = found[key]
            for _ in zip(progress(missing), pool.map(put, missing)):
                pass
        with replacing(path.with_suffix(caches.KEYS)) as temporary:
            temporary.write_text("\n".join(keys), encoding="utf-8")
    return caches.opened(path)


def _rendered(folder, keys):
    """Finds images that were rendered before: key -> uint8 (size, size, 3), still on disk."""
    wanted, found = set(keys), {}
    for held_by in folder.glob("*.npy"):
        # Another process may remove a cache meanwhile.
        with contextlib.suppress(FileNotFoundError):
            held = held_by.with_suffix(caches.KEYS).read_text(encoding="utf-8").splitlines()
            if wanted.intersection(held):
                pixels = caches.opened(held_by)
                found |= {key: image for key, image in zip(held, pixels) if key in wanted}
    return found
