"""Batches depend on seed, epoch and position alone."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cxrlib import phantom
from cxrlib.networks import batches
from cxrlib.study.experiments import C

PIXELS = np.stack([phantom.simulate(i, 32).image for i in range(7)])
TARGETS = np.eye(7, 5)


def make(epoch=0, **options):
    made = batches.Batches(PIXELS, TARGETS, [0, 2, 3, 5, 6], 2, **options)
    made.start(epoch)
    return made


def epoch_of(made):
    return [made[i] for i in range(len(made))]


def same(one, other):
    return all((a == b).all() for x, y in zip(one, other, strict=True) for a, b in zip(x, y))


def test_images_come_as_pixels_with_their_targets_and_every_row_once():
    images, targets = zip(*epoch_of(make()))
    assert [len(batch) for batch in images] == [2, 2, 1]
    assert images[0].dtype == np.uint8
    assert (np.concatenate(images) == PIXELS[[0, 2, 3, 5, 6]]).all()
    assert (np.concatenate(targets) == TARGETS[[0, 2, 3, 5, 6]]).all()


def test_an_epoch_of_two_passes_shows_every_row_twice():
    made = make(seed=1, passes=2)
    assert len(made) == 5
    shown = np.concatenate([targets for _, targets in epoch_of(made)])
    assert (shown.sum(0) == 2 * TARGETS[[0, 2, 3, 5, 6]].sum(0)).all()


def test_images_that_devices_cannot_share_are_left_out_and_differ_between_epochs():
    shown = []
    for epoch in range(8):
        made = make(seed=1, share=2, epoch=epoch)
        assert [len(images) for images, _ in epoch_of(made)] == [2, 2]
        shown.append(np.concatenate([targets for _, targets in epoch_of(made)]).sum(0))
    assert len({tuple(totals) for totals in shown}) > 1
    assert sum(len(images) for images, _ in epoch_of(make(seed=1, share=1))) == 5


def test_batches_do_not_depend_on_the_order_in_which_they_are_asked_for():
    made = make(seed=3, ranges=C.online)
    forward = epoch_of(made)
    backward = [made[i] for i in reversed(range(len(made)))][::-1]
    assert same(forward, backward)


def test_going_on_at_an_epoch_shows_what_an_uncut_training_shows():
    uncut = make(seed=3, ranges=C.online)
    first = epoch_of(uncut)
    uncut.start(1)
    assert same(epoch_of(uncut), epoch_of(make(seed=3, ranges=C.online, epoch=1)))
    assert not same(first, epoch_of(uncut))


def test_shuffled_images_keep_their_own_targets():
    seen = []
    for images, targets in epoch_of(make(seed=4)):
        for image, target in zip(images, targets):
            row = next(i for i in range(7) if (image == PIXELS[i]).all())
            assert (target == TARGETS[row]).all()
            seen.append(row)
    assert sorted(seen) == [0, 2, 3, 5, 6]
    assert seen != sorted(seen)


def test_each_epoch_of_training_has_its_own_order_and_validation_is_not_shuffled():
    orders = set()
    for epoch in range(4):
        shown = [targets for _, targets in epoch_of(make(seed=4, epoch=epoch))]
        orders.add(np.concatenate(shown).tobytes())
    assert len(orders) == 4
    assert same(epoch_of(make()), epoch_of(make(epoch=3)))


def test_an_image_shown_twice_in_an_epoch_is_transformed_anew():
    made = batches.Batches(PIXELS, TARGETS, [2], 1, seed=4, ranges=C.online, passes=2)
    (first, _), (second, _) = epoch_of(made)
    assert (first != second).any()


def test_another_seed_shows_another_order_and_other_transforms():
    one, other = (epoch_of(make(seed=seed, ranges=C.online)) for seed in (1, 2))
    assert not same(one, other)


def test_augmentation_leaves_the_pixels_on_disk_alone(tmp_path):
    np.save(tmp_path / "pixels.npy", PIXELS)
    kept = np.load(tmp_path / "pixels.npy", mmap_mode="r")
    epoch_of(batches.Batches(kept, TARGETS, range(7), 3, seed=1, ranges=C.online))
    assert (kept == PIXELS).all()


@settings(max_examples=30, deadline=None)
@given(
    rows=st.integers(1, 12),
    size=st.integers(1, 9),
    passes=st.integers(1, 3),
    epoch=st.integers(0, 4),
)
def test_any_epoch_is_what_an_uncut_training_would_show(rows, size, passes, epoch):
    pixels = np.arange(rows, dtype=np.uint8).reshape(-1, 1, 1, 1).repeat(3, axis=3)
    targets = np.zeros((rows, 5))
    options = {"seed": 1, "passes": passes}
    uncut = batches.Batches(pixels, targets, range(rows), size, **options)
    for earlier in range(epoch + 1):
        uncut.start(earlier)
    going_on = batches.Batches(pixels, targets, range(rows), size, **options)
    going_on.start(epoch)
    assert same(epoch_of(uncut), epoch_of(going_on))
    shown = np.concatenate([images[:, 0, 0, 0] for images, _ in epoch_of(uncut)])
    assert sorted(shown) == sorted([*range(rows)] * passes)
