"""A run folder that was damaged in hundreds of ways is read, or what is damaged is named."""

import io
import json
import random
import shutil
import zipfile

import numpy as np
import pandas as pd
import pytest

from cxrlib.errors import InputError
from cxrlib.heatmaps import attention
from cxrlib.pages import tables
from cxrlib.shortcuts import external
from cxrlib.study import elsewhere, keeping, packing, runs
from tests.conftest import make_run

ELSEWHERE = "external/mine"
TABLES = (
    "history", "predictions", "metrics", f"{ELSEWHERE}/predictions", f"{ELSEWHERE}/attention",
    f"{ELSEWHERE}/left-out", f"{ELSEWHERE}/findings",
)  # fmt: skip
VALUES = (
    None, True, -1, 1.5, float("nan"), float("inf"), 10**400, "", "x", "../x", "<img src=x>", [],
    {}, {"epochs": "3"}, [["deep"]], "a\nb",
)  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished run that was also tested elsewhere."""
    run = make_run(tmp_path_factory.mktemp("damage") / "runs" / "study-1")
    test = run.test_predictions
    shares = dict.fromkeys(("energy", "pointing", "area", "gaussian"), 0.5)
    placed = test[["file", "group", "patient"]].assign(target="COVID", region="lungs", **shares)
    counts = {"finding": list("abcdef"), "group": "", "reason": "todo", "radiographs": 5}
    counted = pd.DataFrame(counts)
    made = {"predictions": test.drop(columns=["split", "copy"]), "attention": placed}
    elsewhere.write(run.folder / ELSEWHERE, {**made, "left-out": counted, "findings": counted})
    return run.folder


def used(folder):
    """Reads all of a run as chapters and commands do, but for its network."""
    run = runs.load(folder)
    runs.check(run)
    shown = [tables.arms([run])]
    if run.finished:
        shown += [tables.overall([run]), tables.versions([run])]
        run.measure("accuracy")
        runs.join_histories([run])
    for table in shown:
        tables.Table(table, "c", "t")._repr_mimebundle_()


def _of_external(folder):
    run = runs.load(folder)
    tables.external([run])
    tables.called([run])


def _of_attention(folder):
    attention.summary(runs.load(folder).attention_elsewhere["mine"], ["target", "region"])


def _of_left_out(folder):
    external.counted(runs.load(folder).left_out("mine"))


def _of_findings(folder):
    tables.findings(runs.load(folder).findings("mine"))


USED = {
    f"{ELSEWHERE}/{name}": use
    for name, use in (
        ("predictions", _of_external), ("attention", _of_attention), ("left-out", _of_left_out),
        ("findings", _of_findings),
    )
}  # fmt: skip
"""What reads a table, where that is another function than `used`."""


def outcome(folder, read=used):
    """Returns how the reading of a folder ended: well, or in one line that names what is in it."""
    try:
        read(folder)
    except (InputError, OSError) as error:
        assert str(folder) in str(error), error
        assert len(str(error)) < 1000
        return "named"
    return "read"


def damaged(whole, tmp_path, name, content):
    """Returns a copy of a run in which one file has other content."""
    folder = tmp_path / whole.parents[1].name / "A" / whole.name
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(whole, folder)
    (folder / name).write_bytes(content)
    return folder


def cuts_and_rubbish(content, seed):
    """Yields what a disk makes of a file: pieces of it, other bytes in it, other bytes alone."""
    rng = random.Random(seed)
    yield from (b"", b"\n", b"\0" * 512, b"{}\n", b"a,b\n1,2\n", rng.randbytes(2000), b"\xff\xfe")
    yield from (content[: int(len(content) * share)] for share in (0.02, 0.3, 0.7, 0.99))
    yield content[:-1]
    yield content + rng.randbytes(40)
    yield b"\xef\xbb\xbf" + content
    for _ in range(12):
        at = rng.randrange(len(content))
        yield content[:at] + rng.randbytes(rng.choice((1, 1, 30))) + content[at + 1 :]
        yield content[:at] + content[at + rng.randrange(1, 40) :]


def spoilt(table):
    """Yields a table with a column, a row or a cell that is not what it must be."""
    yield table.head(0)
    yield table.head(1)
    yield table.iloc[::-1]
    yield pd.concat([table, table])
    for i, name in enumerate(table):
        yield table.drop(columns=name)
        yield table.rename(columns={name: name.upper() + "x"})
        other = table.columns[(i + 1) % len(table.columns)]
        yield table.rename(columns={name: other, other: name})
        for value in ("", "x", -1, 0.5, 7, np.inf, "9" * 5000):
            changed = table.astype(object)
            changed.loc[len(table) // 2, name] = value
            yield changed


@pytest.mark.slow
@pytest.mark.parametrize("name", TABLES)
def test_a_damaged_table_is_read_or_named(whole, tmp_path, name):
    path = whole / f"{name}.csv"
    told = list(cuts_and_rubbish(path.read_bytes(), name))
    table = pd.read_csv(path)
    told += [changed.to_csv(index=False).encode() for changed in spoilt(table)]
    told.append(table.to_csv(index=True).encode())
    read = USED.get(name, used)
    name = f"{name}.csv"
    ended = [outcome(damaged(whole, tmp_path, name, content), read) for content in told]
    assert len(ended) > 60
    assert ended.count("named") > len(ended) / 3
    assert ended.count("read") > 3


@pytest.mark.parametrize("name", [name for name in TABLES if name != "metrics"])
def test_a_table_that_was_cut_at_the_end_of_a_line_is_named(whole, tmp_path, name):
    lines = (whole / f"{name}.csv").read_bytes().splitlines(keepends=True)
    folder = damaged(whole, tmp_path, f"{name}.csv", b"".join(lines[:-1]))
    with pytest.raises(InputError, match=rf"{name}\.csv .* rows for .* of (run|counts)\.json"):
        runs.check(runs.load(folder))


@pytest.mark.parametrize("name", ["predictions", f"{ELSEWHERE}/predictions"])
def test_a_radiograph_that_is_in_a_table_twice_is_named(whole, tmp_path, name):
    lines = (whole / f"{name}.csv").read_bytes().splitlines(keepends=True)
    content = b"".join([*lines[:-1], lines[-2]])  # as many rows as there were
    folder = damaged(whole, tmp_path, f"{name}.csv", content)
    with pytest.raises(InputError, match=rf"{name}\.csv is damaged \(.* is in it twice\)"):
        runs.check(runs.load(folder))


def test_counts_that_were_damaged_are_named_or_read_as_they_were(whole, tmp_path):
    content = (whole / ELSEWHERE / "counts.json").read_bytes()
    ended = []
    for told in cuts_and_rubbish(content, "counts"):
        run = runs.load(damaged(whole, tmp_path, f"{ELSEWHERE}/counts.json", told))
        try:
            runs.check(run)
        except InputError as error:
            assert "counts.json" in str(error)
            ended.append("named")
        else:
            assert json.loads(told)["predictions"] == len(run.external["mine"])
            ended.append("read")
    assert ended.count("named") > len(ended) / 2


@pytest.mark.parametrize(
    ("name", "column", "value"),
    [
        ("predictions", "p_COVID", 1.5), ("predictions", "p_COVID", "nan"),
        ("predictions", "y_COVID", 2), ("predictions", "split", "tset"),
        (f"{ELSEWHERE}/predictions", "p_COVID", -0.1), (f"{ELSEWHERE}/attention", "energy", 40),
        (f"{ELSEWHERE}/left-out", "radiographs", 0.5), ("metrics", "metric", "acuracy"),
        ("metrics", "value", 80), ("history", "epoch", 7), ("history", "val_loss", "low"),
    ],
)  # fmt: skip
def test_a_wrong_cell_is_named_with_its_file(whole, tmp_path, name, column, value):
    table = pd.read_csv(whole / f"{name}.csv").astype(object)
    table.loc[1, column] = value
    folder = damaged(whole, tmp_path, f"{name}.csv", table.to_csv(index=False).encode())
    with pytest.raises(InputError, match=rf"{name}\.csv is damaged .*delete it and run again"):
        used(folder)


def test_a_file_or_patient_called_na_is_no_missing_cell(whole, tmp_path):
    table = pd.read_csv(whole / "predictions.csv").astype({"file": str, "patient": str})
    table.loc[3, ["file", "patient"]] = "NA"
    folder = damaged(whole, tmp_path, "predictions.csv", table.to_csv(index=False).encode())
    assert runs.load(folder).predictions.loc[3, "file"] == "NA"


def test_patients_1_and_01_are_two(whole, tmp_path):
    table = pd.read_csv(whole / "predictions.csv", dtype={"patient": str})
    table.loc[table["patient"] == "1", "patient"] = "01"
    table.loc[table["patient"] == "2", "patient"] = "1"
    folder = damaged(whole, tmp_path, "predictions.csv", table.to_csv(index=False).encode())
    assert runs.load(folder).predictions["patient"].tolist() == table["patient"].tolist()


@pytest.mark.slow
def test_damaged_facts_are_read_or_named(whole, tmp_path):
    facts = json.loads((whole / "run.json").read_text())
    told = list(cuts_and_rubbish((whole / "run.json").read_bytes(), "facts"))
    told += [b"[" * 9**5, b'{"a":' * 9**5, b"null", b"[]", b'"x"', b"1" * 5000, b" " * 2**21]
    for fact in [*facts, "image_size", "treatment", "cover", "profile", "reason"]:
        told.append(json.dumps({k: v for k, v in facts.items() if k != fact}).encode())
        for value in VALUES:
            told.append(json.dumps({**facts, fact: value}).encode())
    ended = [outcome(damaged(whole, tmp_path, "run.json", content)) for content in told]
    assert len(ended) > 300
    assert ended.count("named") > len(ended) / 2


def npy(array, **how):
    buffer = io.BytesIO()
    np.save(buffer, array, **how)
    return buffer.getvalue()


def test_damaged_heatmaps_are_read_or_named(whole, tmp_path):
    right = np.load(whole / "heatmaps.npy")
    content = (whole / "heatmaps.npy").read_bytes()
    other = [right[:5], right[:, :8], right[0], right[..., None], right[:0], np.array([], np.uint8)]
    other += [right.astype(kind) for kind in (np.float32, bool, np.int64, "S3")]
    wrong = [npy(array) for array in other] + [npy(right.astype(object), allow_pickle=True)]
    wrong += [content.replace(b"(20,", b"(99,"), content.replace(b"(20,", b"(-1,")]
    wrong += [content.replace(b"'shape'", b"'shape(")]
    for told in wrong:
        assert outcome(damaged(whole, tmp_path, "heatmaps.npy", told)) == "named"
    for told in cuts_and_rubbish(content, "heatmaps"):
        outcome(damaged(whole, tmp_path, "heatmaps.npy", told))


@pytest.fixture
def packed(whole, project):
    """The same run in a study's folder, and packed."""
    folder = project / "runs" / "study-1" / "A" / whole.name
    shutil.copytree(whole, folder)
    packing.pack(folder, project / "run.zip")
    return folder, project / "run.zip"


def rewritten(path, change):
    """Packs a zip anew, each member as a function of its name and content says."""
    with zipfile.ZipFile(path) as old:
        told = [(name, old.read(name)) for name in old.namelist()]
    with zipfile.ZipFile(path, "w") as new:
        for name, content in change(told):
            new.writestr(name, content)


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda told: [*told, ("/".join("a" * 40), b"")], "folders in folders"),
        (lambda told: [*told, ("../evil", b"")], "not to be trusted"),
        (lambda told: [*told, ("notes.txt", b"")], "'notes.txt', which is of no run"),
        (lambda told: [(n, b"x" if "history" in n else c) for n, c in told], "history.csv is dam"),
        (lambda told: [(n.replace("/A/", "/B/"), c) for n, c in told], "holds A efficient-none by"),
        (lambda told: [(n, b"{}" if "run.json" in n else c) for n, c in told], "lacks experiment"),
    ],
)
def test_a_packed_run_that_is_none_is_named_and_leaves_what_was_there(packed, change, message):
    folder, file = packed
    (folder / "run.json").write_text((folder / "run.json").read_text() + "\n")
    rewritten(file, change)
    before = contents(folder)
    with pytest.raises(InputError, match=message):
        packing.unpack(file)
    assert contents(folder) == before
    assert not list(folder.parents[1].rglob(".*.unpacked"))


def test_a_zip_with_a_password_an_unknown_method_or_a_bomb_in_it_is_named(packed):
    folder, file = packed
    shutil.rmtree(folder)
    content = file.read_bytes()
    central = content.index(b"PK\x01\x02")

    def patched(offset, width, value):
        at = central + offset
        return content[:at] + value.to_bytes(width, "little") + content[at + width :]

    for told, message in [
        (patched(8, 2, 1), "is encrypted"),
        (patched(10, 2, 97), "compressed by method 97, unknown here"),
        (patched(24, 4, 2**32 - 2), "is damaged"),
    ]:
        file.write_bytes(told)
        with pytest.raises(InputError, match=rf"run\.zip is damaged .*{message}|{message}"):
            packing.unpack(file)
        assert not folder.exists()


def test_a_damaged_packed_run_is_unpacked_whole_or_not_at_all(packed):
    folder, file = packed
    shutil.rmtree(folder)
    for told in cuts_and_rubbish(file.read_bytes(), "zip"):
        file.write_bytes(told)
        try:
            used(packing.unpack(file))
            shutil.rmtree(folder)
        except InputError as error:
            assert "run.zip" in str(error) or str(folder.name) in str(error)
            assert not folder.exists()
        assert not list(file.parent.rglob(".*.unpacked"))


def test_a_disk_that_fills_while_unpacking_leaves_nothing(packed, monkeypatch):
    folder, file = packed
    shutil.rmtree(folder)

    def full(self, place):
        place.mkdir()
        (place / "half").write_bytes(bytes(1000))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "extractall", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*/A/efficient-none'"):
        packing.unpack(file)
    left = [path.name for path in folder.parent.iterdir()]
    assert left == [f".{folder.name}.lock"]


@pytest.mark.parametrize("name", ["B/efficient-none", "A/other"])
def test_a_run_in_a_folder_of_another_name_is_not_kept(whole, tmp_path, name):
    folder = tmp_path / name
    shutil.copytree(whole, folder)
    with pytest.raises(InputError, match="holds A efficient-none by its run.json: put it back"):
        keeping.keep([runs.load(folder)], tmp_path / "kept")
    assert not (tmp_path / "kept").exists()


def test_the_best_arm_of_b_is_kept_under_the_name_of_what_it_was(tmp_path):
    run = make_run(tmp_path, "resnet50", "none", experiment="B")
    folder = run.folder.rename(run.folder.with_name("resnet50-best"))
    (kept,) = keeping.keep([runs.load(folder)], tmp_path / "kept")
    assert kept.name == "resnet50-none"
