"""Where the lungs are in real radiographs, as far as readers have outlined or boxed them."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from cxrlib.errors import InputError
from cxrlib.images import decode

_CORNERS = ["x0", "y0", "x1", "y1"]


def join(cohort, folder):
    """Joins lung masks and lung boxes to a cohort, by file name.

    Args:
        cohort: A cohort.
        folder: Where `lung_masks/` lies, pictures named as the radiographs but for the ending, and
            `lung_boxes.csv` with the columns filename, lung, x0, y0, x1, y1 (fractions of the width
            and height, one row a lung). Either may be missing.

    Returns:
        The cohort with the columns `lung_mask`, a path or "", and `lung_boxes`, a tuple of
        (x0, y0, x1, y1) for each lung that was boxed, at times none.

    Raises:
        InputError: Neither is there, the boxes lack a column, or a mask is of two radiographs.
    """
    folder = Path(folder)
    masks = {path.stem: str(path) for path in (folder / "lung_masks").glob("*.png")}
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
        lung_boxes=cohort["file"].map(lambda file: found.get(file, ())),
    )


def mask(row, size):
    """Returns the lungs of one radiograph: its mask, or else its boxes filled.

    Args:
        row: A row of what `join` returns.
        size: Edge of the result in pixels.

    Returns:
        bool array (size, size).

    Raises:
        InputError: The radiograph has neither, or its mask cannot be read.
        OSError: The mask cannot be opened.
    """
    if row["lung_mask"]:
        drawn = decode.read(row["lung_mask"])
        grey = drawn if drawn.ndim == 2 else cv2.cvtColor(drawn, cv2.COLOR_RGB2GRAY)
        white = max(int(grey.max()), 1)  # some masks are drawn with 1, not with 255
        share = cv2.resize(
            grey.astype(np.float32) / white, (size, size), None, 0, 0, cv2.INTER_AREA
        )
        return share > 0.5
    if not row["lung_boxes"]:
        raise InputError(f"nobody has outlined or boxed the lungs of {row['file']}")
    lungs = np.zeros((size, size), bool)
    for box in row["lung_boxes"]:
        left, top, right, bottom = np.rint(np.array(box) * size).astype(int)
        lungs[top:bottom, left:right] = True
    return lungs


def _boxes(path):
    table = pd.read_csv(path)
    missing = {"filename", *_CORNERS} - set(table.columns)
    if missing:
        raise InputError(f"{path} lacks the column {sorted(missing)[0]}")
    grouped = table.groupby("filename")[_CORNERS]
    return {name: tuple(map(tuple, rows.to_numpy())) for name, rows in grouped}
