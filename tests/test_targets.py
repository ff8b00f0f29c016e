"""Groups stand for five targets each, and back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrlib import targets
from cxrlib.errors import InputError


@given(st.lists(st.sampled_from(sorted(targets.GROUPS))))
def test_decoding_gives_back_what_was_encoded(groups):
    encoded = targets.encode(groups)
    assert encoded.shape == (len(groups), 5)
    assert targets.decode(encoded) == groups


def test_covid_is_a_virus_pneumonia():
    named = dict(zip(targets.TARGETS, targets.encode(["covid"])[0]))
    assert named == {"Normal": 0, "Pneumonia": 1, "Virus": 1, "Bacteria": 0, "COVID": 1}


def test_an_inconsistent_answer_decodes_to_no_group():
    assert targets.decode(np.array([[1, 1, 0, 0, 0], [0, 0, 0, 0, 0]])) == [None, None]


def test_unknown_names_are_refused_with_the_choices():
    with pytest.raises(InputError, match="unknown group 'sars': expected one of normal"):
        targets.encode(["normal", "sars"])
    with pytest.raises(InputError, match="unknown target 'Covid'"):
        targets.index("Covid")


@given(st.sampled_from(targets.TARGETS), st.sampled_from([str.lower, str.upper, str.title]))
def test_a_target_is_known_in_small_letters_and_in_capitals(target, spelled):
    assert targets.named(spelled(target)) == target


@pytest.mark.parametrize("word", ["", "flu", "covid-19", "ſ"])
def test_a_word_that_is_no_target_is_refused_with_the_five(word):
    with pytest.raises(InputError, match="Normal, Pneumonia, Virus, Bacteria, COVID"):
        targets.named(word)
