"""Names and numbers read the same wherever a reader meets them."""

import numpy as np

from cxrlib import labels


def test_an_arm_is_named_as_a_reader_knows_it():
    assert labels.arm_label("densenet121", "imagenet") == "DenseNet-121 (ImageNet)"
    assert labels.run_label("B", "efficient", "none") == "B\u2002Efficient"


def test_differences_are_signed_and_their_ends_are_told_apart():
    assert labels.signed(-0.5, -0.75, 0.25) == "−50.0 (−75.0\u00a0to\u00a0+25.0)"
    assert labels.signed(0.01, np.nan, np.nan, metric="hamming_loss") == "+0.010"
    assert labels.signed(np.nan, 0, 1) == "undefined"


def test_values_without_a_denominator_read_undefined():
    assert labels.interval(np.nan, np.nan, np.nan) == "undefined"
    assert labels.interval(0.5, 0.25, 0.75).replace("\u2060", "") == "50.0\u00a0(25.0–75.0)"


def test_a_hamming_loss_is_a_share_and_the_rest_per_cent():
    plain = labels.interval(0.0612, np.nan, np.nan, metric="hamming_loss")
    assert plain == "0.061"
    assert labels.interval(0.0612, np.nan, np.nan) == "6.1"


def test_small_p_values_are_not_rounded_to_nought():
    assert labels.p_value(0.0004) == "<\u00a00.001"
    assert labels.p_value(0.0204) == "0.020"


def test_a_share_in_a_sentence_carries_its_unit_into_the_interval():
    said = labels.per_cent(0.8123, 0.78, 0.8414).replace("\u2060", "").replace("\u00a0", " ")
    assert said == "81.2 % (78.0–84.1 %)"
    assert labels.per_cent(0.256, digits=0) == "26\u00a0%"
    assert labels.per_cent(np.nan) == "an undefined share"


def test_what_rounds_to_nothing_has_no_minus():
    assert labels.number(-0.0004) == "0.00"
    assert labels.signed(-0.0004, -0.02, 0.0004) == "+0.0 (−2.0\u00a0to\u00a0+0.0)"


def test_a_negative_number_in_a_sentence_has_a_minus():
    assert labels.number(-0.254) == "−0.25"
    assert labels.ranged(-0.42, -0.61, 0.2) == "−0.42 (−0.61 to 0.20)"


def test_a_list_in_a_sentence_ends_in_and():
    assert labels.listed(["one"]) == "one"
    assert labels.listed(["one", "two", "three"]) == "one, two and three"
