"""What the book's prose says in numbers comes from runs."""

from cxrlib import prose
from tests.conftest import make_run


def test_prose_speaks_for_the_arm_with_the_lowest_validation_loss(these):
    numbers = prose.experiment(these)
    assert repr(numbers["chosen_arm"]) == "Efficient"
    assert numbers["n_arms_not_run"] == 1
    assert numbers["covid_patients"] == 5
    assert all(isinstance(value, float | str) for value in numbers.values())


def test_the_front_page_has_its_numbers(tmp_path):
    by_experiment = {name: [make_run(tmp_path, experiment=name)] for name in "ABC"}
    numbers = prose.headline(by_experiment)
    assert numbers["n_arms_run"] == 3
    assert numbers["cohort"] == "phantoms"
    assert 0 <= numbers["headline_covid_recall_c"] <= 100


def test_effort_counts_what_ran_and_what_did_not(these):
    numbers = prose.effort(these)
    assert numbers["training_minutes"] == 5
    assert (numbers["arms_finished"], numbers["arms_missing"]) == (1, 1)
