"""How many phantoms a second one thread simulates: `python benchmarks/phantom.py`."""

import time

import cv2

from cxrlib import phantom

SIZES = (64, 128, 224)
COUNT = 200


def images_per_second(size, count=COUNT):
    phantom.simulate(0, size)  # fills the caches
    start = time.perf_counter()
    for index in range(count):
        phantom.simulate(index, size)
    return count / (time.perf_counter() - start)


if __name__ == "__main__":
    cv2.setNumThreads(1)
    for size in SIZES:
        print(f"phantom {size:4d} px {images_per_second(size):6.0f} images a second, one thread")
