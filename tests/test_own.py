"""A user's table is read by one rule a column, whoever wrote it, and what changed is said."""

import re
import subprocess
import sys
import unicodedata
import warnings
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cxrlib import cohort, columns, files, study, targets
from cxrlib.cohort import audit, folders, tables
from cxrlib.errors import InputError, InputWarning
from cxrlib.study import profiles
from cxrlib.targets import GROUPS, TARGETS
from tests.test_cohort import COLUMNS as CORONAHACK
from tests.test_collections import COHEN
from tests.test_decode import dicom

FAULTS = Path(__file__).parents[1].parent / "shared" / "faults" / "tables"
PNG = cv2.imencode(".png", np.arange(64, dtype=np.uint8).reshape(8, 8))[1].tobytes()
GREY = cv2.imencode(".png", np.full((8, 8), 7, np.uint8))[1].tobytes()


def put(folder, *names, content=PNG):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def listing(folder, text, encoding="utf-8", name="mine.csv"):
    """Writes a table and the images a.png to d.png beside it."""
    put(folder, *(f"{letter}.png" for letter in "abcd"))
    (folder / name).write_bytes(text.encode(encoding))
    return folder / name


def read(table):
    """Reads a table; gives the cohort and what was said of it."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", InputWarning)
        return cohort.read_folder(table), " ".join(str(each.message) for each in said)


# Text

ROWS = "file,group\na.png,normal\nb.png,covid\n"


@pytest.mark.parametrize("separator", [",", ";", "\t", "|", ", ", " ; "])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("line", ["\n", "\r\n", "\r"])
def test_a_table_is_read_however_it_was_saved(tmp_path, separator, encoding, line):
    text = ROWS.replace(",", separator).replace("\n", line)
    made, _ = read(listing(tmp_path, text, encoding))
    assert list(made["file"]) == ["a.png", "b.png"]
    assert list(made["group"]) == ["normal", "covid"]


def test_a_latin_1_table_is_read_and_its_encoding_said(tmp_path):
    table = listing(tmp_path, "file,group,patient\na.png,normal,Jürgen\n", "latin-1")
    made, said = read(table)
    assert list(made["patient"]) == ["Jürgen"]
    assert "not UTF-8: read as Latin-1" in said


def test_excels_own_first_line_names_the_separator(tmp_path):
    made, _ = read(listing(tmp_path, "sep=;\r\nfile;group\r\na.png;normal\r\nb.png;covid\r\n"))
    assert list(made["group"]) == ["normal", "covid"]


@pytest.mark.parametrize(
    ("start", "what"),
    [
        (b"PK\x03\x04", "an Excel or OpenDocument file"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "an Excel file"),
        (b"\x1f\x8b\x08", "compressed with gzip"),
        (b"<!DOCTYPE html>", "a page of HTML"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        (PNG, "is an image"),
        (b"", "is empty"),
        (b"a\0b\0\0", "is no text"),
    ],
)
def test_what_is_no_table_is_called_by_its_name(tmp_path, start, what):
    (tmp_path / "mine.csv").write_bytes(start)
    with pytest.raises(InputError, match=what) as caught:
        cohort.read_folder(tmp_path / "mine.csv")
    assert "\n" not in str(caught.value)


def test_rows_in_which_nothing_stands_are_left_out_and_counted(tmp_path):
    made, said = read(listing(tmp_path, ROWS + ",\n , \n\n"))
    assert len(made) == 2
    assert "2 rows: empty, left out" in said


@pytest.mark.parametrize("text", ["file,group\n", "file,group\n,\n,\n"])
def test_a_table_that_lists_nothing_says_so(tmp_path, text):
    with pytest.raises(InputError, match="lists no radiographs"):
        cohort.read_folder(listing(tmp_path, text))
    with pytest.raises(InputError, match="lists no radiographs"):
        cohort.listed(tmp_path)


def test_a_row_with_more_cells_than_columns_is_never_shifted(tmp_path):
    made, _ = read(listing(tmp_path, "file,group\na.png,normal,\nb.png,covid,,\n"))
    assert list(made["file"]) == ["a.png", "b.png"]
    with pytest.raises(InputError, match="line 3: 3 cells for 2 columns"):
        cohort.read_folder(listing(tmp_path, "file,group\na.png,normal\nb,x.png,covid\n"))


def test_two_columns_of_one_name_are_refused(tmp_path):
    with pytest.raises(InputError, match="two columns file"):
        cohort.read_folder(listing(tmp_path, "file,File,group\na.png,b.png,normal\n"))


def test_an_open_quote_is_told_with_its_line(tmp_path):
    with pytest.raises(InputError, match="line .* is not CSV"):
        cohort.read_folder(listing(tmp_path, 'file,group\n"a.png,normal\n'))


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.binary(max_size=200) | st.text(alphabet='file,group;\t|"\r\n a.png\ufeff', max_size=80))
def test_any_bytes_are_a_table_or_one_line(tmp_path, content):
    content = content.encode() if isinstance(content, str) else content
    (tmp_path / "mine.csv").write_bytes(content)
    try:
        cohort.read_folder(tmp_path / "mine.csv")
    except InputError as error:
        assert "mine.csv" in str(error)
        assert "\n" not in str(error)


MEMORY = """
import resource, sys
from cxrlib.cohort import tables
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    print(len(tables.read(sys.argv[1], ("file", "group"))[0]))
except ValueError as error:
    print(error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("\n", "^1$"),
        ("im/00000001.png,normal,PA,adult,and what else there is to say of it\n", r"^4\d{5}$"),
        ("a\n", "has more than 500,000 rows: part it"),
        ("\U0001f600" * 20 + "\n", r"^3\d{5}$"),
        ("im/1.png," + "," * 90_000 + "\n", r"^3\d\d$"),
    ],
)
def test_no_table_takes_more_than_512_megabytes(tmp_path, line, said):
    size = int(tables.MEGABYTES * 1e6) - 200
    content = "file,group,c,d,e\na.png,normal\n" + line * (size // len(line.encode()))
    (tmp_path / "mine.csv").write_text(content, encoding="utf-8")
    code = [sys.executable, "-c", MEMORY, str(tmp_path / "mine.csv")]
    outcome = subprocess.run(code, capture_output=True, text=True, check=True)
    told, taken = outcome.stdout.splitlines()
    assert re.search(said, told) and float(taken) < 512


def test_a_table_that_is_too_large_is_told_with_its_mend(tmp_path):
    table = listing(tmp_path, ROWS + "\n" * int(tables.MEGABYTES * 1e6))
    with pytest.raises(InputError, match=r"mine\.csv has more than 30 MB: .* part it"):
        cohort.read_folder(table)


def test_empty_rows_count_for_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "ROWS", 2)
    made, said = read(listing(tmp_path, "\n,\n" + ROWS.replace("b.png", "\n,\nb.png") + ",\n" * 9))
    assert list(made["file"]) == ["a.png", "b.png"]
    assert "10 rows: empty, left out" in said


# Cells


@pytest.mark.parametrize(
    ("column", "written", "is_read_as"),
    [
        ("group", "COVID ", "covid"),
        ("view", "AP Supine", "AP"),
        ("view", "pa", "PA"),
        ("view", "AP portable", "AP"),
        ("view", "LATERAL", "LATERAL"),
        ("view", "unknown", ""),
        ("age_group", "Adult", "adult"),
        ("age_group", "17", "child"),
        ("age_group", "045Y", "adult"),
        ("patient", "  P  7 ", "P 7"),
        ("patient", "7.0", "7"),
        ("patient", "\ufeffP7\u200b", "P7"),
        ("publication", "nan", ""),
    ],
)
def test_a_cell_is_read_as_it_is_meant(tmp_path, column, written, is_read_as):
    cells = {"file": "a.png", "group": "normal", column: written}
    text = ",".join(cells) + "\n" + ",".join(cells.values()) + "\n"
    made, said = read(listing(tmp_path, text))
    assert made[column][0] == is_read_as
    assert (column in said) == (written != is_read_as)


@pytest.mark.parametrize("unknown", ["", "NA", "nan", "N/A", "None", "null", "-", "unknown", " "])
def test_radiographs_of_unknown_patients_are_not_of_one_patient(tmp_path, unknown):
    text = f"file,group,patient\na.png,normal,{unknown}\nb.png,covid,{unknown}\nc.png,virus,P1\n"
    made, _ = read(listing(tmp_path, text))
    assert list(made["patient"]) == ["a.png", "b.png", "P1"]


SPELLINGS = ["P0", "P0 ", " p0", "P0\u00a0", "Ｐ0", "P\u200b0"]


@given(st.lists(st.sampled_from(SPELLINGS), min_size=2, max_size=8))
def test_a_patient_in_several_spellings_is_one(written):
    rule = tables.identifiers()
    assert len({rule(name) for name in written}) == 1


ALIKE = [
    ("001", "1"), ("'7", "7"), ("P-01", "P\u201301"), ("P-01", "p1"), ("P 1", "P1"),
    ("O'Neil", "ONeil"), ("P\u22121", "P_01"), ("7\u2019", "7"), ("2020-01-05", "2020 1 5"),
]  # fmt: skip


@pytest.mark.parametrize("column", ["patient", "publication"])
@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_names_that_might_be_one_are_kept_apart_and_said(tmp_path, column, one, other):
    text = f"file;group;{column}\na.png;normal;{one}\nb.png;covid;{other}\nc.png;virus;X9\n"
    table = listing(tmp_path, text)
    made, said = read(table)
    assert list(made[column]) == [one, other, "X9"]
    assert f"2 rows: {column} {one!r} and {other!r} are kept apart: write them alike" in said
    assert "are kept apart" in cohort.changes(table)["now"].iloc[-1]


@pytest.mark.parametrize(
    ("one", "other"), [("1-11", "11-1"), ("10", "1"), ("1.05", "1.5"), ("P0", "P"), ("0", "00a")]
)
def test_names_that_differ_otherwise_are_two_without_a_word(tmp_path, one, other):
    text = f"file;group;patient\na.png;normal;{one}\nb.png;covid;{other}\n"
    assert "kept apart" not in read(listing(tmp_path, text))[1]


@given(st.text())
def test_cleaning_twice_is_cleaning_once(text):
    assert tables.clean(tables.clean(text)) == tables.clean(text)
    assert tables.fact(tables.fact(text)) == tables.fact(text)


@pytest.mark.parametrize("one", ["1", "1.0", "1,0", "1.", "true", "TRUE", "Yes", "y"])
@pytest.mark.parametrize("none", ["0", "0.0", "false", "no", "N", "0.00"])
def test_yes_and_no_are_read_however_they_are_written(tmp_path, one, none):
    answers = ";".join([none, one, one, none, one])
    text = f"file;{';'.join(TARGETS)}\na.png;{answers}\n"
    made, _ = read(listing(tmp_path, text))
    assert list(made["group"]) == ["covid"]


def test_capitals_of_a_header_play_no_part(tmp_path):
    made, _ = read(listing(tmp_path, "FILE, Group ,SPLIT\na.png,normal,Val\n"))
    assert made[["group", "split"]].to_numpy().tolist() == [["normal", "validation"]]


HEADERS = {
    "patient_id": "patient", "Patient ID": "patient", "pateint": "patient", "subject": "patient",
    "set": "split", "splits": "split", "label": "group", "Gruop": "group", "viral": "Virus",
    "age": "age_group", "agegroup": "age_group", "COVID-19": "COVID", "ViewPosition": "view",
}  # fmt: skip


@pytest.mark.parametrize(("written", "meant"), HEADERS.items())
def test_a_column_that_is_not_read_is_said_with_what_it_may_be_meant_for(tmp_path, written, meant):
    rest = {"file": "a.png"} | dict(zip(TARGETS, GROUPS["normal"]))
    cells = {name: cell for name, cell in rest.items() if name != meant} | {written: "x"}
    text = ",".join(cells) + "\n" + ",".join(map(str, cells.values())) + "\n"
    table, told = (
        listing(tmp_path, text),
        f"the column {written!r} is not read: did you mean {meant}?",
    )
    found = cohort.changes(table)
    assert told in " ".join(found["was"] + " " + found["now"])
    with pytest.warns(InputWarning, match=re.escape(told)):
        try:
            cohort.read_folder(table)
        except InputError as error:  # said before what is wrong for want of it
            assert meant in TARGETS and f"the column {meant} is missing" in str(error)


def test_columns_that_mean_nothing_here_are_said_at_once_and_without_a_guess(tmp_path):
    names = ("sex", "patient_sex", "Unnamed: 0", "remark", "")
    text = f"file,group,patient,patient_id,{','.join(names)}\na.png,normal,1,1,m,m,0,?,9\n"
    made, said = read(listing(tmp_path, text))
    assert list(made["patient"]) == ["1"]
    unread = "the columns 'patient_id', 'sex', 'patient_sex', 'Unnamed: 0', 'remark' are not read"
    assert unread in said and "did you mean" not in said
    assert (
        "the column 'sex' is not read"
        in read(listing(tmp_path, "file,group,sex\na.png,normal,f"))[1]
    )


def test_a_table_whose_file_names_stand_under_another_header_says_which(tmp_path):
    with pytest.raises(
        InputError, match="lacks the column file: .*'filename' is not read: did you"
    ):
        cohort.read_folder(listing(tmp_path, "filename,group\na.png,normal\n"))


def test_columns_of_a_collection_that_are_not_read_are_passed_over(tmp_path):
    metadata(tmp_path, "cohen")
    table = pd.read_csv(tmp_path / "meta.csv").assign(survival="Y", patient_id=1)
    table.to_csv(tmp_path / "meta.csv", index=False)
    assert cohort.changes(tmp_path).empty


# Files


def test_a_file_in_two_spellings_is_one_and_that_is_said(tmp_path):
    text = "file,group\na.png,normal\n./a.png,normal\nx/../a.png,normal\nb.png,covid\n"
    made, said = read(listing(tmp_path, text))
    assert list(made["file"]) == ["a.png", "b.png"]
    assert "2 rows: file './a.png' is listed before: left out" in said


def test_whole_and_relative_paths_of_a_file_are_one(tmp_path):
    made, _ = read(listing(tmp_path, f"file,group\na.png,normal\n{tmp_path / 'a.png'},normal\n"))
    assert list(made["file"]) == ["a.png"]


def test_a_link_to_a_listed_file_is_that_file(tmp_path):
    table = listing(tmp_path, "file,group\na.png,normal\nln.png,normal\nb.png,covid\n")
    (tmp_path / "ln.png").symlink_to("a.png")
    made, said = read(table)
    assert list(made["file"]) == ["a.png", "b.png"]
    assert "1 row: file 'ln.png' is the file 'a.png'" in said
    table.write_text("file,group,patient\nln.png,normal,P1\na.png,normal,P2\n")
    with pytest.raises(InputError, match="ln.png is listed twice"):
        cohort.read_folder(table)


def test_a_link_to_a_file_that_is_not_listed_is_a_file(tmp_path):
    table = listing(tmp_path, "file,group\nln.png,normal\nb.png,covid\n")
    (tmp_path / "ln.png").symlink_to("a.png")
    made, said = read(table)
    assert (list(made["file"]), said) == (["ln.png", "b.png"], "")


def test_a_file_in_two_spellings_with_two_labels_is_refused(tmp_path):
    table = listing(tmp_path, "file,group\na.png,normal\n./a.png,covid\n")
    with pytest.raises(InputError, match="a.png is listed twice"):
        cohort.read_folder(table)


@pytest.mark.parametrize(
    ("on_disk", "written"),
    [
        ("x/A.PNG", "X\\a.png"),
        ("x/a.png", "  x//./a.png "),
        (unicodedata.normalize("NFD", "Röntgen.png"), unicodedata.normalize("NFC", "Röntgen.png")),
        (unicodedata.normalize("NFC", "Röntgen.png"), unicodedata.normalize("NFD", "röntgen.png")),
        ("R\udcf6ntgen.png", "Röntgen.png"),  # a name in Latin-1, as old archives have
        ("a  b.png", "a  b.png"),
        (" a.png", " a.png"),
    ],
)
def test_a_file_is_found_however_its_name_is_spelt(tmp_path, on_disk, written):
    put(tmp_path, on_disk)
    (tmp_path / "mine.csv").write_text(f'file,group\n"{written}",normal\n', encoding="utf-8")
    made, _ = read(tmp_path / "mine.csv")
    assert Path(made["path"][0]).read_bytes() == PNG
    assert made.drop(columns="path").to_csv().encode()  # any writer takes the name


LATIN = "Sch\udcf6n"
"""The bytes of a name in Latin-1, as Python has them."""


def latin_profile(folder, n=12):
    """A study's profile of radiographs whose names are in Latin-1."""
    names = [f"Ärzte/{LATIN}{i}.png" for i in range(n)]
    for i, name in enumerate(names):
        put(folder, name, content=cv2.imencode(".png", np.full((9, 9), 20 * i, np.uint8))[1])
    table = pd.DataFrame({"file": [f"Ärzte/Schön{i}.png" for i in range(n)]})
    table = table.assign(group=["normal", "covid"] * (n // 2))
    table.to_csv(folder / "mine.csv", index=False)
    fast = {"image_size": 121, "epochs": 1, "norm_images": 0, "arms": ("efficient",)}
    return profiles.Profile(cohort="folder", data=str(folder / "mine.csv"), **fast)


@pytest.mark.filterwarnings("ignore::cxrlib.errors.InputWarning")
def test_names_that_are_not_utf_8_are_text_in_all_that_a_study_writes(project):
    profile = latin_profile(project)
    made = study.cohort(profile)
    facts = ["file", "patient"]
    assert set(made["file"]) == {f"Ärzte/Schön{i}.png" for i in range(12)}
    files.write_csv(made[facts], project / "kept.csv")
    kept = columns.read(project / "kept.csv", dict.fromkeys(facts, columns.text))
    assert kept.to_numpy().tolist() == made[facts].to_numpy().tolist()
    copied = profile.experiment("B")
    pixels = study.pixels(profile, copied)
    assert len(pixels) == len(study.radiographs(profile, copied)) > 12
    assert study.fingerprint(profile, copied)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::cxrlib.errors.InputWarning")
def test_a_study_of_names_that_are_not_utf_8_comes_to_its_end(project):
    profile = latin_profile(project)
    experiment = profile.experiment("A")
    run = study.train(profile, experiment, experiment.arms[0])
    asked = study.cohort(profile).query("split != 'train'")
    assert run.finished and set(run.predictions["file"]) == set(asked["file"])


def test_a_source_that_is_called_after_a_table_is_text_too(tmp_path):
    assert list(read(listing(tmp_path, ROWS, name=f"{LATIN}.csv"))[0]["source"]) == ["Schön"] * 2


def test_names_in_two_encodings_that_read_alike_are_never_one(tmp_path):
    put(tmp_path, f"{LATIN}.png", "SCHÖN.png")
    (tmp_path / "mine.csv").write_text("file,group\nSchön.png,normal\n", encoding="utf-8")
    with pytest.raises(InputError, match="Schön.png is not there"):
        cohort.read_folder(tmp_path / "mine.csv")


def test_a_file_that_two_spellings_fit_is_not_guessed(tmp_path):
    put(tmp_path, "A.png", "a.PNG")
    (tmp_path / "mine.csv").write_text("file,group\na.png,normal\n")
    with pytest.raises(InputError, match="a.png is not there"):
        cohort.read_folder(tmp_path / "mine.csv")


@pytest.mark.parametrize("name", ["NA", "nan", "", "x" * 5000])
def test_a_row_without_a_file_is_told(tmp_path, name):
    table = listing(tmp_path, f"file,group\n{name},normal\na.png,covid\n")
    with pytest.raises(InputError, match="names no file|is not there"):
        cohort.read_folder(table)
    assert len(
        audit.problems(cohort.listed(table)).query("problem != 'is of one grey all over or nearly'")
    )


# Labels

ANSWERS = st.tuples(*[st.integers(0, 1)] * 5)


@given(ANSWERS)
def test_answers_are_legal_or_contradict_each_other(answers):
    normal, pneumonia, virus, bacteria, covid = answers
    legal = covid <= virus and max(virus, bacteria) <= pneumonia and not (normal and pneumonia)
    assert (targets.contradiction(answers) == "") == legal
    for group, own_answers in GROUPS.items():
        assert (targets.contradiction(answers, group) == "") == (answers == own_answers)
    described = answers in GROUPS.values()
    assert (targets.contradiction(answers, "other") == "") == (legal and not described)


LEGAL = {
    "pneumonia without a known cause": (0, 1, 0, 0, 0),
    "COVID with a bacterial pneumonia": (0, 1, 1, 1, 1),
    "two causes": (0, 1, 1, 1, 0),
    "none of the five": (0, 0, 0, 0, 0),
}


@pytest.mark.parametrize("answers", LEGAL.values(), ids=LEGAL)
def test_any_legal_answers_are_trained_on(tmp_path, answers):
    rows = [("a.png", *GROUPS["normal"]), ("b.png", *answers)]
    pd.DataFrame(rows, columns=["file", *TARGETS]).to_csv(listing(tmp_path, ""), index=False)
    made, _ = read(tmp_path / "mine.csv")
    assert made[list(TARGETS)].to_numpy().tolist() == [list(row[1:]) for row in rows]
    assert list(made["group"]) == ["normal", "other"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f"file,{','.join(TARGETS)}\na.png,1,1,1,0,1\n", "Normal with COVID"),
        (f"file,{','.join(TARGETS)}\na.png,0,1,0,0,1\n", "COVID without Virus"),
        (f"file,group,{','.join(TARGETS)}\na.png,normal,0,1,1,0,1\n", "group normal with"),
        ("file,group,Bacteria\na.png,covid,1\n", "group covid with"),
        *(
            (
                f"file,group,{','.join(TARGETS)}\na.png,Other,{','.join(map(str, answers))}\n",
                f"group other with the targets of {group}",
            )
            for group, answers in GROUPS.items()
        ),
    ],
)
def test_labels_that_contradict_each_other_are_a_problem_and_refused(tmp_path, text, problem):
    table = listing(tmp_path, text)
    assert audit.problems(cohort.listed(table))["problem"].str.startswith(problem).any()
    with pytest.raises(InputError, match=f"a.png: {problem}"):
        cohort.read_folder(table)


def test_a_group_and_the_targets_may_both_be_given_where_they_agree(tmp_path):
    text = f"file,group,{','.join(TARGETS)}\na.png,covid,0,1,1,0,1\nb.png,,0,1,0,0,0\n"
    made, _ = read(listing(tmp_path, text + "c.png,normal,,,,,\nd.png,other,0,0,0,0,0\n"))
    assert list(made["group"]) == ["covid", "other", "normal", "other"]


# Empty parts


def profile_of(folder, **columns):
    """A study's profile of radiographs in a folder; each is a patient of its own."""
    n = len(columns["group"])
    names = [f"{i:02d}.png" for i in range(n)]
    put(folder, *names)
    pd.DataFrame({"file": names, **columns}).to_csv(folder / "mine.csv", index=False)
    return profiles.Profile(cohort="folder", data=str(folder / "mine.csv"), image_size=121)


@pytest.fixture(autouse=True)
def fresh():
    study.cohort.cache_clear()
    study.everything.cache_clear()


def test_a_minimal_profile_takes_all_radiographs_of_a_folder(project):
    groups = ["normal"] * 12 + ["covid"] * 200
    with pytest.warns(InputWarning, match="no training radiograph has Bacteria"):
        made = study.cohort(profile_of(project, group=groups))
    assert made["group"].value_counts().to_dict() == {"covid": 200, "normal": 12}


def test_a_number_that_would_mean_all_is_not_taken_for_one_in_silence(project):
    (project / "mine.yml").write_text("cohort: folder\ndata: mine.csv\nnormal: 180\n")
    with pytest.warns(InputWarning, match="normal 180 is the default, which .* means all"):
        assert profiles.read(project / "mine.yml").normal == 0


def test_radiographs_of_no_group_are_trained_on_too(project):
    table = [GROUPS["normal"]] * 6 + [(0, 1, 0, 0, 0)] * 6 + [GROUPS["covid"]] * 6
    columns = {name: [row[i] for row in table] for i, name in enumerate(TARGETS)}
    profile = profile_of(project, group=[""] * 18, **columns)
    with pytest.warns(InputWarning, match="no training radiograph has Bacteria"):
        made = study.cohort(profile)
    assert made["group"].value_counts().to_dict() == {"normal": 6, "other": 6, "covid": 6}


def test_two_radiographs_of_no_group_are_trained_on_and_stop_nothing(project):
    table = [GROUPS["normal"]] * 6 + [(0, 1, 0, 0, 0)] * 2 + [GROUPS["covid"]] * 6
    columns = {name: [row[i] for row in table] for i, name in enumerate(TARGETS)}
    profile = profile_of(project, group=[""] * 14, patient=list(range(14)), **columns)
    for way in ({}, {"split": "by-patient"}, {"split": "by-patient", "folds": 2}):
        with pytest.warns(InputWarning):
            made = study.cohort(profiles.dataclasses.replace(profile, **way))
        assert (made["group"] == "other").sum() == 2


BY_PATIENT = ({"split": "by-patient"}, {"split": "by-patient", "folds": 2})


@pytest.mark.parametrize("way", BY_PATIENT)
@pytest.mark.parametrize("named", [{}, {"patient": ["", "NA"] * 6}, {"patient_id": ["p"] * 12}])
def test_a_split_by_patient_of_radiographs_that_name_none_is_said_to_be_by_image(
    project, named, way
):
    profile = profile_of(project, group=["normal", "covid"] * 6, **named)
    with pytest.warns(InputWarning):  # no Bacteria
        assert len(study.cohort(profile)) == 12  # by image it is as it was
    with pytest.warns(InputWarning, match="12 of 12 radiographs name .* is one by image"):
        study.cohort(profiles.dataclasses.replace(profile, **way))


@pytest.mark.parametrize("way", BY_PATIENT)
def test_radiographs_that_name_no_patient_beside_others_are_counted(project, way):
    patients = [*map(str, range(9)), "", "", ""]
    profile = profile_of(project, group=["normal", "covid"] * 6, patient=patients)
    with pytest.warns(InputWarning, match="3 of 12 radiographs name neither .* each counts as"):
        assert len(study.cohort(profiles.dataclasses.replace(profile, **way))) == 12


def test_publications_can_stand_for_patients_and_a_given_split_needs_neither(project):
    way, groups = {"split": "by-patient"}, ["normal", "covid"] * 6
    for named in (
        {"publication": [f"10/{i}" for i in range(12)]},
        {"split": ["train"] * 6 + ["validation"] * 2 + ["test"] * 4},
    ):
        profile = profiles.dataclasses.replace(profile_of(project, group=groups, **named), **way)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            made = study.cohort(profile)
        assert len(made) == 12 and "patient" not in " ".join(str(s.message) for s in said)
        study.cohort.cache_clear()
        study.everything.cache_clear()


def test_one_group_alone_is_refused_before_anything_is_trained(project):
    with pytest.raises(InputError, match="same targets .normal.: a study needs two groups"):
        study.cohort(profile_of(project, group=["normal"] * 9))
    found = audit.wanting(cohort.listed(project / "mine.csv"))
    assert "all radiographs are normal" in set(found["problem"])


def test_validation_patients_are_taken_from_training_and_that_is_said(project):
    groups, patients = ["normal", "covid"] * 12, [f"p{i // 4 * 2 + i % 2}" for i in range(24)]
    profile = profile_of(
        project, group=groups, split=["train"] * 20 + ["test"] * 4, patient=patients
    )
    with pytest.warns(InputWarning, match="no radiograph has split validation: .* are taken"):
        made = study.cohort(profile)
    assert made["split"].value_counts().to_dict() == {"train": 16, "validation": 4, "test": 4}
    assert list(made["file"]) == [f"{i:02d}.png" for i in range(24)]
    assert (made.groupby("patient")["split"].nunique() == 1).all()


@pytest.mark.parametrize("lacking", ["train", "test"])
def test_a_split_without_training_or_test_is_refused(project, lacking):
    splits = [name for name in cohort.SPLITS if name != lacking] * 6
    with pytest.raises(InputError, match=f"no radiograph has split {lacking}"):
        study.cohort(profile_of(project, group=["normal", "covid"] * 6, split=splits))
    found = audit.wanting(cohort.listed(project / "mine.csv"))
    assert f"no split {lacking}" in set(found["problem"])


def test_a_group_that_no_test_radiograph_has_is_named(project):
    splits = ["train", "train", "validation", "validation", "test", "train"] * 3
    groups = ["normal", "covid", "normal", "covid", "normal", "covid"] * 3
    with pytest.warns(InputWarning, match="no test radiograph has Pneumonia or Virus or COVID"):
        study.cohort(profile_of(project, group=groups, split=splits))


@pytest.mark.filterwarnings("ignore::cxrlib.errors.InputWarning")
def test_a_table_that_was_mended_is_read_again_while_a_notebook_is_open(project):
    profile = profile_of(project, group=["normal", "covid"] * 6)
    experiment = profile.experiment("A")
    before, printed = study.cohort(profile), study.fingerprint(profile, experiment)
    assert study.cohort(profile) is before and study.everything(profile) is study.everything(
        profile
    )
    table = project / "mine.csv"
    table.write_text(table.read_text().replace("00.png,normal", "00.png,virus"))
    assert "virus" in set(study.everything(profile)["group"])
    table.write_text(table.read_text().replace("00.png,virus", "00.png,covid"))
    again = study.cohort(profile).set_index("file")["group"]
    assert again["00.png"] == "covid" and again.value_counts().to_dict() == {
        "covid": 7,
        "normal": 5,
    }
    assert study.fingerprint(profile, experiment) != printed


def test_a_table_that_is_gone_or_wrong_by_now_is_not_answered_from_memory(project):
    profile = profile_of(project, group=["normal", "covid"] * 6)
    with pytest.warns(InputWarning):
        study.cohort(profile)
    table = project / "mine.csv"
    table.write_text(table.read_text().replace("00.png,normal", "00.png,normall"))
    with pytest.raises(InputError, match="'normall' is none of"):
        study.cohort(profile)
    table.unlink()
    with pytest.raises(InputError, match="no file .*mine.csv"):
        study.cohort(profile)


# Folders


def test_images_are_found_by_their_content(tmp_path):
    picture = np.zeros((9, 9), np.uint8)
    film = dicom(picture)
    put(tmp_path, "CR0001", "x/film.dicom", content=film)
    put(tmp_path, "bare", content=film[132:])  # DICOM without its preamble
    put(tmp_path, "no ending", "picture.png")
    for ending in ("tif", "jp2", "webp", "bmp", "pgm", "jpg"):
        content = cv2.imencode(f".{ending}", np.zeros((64, 64), np.uint8))[1].tobytes()
        put(tmp_path, f"{ending} inside", content=content)
    put(tmp_path, "broken.png", content=b"<html>")
    put(tmp_path, "notes.txt", "P1,BM.csv", "BMI.txt", content=b"BMI,age\n1,2\n")
    put(tmp_path, "sound.wav", content=b"RIFF\0\0\0\0WAVEfmt ")
    found = {str(path.relative_to(tmp_path)) for path in folders.images(tmp_path)}
    assert found == {
        "CR0001", "x/film.dicom", "bare", "no ending", "picture.png", "broken.png", "tif inside",
        "jp2 inside", "webp inside", "bmp inside", "pgm inside", "jpg inside",
    }  # fmt: skip


def test_what_systems_leave_in_a_folder_is_left_out(tmp_path):
    put(tmp_path, "a.png")
    put(tmp_path, "__MACOSX/._a.png", "._a.png", ".DS_Store", "Thumbs.db", ".git/b.png", "DICOMDIR")
    assert list(cohort.listed(tmp_path)["file"]) == ["a.png"]


def test_a_cohort_in_formats_that_are_decoded_apart_has_no_problems(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (130, 140), np.uint8)
    for i, ending in enumerate(("tif", "jp2", "webp", "pgm")):
        picture = np.roll(noise, 40 * i)
        put(tmp_path, f"{i}.png", content=cv2.imencode(f".{ending}", picture)[1].tobytes())
    (tmp_path / "mine.csv").write_text(
        "file,group\n" + "".join(f"{i}.png,{group}\n" for i, group in enumerate(GROUPS))
    )
    found = audit.facts(cohort.listed(tmp_path))
    assert audit.problems(found).empty
    assert list(found["format"]) == ["TIFF", "JPEG2000", "WEBP", "PPM"]
    assert set(found["width"]) == {140}


def metadata(folder, layout):
    """Writes a collection of two radiographs and what else has their names."""
    if layout == "coronahack":
        rows = [("x0.png", "Normal", "TRAIN", "", ""), ("x1.png", "Normal", "TEST", "", "")]
        pd.DataFrame(rows, columns=CORONAHACK).to_csv(folder / "meta.csv")
    else:
        rows = [(i, "COVID-19", "PA", "X-ray", 40, f"x{i}.png", "", "") for i in range(2)]
        pd.DataFrame(rows, columns=COHEN).to_csv(folder / "meta.csv", index=False)
    put(folder, "images/x0.png", "images/x1.png")


@pytest.mark.parametrize("elsewhere", ["masks/x0.png", "a/x0.png", "z/deep/x0.png", "x0.png"])
def test_of_two_pictures_of_one_name_none_is_taken_in_silence(tmp_path, elsewhere):
    metadata(tmp_path, "coronahack")
    put(tmp_path, elsewhere, content=GREY)
    with pytest.raises(InputError, match="x0.png and .*x0.png are different pictures") as caught:
        cohort.read_coronahack(tmp_path)
    assert elsewhere in str(caught.value) and "images/x0.png" in str(caught.value)
    found = audit.problems(cohort.listed(tmp_path))
    assert found["problem"].str.contains("are different pictures").sum() == 1


@pytest.mark.parametrize("elsewhere", ["masks/x0.png", "a/x0.png", "lung_masks/X0.png"])
def test_the_folder_that_metadata_name_is_believed(tmp_path, elsewhere):
    metadata(tmp_path, "cohen")
    put(tmp_path, elsewhere, content=GREY)
    made = cohort.read_covid_chestxray(tmp_path)
    assert [Path(path).read_bytes() for path in made["path"]] == [PNG, PNG]
    (tmp_path / "images" / "x0.png").unlink()
    with pytest.raises(InputError, match="x0.png is the first"):  # and never its mask
        cohort.read_covid_chestxray(tmp_path)


def test_copies_of_one_picture_are_no_doubt(tmp_path):
    metadata(tmp_path, "coronahack")
    put(tmp_path, "again/x0.png")
    assert len(cohort.read_coronahack(tmp_path)) == 2


def test_two_tables_that_list_radiographs_are_refused_by_name(tmp_path):
    listing(tmp_path, ROWS)
    (tmp_path / "old.csv").write_text(ROWS)
    assert len(cohort.read(tmp_path)) == 2  # a copy
    (tmp_path / "old.csv").write_text("file,group\na.png,covid\n")
    with pytest.raises(InputError, match="mine.csv and .*old.csv both list radiographs"):
        cohort.read(tmp_path)


def test_cohens_unknown_patients_are_not_one_and_numbers_stay_numbers(tmp_path):
    metadata(tmp_path, "cohen")
    table = pd.read_csv(tmp_path / "meta.csv").assign(patientid=[2, None])
    table.to_csv(tmp_path / "meta.csv", index=False)  # as 2.0
    with pytest.warns(InputWarning, match="patientid '2.0' is read as '2'"):
        made = cohort.read_covid_chestxray(tmp_path)
    assert list(made["patient"]) == ["cohen-2", "cohen-x1.png"]


def test_a_label_that_nobody_has_heard_of_is_said_to_be_left_out(tmp_path):
    metadata(tmp_path, "coronahack")
    put(tmp_path, "images/x2.png")
    table = pd.read_csv(tmp_path / "meta.csv", index_col=0)
    row = pd.DataFrame([("x2.png", "Pnemonia", "TEST", "MERS", "Virus")], columns=CORONAHACK)
    table = pd.concat([table, row], ignore_index=True)
    table.to_csv(tmp_path / "meta.csv")
    with pytest.warns(InputWarning, match="'Pnemonia/Virus/MERS' left out"):
        assert len(cohort.read_coronahack(tmp_path)) == 2


@pytest.mark.slow
@pytest.mark.skipif(not FAULTS.is_dir(), reason="needs the faulty folders in ../shared")
@pytest.mark.parametrize(
    "name", [path.name for path in FAULTS.iterdir()] if FAULTS.is_dir() else ["none"]
)
def test_each_faulty_folder_is_read_rightly_or_refused_in_a_line(name):
    place = FAULTS / name
    refused = {
        "coronahack-two-same-names": "masks/train", "macosx-no-table": "no table below",
        "vindr": "no table below",
    }  # fmt: skip
    if name in refused:
        with pytest.raises(InputError, match=refused[name]):
            cohort.read(place)
        assert "missing" not in set(audit.problems(cohort.listed(place))["problem"])
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)
        made = cohort.read(place)
    assert audit.problems(cohort.listed(place)).empty
    assert len(made) == {
        "cohen-masks-same-names": 8, "cohen-webp-named-png": 8, "tiff-cohort": 8,
        "nfd-on-disk": 25,
    }.get(name, 24)  # fmt: skip
    assert not any("lung_masks" in path for path in made["path"])
    assert name != "patient-spaces" or made["patient"].nunique() == 12
