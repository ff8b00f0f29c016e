"""Duplicates: radiographs that are one picture in two files."""

import cv2
import imagehash
import numpy as np
import pandas as pd
from PIL import Image

# Set on the 17.4 million pairs of CoronaHack's 5,899 radiographs, on copies of 200 of them, and on
# pairs looked at one by one. Copies that were rescaled, saved again as JPEG down to quality 10,
# made brighter or darker (gamma 0.6 to 1.6), turned by 2 degrees or cropped by 2 % a side differ in
# at most 56 of 256 bits. So do many other films: 2,057 pairs are within 64, children in one pose.
# What is finer than the common shape of a chest tells them apart. Once aligned it correlates by at
# most 0.83 in other films and by 0.90 in other phantoms, which are more alike; by 0.91 or more in
# the copies; and by 0.95 to 1 in the copies that CoronaHack and Cohen's collection hold. At 0.9,
# 98 % of the copies with a letter stamped on them or after CLAHE are found too.
MAX_DISTANCE = 64
"""Bits of 256 in which the perceptual hashes of near-duplicates may differ."""

MIN_CORRELATION = 0.9
"""Correlation of aligned fine detail from which two radiographs are one picture."""

_SHAPE = 2.0  # pixels of a thumbnail: what a Gaussian of this width keeps is the chest's shape
# All pairs are compared. For hashes as far apart as these an exact index (multi-index hashing, a
# ball tree) would still look at more than half of them, since 64 of 256 bits may differ anywhere.
_TILE = 512  # rows and columns of the matrix of all pairs that stay in a processor's cache
_STEPS = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 50, 1e-3)  # of an alignment
_FARTHEST = 0.2  # an alignment that stretches by more than a fifth has lost its way


def near_duplicates(
    radiographs, thumbs, max_distance=MAX_DISTANCE, min_correlation=MIN_CORRELATION
):
    """Finds radiographs that are one picture, whatever was done to the file.

    Copies that were rescaled, saved again, brightened, lettered, turned by 2 degrees or cropped (by
    2 % a side; of those by 3 % most) are found, mirrored ones are not. Candidates agree in a
    perceptual hash (ImageHash's pHash, 256 bits); the correlation of their fine detail after an
    affine alignment (ECC, Evangelidis and Psarakis 2008) confirms them.

    Args:
        radiographs: A cohort of n rows.
        thumbs: uint8 thumbnails (n, 64, 64).
        max_distance: Bits in which hashes may differ.
        min_correlation: Of the aligned detail.

    Returns:
        DataFrame with a row a pair, the surest first: file_a, file_b, split_a, split_b (""
        before a split), patient_a, patient_b, group_a, group_b, distance, correlation.
    """
    hashes = _hashes(thumbs)
    a, b, distance = _alike(hashes, hashes, max_distance, once=True)
    detail = {i: _detail(thumbs[i]) for i in np.unique([a, b])}
    correlation = np.array([_aligned(detail[i], detail[j]) for i, j in zip(a, b)])
    kept = correlation >= min_correlation
    facts_of = {
        name: radiographs.get(name, pd.Series("", radiographs.index)).to_numpy()
        for name in ("file", "split", "patient", "group")
    }
    found = pd.DataFrame(
        {
            f"{name}_{side}": values[rows[kept]]
            for name, values in facts_of.items()
            for side, rows in (("a", a), ("b", b))
        }
    ).assign(distance=distance[kept], correlation=correlation[kept])
    return found.sort_values(
        ["distance", "correlation"], ascending=[True, False], kind="stable", ignore_index=True
    )


def among(thumbs, others):
    """Says which pictures are among others, as `near_duplicates` would find them.

    Args:
        thumbs: uint8 thumbnails (n, 64, 64).
        others: uint8 thumbnails (m, 64, 64).

    Returns:
        bool array (n,).
    """
    found = np.zeros(len(thumbs), bool)
    for a, b, _ in zip(*_alike(_hashes(thumbs), _hashes(others), MAX_DISTANCE)):
        if not found[a]:
            found[a] = _aligned(_detail(thumbs[a]), _detail(others[b])) >= MIN_CORRELATION
    return found


def _alike(hashes, others, max_distance, once=False):
    """Finds the pairs whose hashes differ in few bits.

    Args:
        hashes: uint64 (n, 4).
        others: uint64 (m, 4).
        max_distance: Bits in which they may differ.
        once: The others are the hashes themselves: each pair once, the earlier first.

    Returns:
        int array (3, pairs): their places in both, in order, and the bits.
    """
    pairs = [np.zeros((0, 3), int)]
    for top in range(0, len(hashes), _TILE):
        rows = hashes[top : top + _TILE, None]
        for left in range(top if once else 0, len(others), _TILE):
            columns = others[left : left + _TILE]
            differing = (np.bitwise_count(rows[..., k] ^ columns[:, k]) for k in range(4))
            bits = sum(differing, np.uint16(0))
            a, b = np.nonzero(bits <= max_distance)
            pairs.append(np.stack([a + top, b + left, bits[a, b]], axis=1))
    a, b, distance = np.concatenate(pairs).T
    order = np.lexsort([b, a])
    if once:
        order = order[a[order] < b[order]]
    return np.stack([a, b, distance])[:, order]


def _hashes(thumbs):
    """Returns the perceptual hashes of thumbnails: uint64 (n, 4)."""
    hashes = [imagehash.phash(Image.fromarray(thumb), hash_size=16).hash for thumb in thumbs]
    bits = np.array(hashes, bool).reshape(-1, 256)
    return np.packbits(bits, axis=1).view(np.uint64)


def _detail(thumbnail):
    """Returns what is finer than a chest's shape: float32 (64, 64)."""
    grey = thumbnail.astype(np.float32)
    return grey - cv2.GaussianBlur(grey, (0, 0), _SHAPE)


def _aligned(one, other):
    """Correlates two images after the best affine alignment; 0 where there is no detail."""
    found, warp = 0.0, np.eye(2, 3, dtype=np.float32)
    if not (one.std() and other.std()):
        return 0.0
    try:
        for blur in (5, 1):  # pixels: the fine lines alone would catch on their neighbours
            found, warp = cv2.findTransformECC(
                one, other, warp, cv2.MOTION_AFFINE, _STEPS, None, blur
            )
    except cv2.error:  # they have nothing to be aligned by
        found = 0.0
    astray = np.abs(warp[:, :2] - np.eye(2)).max() > _FARTHEST
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1]) if astray or not found else found
