"""A study: a profile put to work. From a profile to cohorts, pixels and trained runs.

Read `profiles` (what a study can be told), `experiments` (what is done to radiographs), `data` (the
radiographs themselves) and `arms` (from a profile to a finished run) in this order. What notebooks
use of them is here.
"""

from cxrlib.study.arms import by_experiment, ensure, every, folder, inputs, run_folder, train
from cxrlib.study.data import (
    PREDICTED,
    attention_of,
    cohort,
    everything,
    fingerprint,
    identity,
    image,
    lung_attention,
    outline,
    pixels,
    radiographs,
    regions,
    split,
    treated,
    truth,
)

__all__ = [
    "PREDICTED",
    "attention_of",
    "by_experiment",
    "cohort",
    "ensure",
    "every",
    "everything",
    "fingerprint",
    "folder",
    "identity",
    "image",
    "inputs",
    "lung_attention",
    "outline",
    "pixels",
    "radiographs",
    "regions",
    "run_folder",
    "split",
    "train",
    "treated",
    "truth",
]
