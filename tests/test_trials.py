"""What several seeds and folds say: the spread of trainings, apart from that of patients."""

import numpy as np
import pandas as pd
import pytest

from cxrlib import metrics
from cxrlib.errors import InputError
from cxrlib.pages import tables
from cxrlib.study import runs, trials
from tests.conftest import make_run


def harsh(table):
    return table[(table["target"] == "all") & (table["metric"] == "accuracy")]


def test_each_seed_is_measured_as_its_run_was(tmp_path):
    made_runs = [make_run(tmp_path / str(seed), seed=seed) for seed in (1, 2, 3)]
    found = trials.measured(made_runs)
    assert found["seed"].unique().tolist() == [1, 2, 3]
    for run in made_runs:
        own = found[found["seed"] == run.info["seed"]]
        assert harsh(own)["value"].tolist() == harsh(run.metrics)["value"].tolist()


def test_folds_are_pooled_so_that_each_radiograph_counts_once(tmp_path):
    made_runs = [make_run(tmp_path / str(k), seed=1, split=f"fold {k} of 2") for k in (1, 2)]
    second = made_runs[1].predictions
    second[["file", "patient"]] += " of the other fold"
    second.to_csv(made_runs[1].folder / "predictions.csv", index=False)
    found = trials.measured(made_runs)
    pooled = pd.concat([run.test_predictions for run in made_runs], ignore_index=True)
    assert harsh(found)["value"].tolist() == harsh(metrics.of_predictions(pooled))["value"].tolist()
    assert harsh(found)["n"].iloc[0] == 2 * harsh(made_runs[0].metrics)["n"].iloc[0]


@pytest.mark.parametrize("facts", [{"image_size": 224}, {}])
def test_two_runs_of_a_seed_on_the_same_radiographs_are_no_folds(tmp_path, facts):
    """As of two image sizes, or the same run found in two places: all would be counted twice."""
    both = [make_run(tmp_path / "one"), make_run(tmp_path / "other", **facts)]
    said = "one/A/efficient-none and .*other/A/efficient-none were both tested on 0 with seed 1"
    with pytest.raises(InputError, match=said):
        trials.measured(both)


def test_arms_that_took_other_initialisations_in_other_seeds_are_called_best(tmp_path):
    made_runs = []
    for seed, weights in ((1, "none"), (2, "imagenet")):
        run = make_run(tmp_path / str(seed), "resnet50", weights, experiment="B", seed=seed)
        moved = run.folder.rename(run.folder.with_name("resnet50-best"))
        made_runs.append(runs.load(moved))
    assert trials.measured(made_runs)["weights"].unique().tolist() == ["best"]
    assert tables.seeds(made_runs)["Arm"][0] == "ResNet-50 (best start)"
    assert trials.measured(made_runs[:1])["weights"].unique().tolist() == ["none"]


def test_runs_that_did_not_finish_are_no_trials(made_runs):
    with pytest.raises(InputError, match="none of these runs is finished"):
        trials.measured(made_runs[1:])


def test_the_spread_is_that_of_the_seeds():
    table = pd.DataFrame({
        "experiment": "A", "architecture": "efficient", "weights": "none", "seed": [1, 2, 3],
        "target": "all", "metric": "accuracy", "value": [0.7, 0.8, 0.9],
    })  # fmt: skip
    found = trials.spread(table).iloc[0]
    assert (found["seeds"], found["smallest"], found["largest"]) == (3, 0.7, 0.9)
    assert found[["mean", "sd"]].tolist() == pytest.approx([0.8, 0.1])
    assert np.isnan(trials.spread(table[:1]).iloc[0]["sd"])


def test_a_seed_of_which_a_measure_is_undefined_is_not_counted():
    table = pd.DataFrame({
        "experiment": "A", "architecture": "efficient", "weights": "none", "seed": [1, 2, 3],
        "target": "COVID", "metric": "precision", "value": [0.7, np.nan, 0.9],
    })  # fmt: skip
    assert trials.spread(table).iloc[0]["seeds"] == 2
    assert trials.spread(table[:2]).iloc[0]["seeds"] == 1


def test_one_more_seed_falls_into_its_interval_in_95_of_100_studies():
    rng = np.random.default_rng(0)
    for n in (3, 5):
        values = rng.normal(0.8, 0.03, (4000, n + 1))
        inside = [trials.expected(row[:n]) for row in values]
        held = [low <= row[n] <= high for row, (low, high) in zip(values, inside)]
        assert np.mean(held) == pytest.approx(0.95, abs=0.012)


def test_a_printed_value_is_judged_by_the_spread_of_three_seeds_or_more_only():
    assert trials.verdict([0.80, 0.81, 0.79], 0.82) == "in range"
    assert trials.verdict([0.80, 0.81, 0.79], 0.90) == "out of range"
    assert trials.verdict([0.80, 0.81], 0.80) == "not said"
    assert trials.verdict([0.80, 0.81, 0.79], np.nan) == "not said"
    assert trials.verdict([0.80, np.nan, 0.79], 0.8) == "not said"


def test_a_table_of_one_seed_says_that_the_spread_was_not_measured(made_runs):
    frame = tables.seeds(made_runs)
    assert len(frame) == 3
    assert (frame["Seeds"] == 1).all()
    assert (frame["Over seeds"] == "–").all()
    assert (frame["Paper's is"] == "not said").all()


def test_a_table_of_seeds_has_their_mean_beside_the_first_and_the_papers(tmp_path):
    several = [make_run(tmp_path / f"{k}", seed=k, cohort="coronahack") for k in (1, 2, 3)]
    table = tables.seeds(several)
    values = 100 * harsh(trials.measured(several))["value"]
    row = table.iloc[0]
    assert row["Over seeds"] == f"{values.mean():.1f} ± {values.std():.1f}"
    assert row["Paper"] == "80.1"
    assert row["Paper's is"] in ("in range", "out of range")


def test_the_difference_of_two_ways_to_train_has_welchs_interval():
    mean, low, high = trials.shift([0.8, 0.9, 0.85], [0.9, 0.95, 0.94, 0.97])
    assert mean == pytest.approx(0.09)
    # By hand: standard error 0.0324, 3.04 degrees of freedom, t = 3.16.
    assert (low, high) == pytest.approx((-0.0124, 0.1924), abs=0.0003)
    swapped = trials.shift([0.9, 0.95, 0.94, 0.97], [0.8, 0.9, 0.85])
    assert swapped == pytest.approx((-mean, -high, -low))
