"""Deletion and insertion: a heatmap is judged by what the answer does without its pixels."""

import numpy as np
import pytest

from cxrlib.heatmaps import removal
from cxrlib.targets import TARGETS

LETTER = np.s_[4:12, 4:12]


def reads_a_letter(pixels):
    """A network whose every answer is how bright the corner is, where a letter stands."""
    bright = pixels[:, *LETTER].mean(axis=(1, 2, 3)) / 255
    return np.repeat(bright[:, None], len(TARGETS), axis=1)


@pytest.fixture
def films():
    images = np.zeros((2, 64, 64, 3), np.uint8)
    images[:, *LETTER] = 255
    return images


def test_a_heatmap_of_what_the_answer_hangs_on_loses_it_first_and_gives_it_back_first(films):
    on_it = np.zeros((2, 64, 64))
    on_it[:, *LETTER] = 1
    elsewhere = np.ones((2, 64, 64)) - on_it
    lost, found = removal.curves(reads_a_letter, films, on_it, "COVID")
    late, last = removal.curves(reads_a_letter, films, elsewhere, "COVID")
    assert (lost < 0.5).all() and (late > 0.8).all()
    assert (found > 0.9).all() and (last < 0.5).all()


def test_a_blank_heatmap_says_nothing(films):
    blank = np.zeros((2, 64, 64))
    blank[1, 0, 0] = 1
    lost, found = removal.curves(reads_a_letter, films, blank, "Virus")
    assert np.isnan([lost[0], found[0]]).all() and np.isfinite([lost[1], found[1]]).all()


def test_what_no_answer_hangs_on_changes_nothing(films):
    def always(pixels):
        return np.full((len(pixels), len(TARGETS)), 0.7)

    rng = np.random.default_rng(0)
    both = removal.curves(always, films, rng.random((2, 64, 64)), "Normal")
    assert np.allclose(both, 0.7)
