"""The paper's printed numbers: kept as printed, computed again from the counts, and audited."""

import filecmp
import subprocess
import sys
from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxrlib import cohort, metrics, paper
from cxrlib.pages import figures
from cxrlib.study import experiments
from cxrlib.targets import GROUPS, TARGETS, encode

SHARED = Path(__file__).parents[1].parent / "shared"
CXR = Path(sys.executable).with_name("cxr")
needs_shared = pytest.mark.skipif(
    not SHARED.is_dir(), reason="needs the published figures in ../shared"
)


def one(table, **wanted):
    for column, value in wanted.items():
        table = table[table[column] == value]
    assert len(table) == 1
    return table.iloc[0]


@pytest.fixture(scope="module")
def numbers():
    return paper.recomputed()


@pytest.fixture(scope="module")
def findings():
    return paper.audit()


# As printed


def test_per_cent_become_shares_and_the_hamming_loss_stays_one():
    arm = {"experiment": "A", "architecture": "densenet121", "weights": "none", "target": "all"}
    accuracy = one(paper.published(), **arm, metric="accuracy")
    assert accuracy["value"] == pytest.approx(0.8234)
    assert (accuracy["low"], accuracy["high"]) == pytest.approx((0.7921, 0.8547))
    hamming = one(paper.published(), **arm, metric="hamming_loss")
    assert hamming["value"] == pytest.approx(0.0622)
    assert hamming["high"] - hamming["value"] == pytest.approx(0.0198)


def test_the_wald_artefact_is_kept_as_printed():
    perfect = paper.published().query("target == 'COVID' and metric == 'recall' and value == 1")
    assert len(perfect) > 0
    assert (perfect["low"] == 1).all()


def test_names_are_the_ones_that_runs_and_measures_use():
    table = paper.published()
    published = {name for name, one in experiments.EXPERIMENTS.items() if one.published}
    assert set(table["experiment"]) == published
    assert set(table["target"]) == {"all", *TARGETS}
    assert set(table["metric"]) == {*metrics.OVERALL, *metrics.PER_TARGET}
    for experiment, rows in table.groupby("experiment"):
        arms = {experiments.Arm(*arm) for arm in zip(rows["architecture"], rows["weights"])}
        known = set(experiments.EXPERIMENTS[experiment].arms)
        best = {arm._replace(weights="imagenet") for arm in known if arm.weights == "best"}
        assert arms == {arm for arm in known if arm.weights != "best"} | best


@needs_shared
@pytest.mark.parametrize("name", ["published_tables.csv", "confusion_counts.csv"])
def test_no_printed_number_was_changed_on_the_way(name):
    facts = resources.files("cxrlib.paper").joinpath("facts", name)
    assert filecmp.cmp(facts, SHARED / "paper" / name, shallow=False)


@needs_shared
def test_the_shipped_split_is_the_one_that_is_regenerated_from_the_dataset():
    regenerated = cohort.paper_split(cohort.read_coronahack(SHARED / "data" / "coronahack-224"))
    shipped = paper.split()
    pd.testing.assert_frame_equal(shipped, regenerated[shipped.columns.tolist()])


def test_the_shipped_split_has_the_papers_sizes_and_its_test_images_are_the_counted_ones():
    split = paper.split()
    assert split["split"].value_counts().to_dict() == {
        "train": 1828,
        "validation": 458,
        "test": 572,
    }
    answers = encode(split.query("split == 'test'")["group"])
    counted = paper.counts().query("experiment == 'A'").assign(support=lambda t: t["tp"] + t["fn"])
    for _, arm in counted.groupby(["architecture", "weights"]):
        assert arm.set_index("target")["support"].loc[list(TARGETS)].tolist() == list(
            answers.sum(axis=0)
        )


def test_every_count_adds_up_to_the_test_images():
    table = paper.counts()
    assert (table[["tp", "fp", "fn", "tn"]].sum(axis=1) == table["n_test"]).all()
    assert (table["n_exact_match"] <= table["tp"] + table["tn"]).all()


def test_leakage_is_counted_from_the_shipped_split():
    leaked = cohort.leakage(paper.split()).set_index("group")["with_patient_in_train"]
    assert leaked.to_dict() == {"normal": 27, "virus": 20, "bacteria": 44, "covid": 5}


def test_the_missed_image_is_a_covid_test_image():
    missed = one(paper.split(), file=paper.MISSED)
    assert (missed["group"], missed["split"]) == ("covid", "test")


# Computed again


def test_all_printed_numbers_but_five_follow_from_the_counts(numbers):
    assert len(numbers) == len(paper.published()) == 220
    assert numbers["agrees"].sum() == 215


def test_measures_are_those_of_the_studys_own_evaluation(numbers):
    keys = {"experiment": "B", "architecture": "resnet50", "weights": "imagenet"}
    table = paper.counts()
    arm = table[(table[list(keys)] == pd.Series(keys)).all(axis=1)].set_index("target")
    truth, answer = (
        np.column_stack(
            [np.repeat(bits, arm.loc[t, ["tp", "fp", "fn", "tn"]].astype(int)) for t in TARGETS]
        )
        for bits in ([1, 0, 1, 0], [1, 1, 0, 0])
    )
    measured = metrics.evaluate(truth, answer)
    measured = measured[measured["metric"].isin(set(numbers["metric"]) - {"accuracy"})]
    assert len(measured) == 19
    for row in measured.itertuples():
        found = one(numbers, **keys, target=row.target, metric=row.metric)
        assert found["right"] == pytest.approx(row.value)


def test_exact_intervals_hold_their_value_and_never_lack_width(numbers):
    there = numbers.dropna(subset="right_low")
    assert set(there["metric"]) == {"accuracy", "precision", "recall", "f1"}
    assert (there["right_low"] <= there["right"]).all()
    assert (there["right"] <= there["right_high"]).all()
    assert (there["right_low"] < there["right_high"]).all()
    assert there["right_low"].min() >= 0 and there["right_high"].max() <= 1


def test_a_precision_where_nothing_was_predicted_has_no_interval(numbers):
    nothing = numbers[numbers["right_n"] == 0]
    assert nothing[["architecture", "target", "metric"]].to_numpy().tolist() == [
        ["efficient", "COVID", "precision"]
    ]
    assert nothing[["right_low", "right_high"]].isna().all(axis=None)


def test_the_f1_interval_is_that_of_the_share_behind_it(numbers):
    perfect = one(
        numbers, experiment="A", architecture="densenet121", weights="imagenet",
        target="COVID", metric="f1",
    )  # fmt: skip
    low, _ = metrics.proportion(1.0, 12, "clopper-pearson")
    assert perfect["right_low"] == pytest.approx(2 * low / (1 + low))


@given(
    n=st.integers(5, 700),
    values=st.lists(st.integers(2000, 9500), min_size=9, max_size=15),
)
@settings(deadline=None)
def test_the_n_behind_printed_intervals_is_found_again(n, values):
    values = np.array(values) / 1e4
    halves = np.round(1.96 * np.sqrt(values * (1 - values) / n), 4)
    assert paper.implied_n(values, halves, near=n) == n
    other = paper.implied_n(values, halves, near=n + 50)
    assert np.allclose(
        np.round(1.96 * np.sqrt(values * (1 - values) / other), 4), halves, atol=2e-4
    )
    assert abs(other - n) <= 1 + n / 20


def test_intervals_without_width_tell_no_n():
    assert np.isnan(paper.implied_n([1, 0], [0, 0], near=12))
    assert paper.implied_n([1, 0.5], [0, 0.098], near=90) == 100


def wrong_counts(change):
    """Audits counts that someone changed."""
    table = change(paper.counts())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paper, "counts", lambda: table)
        return paper.audit()


def test_a_changed_count_is_noticed():
    def change(table):
        table.loc[table.index[-5], ["tp", "fn"]] += [-3, 3]  # C, Efficient, Normal
        return table

    found = wrong_counts(change).query("finding == 'value' and experiment == 'C'")
    assert {"recall", "f1"} <= set(found.query("target == 'Normal'")["metric"])
    assert set(found["target"]) == {"Normal", "all"}


# Audited


def test_one_row_is_recognised_as_averages_weighted_by_support(findings):
    rows = findings[findings["finding"] == "weighted average"].set_index("metric")
    assert set(zip(rows["experiment"], rows["architecture"], rows["weights"])) == {
        ("A", "densenet121", "none")
    }
    right = (100 * rows["right"]).round(2)
    assert right.to_dict() == {"macro_precision": 89.49, "macro_recall": 82.35, "macro_f1": 85.15}
    assert (100 * rows["weighted"]).round(2).tolist() == (100 * rows["printed"]).round(2).tolist()


def test_two_more_values_do_not_follow(findings):
    rows = findings[findings["finding"] == "value"]
    shown = [
        (r.table, r.architecture, r.target, r.metric, round(100 * r.right, 2))
        for r in rows.itertuples()
    ]
    assert shown == [
        (4, "efficient", "all", "accuracy", 80.07),
        (7, "densenet121", "Virus", "f1", 86.96),
    ]


def test_table_5_is_found_to_leave_covid_out_of_two_supports(findings):
    rows = findings[findings["finding"] == "denominator"]
    solved = rows.groupby(["table", "target"])[["printed_n", "right_n"]].agg(["min", "max"])
    assert solved.loc[(5, "Pneumonia")].tolist() == [280, 280, 292, 292]
    assert solved.loc[(5, "Virus")].tolist() == [140, 140, 152, 152]
    assert len(solved) == 2 and len(rows) == 30
    narrower = (rows["right_high"] - rows["right_low"]) < rows["printed_high"] - rows["printed_low"]
    assert narrower.all()


def test_precisions_are_given_their_predicted_positives(findings):
    rows = findings[findings["finding"] == "precision interval"].query("target != 'COVID'")
    table = paper.counts()
    keys = ["experiment", "architecture", "weights", "target"]
    predicted = rows.merge(table, on=keys)
    assert (predicted["right_n"] == predicted["tp"] + predicted["fp"]).all()
    assert set(predicted["table"]) == {5, 7, 9}
    assert set(rows["metric"]) == {"precision"}


def test_every_interval_without_width_is_covids_and_gets_one_where_something_was_counted(findings):
    rows = findings[findings["finding"] == "zero width"]
    assert set(rows["target"]) == {"COVID"} and len(rows) == 15
    perfect = one(
        rows, experiment="A", architecture="densenet121", weights="imagenet", metric="recall"
    )
    assert (round(100 * perfect["right_low"], 1), perfect["right_high"]) == (73.5, 1)


def test_intervals_past_100_per_cent_are_found_and_mended(findings):
    rows = findings[findings["finding"] == "past 100 %"]
    assert len(rows) > 0
    assert (rows["printed_high"] > 1).all() and (rows["right_high"] <= 1).all()


def test_covid_recall_of_b_and_c_rests_on_twelve_images(findings):
    rows = findings[findings["finding"] == "copies"]
    assert rows["experiment"].tolist() == ["B"] * 3 + ["C"] * 3
    assert (rows["support"] == 144).all() and (rows["right_n"] == 12).all()
    bounds = (100 * rows[["right_low", "right_high"]]).round(1)
    assert bounds.iloc[0].tolist() == [73.5, 100]
    assert bounds.iloc[2:].drop_duplicates().to_numpy().tolist() == [[61.5, 99.8]]


def test_every_finding_is_explained_and_every_explanation_used(findings):
    assert list(findings["finding"].unique()) == list(paper.FINDINGS)


def test_the_summary_leaves_no_finding_out(findings):
    lines = paper.summary(findings)
    assert lines["Numbers"].astype(int).sum() == len(findings)
    assert lines.map(lambda cell: isinstance(cell, str) and cell != "").all(axis=None)
    shown = one(lines, Finding="denominator", Target="Virus")
    assert (shown["Printed"], shown["Right"]) == ("n = 140", "n = 152")


groups = st.sampled_from(list(GROUPS))


@given(
    drawn=st.lists(st.tuples(groups, st.lists(st.booleans(), min_size=5, max_size=5)), min_size=1),
)
@settings(deadline=None)
def test_what_is_said_of_the_others_is_never_more_than_they_earned(drawn):
    names = [*GROUPS, *(group for group, _ in drawn)]
    truth = encode(names).astype(bool)
    wrong = np.array([[False] * 5] * len(GROUPS) + [flips for _, flips in drawn])
    answer, covid = truth ^ wrong, np.array(names) == "covid"
    table = pd.DataFrame(
        {
            "experiment": "A", "architecture": "efficient", "weights": "none",
            "n_test": len(names), "n_exact_match": (~wrong).all(axis=1).sum(), "target": TARGETS,
            "tp": (truth & answer).sum(axis=0), "fp": (~truth & answer).sum(axis=0),
            "fn": (truth & ~answer).sum(axis=0), "tn": (~truth & ~answer).sum(axis=0),
        }
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paper, "counts", lambda: table)
        bounds = paper.without_covid().iloc[0]
    assert bounds["n_others"] == (~covid).sum()
    assert bounds["accuracy_others"] <= (~wrong).all(axis=1)[~covid].mean() + 1e-12
    virus = truth[:, 2] & ~covid
    assert bounds["virus_others"] == virus.sum()
    assert bounds["virus_recall_others"] <= answer[virus, 2].mean() + 1e-12


# Shown


@pytest.mark.slow
def test_the_command_prints_every_finding_and_writes_them(tmp_path, findings):
    file = tmp_path / "audit.csv"
    outcome = subprocess.run(
        [CXR, "paper", "audit", "--csv", file], capture_output=True, text=True, cwd=tmp_path
    )
    assert outcome.returncode == 0, outcome.stderr
    for word in ("215 of the 220", "82.35", "80.07", "86.96", "n = 292", "61.5–99.8"):
        assert word in outcome.stdout
    assert all(f"{name}: {reason}" in outcome.stdout for name, reason in paper.FINDINGS.items())
    pd.testing.assert_frame_equal(pd.read_csv(file), findings, check_dtype=False)


@pytest.mark.slow
def test_the_audit_needs_no_tensorflow():
    code = (
        "import sys; from cxrlib import paper; from cxrlib.pages import figures\n"
        "paper.summary(paper.audit())\n"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_figure_shows_each_arm_with_its_exact_and_its_printed_interval(numbers):
    rows = numbers.query("target == 'COVID' and metric == 'recall'")
    axis = figures.restated(rows).axes[0]
    assert len(axis.get_yticklabels()) == len(rows) == 11
    drawn = np.sort([line.get_xdata() for line in axis.lines if len(line.get_xdata()) == 2])
    wanted = rows[["right_low", "right_high"]].to_numpy(), rows[["printed_low", "printed_high"]]
    for bounds in np.concatenate(wanted):
        assert np.isclose(drawn, 100 * bounds).all(axis=1).any()
