"""What the book's prose says in numbers comes from runs."""

import numpy as np
import pandas as pd

from cxrlib.pages import prose
from cxrlib.study import runs
from tests.conftest import make_run

LOST = {"state": runs.NOT_RUN, "reason": "training diverged"}


def test_prose_speaks_for_the_arm_with_the_lowest_validation_loss(these):
    numbers = prose.experiment(these)
    assert repr(numbers["chosen_arm"]) == "Efficient"
    assert numbers["n_arms_not_run"] == 1
    assert numbers["covid_patients"] == 5
    assert "no arm that starts from them was run" in numbers["pretrained"]
    assert all(isinstance(value, float | str) for value in numbers.values())


def test_where_no_arm_finished_the_same_keys_say_so(these, tmp_path):
    lost = {name: [make_run(tmp_path / "lost", experiment=name, **LOST)] for name in "ABC"}
    numbers = prose.experiment(lost["A"])
    assert set(numbers) == set(prose.experiment(these))
    assert np.isnan(numbers["harsh"])
    assert numbers["chosen_arm"] == "no arm, because none finished"
    assert (numbers["n_arms_run"], numbers["n_arms_not_run"]) == (0, 1)
    spoken = {name: [make_run(tmp_path / "ran", experiment=name)] for name in "ABC"}
    assert set(prose.headline(lost)) == set(prose.headline(spoken))
    assert prose.headline({**spoken, "C": lost["C"]})["n_arms_run"] == 2
    assert runs.speakers(lost) == []
    assert [run.experiment for run in runs.speakers({**spoken, "C": lost["C"]})] == ["A", "B"]
    assert prose.effort(lost["A"])["precision"] == "no arm"


def test_the_front_page_has_its_numbers(tmp_path):
    by_experiment = {name: [make_run(tmp_path, experiment=name)] for name in "ABC"}
    numbers = prose.headline(by_experiment)
    assert numbers["n_arms_run"] == 3
    assert numbers["cohort"] == "phantoms"
    assert 0 <= numbers["headline_covid_recall_c"] <= 100


def test_the_arms_that_look_at_the_lungs_more_than_a_blot_does_are_counted():
    row = {"experiment": "A", "weights": "none", "region": "lungs"}
    measured = pd.DataFrame(
        [
            row | {"architecture": name, "measure": measure, "value": value}
            for name, energy in (("efficient", 0.6), ("resnet50", 0.4))
            for measure, value in (("energy", energy), ("gaussian", 0.5))
        ]
    )
    said = prose.looking(measured)
    assert said["looking_number"] == "1 of 2"
    assert said["looking"].startswith("Of 2 arms, 1 have")
    unknown = prose.looking(measured[:0])
    assert unknown["looking_number"] == "not known"
    assert "nothing is measured" in unknown["looking"]


def test_effort_counts_the_arms_that_ran_and_those_that_did_not(these):
    numbers = prose.effort(these)
    assert numbers["training_minutes"] == 5
    assert (numbers["arms_finished"], numbers["arms_missing"]) == (1, 1)
