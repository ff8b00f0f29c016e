"""Calibration agrees with scikit-learn, with what was simulated, and with worked examples."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn.calibration import calibration_curve
from sklearn.metrics import balanced_accuracy_score, brier_score_loss, f1_score, log_loss
from statsmodels.stats.proportion import confint_proportions_2indep

from cxrlib import metrics
from cxrlib.errors import InputError
from cxrlib.metrics import calibration
from cxrlib.targets import GROUPS, TARGETS, contradiction, encode


def predicted(truth, score, patient=None):
    """Predictions of one split."""
    columns = {f"y_{t}": truth[:, i] for i, t in enumerate(TARGETS)}
    columns |= {f"p_{t}": score[:, i] for i, t in enumerate(TARGETS)}
    return pd.DataFrame(
        {"patient": np.arange(len(truth)) if patient is None else patient} | columns
    )


def exact(n, seed):
    """Probabilities that are exactly right: each target is drawn with its own."""
    rng = np.random.default_rng(seed)
    score = expit(rng.normal(size=(n, 5)) * 2)
    return predicted((rng.random((n, 5)) < score).astype(int), score)


def chests(n, seed, noise=1.0):
    rng = np.random.default_rng(seed)
    truth = encode(np.append(list(GROUPS), rng.choice(list(GROUPS), n - 4)))
    return predicted(truth, expit(2.0 * truth - 1 + noise * rng.normal(size=truth.shape)))


def test_the_reliability_curve_matches_scikit_learn():
    predictions = exact(400, 0)
    for by, theirs in (("width", "uniform"), ("quantile", "quantile")):
        table = calibration.reliability(predictions, bins=8, by=by)
        for target in TARGETS:
            own = table[table["target"] == target]
            pair = predictions[f"y_{target}"], predictions[f"p_{target}"]
            observed, said = calibration_curve(*pair, n_bins=8, strategy=theirs)
            assert own["observed"].to_numpy() == pytest.approx(observed)
            assert own["predicted"].to_numpy() == pytest.approx(said)
            assert own["n"].sum() == 400
    assert own["n"].between(49, 51).all()


@settings(max_examples=40, deadline=None)
@given(
    score=st.lists(st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]), min_size=1, max_size=30),
    bins=st.integers(1, 40), by=st.sampled_from(["quantile", "width"]),
)  # fmt: skip
def test_every_radiograph_is_in_one_bin_and_equal_scores_are_together(score, bins, by):
    score = np.tile(np.array(score)[:, None], 5)
    table = calibration.reliability(predicted(np.ones(score.shape, int), score), bins=bins, by=by)
    own = table[table["target"] == "Virus"]
    assert own["n"].sum() == len(score) and (own["n"] > 0).all()
    assert len(own) <= min(bins, len(np.unique(score)))
    assert own["predicted"].is_monotonic_increasing


def test_scores_match_scikit_learn():
    predictions = exact(200, 1)
    table = calibration.scores(predictions).set_index(["target", "metric"])["value"]
    for target in TARGETS:
        pair = predictions[f"y_{target}"], predictions[f"p_{target}"]
        assert table[target, "brier"] == pytest.approx(brier_score_loss(*pair))
        assert table[target, "log_loss"] == pytest.approx(log_loss(*pair))
    for metric in table.index.get_level_values("metric"):
        each = [table[target, metric] for target in TARGETS]
        assert table["all", metric] == pytest.approx(np.mean(each))


def test_the_calibration_error_of_two_bins_by_hand():
    # 4 radiographs called 0.2, 1 of them positive; 6 called 0.9, 3 positive: 0.4·0.05 + 0.6·0.4.
    truth = np.tile([[1], [0], [0], [0], [1], [1], [1], [0], [0], [0]], 5)
    score = np.repeat([0.2, 0.9], [4, 6])[:, None].repeat(5, axis=1)
    table = calibration.scores(predicted(truth, score)).set_index(["target", "metric"])
    assert table.loc[("Virus", "calibration_error"), "value"] == pytest.approx(0.26)
    assert table.loc[("Virus", "calibration_error"), ["low", "high"]].isna().all()


def test_exact_probabilities_have_the_error_of_chance_and_overconfident_ones_more():
    predictions = exact(500, 2)
    table = calibration.scores(predictions).set_index(["target", "metric"])["value"]
    assert table["all", "calibration_error"] == pytest.approx(table["all", "chance_error"], rel=0.3)
    sure = calibration.scores(calibration.temperature_scaled(predictions, 0.3))
    sure = sure.set_index(["target", "metric"])["value"]
    assert sure["all", "calibration_error"] > 3 * sure["all", "chance_error"]


def test_scores_of_copied_radiographs_are_as_uncertain_as_those_of_their_patients():
    predictions = exact(60, 3)
    copied = predictions.loc[predictions.index.repeat(5)]
    one, five = (calibration.scores(frame).query("metric == 'brier'") for frame in
                 (predictions, copied))  # fmt: skip
    for column in ("value", "low", "high", "n"):
        assert one[column].tolist() == pytest.approx(five[column].tolist())


@settings(max_examples=15, deadline=None)
@given(temperature=st.floats(0.3, 4), seed=st.integers(0, 1000))
def test_a_known_temperature_is_recovered(temperature, seed):
    predictions = exact(2000, seed)
    hot = calibration.temperature_scaled(predictions, 1 / temperature)
    assert calibration.temperature(hot) == pytest.approx(temperature, rel=0.1)


def test_no_other_temperature_makes_the_truth_likelier():
    predictions = chests(80, 4)
    truth = predictions[[f"y_{t}" for t in TARGETS]].to_numpy().ravel()

    def loss(temperature):
        scaled = calibration.temperature_scaled(predictions, temperature)
        return log_loss(truth, scaled[[f"p_{t}" for t in TARGETS]].to_numpy().ravel())

    best = calibration.temperature(predictions)
    assert loss(best) <= min(loss(t) for t in np.geomspace(0.06, 18, 60)) + 1e-9


def test_a_temperature_changes_neither_order_nor_answers():
    predictions = chests(50, 5)
    scaled = calibration.temperature_scaled(predictions, 2.5)
    for target in TARGETS:
        before, after = predictions[f"p_{target}"], scaled[f"p_{target}"]
        assert (before.rank() == after.rank()).all()
        assert ((before >= 0.5) == (after >= 0.5)).all()
        assert logit(after).to_numpy() == pytest.approx(logit(before).to_numpy() / 2.5)


def test_perfect_separation_gives_a_finite_temperature():
    truth = encode(list(GROUPS) * 3)
    found = calibration.temperature(predicted(truth, truth * 0.8 + 0.1))
    assert found == pytest.approx(1 / 20, rel=0.01)
    scaled = calibration.temperature_scaled(predicted(truth, truth.astype(float)), found)
    assert np.isfinite(scaled.drop(columns="patient").to_numpy()).all()


@pytest.mark.slow
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6), digits=st.integers(1, 4))
def test_no_threshold_on_validation_beats_the_chosen_one(seed, digits):
    predictions = chests(30, seed, noise=2.0).round(digits)
    for rule, gain in (("youden", balanced_accuracy_score), ("f1", f1_score)):
        chosen = calibration.thresholds(predictions, rule)
        for target, cut in zip(TARGETS, chosen):
            truth, score = predictions[f"y_{target}"], predictions[f"p_{target}"]
            best = max(gain(truth, score >= c) for c in np.append(np.unique(score), 1.1))
            assert gain(truth, score >= cut) == pytest.approx(best)
            assert 0 <= cut <= 1


def test_a_threshold_lies_halfway_between_two_scores():
    truth = np.tile([[0], [0], [1], [1]], 5)
    score = np.tile([[0.1], [0.2], [0.4], [0.9]], 5)
    assert calibration.thresholds(predicted(truth, score)) == pytest.approx([0.3] * 5)


def test_chosen_thresholds_are_tried_on_test_radiographs_beside_one_half():
    validation, test = chests(60, 6), chests(60, 7)
    table = calibration.at_thresholds(validation, test, "f1")
    assert table["rule"].tolist() == ["fixed"] * 40 + ["f1"] * 40
    chosen = calibration.thresholds(validation, "f1")
    alone = metrics.of_predictions(test, threshold=chosen)
    pd.testing.assert_frame_equal(table.iloc[40:, 2:].reset_index(drop=True), alone)
    cuts = table[40:].drop_duplicates("target").set_index("target")["threshold"]
    assert cuts[list(TARGETS)].tolist() == list(chosen)
    assert np.isnan(cuts["all"])


def test_the_decision_curve_by_hand():
    # 10 of 100 positive; at 0.2, 8 of them and 18 of the 90 others are acted on.
    truth = np.tile(np.repeat([1, 0], [10, 90])[:, None], 5)
    score = np.tile(np.repeat([0.6, 0.1, 0.6, 0.1], [8, 2, 18, 72])[:, None], 5)
    table = calibration.net_benefit(predicted(truth, score), "COVID", thresholds=[0.1, 0.2])
    found = table.set_index(["strategy", "threshold"])
    assert found.loc[("model", 0.2), "net_benefit"] == pytest.approx(0.08 - 0.18 * 0.25)
    assert found.loc[("everyone", 0.2), "net_benefit"] == pytest.approx(0.1 - 0.9 * 0.25)
    assert found.loc[("everyone", 0.1), "net_benefit"] == pytest.approx(0)
    assert (found.loc["no one", "net_benefit"] == 0).all()
    low, high = found.loc[("model", 0.2), ["low", "high"]]
    assert low < 0.035 < high
    rare = calibration.net_benefit(
        predicted(truth, score), "COVID", thresholds=[0.2], prevalence=0.01
    )
    assert rare.loc[0, "net_benefit"] == pytest.approx(0.01 * 0.8 - 0.99 * 0.2 * 0.25)


def screened(found, missed, alarms, quiet, patient=None):
    """One target's truth and answers that give these counts, the same for all targets."""
    truth = np.repeat([1, 1, 0, 0], [found, missed, alarms, quiet])
    said = np.repeat([0.9, 0.1, 0.9, 0.1], [found, missed, alarms, quiet])
    return predicted(np.tile(truth[:, None], 5), np.tile(said[:, None], 5), patient)


def test_eddys_mammography_example_is_reproduced():
    # Eddy (1982), as Gigerenzer retells it: 1 %, recall 80 %, false alarms 9.6 %: 7.8 %.
    table = calibration.predictive_value(screened(800, 200, 96, 904), "COVID")
    assert table["prevalence"].tolist() == [0.01, 0.05, 0.2]
    assert table.loc[0, "value"] == pytest.approx(0.078, abs=5e-4)
    assert table["value"].is_monotonic_increasing
    assert ((table["low"] < table["value"]) & (table["value"] < table["high"])).all()


def test_at_the_samples_own_prevalence_the_predictive_value_is_the_precision():
    predictions = chests(100, 8)
    share = predictions["y_Virus"].mean()
    own = calibration.predictive_value(predictions, "Virus", prevalences=[share]).loc[0]
    table = metrics.of_predictions(predictions).set_index(["target", "metric"])
    assert own["value"] == pytest.approx(table.loc[("Virus", "precision"), "value"])


@pytest.mark.parametrize(
    ("counts", "value", "low", "high"),
    [  # value, and whether the ends are at 0 and 1
        ((12, 0, 0, 300), 1, False, True),
        ((0, 12, 3, 300), 0, True, False),
        ((12, 0, 300, 0), 0.01, False, False),
        ((0, 12, 300, 0), 0, True, False),
    ],
)
def test_a_predictive_value_of_0_or_1_still_has_an_interval(counts, value, low, high):
    row = calibration.predictive_value(screened(*counts), "COVID").loc[0]
    assert row["value"] == pytest.approx(value)
    assert (row["low"] < 1e-12, row["high"] > 1 - 1e-12) == (low, high)
    assert row["high"] - row["low"] > 0.001


def test_a_predictive_value_without_any_yes_is_undefined():
    row = calibration.predictive_value(screened(0, 12, 0, 30), "COVID").loc[0]
    assert row[["value", "low", "high"]].isna().all()


def test_copies_do_not_narrow_the_interval_of_a_predictive_value():
    one = calibration.predictive_value(screened(9, 3, 30, 270), "COVID")
    patient = np.concatenate([np.repeat(np.arange(12), 12), np.arange(100, 400)])
    copied = calibration.predictive_value(screened(108, 36, 30, 270, patient), "COVID")
    assert copied["value"].tolist() == pytest.approx(one["value"].tolist())
    widths = [(table["high"] - table["low"]).to_numpy() for table in (one, copied)]
    assert widths[1] == pytest.approx(widths[0], rel=0.05)


def test_histograms_count_each_groups_radiographs():
    predictions = chests(50, 9)
    table = calibration.histograms(predictions, bins=5)
    assert (table.groupby(["target", "group"])["n"].sum().groupby("target").sum() == 50).all()
    shares = table.groupby(["target", "group"])["share"].sum()
    assert shares.to_numpy() == pytest.approx(1)
    assert set(table["group"]) == set(GROUPS)
    strange = predicted(np.zeros((3, 5), int), np.full((3, 5), 1.0))
    other = calibration.histograms(strange, bins=4)
    assert set(other["group"]) == {"other"}
    assert other.query("target == 'Virus'")["n"].tolist() == [0, 0, 0, 3]


def test_inconsistent_answers_are_counted_by_what_is_wrong_with_them():
    answers = [
        (1, 0, 0, 0, 0), (0, 1, 1, 0, 1), (0, 1, 0, 1, 0), (0, 1, 1, 1, 0),  # possible
        (1, 1, 1, 0, 0), (0, 1, 0, 0, 1), (0, 0, 1, 0, 0), (0, 0, 0, 1, 1), (0, 0, 0, 0, 0),
    ]  # fmt: skip
    score = np.array(answers) * 0.8 + 0.1
    truth = encode(["normal"] * 9)
    table = calibration.inconsistent(predicted(truth, score)).set_index("answer")
    assert table["n"].to_dict() == {
        "Normal with Pneumonia": 1,
        "COVID without Virus": 2,
        "Virus or Bacteria without Pneumonia": 2,
        "any of these": 4,
        "nothing at all": 1,
    }
    assert table.loc["any of these", "share"] == pytest.approx(4 / 9)
    assert (table["low"] < table["share"]).all() and (table["share"] < table["high"]).all()
    none = calibration.inconsistent(predicted(truth, score), threshold=0.95).set_index("answer")
    assert none.loc["nothing at all", "share"] == 1


@pytest.mark.parametrize("answers", list(itertools.product((0, 1), repeat=5)))
def test_an_answer_contradicts_itself_where_a_label_would(answers):
    score = np.array([answers], float)
    table = calibration.inconsistent(predicted(encode(["normal"]), score)).set_index("answer")
    assert table.loc["any of these", "n"] == bool(contradiction(answers))


def test_no_to_all_five_is_counted_and_not_impossible_as_it_may_be_right():
    truth = np.zeros((3, 5), int)
    table = calibration.inconsistent(predicted(truth, truth.astype(float))).set_index("answer")
    assert table["n"].to_dict() == dict.fromkeys(table.index, 0) | {"nothing at all": 3}


@pytest.mark.parametrize("group", list(GROUPS))
def test_the_truth_is_never_inconsistent(group):
    truth = encode([group])
    assert calibration.inconsistent(predicted(truth, truth.astype(float)))["n"].sum() == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: calibration.reliability(p, by="size"), "unknown way to bin 'size'"),
        (lambda p: calibration.reliability(p, bins=0), "0 bins"),
        (lambda p: calibration.thresholds(p, "best"), "unknown rule 'best'"),
        (lambda p: calibration.thresholds(p.assign(y_COVID=0)), "no radiograph with COVID"),
        (lambda p: calibration.thresholds(p.assign(y_Virus=1)), "no radiograph without Virus"),
        (lambda p: calibration.temperature_scaled(p, 0), "temperature 0 must be above 0"),
        (lambda p: calibration.temperature_scaled(p, np.nan), "temperature nan must be above 0"),
        (lambda p: calibration.net_benefit(p, "Covid"), "unknown target 'Covid'"),
        (lambda p: calibration.net_benefit(p.assign(y_COVID=1), "COVID"), "without COVID"),
        (lambda p: calibration.net_benefit(p, "COVID", thresholds=[1.0]), "threshold must lie"),
        (lambda p: calibration.net_benefit(p, "COVID", prevalence=0), "prevalence must lie"),
        (lambda p: calibration.predictive_value(p.assign(y_COVID=0), "COVID"), "with COVID"),
        (
            lambda p: calibration.predictive_value(p, "COVID", prevalences=[5]),
            "prevalence must lie",
        ),
        (lambda p: calibration.inconsistent(p, level=95), "level 95 is no share"),
        (lambda p: calibration.net_benefit(p, "Virus", level=0), "level 0 is no share"),
        (lambda p: calibration.scores(p.assign(p_Virus=1.5)), "must lie in .0, 1."),
        (lambda p: calibration.scores(p.assign(y_Virus=2)), "0 and 1 only"),
        (lambda p: calibration.inconsistent(p.drop(columns="patient")), "no column 'patient'"),
        (lambda p: calibration.histograms(p.iloc[:0]), "no rows"),
        (lambda p: calibration.temperature(p.assign(patient=None)), "row 0 has no group"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call(chests(20, 10))


@pytest.mark.parametrize("counts", [(11, 1, 3, 297), (60, 20, 9, 200), (5, 7, 30, 70)])
def test_the_interval_of_a_predictive_value_matches_miettinen_and_nurminen(counts):
    found, missed, alarms, quiet = counts
    row = calibration.predictive_value(screened(*counts), "COVID", prevalences=[0.5]).loc[0]
    ends = confint_proportions_2indep(
        found, found + missed, alarms, alarms + quiet, compare="ratio", method="score"
    )
    theirs = [end / (1 + end) for end in ends]
    assert row[["low", "high"]].tolist() == pytest.approx(theirs, abs=0.03)


def test_a_target_that_validation_lacks_keeps_its_threshold_and_the_others_are_chosen():
    predictions = chests(20, 10)
    found = calibration.at_thresholds(predictions.assign(y_Bacteria=0), predictions)
    cuts = found[found["rule"] == "youden"].groupby("target")["threshold"].first()
    assert cuts["Bacteria"] == 0.5
    whole = calibration.at_thresholds(predictions, predictions)
    others = whole[whole["rule"] == "youden"].groupby("target")["threshold"].first()
    pd.testing.assert_series_equal(cuts.drop("Bacteria"), others.drop("Bacteria"))
