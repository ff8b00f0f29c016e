"""Whether the paper's printed values come out again, by a tolerance fixed beforehand."""

import json

import numpy as np
import pandas as pd
import pytest

from cxrlib import paper
from cxrlib.errors import InputError
from cxrlib.pages import tables
from cxrlib.paper import verdicts
from cxrlib.study import runs
from cxrlib.targets import TARGETS
from tests.conftest import make_run


def answering(run, right):
    """Makes a run answer the first so many of a hundred radiographs right, and no other."""
    truth = {
        f"y_{target}": [int(target in ("Pneumonia", "Virus", "COVID"))] * 100 for target in TARGETS
    }
    table = pd.DataFrame({"file": range(100), "patient": range(100), "copy": 0} | truth)
    table = table.assign(group="covid", split="test")
    for target in TARGETS:
        yes = table[f"y_{target}"] == 1
        table[f"p_{target}"] = np.where(table.index < right, yes, ~yes).astype(float)
    table.to_csv(run.folder / "predictions.csv", index=False)
    info = {**run.info, "answers": len(table)}
    (run.folder / "run.json").write_text(json.dumps(info))
    return runs.load(run.folder)


def judged(several, target="all"):
    found = verdicts.table(several).query("target == @target and seeds > 0")
    return found.iloc[0]


def test_every_arm_of_the_paper_is_judged_or_said_not_to_have_been_run(tmp_path):
    found = verdicts.table([answering(make_run(tmp_path), 80)])
    arms = found[["experiment", "architecture", "weights"]].drop_duplicates()
    printed = paper.published()[["experiment", "architecture", "weights"]].drop_duplicates()
    assert set(arms.itertuples(index=False)) == set(printed.itertuples(index=False))
    assert found.query("seeds == 0")["verdict"].eq("not run").all()


@pytest.mark.parametrize(
    ("right", "verdict"), [(80, "comes out again"), (90, "does not"), (73, "too few to say")]
)
def test_a_value_is_judged_by_tolerance_first_and_then_by_chance(tmp_path, right, verdict):
    """The paper printed 80.10 % of 572; a hundred radiographs are off by eight points by chance."""
    assert judged([answering(make_run(tmp_path), right)])["verdict"] == verdict


def test_an_experiment_that_the_paper_does_not_have_is_passed_over(tmp_path):
    own = make_run(tmp_path / "d", experiment="D")
    assert verdicts.table([own]).equals(verdicts.table([]))


def test_seeds_are_averaged_and_their_range_is_told(tmp_path):
    several = [answering(make_run(tmp_path / f"{n}", seed=n), n) for n in (70, 90)]
    row = judged(several)
    assert (row["seeds"], row["value"], row["smallest"], row["largest"]) == (2, 0.8, 0.7, 0.9)
    assert row["verdict"] == "comes out again"


def rewritten(run, change):
    path = run.folder / "predictions.csv"
    change(pd.read_csv(path)).to_csv(path, index=False)
    return runs.load(run.folder)


def test_the_order_of_rows_makes_no_difference(tmp_path):
    one, other = (answering(make_run(tmp_path / f"{n}", seed=n), n) for n in (70, 90))
    before = judged([one, other])
    after = judged([one, rewritten(other, lambda table: table[::-1])])
    pd.testing.assert_series_equal(before, after)


def test_runs_that_were_tested_on_different_radiographs_are_not_averaged(tmp_path):
    one, other = (answering(make_run(tmp_path / f"{n}", seed=n), 80) for n in (1, 2))
    other = rewritten(other, lambda table: table.assign(file=table["file"] + 1))
    said = "1/A/efficient-none and .*2/A/efficient-none were tested on different radiographs"
    with pytest.raises(InputError, match=said):
        judged([one, other])


def test_image_sizes_are_judged_apart(tmp_path):
    sizes = [answering(make_run(tmp_path / f"{n}", image_size=n), 80) for n in (128, 224)]
    assert verdicts.table(sizes).query("seeds > 0")["image_size"].tolist() == [128, 128, 224, 224]


def test_an_arm_that_began_from_other_weights_than_the_papers_is_not_judged(tmp_path):
    row = judged([answering(make_run(tmp_path, "resnet50", experiment="B"), 80)])
    assert row["verdict"] == "other initial weights"
    assert row["paper"] == pytest.approx(0.866, abs=0.001)  # that of ImageNet


def test_the_table_has_a_row_an_arm(tmp_path):
    shown = tables.verdicts(verdicts.table([answering(make_run(tmp_path), 80)]))
    assert len(shown) == 11
    row = shown.set_index("Arm").loc["A\u2002Efficient, 128\u00a0px"]
    assert row["Harsh accuracy: verdict"] == "comes out again"
    assert (shown["Seeds"] == "–").sum() == 10
