"""One warp does what Keras' ImageDataGenerator, which the paper used, does."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxrlib import phantom
from cxrlib.images import augment
from cxrlib.study.experiments import B, C

IMAGE = phantom.simulate(5, 128, mark="R").image


def test_empty_ranges_change_nothing():
    transform = augment.draw(augment.Ranges(), np.random.default_rng(0))
    assert (augment.apply(IMAGE, transform) == IMAGE).all()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_the_same_seed_gives_the_same_copy_and_a_sane_one(seed):
    copies = [
        augment.apply(IMAGE, augment.draw(C.online, np.random.default_rng(seed))) for _ in "ab"
    ]
    assert (copies[0] == copies[1]).all()
    assert copies[0].shape == IMAGE.shape
    assert abs(copies[0].mean() - IMAGE.mean()) < 40


def test_one_draw_fits_every_size():
    transform = augment.draw(B.copies.train_ranges, np.random.default_rng(4))
    large = augment.apply(phantom.simulate(5, 256, mark="none").image, transform)
    small = augment.apply(phantom.simulate(5, 128, mark="none").image, transform)
    shrunk = large.reshape(128, 2, 128, 2, 3).mean((1, 3))
    assert np.abs(shrunk - small).mean() < 5


@pytest.mark.filterwarnings("ignore:Please import `affine_transform`:DeprecationWarning")
@pytest.mark.parametrize("seed", range(6))
def test_the_geometry_matches_keras_image_data_generator(seed):
    from cxrlib.networks.backend import keras

    ranges = augment.Ranges(
        rotation=10, height_shift=0.1, width_shift=0.1, shear=8, horizontal_flip=True,
        zoom=(0.8, 1.2),
    )  # fmt: skip
    # The same numbers in the order in which `draw` takes them.
    rng = np.random.default_rng(seed)
    theta, down, across = (rng.uniform(-r, r) for r in (10, 0.1, 0.1))
    shear = rng.uniform(-8, 8)
    zoom_y, zoom_x = rng.uniform(0.8, 1.2, size=2)
    flip = rng.random() < 0.5
    generator = keras.src.legacy.preprocessing.image.ImageDataGenerator(
        fill_mode="nearest", interpolation_order=1
    )
    theirs = generator.apply_transform(
        IMAGE.astype(np.float32),
        {
            "theta": theta, "tx": across * 128, "ty": down * 128, "shear": shear,
            "zx": zoom_x, "zy": zoom_y, "flip_horizontal": flip,
        },
    )  # fmt: skip
    ours = augment.apply(IMAGE, augment.draw(ranges, np.random.default_rng(seed)))
    assert np.abs(ours - theirs).mean() < 2
    assert np.abs(IMAGE - theirs).mean() > 8


@given(seed=st.integers(0, 2**32))
def test_a_transform_is_the_product_of_its_steps_each_drawn_in_turn(seed):
    ranges = augment.Ranges(20, 0.1, 0.2, 8, True, (0.8, 1.2), (0.9, 1.1))
    rng = np.random.default_rng(seed)
    theta = np.deg2rad(rng.uniform(-20, 20))
    down, across = rng.uniform(-0.1, 0.1), rng.uniform(-0.2, 0.2)
    shear = np.deg2rad(rng.uniform(-8, 8))
    zoom_y, zoom_x = rng.uniform(0.8, 1.2, size=2)
    flip = -1 if rng.random() < 0.5 else 1
    brightness = rng.uniform(0.9, 1.1)
    rotate = [[np.cos(theta), -np.sin(theta), 0], [np.sin(theta), np.cos(theta), 0], [0, 0, 1]]
    shift = [[1, 0, across], [0, 1, down], [0, 0, 1]]
    slant = [[1, -np.sin(shear), 0], [0, np.cos(shear), 0], [0, 0, 1]]
    steps = (rotate, shift, slant, np.diag([zoom_x, zoom_y, 1]), np.diag([flip, 1, 1]))
    drawn = augment.draw(ranges, np.random.default_rng(seed))
    assert drawn.matrix == pytest.approx(np.linalg.multi_dot(steps)[:2], abs=1e-12)
    assert drawn.brightness == brightness


def test_brightness_is_a_factor_that_stops_at_white():
    ranges = augment.Ranges(brightness=(1.1, 1.1))
    bright = augment.apply(IMAGE, augment.draw(ranges, np.random.default_rng(0)))
    assert np.abs(bright - np.minimum(255, IMAGE * 1.1)).max() <= 1


def moved(**ranges):
    """A dot in the middle of 65 pixels after a transform: where it is now, as (row, column)."""
    dot = np.zeros((65, 65, 3), np.uint8)
    dot[30:35, 30:35] = 255
    transform = augment.draw(augment.Ranges(**ranges), np.random.default_rng(2))
    rows, columns = np.nonzero(augment.apply(dot, transform)[..., 0] > 127)
    return rows.mean() - 32, columns.mean() - 32


def test_height_shifts_move_up_or_down_and_width_shifts_sideways():
    down, across = moved(height_shift=0.2)
    assert abs(down) > 1
    assert across == 0
    down, across = moved(width_shift=0.2)
    assert down == 0
    assert abs(across) > 1


def test_rotation_and_zoom_leave_the_middle_in_the_middle():
    assert moved(rotation=40) == pytest.approx((0, 0), abs=0.5)
    assert moved(zoom=(0.8, 0.8)) == pytest.approx((0, 0), abs=0.5)


def test_each_colour_moves_as_it_would_alone():
    rng = np.random.default_rng(3)
    coloured = rng.integers(0, 256, (61, 61, 3), dtype=np.uint8)
    transform = augment.draw(B.copies.train_ranges, rng)
    alone = [
        augment.apply(np.repeat(coloured[..., [i]], 3, axis=2), transform)[..., i] for i in range(3)
    ]
    assert (augment.apply(coloured, transform) == np.stack(alone, axis=2)).all()


def test_a_flip_mirrors_about_half_of_the_images_left_to_right():
    mirrored = 0
    for seed in range(40):
        transform = augment.draw(augment.Ranges(horizontal_flip=True), np.random.default_rng(seed))
        image = augment.apply(IMAGE, transform)
        assert (image == IMAGE).all() or (image == IMAGE[:, ::-1]).all()
        mirrored += (image != IMAGE).any()
    assert 10 <= mirrored <= 30


def test_what_comes_in_from_outside_repeats_the_edge():
    grey = np.full((33, 33, 3), 90, np.uint8)
    for seed in range(10):
        transform = augment.draw(C.online, np.random.default_rng(seed))
        assert (augment.apply(grey, transform) == 90).all()


@given(seed=st.integers(0, 2**32))
def test_the_numbers_after_a_draw_do_not_depend_on_its_ranges(seed):
    after = []
    for ranges in (augment.Ranges(), C.online, B.copies.train_ranges):
        rng = np.random.default_rng(seed)
        augment.draw(ranges, rng)
        after.append(rng.random())
    assert after[0] == after[1] == after[2]


@given(seed=st.integers(0, 2**32))
def test_draws_stay_within_their_ranges(seed):
    rng = np.random.default_rng(seed)
    ranges = augment.Ranges(zoom=(0.9, 1.1), brightness=(0.95, 1.05), height_shift=0.05)
    matrix, brightness = augment.draw(ranges, rng)
    assert 0.9 <= matrix[0, 0] <= 1.1
    assert 0.9 <= matrix[1, 1] <= 1.1
    assert abs(matrix[1, 2]) <= 0.05
    assert 0.95 <= brightness <= 1.05
