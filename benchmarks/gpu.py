"""One GPU: images a second by network and batch size, and how busy the card is meanwhile.

On the backend that KERAS_BACKEND names; run it on each. At batches as small as the paper's a card
waits for the processor, so the sizes go up to where it should not. Where no GPU is in sight nothing
is measured.
"""

import shutil
import statistics
import subprocess

from benchmarks import training
from benchmarks.timing import Row
from cxrlib.networks import ARCHITECTURES, backend

EDGE, BATCHES, EPOCHS = 224, (3, 32, 128), 5
COUNT = 1024
"""Images an epoch: eight steps of the largest batch."""

ASKED = ("nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "--loop=1")


def measure(
    architectures=tuple(ARCHITECTURES), edge=EDGE, batches=BATCHES, count=COUNT, epochs=EPOCHS,
    command=ASKED,
):  # fmt: skip
    """Yields the rows of this benchmark.

    Args:
        architectures: Names.
        edge: Of the images.
        batches: Sizes.
        count: Images an epoch.
        epochs: Measured each way.
        command: What prints how busy the card is, in per cent, line by line.
    """
    if not shutil.which(command[0]):
        return
    name = backend.keras.backend.backend()
    for architecture in architectures:
        for batch in batches:
            watch = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            try:
                rate = training.rates(architecture, edge, count, epochs, batch)
            finally:
                watch.terminate()
            what = f"{name}: {architecture}, {edge} px, batches of {batch}"
            for way in "AC":
                yield Row(f"{what}, {way}", rate[way], "arrays", rate["arrays"], "images/s")
            busy = [float(line) for line in watch.communicate()[0].split()]
            if busy:
                yield Row(f"{what}, card busy", statistics.mean(busy), "always", 100, "per cent")
