"""Peak memory of training on twenty times as many radiographs.

Each training runs in a process of its own.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.timing import Memory, Row
from cxrlib import images, phantom
from cxrlib.networks import Recipe, Schedule, training
from cxrlib.study import experiments
from cxrlib.targets import TARGETS

EDGE, COUNTS = 128, (1000, 20000)


def measure(edge=EDGE, counts=COUNTS):
    """Yields the rows of this benchmark."""
    few, many = (_peak_elsewhere(edge, count) for count in counts)
    yield Row(f"memory, {counts[1]} radiographs", many, f"{counts[0]} radiographs", few, "MB")


def _peak_elsewhere(edge, count):
    command = [sys.executable, "-m", "benchmarks.memory", str(edge), str(count)]
    root = Path(__file__).parents[1]
    said = subprocess.run(command, cwd=root, check=True, stdout=subprocess.PIPE, text=True).stdout
    return float(said)


def _peak(edge, count):
    """Trains Experiment C's Efficient for an epoch; returns the peak in MB."""
    some = [phantom.simulate(i, edge).image for i in range(50)]
    table = pd.DataFrame({"file": range(count), "patient": range(count), "group": "covid"})
    table["split"] = np.where(np.arange(count) % 10, "train", "validation")
    table.loc[:49, "split"] = "test"
    table[list(TARGETS)] = np.eye(5, dtype=int)[np.arange(count) % 5]
    with tempfile.TemporaryDirectory() as folder:
        pixels = images.cache(
            Path(folder) / "pixels.npy", table["file"].astype(str), edge, lambda i: some[i % 50]
        )
        schedule, online = Schedule(16, 1, 1, 3, 12), experiments.C.online
        recipe = Recipe("efficient", None, schedule, online, seed=0)
        with Memory() as memory:
            training.fit(Path(folder), recipe, pixels, table.assign(copy=0), lines=True)
    return memory.peak


if __name__ == "__main__":
    print(_peak(*map(int, sys.argv[1:])))
