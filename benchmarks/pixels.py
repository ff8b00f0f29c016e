"""Pixels of Experiment C at 768 px: decode, resize, crop, CLAHE, keep on disk.

Against a script that does the same with OpenCV, one image after the other; and against what
decoding and these OpenCV calls cost by themselves on as many threads, which is the limit.
"""

import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from benchmarks.timing import Row, seconds
from cxrlib import images, phantom

SIZE, COUNT = 768, 48
SHAPE = (1100, 1400)
"""Height and width of the files: those of Kermany's median radiograph, about."""


def script(path, size):
    """What a user would write with OpenCV."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    image = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
    cut = [round(pixels * size / 768) for pixels in (40, 30)]
    image = image[cut[0] : size - cut[1], cut[0] : size - cut[1]]
    image = cv2.resize(image, (size, size), interpolation=cv2.INTER_LINEAR)
    lab = cv2.cvtColor(image, cv2.COLOR_BGR2LAB)
    lab[..., 0] = cv2.createCLAHE(3.0, (8, 8)).apply(np.ascontiguousarray(lab[..., 0]))
    return cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)


def measure(size=SIZE, count=COUNT):
    """Yields the rows of this benchmark."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{i}.jpeg" for i in range(count)]
        for i, path in enumerate(paths):
            grey = phantom.simulate(i, 512).image[..., 0]
            cv2.imwrite(str(path), cv2.resize(grey, SHAPE[::-1], interpolation=cv2.INTER_CUBIC))

        def ours():
            kept = Path(folder) / "pixels.npy"
            kept.unlink(missing_ok=True)
            images.cache(
                kept, list(map(str, paths)), size,
                lambda i: images.treat(images.load(paths[i], size), "cropped+clahe"),
            )  # fmt: skip

        def one_thread():
            cv2.setNumThreads(1)
            np.save(Path(folder) / "script.npy", np.stack([script(path, size) for path in paths]))
            cv2.setNumThreads(-1)

        def limit():
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                list(pool.map(lambda path: script(path, size) is None, paths))

        what, unit = f"pixels of C at {size} px", "images/s"
        times = {call: seconds(call) for call in (ours, one_thread, limit)}
        yield Row(what, count / times[ours], "OpenCV, one thread", count / times[one_thread], unit)
        yield Row(
            what, count / times[ours], "OpenCV calls alone, all threads", count / times[limit], unit
        )
