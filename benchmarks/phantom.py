"""Phantoms: simulated on one thread, against decoding a radiograph's JPEG and resizing it."""

import tempfile
from pathlib import Path

import cv2

from benchmarks.timing import Row, seconds
from cxrlib import images, phantom

SIZES, COUNT = (64, 128, 224), 100


def measure(sizes=SIZES, count=COUNT):
    """Yields the rows of this benchmark."""
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "radiograph.jpeg"
        grey = phantom.simulate(0, 512).image[..., 0]
        cv2.imwrite(str(path), cv2.resize(grey, (1400, 1100), interpolation=cv2.INTER_CUBIC))
        for size in sizes:
            ours, theirs = (
                count / seconds(lambda make=make: [make(i) for i in range(count)])
                for make in (
                    lambda i, size=size: phantom.simulate(i, size),
                    lambda i, size=size: images.load(path, size),
                )
            )
            yield Row(
                f"phantoms, {size} px", ours, "loading a 1400 x 1100 JPEG", theirs, "images/s"
            )
    cv2.setNumThreads(-1)
