"""Networks are trained once more, and the labels of some of them are dealt out at random."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from cxrlib import study
from cxrlib.shortcuts import retraining
from cxrlib.targets import TARGETS
from tests.conftest import make_run

RNG = np.random.default_rng(4)


def test_shuffled_labels_are_the_same_labels_on_other_radiographs_and_the_test_keeps_its_own():
    n = 60
    table = pd.DataFrame(RNG.integers(0, 2, (n, 5)), columns=list(TARGETS))
    table["split"] = np.repeat(["train", "validation", "test"], n // 3)
    dealt = retraining.shuffle(table, seed=2)
    for split, rows in table.groupby("split"):
        theirs = dealt.loc[rows.index, list(TARGETS)]
        assert sorted(theirs.to_numpy().tolist()) == sorted(rows[list(TARGETS)].to_numpy().tolist())
        assert (theirs.to_numpy() == rows[list(TARGETS)].to_numpy()).all() == (split == "test")
    assert dealt.equals(retraining.shuffle(table, seed=2))


@pytest.mark.slow
def test_a_network_is_retrained_once_from_another_seed_or_on_shuffled_labels(tiny, project):
    once = dataclasses.replace(tiny, epochs=1)
    run = make_run(project, image_size=121)
    true, nonsense = (retraining.retrain(once, run, seed=5, shuffled=s) for s in (False, True))
    first = true.get_weights()[0]
    assert (first != nonsense.get_weights()[0]).any()
    written = (run.folder / "sanity" / "seed-5" / "model.keras").stat().st_mtime_ns
    again = retraining.retrain(once, run, seed=5)
    assert (again.get_weights()[0] == first).all()
    assert (run.folder / "sanity" / "seed-5" / "model.keras").stat().st_mtime_ns == written
    assert study.cohort(once)["COVID"].sum() == 6


def test_efficient_and_the_deep_arm_with_the_lowest_validation_loss_are_tested(tmp_path):
    worse, better = make_run(tmp_path, "resnet50"), make_run(tmp_path, "densenet121")
    better.history.assign(val_loss=0.1).to_csv(better.folder / "history.csv", index=False)
    missing = make_run(tmp_path, "resnet50", "imagenet", state="not run", reason="weights")
    efficient = make_run(tmp_path)
    assert retraining.tested([worse, missing, better, efficient]) == [efficient, better]
    assert retraining.tested([missing, worse]) == [worse]
