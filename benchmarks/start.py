"""Start-up: what a user waits for before anything happens."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat

from benchmarks.timing import Row, seconds

CXR = Path(sys.executable).with_name("cxr")
COMMANDS = {
    "ours": (CXR, "--help"),
    "Python alone": (sys.executable, "-c", "pass"),
    "import tensorflow": (sys.executable, "-c", "import tensorflow"),
}
CHAPTER = "02-experiment-a"
PROFILE = """\
name: finished
image_size: 121
normal: 12
virus: 6
bacteria: 6
covid: 6
arms: [efficient]
epochs: 1
"""


def measure(commands=COMMANDS, times=3):
    """Yields the rows of this benchmark; each command is timed so many times."""
    took = {name: seconds(lambda name=name: _run(commands[name]), times) for name in commands}
    ours = took.pop("ours")
    for name, time in took.items():
        yield Row("start of cxr --help", ours, name, time, "s")
    with tempfile.TemporaryDirectory() as folder:
        chapter, empty = _notebooks(Path(folder))
        what = f"{CHAPTER}, its arm trained before"
        yield Row(what, seconds(chapter, times), "an empty notebook", seconds(empty, times), "s")


def _notebooks(folder):
    """Returns two functions: one executes a chapter whose arm is trained, one an empty notebook."""
    (folder / "Snakefile").touch()  # marks a study's root
    (folder / "finished.yml").write_text(PROFILE)
    clone = Path(__file__).parents[1]
    shutil.copytree(clone / "notebooks", folder / "notebooks")
    (folder / "results").symlink_to(clone / "results")  # which chapters show beside their own
    nbformat.write(nbformat.v4.new_notebook(), folder / "empty.ipynb")
    profile = ("--profile", "finished.yml")
    _run((CXR, "train", "A", "efficient", *profile), folder)
    papermill = (sys.executable, "-m", "papermill", "-k", "python3", "empty.ipynb", "out.ipynb")
    return (
        lambda: _run((CXR, "notebook", CHAPTER, "out.ipynb", *profile), folder),
        lambda: _run(papermill, folder),
    )


def _run(command, folder=None):
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run(command, cwd=folder, check=True, **quiet)
