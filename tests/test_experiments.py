"""Experiments A, B and C hold the paper's numbers; B and C follow A's validation data."""

import numpy as np
import pandas as pd
import pytest

from cxrlib.errors import InputError
from cxrlib.study import arms, data, experiments


def test_a_trains_both_initialisations_of_the_deep_networks():
    assert [arm.name for arm in experiments.A.arms] == [
        "densenet121-none", "densenet121-imagenet", "resnet50-none", "resnet50-imagenet",
        "efficient",
    ]  # fmt: skip


@pytest.mark.parametrize("experiment", [experiments.B, experiments.C])
def test_b_and_c_take_the_better_initialisation_of_each(experiment):
    names = [arm.name for arm in experiment.arms]
    assert names == ["densenet121-best", "resnet50-best", "efficient"]


def test_the_schedules_are_the_papers():
    a, b, c = (experiments.EXPERIMENTS[name].schedule for name in "ABC")
    assert a == b
    assert (a.batch_size, a.epochs, a.passes_per_epoch) == (3, 30, 1)
    assert (a.reduce_after, a.stop_after) == (3, 12)
    assert (c.batch_size, c.epochs, c.passes_per_epoch) == (5, 50, 2)
    assert (c.reduce_after, c.stop_after) == (5, 15)
    for schedule in (a, c):
        assert (schedule.learning_rate, schedule.reduce_factor) == (1e-4, 0.5)
        assert (schedule.min_learning_rate, schedule.reduce_min_delta) == (1e-8, 1e-4)
        assert schedule.reduce_cooldown == 2


def test_copies_take_the_place_of_covid_images_only():
    splits = ["train"] * 36 + ["validation"] * 10 + ["test"] * 12
    covid = pd.DataFrame({"file": [f"{i}.png" for i in range(58)], "split": splits})
    normal = pd.DataFrame({"file": ["n.png"], "split": ["train"]})
    cohort = pd.concat([normal.assign(group="normal"), covid.assign(group="covid")])
    listed = data.with_copies(experiments.B, cohort.reset_index(drop=True))
    copies = listed[listed["group"] == "covid"]
    assert copies["split"].value_counts().to_dict() == {
        "train": 540,
        "validation": 150,
        "test": 144,
    }
    assert sorted(copies.loc[copies["file"] == "57.png", "copy"]) == list(range(1, 13))
    assert listed.loc[listed["group"] == "normal", "copy"].tolist() == [0]
    assert (data.with_copies(experiments.A, cohort)["copy"] == 0).all()


def test_a_copy_draws_the_same_numbers_whenever_it_is_made():
    def numbers(file, copy):
        return data.copy_generator(file, copy).random(3).tolist()

    assert numbers("a.png", 1) == numbers("a.png", 1)
    assert len({tuple(numbers(f, c)) for f in ("a.png", "b.png") for c in range(1, 16)}) == 30


def test_the_initialisation_with_the_lower_validation_loss_is_taken():
    assert arms.choose_weights({"none": 0.4, "imagenet": 0.3}) == "imagenet"
    assert arms.choose_weights({"none": 0.2, "imagenet": 0.3}) == "none"
    assert arms.choose_weights({"none": np.float64(0.4)}) == "none"
    with pytest.raises(InputError, match="no arm of this architecture ran"):
        arms.choose_weights({})


def test_unknown_names_are_refused_with_the_choices():
    with pytest.raises(InputError, match="unknown experiment 'Z': expected one of A, B, C, D"):
        experiments.find("Z")
    with pytest.raises(InputError, match="experiment B has no arm 'vgg': .*resnet50-best"):
        experiments.find_arm(experiments.B, "vgg")


@pytest.mark.parametrize("experiment", [experiments.B, experiments.C])
def test_offline_copies_are_drawn_as_the_paper_drew_them(experiment):
    copies = experiment.copies
    assert (copies.train, copies.test) == (15, 12)
    assert copies.of("train") == copies.of("validation") == (15, copies.train_ranges)
    assert copies.of("test") == (12, copies.test_ranges)
    assert copies.train_ranges == experiments.Ranges(
        rotation=5, height_shift=0.05, width_shift=0, shear=0, horizontal_flip=True,
        zoom=(0.9, 1.1), brightness=(0.9, 1.1),
    )  # fmt: skip
    assert copies.test_ranges == experiments.Ranges(
        rotation=2.5, height_shift=0.05, width_shift=0, shear=0, horizontal_flip=True,
        zoom=(0.95, 1.05), brightness=(0.95, 1.05),
    )  # fmt: skip


def test_only_c_treats_images_and_augments_while_training():
    assert [experiments.EXPERIMENTS[name].treatment for name in "ABC"] == [
        "raw", "raw", "cropped+clahe",
    ]  # fmt: skip
    assert experiments.A.copies is experiments.A.online is experiments.B.online is None
    assert experiments.C.online == experiments.Ranges(
        rotation=10, height_shift=0.05, width_shift=0.05, shear=0.02, horizontal_flip=True
    )


def test_d_is_c_with_the_lungs_in_place_of_the_borders():
    c, d = experiments.C, experiments.D
    assert (d.treatment, d.copies, d.online, d.schedule) == (
        "lungs+clahe", c.copies, c.online, c.schedule,
    )  # fmt: skip
    assert not d.published and [arm.name for arm in d.arms] == ["efficient"]


def test_equal_validation_losses_are_decided_the_same_way_in_either_order():
    one = arms.choose_weights({"none": 0.3, "imagenet": 0.3})
    assert one == arms.choose_weights({"imagenet": 0.3, "none": 0.3})


def test_an_arm_is_found_by_the_name_it_goes_by():
    for experiment in experiments.EXPERIMENTS.values():
        for arm in experiment.arms:
            assert experiments.find_arm(experiment, arm.name) == arm
    assert experiments.find("c") is experiments.C


def test_an_arm_that_diverged_is_never_the_better_one():
    assert arms.choose_weights({"none": float("nan"), "imagenet": 0.3}) == "imagenet"
