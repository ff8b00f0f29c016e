"""The paper's measures agree with scikit-learn and scipy; intervals know what is independent."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.stats import binomtest
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    hamming_loss,
    precision_recall_fscore_support,
    roc_auc_score,
)
from statsmodels.stats.proportion import confint_proportions_2indep

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
def test_values_match_scikit_learn(n, seed, flip):
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
def test_intervals_of_proportions_match_scipy(ours, theirs):
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


def test_the_wald_interval_is_the_papers():
    printed = paper.published().query("experiment == 'A' and weights == 'imagenet'")
    row = printed.query("architecture == 'densenet121' and metric == 'accuracy'").iloc[0]
    truth = np.tile(GROUPS["normal"], (572, 1))
    score = truth.astype(float)
    score[: round(572 * (1 - row["value"])), 0] = 0.0
    table = metrics.evaluate(truth, score, interval="wald")
    assert value(table, "all", "accuracy", "high") == pytest.approx(row["high"], abs=1e-4)
    assert value(table, "all", "accuracy", "low") == pytest.approx(row["low"], abs=1e-4)


def test_a_radiograph_in_copies_counts_once_in_the_harsh_accuracy():
    rows = [("a", 0.9), ("b", 0.9), ("b", 0.9), ("b", 0.1), ("b", 0.1)]
    table = pd.DataFrame(rows, columns=["file", "p_Normal"]).assign(patient=0, y_Normal=1)
    for target in TARGETS[1:]:
        table = table.assign(**{f"y_{target}": 0, f"p_{target}": 0.2})
    assert metrics.harsh_once(table) == pytest.approx((1 + 0.5) / 2)


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
def test_nearly_every_printed_value_follows_from_the_counts():
    counts = pd.read_csv(SHARED / "paper/confusion_counts.csv", keep_default_na=False)
    names = {v: k for k, v in paper._PRINTED.items()}
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
def test_all_but_five_of_the_papers_values_and_its_wald_intervals_follow_from_its_counts():
    counts = pd.read_csv(SHARED / "paper/confusion_counts.csv", keep_default_na=False)
    counts["architecture"] = counts["architecture"].map(paper._PRINTED)
    keys = ["experiment", "architecture", "weights"]
    values, widths = [], []
    for arm, rows in counts.groupby(keys):
        rows = rows.set_index("target").loc[list(TARGETS)]
        columns = [with_counts(*row) for row in rows[["tp", "fp", "fn", "tn"]].to_numpy()]
        truth, score = (np.stack(part, axis=1) for part in zip(*columns))
        ours = metrics.evaluate(truth, score, interval="wald").set_index(["target", "metric"])
        ours = ours.drop(index=list(metrics.UNPRINTED), level="metric")
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
def test_intervals_of_any_count_match_scipy(n, share):
    k = round(share * n)
    for ours, theirs in (("wilson", "wilson"), ("clopper-pearson", "exact")):
        expected = binomtest(k, n).proportion_ci(0.95, theirs)
        assert metrics.proportion(k / n, n, ours) == pytest.approx(tuple(expected), abs=1e-9)


@given(n=st.integers(1, 400), whole=st.booleans(), share=st.sampled_from([0.0, 1.0]))
def test_an_interval_contains_its_proportion_to_the_last_bit(n, whole, share):
    low, high = metrics.proportion(share, n if whole else n * 0.7)
    assert low <= share <= high


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


def test_only_hamming_loss_and_average_precision_get_the_bootstraps_interval():
    truth, score = answers(40, 7, flip=0.3)
    names, closed = ["target", "metric"], ("recall", "f1", "balanced_accuracy", "auc")
    drawn = metrics.evaluate(truth, score, interval="bootstrap").set_index(names)
    exact = metrics.evaluate(truth, score, interval="clopper-pearson").set_index(names)
    for metric in ("hamming_loss", "average_precision"):
        pd.testing.assert_frame_equal(*(t.xs(metric, level=1) for t in (exact, drawn)))
    for name in (("all", "accuracy"), ("all", "macro_f1"), *(("Virus", m) for m in closed)):
        assert exact.loc[name, "low"] != drawn.loc[name, "low"], name


shapes = st.lists(st.integers(0, 6), min_size=0, max_size=3).map(tuple)


@given(one=shapes, other=shapes)
def test_shapes_that_do_not_fit_are_refused_and_nothing_else_happens(one, other):
    if one == other and len(one) == 2 and one[1] == 5 and one[0] > 0:
        assert len(metrics.evaluate(np.zeros(one), np.zeros(other))) == 40
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


@settings(max_examples=30, deadline=None)
@given(n=st.integers(2, 60), seed=st.integers(0, 10**6), flip=st.floats(0, 1), ties=st.booleans())
def test_measures_that_the_paper_leaves_out_match_scikit_learn(n, seed, flip, ties):
    truth, score = answers(n, seed, flip)
    score = score if ties else np.random.default_rng(seed).random(score.shape)
    table = metrics.evaluate(truth, score)
    for i, target in enumerate(TARGETS):
        yes, said = truth[:, i], score[:, i] >= 0.5
        if not 0 < yes.sum() < n:
            assert np.isnan(value(table, target, "auc"))
            assert np.isnan(value(table, target, "balanced_accuracy"))
            continue
        theirs = {
            "auc": roc_auc_score(yes, score[:, i]),
            "average_precision": average_precision_score(yes, score[:, i]),
            "balanced_accuracy": balanced_accuracy_score(yes, said),
            "specificity": 1 - said[yes == 0].mean(),
        }
        for name, expected in theirs.items():
            assert value(table, target, name) == pytest.approx(expected), name


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), grid=st.integers(2, 50))
def test_weighted_measures_match_scikit_learn(seed, grid):
    rng = np.random.default_rng(seed)
    truth, _ = answers(40, seed)
    truth[0], truth[1] = GROUPS["normal"], GROUPS["covid"]
    truth[2] = GROUPS["bacteria"]
    score = np.round(rng.random(truth.shape) * grid) / grid
    codes, weights = rng.integers(0, 9, 40), rng.integers(0, 4, (1, 10))
    codes[:3], weights[0, 9] = 9, 1
    checked = metrics.checked(truth, score)
    found = dict(zip(metrics.NAMES, metrics.measures(*checked, codes, weights)[0]))
    times = weights[0, codes]
    for i, target in enumerate(TARGETS):
        pair = truth[:, i], score[:, i]
        assert found[target, "auc"] == pytest.approx(roc_auc_score(*pair, sample_weight=times))
        average = average_precision_score(*pair, sample_weight=times)
        assert found[target, "average_precision"] == pytest.approx(average)
    exact = accuracy_score(truth, checked[2], sample_weight=times)
    assert found["all", "accuracy"] == pytest.approx(exact)


@pytest.mark.parametrize(
    ("k", "n", "wilson", "exact"),
    [  # Newcombe (1998), Statistics in Medicine 17:857, table I
        (81, 263, (0.2553, 0.3662), (0.2527, 0.3676)),
        (15, 148, (0.0624, 0.1605), (0.0578, 0.1617)),
        (0, 20, (0.0000, 0.1611), (0.0000, 0.1684)),
        (1, 29, (0.0061, 0.1718), (0.0009, 0.1776)),
    ],
)
def test_newcombes_examples_of_proportions_are_reproduced(k, n, wilson, exact):
    assert metrics.proportion(k / n, n) == pytest.approx(wilson, abs=5e-5)
    assert metrics.proportion(k / n, n, "clopper-pearson") == pytest.approx(exact, abs=5e-5)


def test_hanley_and_mcneils_auc_is_reproduced():
    # Radiology 143:29 (1982), table I: CT of 58 normal and 51 abnormal patients, rated 1 to 5.
    truth = np.repeat([0, 1], [58, 51])
    ratings = np.tile(np.arange(1, 6), 2)
    score = np.repeat(ratings, [33, 6, 6, 11, 2, 3, 2, 2, 11, 33])
    area, low, high = metrics.auc(truth, score)
    assert area == pytest.approx(0.893, abs=5e-4)
    assert (high - low) / 2 == pytest.approx(1.96 * 0.032, abs=0.005)  # their standard error
    assert area - low > high - area


def test_balanced_accuracy_has_newcombes_interval_of_a_difference():
    truth, score = answers(60, 9)
    table = metrics.evaluate(truth, score)
    yes, said = truth[:, 0] == 1, score[:, 0] >= 0.5
    counts = [(said & yes).sum(), yes.sum(), (said & ~yes).sum(), (~yes).sum()]
    low, high = confint_proportions_2indep(*counts, method="newcomb", compare="diff")
    assert value(table, "Normal", "balanced_accuracy", "low") == pytest.approx((1 + low) / 2)
    assert value(table, "Normal", "balanced_accuracy", "high") == pytest.approx((1 + high) / 2)


def test_f1_has_the_interval_of_the_share_that_it_is_made_of():
    truth, score = answers(60, 10)
    table = metrics.evaluate(truth, score, interval="clopper-pearson")
    yes, said = truth[:, 2] == 1, score[:, 2] >= 0.5
    ends = binomtest(int((yes & said).sum()), int((yes | said).sum())).proportion_ci(0.95)
    assert value(table, "Virus", "f1", "low") == pytest.approx(2 * ends.low / (1 + ends.low))
    assert value(table, "Virus", "f1", "high") == pytest.approx(2 * ends.high / (1 + ends.high))


@settings(max_examples=50, deadline=None)
@given(sizes=st.lists(st.integers(1, 9), min_size=1, max_size=20), seed=st.integers(0, 10**6))
def test_the_effective_number_lies_between_that_of_patients_and_that_of_radiographs(sizes, seed):
    codes = np.repeat(np.arange(len(sizes)), sizes)
    right = np.random.default_rng(seed).random(len(codes)) < 0.7
    kish = sum(sizes) ** 2 / sum(size**2 for size in sizes)
    assert kish - 1e-9 <= metrics.effective(right, codes) <= len(codes) + 1e-9
    assert metrics.effective(right, np.arange(len(codes))) == len(codes)
    alike = np.arange(len(sizes)) % 2 == 0
    if len(sizes) > 1:
        assert metrics.effective(alike[codes], codes) == pytest.approx(kish)


def test_the_intraclass_correlation_follows_from_an_analysis_of_variance():
    rng = np.random.default_rng(0)
    right = (rng.random((30, 4)) < rng.choice([0.4, 0.9], (30, 1))).astype(float)
    parts = [*right, np.zeros(1), np.ones(1)]
    f, sizes = stats.f_oneway(*parts).statistic, np.array([len(part) for part in parts])
    size = (sizes.sum() - (sizes**2).sum() / sizes.sum()) / (len(sizes) - 1)
    alike = (f - 1) / (f + size - 1)
    assert 0 < alike < 1
    worth = metrics.effective(right.ravel(), np.repeat(np.arange(30), 4))
    assert worth == pytest.approx(120 / (1 + 3 * alike))


def test_percentile_intervals_widen_when_fewer_groups_matter():
    rng = np.random.default_rng(0)
    sample = rng.normal(10, 1, 400)
    value, drawn, left_out = metrics.resample(
        lambda weights: (weights @ sample / weights.sum(axis=1))[:, None], 400
    )
    ours = metrics.percentiles(value, drawn, left_out)[0]
    theirs = stats.bootstrap((sample,), np.mean, method="percentile", rng=1).confidence_interval
    assert ours == pytest.approx(tuple(theirs), abs=0.02)
    heavy = np.where(np.arange(400) < 3, 100.0, 1.0) * sample
    pulls = [
        metrics.degrees_of_freedom(metrics.resample(lambda w, x=x: (w @ x)[:, None], 400)[2])[0]
        for x in (sample, heavy)
    ]
    assert pulls[0] > 100
    assert pulls[1] < 4


@pytest.mark.parametrize("interval", ["wilson", "clopper-pearson", "bootstrap"])
@pytest.mark.parametrize("patients", [None, np.arange(20) // 2])
def test_a_perfect_score_is_never_certain(interval, patients):
    truth = encode(np.repeat(list(GROUPS), 5))
    table = metrics.evaluate(truth, truth * 0.9, interval=interval, groups=patients)
    perfect = table["metric"] != "hamming_loss"
    assert (table.loc[perfect, "value"] == 1).all()
    assert table.loc[perfect, "high"].to_numpy() == pytest.approx(1)
    assert table.loc[perfect, "low"].between(0.1, 0.99).all()
    assert value(table, "all", "hamming_loss", "low") == 0
    assert 0.05 < value(table, "all", "hamming_loss", "high") < 0.5


def test_a_perfect_target_still_leaves_the_macro_average_an_interval():
    truth = encode(np.repeat(list(GROUPS), (60, 40, 40, 12)))
    score = truth * 0.9
    score[:4, 0] = 0.1  # four chests that are not called Normal; all others are right
    table = metrics.evaluate(truth, score)
    assert value(table, "COVID", "recall") == 1
    doubt = (1 - value(table, "COVID", "recall", "low")) / 5
    macro = value(table, "all", "macro_recall")
    assert value(table, "all", "macro_recall", "low") < macro - doubt


def test_the_bootstrap_says_nothing_where_a_measure_is_often_undefined():
    truth = encode(["normal"] * 30 + ["covid"])
    score = np.random.default_rng(0).random(truth.shape)
    value, drawn, left_out = metrics.resample(
        lambda w: metrics.measures(*metrics.checked(truth, score), np.arange(31), w), 31
    )
    ends = dict(zip(metrics.NAMES, metrics.percentiles(value, drawn, left_out)))
    assert np.isnan(ends["COVID", "auc"]).all()
    assert not np.isnan(ends["Normal", "specificity"]).all() or value[20] in (0, 1)
    assert not np.isnan(ends["all", "accuracy"]).any() or value[0] in (0, 1)


@settings(max_examples=25, deadline=None)
@given(
    n=st.integers(1, 25), seed=st.integers(0, 10**6), patients=st.integers(1, 25),
    interval=st.sampled_from(metrics.INTERVALS), step=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
)  # fmt: skip
def test_every_value_lies_in_its_interval(n, seed, patients, interval, step):
    rng = np.random.default_rng(seed)
    truth = encode(rng.choice(list(GROUPS), n))
    score = rng.random(truth.shape)
    score = np.round(score / step) * step if step else score
    score = np.clip(score, 0, 1)
    table = metrics.evaluate(truth, score, interval=interval, groups=rng.integers(0, patients, n))
    known = table[table["value"].notna()]
    assert known["value"].between(0, 1).all()
    if interval != "wald":  # the paper's n may be 0
        assert known[["low", "high"]].notna().all(axis=None)
    assert table.loc[table["value"].isna(), ["low", "high"]].isna().all(axis=None)
    if interval != "bootstrap":
        assert not (known["low"] > known["value"] + 1e-9).any()
        assert not (known["high"] < known["value"] - 1e-9).any()
    if interval != "wald":
        assert known[["low", "high"]].stack().between(-1e-9, 1 + 1e-9).all()


def test_each_target_may_have_its_own_threshold():
    truth = np.tile(GROUPS["covid"], (4, 1))
    score = np.tile([0.1, 0.3, 0.6, 0.2, 0.4], (4, 1))
    assert value(metrics.evaluate(truth, score), "all", "accuracy") == 0
    own = metrics.evaluate(truth, score, threshold=(0.5, 0.3, 0.5, 0.5, 0.4))
    assert value(own, "all", "accuracy") == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": (0.5, 0.5)}, "one number or 5"),
        ({"threshold": np.nan}, "without NaN"),
        ({"threshold": "half"}, "must be numbers"),
        ({"level": 95}, "level 95 is no share"),
        ({"groups": ["a", None, "b"]}, "row 1 has no group"),
        ({"groups": ["a", "b", ""]}, "row 2 has no group"),
        ({"groups": [1.0, np.nan, 2.0]}, "row 1 has no group"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        metrics.evaluate(np.zeros((3, 5)), np.zeros((3, 5)), **options)


def test_predictions_without_a_patient_are_refused_by_the_columns_name():
    with pytest.raises(InputError, match="no column 'patient'"):
        metrics.of_predictions(pd.DataFrame({f"{a}_{t}": [0] for a in "yp" for t in TARGETS}))


def test_an_unknown_interval_of_a_proportion_is_refused():
    with pytest.raises(InputError, match="unknown interval 'wald'"):
        metrics.proportion(0.5, 10, "wald")


def test_the_papers_rows_come_first_and_in_the_papers_order():
    table = metrics.evaluate(*answers(10, 11))
    names = list(zip(table["target"], table["metric"]))
    printed = [("all", m) for m in metrics.OVERALL]
    printed += [(t, m) for t in TARGETS for m in metrics.PER_TARGET]
    assert names[:20] == printed
    assert tuple(names) == metrics.NAMES


def test_an_average_over_one_patient_has_no_interval():
    mean, low, high = metrics.average([0.25, 0.75], ["a", "a"])
    assert mean == 0.5
    assert np.isnan([low, high]).all()
