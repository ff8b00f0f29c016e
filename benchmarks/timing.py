"""What all benchmarks share: a row of the table, and a clock."""

import statistics
import time
from typing import NamedTuple


class Row(NamedTuple):
    """One comparison: ours and what a user would otherwise do, in the same run and unit."""

    what: str
    ours: float
    against: str
    theirs: float
    unit: str


def seconds(call, times=3):
    """Returns the median seconds of some calls, after one that is not counted (caches, tracing)."""
    call()
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)
