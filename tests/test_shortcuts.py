"""Shortcuts are measured on pairs that differ by one thing, and found where they were planted."""

import dataclasses
from types import SimpleNamespace

import cv2
import numpy as np
import pandas as pd
import pytest

from cxrlib import images, phantom, shortcuts, study
from cxrlib.errors import InputError
from cxrlib.images import marks
from cxrlib.shortcuts import films, ties
from cxrlib.study import profiles
from cxrlib.targets import GROUP_TARGET, GROUPS, TARGETS
from tests.conftest import ROOT


@pytest.fixture
def tied(tiny):
    return dataclasses.replace(tiny, mark_tie=1.0)


def test_all_versions_show_the_same_fresh_patients_with_other_marks(tied):
    trained = study.cohort(tied)
    versions = shortcuts.versions(tied, 5)
    first = versions["tied"]
    assert first["group"].value_counts().to_dict() == dict.fromkeys(GROUP_TARGET, 5)
    assert not set(first["patient"]) & set(trained["patient"])
    for table in versions.values():
        assert list(table["index"]) == list(first["index"])
    assert (first["mark"] == first["group"].map(phantom.TIED_MARK)).all()
    assert (versions["removed"]["mark"] == "none").all()
    exchanged = first["group"].map(ties.EXCHANGED).map(phantom.TIED_MARK)
    assert (versions["reversed"]["mark"] == exchanged).all()
    assert versions["random"]["mark"].nunique() > 2
    for place in range(0, 20, 5):
        before, after = (
            study.truth(tied, versions[v].loc[place])["marks"] for v in ("tied", "moved")
        )
        low = [np.nonzero(marks)[0].mean() / len(marks) for marks in (before, after)]
        assert low[1] > low[0] + 0.15


def test_without_the_lesion_everyone_is_normal_and_keeps_the_mark(tied):
    versions = shortcuts.versions(tied, 4)
    healthy = versions["no lesion"]
    assert (healthy["Normal"] == 1).all()
    assert (healthy[["Pneumonia", "Virus", "Bacteria", "COVID"]] == 0).all(axis=None)
    assert (healthy["mark"] == versions["tied"]["mark"]).all()
    for _, row in healthy.iterrows():
        assert not study.truth(tied, row)["lesions"].any()


def test_what_a_study_has_measured_is_read_and_a_damaged_table_is_named(project, tiny):
    assert shortcuts.measured(tiny) == {}
    place = shortcuts.kept_in(tiny)
    place.mkdir(parents=True)
    pd.DataFrame({"cover": ["none"], "value": [0.5]}).to_csv(place / "occlusion.csv", index=False)
    found = shortcuts.measured(tiny)
    assert list(found) == ["occlusion"]
    assert found["occlusion"]["value"].tolist() == [0.5]
    (place / "auc.csv").touch()
    with pytest.raises(InputError, match="auc.csv is damaged"):
        shortcuts.measured(tiny)


def test_tables_of_another_profile_of_the_same_name_are_neither_shown_nor_written_over(
    project, tiny, monkeypatch
):
    rows = pd.DataFrame({"experiment": ["A"], "cover": ["none"], "seed": [718]})
    monkeypatch.setattr(shortcuts, "sweep", lambda *_, **__: [])
    monkeypatch.setattr(shortcuts, "occlusion", lambda *_: [rows])
    place = shortcuts.kept_in(tiny)
    assert list(shortcuts.measure(tiny, place)) == ["A cover none seed 718"]
    before = (place / "occlusion.csv").read_bytes()
    more = dataclasses.replace(tiny, more_seeds=(719,), threads=2)
    assert list(shortcuts.measured(more)) == ["occlusion"]
    assert len(list(shortcuts.measure(more, place))) == 1
    longer = dataclasses.replace(tiny, epochs=9)
    said = "occlusion.csv was begun with epochs 3, and now epochs is 9. Give the profile another"
    with pytest.raises(InputError, match=said):
        next(shortcuts.measure(longer, place))
    with pytest.raises(InputError, match=said):
        shortcuts.measured(longer)
    assert (place / "occlusion.csv").read_bytes() == before
    (place / shortcuts.SETTINGS).unlink()
    with pytest.raises(InputError, match="shortcuts.json is missing"):
        next(shortcuts.measure(tiny, place))


def test_tables_that_are_kept_say_how_they_were_made(monkeypatch):
    monkeypatch.chdir(ROOT)
    for name in ("marks", "covered", "coronahack-224"):
        profile = profiles.read(ROOT / "profiles" / f"{name}.yml")
        assert (shortcuts.kept_in(profile) / shortcuts.SETTINGS).exists()
        assert shortcuts.measured(profile)


def answered(by_mark, by_lesion):
    """Answers of a network that goes by the tied mark, by the lesion, or by both."""
    profile_tests = {}
    n = 12
    groups = np.repeat(list(GROUP_TARGET), n)
    rng = np.random.default_rng(0)
    for version in ("tied", "random", "reversed", "moved", "removed", "no lesion"):
        marks = {
            "random": rng.choice(phantom.MARKS, len(groups)),
            "reversed": [phantom.TIED_MARK[ties.EXCHANGED[g]] for g in groups],
            "removed": ["none"] * len(groups),
            "moved": ["none"] * len(groups),  # for a network that looks in one place
        }.get(version, [phantom.TIED_MARK[g] for g in groups])
        ill = groups if version != "no lesion" else np.full(len(groups), "normal")
        frame = pd.DataFrame({"group": ill, "mark": marks})
        for target in TARGETS:
            of = [g for g in GROUP_TARGET if phantom.GROUPS[g][TARGETS.index(target)]]
            told = frame["mark"].isin([phantom.TIED_MARK[g] for g in of])
            noise = 0.01 * rng.random(len(groups))
            frame[f"p_{target}"] = by_mark * told + by_lesion * frame["group"].isin(of) + noise
            frame[f"y_{target}"] = frame["group"].isin(of).astype(int)
        profile_tests[version] = frame
    return profile_tests


def test_a_network_that_goes_by_marks_has_a_gap_and_one_that_goes_by_lesions_has_none():
    facts = {"experiment": "A", "tie": 1.0, "seed": 1}
    for weights, expected in (((0.9, 0.0), 0.5), ((0.0, 0.9), 0.0)):
        auc = shortcuts.aucs(answered(*weights)).assign(**facts)
        gap = shortcuts.gaps(auc).query("target == 'all'").set_index("version")["gap"]
        assert gap["removed"] == pytest.approx(expected, abs=0.12)
        assert gap["reversed"] >= gap["removed"] - 0.1


def test_changes_show_what_the_answer_depends_on():
    by_mark = shortcuts.changes(answered(0.9, 0.0)).set_index(["change", "group"])
    by_lesion = shortcuts.changes(answered(0.0, 0.9)).set_index(["change", "group"])
    assert by_mark.loc[("mark removed", "covid"), "mean"] == pytest.approx(-0.9, abs=0.02)
    assert by_mark.loc[("lesion removed", "covid"), "size"] < 0.02
    assert by_lesion.loc[("mark removed", "covid"), "size"] < 0.02
    assert by_lesion.loc[("lesion removed", "covid"), "mean"] == pytest.approx(-0.9, abs=0.02)
    assert ("lesion removed", "normal") not in by_lesion.index


def test_an_interval_over_seeds_counts_seeds():
    table = pd.DataFrame({"tie": [0, 0, 0, 1], "seed": [1, 2, 3, 1], "gap": [0.1, 0.2, 0.3, 0.5]})
    found = shortcuts.over_seeds(table, "gap", ["tie"]).set_index("tie")
    assert found.loc[0, "mean"] == pytest.approx(0.2)
    assert found.loc[0, "high"] - 0.2 == pytest.approx(4.303 * 0.1 / np.sqrt(3), abs=1e-3)
    assert np.isnan(found.loc[1, "low"])
    assert list(found["seeds"]) == [3, 1]


def test_a_seed_without_a_value_does_not_narrow_an_interval():
    """With it counted, the three would seem four, and a third of the interval would be lost."""
    rows = [(0, 1, 0.1), (0, 2, 0.2), (0, 3, 0.3), (1, 1, 0.5), (1, 2, np.nan), (2, 1, np.nan)]
    table = pd.DataFrame(rows, columns=["tie", "seed", "gap"])
    unknown = pd.DataFrame([(0, 4, np.nan)], columns=table.columns)
    found, with_it = (
        shortcuts.over_seeds(one, "gap", ["tie"]).set_index("tie")
        for one in (table, pd.concat([table, unknown]))
    )
    pd.testing.assert_frame_equal(found, with_it)
    assert list(found["seeds"]) == [3, 1, 0]
    assert found.loc[1, "mean"] == 0.5 and found.loc[1, ["low", "high"]].isna().all()
    assert found.loc[2, ["mean", "low", "high"]].isna().all()


def test_lung_attention_is_correlated_with_the_gap_over_runs():
    rng = np.random.default_rng(3)
    runs = [{"experiment": e, "tie": t, "seed": s} for e in "AC" for t in (0, 1) for s in range(5)]
    auc, looked = [], []
    for run in runs:
        gap = rng.random()
        versions = {"tied": 0.9, "random": 0.9 - gap, "reversed": 0.5, "moved": 0.7, "removed": 0.6}
        auc += [{**run, "target": "all", "version": v, "auc": a} for v, a in versions.items()]
        lifts = {"lungs": -gap, "marks": rng.random()}
        looked += [{**run, "region": r, "measure": "lift", "value": v} for r, v in lifts.items()]
    table, told = shortcuts.honesty(pd.DataFrame(auc), pd.DataFrame(looked))
    assert len(table) == told["runs"] == 20
    assert told["lungs"][0] == pytest.approx(-1)
    assert told["marks"][1] < 0 < told["marks"][2]


@pytest.fixture
def real(tiny, project):
    """A folder of phantoms as if they were real, every other one of each group with an R."""
    rows = []
    for group in GROUPS:
        for i, split in enumerate(("train", "train", "validation", "test", "test", "test", "test")):
            mark = "R" if i % 2 else "none"
            film = phantom.simulate(1000 + i, 160, target=group, mark=mark, source="digital")
            cv2.imwrite(str(project / f"{group}-{i}.png"), film.image)
            rows.append({"file": f"{group}-{i}.png", "group": group, "split": split})
    pd.DataFrame(rows).to_csv(project / "films.csv", index=False)
    counts = dict.fromkeys(GROUPS, 0)
    return dataclasses.replace(
        tiny, name="films", cohort="folder", data="films.csv", image_size=160, epochs=1, **counts
    )


def test_a_change_is_made_to_the_marks_that_a_radiograph_has(real):
    row = study.cohort(real).query("split == 'test'").iloc[0]
    before = study.image(real, row)
    mask = marks.find(before)
    assert mask.any()
    for name, change in marks.CHANGES.items():
        after = study.image(real, pd.concat([row, pd.Series({"change": name})]))
        assert (after == change(before, mask)).all()
        assert (after != before).any()


@pytest.mark.slow
def test_only_radiographs_with_marks_are_painted_over_and_moved(real, project, monkeypatch):
    monkeypatch.setattr(images, "COVERS", ("none",))
    lines = list(shortcuts.measure(real, project))
    scored = [f"{name} seed 718 scored with its marks changed" for name in "AC"]
    changed = ["A marks changed", "C marks changed"]
    assert lines == [*changed, *scored, "A cover none seed 718"]
    found = pd.read_csv(project / "marks-scored.csv")
    assert len(found) == 2 * len(marks.CHANGES) * (1 + len(TARGETS))
    assert (found["difference"] - found["after"] + found["before"]).abs().max() < 1e-9
    covered = pd.read_csv(project / "occlusion.csv")
    assert covered["note"].dropna().tolist() == 2 * ["undefined: one source"]
    found = pd.read_csv(project / "marks-changed.csv").query("experiment == 'A'")
    assert len(found) == (4 + len(marks.CHANGES)) * len(GROUPS) * len(TARGETS)
    assert set(found["change"]) == {"pasted", *marks.CHANGES}
    pasted = found["change"] == "pasted"
    assert set(found[pasted]["mark"]) == {"R", "L", "ticks", "text"}
    assert (found[pasted][["n", "share"]] == [4, 1]).all(axis=None)
    assert (found[~pasted][["mark", "n", "share"]] == ["found", 2, 0.5]).all(axis=None)
    assert (found["size"] >= found["mean"].abs() - 1e-6).all()


def test_a_change_is_counted_by_group_and_target():
    before = pd.DataFrame({"group": ["normal", "normal", "covid"], "patient": ["a", "b", "c"]})
    before = before.assign(**{f"p_{target}": 0.4 for target in TARGETS})
    after = before.assign(p_COVID=[0.6, 0.2, 0.4])
    found = films._paired(before, after).set_index(["group", "target"])
    assert found.loc[("normal", "COVID"), ["n", "patients"]].tolist() == [2, 2]
    values = found.loc[("normal", "COVID"), ["mean", "size", "flipped"]].tolist()
    assert values == pytest.approx([0, 0.2, 0.5])
    assert (found.drop(("normal", "COVID"))[["mean", "size", "flipped"]] == 0).all(axis=None)


def test_the_source_is_recognised_as_well_as_the_features_allow(tiny, project, monkeypatch):
    from cxrlib.networks import training

    large = dataclasses.replace(tiny, normal=60, virus=30, bacteria=30, covid=30)
    experiment = large.experiment("A")
    table = study.radiographs(large, experiment)
    monkeypatch.setattr(study, "train", lambda *_: SimpleNamespace(network=None))
    monkeypatch.setattr(study, "pixels", lambda *_: None)
    rng = np.random.default_rng(0)
    for features, least, most in (
        (pd.get_dummies(table["source"]).to_numpy(float), 1, 1),
        (rng.normal(size=(len(table), 3)), 0.2, 0.8),
    ):
        monkeypatch.setattr(training, "features", lambda *_, told=features: told)
        told = shortcuts.origin(large, experiment, experiment.arms[0])
        assert told["note"] == ""
        assert least <= told["value"] <= most
        assert told["low"] <= told["value"] <= told["high"]


def test_an_origin_that_a_target_settles_is_said_to_be_that_target(tiny, project):
    tied = dataclasses.replace(tiny, source_tie=1.0)
    experiment = tied.experiment("A")
    told = shortcuts.origin(tied, experiment, experiment.arms[0])
    assert (told["target"], told["note"]) == ("origin", "the same as COVID")
    assert np.isnan(told["value"])


def test_where_all_come_from_one_source_origin_is_undefined(real):
    experiment = real.experiment("A")
    told = shortcuts.origin(real, experiment, experiment.arms[0])
    assert told["note"] == "undefined: one source"
    assert np.isnan(told["value"])


@pytest.mark.slow
def test_a_sweep_and_an_occlusion_measure_every_run_and_find_them_again(tiny, project):
    first = list(shortcuts.sweep(tiny, ("A",), (1.0,), n=6))
    assert [what for what, _ in first] == ["auc", "change", "attention"]
    auc, change, seen = (frame for _, frame in first)
    assert set(auc["version"]) == {"tied", "random", "reversed", "moved", "removed"}
    assert auc["auc"].between(0, 1).all()
    assert (change["n"] == 6).all()
    assert {"lungs", "marks"} <= set(seen["region"])
    covered = pd.concat(shortcuts.occlusion(tiny, ("lungs", "not-border")))
    assert set(covered["cover"]) == {"lungs", "not-border"}
    assert set(covered["target"]) == {*TARGETS, "origin", "origin, untrained"}
    told = covered[covered["target"] == "origin"]
    assert len(told) == 2
    assert told["value"].between(0, 1).all()
    for (_, one), (_, again) in zip(first, shortcuts.sweep(tiny, ("A",), (1.0,), n=6)):
        pd.testing.assert_frame_equal(one, again)
