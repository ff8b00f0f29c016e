"""A profile becomes a cohort, pixels and fingerprints; the same every time."""

import dataclasses
import stat

import numpy as np
import pytest

from cxrlib import experiments, study
from cxrlib.errors import InputError


def test_pixels_follow_the_radiographs_and_are_made_once(tiny, project):
    experiment = tiny.experiment("A")
    table = study.radiographs(tiny, experiment)
    pixels = study.pixels(tiny, experiment)
    assert pixels.shape == (len(table), 121, 121, 3)
    assert (pixels[3] == study.image(tiny, table.iloc[3])).all()
    cached = list((project / "data" / "pixels").glob("*.npy"))
    written = cached[0].stat()[stat.ST_MTIME]
    study.pixels(tiny, experiment)
    assert cached[0].stat()[stat.ST_MTIME] == written


def test_copies_differ_from_their_original_and_from_each_other(tiny, project):
    experiment = tiny.experiment("B")
    table = study.radiographs(tiny, experiment)
    pixels = study.pixels(tiny, experiment)
    original = table[table["copy"] == 1].iloc[0]
    places = table.index[table["file"] == original["file"]]
    assert len(places) == 2
    assert (pixels[places[0]] != pixels[places[1]]).any()
    assert (pixels[places[0]] != study.image(tiny, original)).any()


def test_experiment_c_crops_and_equalises(tiny, project):
    b, c = (study.pixels(tiny, tiny.experiment(name)) for name in "BC")
    assert b.shape == c.shape
    contrast = [np.abs(np.diff(p[:5].astype(int), axis=2)).mean() for p in (b, c)]
    assert contrast[1] > 1.3 * contrast[0]


def test_truth_is_known_for_phantoms_only(tiny):
    row = study.cohort(tiny).iloc[0]
    assert set(study.truth(tiny, row)) == {"lungs", "lesions", "marks"}
    row = row.copy()
    row["source"] = "kermany"
    assert study.truth(tiny, row) == {}


def test_the_fingerprint_follows_cohort_and_copies(tiny):
    def fingerprint(name="B", **changed):
        profile = dataclasses.replace(tiny, **changed)
        return study.fingerprint(profile, profile.experiment(name))

    assert fingerprint() == fingerprint(epochs=9)
    assert len({fingerprint(), fingerprint("A"), fingerprint(covid=7), fingerprint(copies=3)}) == 4


def test_real_radiographs_without_a_folder_are_refused(tiny, project):
    profile = dataclasses.replace(tiny, cohort="coronahack")
    with pytest.raises(InputError, match="data is empty"):
        study.cohort(profile)
    with pytest.raises(InputError, match="no folder .*nowhere"):
        study.cohort(dataclasses.replace(profile, data="nowhere"))


def test_an_experiment_without_wanted_arms_says_so(tiny):
    profile = dataclasses.replace(tiny, arms=("resnet50-best",))
    with pytest.raises(InputError, match="no arm of experiment A"):
        study.ensure(dataclasses.replace(profile, arms=("densenet121-best",)), "A")


def test_every_treatment_of_an_experiment_exists():
    from cxrlib import images

    for experiment in experiments.EXPERIMENTS.values():
        assert experiment.treatment in images.TREATMENTS
