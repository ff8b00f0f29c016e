"""Remedies are compared on equal terms: other phantoms a seed, as many steps, one way to test."""

import dataclasses
import itertools
import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from cxrlib import images, phantom
from cxrlib.errors import InputError
from cxrlib.networks import ARCHITECTURES
from cxrlib.pages import remedies as shown
from cxrlib.phantom import TIED_MARK
from cxrlib.shortcuts import external, growing, populations, remedies, transfer
from cxrlib.targets import TARGETS


@pytest.fixture
def once(tiny):
    return dataclasses.replace(tiny, epochs=1, batch_size=8)


def test_a_seed_has_phantoms_of_its_own_and_a_test_shows_the_same_patients_twice(once):
    tied_marks = populations.SHORTCUTS["marks"]
    trained, tests = populations.cohorts(once, tied_marks, 3)
    other, _ = populations.cohorts(dataclasses.replace(once, seed=once.seed + 1), tied_marks, 3)
    assert not (trained.pixels == other.pixels).all(axis=(1, 2, 3)).any()
    goes = trained.table["mark"] == trained.table["group"].map(TIED_MARK)
    assert goes.mean() > 0.7
    tied, loose = tests["tied"], tests["random"]
    assert (tied.lungs == loose.lungs).all()
    assert tied.table["mark"].ne(loose.table["mark"]).any()
    assert tied.table["source"].equals(loose.table["source"])
    assert len(tests["balanced"].table) == 4 * populations.BALANCED


def test_validation_patients_are_others_and_carry_the_shortcut_or_not(once):
    known = populations.of(once)
    assert len(set(known)) == len(known)
    trained, tests = populations.cohorts(once, populations.SHORTCUTS["marks"], 3)
    seen, loose = tests["validation, tied"], tests["validation, random"]
    goes = [one.table["mark"] == one.table["group"].map(TIED_MARK) for one in (seen, loose)]
    assert goes[0].mean() > 0.7 > goes[1].mean() and (seen.lungs == loose.lungs).all()
    for other in (trained, tests["tied"], tests["balanced"]):
        assert not any((one == other.lungs).all(axis=(1, 2)).any() for one in seen.lungs)
    _, few = populations.cohorts(once, populations.SHORTCUTS["marks"], 3, validated=0)
    assert [*few] == ["tied", "random", "balanced"]


def test_marks_between_the_lungs_outlive_a_crop_to_them():
    survived = {at: 0 for at in (None, populations.BETWEEN_LUNGS)}
    rows = phantom.table({"covid": 6, "normal": 6}, mark_tie=1.0)
    for (_, row), at in itertools.product(rows.iterrows(), survived):
        marked, bare = (
            populations.simulate(row.replace(row["mark"], mark), 0, 96, at)
            for mark in (row["mark"], "none")
        )
        cropped = [images.crop_to_lungs(one.image, one.lungs) for one in (marked, bare)]
        survived[at] += (cropped[0] != cropped[1]).any()
    assert survived[populations.BETWEEN_LUNGS] == len(rows)
    assert survived[None] < len(rows) / 2


def test_where_devices_go_with_the_group_the_same_patient_is_seen_with_another(once):
    trained, tests = populations.cohorts(once, populations.SHORTCUTS["devices"], 3)
    goes = trained.table["device"] == trained.table["group"].map(phantom.TIED_DEVICE)
    assert goes.mean() > 0.7
    changed = tests["tied"].table["device"].ne(tests["random"].table["device"])
    differs = (tests["tied"].pixels != tests["random"].pixels).any(axis=(1, 2, 3))
    assert changed.any() and (differs == changed).all()


def test_cells_that_are_drawn_alike_have_one_share_each():
    cell = np.array([0, 0, 0, 1, 2, 2])
    weights = remedies.evenly(cell)
    assert weights.mean() == pytest.approx(1)
    assert np.bincount(cell, weights) == pytest.approx([2, 2, 2])


def test_a_cell_is_a_group_alike_in_all_that_somebody_wrote_down():
    table = pd.DataFrame(
        {"group": ["covid", "covid", "normal"], "mark": ["R", "R", "R"], "source": ["film"] * 3}
    )
    cohort = populations.Cohort(table, None, None)
    assert populations.cells(cohort).tolist() == [0, 0, 1]
    other = table.assign(source=["film", "digital", "film"])
    assert len(set(populations.cells(cohort._replace(table=other)))) == 3
    assert len(set(populations.cells(cohort._replace(table=other, known=("mark",))))) == 2


def test_an_image_cropped_to_the_lungs_keeps_them_and_loses_the_marks():
    one = phantom.simulate(4, 128, target="covid", mark="text")
    cropped = images.crop_to_lungs(one.image, one.lungs)
    assert cropped.shape == one.image.shape
    kept = images.crop_to_lungs(np.repeat(one.lungs[..., None], 3, 2).astype(np.uint8), one.lungs)
    assert kept.mean() > 1.2 * one.lungs.mean()
    assert not kept[0].any() and not kept[:, 0].any()  # a margin is left


def test_with_the_lungs_alone_all_else_is_black():
    one = phantom.simulate(4, 128, target="covid", mark="text")
    seen = images.cover_all_else(one.image, one.lungs)
    assert (seen[~one.lungs] == 0).all() and (seen[one.lungs] == one.image[one.lungs]).all()


@pytest.mark.parametrize("name", remedies.REMEDIES)
def test_a_remedy_keeps_an_images_form_and_has_words(name):
    remedy, one = remedies.REMEDIES[name], phantom.simulate(4, 128, target="covid", mark="text")
    pixels = remedy.picture(one.image, one.lungs)
    assert pixels.shape == one.image.shape and pixels.dtype == np.uint8
    assert remedy.says


WAYS = (
    "none", "resample", "dro", "last layer", "adversary", "energy", "pretrained", "joined",
    "one choice",
)  # fmt: skip
"""A remedy for each way to learn."""


@pytest.mark.slow
def test_every_way_to_learn_is_tested_with_the_shortcut_and_without(once, tmp_path):
    ways = {remedy.learn for remedy in remedies.REMEDIES.values()}
    assert {remedies.REMEDIES[name].learn for name in WAYS} == ways
    path = tmp_path / "remedies.csv"
    shortcut = ("marks and source",)
    said = list(remedies.measure(once, path, shortcuts=shortcut, remedies=WAYS, n=3))
    assert said == [f"seed {once.seed}, marks and source: {name}" for name in WAYS]
    found = remedies.read(path)
    assert len(found) == len(WAYS) * 4 * (len(TARGETS) + 1)
    assert found["steps"].nunique() == 1


@pytest.mark.slow
def test_what_was_measured_is_not_trained_again_and_goes_on_where_it_was(once, tmp_path):
    path = tmp_path / "remedies.csv"
    asked = {"shortcuts": ("nothing",), "n": 3}
    assert len(list(remedies.measure(once, path, remedies=("none",), **asked))) == 1
    before = path.read_text()
    said = list(remedies.measure(once, path, remedies=("none", "crop"), **asked))
    assert said == [f"seed {once.seed}, nothing: crop"]
    assert path.read_text().startswith(before)


def test_real_radiographs_need_new_patients_and_phantoms_none(once, tmp_path):
    path = tmp_path / "remedies.csv"
    other = dataclasses.replace(once, cohort="coronahack", data="data/coronahack")
    with pytest.raises(InputError, match="cohort is coronahack: name the new patients"):
        next(remedies.measure(other, path))
    with pytest.raises(InputError, match="new patients themselves: name no other"):
        next(remedies.measure(once, path, "data/covid-chestxray"))


def test_a_table_of_one_set_of_radiographs_does_not_go_on_with_another(collections, tmp_path):
    """A folder that moved holds the same radiographs; one whose pictures were changed does not."""
    profile, new = collections
    first = growing.radiographs(profile, new)
    trained = Path(profile.data)
    moved, elsewhere = (shutil.copytree(one.parent, tmp_path / "moved" / one.parent.name) / one.name
                        for one in (trained, new))  # fmt: skip
    again = dataclasses.replace(profile, data=str(moved))
    assert growing.radiographs(again, elsewhere) == first
    for picture in (moved.parent / "3.png", elsewhere.parent / "103.png"):
        cv2.imwrite(str(picture), np.zeros((128, 128), np.uint8))
    other = growing.radiographs(again, elsewhere)
    assert [first[name] != other[name] for name in first] == [True, True]


@pytest.mark.parametrize("table", [remedies, transfer])
def test_other_new_patients_of_the_same_names_are_refused(collections, tmp_path, table):
    profile, new = collections
    path, facts = tmp_path / "table.csv", growing.radiographs(profile, new)
    growing.begin(path, table.COLUMNS, remedies.settled(profile), new_patients="list", **facts)
    path.write_text(",".join(table.COLUMNS))
    cv2.imwrite(str(new.parent / "103.png"), np.zeros((128, 128), np.uint8))
    with pytest.raises(InputError, match="begun with new_radiographs .*move the table away"):
        next(table.measure(profile, path, new))


def test_phantoms_are_known_by_their_profile(once):
    assert growing.radiographs(once, None) == {}


def test_a_cohort_from_elsewhere_has_one_name(once, project):
    real = dataclasses.replace(once, cohort="coronahack", data="data/coronahack")
    for name in ("covid.2020", "odd name"):
        (project / name).mkdir()
        assert remedies.named(real, name) == name
    (project / "mine.csv").touch()
    assert remedies.named(real, "mine.csv") == external.named("mine.csv") == "mine"
    assert external.named("covid.2020") == "covid.2020"


@pytest.mark.parametrize(
    "asked, said",
    [
        ({"shortcuts": ["mark"]}, "no shortcut 'mark': expected one of nothing, marks"),
        ({"remedies": ["C"]}, "no remedy 'C': expected one of none, copies"),
        ({"architecture": "vgg"}, "no architecture 'vgg': expected one of densenet121"),
    ],
)
def test_a_name_that_is_none_is_refused_before_anything_is_simulated(once, tmp_path, asked, said):
    with pytest.raises(InputError, match=said):
        next(remedies.measure(once, tmp_path / "remedies.csv", **asked))
    assert not [*tmp_path.iterdir()]


@pytest.mark.slow
def test_a_deep_network_learns_beside_efficient_in_the_same_table(once, tmp_path):
    path, asked = tmp_path / "remedies.csv", {"shortcuts": ["marks"], "n": 3}
    deep = {"remedies": ["energy", "adversary", "energy"], "architecture": "resnet50"}
    said = list(remedies.measure(once, path, **asked, **deep))
    assert [line.split(": ")[1] for line in said] == ["none", "energy", "adversary"]
    assert len(list(remedies.measure(once, path, **asked, remedies=["none"]))) == 1
    found = remedies.read(path)
    assert found["steps"].nunique() == 1
    light, heavy = (
        remedies.effects(found, architecture=name).set_index("remedy")["random"]
        for name in ("efficient", "resnet50")
    )
    assert len(light) == 1 and len(heavy) == 3 and light["none"] != heavy["none"]


def test_validation_chooses_by_what_it_can_see():
    rows = [
        ("none", "validation, tied", 0.95), ("none", "validation, random", 0.6),
        ("none", "tied", 0.95), ("none", "random", 0.61),
        ("c", "validation, tied", 0.9), ("c", "validation, random", 0.88),
        ("c", "tied", 0.9), ("c", "random", 0.86),
        ("crop", "validation, tied", 0.9), ("crop", "validation, random", 0.87),
        ("crop", "tied", 0.9), ("crop", "random", 0.87),
    ]  # fmt: skip
    rows += [("border alone", version, 1.0) for version in populations.VERSIONS[:4]]
    table = pd.DataFrame(rows, columns=["remedy", "version", "auc"])
    table = table.assign(target="all", architecture="efficient", shortcut="marks", seed=1)
    fewer = table[table["remedy"] == "none"].assign(seed=2)  # nothing to choose from: left out
    table = pd.concat([table, fewer])
    found = remedies.chosen(remedies.effects(table)).set_index("by")
    assert found["remedy"].to_dict() == {
        "validation, tied": "none", "validation, random": "c", "random": "crop",
    }  # fmt: skip
    assert found.loc["validation, random", "random"] == 0.86


def test_each_third_of_the_new_patients_is_tested_once_and_never_learnt_from(collections):
    profile, new = collections
    tested = []
    for trial in (dataclasses.replace(profile, seed=seed) for seed in range(3)):
        trained, tests = populations.real(trial, new)
        third, others = tests["random"].table, tests["balanced"].table
        assert not set(third["file"]) & set(others["file"])
        assert set(trained.table["split"]) == {"train"}
        assert set(tests["tied"].table["split"]) == {"test"}
        assert trained.lungs.mean(axis=(1, 2)).min() > 0.1  # outlined by the released network
        parts = tests["border alone"].pixels, tests["border covered"].pixels
        assert (parts[0] + parts[1] == tests["tied"].pixels).all()
        assert not (parts[0] & parts[1]).any() and parts[0].any() and parts[1].any()
        tested += [*third["file"]]
    assert len(tested) == len(set(tested)) == 24


@pytest.mark.slow
def test_remedies_are_asked_of_real_radiographs(collections, tmp_path):
    profile, new = collections
    path = tmp_path / "remedies.csv"
    names = ("none", "lungs cropped", "joined evenly", "pretrained", "one choice")
    said = list(remedies.measure(profile, path, new, remedies=names[1:]))
    assert said == [f"seed {profile.seed}, collections: {name}" for name in names]
    found = remedies.read(path)
    assert set(found["version"]) == {"tied", "random", "border alone", "border covered"}
    assert found["steps"].nunique() == 1
    assert set(found["shortcut"]) == {populations.REAL}


def test_effects_are_taken_seed_by_seed_against_the_network_without_a_remedy():
    rows = [
        ("marks", "none", 1, "tied", 0.9), ("marks", "none", 1, "random", 0.6),
        ("marks", "c", 1, "tied", 0.9), ("marks", "c", 1, "random", 0.8),
        ("nothing", "none", 1, "tied", 0.9), ("nothing", "none", 1, "random", 0.9),
        ("nothing", "c", 1, "tied", 0.85), ("nothing", "c", 1, "random", 0.85),
        ("marks", "none", 2, "tied", 0.9), ("marks", "none", 2, "random", 0.9),
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=["shortcut", "remedy", "seed", "version", "auc"])
    found = remedies.effects(table.assign(target="all", architecture="efficient")).set_index(
        ["shortcut", "remedy", "seed"]
    )
    assert found.loc[("marks", "none", 1), "gap"] == pytest.approx(0.3)
    assert found.loc[("marks", "c", 1), "closed"] == pytest.approx(0.2)
    assert found.loc[("marks", "c", 1), "gained"] == pytest.approx(0.2)
    assert found.loc[("nothing", "c", 1), "gained"] == pytest.approx(-0.05)
    assert found.loc[("marks", "none", 2), "closed"] == 0


def made_up(seeds, gap):
    """Effects of networks that were never trained: a gap for each remedy where marks are tied."""
    rows = []
    for shortcut in ("nothing", "marks", "source"):
        for remedy in remedies.REMEDIES:
            for seed in seeds:
                lost = gap.get(remedy, 0.3) if shortcut != "nothing" else 0
                random = 0.9 - lost - 0.1 * (remedy == "lungs alone") + 0.001 * seed
                rows.append((shortcut, remedy, seed, "tied", random + lost))
                rows.append((shortcut, remedy, seed, "random", random))
    table = pd.DataFrame(rows, columns=["shortcut", "remedy", "seed", "version", "auc"])
    return remedies.effects(table.assign(target="all", architecture="efficient"))


def test_a_remedy_mends_where_next_to_nothing_of_the_gap_is_left_and_costs_where_nothing_is_tied():
    told = shown.verdicts(made_up(range(3), {"c": 0.02, "lungs alone": 0.0}))
    c, alone = (remedies.REMEDIES[name].says for name in ("c", "lungs alone"))
    assert told == {"marks": [c, alone], "source": [c, alone], "costs": [alone]}


def test_of_one_seed_nothing_is_said_to_mend():
    told = shown.verdicts(made_up([1], {"c": 0.0}))
    assert told == {"marks": [], "source": [], "costs": []}


def on_real(seeds, gained):
    """Effects of made-up networks of real radiographs: the AUC that each remedy gains."""
    rows = []
    for remedy in remedies.ON_REAL:
        for seed in seeds:
            random = 0.5 + gained.get(remedy, 0) + 0.001 * seed
            rows += [(remedy, seed, "tied", 0.95), (remedy, seed, "random", random)]
    table = pd.DataFrame(rows, columns=["remedy", "seed", "version", "auc"])
    return remedies.effects(
        table.assign(architecture="efficient", shortcut=populations.REAL, target="COVID"), "COVID"
    )


def test_on_real_radiographs_a_remedy_helps_where_every_seed_says_so():
    effects = on_real(range(3), {"joined": 0.2})
    assert shown.helping(effects) == [remedies.REMEDIES["joined"].says]
    assert shown.helping(effects[effects["seed"] == 0]) == [] == shown.harming(effects)
    assert shown.harming(on_real(range(3), {"c": -0.2})) == [remedies.REMEDIES["c"].says]
    again = on_real(range(3), {"joined": 0.1, "c": 0.1})
    assert shown.helping(effects, again) == [remedies.REMEDIES["joined"].says]
    assert shown.helping(effects, on_real(range(3), {"c": 0.1})) == []
    table = shown.real_table(effects, again).set_index("Remedy")
    assert table.loc[remedies.REMEDIES["joined"].says, "Gain, trained before"].startswith("0.10 (")
    assert table.loc[remedies.REMEDIES["joined"].says, "New patients"].startswith("0.70 (")
    assert table.loc[remedies.REMEDIES["none"].says, "Gain over none"] == "–"


def test_what_no_seed_has_measured_has_a_dash_and_what_one_has_no_interval():
    effects = on_real(range(3), {"joined": 0.2})
    c, joined = (effects["remedy"] == name for name in ("c", "joined"))
    lost = {"random": np.nan, "gained": np.nan, "gap": np.nan}
    lost_all, lost_two = (
        effects.assign(**{name: effects[name].mask(where) for name in lost})
        for where in (c, joined & (effects["seed"] > 0))
    )
    table = shown.real_table(lost_all, effects).set_index("Remedy")
    assert table.loc[remedies.REMEDIES["c"].says, ["New patients", "Gain over none"]].eq("–").all()
    table = shown.real_table(lost_two, effects).set_index("Remedy")
    assert table.loc[remedies.REMEDIES["joined"].says, "New patients"] == "0.70"
    assert shown.helping(lost_two) == [] == shown.helping(lost_all[c])


def test_a_start_is_asked_about_the_border_and_about_all_but_it():
    parts = [("border alone", 0.7), ("border covered", 0.9)]
    rows = [
        (way, seed, *part) for way in ("none", "pretrained") for seed in range(3) for part in parts
    ]
    asked = pd.DataFrame(rows, columns=["remedy", "seed", "version", "auc"])
    same = asked.assign(architecture="efficient", shortcut=populations.REAL, target="COVID")
    whole = same.drop_duplicates(["remedy", "seed"]).assign(version="tied", auc=0.95)
    new = whole.assign(version="random", auc=0.55)
    table = shown.starts_table(remedies.effects(pd.concat([same, whole, new]), "COVID"))
    assert table["Begun"].tolist() == ["at random weights", "on phantoms"]
    assert table.loc[1, "Border alone"].startswith("0.70 (0.70")
    assert table.loc[0, "Border covered"].startswith("0.90 (0.90")


def test_architectures_stand_side_by_side_with_the_remedies_that_all_have_tried():
    rows = [
        (name, remedy, seed, "tied", 0.9) for name in ARCHITECTURES for remedy in ("none", "c")
        for seed in ((1, 2) if name == "efficient" else (1,))
    ]  # fmt: skip
    rows += [("efficient", "crop", 1, "tied", 0.9)]
    tied = pd.DataFrame(rows, columns=["architecture", "remedy", "seed", "version", "auc"])
    both = pd.concat([tied, tied.assign(version="random", auc=tied["seed"] / 10 + 0.5)])
    table = shown.architectures_table(shown.in_common(both.assign(target="all", shortcut="marks")))
    assert table["Remedy"].tolist() == [remedies.REMEDIES[name].says for name in ("none", "c")]
    assert table.loc[0, "DenseNet-121: gap"] == "0.30"
    assert table.loc[0, "Efficient: AUC, tie broken"] == "0.60"  # of the seed that all have


def test_the_table_of_choices_says_what_was_chosen_how_often_and_what_it_is_worth():
    effects = made_up(range(3), {"c": 0.0})
    seen = effects["random"].where(effects["remedy"] == "c", 0.5)
    asked = effects.assign(**{"validation, tied": effects["tied"], "validation, random": seen})
    marked = asked[asked["shortcut"] == "marks"]
    table = shown.choice_table(remedies.chosen(marked)).set_index("Chosen by")
    knowing = table.loc[shown.CHOSEN_BY["validation, random"]]
    assert knowing["Chosen, in seeds"] == f"{remedies.REMEDIES['c'].says}: 3"
    assert knowing["AUC"].startswith("0.90 (")


def test_what_helps_phantoms_is_ranked_against_what_helps_patients():
    simulated = made_up(range(3), {"c": 0.0, "joined": 0.1, "energy": 0.2})
    real = on_real(range(3), {"c": 0.3, "joined": 0.2, "energy": 0.1})
    table, rank, p = shown.carried(simulated, real)
    assert set(table["remedy"]) <= set(remedies.ON_REAL) - {"none", "border alone"}
    assert rank > 0.7 and 0 <= p < 0.05
    drawn = shown.carried_figure(table)
    assert len(drawn.axes[0].texts) == len(table)


def test_the_table_has_a_row_a_remedy_and_a_dash_where_none_was_trained():
    effects = made_up(range(3), {"c": 0.02})
    table = shown.table(effects[(effects["shortcut"] != "source") | (effects["remedy"] == "none")])
    assert table["Remedy"].tolist() == [remedy.says for remedy in remedies.REMEDIES.values()]
    assert table["Source: gap"].ne("–").sum() == 1
    assert table.loc[0, "Marks: gap"].startswith("0.30 (")


def test_the_figure_has_a_row_a_remedy_and_a_colour_a_shortcut():
    drawn = shown.figure(made_up(range(2), {}))
    assert len(drawn.axes[0].get_yticklabels()) == len(remedies.REMEDIES)
    assert len(drawn.legends[0].get_texts()) == 3
