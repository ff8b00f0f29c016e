"""Start-up: what a user waits for before anything happens."""

import subprocess
import sys

from benchmarks.timing import Row, seconds

COMMANDS = {
    "ours": ("cxr", "--help"),
    "Python alone": (sys.executable, "-c", "pass"),
    "import tensorflow": (sys.executable, "-c", "import tensorflow"),
}


def measure(commands=COMMANDS):
    """Yields the rows of this benchmark."""
    times = {name: seconds(lambda name=name: _run(commands[name])) for name in commands}
    ours = times.pop("ours")
    for name, time in times.items():
        yield Row(" ".join(commands["ours"]), ours, name, time, "s")


def _run(command):
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run(command, check=True, **quiet)
