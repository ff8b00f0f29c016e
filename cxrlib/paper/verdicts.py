"""Does what the paper printed come out again? Arm by arm, by a tolerance fixed beforehand."""

import numpy as np
import pandas as pd

from cxrlib import metrics, paper
from cxrlib.errors import InputError
from cxrlib.metrics import comparison
from cxrlib.study import experiments, trials

TOLERANCES = {("all", "accuracy"): 0.05, ("COVID", "recall"): 1 / 12}
"""How far from the printed value a measure comes out again: one COVID radiograph of twelve.

Fixed on 27 November 2026, before any run of Experiment C, of a second seed or of ResNet-50 was
looked at; Efficient's first runs of A and B and DenseNet-121's of A were known by then.
"""

AGAIN, NOT_AGAIN, UNSAID = "comes out again", "does not", "too few to say"
NOT_RUN, OTHER_START = "not run", "other initial weights"

_SIZED = [*trials.ARM, "image_size"]


def table(runs):
    """Compares every arm that the paper printed with its runs on the paper's radiographs.

    Runs that differ in nothing but the seed are one row: their mean, with an interval that counts
    patients, and how far the seeds lie apart.

    Args:
        runs: Runs on CoronaHack under the paper's split, finished or not, of any seeds and sizes;
            those of experiments that the paper does not have are passed over.

    Returns:
        DataFrame, a row for each arm, image size and measure of `TOLERANCES`: experiment,
        architecture, weights, image_size (NaN where not run), target, metric, paper, paper_low,
        paper_high (exact, an image in copies once; of the arm that stood in the paper's
        experiment, where ours began from other weights), value, low, high, smallest, largest,
        seeds, verdict.

    Raises:
        InputError: Runs of one arm and image size were tested on different radiographs.
    """
    of_paper = [run for run in runs if experiments.find(run.experiment).published]
    finished = [run for run in of_paper if run.finished]
    sizes = [(*run.key, run.info["image_size"]) for run in finished]
    by_arm = {key: [r for r, k in zip(finished, sizes) if k == key] for key in sorted(set(sizes))}
    printed = paper.recomputed()
    ran = {key[:3] for key in by_arm}
    arms = printed[trials.ARM].drop_duplicates().itertuples(index=False, name=None)
    by_arm |= {(*arm, np.nan): [] for arm in arms if arm not in ran}
    rows = [
        dict(zip(_SIZED, key)) | _row(own, _of_paper(printed, *key[:3], *name), *name)
        for key, own in by_arm.items()
        for name in TOLERANCES
    ]
    return pd.DataFrame(rows).sort_values(_SIZED[:3], kind="stable", ignore_index=True)


def _of_paper(printed, experiment, architecture, weights, target, metric):
    """Returns the paper's value of an arm, its ends, and whether it began from the same weights."""
    there = printed[(printed["target"] == target) & (printed["metric"] == metric)]
    rows, same = paper.of_arm(there, experiment, architecture, weights)
    return (*rows[["right", "right_low", "right_high"]].iloc[0], same)


def _row(runs, of_paper, target, metric):
    """Returns one measure of an arm's seeds beside the paper's."""
    *theirs, same = of_paper
    found = dict(zip(("paper", "paper_low", "paper_high"), theirs))
    found |= {"target": target, "metric": metric, "seeds": len(runs)}
    ends = ("value", "low", "high", "smallest", "largest")
    if not runs:
        return found | dict.fromkeys(ends, np.nan) | {"verdict": NOT_RUN}
    tested = _aligned(runs)
    each = [_hits(predictions, target) for predictions in tested]
    patients = tested[0].loc[each[0].index, "patient"]
    ours = metrics.share(np.mean(each, axis=0), patients)
    by_seed = [hits.mean() for hits in each]
    found |= dict(zip(ends, (*ours, min(by_seed), max(by_seed))))
    within = TOLERANCES[target, metric]
    return found | {"verdict": _verdict(ours, theirs, within) if same else OTHER_START}


def _aligned(runs):
    """Returns the test predictions of runs, each with the first one's radiographs in its order.

    Raises:
        InputError: They were tested on different radiographs.
    """
    tested = [run.test_predictions.set_index(["file", "copy"]) for run in runs]
    order = tested[0].index
    for run, answers in zip(runs, tested):
        alone = order.symmetric_difference(answers.index)
        if len(alone):
            raise InputError(
                f"{runs[0].folder} and {run.folder} were tested on different radiographs"
                f" ({alone[0][0]} in one of them only): judge runs of one split"
            )
    return [answers.loc[order].reset_index() for answers in tested]


def _hits(predictions, target):
    """Returns which radiographs are answered right: of the five targets all, or those with one."""
    if target == "all":
        return metrics.all_right(predictions)
    has = predictions[f"y_{target}"] == 1
    return predictions.loc[has, f"p_{target}"] >= 0.5


def _verdict(ours, theirs, within):
    less, low, high = comparison.difference(ours, theirs)
    if abs(less) <= within + 1e-9:
        return AGAIN
    return NOT_AGAIN if low > 0 or high < 0 else UNSAID
