"""Runs the benchmarks: `python -m benchmarks [NAME...]`; all of them are kept for the book."""

import importlib
import os
import platform
import sys
from pathlib import Path

import pandas as pd

from benchmarks.timing import Row
from cxrlib import files

NAMES = ("start", "phantom", "pixels", "augmentation", "training", "heatmaps", "memory")


def main(names):
    """Measures, prints a line a comparison, and writes results/benchmarks.csv."""
    rows = []
    unknown = set(names) - set(NAMES)
    if unknown:
        sys.exit(f"no benchmark {', '.join(unknown)}: there are {', '.join(NAMES)}")
    for name in names or NAMES:
        for row in importlib.import_module(f"benchmarks.{name}").measure():
            rows.append(row)
            ratio = row.ours / row.theirs
            print(f"{row.what:42s} {row.ours:8.4g} {row.unit:9s} {ratio:6.2f} times {row.against}")
    if not names:
        machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
        table = pd.DataFrame(rows, columns=Row._fields).assign(machine=machine)
        files.write_csv(table, Path("results") / "benchmarks.csv")


if __name__ == "__main__":
    main(sys.argv[1:])
