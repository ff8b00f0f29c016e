"""What all benchmarks share: a row of the table, a clock, and a watch over memory."""

import re
import statistics
import threading
import time
from pathlib import Path
from typing import NamedTuple


class Row(NamedTuple):
    """One comparison: ours and what a user would otherwise do, in the same run and unit."""

    what: str
    ours: float
    against: str
    theirs: float
    unit: str

    def __str__(self):
        ratio = self.ours / self.theirs
        return f"{self.what:42s} {self.ours:8.4g} {self.unit:9s} {ratio:6.2f} times {self.against}"


def seconds(call, times=3):
    """Returns the median seconds of some calls, after one that is not counted (caches, tracing)."""
    call()
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


class Memory:
    """Watches, while its body runs, the memory that is the process' own (RssAnon).

    Pages of a pixel cache that the system keeps because there is room are not counted.

    Attributes:
        peak: The most of it so far, in MB.
    """

    def __init__(self):
        self.peak, self._ended = 0.0, threading.Event()
        self._watch = threading.Thread(target=self._look, daemon=True)

    def __enter__(self):
        self._watch.start()
        return self

    def __exit__(self, *error):
        self._ended.set()
        self._watch.join()

    def _look(self):
        while True:
            status = Path("/proc/self/status").read_text()
            own = int(re.search(r"RssAnon:\s+(\d+)", status)[1]) / 1024
            self.peak = max(self.peak, own)
            if self._ended.wait(0.02):
                return
