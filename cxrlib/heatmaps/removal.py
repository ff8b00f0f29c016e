"""Deletion and insertion (Petsiuk et al. 2018): does the answer hang on what a heatmap points at?

The pixels that a heatmap holds highest are blurred first; where the network's answer falls fast,
the heatmap has pointed at what it hangs on. The reverse begins with a blurred radiograph and puts
them back first. Blurred rather than black, so that no edge appears that no radiograph has.
"""

import cv2
import numpy as np

from cxrlib import targets

SHARES = np.linspace(0, 1, 11)
"""Of the pixels that are removed, or put back."""

BLUR = 0.08
"""Sigma of the blur that removes, as a share of the image's edge: lines and lesions go."""


def curves(answer, images, heatmaps, target):
    """Measures what a target's probability does as pixels go, and as they come back.

    Args:
        answer: Function of pixels, uint8 (n, H, W, 3), that returns probabilities (n, 5).
        images: uint8 array (n, H, W, 3).
        heatmaps: Array (n, H, W), not negative.
        target: A name of `TARGETS`.

    Returns:
        Two float arrays (n,), from 0 to 1: the mean probability over `SHARES` of the pixels deleted
        (lower is better), and inserted (higher is better). NaN where a heatmap is blank.
    """
    column, means = targets.index(target), []
    for image, heatmap in zip(images, heatmaps):
        if not heatmap.any():
            means.append((np.nan, np.nan))
            continue
        blurred = cv2.GaussianBlur(image, (0, 0), BLUR * len(image))
        place = np.empty(heatmap.size, int)
        place[np.argsort(-heatmap, axis=None, kind="stable")] = np.arange(heatmap.size)
        first = place.reshape(heatmap.shape) < SHARES[:, None, None] * heatmap.size
        deleted = np.where(first[..., None], blurred, image)
        inserted = np.where(first[..., None], image, blurred)
        said = answer(np.concatenate([deleted, inserted]))[:, column]
        means.append(said.reshape(2, -1).mean(axis=1))
    return tuple(np.array(means, float).T)
