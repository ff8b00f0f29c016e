"""Cohen et al.'s collection and a user's own table become cohorts, or one clear message."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from cxrlib import cohort, study
from cxrlib.cohort import audit, duplicates
from cxrlib.errors import InputError
from cxrlib.study import profiles
from cxrlib.targets import TARGETS
from tests.test_decode import dicom

SHARED = Path(__file__).parents[1].parent / "shared" / "data"
COHEN = ["patientid", "finding", "view", "modality", "age", "filename", "doi", "url"]
ROWS = [
    (2, "COVID-19", "PA", "X-ray", "65", "a.jpg", "10.1/X ", "https://www.a.org/1"),
    (2, "Pneumonia/Viral/COVID-19", "AP Supine", "X-ray", "65", "b.jpg", "", "https://a.org/2/"),
    (5, "Pneumocystis", "AP", "X-ray", "12", "c.jpg", "", "https://c.org/"),
    (6, "No Finding", "PA", "X-ray", "", "d.jpg", "", ""),
    (7, "COVID-19", "L", "X-ray", "40", "lateral.jpg", "", ""),
    (8, "COVID-19", "Axial", "CT", "40", "slice.jpg", "", ""),
    (9, "todo", "PA", "X-ray", "40", "todo.jpg", "", ""),
    (10, "Pneumonia", "PA", "X-ray", "40", "unspecified.jpg", "", ""),
]


def pictures(folder, names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(cv2.imencode(".png", np.zeros((8, 8), np.uint8))[1])


@pytest.fixture
def cohen(tmp_path):
    pd.DataFrame(ROWS, columns=COHEN).to_csv(tmp_path / "metadata.csv", index=False)
    pictures(tmp_path, [f"images/{row[5]}" for row in ROWS])
    return cohort.read_covid_chestxray(tmp_path).set_index("file")


def test_frontal_radiographs_with_a_finding_that_settles_the_targets_are_kept(cohen):
    assert list(cohen.index) == ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]
    assert list(cohen["group"]) == ["covid", "covid", "other", "normal"]


def test_fungal_pneumonia_is_pneumonia_and_neither_viral_nor_bacterial(cohen):
    assert cohen.loc["c.jpg", list(TARGETS)].tolist() == [0, 1, 0, 0, 0]
    assert cohen.loc["a.jpg", list(TARGETS)].tolist() == [0, 1, 1, 0, 1]


def test_patient_publication_view_and_age_group_are_told_where_known(cohen):
    facts = cohen[["patient", *cohort.OPTIONAL]]
    assert facts.loc["a.jpg"].tolist() == ["cohen-2", "10.1/x", "PA", "adult"]
    assert facts.loc["b.jpg"].tolist() == ["cohen-2", "a.org/2", "AP", "adult"]
    assert facts.loc["c.jpg"].tolist() == ["cohen-5", "c.org", "AP", "child"]
    assert facts.loc["d.jpg"].tolist() == ["cohen-6", "", "PA", ""]


def test_what_is_left_out_is_counted_with_its_reason(cohen, tmp_path):
    metadata = pd.read_csv(tmp_path / "metadata.csv")
    metadata.loc[3, "finding"] = "Plague"
    metadata.to_csv(tmp_path / "metadata.csv", index=False)
    counts = cohort.count_findings(tmp_path).set_index("finding")
    assert counts.loc["COVID-19"].tolist() == ["covid", "", 2]
    assert counts.loc["Plague"].tolist() == ["", "not in our table", 1]
    assert counts.loc["todo"].tolist() == ["", "not labelled yet", 1]
    assert len(cohort.read_covid_chestxray(tmp_path)) == 3


def test_every_finding_has_one_meaning_and_those_left_out_a_reason():
    table = cohort.findings()
    assert table["finding"].is_unique
    assert set(table["group"]) <= {"normal", "virus", "bacteria", "covid", "other", ""}
    unnamed = table[(table["group"] == "") & (table["reason"] == "")]
    assert list(unnamed["finding"]) == ["Unknown"]


def test_what_shares_a_patient_or_a_publication_with_training_is_no_external_test(cohen):
    trained = pd.DataFrame({"patient": ["cohen-6"], "publication": ["c.org"]})
    cohen = cohen.reset_index()
    shared = cohort.shared(cohen, trained)
    assert list(cohen["file"][shared == ""]) == ["a.jpg", "b.jpg"]
    assert set(shared) == {"", "patient", "publication"}


def test_unknown_publications_do_not_count_as_shared(cohen):
    trained = pd.DataFrame({"patient": ["cohen-99"], "publication": [""]})
    assert (cohort.shared(cohen.reset_index(), trained) == "").all()


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the real radiographs in ../shared")
def test_the_real_collection_has_no_patient_of_coronahack():
    trained = cohort.read_coronahack(SHARED / "coronahack-224")
    collection = cohort.read_covid_chestxray(SHARED / "covid-chestxray-224")
    assert len(collection) == 442
    assert not set(collection["patient"]) & set(trained["patient"])
    assert cohort.shared(collection, trained).value_counts().to_dict() == {
        "": 433,
        "publication": 9,
    }
    counted = cohort.left_out(SHARED / "covid-chestxray-224")
    assert set(counted["reason"]) == {cohort.UNSETTLED}
    assert counted["radiographs"].sum() == 505 - 442


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the real radiographs in ../shared")
def test_no_patient_of_the_papers_radiographs_is_on_both_sides_of_a_split_by_patient():
    everything = cohort.read_coronahack(SHARED / "coronahack-224")
    split = cohort.split_by_patient(cohort.sample(everything, cohort.PAPER_COUNTS), 718)
    assert cohort.leakage(split)["with_patient_in_train"].sum() == 0
    counts = split.groupby(["group", "split"]).size().unstack()
    assert counts.loc["normal"].to_dict() == {"train": 896, "validation": 224, "test": 280}
    assert abs(counts.loc["covid", "test"] - 12) <= 1


def own(folder, **columns):
    names = columns["file"]
    pictures(folder, [name for name in names if not name.startswith("missing")])
    pd.DataFrame(columns).to_csv(folder / "mine.csv", index=False)
    return folder / "mine.csv"


def test_a_users_table_of_groups_becomes_a_cohort(tmp_path):
    read = cohort.read_folder(own(tmp_path, file=["x/a.png", "b.png"], group=["covid", "normal"]))
    assert set(cohort.COLUMNS) <= set(read)
    assert read[list(TARGETS)].to_numpy().tolist() == [[0, 1, 1, 0, 1], [1, 0, 0, 0, 0]]
    assert list(read["patient"]) == ["x/a.png", "b.png"]
    assert all(Path(path).is_file() for path in read["path"])
    assert set(read["source"]) == {"mine"}


def test_a_users_targets_give_the_group_and_an_unusual_answer_is_other(tmp_path):
    answers = dict(zip(TARGETS, zip([0, 1, 1, 0, 1], [0, 1, 1, 1, 0])))
    read = cohort.read_folder(own(tmp_path, file=["a.png", "b.png"], **answers))
    assert list(read["group"]) == ["covid", "other"]
    assert read["Bacteria"].tolist() == [0, 1]


def test_a_user_may_say_who_is_shown_and_how_it_is_split(tmp_path):
    said = {"patient": ["p", ""], "view": ["PA", ""], "split": ["train", "test"]}
    table = own(tmp_path, file=["a.png", "b.png"], group=["covid", "normal"], **said)
    read = cohort.read_folder(table)
    assert list(read["patient"]) == ["p", "b.png"]
    assert list(read["split"]) == ["train", "test"]
    assert list(read["view"]) == ["PA", ""]


def test_a_dicom_file_tells_its_view_itself(tmp_path):
    table = own(tmp_path, file=["a.png", "b.dcm", "c.dcm"], group=["covid", "normal", "virus"])
    for name, view in (("b.dcm", "PA"), ("c.dcm", "LL")):
        (tmp_path / name).write_bytes(dicom(np.zeros((9, 9), np.uint8), ViewPosition=view))
    assert list(cohort.read_folder(table)["view"]) == ["", "PA", ""]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"file": ["a.png"]}, "the column Normal is missing"),
        ({"name": ["a.png"], "file": ["a.png"], "group": ["flu"]}, "a.png: group 'flu' is none of"),
        ({"file": ["missing.png"], "group": ["covid"]}, "missing.png is not there"),
        ({"file": ["a.png", "a.png"], "group": ["covid", "covid"]}, "a.png is listed twice"),
        ({"file": ["a.png"], "group": ["covid"], "split": ["trian"]}, "split 'trian' is none of"),
        ({"file": ["a.png"], **{target: ["2"] for target in TARGETS}}, "'2' is none of 0, 1"),
    ],
)
def test_what_a_users_table_gets_wrong_is_said_with_file_and_choices(tmp_path, columns, message):
    with pytest.raises(InputError, match=message):
        cohort.read_folder(own(tmp_path, **columns))


def test_several_faults_of_a_table_are_counted(tmp_path):
    table = own(tmp_path, file=["missing1.png", "missing2.png"], group=["covid", "normal"])
    with pytest.raises(InputError, match=r"and 1 more"):
        cohort.read_folder(table)


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(InputError, match=r"no file .*mine\.csv"):
        cohort.read_folder(tmp_path / "mine.csv")


def test_a_profile_trains_on_a_users_own_split(tmp_path, project):
    names = [f"{i}.png" for i in range(12)]
    groups = ["normal", "virus", "bacteria", "covid"] * 3
    splits = [name for name in cohort.SPLITS for _ in range(4)]
    table = own(project, file=names, group=groups, split=splits)
    profile = profiles.Profile(cohort="folder", data=str(table), image_size=121)
    assert list(study.cohort(profile)["split"]) == splits


def test_zero_of_a_group_means_all_there_are(project):
    names = [f"{i}.png" for i in range(40)]
    table = own(project, file=names, group=["normal", "covid"] * 20, patient=range(40))
    settings = {"normal": 10, "virus": 0, "bacteria": 0, "covid": 0, "split": "by-patient"}
    profile = profiles.Profile(cohort="folder", data=str(table), **settings)
    assert study.cohort(profile)["group"].value_counts().to_dict() == {"covid": 20, "normal": 10}


def test_phantoms_cannot_be_all_there_are():
    with pytest.raises(InputError, match="normal is 0: at least 3"):
        profiles.Profile(normal=0)


def coronahack(folder, label="Normal"):
    names = ["X_ray_image_name", "Label", "Dataset_type"]
    causes = ["Label_2_Virus_category", "Label_1_Virus_category"]
    rows = [("a.jpeg", "Normal", "TRAIN", "", ""), ("b.jpeg", label, "TEST", "", "Virus")]
    pd.DataFrame(rows, columns=names + causes).to_csv(folder / "metadata.csv")
    pictures(folder, ["train/a.jpeg"])


def test_a_dataset_is_listed_as_it_is_right_or_wrong(tmp_path):
    coronahack(tmp_path, label="Pneumonia")
    rows = cohort.listed(tmp_path).set_index("file")
    assert Path(rows.loc["a.jpeg", "path"]).is_file()
    assert not Path(rows.loc["b.jpeg", "path"]).exists()
    assert list(rows["group"]) == ["normal", "Pneumonia"]


def test_a_folder_of_images_is_listed_without_labels(tmp_path):
    pictures(tmp_path, ["x/a.png", "b.png"])
    assert list(cohort.listed(tmp_path)["file"]) == ["b.png", "x/a.png"]
    with pytest.raises(InputError, match="no table below"):
        cohort.read(tmp_path)


def test_every_layout_is_recognised(tmp_path):
    names = ("hack", "cohen", "own")
    for name in names:
        (tmp_path / name).mkdir()
    coronahack(tmp_path / "hack", label="Pnemonia")
    pictures(tmp_path / "hack", ["test/b.jpeg"])
    pd.DataFrame(ROWS[:1], columns=COHEN).to_csv(tmp_path / "cohen" / "metadata.csv", index=False)
    pictures(tmp_path / "cohen", ["images/a.jpg"])
    own(tmp_path / "own", file=["a.png"], group=["covid"])
    groups = {
        name: list(cohort.read(tmp_path / name)["group"]) for name in ("hack", "cohen", "own")
    }
    assert groups == {"hack": ["normal", "virus"], "cohen": ["covid"], "own": ["covid"]}
    assert len(cohort.listed(tmp_path / "cohen")) == len(cohort.listed(tmp_path / "own")) == 1


@pytest.mark.parametrize("make", [lambda folder: None, lambda folder: folder.mkdir()])
def test_nothing_to_list_is_said(tmp_path, make):
    make(tmp_path / "data")
    with pytest.raises(InputError, match="point at your radiographs"):
        cohort.listed(tmp_path / "data")


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the real radiographs in ../shared")
def test_every_picture_that_two_patients_share_is_a_patient_known_under_two_names():
    coronahack = cohort.read_coronahack(SHARED / "coronahack-224")
    cohen = cohort.read_covid_chestxray(SHARED / "covid-chestxray-224")
    covid = coronahack[coronahack["group"] == "covid"]  # some of them are in both collections
    known = cohort.same_patients()
    for radiographs in (coronahack, pd.concat([covid, cohen], ignore_index=True)):
        pairs = duplicates.near_duplicates(*audit.facts_and_thumbnails(radiographs))
        names = [pairs[f"patient_{side}"].replace(known) for side in "ab"]
        assert (names[0] == names[1]).all(), pairs[names[0] != names[1]]
