"""One warp does what Keras' ImageDataGenerator, which the paper used, does."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxrlib import augment, phantom
from cxrlib.experiments import B, C

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
def test_the_geometry_is_image_data_generators(seed):
    from cxrlib.backend import keras

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


def test_brightness_is_a_factor_that_stops_at_white():
    ranges = augment.Ranges(brightness=(1.1, 1.1))
    bright = augment.apply(IMAGE, augment.draw(ranges, np.random.default_rng(0)))
    assert np.abs(bright - np.minimum(255, IMAGE * 1.1)).max() <= 1
