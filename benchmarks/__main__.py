"""Runs the benchmarks: `python -m benchmarks [NAME...]`.

A table of results/ is written for the book where all the benchmarks that it holds were run.
"""

import importlib
import os
import platform
import sys
from pathlib import Path

import pandas as pd

from cxrlib import files

COMPARED = ("start", "phantom", "pixels", "augmentation", "training", "heatmaps", "memory")
TABLES = {"benchmarks.csv": COMPARED, "growth.csv": ("growth",), "gpu.csv": ("gpu",)}
NAMES = tuple(name for held in TABLES.values() for name in held)


def main(names):
    """Measures, prints a line a row, and writes the tables of results/ that are whole."""
    unknown = set(names) - set(NAMES)
    if unknown:
        sys.exit(f"no benchmark {', '.join(unknown)}: there are {', '.join(NAMES)}")
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    for table, held in TABLES.items():
        asked = [name for name in held if name in names or not names]
        rows = [row for name in asked for row in _measured(name)]
        if rows and len(asked) == len(held):
            kept = pd.DataFrame(rows).assign(machine=machine)
            files.write_csv(kept, Path("results") / table)


def _measured(name):
    """Yields the rows of a benchmark, and prints each as it comes."""
    for row in importlib.import_module(f"benchmarks.{name}").measure():
        print(row, flush=True)
        yield row


if __name__ == "__main__":
    main(sys.argv[1:])
