"""Batches of images and targets from the pixel cache: the only input pipeline."""

import math
import os

import numpy as np

from cxrlib.images import augment
from cxrlib.networks.backend import keras

# A thread for every other core. Where that is one, it is the backend's: TensorFlow's runs ahead of
# the network, while from Keras' own queue each step would wait for a batch to be handed over.
_THREADS = max(1, min(8, (os.cpu_count() or 1) // 2))


class Batches(keras.utils.PyDataset):
    """Batches in the order that training needs, made by threads while the network computes.

    What a batch holds depends on (seed, epoch, position) alone, never on which thread was first,
    so a run that is continued sees the same images as one that was never cut.

    Args:
        pixels: uint8 array or memory map (n, size, size, 3).
        targets: Array (n, 5) of 0 and 1.
        rows: Indices into both: the radiographs of one split.
        batch_size: Images a batch; the last one of an epoch may be smaller.
        seed: Seed of order and augmentation; None keeps the order of `rows`.
        ranges: `augment.Ranges` for a new transform of every image, or None.
        passes: How often an epoch goes through all rows.
        share: The images of an epoch are a multiple of this: as many as are over are left out,
            each epoch others if there is a seed.
    """

    def __init__(
        self, pixels, targets, rows, batch_size, *, seed=None, ranges=None, passes=1, share=1
    ):
        super().__init__(workers=_THREADS, use_multiprocessing=False, max_queue_size=8)
        self.pixels, self.targets = pixels, np.asarray(targets, np.float32)
        self.rows, self.batch_size = np.asarray(rows), batch_size
        self.seed, self.ranges, self.passes = seed, ranges, passes
        self._images = len(self.rows) * passes // share * share
        self.start(0)

    def __len__(self):
        """Returns the batches of an epoch."""
        return math.ceil(self._images / self.batch_size)

    def __getitem__(self, index):
        """Makes batch `index` of this epoch: images uint8, and their targets."""
        start = index * self.batch_size
        rows = self._order[start : start + self.batch_size]
        images = [self._image(row, start + i) for i, row in enumerate(rows)]
        return np.stack(images), self.targets[rows]

    def start(self, epoch):
        """Draws the order of an epoch, counted from 0.

        Training says which: Keras' own hook `on_epoch_end` is called once too often where a backend
        looks at a first batch to build the network.
        """
        self.epoch = epoch
        self._order = self._draw_order()[: self._images]

    def _draw_order(self):
        if self.seed is None:
            return np.tile(self.rows, self.passes)
        rng = np.random.default_rng([self.seed, self.epoch])
        return np.concatenate([rng.permutation(self.rows) for _ in range(self.passes)])

    def _image(self, row, position):
        image = self.pixels[row]
        if self.ranges is None:
            return image
        rng = np.random.default_rng([self.seed, self.epoch, position])
        return augment.apply(np.ascontiguousarray(image), augment.draw(self.ranges, rng))
