"""How seconds and memory grow with the number of radiographs: 1,000, 10,000 and 100,000.

Each step is measured at each size in a process of its own, in seconds of the processor, all threads
together, so that what else the machine does counts little. Tables are made up: patients have as
many radiographs as those of ChestX-ray14, 3.6 in the mean. Pictures, where a step takes any, are
blurred noise of 64 px or one grey of 16 px, since what is asked is how a step grows, not how long a
radiograph takes to decode. In noise no two hashes are alike by chance: on films near-duplicates
align more candidates than here. What would take longer than three minutes is left out.
"""

import json
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pandas as pd

from benchmarks.timing import Memory
from cxrlib import cohort, images, metrics
from cxrlib.cohort import audit, baselines, duplicates
from cxrlib.pages import gallery, tables
from cxrlib.study import runs
from cxrlib.targets import GROUPS, TARGETS, encode

SIZES, LIMIT = (1_000, 10_000, 100_000), 180
PER_PATIENT = 3.6
COPIES = 100
"""One picture of so many is there twice."""


class Growth(NamedTuple):
    """A step at one size: what it took, and the power of the rows by which the seconds grew.

    Args:
        step: What was done.
        rows: Radiographs.
        seconds: Of the processor, for the step alone; NaN where it would take too long.
        peak: MB that the process had to itself meanwhile, Python and the step's input included.
        exponent: b of seconds ~ rows^b since the size before; NaN where there is none.
    """

    step: str
    rows: int
    seconds: float
    peak: float
    exponent: float

    def __str__(self):
        if math.isnan(self.seconds):
            return f"{self.step:34s} {self.rows:7d} rows: left out, it would take too long"
        took = f"{self.seconds:8.2f} s {self.peak:6.0f} MB"
        return f"{self.step:34s} {self.rows:7d} rows {took}  rows^{self.exponent:.2f}"


def measure(sizes=SIZES, steps=None, limit=LIMIT):
    """Yields the rows of this benchmark.

    A size at which a step would take more than `limit` seconds, did it grow as before and at least
    as its rows, is left out, and so are larger ones.
    """
    for step in STEPS if steps is None else steps:
        measured = []
        for size in sizes:
            if measured and _expected(measured[-1], size) > limit:
                yield Growth(step, size, math.nan, math.nan, math.nan)
                break
            exponent, (seconds, peak) = math.nan, _elsewhere(step, size)
            if measured:
                last = measured[-1]
                exponent = math.log(seconds / last.seconds) / math.log(size / last.rows)
            measured.append(Growth(step, size, seconds, peak, exponent))
            yield measured[-1]


def _expected(last, size):
    """Returns the seconds that a step should take at a size, by what it took at the one before."""
    exponent = max(1, 0 if math.isnan(last.exponent) else last.exponent)
    return last.seconds * (size / last.rows) ** exponent


def _elsewhere(step, size):
    """Returns the seconds and the peak of a step that runs in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.growth", step, str(size)]
    root = Path(__file__).parents[1]
    return json.loads(subprocess.run(command, cwd=root, check=True, stdout=subprocess.PIPE).stdout)


def made_up(rows, seed=0):
    """Makes up a cohort: no file is there, every fact is drawn, the group for each patient."""
    rng = np.random.default_rng(seed)
    count = math.ceil(rows / PER_PATIENT)
    patients = rng.integers(0, count, rows)
    groups = rng.choice(list(GROUPS), count, p=(0.4, 0.25, 0.25, 0.1))[patients]
    answers = pd.DataFrame(encode(groups), columns=list(TARGETS))
    facts = {
        "file": [f"films/{i:06d}.png" for i in range(rows)],
        "path": "",
        "group": groups,
        "patient": [f"p{i:06d}" for i in patients],
        "source": rng.choice(["one", "other"], rows),
        "publication": "",
        "view": rng.choice(["PA", "AP"], rows),
        "age_group": rng.choice(["adult", "child"], rows),
    }
    return pd.concat([pd.DataFrame(facts), answers], axis=1)


def thumbnails(rows):
    """Makes up pictures, uint8 (rows, 64, 64); every hundredth is a darker copy of the one before.

    Blurred noise: no two are alike by chance.
    """
    rng = np.random.default_rng(0)
    small = np.empty((rows, baselines.EDGE, baselines.EDGE), np.uint8)
    for i in range(rows):
        noise = rng.integers(0, 256, (16, 16), dtype=np.uint8)
        small[i] = cv2.resize(noise, small.shape[1:], interpolation=cv2.INTER_CUBIC)
    small[COPIES::COPIES] = small[COPIES - 1 : -1 : COPIES] // 10 * 9
    return small


def _with_facts(rows):
    """Makes up a cohort with what `audit.facts` finds out of files."""
    rng = np.random.default_rng(1)
    picture = np.arange(rows)
    picture[COPIES::COPIES] -= 1
    drawn = {name: rng.random(rows) * 1000 for name in audit.NUMBERS}
    digests = {"content": picture.astype(str), "picture": picture.astype(str)}
    return made_up(rows).assign(error="", format="PNG", mode="grey", **digests, **drawn)


def _answers(rows):
    """Makes up truth and probabilities of a run's test radiographs."""
    table, rng = made_up(rows), np.random.default_rng(2)
    truth = table[list(TARGETS)].to_numpy()
    said = 0.4 * truth + 0.6 * rng.random(truth.shape)
    facts = table[["file", "group", "patient"]].assign(copy=0, split="test")
    facts[[f"y_{target}" for target in TARGETS]] = truth
    facts[[f"p_{target}" for target in TARGETS]] = said
    return facts


def _run(folder, rows):
    """Writes a run that tested so many radiographs, and reads it."""
    answers = _answers(rows)
    answers.to_csv(folder / "predictions.csv", index=False)
    metrics.of_predictions(answers[:1000]).to_csv(folder / "metrics.csv", index=False)
    history = {"epoch": [1], "seconds": 1, "loss": 1, "val_loss": 1, "accuracy": 1}
    pd.DataFrame(history).assign(val_accuracy=1).to_csv(folder / "history.csv", index=False)
    np.save(folder / "heatmaps.npy", np.ones((rows, 16, 16), np.uint8))
    info = {"experiment": "A", "arm": "efficient", "architecture": "efficient", "weights": "none"}
    info |= {"cohort": "phantom", "seed": 1}
    return runs.Run(folder, info | {"state": runs.FINISHED})


def _reading(folder, rows):
    (folder / "films").mkdir()
    table = made_up(rows).drop(columns="path")
    for file in table["file"]:
        (folder / file).touch()
    table.to_csv(folder / "mine.csv", index=False)
    return lambda: cohort.read_folder(folder / "mine.csv")


def _problems(folder, rows):
    table = _with_facts(rows)
    return lambda: audit.problems(table)


def _confounders(folder, rows):
    table = _with_facts(rows)
    return lambda: audit.confounders(table)


def _baselines(folder, rows):
    table, small = made_up(rows), thumbnails(rows)
    return lambda: baselines.measure(baselines.features(small), table)


def _by_patient(folder, rows):
    table = made_up(rows)
    return lambda: cohort.split_by_patient(table, 1)


def _in_folds(folder, rows):
    table = made_up(rows)
    return lambda: cohort.split_in_folds(table, 1, 5, 1)


def _duplicates(folder, rows):
    table, small = made_up(rows), thumbnails(rows)
    return lambda: duplicates.near_duplicates(table, small)


def _cache(folder, rows, name="one.npy"):
    keys, grey = [f"{i:032d}" for i in range(rows)], np.full((16, 16, 3), 99, np.uint8)
    return lambda: images.cache(folder / name, keys, 16, lambda i: grey)


def _cache_again(folder, rows):
    _cache(folder, rows)()
    return _cache(folder, rows, "other.npy")


def _evaluate(folder, rows):
    answers = _answers(rows)
    return lambda: metrics.of_predictions(answers)


def _tables(folder, rows):
    run = _run(folder, rows)
    shown = (tables.overall, tables.per_target, tables.predictive_values)
    return lambda: [table([run]) for table in shown]


def _gallery(folder, rows):
    run, table = _run(folder, rows), made_up(rows).assign(copy=0, split="test")
    pixels = _cache(folder, rows)()
    return lambda: gallery.panel([run], table, pixels, lambda row: {})


STEPS = {
    "a table read and checked": _reading,
    "problems of a cohort": _problems,
    "confounders": _confounders,
    "baselines, five folds": _baselines,
    "split by patient": _by_patient,
    "split in folds": _in_folds,
    "near-duplicates": _duplicates,
    "pixel cache, new": _cache,
    "pixel cache, from another one": _cache_again,
    "measures and intervals, by patient": _evaluate,
    "tables of a run": _tables,
    "gallery of a run": _gallery,
}
"""Name of a step -> function of an empty folder and a number of rows that makes its input and
returns the step, to be called."""


def _taken(step, rows):
    """Returns the seconds of a step, and the most MB that this process had to itself meanwhile."""
    with tempfile.TemporaryDirectory() as folder:
        call = STEPS[step](Path(folder), rows)
        with Memory() as memory:
            start = time.process_time()
            call()
            taken = time.process_time() - start
    return taken, memory.peak


if __name__ == "__main__":
    print(json.dumps(_taken(sys.argv[1], int(sys.argv[2]))))
