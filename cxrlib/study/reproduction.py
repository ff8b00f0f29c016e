"""Whether a study came out as another one did, arm by arm, and where it did not."""

import pandas as pd

from cxrlib.errors import InputError
from cxrlib.study.profiles import CHANGE_NO_RUN
from cxrlib.targets import TARGETS

ROUNDING = 1e-3
"""Largest difference of a probability that still counts as rounding, if no answer turns by it."""

REPRODUCED = ("identical", "rounding", "not run in either")
"""Verdicts that are no difference."""

TIMES = ("training_seconds", "last_session_seconds", "machine")
"""What run.json says of how long a run took and where: it differs always."""


def compare(runs, those):
    """Compares the runs of two studies.

    Arms are matched by experiment and name; of several seeds or folds the first with the first,
    the second with the second.

    Args:
        runs: Runs of one study.
        those: Runs of the other.

    Returns:
        DataFrame with a row an arm: experiment, arm, verdict, largest (largest difference of a
        probability), turned (answers at 0.5 that differ), accuracy and macro_f1 (this study's less
        the other's, on test radiographs), differs (facts that differ, as "fact: there -> here").
        A verdict is "identical", "rounding", "different", "other radiographs", "not run in either",
        "not run here", "not run there", "missing here" or "missing there".

    Raises:
        InputError: There is no run in either.
    """
    here, there = _placed(runs), _placed(those)
    if not here and not there:
        raise InputError("no runs to compare")
    rows = []
    for place in sorted(here | there):
        pair = here.get(place), there.get(place)
        found = {"verdict": "missing here" if pair[0] is None else "missing there"}
        if None not in pair:
            found = _verdict(*pair) | {"differs": _facts(*pair)}
        rows.append({"experiment": place[0], "arm": place[1], **found})
    columns = ["experiment", "arm", "verdict", "largest", "turned", "accuracy", "macro_f1"]
    return pd.DataFrame(rows, columns=[*columns, "differs"]).fillna({"differs": ""})


def _placed(runs):
    """Returns runs by experiment, arm and a number: of several seeds and folds 0, 1, ..."""
    placed = {}
    for run in sorted(runs, key=lambda run: (run.info["seed"], run.info["split"])):
        key = run.experiment, run.folder.name
        placed[*key, sum(key == place[:2] for place in placed)] = run
    return placed


def _verdict(here, there):
    if not (here.finished and there.finished):
        if here.finished or there.finished:
            return {"verdict": f"not run {'there' if here.finished else 'here'}"}
        return {"verdict": "not run in either"}
    names = ["file", "copy", "split"]
    one, other = (run.predictions.set_index(names).sort_index() for run in (here, there))
    if not one.index.equals(other.index):
        return {"verdict": "other radiographs"}
    p, q = (frame[[f"p_{target}" for target in TARGETS]] for frame in (one, other))
    largest, turned = float((p - q).abs().max().max()), int(((p >= 0.5) != (q >= 0.5)).sum().sum())
    verdict = "rounding" if largest <= ROUNDING and not turned else "different"
    measures = {
        name: _overall(here, name) - _overall(there, name) for name in ("accuracy", "macro_f1")
    }
    verdict = "identical" if largest == 0 else verdict
    return {"verdict": verdict, "largest": largest, "turned": turned, **measures}


def _overall(run, name):
    measured = run.metrics
    chosen = (measured["target"] == "all") & (measured["metric"] == name)
    return float(measured.loc[chosen, "value"].iloc[0])


def _facts(here, there):
    """Returns which facts of two runs differ."""
    one, other = _flat(here.info), _flat(there.info)
    return "; ".join(
        f"{name}: {other.get(name, 'unknown')} -> {one.get(name, 'unknown')}"
        for name in sorted(one | other)
        if one.get(name) != other.get(name)
    )


def _flat(info, prefix=""):
    flat = {}
    for name, value in info.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{name}.")
        elif name not in TIMES and not (prefix == "profile." and name in CHANGE_NO_RUN):
            flat[prefix + name] = value
    return flat
