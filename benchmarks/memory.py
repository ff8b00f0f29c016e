"""Peak memory of training on twenty times as many radiographs.

Each training runs in a process of its own. What is counted is the memory that is the process' own
(RssAnon); pages of the pixel cache that the system keeps because there is room are not.
"""

import subprocess
import sys

from benchmarks.timing import Row

EDGE, COUNTS = 128, (1000, 20000)

CHILD = """
import re, sys, tempfile, threading, time
from pathlib import Path
import numpy as np, pandas as pd
from cxrlib import experiments, images, phantom, training
from cxrlib.targets import TARGETS
edge, count = map(int, sys.argv[1:])
some = [phantom.simulate(i, edge).image for i in range(50)]
peak = 0
def watch():
    global peak
    while True:
        status = Path("/proc/self/status").read_text()
        peak = max(peak, int(re.search(r"RssAnon:\\s+(\\d+)", status)[1]))
        time.sleep(0.02)
with tempfile.TemporaryDirectory() as folder:
    pixels = images.cache(Path(folder) / "pixels.npy", list(map(str, range(count))), edge,
                          lambda i: some[i % 50])
    threading.Thread(target=watch, daemon=True).start()
    splits = np.where(np.arange(count) % 10 == 0, "validation", "train")
    splits[:50] = "test"
    table = pd.DataFrame({"split": splits, "file": "", "group": "covid", "patient": "", "copy": 0})
    table[list(TARGETS)] = np.eye(5, dtype=int)[np.arange(count) % 5]
    schedule = experiments.Schedule(16, 1, 1, 3, 12)
    training.train(Path(folder), architecture="efficient", weights=None, schedule=schedule,
                   online=experiments.C.online, pixels=pixels, radiographs=table, seed=0,
                   lines=True)
print(peak / 1024)
"""


def measure(edge=EDGE, counts=COUNTS):
    """Yields the rows of this benchmark."""
    few, many = (
        float(
            subprocess.run(
                [sys.executable, "-c", CHILD, str(edge), str(count)],
                check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            ).stdout
        )
        for count in counts
    )  # fmt: skip
    what = f"memory of training, {counts[1]} radiographs"
    yield Row(what, many, f"{counts[0]} radiographs", few, "MB")
