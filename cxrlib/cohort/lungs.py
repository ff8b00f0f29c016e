"""Where the lungs are in real radiographs, as far as readers have outlined or boxed them."""

import warnings
from pathlib import Path

import cv2
import numpy as np

from cxrlib.cohort import folders, tables
from cxrlib.errors import InputError, InputWarning
from cxrlib.images import decode

_CORNERS = ("x0", "y0", "x1", "y1")

_SEEN = 256
"""Edge in pixels, at most, at which the shades of a mask are looked at."""

_BETWEEN, _EVEN = (0.1, 0.9), 0.02
"""Of the way from black to white: what is neither, and how far an even area reaches. Edges that
were resized or blurred, and what JPEG leaves beside them, are steeper or nearer to the ends."""

_LABELLED, _PICTURE = 0.005, 0.5
"""Share of a mask that may be of an even grey, and of any grey: beyond, it is no two shades."""


def join(cohort, folder):
    """Joins lung masks and lung boxes to a cohort, by file name.

    Args:
        cohort: A cohort.
        folder: Where `lung_masks/` lies, pictures of any kind named as the radiographs but for the
            ending, and `lung_boxes.csv`, a table as `tables.read` takes it, with the columns
            filename, x0, y0, x1, y1 (fractions of the width and height, one row a lung). Either
            may be missing.

    Returns:
        The cohort with the columns `lung_mask`, a path or "", and `lung_boxes`, a tuple of
        (x0, y0, x1, y1) for each lung that was boxed, at times none.

    Raises:
        InputError: Neither is there, the boxes are no table, lack a column or hold one that is no
            box, or a mask is of two radiographs or one of two masks.
    """
    folder = Path(folder)
    masks = _masks(folder / "lung_masks")
    boxes = folder / "lung_boxes.csv"
    if not masks and not boxes.is_file():
        raise InputError(f"{folder} holds neither lung_masks/ nor lung_boxes.csv")
    found = _boxes(boxes) if boxes.is_file() else {}
    stems = cohort["file"].map(lambda file: Path(file).stem)
    shared = cohort.loc[stems.duplicated(keep=False) & stems.isin(masks), "file"]
    if len(shared):
        raise InputError(f"{' and '.join(shared[:2])} would share a mask: give each its own name")
    return cohort.assign(
        lung_mask=stems.map(lambda stem: masks.get(stem, "")),
        lung_boxes=cohort["file"].map(lambda file: found.get(tables.clean(file), ())),
    )


def mask(row, size):
    """Returns the lungs of one radiograph: its mask, or else its boxes filled.

    Args:
        row: A row of what `join` returns.
        size: Edge of the result in pixels.

    Returns:
        bool array (size, size).

    Raises:
        InputError: The radiograph has neither, its mask cannot be read, is inverted, of one shade
            or of more than two, or no lung is left at this size.
        OSError: The mask cannot be opened.
    """
    if row["lung_mask"]:
        return _drawn(row["lung_mask"], size)
    if not row["lung_boxes"]:
        raise InputError(f"nobody has outlined or boxed the lungs of {row['file']}")
    lungs = np.zeros((size, size), bool)
    for box in row["lung_boxes"]:
        left, top, right, bottom = np.rint(np.array(box) * size).astype(int)
        lungs[top:bottom, left:right] = True
    if not lungs.any():
        raise InputError(f"the lung boxes of {row['file']} are narrower than a pixel: correct them")
    return lungs


def _masks(folder):
    """Returns the mask in a folder for each stem of a name."""
    masks = {}
    for path in folders.images(folder):
        if path.parent != folder:
            continue
        stem = folders.text(path.stem)
        if stem in masks:
            raise InputError(f"{masks[stem]} and {path} are masks of one name: keep one")
        masks[stem] = str(path)
    return masks


def _drawn(path, size):
    """Reads a mask: the brighter of its two shades is lung."""
    drawn = decode.read(path)
    grey = drawn if drawn.ndim == 2 else cv2.cvtColor(drawn, cv2.COLOR_RGB2GRAY)
    darkest, brightest = int(grey.min()), int(grey.max())  # some are drawn with 1, not with 255
    if darkest == brightest:
        raise InputError(f"{path} is of one shade: draw the lungs white and all else black")
    white = (grey.astype(np.float32) - darkest) / (brightest - darkest)
    if _has_more_shades(white):
        raise InputError(
            f"{path} has more than two shades or colours: save it with both lungs white and all"
            " else black"
        )
    lungs = cv2.resize(white, (size, size), None, 0, 0, cv2.INTER_AREA) > 0.5
    if lungs.all() or not lungs.any():
        shade = "white" if lungs.all() else "black"
        raise InputError(f"{path} is {shade} all over or nearly: draw the lungs white, else black")
    if lungs[[0, 0, -1, -1], [0, -1, 0, -1]].sum() > 2:
        raise InputError(f"{path} is white in its corners: draw the lungs white and all else black")
    return lungs


def _has_more_shades(white):
    """Returns whether a mask has areas between black and white, not only edges.

    Args:
        white: float32 array (height, width) from 0, the darkest, to 1, the brightest.
    """
    small = white[tuple(slice(None, None, -(-edge // _SEEN)) for edge in white.shape)]
    grey = (small > _BETWEEN[0]) & (small < _BETWEEN[1])
    around = np.ones((3, 3), np.uint8)
    even = cv2.dilate(small, around) - cv2.erode(small, around) <= _EVEN
    return (grey & even).mean() > _LABELLED or grey.mean() > _PICTURE


def _boxes(path):
    """Reads the boxes of each file's lungs."""
    table, notes = tables.read(path, ("filename", *_CORNERS))
    missing = {"filename", *_CORNERS} - set(table.columns)
    if missing:
        raise InputError(f"{path} lacks the column {sorted(missing)[0]}")
    if notes:
        warnings.warn(f"{path}: {'; '.join(map(str, notes))}", InputWarning, stacklevel=3)
    found = {}
    for name, *cells in table[["filename", *_CORNERS]].itertuples(index=False):
        found.setdefault(tables.clean(name), []).append(_box(path, name, cells))
    return {name: tuple(boxes) for name, boxes in found.items()}


def _box(path, name, cells):
    """Reads the corners of a box, with a decimal point or comma."""
    try:
        x0, y0, x1, y1 = box = tuple(float(cell.replace(",", ".")) for cell in cells)
        if 0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1:
            return box
    except ValueError:
        pass
    raise InputError(
        f"{path}: {', '.join(cells)!r} is no box in {name}: write x0 < x1 and y0 < y1 as shares of"
        " its width and height, from 0 to 1"
    )
