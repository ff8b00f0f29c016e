"""Which heatmap would have told: networks whose shortcut is known, ranked by heatmaps alone."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from cxrlib import heatmaps
from cxrlib.pages import remedies as shown
from cxrlib.shortcuts import telling


def made_up(share, seeds=4, places=8):
    """Networks at five ties whose heatmaps hold `share(gap, rng)` of their energy in marks."""
    rng, rows = np.random.default_rng(1), []
    for seed in range(seeds):
        for tie in (0, 0.25, 0.5, 0.75, 1):
            gap = 0.4 * tie + rng.normal(0, 0.01)
            for place in range(places):
                marks = float(np.clip(share(gap, rng), 0, 1))
                rows.append((seed, tie, gap, "Grad-CAM", place, marks, 0.4, np.nan, 0.3, 0.6))
    return pd.DataFrame(rows, columns=list(telling.COLUMNS))


def test_heatmaps_that_follow_the_gap_rank_the_networks():
    found = telling.ranked(made_up(lambda gap, rng: gap), shown=(1, 8))
    assert (found["rank"] > 0.99).all()
    assert found["shown"].tolist() == [1, 8] and (found["networks"] == 20).all()
    found = telling.ranked(made_up(lambda gap, rng: gap + rng.normal(0, 0.006)), shown=(1, 8))
    assert (found["low"] > 0.9).all()  # of ranks that all resamples share there is no interval


def test_heatmaps_of_chance_rank_nothing_and_the_interval_says_so():
    found = telling.ranked(made_up(lambda gap, rng: rng.uniform()), shown=(8,)).iloc[0]
    assert found["low"] < 0 < found["high"]


def test_more_heatmaps_rank_better_where_each_is_noisy():
    noisy = made_up(lambda gap, rng: gap + rng.normal(0.3, 0.2))
    few, many = telling.ranked(noisy, shown=(1, 8))["rank"]
    assert many > few


def test_a_region_that_no_phantom_has_ranks_nothing():
    found = telling.ranked(made_up(lambda gap, rng: gap), region="lesions", shown=(4,))
    assert found["rank"].tolist() == [0.0]


def test_the_table_has_a_row_a_kind_of_heatmap_and_where_it_lies():
    measured = made_up(lambda gap, rng: gap)
    shares = {f"In {region}": telling.shares(measured, region) for region in ("marks", "lungs")}
    table = shown.heatmap_table(telling.ranked(measured, shown=(1, 8)), shares)
    assert table["Heatmap"].tolist() == ["Grad-CAM"]
    assert table.loc[0, "In lungs"] == "40 %"
    assert table.loc[0, "8 shown"].startswith("0.9") or table.loc[0, "8 shown"].startswith("1.0")


@pytest.mark.slow
def test_every_kind_of_heatmap_is_measured_and_no_network_twice(tiny, tmp_path):
    once, path = dataclasses.replace(tiny, epochs=1, batch_size=8), tmp_path / "heatmaps.csv"
    asked = {"n": 3, "explained": 2}
    said = list(telling.measure(once, path, ties=(1.0,), **asked))
    assert said == [f"seed {once.seed}, tie 1.0"]
    found = telling.read(path)
    assert set(found["method"]) == set(heatmaps.METHODS)
    assert (found.groupby("method").size() == 8).all()
    assert found["lungs"].notna().any() and found["gap"].nunique() == 1
    assert found["deleted"].notna().any() and found["inserted"].notna().any()
    said = list(telling.measure(once, path, ties=(0.0, 1.0), **asked))
    assert said == [f"seed {once.seed}, tie 0.0"]
