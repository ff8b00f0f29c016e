"""Two studies are compared arm by arm, and what differs is named."""

import json

import pytest

from cxrlib.errors import InputError
from cxrlib.study import reproduction, runs
from tests.conftest import make_run


def changed(run, by):
    """Writes other probabilities of COVID into a run."""
    predictions = run.predictions
    predictions["p_COVID"] = (predictions["p_COVID"] + by).clip(0, 1)
    predictions.to_csv(run.folder / "predictions.csv", index=False)
    return run


def only(table):
    assert len(table) == 1
    return table.iloc[0]


def test_the_order_of_rows_does_not_matter_when_runs_are_compared(tmp_path):
    one, other = make_run(tmp_path / "one"), make_run(tmp_path / "other")
    shuffled = other.predictions.sample(frac=1, random_state=1)
    shuffled.to_csv(other.folder / "predictions.csv", index=False)
    row = only(reproduction.compare([one], [other]))
    assert row[["verdict", "largest", "turned", "differs"]].tolist() == ["identical", 0, 0, ""]


@pytest.mark.parametrize("by, verdict", [(1e-5, "rounding"), (0.3, "different")])
def test_the_distance_between_two_runs_answers_is_reported(tmp_path, by, verdict):
    one, other = make_run(tmp_path / "one"), changed(make_run(tmp_path / "other"), by)
    row = only(reproduction.compare([one], [other]))
    assert row["verdict"] == verdict
    assert row["largest"] == pytest.approx(by, rel=0.01)
    assert (row["turned"] > 0) == (verdict == "different")


def test_facts_that_differ_are_named_and_times_are_not(tmp_path):
    nested = {"profile": {"covid": 45, "threads": 2, "name": "one"}}
    one = make_run(tmp_path / "one", seed=2, training_seconds=1.0, **nested)
    nested = {"profile": {"covid": 90, "threads": 1, "name": "other"}}
    other = make_run(tmp_path / "other", **nested)
    row = only(reproduction.compare([one], [other]))
    assert row["differs"] == "profile.covid: 90 -> 45; seed: 1 -> 2"


def test_arms_that_are_missing_or_did_not_run_are_named(tmp_path):
    absent = {"state": runs.NOT_RUN, "reason": "weights unavailable"}
    here = [
        make_run(tmp_path / "one"),
        make_run(tmp_path / "one", "resnet50", "imagenet", **absent),
        make_run(tmp_path / "one", "densenet121", "imagenet", **absent),
    ]
    there = [
        make_run(tmp_path / "other", experiment="B"),
        make_run(tmp_path / "other", "resnet50", "imagenet"),
        make_run(tmp_path / "other", "densenet121", "imagenet", **absent),
    ]
    found = reproduction.compare(here, there).set_index(["experiment", "arm"])["verdict"]
    assert found["A", "efficient-none"] == "missing there"
    assert found["B", "efficient-none"] == "missing here"
    assert found["A", "resnet50-imagenet"] == "not run here"
    assert found["A", "densenet121-imagenet"] == "not run in either"


def test_seeds_are_matched_in_their_order(tmp_path):
    here = [make_run(tmp_path / "one" / str(seed), seed=seed) for seed in (1, 2)]
    there = [make_run(tmp_path / "other" / str(seed), seed=seed) for seed in (1, 2)]
    changed(there[1], 0.3)
    assert reproduction.compare(here, there)["verdict"].tolist() == ["identical", "different"]


def test_seeds_are_matched_whatever_their_folders_are_called(tmp_path):
    here = [make_run(tmp_path / f"one-{seed}", seed=seed) for seed in (1, 2)]
    there = [make_run(tmp_path / name, seed=seed) for name, seed in (("b", 1), ("a", 2))]
    changed(there[1], 0.3)
    others = runs.load_all(tmp_path / "a") + runs.load_all(tmp_path / "b")
    assert reproduction.compare(here, others)["verdict"].tolist() == ["identical", "different"]


def test_other_radiographs_are_not_compared(tmp_path):
    one, other = make_run(tmp_path / "one"), make_run(tmp_path / "other")
    predictions = other.predictions
    predictions["file"] = "other-" + predictions["file"]
    predictions.to_csv(other.folder / "predictions.csv", index=False)
    assert only(reproduction.compare([one], [other]))["verdict"] == "other radiographs"


def test_nothing_to_compare_is_refused():
    with pytest.raises(InputError, match="no runs"):
        reproduction.compare([], [])


def test_a_fact_that_a_run_lacks_is_reported(tmp_path):
    one, other = make_run(tmp_path / "one"), make_run(tmp_path / "other")
    info = other.info | {"backend": "jax"}
    (other.folder / "run.json").write_text(json.dumps(info))
    row = only(reproduction.compare([one], [runs.load(other.folder)]))
    assert row["differs"] == "backend: jax -> unknown"
