"""Tables of arms that did not run, and of values that nothing defines."""

import numpy as np
import pandas as pd

from cxrlib import cohort, runs, tables
from cxrlib.targets import GROUPS
from tests.test_tables_and_figures import make_run


def test_every_arm_is_in_the_tables_even_where_none_ran(tmp_path):
    these = [
        make_run(tmp_path, architecture, "imagenet", state=runs.NOT_RUN, reason="no <network>")
        for architecture in ("densenet121", "resnet50")
    ]
    overall = tables.overall(these, "t").frame
    assert list(overall.iloc[::2, 1]) == ["not run", "not run"]
    shown = tables.arms(these, "t")._repr_mimebundle_()
    assert shown["text/plain"].count("no <network>") == 2
    assert "no &lt;network&gt;" in shown["text/html"]
    assert tables.effort(these)["arms_missing"] == 2


def test_a_measure_without_a_denominator_reads_undefined(tmp_path):
    run = make_run(tmp_path)
    measured = run.metrics
    lost = (measured["target"] == "COVID") & (measured["metric"] == "precision")
    measured.loc[lost, ["value", "low", "high"]] = np.nan
    measured.to_csv(run.folder / "metrics.csv", index=False)
    assert "undefined" in tables.per_target([run], "t").frame["Precision"].tolist()


def test_a_cohorts_table_adds_up_in_both_directions():
    radiographs = pd.DataFrame({"group": list(GROUPS) * 6, "split": "train"})
    radiographs.loc[:7, "split"] = ["test"] * 4 + ["validation"] * 4
    frame = tables.cohort(radiographs, "t").frame.set_index("Group")
    assert frame.loc["all"].tolist() == [16, 4, 4, 24]
    assert frame["all"].tolist() == [6, 6, 6, 6, 24]


def test_leaks_are_tabulated_group_by_group():
    split = pd.DataFrame(
        {"group": "virus", "patient": ["a", "a", "b"], "split": ["train", "test", "test"]}
    )
    frame = tables.leakage(cohort.leakage(split), "t").frame
    assert frame.iloc[0].tolist() == ["virus", 2, 1]


def test_a_hamming_loss_is_a_share_and_the_rest_per_cent():
    plain = tables.interval(0.0612, np.nan, np.nan, metric="hamming_loss")
    assert plain == "0.061"
    assert tables.interval(0.0612, np.nan, np.nan) == "6.1"
