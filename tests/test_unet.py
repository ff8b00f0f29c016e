"""The network that outlines lungs: it learns from phantoms alone, and is tested on readers."""

import cv2
import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from cxrlib import cohort, files, images, networks, phantom, study
from cxrlib.cli import app
from cxrlib.errors import InputError, InputWarning
from cxrlib.study import data, experiments, profiles

PHANTOMS = [phantom.simulate(index, 128, seed=5) for index in range(6)]


@pytest.fixture(scope="module")
def unet():
    """The module under test: Keras comes with it."""
    from cxrlib.networks import unet

    return unet


def test_lungs_of_phantoms_it_never_saw_are_outlined(unet):
    found = unet.outline(unet.kept(), np.stack([one.image for one in PHANTOMS]))
    assert min(map(unet.dice, found, (one.lungs for one in PHANTOMS))) > 0.9


def test_an_outline_has_the_size_of_its_image(unet):
    large = images.resize(PHANTOMS[0].image, 200)
    found = unet.outline(unet.kept(), large[None])[0]
    assert found.shape == (200, 200)
    assert unet.dice(images.shrink(found, 128), PHANTOMS[0].lungs) > 0.9


def test_no_lungs_are_found_where_there_are_none(unet):
    assert not unet.outline(unet.kept(), np.zeros((1, 128, 128, 3), np.uint8)).any()


def test_of_what_is_taken_for_lung_two_parts_are_kept(unet):
    mask = np.zeros((128, 128), bool)
    mask[20:100, 20:50] = mask[20:100, 70:100] = mask[110:115, 5:9] = True
    kept = unet._largest(mask)
    assert kept[50, 30] and kept[50, 80] and not kept[112, 6]


def test_dice_is_one_for_the_same_and_none_for_what_is_apart(unet):
    lungs = PHANTOMS[0].lungs
    assert unet.dice(lungs, lungs) == 1
    assert unet.dice(lungs, ~lungs) == 0
    assert unet.dice(lungs, np.zeros_like(lungs)) == 0


def test_it_has_well_under_a_million_parameters(unet):
    assert unet.build().count_params() == 250_601


def test_lungs_move_as_their_phantom_is_turned_and_stretched(unet):
    rng = np.random.default_rng(0)
    for one in PHANTOMS:
        moved, lungs = unet._moved(one.lungs * np.float32(255), one.lungs, rng)
        seen = moved > 127
        seen[[0, -1]] = seen[:, [0, -1]] = False  # beside the film it may be white
        assert unet.dice(seen & lungs, lungs) > 0.97


def test_a_varied_phantom_is_a_radiograph_still(unet):
    for one in PHANTOMS:
        grey, lungs = unet.varied(one.image[..., 0], one.lungs, np.random.default_rng(one.index))
        assert grey.shape == lungs.shape == (128, 128)
        assert grey.min() >= 0 and grey.max() <= 255 and grey.std() > 10
        assert lungs.any()


@pytest.mark.slow
def test_training_writes_a_network_that_predicts(unet, tmp_path):
    lines = [*unet.train(tmp_path / "unet.keras", phantoms=4, steps=2)]
    assert lines[-1].startswith("step 2 of 2")
    import keras

    model = keras.saving.load_model(tmp_path / "unet.keras", compile=False)
    assert unet.outline(model, PHANTOMS[0].image[None]).shape == (1, 128, 128)


def test_a_lost_network_is_named_with_what_brings_it_back(unet, project):
    with pytest.raises(InputError, match="unet.keras is not there: `git checkout"):
        unet.kept()
    with pytest.raises(InputError, match="cxr lungs"):
        data.outlining(experiments.D)
    assert data.outlining(experiments.C) == []


def test_a_radiograph_is_cropped_to_its_lungs_and_all_else_is_black():
    one = PHANTOMS[0]
    treated = images.treat(one.image, "lungs+clahe", one.lungs)
    placed = images.place(one.lungs, "lungs+clahe", one.lungs)
    assert placed.mean() > one.lungs.mean()  # it fills more of the image
    assert (treated[~placed] == 0).all()
    assert treated[placed].mean() > 20
    rows, cols = (np.flatnonzero(placed.any(axis=axis)) for axis in (1, 0))
    for ends in (rows, cols):
        assert ends[0] < 10 and ends[-1] > 117


def test_a_radiograph_without_lungs_is_taken_whole_and_named(unet):
    black = np.zeros((128, 128, 3), np.uint8)
    with pytest.warns(InputWarning, match="black.png: no lungs were found"):
        assert (data.treated(black, "lungs+clahe", "black.png") == images.clahe(black)).all()


def test_what_needs_no_lungs_asks_no_network(monkeypatch):
    monkeypatch.setattr(data, "outline", None)
    image = PHANTOMS[0].image
    assert (data.treated(image, "cropped+clahe") == images.treat(image, "cropped+clahe")).all()


def test_known_regions_move_as_the_image_is_cropped_to_its_lungs():
    profile = profiles.Profile(image_size=128)
    row = study.radiographs(profile, experiments.D).iloc[0]
    known = study.regions(profile, experiments.D, row)
    assert known["lungs"].mean() > study.truth(profile, row)["lungs"].mean()


@pytest.fixture
def outlined(tmp_path):
    """Phantoms stand in for radiographs, and what is known of them for readers' masks."""
    (tmp_path / "lung_masks").mkdir()
    for place, one in enumerate(PHANTOMS):
        cv2.imwrite(str(tmp_path / f"r{place}.png"), one.image)
        if place:  # nobody has outlined the first
            mask = one.lungs.astype(np.uint8) * 255
            cv2.imwrite(str(tmp_path / "lung_masks" / f"r{place}.png"), mask)
    rows = [(f"r{i}.png", one.patient, one.group) for i, one in enumerate(PHANTOMS)]
    table = tmp_path / "mine.csv"
    pd.DataFrame(rows, columns=["file", "patient", "group"]).to_csv(table, index=False)
    return table


def test_outlines_are_compared_with_readers(unet, outlined):
    known = cohort.lungs.join(cohort.read(outlined), outlined.parent)
    found = unet.compare(unet.kept(), known)
    assert list(found["file"]) == [f"r{place}.png" for place in range(1, 6)]
    assert found["dice"].min() > 0.9
    with pytest.raises(InputError, match="none of these radiographs has a lung mask"):
        unet.compare(unet.kept(), known.head(1))


def test_a_test_on_ones_own_radiographs_leaves_the_kept_numbers_as_they_are(outlined):
    kept = files.root() / "results" / "lungs" / "dice.csv"
    before, own = kept.read_bytes(), outlined.parent / "own.csv"
    asked = ["lungs", str(outlined), "--lungs", str(outlined.parent), "--csv", str(own)]
    outcome = CliRunner().invoke(app, asked)
    assert outcome.exit_code == 0, outcome.output
    assert "5 outlined, Dice" in outcome.output
    assert len(pd.read_csv(own)) == 5
    assert kept.read_bytes() == before


def test_datasets_and_their_masks_are_named_together():
    outcome = CliRunner().invoke(app, ["lungs", "data/coronahack"])
    assert isinstance(outcome.exception, InputError)
    assert "--lungs" in str(outcome.exception)


def test_the_released_network_was_tested_on_readers_outlines():
    """The number in the book comes from this table."""
    found = pd.read_csv(files.root() / networks.UNET.replace("unet.keras", "dice.csv"))
    assert len(found) > 400
    assert found["dice"].median() > 0.9
