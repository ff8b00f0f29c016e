"""The paper's measures agree with scikit-learn and scipy; intervals know what is independent."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, hamming_loss, precision_recall_fscore_support

from cxrlib import metrics, paper
from cxrlib.errors import InputError
from cxrlib.targets import GROUPS, TARGETS, encode

SHARED = Path(__file__).parents[1].parent / "shared"


def answers(n, seed, flip=0.15):
    """Truth of n radiographs and probabilities that are wrong now and then."""
    rng = np.random.default_rng(seed)
    truth = encode(rng.choice(list(GROUPS), n))
    wrong = rng.random(truth.shape) < flip
    return truth, np.clip(np.abs(truth - wrong) * 0.8 + 0.1, 0, 1)


def value(table, target, metric, column="value"):
    row = table[(table["target"] == target) & (table["metric"] == metric)]
    return row[column].item()


@settings(max_examples=30, deadline=None)
@given(n=st.integers(1, 60), seed=st.integers(0, 10**6), flip=st.floats(0, 1))
def test_values_are_scikit_learns(n, seed, flip):
    truth, score = answers(n, seed, flip)
    table = metrics.evaluate(truth, score)
    answer = score >= 0.5
    macro = precision_recall_fscore_support(truth, answer, average="macro", zero_division=0)
    assert value(table, "all", "accuracy") == pytest.approx(accuracy_score(truth, answer))
    assert value(table, "all", "hamming_loss") == pytest.approx(hamming_loss(truth, answer))
    for name, theirs in zip(("precision", "recall", "f1"), macro):
        assert value(table, "all", f"macro_{name}") == pytest.approx(theirs)
    each = precision_recall_fscore_support(truth, answer, average=None, zero_division=np.nan)
    for i, target in enumerate(TARGETS):
        for name, theirs in zip(("precision", "recall"), each):
            assert value(table, target, name) == pytest.approx(theirs[i], nan_ok=True)


@pytest.mark.parametrize(("ours", "theirs"), [("wilson", "wilson"), ("clopper-pearson", "exact")])
def test_proportions_have_scipys_intervals(ours, theirs):
    truth, score = answers(40, 1)
    table = metrics.evaluate(truth, score, interval=ours)
    right = (truth == (score >= 0.5)).all(1)
    expected = binomtest(int(right.sum()), 40).proportion_ci(0.95, theirs)
    assert value(table, "all", "accuracy", "low") == pytest.approx(expected.low)
    assert value(table, "all", "accuracy", "high") == pytest.approx(expected.high)


def test_precision_counts_predicted_positives_and_recall_counts_positives():
    truth, score = answers(50, 2)
    table = metrics.evaluate(truth, score)
    assert value(table, "Virus", "precision", "n") == (score[:, 2] >= 0.5).sum()
    assert value(table, "Virus", "recall", "n") == truth[:, 2].sum()


def test_wald_is_the_papers_interval():
    printed = paper.published().query("experiment == 'A' and weights == 'imagenet'")
    row = printed.query("architecture == 'densenet121' and metric == 'accuracy'").iloc[0]
    truth = np.tile(GROUPS["normal"], (572, 1))
    score = truth.astype(float)
    score[: round(572 * (1 - row["value"])), 0] = 0.0
    table = metrics.evaluate(truth, score, interval="wald")
    assert value(table, "all", "accuracy", "high") == pytest.approx(row["high"], abs=1e-4)
    assert value(table, "all", "accuracy", "low") == pytest.approx(row["low"], abs=1e-4)


def test_twelve_copies_of_an_image_are_one_piece_of_evidence():
    truth, score = answers(12, 3)
    copied = metrics.evaluate(np.repeat(truth, 12, 0), np.repeat(score, 12, 0))
    patients = np.repeat(np.arange(12), 12)
    honest = metrics.evaluate(np.repeat(truth, 12, 0), np.repeat(score, 12, 0), groups=patients)
    single = metrics.evaluate(truth, score)
    for metric in ("accuracy", "macro_f1"):
        widths = [value(t, "all", metric, "high") - value(t, "all", metric, "low")
                  for t in (copied, honest, single)]  # fmt: skip
        assert widths[1] > 2 * widths[0]
        assert widths[1] == pytest.approx(widths[2], abs=0.02)


def test_a_perfect_recall_of_twelve_still_leaves_room_below():
    truth = np.tile(GROUPS["covid"], (12, 1))
    table = metrics.evaluate(truth, truth.astype(float), interval="clopper-pearson")
    assert value(table, "COVID", "recall", "low") == pytest.approx(0.735, abs=1e-3)
    assert value(table, "COVID", "recall", "high") == 1.0


def test_what_has_no_denominator_is_undefined_not_zero():
    truth = np.tile(GROUPS["normal"], (5, 1))
    table = metrics.evaluate(truth, np.zeros((5, 5)))
    assert np.isnan(value(table, "Normal", "precision"))
    assert np.isnan(value(table, "COVID", "recall"))
    assert np.isnan(value(table, "COVID", "f1"))
    assert value(table, "Normal", "recall") == 0


@pytest.mark.parametrize(
    ("truth", "score", "options", "message"),
    [
        (np.zeros((3, 5)), np.zeros((3, 4)), {}, "must both be .n, 5."),
        (np.zeros((0, 5)), np.zeros((0, 5)), {}, "no rows"),
        (np.full((3, 5), 2), np.zeros((3, 5)), {}, "0 and 1 only"),
        (np.zeros((3, 5)), np.full((3, 5), np.nan), {}, "without NaN"),
        (np.zeros((3, 5)), np.full((3, 5), 1.2), {}, "in .0, 1."),
        (np.zeros((3, 5)), np.zeros((3, 5)), {"interval": "normal"}, "unknown interval 'normal'"),
        (np.zeros((3, 5)), np.zeros((3, 5)), {"groups": [1, 2]}, "2 groups for 3 rows"),
    ],
)
def test_bad_input_is_refused(truth, score, options, message):
    with pytest.raises(InputError, match=message):
        metrics.evaluate(truth, score, **options)


def test_the_published_tables_hold_eleven_arms_of_twenty_values():
    printed = paper.published()
    assert len(printed) == 220
    assert (printed.groupby(["experiment", "architecture", "weights"]).size() == 20).all()
    assert printed["value"].between(0, 1).all()


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the confusion counts in ../shared")
def test_recomputed_from_the_counts_nearly_every_printed_value_agrees():
    counts = pd.read_csv(SHARED / "paper/confusion_counts.csv", keep_default_na=False)
    names = {v: k for k, v in paper.ARCHITECTURES.items()}
    wrong = 0
    for row in paper.published().query("target != 'all'").itertuples():
        same = counts[
            (counts["experiment"] == row.experiment) & (counts["weights"] == row.weights)
            & (counts["architecture"] == names[row.architecture]) & (counts["target"] == row.target)
        ].iloc[0]  # fmt: skip
        tp, fp, fn = same["tp"], same["fp"], same["fn"]
        ours = {
            "precision": tp / max(tp + fp, 1),
            "recall": tp / (tp + fn),
            "f1": 2 * tp / (2 * tp + fp + fn),
        }
        wrong += abs(ours[row.metric] - row.value) > 1.01e-4
    assert wrong == 1
