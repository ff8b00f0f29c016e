"""Profiles say how big a study runs, and refuse what they do not understand by name."""

import dataclasses
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrlib import networks
from cxrlib.errors import InputError
from cxrlib.study import experiments, profiles

FOLDER = Path(__file__).parents[1] / "profiles"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yml")), ids=lambda path: path.name)
def test_every_shipped_profile_reads_and_is_named_as_its_file(path):
    assert profiles.read(path).name == path.stem


def test_the_defaults_are_the_quick_profile():
    assert profiles.read(FOLDER / "quick.yml") == profiles.Profile()


def test_the_paper_profile_is_the_papers_schedule_to_the_number():
    paper = profiles.read(FOLDER / "paper.yml")
    for name, experiment in experiments.EXPERIMENTS.items():
        for architecture in networks.ARCHITECTURES:
            assert paper.schedule(experiment, architecture) == experiment.schedule
        assert paper.experiment(name).copies == experiment.copies
    assert paper.image_size == 768
    assert [arm.name for arm in paper.experiment("B").arms] == [
        "densenet121-imagenet", "resnet50-imagenet", "efficient",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"epohcs": 1}, "unknown parameter 'epohcs': did you mean 'epochs'?"),
        ({"epochs": "many"}, "epochs is 'many' .str.: it must be int"),
        ({"epochs": True}, "epochs is True .bool.: it must be int"),
        ({"epochs": 1.5}, "epochs is 1.5 .float.: it must be int"),
        ({"epochs": -1}, "epochs is -1: it cannot be negative"),
        ({"image_size": 64}, "image_size is 64: at least 121"),
        ({"mark_tie": 1.5}, "mark_tie is 1.5: it lies between 0 and 1"),
        ({"more_seeds": [718]}, "more_seeds is .718.: each seed once"),
        ({"more_seeds": [-1]}, "seed is -1: it lies between"),
        ({"folds": 3}, "folds are of patients; set split: by-patient"),
        ({"folds": 1, "split": "by-patient"}, "folds is 1: 0 for one split, or 2 to 10"),
        ({"folds": 11, "split": "by-patient"}, "folds is 11: at most 10"),
        ({"fold": 2}, "fold is 2: 1 to 1"),
        ({"source_tie": 2.0}, "source_tie is 2.0: it lies between 0 and 1"),
        ({"cohort": "phantoms"}, "cohort: unknown 'phantoms' .did you mean 'phantom'?"),
        ({"arms": 3}, "arms is 3: it must be a list of names"),
        ({"arms": "[efficient: 1]"}, "arms: unknown 'efficient: 1'"),
        ({"arms": "efficient,"}, "arms: unknown ''"),
        ({"more_seeds": "9" * 5000}, "it must be a list of whole numbers"),
        ({"more_seeds": "719, many"}, "more_seeds is '719, many': it must be a list of whole"),
        ({"arms": ["eficient"]}, "arms: unknown 'eficient' .did you mean 'efficient'?"),
        ({"precision": "half"}, "precision: unknown 'half'"),
        ({"name": "My Study"}, "name 'My Study': use small letters"),
        ({"covid": 2}, "covid is 2: at least 5"),
    ],
)
def test_what_cannot_be_run_is_refused_by_name(given, message):
    with pytest.raises(InputError, match=message):
        profiles.from_mapping(given)


def test_a_file_that_is_no_profile_is_refused_with_its_name(tmp_path):
    with pytest.raises(InputError, match="no profile .*there are"):
        profiles.read(FOLDER / "quik.yml")
    for text, message in [("- 1", "name: value"), ("a: [", "is not YAML"), ("cvoid: 9", "'covid'")]:
        (tmp_path / "odd.yml").write_text(text)
        with pytest.raises(InputError, match=message) as caught:
            profiles.read(tmp_path / "odd.yml")
        assert "odd.yml" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_study_has_another_folder_when_its_runs_would_differ():
    quick = profiles.Profile()
    assert profiles.Profile(epochs=1).folder_name != quick.folder_name
    assert profiles.Profile(seed=1).folder_name != quick.folder_name
    assert profiles.Profile(arms=("efficient",), threads=2).folder_name == quick.folder_name


def test_a_studys_folder_says_in_words_what_one_or_two_parameters_changed():
    named = profiles.Profile(epochs=1, mark_tie=0.5).folder_name
    assert re.fullmatch(r"quick-mark-tie-0\.5-epochs-1-[0-9a-f]{8}", named)
    for changes in ({}, {"epochs": 1, "seed": 1, "copies": 1}):
        assert re.fullmatch("quick-[0-9a-f]{8}", profiles.Profile(**changes).folder_name)


def test_deep_networks_can_be_given_fewer_epochs_and_never_more():
    profile = profiles.Profile(epochs=1, deep_epochs=3)
    for architecture in networks.ARCHITECTURES:
        assert profile.schedule(experiments.A, architecture).epochs == 1
    profile = profiles.Profile(epochs=9, deep_epochs=3)
    assert profile.schedule(experiments.A, "resnet50").epochs == 3
    assert profile.schedule(experiments.A, "efficient").epochs == 9


def test_asking_for_one_arm_keeps_its_best_of_a_sister():
    profile = profiles.Profile(arms=("densenet121-none", "efficient"))
    assert [arm.name for arm in profile.experiment("A").arms] == ["densenet121-none", "efficient"]
    assert [arm.name for arm in profile.experiment("B").arms] == ["densenet121-best", "efficient"]


FIELDS = {field.name: field for field in dataclasses.fields(profiles.Profile)}
WRONG = {
    int: st.one_of(st.booleans(), st.none(), st.text(), st.floats(), st.lists(st.integers())),
    float: st.one_of(st.booleans(), st.none(), st.text(), st.lists(st.floats())),
    str: st.one_of(st.booleans(), st.none(), st.integers(), st.floats(), st.lists(st.text())),
    tuple: st.one_of(st.booleans(), st.none(), st.integers(), st.floats(), st.just([1])),
    tuple[int, ...]: st.one_of(
        st.booleans(), st.none(), st.floats(), st.text("abcx", min_size=1), st.just([True])
    ),
}


@given(st.data(), st.sampled_from(sorted(FIELDS)))
def test_a_value_of_another_type_is_refused_by_the_parameters_name(data, name):
    kind = FIELDS[name].type if FIELDS[name].type in WRONG else tuple
    value = data.draw(WRONG[kind])
    with pytest.raises(InputError, match=f"^{name} is .*it must be "):
        profiles.from_mapping({name: value})


@given(st.text().filter(lambda name: name not in FIELDS))
def test_any_unknown_parameter_is_refused_with_a_hint(name):
    with pytest.raises(InputError, match=r"unknown parameter .*(did you mean|expected one of)"):
        profiles.from_mapping({name: 1})


OTHER = {
    "name": "other", "cohort": "coronahack", "data": "elsewhere", "split": "by-patient",
    "arms": ("efficient",), "initialisation": "none", "precision": "float32", "mark_tie": 0.5,
    "cover": "lungs", "learning_rate": 0.5, "more_seeds": (3,), "folds": 4,
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(FIELDS))
def test_what_changes_a_run_changes_the_folder_and_nothing_else_does(name):
    folded = {"split": "by-patient", "folds": 5} if name in ("folds", "fold") else {}
    quick = profiles.Profile(**folded)
    value = OTHER[name] if name in OTHER else getattr(quick, name) + 1
    changed = dataclasses.replace(quick, **{name: value})
    same = changed.folder_name == quick.folder_name
    assert same == (name in ("data", "arms", "threads", "more_seeds"))


def test_every_seed_and_fold_is_a_trial_with_a_folder_of_its_own():
    several = profiles.Profile(seed=1, more_seeds=[5, 9], split="by-patient", folds=3)
    trials = several.trials
    assert [(t.seed, t.fold) for t in trials] == [(s, f) for s in (1, 5, 9) for f in (1, 2, 3)]
    assert len({trial.folder_name for trial in trials}) == 9
    assert trials[0].folder_name == several.folder_name
    assert [trial.trial_name for trial in trials[:2]] == ["seed-1-fold-1", "seed-1-fold-2"]
    assert several.trial(5, 2) in trials
    assert several.trial() == trials[0]
    for seed, fold in ((2, 1), (1, 4)):
        with pytest.raises(InputError, match=f"seed {seed}, fold {fold}: not among"):
            several.trial(seed, fold)


def test_another_seed_leaves_the_runs_of_the_first_where_they_are():
    one = profiles.Profile(seed=3)
    assert profiles.Profile(seed=3, more_seeds=[4]).trials[0].folder_name == one.folder_name
    assert profiles.Profile(seed=3, more_seeds=[4]).trials[1] == profiles.Profile(seed=4)


def test_a_file_that_is_no_text_is_refused_with_its_name(tmp_path):
    (tmp_path / "p.yml").write_bytes(b"name: \xff")
    with pytest.raises(InputError, match="p.yml"):
        profiles.read(tmp_path / "p.yml")


@pytest.mark.parametrize(
    "given",
    [
        {"learning_rate": float("nan")},
        {"learning_rate": float("inf")},
        {"mark_tie": float("nan")},
        {"mark_tie": 1.5},
        {"seed": 2**32},
    ],
)
def test_numbers_that_no_study_can_use_are_refused_by_name(given):
    with pytest.raises(InputError, match=next(iter(given))):
        profiles.from_mapping(given)


@pytest.mark.parametrize(
    ("written", "read_as"),
    [
        ("learning_rate: 1e-4", 1e-4), ("learning_rate: 1E-4", 1e-4),
        ("learning_rate: 1.e-4", 1e-4), ("learning_rate: .5", 0.5), ("mark_tie: 1", 1.0),
        ("seed: 7", 7), ("epochs: +9", 9),
    ],
)  # fmt: skip
def test_a_number_is_read_as_most_people_write_it(tmp_path, written, read_as):
    (tmp_path / "p.yml").write_text(written)
    assert getattr(profiles.read(tmp_path / "p.yml"), written.split(":")[0]) == read_as


@given(st.floats(0, 1, exclude_min=True))
def test_any_float_that_python_writes_is_read_back(tmp_path_factory, value):
    path = tmp_path_factory.getbasetemp() / "float.yml"
    path.write_text(f"learning_rate: {value!r}")
    assert profiles.read(path).learning_rate == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs: 3\nseed: 1\nepochs: 4\n", "epochs is there twice"),
        ("epochs: 3\n'epochs': 4\n", "epochs is there twice"),
        ("seed: 010", "seed is '010' .str.: it must be int"),  # 8, to YAML 1.1
        ("epochs: 1:30", "epochs is '1:30' .str.: it must be int"),  # 90
        ("threads: 0x10", "threads is '0x10'"),
        ("learning_rate: .inf", "learning_rate is inf: it must be a finite number"),
    ],
)
def test_what_yaml_would_make_of_a_slip_is_refused(tmp_path, text, message):
    (tmp_path / "p.yml").write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        profiles.read(tmp_path / "p.yml")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("threads: 99999999", "threads is 99999999: at most 1024"),
        ("copies: 1000000000", "copies is 1000000000: at most 1000"),
        ("image_size: 100000", "image_size is 100000: at most 4096"),
        ("epochs: 10001", "epochs is 10001: at most 10000"),
        ("normal: 2000000", "normal is 2000000: at most 1000000"),
        ("epochs: " + "9" * 5000, "is not YAML: Exceeds the limit"),
        ("epochs: 0x" + "f" * 5000, "epochs is '0xff"),
        ("more_seeds: [0x" + "f" * 5000 + "]", "more_seeds is ..0xff"),
        ("mark_tie: " + "9" * 400, "mark_tie is a number of too many digits"),
        (f"more_seeds: {list(range(99))}", "more_seeds has 99 seeds: at most 60"),
        ("name: " + "a" * 500, "name has 500 letters: at most 60"),
        ("arms: " + "[" * 60000, "must hold `name: value` lines"),
        ("- " * 20000, "must hold `name: value` lines"),
        ("a: &a [x]\nb: [*a, *a]", "line 1: a profile has no &, "),
        ("data: !!timestamp x", "line 1: a profile has no &, "),
        ("data: 2020-13-45", "is not YAML: month must be in 1..12"),
        ('data: "\\e[31m"', r"data is '\\x1b.31m': no path has such letters"),
        ("#" * 2**17, "is longer than 65536 bytes"),
    ],
    ids=lambda text: text[:20],
)
def test_a_profile_that_no_machine_could_run_is_refused_at_once_in_a_short_line(
    tmp_path, text, message
):
    (tmp_path / "odd.yml").write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        profiles.read(tmp_path / "odd.yml")
    assert str(caught.value).startswith(str(tmp_path / "odd.yml"))
    assert len(str(caught.value)) < 800
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("typed", ["efficient", "[efficient]", " [ 'efficient' ] ", ["efficient"]])
def test_a_list_is_read_as_users_of_papermill_type_it(typed):
    assert profiles.Profile(arms=typed).arms == ("efficient",)
    both = profiles.Profile(arms="efficient, resnet50-none", more_seeds="[719, 720]")
    assert (both.arms, both.more_seeds) == (("efficient", "resnet50-none"), (719, 720))
    assert profiles.Profile(arms="[]", more_seeds=719).more_seeds == (719,)
