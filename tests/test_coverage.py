"""A 95 % interval holds the truth in 95 of 100 studies: simulated, so that the truth is known."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from scipy.stats import norm

from cxrlib import metrics
from cxrlib.metrics import calibration, comparison, intervals
from cxrlib.targets import GROUPS, TARGETS, encode

STUDIES = 2000
SIZES = {
    "one radiograph each": np.ones(100, int),
    "two each": np.full(40, 2),
    "five each": np.full(30, 5),
    "a few with three": np.repeat([1, 3], [80, 20]),
    "twelve with twelve copies": np.repeat([12, 1], [12, 300]),
}
"""How many radiographs the patients of a study have."""


def rights(sizes, share, alike, rng):
    """Right answers of one study whose patients' radiographs correlate by `alike`."""
    part = (1 - alike) / alike
    own = rng.beta(share * part, (1 - share) * part, len(sizes))
    return rng.random(sizes.sum()) < np.repeat(own, sizes)


def covered(intervals, truth):
    """Share of intervals that hold the truth."""
    low, high = np.transpose(intervals)
    return ((low <= truth) & (truth <= high)).mean()


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize(("share", "alike"), [(0.8, 0.1), (0.6, 0.5), (0.85, 0.9)])
def test_wilsons_interval_of_a_share_counts_patients(sizes, share, alike):
    rng = np.random.default_rng(1)
    patient = np.repeat(np.arange(len(sizes)), sizes)
    hits = [rights(sizes, share, alike, rng) for _ in range(STUDIES)]
    # What `metrics.share` does once it has numbered the patients, which are numbers here.
    found = [metrics.proportion(h.mean(), metrics.effective(h, patient)) for h in hits]
    assert found[0] == metrics.share(hits[0], patient)[1:]
    assert 0.93 <= covered(found, share) <= 0.97


def test_a_plain_count_of_patients_or_of_radiographs_would_be_too_sure():
    rng = np.random.default_rng(2)
    sizes = SIZES["twelve with twelve copies"]
    values = [rights(sizes, 0.8, 0.9, rng).mean() for _ in range(STUDIES)]
    for n in (len(sizes), sizes.sum()):
        assert covered([metrics.proportion(value, n) for value in values], 0.8) < 0.85


def test_clopper_and_pearsons_interval_is_never_too_sure():
    rng = np.random.default_rng(3)
    for n, share in ((12, 0.9), (30, 0.5), (200, 0.8)):
        counts = rng.binomial(n, share, STUDIES)
        found = [metrics.proportion(k / n, n, "clopper-pearson") for k in counts]
        assert covered(found, share) >= 0.945


@pytest.mark.parametrize("positives", [12, 60])
@pytest.mark.parametrize("distance", [1.0, 2.0])
def test_the_interval_of_an_auc_holds_with_few_patients(positives, distance):
    rng = np.random.default_rng(4)
    truth = np.repeat([1, 0], [positives, 100])
    found = [metrics.auc(truth, rng.normal(size=len(truth)) + distance * truth)[1:]
             for _ in range(STUDIES)]  # fmt: skip
    assert 0.93 <= covered(found, norm.cdf(distance / np.sqrt(2))) <= 0.97


def test_the_bootstrap_of_a_difference_counts_patients(monkeypatch):
    monkeypatch.setattr(intervals, "REPLICATES", 500)
    rng = np.random.default_rng(5)
    sizes = np.repeat([1, 2, 4], 25)
    patient = np.repeat(np.arange(75), sizes)
    common = 0.6 * rng.random((75, STUDIES))[patient]  # a column is a study
    one, other = (common + 0.4 * rng.random(common.shape) > cut for cut in (0.3, 0.45))
    sums = np.zeros((75, STUDIES))
    np.add.at(sums, patient, one * 1.0 - other)
    # Every study has the same patients, so one drawing of them serves all.
    resampled = metrics.resample(lambda w: (w @ sums) / (w @ sizes)[:, None], 75)
    found = metrics.percentiles(*resampled)

    grid = (np.arange(2000) + 0.5) / 2000

    def above(cut):  # share of 0.6 u + 0.4 v above it
        return 1 - np.clip((cut - 0.6 * grid) / 0.4, 0, 1).mean()

    assert 0.93 <= covered(found, above(0.3) - above(0.45)) <= 0.97


def test_a_predictive_value_is_held_at_every_prevalence():
    rng = np.random.default_rng(6)
    truth = np.repeat([1, 0], [60, 100])
    ends = []
    # The interval follows from two counts, so it is worked out once for each pair of them.
    counts = np.stack([rng.binomial(60, 0.8, STUDIES), rng.binomial(100, 0.15, STUDIES)], axis=1)
    pairs, which = np.unique(counts, axis=0, return_inverse=True)
    for right, wrong in pairs:
        said = np.repeat([1.0, 0.0, 1.0, 0.0], [right, 60 - right, wrong, 100 - wrong])
        columns = {f"y_{t}": truth for t in TARGETS} | {f"p_{t}": said for t in TARGETS}
        predictions = pd.DataFrame({"patient": np.arange(160), **columns})
        ends.append(calibration.predictive_value(predictions, "COVID")[["low", "high"]])
    found = np.array(ends)[which]
    for i, prevalence in enumerate(calibration.PREVALENCES):
        right = prevalence * 0.8 / (prevalence * 0.8 + (1 - prevalence) * 0.15)
        assert 0.93 <= covered(found[:, i], right) <= 0.97


LOGITS = {
    "normal": (2.0, -2.0, -2.0, -2.0, -4.0),
    "virus": (-2.0, 2.0, 0.8, -0.8, -2.0),
    "bacteria": (-2.0, 2.0, -0.8, 0.8, -3.0),
    "covid": (-2.0, 2.0, 1.0, -1.0, 1.0),
}


def study(n, rng, arms=1):
    """Truth of n chests and the probabilities of arms that are equally good."""
    groups = rng.choice(list(GROUPS), n, p=(0.42, 0.21, 0.21, 0.16))
    logits = np.array([LOGITS[group] for group in groups]) + 0.8 * rng.normal(size=(n, 5))
    return encode(groups), [expit(logits + 0.9 * rng.normal(size=(n, 5))) for _ in range(arms)]


@pytest.mark.slow
def test_whole_evaluations_hold_the_truth_with_thirteen_covid_patients(monkeypatch):
    monkeypatch.setattr(intervals, "REPLICATES", 200)
    truth, (score,) = study(100_000, np.random.default_rng(0))
    codes = np.zeros(len(truth), int)
    right = metrics.measures(*metrics.checked(truth, score), codes, np.ones((1, 1)))[0]
    rng, held = np.random.default_rng(7), []
    for _ in range(400):
        truth, (score,) = study(80, rng)
        ends = metrics.evaluate(truth, score)[["low", "high"]].to_numpy()
        held.append((ends[:, 0] <= right) & (right <= ends[:, 1]))
    share = dict(zip(metrics.NAMES, np.mean(held, axis=0)))
    for metric in ("accuracy", "macro_precision", "macro_recall", "macro_f1", "hamming_loss"):
        assert 0.91 <= share["all", metric] <= 0.985, (metric, share["all", metric])
    for metric in ("precision", "recall", "f1", "balanced_accuracy", "auc"):
        assert share["COVID", metric] >= 0.92, (metric, share["COVID", metric])


@pytest.mark.slow
def test_equally_good_arms_are_told_apart_in_five_of_a_hundred_studies_at_most(monkeypatch):
    monkeypatch.setattr(intervals, "REPLICATES", 20)
    monkeypatch.setattr(comparison, "SWAPS", 1000)
    rng, found = np.random.default_rng(8), []
    for _ in range(400):
        truth, scores = study(80, rng, arms=2)
        columns = {f"y_{t}": truth[:, i] for i, t in enumerate(TARGETS)}
        facts = pd.DataFrame({"file": range(80), "copy": 0, "patient": range(80), **columns})
        a, b = (
            facts.assign(**{f"p_{t}": score[:, i] for i, t in enumerate(TARGETS)})
            for score in scores
        )
        found.append(comparison.paired(a, b)["p"] < 0.05)
    share = dict(zip(metrics.NAMES, np.mean(found, axis=0)))
    for name in (("all", "accuracy"), ("all", "macro_f1"), ("Virus", "auc"), ("Virus", "f1")):
        assert 0.01 <= share[name] <= 0.08, (name, share[name])
    assert share["COVID", "auc"] <= 0.08
