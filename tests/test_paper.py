"""The paper's printed numbers, as they were printed."""

import filecmp
from importlib import resources
from pathlib import Path

import pytest

from cxrlib import experiments, metrics, paper
from cxrlib.targets import TARGETS

SHARED = Path(__file__).parents[1].parent / "shared"


def one(**wanted):
    table = paper.published()
    for column, value in wanted.items():
        table = table[table[column] == value]
    assert len(table) == 1
    return table.iloc[0]


def test_per_cent_become_shares_and_the_hamming_loss_stays_one():
    arm = {"experiment": "A", "architecture": "densenet121", "weights": "none", "target": "all"}
    accuracy = one(**arm, metric="accuracy")
    assert accuracy["value"] == pytest.approx(0.8234)
    assert (accuracy["low"], accuracy["high"]) == pytest.approx((0.7921, 0.8547))
    hamming = one(**arm, metric="hamming_loss")
    assert hamming["value"] == pytest.approx(0.0622)
    assert hamming["high"] - hamming["value"] == pytest.approx(0.0198)


def test_the_wald_artefact_is_kept_as_printed():
    perfect = paper.published().query("target == 'COVID' and metric == 'recall' and value == 1")
    assert len(perfect) > 0
    assert (perfect["low"] == 1).all()


def test_names_are_the_ones_that_runs_and_measures_use():
    table = paper.published()
    assert set(table["experiment"]) == set(experiments.EXPERIMENTS)
    assert set(table["target"]) == {"all", *TARGETS}
    assert set(table["metric"]) == {*metrics.OVERALL, *metrics.PER_TARGET}
    for experiment, rows in table.groupby("experiment"):
        arms = {experiments.Arm(*arm) for arm in zip(rows["architecture"], rows["weights"])}
        known = set(experiments.EXPERIMENTS[experiment].arms)
        best = {arm._replace(weights="imagenet") for arm in known if arm.weights == "best"}
        assert arms == {arm for arm in known if arm.weights != "best"} | best


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the published tables in ../shared")
def test_no_printed_number_was_changed_on_the_way():
    facts = resources.files("cxrlib.facts").joinpath("published_tables.csv")
    assert filecmp.cmp(facts, SHARED / "paper/published_tables.csv", shallow=False)
