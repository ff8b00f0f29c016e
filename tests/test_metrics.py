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


def with_counts(tp, fp, fn, tn):
    """One target's truth and answers that give these counts."""
    truth = np.repeat([1, 0, 1, 0], [tp, fp, fn, tn])
    return truth, np.repeat([1.0, 1.0, 0.0, 0.0], [tp, fp, fn, tn])


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the confusion counts in ../shared")
def test_the_papers_counts_give_all_but_five_of_its_values_and_its_wald_intervals_again():
    counts = pd.read_csv(SHARED / "paper/confusion_counts.csv", keep_default_na=False)
    counts["architecture"] = counts["architecture"].map(paper.ARCHITECTURES)
    keys = ["experiment", "architecture", "weights"]
    values, widths = [], []
    for arm, rows in counts.groupby(keys):
        rows = rows.set_index("target").loc[list(TARGETS)]
        columns = [with_counts(*row) for row in rows[["tp", "fp", "fn", "tn"]].to_numpy()]
        truth, score = (np.stack(part, axis=1) for part in zip(*columns))
        ours = metrics.evaluate(truth, score, interval="wald").set_index(["target", "metric"])
        # The targets are shuffled among images here, so whole answers are counted by themselves.
        n, exact = rows[["n_test", "n_exact_match"]].iloc[0]
        whole = np.ones((n, 5), int)
        answer = whole.copy()
        answer[exact:, 0] = 0
        accuracy = metrics.evaluate(whole, answer.astype(float), interval="wald").iloc[0]
        ours.loc[("all", "accuracy")] = accuracy[["value", "low", "high", "n"]]
        printed = paper.published().set_index(keys).loc[arm].set_index(["target", "metric"])
        digit = np.where(printed.index.get_level_values("metric") == "hamming_loss", 1, 100)
        off = (ours["value"] - printed["value"]).abs() * digit
        values += [(*arm, *name) for name in off.index[off > 0.0101]]
        off = ((ours["high"] - ours["low"]) - (printed["high"] - printed["low"])).abs() * digit / 2
        widths += [(*arm, *name) for name in off.index[off > 0.011]]
    assert sorted(values) == [
        ("A", "densenet121", "none", "all", "macro_f1"),
        ("A", "densenet121", "none", "all", "macro_precision"),
        ("A", "densenet121", "none", "all", "macro_recall"),
        ("A", "efficient", "none", "all", "accuracy"),
        ("B", "densenet121", "imagenet", "Virus", "f1"),
    ]
    # Table 5 counts 280 and 140 images where 292 and 152 carry the target; the rest follows from
    # the wrong values above.
    table_5 = [
        ("A", *arm, target, metric)
        for arm in counts.query("experiment == 'A'")[keys[1:]].drop_duplicates().to_numpy()
        for target in ("Pneumonia", "Virus")
        for metric in metrics.PER_TARGET
    ]
    assert len(table_5) == 30
    assert set(widths) - set(values) == set(table_5)


@given(n=st.integers(1, 300), share=st.floats(0, 1))
def test_proportions_are_scipys_whatever_was_counted(n, share):
    k = round(share * n)
    for ours, theirs in (("wilson", "wilson"), ("clopper-pearson", "exact")):
        expected = binomtest(k, n).proportion_ci(0.95, theirs)
        assert metrics.proportion(k / n, n, ours) == pytest.approx(tuple(expected), abs=1e-9)


def test_the_ordinary_interval_of_a_perfect_recall_leaves_room_below():
    truth = np.tile(GROUPS["covid"], (12, 1))
    table = metrics.evaluate(truth, truth.astype(float))
    assert value(table, "COVID", "recall", "low") == pytest.approx(0.7575, abs=1e-4)
    wald = metrics.evaluate(truth, truth.astype(float), interval="wald")
    assert value(wald, "COVID", "recall", "low") == 1.0


def test_exactly_the_threshold_is_a_yes():
    truth = np.tile(GROUPS["covid"], (2, 1))
    table = metrics.evaluate(truth, truth * 0.5)
    assert value(table, "all", "accuracy") == 1
    table = metrics.evaluate(truth, truth * 0.5, threshold=0.51)
    assert value(table, "all", "accuracy") == 0


@pytest.mark.parametrize("interval", metrics.INTERVALS)
def test_a_higher_level_is_never_narrower_and_a_table_can_be_made_again(interval):
    truth, score = answers(40, 6)
    half, most = (metrics.evaluate(truth, score, interval=interval, level=v) for v in (0.5, 0.99))
    widths = [(table["high"] - table["low"]).fillna(0) for table in (half, most)]
    assert (widths[1] >= widths[0]).all()
    assert (widths[1] > widths[0]).any()
    pd.testing.assert_frame_equal(
        most, metrics.evaluate(truth, score, interval=interval, level=0.99)
    )


def test_what_is_no_proportion_gets_the_bootstraps_interval():
    truth, score = answers(40, 7)
    drawn = metrics.evaluate(truth, score, interval="bootstrap").set_index(["target", "metric"])
    exact = metrics.evaluate(truth, score, interval="clopper-pearson").set_index(drawn.index)
    for name in drawn.index:
        same = exact.loc[name, "low"] == drawn.loc[name, "low"]
        assert same == (name[1] not in ("accuracy", "precision", "recall")), name


shapes = st.lists(st.integers(0, 6), min_size=0, max_size=3).map(tuple)


@given(one=shapes, other=shapes)
def test_shapes_that_do_not_fit_are_refused_and_nothing_else_happens(one, other):
    if one == other and len(one) == 2 and one[1] == 5 and one[0] > 0:
        assert len(metrics.evaluate(np.zeros(one), np.zeros(other))) == 20
    else:
        with pytest.raises(InputError):
            metrics.evaluate(np.zeros(one), np.zeros(other))


def test_a_runs_predictions_are_measured_patient_by_patient():
    truth, score = answers(12, 8)
    columns = {f"y_{t}": truth[:, i] for i, t in enumerate(TARGETS)}
    columns |= {f"p_{t}": score[:, i] for i, t in enumerate(TARGETS)}
    predictions = pd.DataFrame({"patient": np.arange(12) // 3, **columns})
    table = metrics.of_predictions(predictions)
    pd.testing.assert_frame_equal(table, metrics.evaluate(truth, score, groups=np.arange(12) // 3))
    assert value(table, "all", "accuracy", "n") == 4
