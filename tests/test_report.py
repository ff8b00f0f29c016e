"""What is said of a dataset is whole, short of digits, and never undefined."""

import json

import numpy as np
import pandas as pd

from cxrlib.cohort import audit, baselines
from cxrlib.pages import report
from tests.test_audit import noise, table

MEASURED = pd.DataFrame(
    {
        "features": ["border", "border", "metadata"],
        "target": ["COVID", "Normal", "COVID"],
        "auc": [0.648256, np.nan, np.nan],
        "low": [0.300093, np.nan, np.nan],
        "high": [0.882383, np.nan, np.nan],
        "radiographs": [442, 0, 0],
        "positives": [8, 0, 0],
        "negatives": [177, 0, 0],
        "note": ["", "undefined: one source", "undefined: one source"],
    }
)


def test_an_auc_comes_with_its_interval_its_radiographs_and_its_patients():
    text, _ = report.shown(MEASURED)
    assert text.to_dict("records") == [
        {
            "sees": "border", "target": "COVID", "AUC": "0.65 (0.30 to 0.88)",
            "radiographs": "442", "patients with": "8", "patients without": "177",
        }
    ]  # fmt: skip


def test_what_could_not_be_measured_is_a_line_with_the_reason():
    text, lines = report.shown(MEASURED)
    assert lines == ["not measured: border, metadata: one source"]
    assert not text.isin(["nan", "NaN"]).any(axis=None)


def test_numbers_have_three_decimals_at_most_and_what_is_unknown_is_a_dash():
    frame = pd.DataFrame({"file": ["n" * 200], "split_a": [""], "far": [0.98765], "near": [np.nan]})
    text, lines = report.shown(frame)
    assert lines == []
    assert text.to_dict("records") == [{"file": "n" * 200, "far": "0.988", "near": report.UNKNOWN}]


def test_a_machine_is_told_everything_and_none_where_nothing_is_known():
    told = json.loads(json.dumps(report.plain(MEASURED), allow_nan=False))
    assert told[0]["auc"] == 0.648256 and told[0]["radiographs"] == 442
    assert told[1]["auc"] is None and told[1]["note"] == "undefined: one source"


def test_every_auc_of_the_audit_has_radiographs_and_patients_behind_it():
    rows = table(["covid", "normal"] * 30, [f"p{i // 2}" for i in range(60)], mean=np.arange(60.0))
    found = baselines.measure(baselines.features(noise(60)), rows)
    assert set(found["radiographs"]) <= {0, 60}
    assert (found.loc[found["auc"].notna(), "radiographs"] == 60).all()
    facts = audit.confounders(rows)
    assert (facts.loc[facts["fact"] == "mean", ["n", "patients"]] == [60, 30]).all(axis=None)
