"""Batches depend on seed, epoch and position alone."""

import numpy as np
import pytest

from cxrlib import phantom
from cxrlib.experiments import C

batches = pytest.importorskip("cxrlib.batches")
PIXELS = np.stack([phantom.simulate(i, 32).image for i in range(7)])
TARGETS = np.eye(7, 5)


def make(**options):
    return batches.Batches(PIXELS, TARGETS, [0, 2, 3, 5, 6], 2, **options)


def epoch_of(made):
    return [made[i] for i in range(len(made))]


def same(one, other):
    return all((a == b).all() for x, y in zip(one, other, strict=True) for a, b in zip(x, y))


def test_images_come_scaled_with_their_targets_and_every_row_once():
    images, targets = zip(*epoch_of(make()))
    assert [len(batch) for batch in images] == [2, 2, 1]
    assert images[0].dtype == np.float32
    assert (np.concatenate(images) == PIXELS[[0, 2, 3, 5, 6]].astype(np.float32) / 255).all()
    assert (np.concatenate(targets) == TARGETS[[0, 2, 3, 5, 6]]).all()


def test_an_epoch_of_two_passes_shows_every_row_twice():
    made = make(seed=1, passes=2)
    assert len(made) == 5
    shown = np.concatenate([targets for _, targets in epoch_of(made)])
    assert (shown.sum(0) == 2 * TARGETS[[0, 2, 3, 5, 6]].sum(0)).all()


def test_batches_are_the_same_in_whatever_order_they_are_asked_for():
    made = make(seed=3, ranges=C.online)
    forward = epoch_of(made)
    backward = [made[i] for i in reversed(range(len(made)))][::-1]
    assert same(forward, backward)


def test_going_on_at_an_epoch_shows_what_an_uncut_training_shows():
    uncut = make(seed=3, ranges=C.online)
    first = epoch_of(uncut)
    uncut.on_epoch_end()
    assert same(epoch_of(uncut), epoch_of(make(seed=3, ranges=C.online, epoch=1)))
    assert not same(first, epoch_of(uncut))
