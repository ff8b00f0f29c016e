"""Arms are compared radiograph by radiograph; tests agree with their textbooks and statsmodels."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import confint_proportions_2indep

from cxrlib import metrics
from cxrlib.errors import InputError
from cxrlib.metrics import comparison
from cxrlib.targets import GROUPS, TARGETS, encode


def predicted(truth, score, patient=None, copy=0):
    """Predictions as training writes them."""
    n = len(truth)
    facts = {"file": [f"{i}.png" for i in range(n)], "copy": copy, "split": "test"}
    facts["patient"] = np.arange(n) if patient is None else patient
    columns = {f"y_{t}": truth[:, i] for i, t in enumerate(TARGETS)}
    columns |= {f"p_{t}": score[:, i] for i, t in enumerate(TARGETS)}
    return pd.DataFrame(facts | columns)


def arms(n, seed, quality=(2.0, 2.0), patient=None):
    """Two arms on the same radiographs; the higher its quality, the better an arm."""
    rng = np.random.default_rng(seed)
    truth = encode(rng.choice(list(GROUPS), n))
    shared = rng.normal(size=truth.shape)
    found = []
    for strength in quality:
        logits = strength * (2.0 * truth - 1) + shared + rng.normal(size=truth.shape)
        found.append(predicted(truth, 1 / (1 + np.exp(-logits)), patient))
    return found


def yes_no(right):
    """Radiographs of normal chests, called Normal or nothing at all."""
    truth = np.tile(GROUPS["normal"], (len(right), 1))
    return truth, truth * np.where(right, 0.9, 0.1)[:, None]


def row(table, target, metric):
    return table.set_index(["target", "metric"]).loc[(target, metric)]


def test_agrestis_approval_ratings_give_his_difference():
    # Categorical Data Analysis (2002), table 10.1: 944 and 880 of 1,600; 150 and 86 changed sides.
    one = np.repeat([True, True, False, False], [794, 150, 86, 570])
    other = np.repeat([True, False, True, False], [794, 150, 86, 570])
    found = row(
        comparison.paired(*(predicted(*yes_no(r)) for r in (one, other))), "all", "accuracy"
    )
    assert found["difference"] == pytest.approx(0.04)
    assert found[["low", "high"]].tolist() == pytest.approx([0.0214, 0.0586], abs=0.002)
    assert found["p"] < 0.001


def mcnemars(one, other):
    """McNemar's exact p-value of two arms' right answers."""
    counts = [[(a & b).sum() for b in (other, ~other)] for a in (one, ~one)]
    return mcnemar(counts, exact=True).pvalue


@settings(max_examples=20, deadline=None)
@given(counts=st.tuples(*[st.integers(0, 12)] * 4).filter(any))
def test_where_every_patient_has_one_radiograph_the_p_value_is_mcnemars(counts):
    one = np.repeat([True, True, False, False], counts)
    other = np.repeat([True, False, True, False], counts)
    found = row(
        comparison.paired(*(predicted(*yes_no(r)) for r in (one, other))), "all", "accuracy"
    )
    assert found["p"] == pytest.approx(mcnemars(one, other), abs=0.02)


def test_copies_of_a_radiograph_convince_mcnemars_test_but_not_ours():
    one, other = np.array([1, 1, 1, 1, 0, 1], bool), np.array([0, 0, 1, 1, 0, 0], bool)
    patient = np.repeat(np.arange(6), 12)
    copies = [np.repeat(right, 12) for right in (one, other)]
    copied = [predicted(*yes_no(right), patient) for right in copies]
    found = row(comparison.paired(*copied), "all", "accuracy")
    assert mcnemars(*copies) < 1e-6
    assert found["p"] == pytest.approx(0.25, abs=0.02)  # three patients: 2 · (1/2)³
    assert found["n"] == 6


def delong(truth, a, b):
    """DeLong, DeLong and Clarke-Pearson (1988), for radiographs that are all independent."""
    yes, no = truth == 1, truth == 0
    places = []
    for score in (a, b):
        order = (score[yes][:, None] > score[no]) + 0.5 * (score[yes][:, None] == score[no])
        places.append((order.mean(axis=1), order.mean(axis=0)))
    gaps = [one - other for one, other in zip(*places)]
    error = np.sqrt(sum(gap.var(ddof=1) / len(gap) for gap in gaps))
    return 2 * norm.sf(abs(gaps[0].mean()) / error)


def test_comparing_aucs_matches_delongs_test():
    a, b = arms(300, 3, quality=(1.2, 0.9))
    table = comparison.paired(a, b)
    for target in TARGETS:
        theirs = delong(a[f"y_{target}"].to_numpy(), a[f"p_{target}"].to_numpy(),
                        b[f"p_{target}"].to_numpy())  # fmt: skip
        assert row(table, target, "auc")["p"] == pytest.approx(theirs, rel=0.1, abs=0.005), target


def test_values_are_those_of_each_arm_alone():
    a, b = arms(60, 4)
    table = comparison.paired(a, b, threshold=(0.4, 0.5, 0.6, 0.5, 0.3))
    for name, arm in (("a", a), ("b", b)):
        alone = metrics.of_predictions(arm, threshold=(0.4, 0.5, 0.6, 0.5, 0.3))
        assert table[name].to_numpy() == pytest.approx(alone["value"].to_numpy(), nan_ok=True)
    gap = table["a"] - table["b"]
    assert table["difference"].to_numpy() == pytest.approx(gap.to_numpy(), abs=1e-12, nan_ok=True)


def test_the_order_of_rows_does_not_matter_and_a_table_can_be_made_again():
    a, b = arms(40, 5)
    mixed = b.sample(frac=1, random_state=0)
    pd.testing.assert_frame_equal(comparison.paired(a, b), comparison.paired(a, mixed))


def test_an_arm_does_not_differ_from_itself_but_nothing_is_certain():
    a, _ = arms(40, 6)
    table = comparison.paired(a, a)
    known = table[table["difference"].notna()]
    assert (known["difference"] == 0).all() and (known["p"] == 1).all()
    assert known[["low", "high"]].isna().all(axis=None)


def test_a_better_arm_is_better_whichever_comes_first_and_fewer_errors_are_better():
    good, bad = arms(150, 7, quality=(2.5, 0.5))
    measures = [("all", "accuracy"), ("all", "hamming_loss"), ("Virus", "auc")]
    there = comparison.table({"good": good, "bad": bad}, measures=measures)
    back = comparison.table({"bad": bad, "good": good}, measures=measures)
    assert there["verdict"].tolist() == ["better"] * 3
    assert back["verdict"].tolist() == ["worse"] * 3
    assert there["difference"].tolist() == pytest.approx((-back["difference"]).tolist())
    assert there.loc[1, "difference"] < 0
    assert (there[["a", "b"]] == ["good", "bad"]).all(axis=None)


def test_p_values_of_all_pairs_are_corrected_by_holms_method():
    good, middle = arms(120, 8, quality=(1.6, 1.2))
    _, bad = arms(120, 8, quality=(1.6, 0.9))
    table = comparison.table({"good": good, "middle": middle, "bad": bad})
    assert len(table) == 3 * len(comparison.COMPARED)
    p = np.sort(table["p"])
    by_hand = np.minimum(np.maximum.accumulate(p * np.arange(len(p), 0, -1)), 1)
    assert np.sort(table["p_holm"]) == pytest.approx(by_hand)
    shown = table["verdict"] != "no difference shown"
    assert (shown == (table["p_holm"] < 0.05)).all()


def test_what_is_undefined_shows_no_difference():
    truth = encode(["normal"] * 10)
    a, b = (predicted(truth, np.random.default_rng(seed).random(truth.shape)) for seed in (0, 1))
    table = comparison.table({"a": a, "b": b}, measures=[("COVID", "auc")])
    assert table[["difference", "p", "p_holm"]].isna().all(axis=None)
    assert table["verdict"].tolist() == ["no difference shown"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda b: b.iloc[1:], r"one and other .* different radiographs \(0.png only in one\)"),
        (lambda b: b.assign(copy=3), r"different radiographs \(0.png only in one\)"),
        (lambda b: pd.concat([b, b.iloc[:1].assign(file="new.png")]), "new.png only in other"),
        (lambda b: pd.concat([b, b.iloc[:1]]), "predictions of other hold 0.png twice"),
        (lambda b: b.assign(y_Virus=1 - b["y_Virus"]), "disagree on y_Virus of 0.png"),
        (lambda b: b.assign(patient=b["patient"] + 1), "disagree on patient of 0.png"),
        (lambda b: b.drop(columns="copy"), "predictions of other have no column 'copy'"),
        (lambda b: b.drop(columns="p_Virus"), "no column 'p_Virus'"),
        (lambda b: b.assign(p_Virus=np.nan), "without NaN"),
        (lambda b: b.assign(split=["validation"] + ["test"] * 9), "other mix splits"),
    ],
)
def test_what_cannot_be_compared_is_refused_by_name(change, message):
    a, b = arms(10, 9)
    with pytest.raises(InputError, match=message):
        comparison.table({"one": a, "other": change(b)})


def test_a_table_needs_two_arms_and_measures_that_exist():
    a, b = arms(10, 10)
    with pytest.raises(InputError, match="1 arm to compare"):
        comparison.table({"a": a})
    with pytest.raises(InputError, match="unknown measure 'all auc'"):
        comparison.table({"a": a, "b": b}, measures=[("all", "auc")])


@settings(max_examples=60, deadline=None)
@given(
    a=st.integers(0, 40), b=st.integers(0, 90), n=st.just(40), m=st.just(90),
)  # fmt: skip
def test_the_difference_of_two_studies_has_newcombes_interval(a, b, n, m):
    ours, theirs = ((k / of, *metrics.proportion(k / of, of)) for k, of in ((a, n), (b, m)))
    less, low, high = comparison.difference(ours, theirs)
    expected = confint_proportions_2indep(a, n, b, m, method="newcomb", compare="diff")
    assert less == pytest.approx(a / n - b / m)
    assert (low, high) == pytest.approx(expected, abs=1e-9)


def test_a_difference_without_an_interval_says_so():
    less, low, high = comparison.difference((0.5, np.nan, np.nan), (0.25, 0.2, 0.3))
    assert less == 0.25
    assert np.isnan([low, high]).all()
