"""Lung attention is measured against what chance gives, and says when a heatmap says nothing."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cxrlib.errors import InputError
from cxrlib.heatmaps import attention

EDGE = 20


def left_half():
    mask = np.zeros((EDGE, EDGE), bool)
    mask[:, : EDGE // 2] = True
    return mask


def one(heatmap, mask):
    return attention.measure(heatmap[None], [{"lungs": mask}]).iloc[0]


def test_energy_inside_a_region_is_a_share_of_one_and_energy_outside_it_of_zero():
    inside = one(left_half().astype(float), left_half())
    outside = one((~left_half()).astype(float), left_half())
    assert (inside["energy"], inside["pointing"]) == (1, 1)
    assert (outside["energy"], outside["pointing"]) == (0, 0)


def test_an_even_heatmap_gives_each_region_its_share_of_the_image():
    found = one(np.ones((EDGE, EDGE)), left_half())
    assert found["energy"] == found["area"] == 0.5
    assert found["gaussian"] == pytest.approx(0.5)


@settings(max_examples=50, deadline=None)
@given(
    heatmap=arrays(float, (8, 9), elements=st.floats(0, 1)),
    mask=arrays(bool, (8, 9)),
    scale=st.floats(0.1, 10),
)
def test_shares_of_a_region_and_the_rest_sum_to_one_whatever_the_scale(heatmap, mask, scale):
    if not mask.any() or mask.all():
        return
    found = attention.measure((scale * heatmap)[None], [{"lungs": mask, "marks": ~mask}])
    if heatmap.sum() * scale == 0:
        assert found[["energy", "pointing"]].isna().all(axis=None)
    else:
        assert found["energy"].sum() == pytest.approx(1)
        assert found["pointing"].sum() == 1
    assert found["area"].sum() == pytest.approx(1)
    assert found["gaussian"].sum() == pytest.approx(1)


def test_a_centred_region_is_easy_for_a_gaussian_and_a_corner_is_not():
    centre, corner = np.zeros((2, EDGE, EDGE), bool)
    centre[5:15, 5:15] = True
    corner[:10, :10] = True
    found = [one(np.ones((EDGE, EDGE)), mask) for mask in (centre, corner)]
    assert found[0]["area"] == found[1]["area"]
    assert found[0]["gaussian"] > 0.4 > found[1]["gaussian"]


def test_regions_that_a_radiograph_lacks_are_not_measured():
    nothing = np.zeros((EDGE, EDGE), bool)
    found = attention.measure(np.ones((1, EDGE, EDGE)), [{"lungs": left_half(), "marks": nothing}])
    assert list(found["region"]) == ["lungs"]


def test_masks_of_another_shape_or_number_are_refused():
    with pytest.raises(InputError, match="lungs of row 0 are"):
        attention.measure(np.ones((1, 8, 8)), [{"lungs": left_half()}])
    with pytest.raises(InputError, match="row 1 has regions alone"):
        attention.measure(np.ones((1, 8, 8)), [{}, {}])


def table(energy, patient, area=0.3):
    n = len(energy)
    return pd.DataFrame({
        "energy": energy, "pointing": np.round(energy), "area": area, "gaussian": 0.4,
        "patient": patient, "arm": "efficient", "region": ["lungs"] * n,
    })  # fmt: skip


def test_a_summary_has_the_mean_and_how_far_it_is_above_chance():
    energy = np.random.default_rng(0).uniform(0.4, 0.8, 50)
    found = attention.summary(table(energy, np.arange(50)), ["arm", "region"])
    found = found.set_index("measure")
    assert found.loc["energy", "value"] == pytest.approx(energy.mean())
    assert found.loc["lift", "value"] == pytest.approx(energy.mean() - 0.3)
    assert found.loc["energy", "low"] < energy.mean() < found.loc["energy", "high"]
    assert (found["n"] == 50).all()


def test_many_radiographs_of_few_patients_leave_a_wide_interval():
    energy = np.repeat(np.random.default_rng(1).uniform(0.2, 0.9, 10), 10)

    def width(patient):
        found = attention.summary(table(energy, patient), ["arm", "region"]).set_index("measure")
        return found.loc["energy", "high"] - found.loc["energy", "low"]

    assert width(np.repeat(np.arange(10), 10)) > 2 * width(np.arange(100))


def test_heatmaps_that_point_nowhere_are_left_out_and_not_counted():
    measured = table(np.array([0.5, np.nan, 0.7]), np.arange(3))
    found = attention.summary(measured, ["arm", "region"])
    assert (found["n"] == 2).all()
    assert attention.summary(measured[1:2], ["arm", "region"]).empty
