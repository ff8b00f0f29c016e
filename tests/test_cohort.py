"""CoronaHack as Kaggle ships it becomes a cohort, and the paper's split comes out of it exactly."""

import hashlib
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxrlib import cohort
from cxrlib.errors import InputError
from cxrlib.targets import GROUPS

SHARED = Path(__file__).parents[1].parent / "shared"
needs_radiographs = pytest.mark.skipif(
    not (SHARED / "data/coronahack-224").is_dir(), reason="needs the real radiographs in ../shared"
)
DIGEST = "a1998ec15b48dbdd"
"""Of the paper's split, row by row."""
COVID = "1-s2.0-S0140673620303706-fx1_lrg.jpg"
ROWS = [
    ("IM-0128-0001.jpeg", "Normal", "TRAIN", "", ""),
    ("NORMAL2-IM-1168-0001.jpeg", "Normal", "TEST", "", ""),
    ("person12_virus_1.jpeg", "Pnemonia", "TRAIN", "", "Virus"),
    ("person12_bacteria_7.jpeg", "Pnemonia", "TRAIN", "", "bacteria"),
    ("person3_bacteria_9.jpeg", "Pnemonia", "TRAIN", "Streptococcus", "bacteria"),
    ("smoke.jpeg", "Pnemonia", "TRAIN", "ARDS", "Stress-Smoking"),
    (COVID, "Pnemonia", "TRAIN", "COVID-19", "Virus"),
    (cohort.LATERAL[0], "Pnemonia", "TRAIN", "COVID-19", "Virus"),
]
COLUMNS = [
    "X_ray_image_name",
    "Label",
    "Dataset_type",
    "Label_2_Virus_category",
    "Label_1_Virus_category",
]


@pytest.fixture
def coronahack(tmp_path):
    """A tiny dataset in Kaggle's layout; the lateral view's file is missing, as in ours."""
    pd.DataFrame(ROWS, columns=COLUMNS).replace("", None).to_csv(
        tmp_path / "Chest_xray_Corona_Metadata.csv"
    )
    for name, _, part, *_ in ROWS[:-1]:
        folder = tmp_path / "Coronahack" / "Coronahack" / part.lower()
        folder.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / name), np.full((8, 8), 99, np.uint8))
    return tmp_path


def test_what_the_paper_drops_is_dropped_and_the_rest_is_a_cohort(coronahack):
    read = cohort.read_coronahack(coronahack)
    assert tuple(read.columns) == cohort.COLUMNS
    assert dict(zip(read["file"], read["group"])) == {
        "IM-0128-0001.jpeg": "normal",
        "NORMAL2-IM-1168-0001.jpeg": "normal",
        "person12_virus_1.jpeg": "virus",
        "person12_bacteria_7.jpeg": "bacteria",
        COVID: "covid",
    }
    assert all(Path(path).is_file() for path in read["path"])


def test_a_person_number_counts_within_its_class(coronahack):
    patients = cohort.read_coronahack(coronahack).set_index("file")["patient"]
    assert patients["person12_virus_1.jpeg"] != patients["person12_bacteria_7.jpeg"]
    assert patients[COVID] == "cohen-11"


def test_a_flattened_folder_reads_the_same(coronahack):
    before = cohort.read_coronahack(coronahack).drop(columns="path")
    for path in list(coronahack.rglob("*.jp*g")):
        path.rename(coronahack / path.name)
    pd.testing.assert_frame_equal(cohort.read_coronahack(coronahack).drop(columns="path"), before)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.drop(columns="Label"), "lacks the column Label"),
        (lambda table: table.replace({"Label": {"Normal": "Healthy"}}), "unknown Label 'Healthy'"),
    ],
)
def test_metadata_that_is_not_coronahacks_is_refused_by_name(coronahack, change, message):
    file = coronahack / "Chest_xray_Corona_Metadata.csv"
    change(pd.read_csv(file)).to_csv(file, index=False)
    with pytest.raises(InputError, match=message):
        cohort.read_coronahack(coronahack)


def test_missing_images_are_counted_and_the_first_is_named(coronahack):
    next(coronahack.rglob("person12_virus_1.jpeg")).unlink()
    with pytest.raises(InputError, match=r"1 images .*person12_virus_1\.jpeg"):
        cohort.read_coronahack(coronahack)


def test_a_missing_folder_says_what_to_point_where(tmp_path):
    with pytest.raises(InputError, match="no folder .*CoronaHack"):
        cohort.read_coronahack(tmp_path / "nowhere")


def as_read(folder, names):
    """Order of normal training radiographs of these names after reading."""
    rows = [(name, "Normal", "TRAIN", "", "") for name in names]
    pd.DataFrame(rows, columns=COLUMNS).to_csv(folder / "Chest_xray_Corona_Metadata.csv")
    for name in names:
        cv2.imwrite(str(folder / name), np.full((8, 8), 99, np.uint8))
    return cohort.read_coronahack(folder)["file"].tolist()


def test_names_sort_as_the_papers_spreadsheet_sorts_them(tmp_path):
    names = ["person10_b.jpeg", "person1_v.jpeg", "IM-02.jpeg", "im-01.jpeg", "b'a.jpg"]
    assert as_read(tmp_path, names) == [
        "b'a.jpg", "im-01.jpeg", "IM-02.jpeg", "person1_v.jpeg", "person10_b.jpeg",
    ]  # fmt: skip


def table(**counts):
    groups = [group for group, n in counts.items() for _ in range(n)]
    files = [f"{i}.png" for i in range(len(groups))]
    return pd.DataFrame({"file": files, "group": groups, "patient": files})


def test_each_group_is_split_in_the_papers_proportions():
    split = cohort.split_by_image(table(normal=100, covid=58))
    counts = split.groupby(["group", "split"]).size()
    assert counts["normal"].to_dict() == {"train": 64, "validation": 16, "test": 20}
    assert counts["covid"].to_dict() == {"train": 36, "validation": 10, "test": 12}
    assert split["file"].is_unique


def test_asking_for_more_than_there_is_names_the_group():
    with pytest.raises(InputError, match="5 covid radiographs asked for, 4 there"):
        cohort.sample(table(covid=4), {"covid": 5})


def test_leakage_counts_test_radiographs_whose_patient_is_in_training():
    split = pd.DataFrame(
        {
            "group": ["covid"] * 4,
            "patient": ["a", "a", "b", "c"],
            "split": ["train", "test", "test", "validation"],
        }
    )
    assert cohort.leakage(split).to_dict("records") == [
        {"group": "covid", "test_images": 2, "with_patient_in_train": 1}
    ]


@needs_radiographs
def test_the_papers_split_comes_out_row_by_row():
    split = cohort.paper_split(cohort.read_coronahack(SHARED / "data/coronahack-224"))
    printed = pd.read_csv(SHARED / "paper/paper_split.csv").replace({"val": "validation"})
    assert list(split["file"]) == list(printed["file"])
    assert list(split["group"]) == list(printed["cls"])
    assert list(split["split"]) == list(printed["split"])
    rows = split[["file", "group", "split"]].to_csv(index=False)
    assert hashlib.sha256(rows.encode()).hexdigest()[:16] == DIGEST


@needs_radiographs
def test_the_papers_split_leaks_as_counted():
    split = cohort.paper_split(cohort.read_coronahack(SHARED / "data/coronahack-224"))
    counts = cohort.leakage(split).set_index("group")["with_patient_in_train"]
    assert counts.to_dict() == {"normal": 27, "virus": 20, "bacteria": 44, "covid": 5}


def test_sars_joins_covid_and_an_image_ending_in_capitals_is_found(coronahack):
    sars = "SARS-10.1148rg.242035193-g04mr34g09c-Fig9c-day27.jpeg"
    file = coronahack / "Chest_xray_Corona_Metadata.csv"
    rows = [*ROWS, (sars, "Pnemonia", "TEST", "SARS", "Virus"), ("x.JPG", "Normal", "TEST", "", "")]
    pd.DataFrame(rows, columns=COLUMNS).replace("", None).to_csv(file)
    for name in (sars, "x.JPG"):
        cv2.imwrite(str(coronahack / name), np.full((8, 8), 99, np.uint8))
    read = cohort.read_coronahack(coronahack).set_index("file")
    assert read.loc[sars, ["group", "source", "COVID"]].tolist() == ["covid", "cohen", 1]
    assert read.loc["x.JPG", "group"] == "normal"


def test_training_rows_come_sorted_and_before_test_rows_as_they_stand(tmp_path):
    names = [("b.jpeg", "TEST"), ("c.jpeg", "TRAIN"), ("a.jpeg", "TEST"), ("B-2.jpeg", "TRAIN")]
    rows = [(name, "Normal", part, None, None) for name, part in names]
    pd.DataFrame(rows, columns=COLUMNS).to_csv(tmp_path / "meta.csv")
    for name, _ in names:
        cv2.imwrite(str(tmp_path / name), np.full((8, 8), 99, np.uint8))
    read = cohort.read_coronahack(tmp_path)
    assert list(read["file"]) == ["B-2.jpeg", "c.jpeg", "b.jpeg", "a.jpeg"]


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ("IM0100.jpeg", "IM-0200.jpeg"),
        ("ba.jpeg", "b'z.jpeg"),
        ("person1_z.jpeg", "person1a.jpeg"),
        ("person1_z.jpeg", "person12_a.jpeg"),
        ("a.jpeg", "B.jpeg"),
    ],
)
def test_hyphens_apostrophes_and_case_do_not_count_and_an_underscore_comes_first(
    tmp_path, first, then
):
    for names in ([first, then], [then, first]):
        assert as_read(tmp_path, names) == [first, then]


def test_a_folder_without_metadata_says_which_file_is_missing(tmp_path):
    with pytest.raises(InputError, match=r"no metadata file .*Chest_xray_Corona_Metadata\.csv"):
        cohort.read_coronahack(tmp_path)


def test_a_group_too_small_to_split_is_named():
    with pytest.raises(InputError, match="2 virus radiographs cannot be split .*raise `virus`"):
        cohort.split_by_image(table(normal=3, virus=2))


@settings(max_examples=30, deadline=None)
@given(counts=st.lists(st.integers(3, 40), min_size=1, max_size=4))
def test_a_split_loses_and_doubles_nothing_and_leaves_no_group_without_a_part(counts):
    whole = table(**dict(zip(GROUPS, counts)))
    split = cohort.split_by_image(whole)
    assert sorted(split["file"]) == sorted(whole["file"])
    parts = split.groupby("group")["split"].agg(set)
    assert all(part == set(cohort.SPLITS) for part in parts)
    pd.testing.assert_frame_equal(split, cohort.split_by_image(whole))


def test_a_group_taken_whole_keeps_its_order_and_a_sample_is_always_the_same():
    whole = table(normal=20, covid=4)
    drawn = cohort.sample(whole, {"normal": 5, "covid": 4})
    assert list(drawn["file"][5:]) == ["20.png", "21.png", "22.png", "23.png"]
    assert drawn["file"].is_unique
    pd.testing.assert_frame_equal(drawn, cohort.sample(whole, {"normal": 5, "covid": 4}))


def write(folder, rows):
    pd.DataFrame(rows, columns=COLUMNS).to_csv(folder / "metadata.csv", index=False)
    for name, *_ in rows:
        cv2.imwrite(str(folder / name), np.zeros((8, 8), np.uint8))


def test_a_covid_image_that_we_know_nothing_of_is_its_own_patient(tmp_path):
    write(tmp_path, [("new.jpg", "Pnemonia", "TRAIN", "COVID-19", "Virus")])
    assert cohort.read_coronahack(tmp_path)["patient"].tolist() == ["cohen-new.jpg"]


@pytest.mark.parametrize("junk", [b"", b"caf\xe9\n"])
def test_other_csv_files_beside_the_images_do_not_matter(tmp_path, junk):
    write(tmp_path, [("a.jpeg", "Normal", "TRAIN", None, None)])
    (tmp_path / "a.csv").write_bytes(junk)
    assert len(cohort.read_coronahack(tmp_path)) == 1
