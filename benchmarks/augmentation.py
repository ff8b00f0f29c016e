"""Experiment C's online augmentation at 768 px, one thread, against Keras' ImageDataGenerator."""

import cv2
import numpy as np

from benchmarks.timing import Row, seconds
from cxrlib import phantom
from cxrlib.images import augment
from cxrlib.networks.backend import (
    keras,
)  # whose import has memory kept, as where training augments
from cxrlib.study.experiments import C

ImageDataGenerator = keras.src.legacy.preprocessing.image.ImageDataGenerator

SIZE, COUNT = 768, 16


def measure(size=SIZE, count=COUNT):
    """Yields the rows of this benchmark."""
    cv2.setNumThreads(1)
    image = phantom.simulate(0, size).image
    rng = np.random.default_rng(0)
    theirs = ImageDataGenerator(
        rotation_range=C.online.rotation, height_shift_range=C.online.height_shift,
        width_shift_range=C.online.width_shift, shear_range=C.online.shear,
        horizontal_flip=C.online.horizontal_flip,
    )  # fmt: skip
    ours_time = seconds(
        lambda: [augment.apply(image, augment.draw(C.online, rng)) for _ in range(count)]
    )
    theirs_time = seconds(lambda: [theirs.random_transform(image) for _ in range(count)])
    cv2.setNumThreads(-1)
    what = f"augmentation of C at {size} px"
    yield Row(what, count / ours_time, "ImageDataGenerator", count / theirs_time, "images/s")
