"""Marks on real films: found by classic means, painted over, or moved to the other side.

A mark is thin, small and sharp, brighter than what is around it, and lies near the border. No
network is asked. How much of the marks is found, and how much else is taken for one, is measured on
phantoms (`recovery`), whose marks are known to the pixel.
"""

import cv2
import numpy as np
import pandas as pd

from cxrlib import images, phantom

EDGE = 224
"""Marks in larger images are looked for at this size, so that sharp means the same in all."""

STROKE = 0.04
"""What is wider than this share of the image is no stroke: a bone, an organ, the table."""

CONTRAST = 40
"""Grey values by which a stroke is brighter than what is around it."""

SHARPNESS = 75
"""Mean difference of grey values around each of a stroke's pixels; the edges of bones have less."""

LETTER = (0.02, 0.14)
"""Edge of the smallest mark and of the largest letter, as shares of the image."""

BORDER = 0.22
"""A letter's middle lies nearer to an edge of the image than this share of it."""

GAP = 0.035
"""Strokes nearer to each other than this share of the image are one mark: a word, a ruler."""

HALO = 0.01
"""How far around its strokes a mark is painted over, as a share of the image."""

RADIUS = 3
"""Of the inpainting, in pixels (Telea 2004)."""


def find(image):
    """Finds bright written marks: side letters, figure letters, words, rulers.

    Black letters, letters on a bright plate and marks far from the border are not found; a bright
    connector or an end of a cable near the border is taken for one.

    Args:
        image: uint8 array (size, size, 3), RGB; made for 128 px and more.

    Returns:
        bool array (size, size): their strokes, in an image larger than `EDGE` a little too wide.
    """
    size = min(len(image), EDGE)
    grey = cv2.cvtColor(images.resize(image, size), cv2.COLOR_RGB2GRAY)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, 2 * [max(3, round(STROKE * size) | 1)])
    thin = cv2.morphologyEx(grey, cv2.MORPH_TOPHAT, disc) >= CONTRAST
    steep = cv2.morphologyEx(grey, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    n, labels, boxes, middles = cv2.connectedComponentsWithStats(thin.astype(np.uint8))
    sharpness = np.bincount(labels.ravel(), steep.ravel(), n) / boxes[:, cv2.CC_STAT_AREA]
    edge = boxes[:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]].max(axis=1)
    inset = np.minimum(middles, size - middles).min(axis=1)
    kept = (sharpness >= SHARPNESS) & (edge <= LETTER[1] * size) & (inset <= BORDER * size)
    strokes = thin & kept[labels]
    for part, (_, _, width, height) in _apart(strokes):
        if min(width, height) < LETTER[0] * size:  # a speck, or an end of the film's edge
            strokes = strokes & ~part
    return images.shrink(strokes, len(image))


def paint_over(image, mask):
    """Paints marks over with what is around them.

    Args:
        image: uint8 array (size, size, 3).
        mask: bool array (size, size): their strokes, as `find` returns them.

    Returns:
        uint8 array of the same shape; no pixel changes that is farther than `HALO` from a stroke.
    """
    wide = 2 * max(1, round(HALO * len(image))) + 1
    painted = cv2.dilate(mask.astype(np.uint8), np.ones((wide, wide), np.uint8))
    return cv2.inpaint(image, painted, RADIUS, cv2.INPAINT_TELEA)


def paint_elsewhere(image, mask):
    """Paints over the place across the image from each mark: what the painting alone does.

    Args, Returns: As `paint_over`; the marks stay.
    """
    return np.where(mask[..., None], image, paint_over(image, mask[:, ::-1] & ~mask))


def move(image, mask):
    """Moves each mark across the image, as high as it was and as far from the other edge.

    Args, Returns: As `paint_over`; the letters are not mirrored. A mark halfway stays there.
    """
    moved = paint_over(image, mask)
    for part, (left, _, width, _) in _apart(mask):
        alone = np.where(part[..., None], image, np.uint8(0))
        moved = np.maximum(moved, np.roll(alone, len(image) - width - 2 * left, axis=1))
    return moved


CHANGES = {"painted over": paint_over, "moved": move, "painted elsewhere": paint_elsewhere}
"""What can be done to marks that were found, by name."""


def recovery(indices, size):
    """Measures on phantoms how much of each mark `find` finds, and how much else.

    Args:
        indices: Of the phantoms; each is made with every mark, whatever else it has by chance.
        size: Pixels a side.

    Returns:
        DataFrame with a row a mark of `phantom.MARKS`: mark, n, found (share of the phantoms in
        which most of the mark was found; of "none": in which anything was), recall and precision
        (of pixels, in [0, 1]; NaN for "none").
    """
    rows = []
    for mark in phantom.MARKS:
        known = [phantom.simulate(index, size, mark=mark) for index in indices]
        pairs = [(find(one.image), one.marks) for one in known]
        hit, told, true = np.array([[(f & m).sum(), f.sum(), m.sum()] for f, m in pairs]).T
        if mark == "none":
            rows.append((mark, len(pairs), (told > 0).mean(), np.nan, np.nan))
        else:
            facts = (
                (hit > true / 2).mean(),
                hit.sum() / true.sum(),
                hit.sum() / (told.sum() or np.nan),
            )
            rows.append((mark, len(pairs), *facts))
    return pd.DataFrame(rows, columns=["mark", "n", "found", "recall", "precision"])


def _apart(strokes):
    """Separates marks: lists each one's strokes, bool (size, size), and its box (x, y, w, h)."""
    wide = 2 * [round(GAP * len(strokes)) + 1]
    joined = cv2.dilate(strokes.astype(np.uint8), np.ones(wide, np.uint8))
    n, labels = cv2.connectedComponents(joined)
    parts = [strokes & (labels == i) for i in range(1, n)]
    return [(part, cv2.boundingRect(part.astype(np.uint8))) for part in parts]
