"""Tables come numbered with captions; what did not run is shown as not run."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from docutils import nodes
from docutils.core import publish_doctree
from hypothesis import given, settings
from hypothesis import strategies as st
from myst_parser.parsers.docutils_ import Parser

from cxrlib import cohort, labels
from cxrlib.errors import printable
from cxrlib.pages import tables
from cxrlib.study import experiments, profiles, runs
from cxrlib.targets import GROUPS
from tests.conftest import make_run


def test_a_table_is_one_numbered_directive_and_html_for_jupyterlab():
    frame = pd.DataFrame({"Arm": ["a, b", "<c>"]})
    shown = tables.Table(frame, "Who & what.", "tab-x")._repr_mimebundle_()
    lines = shown["text/markdown"].splitlines()
    assert lines[:3] == ["```{csv-table} Who & what.", ":name: tab-x", ":header-rows: 1"]
    assert lines[4:] == ["Arm", '"a, b"', "\\<c>", "```"]
    assert "Who &amp; what." in shown["text/html"]
    assert "&lt;c&gt;" in shown["text/html"]


def test_a_rows_first_cell_is_its_header_in_jupyterlab_too():
    frame = pd.DataFrame({"Arm": ["a", "a"], "F1": ["1", "2"]})
    lines = tables.Table(frame, "Scores.", "tab-x")._repr_mimebundle_()["text/html"].split("<tr")
    assert [line.count("<th>") for line in lines] == [0, 2, 1, 1]
    assert [line.count("<td>") for line in lines] == [0, 0, 1, 1]


MARKUP = [
    "<img src=x onerror=alert(1)>", "<!-- c -->", "$x^2$", "$$x$$", "{{ a }}", "{math}`x`", "- a",
    "[x](javascript:alert(1))", "![a](b)", "[^1]: x", "[a]: b", "1. x", "1)", "12.", "> q", "# h",
    "+ a", "+3.0 (−1.0\u00a0to\u00a0+7.0)", "```{raw} html", ":::{note}", "(a)=", "% c", "=", "***",
    "`c`", "*e* __u__", "&lt;b&gt;", "&#60;", "a|b", "\\", "x\\", "~~s~~", "---", "Who & what.", "",
    '"q" \'s\'', "a, b", "densenet121_none",
]  # fmt: skip


def read_as_the_book_does(table):
    """Returns the cells of a table, first its head, as MyST reads them."""
    extensions = ["attrs_block", "attrs_inline", "colon_fence", "deflist", "dollarmath"]
    settings = {"myst_enable_extensions": extensions, "report_level": 1, "halt_level": 1}
    markdown = table._repr_mimebundle_()["text/markdown"]
    page = publish_doctree(markdown, parser=Parser(), settings_overrides=settings)
    assert not list(page.findall(nodes.raw)) + list(page.findall(nodes.math))
    assert [title.astext() for title in page.findall(nodes.title)] == [table.caption]
    return [cell.astext() for cell in page.findall(nodes.entry)]


def test_no_cell_head_or_caption_becomes_markup():
    table = tables.Table(pd.DataFrame({"<b>A": MARKUP}), "<script>x</script> and $y$", "tab-x")
    assert read_as_the_book_does(table) == ["<b>A", *MARKUP]


@pytest.mark.parametrize("columns", [[], ["A"], ["A", "B", "C"]])
def test_a_table_without_rows_says_none_and_is_no_error_in_the_book(columns):
    cells = read_as_the_book_does(tables.Table(pd.DataFrame(columns=columns), "c", "t"))
    rest = columns[1:]
    assert cells == [*(columns or ["Rows"]), "none", *[""] * len(rest)]


def test_an_experiment_of_which_no_arm_finished_is_said_to_be_one_in_every_table(tmp_path):
    lost = [
        make_run(tmp_path, "resnet50", "imagenet", experiment=e, state=runs.NOT_RUN, reason="no")
        for e in "BC"
    ]
    for made in (
        tables.overall(lost), tables.per_target(lost), tables.seeds(lost),
        tables.differences(lost), tables.arms(lost), tables.versions(lost),
        *(of([]) for of in (tables.calibrations, tables.thresholds, tables.impossible)),
        *(of([]) for of in (tables.predictive_values, tables.external, tables.called)),
    ):  # fmt: skip
        assert read_as_the_book_does(tables.Table(made, "c", "t"))
    assert tables.seeds(lost).values.tolist() == [["none finished"]]
    assert tables.differences(lost).iloc[0].tolist()[:2] == ["none", "none ran"]


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(exclude_categories=("Cs", "Zs"))), st.text("`$<{[*_&:-+#>1.)(=%| \n"))
def test_whatever_text_is_in_a_cell_is_shown(wild, sharp):
    cells = [wild, sharp]
    shown = read_as_the_book_does(tables.Table(pd.DataFrame({"A": cells}), "c", "t"))
    assert shown == ["A", *(printable(cell).strip(" ") for cell in cells)]


def test_the_overall_table_has_each_arm_over_the_papers_values(made_runs):
    frame = tables.overall(made_runs)
    ran = ["Efficient", "– paper", "– difference"]
    assert frame["Arm"].tolist() == [*ran, "ResNet-50 (ImageNet)", "– paper"]
    assert frame["Harsh accuracy"][1].startswith("80.1")
    ours, _, less = (
        float(cell.replace("\u00a0", " ").split(" ")[0].replace("−", "-"))
        for cell in frame.iloc[:3, 1]
    )
    assert less == pytest.approx(ours - 80.1, abs=0.11)
    assert frame["Harsh accuracy"][2][0] == ("+" if less > 0 else "−")
    assert frame["Harsh accuracy"][3] == "not run"
    assert frame["Hamming loss"][1].startswith("0.070")


def test_the_table_by_target_has_the_papers_value_beside_each(made_runs):
    frame = tables.per_target(made_runs)
    covid = frame.iloc[5].tolist()
    assert covid[0] == "–\u00a0COVID\u00a0(5)"
    for ours, beside in zip(covid[1::2], covid[2::2]):
        printed, less = beside.strip("]").split(" [")
        assert printed == "0.0"
        assert less.lstrip("+") == ours.split("\u00a0")[0]
    assert len(frame) == 6


def test_arms_that_did_not_run_say_why(made_runs):
    assert tables.arms(made_runs)["State"][1] == "not run: weights unavailable"


def test_another_initialisation_than_the_papers_is_said_to_be_another(tmp_path):
    run = make_run(tmp_path, "resnet50", "none", experiment="B", cohort="coronahack")
    assert tables.overall([run])["Arm"][1] == "– paper (ImageNet)"


@pytest.mark.parametrize("cohort", ["phantom", "folder"])
def test_nothing_of_the_paper_stands_beside_other_radiographs(tmp_path, cohort):
    run = make_run(tmp_path, cohort=cohort)
    assert tables.overall([run])["Arm"].tolist() == ["Efficient"]
    assert "paper" not in list(tables.per_target([run]))
    assert not [name for name in tables.seeds([run]) if "Paper" in name]


def test_nothing_of_the_paper_stands_beside_what_it_does_not_have(tmp_path):
    run = make_run(tmp_path, experiment="E", cohort="coronahack")
    assert tables.overall([run])["Arm"].tolist() == ["Efficient"]
    assert list(tables.per_target([run])) == ["Arm, target (patients)", "Precision", "Recall", "F1"]
    assert not [name for name in tables.seeds([run]) if "Paper" in name]
    own = dataclasses.replace(experiments.C, name="E", published=False)
    setup = tables.setup(own, profiles.Profile(), "paper")
    assert list(setup) == ["Setting", "this study"]
    assert ["Epochs at most, Efficient", "20"] in setup.values.tolist()


def test_precisions_are_compared_over_seeds(tmp_path):
    single, half = (
        [make_run(tmp_path / name / str(seed), seed=seed) for seed in seeds]
        for name, seeds in (("float32", (1, 2, 3)), ("bfloat16", (4, 5, 6)))
    )
    shown = tables.precisions(single, half)
    assert shown["Measure"].tolist() == ["Harsh accuracy", "Macro F1", "AUC for COVID"]
    means = [float(cell.split(" ")[0]) for cell in shown.iloc[0, 2:4]]
    less = float(shown["Difference"][0].split("\u00a0")[0].split(" ")[0].replace("−", "-"))
    assert less == pytest.approx(means[1] - means[0], abs=0.11)


def test_benchmarks_show_both_sides_and_their_ratio():
    row = {
        "what": "pixels",
        "ours": 2468.0,
        "against": "a script",
        "theirs": 1234.0,
        "unit": "images/s",
    }
    shown = tables.benchmarks(pd.DataFrame([row | {"machine": "Linux, 2 cores"}]))
    assert shown.values.tolist() == [
        ["pixels", "2,468 images/s", "a script", "1,234 images/s", "2.00"]
    ]


def test_growth_has_a_row_a_step_and_a_dash_where_a_size_was_left_out():
    nan = float("nan")
    measured = pd.DataFrame(
        [
            ("pairs", 1000, 0.5, 147.2, nan),
            ("pairs", 10000, 50.0, 200.0, 2.0),
            ("pairs", 100000, nan, nan, nan),
            ("lines", 1000, 1.0, 150.0, nan),
        ],
        columns=["step", "rows", "seconds", "peak", "exponent"],
    )
    shown = tables.growth(measured)
    assert list(shown) == ["Step", "1,000", "10,000", "100,000", "Exponent"]
    assert shown.values.tolist() == [
        ["pairs", "0.5\u00a0s, 147\u00a0MB", "50\u00a0s, 200\u00a0MB", "–", "2.00"],
        ["lines", "1\u00a0s, 150\u00a0MB", "–", "–", "–"],
    ]


def test_thresholds_are_shown_at_a_half_and_as_validation_chose_them(made_runs):
    frame = tables.thresholds(made_runs[:1])
    assert len(frame) == 2
    assert frame["Threshold"][0] == "0.50"
    assert 0 <= float(frame["Threshold"][1]) <= 1
    assert list(frame)[2:] == ["Recall", "Specificity", "Precision", "F1"]


def test_a_fold_reads_as_what_it_is():
    setup = tables.setup(experiments.A, profiles.Profile(), "fold 1 of 2")
    assert ["Split", "by patient, fold 1 of 2", "by image"] in setup.values.tolist()
    assert labels.split_label("fold 1 of 2") == "split by patient, fold 1 of 2"


def test_every_remaining_table_shows_its_facts(made_runs):
    profile = profiles.Profile()
    assert "0.001" in tables.setup(experiments.A, profile, "paper").to_string()
    assert "quick" in tables.profile(profile).to_string()
    assert "keras" in tables.versions(made_runs).to_string()


def test_every_arm_is_in_the_tables_even_where_none_ran(tmp_path):
    made_runs = [
        make_run(tmp_path, architecture, "imagenet", state=runs.NOT_RUN, reason="no <network>")
        for architecture in ("densenet121", "resnet50")
    ]
    overall = tables.overall(made_runs)
    assert list(overall.iloc[:, 1]) == ["not run", "not run"]
    shown = tables.Table(tables.arms(made_runs), "c", "t")._repr_mimebundle_()
    assert shown["text/plain"].count("no <network>") == 2
    assert "no &lt;network&gt;" in shown["text/html"]


def test_a_measure_without_a_denominator_reads_undefined(tmp_path):
    run = make_run(tmp_path)
    measured = run.metrics
    lost = (measured["target"] == "COVID") & (measured["metric"] == "precision")
    measured.loc[lost, ["value", "low", "high"]] = np.nan
    measured.to_csv(run.folder / "metrics.csv", index=False)
    assert "undefined" in tables.per_target([run])["Precision"].tolist()


def test_a_cohorts_table_adds_up_in_both_directions():
    radiographs = pd.DataFrame({"group": list(GROUPS) * 6, "split": "train"})
    radiographs.loc[:7, "split"] = ["test"] * 4 + ["validation"] * 4
    frame = tables.cohort(radiographs).set_index("Group")
    assert frame.loc["all"].tolist() == [16, 4, 4, 24]
    assert frame["all"].tolist() == [6, 6, 6, 6, 24]


def test_leaks_are_tabulated_group_by_group():
    split = pd.DataFrame(
        {"group": "virus", "patient": ["a", "a", "b"], "split": ["train", "test", "test"]}
    )
    frame = tables.leakage(cohort.leakage(split))
    assert frame.iloc[0].tolist() == ["virus", 2, 1]


def test_every_pair_of_arms_is_compared_and_told_apart_or_not(tmp_path):
    made_runs = [make_run(tmp_path), make_run(tmp_path, "densenet121")]
    frame = tables.differences(made_runs)
    assert list(frame["Measure"]) == ["Harsh accuracy", "Macro F1", "AUC for COVID"]
    assert set(frame["The first is"]) == {"no difference shown"}
    assert set(frame["One arm"]) == {"Efficient"}


def test_arms_of_experiments_that_test_the_same_radiographs_are_compared_by_name(tmp_path):
    frame = tables.differences([make_run(tmp_path, experiment=name) for name in "BC"])
    assert frame.iloc[0].tolist()[:2] == ["B\u2002Efficient", "C\u2002Efficient"]


def test_one_arm_alone_is_compared_with_none(made_runs):
    assert tables.differences(made_runs).iloc[0].tolist()[:2] == ["Efficient", "none ran"]


def test_calibration_stands_as_it_is_and_temperature_scaled(tmp_path):
    frame = tables.calibrations([make_run(tmp_path)])
    assert list(frame["Probabilities"]) == ["as they are", "temperature-scaled"]
    assert frame["Temperature"][0] == "1"


def test_a_yes_is_worth_less_where_covid_is_rarer(tmp_path):
    frame = tables.predictive_values([make_run(tmp_path)])
    values = [float(cell.split("\u00a0")[0]) for cell in frame.iloc[0, 1:]]
    assert list(frame)[1:] == ["1\u00a0% ill", "5\u00a0% ill", "20\u00a0% ill"]
    assert values == sorted(values)


def test_impossible_answers_are_counted(tmp_path):
    frame = tables.impossible([make_run(tmp_path)])
    assert "Normal with Pneumonia" in frame and "nothing at all" in frame


def test_likeness_has_a_row_for_each_comparison_with_both_measures_beside_chance():
    facts = {"heatmap": "Grad-CAM", "change": "another seed", "low": -0.25, "high": 0.5, "n": 9}
    measured = pd.DataFrame(
        [{"measure": "ssim", "value": 0.25, "pairs": 0.5}, {"measure": "rank", "value": -0.125}]
    )
    frame = tables.likeness(measured.assign(**facts))
    assert len(frame) == 1
    assert frame["Structural similarity"][0] == "0.25 (−0.25 to 0.50)"
    assert frame["Structural similarity, others"][0] == "0.50"
    assert frame["Rank correlation"][0].startswith("−0.12")
    assert frame["Compared"][0] == 9


def test_each_change_of_marks_has_a_row_a_group_and_the_experiments_side_by_side():
    facts = {"n": 30, "share": 0.75, "patients": 28, "low": -0.2, "high": 0.05}
    asked = [("pasted", "R", "Normal", -0.1), ("pasted", "R", "COVID", 9.0)]
    asked += [("moved", "found", "Normal", 0.02)]
    measured = [
        {"experiment": e, "change": c, "mark": m, "group": "normal", "target": t, "mean": mean,
         "flipped": 0.125, **facts}
        for e in "AC" for c, m, t, mean in asked
    ]  # fmt: skip
    frame = tables.marks_changed(pd.DataFrame(measured))
    assert list(frame["Change"]) == ["R pasted", "moved"]
    assert list(frame["Radiographs"]) == ["30 (75\u00a0%)"] * 2
    assert frame["A: change"][0].startswith("\u221210.0")
    assert frame["C: change"][1].startswith("+2.0")
    assert (frame["turned"] == "12.5").all(axis=None)


def test_scores_with_their_marks_changed_have_a_row_an_experiment_and_change():
    facts = {"experiment": "A", "change": "moved", "before": 0.8}
    measured = [
        {"seed": seed, "target": target, "metric": metric, "difference": difference, "low": low,
         "high": high, **facts}
        for seed, difference, low, high in ((1, -0.02, -0.04, -0.01), (2, 0.0, np.nan, np.nan))
        for target, metric in (("all", "accuracy"), ("COVID", "auc"), ("Virus", "auc"))
    ]  # fmt: skip
    (row,) = tables.marks_scored(pd.DataFrame(measured)).to_dict("records")
    assert (row["Seeds"], row["Harsh accuracy"]) == (2, "80.0")
    assert row["Change in points"] == "\u22121.0 (\u22124.0\u00a0to\u00a0+0.0)"
    assert row["Change"] == "\u22120.010 (\u22120.040 to 0.000)"


def test_an_occlusion_tells_origin_beside_the_targets_or_why_not():
    facts = {"metric": "auc", "low": 0.5, "high": 0.75}
    measured = pd.DataFrame([
        {"cover": cover, "seed": seed, "target": target, "value": value, "note": note, **facts}
        for cover, note in (("none", np.nan), ("centre", "the same as COVID")) for seed in (1, 2)
        for target, value in (("COVID", 0.5 + seed / 10), ("origin", 0.625))
    ])  # fmt: skip
    measured.loc[measured["target"] != "origin", "note"] = np.nan
    frame = tables.occlusion(measured)
    assert list(frame.columns) == ["Radiographs", "COVID", "Origin"]
    assert frame["COVID"][0] == "0.65 (0.50 to 0.75)"
    assert list(frame["Origin"]) == ["0.62 (0.50 to 0.75)", "the same as COVID"]


@pytest.mark.parametrize("unmeasured", [1, 2])
def test_a_seed_that_could_not_be_measured_hides_no_other(unmeasured):
    rows = [(seed, np.nan if seed == unmeasured else 0.6 + seed / 10) for seed in (1, 2, 3)]
    measured = pd.DataFrame(rows, columns=["seed", "value"]).assign(cover="none", target="origin")
    measured["low"], measured["high"] = measured["value"] - 0.1, measured["value"] + 0.1
    measured["note"] = np.where(measured["value"].isna(), "undefined: one source", "")
    means = {1: "0.85 (0.70 to 1.00), 2 of 3 seeds", 2: "0.80 (0.60 to 1.00), 2 of 3 seeds"}
    assert list(tables.occlusion(measured)["Origin"]) == [means[unmeasured]]


def test_recovery_of_marks_is_in_per_cent_and_blank_where_there_are_none():
    columns = ["mark", "n", "found", "recall", "precision"]
    measured = [("none", 40, 0.025, np.nan, np.nan), ("R", 40, 1.0, 0.995, 0.98)]
    frame = tables.recovery(pd.DataFrame(measured, columns=columns))
    assert list(frame["Found"]) == ["2", "100"]
    assert list(frame["Recall"]) == ["", "100"]
    assert list(frame["Precision"]) == ["", "98"]
