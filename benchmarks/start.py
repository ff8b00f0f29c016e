"""Start-up: what a user waits for before anything happens."""

import subprocess
import sys
from pathlib import Path

from benchmarks.timing import Row, seconds

COMMANDS = {
    "ours": (Path(sys.executable).with_name("cxr"), "--help"),
    "Python alone": (sys.executable, "-c", "pass"),
    "import tensorflow": (sys.executable, "-c", "import tensorflow"),
}


def measure(commands=COMMANDS):
    """Yields the rows of this benchmark."""
    times = {name: seconds(lambda name=name: _run(commands[name])) for name in commands}
    ours = times.pop("ours")
    for name, time in times.items():
        yield Row("start of `cxr --help`", ours, name, time, "s")


def _run(command):
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run(command, check=True, **quiet)
