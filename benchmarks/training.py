"""Training: images a second as we train, against `model.fit` on arrays already in memory.

The same network, precision, optimizer and measures, compiled as Keras does by itself: with XLA and
one step a call. The other rows of a network say what our batches cost against arrays under our own
settings, which is the limit, and what Experiment C's augmentation costs.
"""

import statistics
import time

import numpy as np

from benchmarks.timing import Row
from cxrlib import phantom
from cxrlib.networks import Recipe, backend, training
from cxrlib.networks.batches import Batches
from cxrlib.study.experiments import A, C

NETWORKS = {"densenet121": (224, 96, 5), "resnet50": (224, 96, 5), "efficient": (128, 1600, 24)}
"""Edge of the images, how many an epoch has, and how many epochs are measured each way."""

BATCH, PLAIN = 16, "model.fit, arrays in memory"


class _Clock(backend.keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        self.started = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds = time.perf_counter() - self.started


def measure(networks=NETWORKS):
    """Yields the rows of this benchmark."""
    for architecture, (edge, count, epochs) in networks.items():
        rate = rates(architecture, edge, count, epochs)
        what = f"training {architecture}, {edge} px"
        for experiment in "AC":
            yield Row(f"{what}, {experiment}", rate[experiment], PLAIN, rate["plain"], "images/s")
        yield Row(f"{what}, A", rate["A"], "our settings, arrays", rate["arrays"], "images/s")
        yield Row(f"{what}, C", rate["C"], "A: no augmentation", rate["A"], "images/s")


def rates(architecture, edge, count, epochs, batch=BATCH):
    """Measures images a second by way to train: dict of name -> float, the median epoch's."""
    pixels = np.stack([phantom.simulate(i % 40, edge).image for i in range(count)])
    targets = np.eye(5, dtype=np.float32)[np.arange(count) % 5]
    precision = backend.choose_precision("auto")
    recipe = Recipe(architecture, None, A.schedule, None, 1, precision)
    model, clock = training.start(recipe, edge), _Clock()
    plain = backend.keras.models.clone_model(model)
    default = {"steps_per_execution": 1, "jit_compile": "auto"}
    plain.compile_from_config(model.get_compile_config() | default)

    def fit(*data, network=model, **options):
        network.fit(*data, shuffle=False, callbacks=[clock], verbose=0, **options)
        return clock.seconds

    def batches(ranges):
        return Batches(pixels, targets, range(count), batch, seed=1, ranges=ranges)

    in_memory = pixels.astype(np.float32)
    ways = {
        "plain": lambda: fit(in_memory, targets, batch_size=batch, network=plain),
        "arrays": lambda: fit(in_memory, targets, batch_size=batch),
        "A": lambda: fit(batches(None)),
        "C": lambda: fit(batches(C.online)),
    }
    for way in ways.values():
        way()  # traced
    # In turns, so that what else the machine does slows all ways alike.
    taken = [{name: way() for name, way in ways.items()} for _ in range(epochs)]
    return {name: count / statistics.median(epoch[name] for epoch in taken) for name in ways}
