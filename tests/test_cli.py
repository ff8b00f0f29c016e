"""The command starts fast and says in one line what is wrong and what mends it."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

import cxrlib
from cxrlib.study import profiles
from tests.conftest import cxr, make_run

CXR = Path(sys.executable).with_name("cxr")
PROFILES = Path(__file__).parents[1] / "profiles"
GREY = np.tile(np.arange(0, 192, 3, dtype=np.uint8), (64, 1))
COVID = [
    "01E392EE-69F9-4E33-BFCE-E5C968654078.jpeg",
    "1-s2.0-S0140673620303706-fx1_lrg.jpg",
    "1-s2.0-S0929664620300449-gr2_lrg-a.jpg",
    "1-s2.0-S0929664620300449-gr2_lrg-b.jpg",
    "1-s2.0-S0929664620300449-gr2_lrg-c.jpg",
]


@pytest.fixture
def project(project):
    """A study folder with the shipped profiles."""
    shutil.copytree(PROFILES, project / "profiles")
    return project


@pytest.fixture
def refused(monkeypatch, capsys):
    """Runs cxr in this process, checks that it fails in one line, and returns that line."""

    def run(*arguments):
        status = cxr(monkeypatch, *arguments)
        said = capsys.readouterr().err
        assert status == 2, said
        assert len(said.strip().splitlines()) == 1, said
        return said

    return run


def profile(project, **changed):
    lines = {"name": "odd", **changed}
    text = "\n".join(f"{name}: {value}" for name, value in lines.items())
    (project / "profiles" / "odd.yml").write_text(text)
    return ("--profile", "profiles/odd.yml")


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
@pytest.mark.parametrize(("arguments", "status"), [("--version", 0), ("show nowhere", 2)])
def test_a_closed_output_is_no_fault(closed, arguments, status, tmp_path):
    command = f"{sys.executable} -c 'from cxrlib import cli; cli.main()' {arguments} {closed}"
    ended = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert ended.returncode == status, ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr


def test_help_needs_no_tensorflow():
    code = (
        "import sys, cxrlib.cli\n"
        "assert not {'tensorflow', 'keras', 'pandas', 'snakemake'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert subprocess.run([CXR, "--help"], capture_output=True).returncode == 0


def test_unknown_names_are_refused_with_the_choices(project, refused):
    assert "expected one of A, B, C" in refused("train", "Z", "efficient")
    assert "has no arm 'eficient'" in refused("train", "A", "eficient")
    assert "no profile" in refused("study", "--profile", "profiles/quik.yml")
    assert "did you mean 'epochs'" in refused("study", *profile(project, epoch=3))
    assert "slum: cluster/ has two that are ready" in refused("study", "--on", "slum")
    assert "no notebook '07'" in refused("notebook", "07", "out.ipynb")
    missing = refused("train", "A", "densenet121-imagenet", "--weights", "none.h5")
    assert "no weights file none.h5" in missing


def test_a_missing_data_folder_says_what_goes_where(project, refused):
    odd = profile(project, cohort="coronahack", data="data/kaggle", arms="[efficient]")
    line = refused("train", "A", "efficient", *odd)
    assert "data/kaggle" in line
    assert "CoronaHack" in line


def hear_ctrl_c():
    """Listens to Ctrl-C, which children of a job in the background, as tests may be, do not."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.slow
def test_ctrl_c_says_that_what_is_finished_is_kept(project):
    (project / "Snakefile").write_text("rule arms:\n    shell: 'touch begun && sleep 30'\n")
    process = subprocess.Popen(
        [CXR, "study", "--no-book"], cwd=project, start_new_session=True, text=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, preexec_fn=hear_ctrl_c,
    )  # fmt: skip
    while not (project / "begun").exists():
        assert process.poll() is None
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert said.splitlines()[-1].startswith("cxr: stopped; what is finished is kept")
    assert "Traceback" not in said


def test_a_dry_run_says_in_its_own_words_what_would_be_trained_and_runs_nothing(
    project, monkeypatch, capsys
):
    options = profile(project, image_size=121, arms="[efficient]")
    assert not cxr(monkeypatch, "study", *options, "--dry-run", "--no-book")
    first, *arms = capsys.readouterr().out.splitlines()
    assert re.fullmatch(
        r"Study odd in runs/odd-image-size-121-\w{8}: 4 of 4 arms are left to train", first
    )
    assert arms[:3] == [f"  {name} efficient  no run yet" for name in "ABC"]
    (project / "notebooks").mkdir()
    (project / "notebooks" / "02-experiment-a.md").touch()
    assert not cxr(monkeypatch, "study", *options, "--dry-run")
    first, *arms, page = capsys.readouterr().out.splitlines()
    assert "1 of 1 arms" in first and len(arms) == 1
    assert page == f"The book will be {project}/_build/odd/_build/html/index.html"
    assert not list((project / "runs").glob("*"))


@pytest.mark.parametrize("cores", ["0", "-1", "many", "1.5"])
def test_cores_are_a_number_or_all(project, refused, cores):
    assert f"--cores {cores}: a number from 1, or all" in refused("study", f"--cores={cores}")


JOB = "rule arms:\n    shell: 'echo {said} >&2; exit {status}'\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("snakefile", "said"),
    [
        (JOB.format(said="A efficient  epoch 1/2", status=0), ["A efficient epoch 1/2"]),
        (JOB.format(said="cxr: no data here", status=2), ["cxr: no data here", "cxr: the study"]),
        ("rule arms:\n    input: 'lost.zip'\n", ["lost.zip", "cxr: the study"]),
        ("1 / 0\n", ["ZeroDivisionError", "cxr: the study"]),
    ],
    ids=["well", "a job fails", "nothing makes it", "no program"],
)
def test_of_snakemake_nothing_is_heard_but_what_no_job_says(project, snakefile, said):
    (project / "Snakefile").write_text(snakefile)
    options = profile(project, image_size=121, arms="[efficient]")
    command = [CXR, "study", "--no-book", *options]
    outcome = subprocess.run(command, cwd=project, capture_output=True, text=True)
    assert outcome.returncode == (2 if "cxr: the study" in said else 0)
    for words in said:
        assert words in outcome.stderr
    if "epoch" in snakefile or "no data" in snakefile:
        assert len(outcome.stderr.splitlines()) == len(said), outcome.stderr
    assert outcome.stdout.startswith("Study odd in runs/odd-")
    assert not re.search("DAG|Snakemake|job", outcome.stdout)


SNAKEFILE = """
from pathlib import Path
Path("read").write_text(Path(config["profile"]).read_text())
rule arms:
"""


@pytest.mark.slow
def test_a_profile_is_found_from_a_subfolder_and_with_a_space_in_its_name(project):
    (project / "Snakefile").write_text(SNAKEFILE)
    mine = project / "profiles" / "my own.yml"
    mine.write_text("name: own\n")
    command = [CXR, "study", "--no-book", "--profile", "my own.yml"]
    subprocess.run(command, cwd=mine.parent, check=True, capture_output=True)
    assert (project / "read").read_text() == "name: own\n"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["x=y {x}.yml", "[1] é, ü.yml"])
def test_a_profile_may_have_an_odd_name(project, name):
    (project / "Snakefile").write_text(SNAKEFILE)
    (project / name).write_text("name: own\n")
    command = [CXR, "study", "--no-book", "--profile", name]
    subprocess.run(command, cwd=project, check=True, capture_output=True)
    assert (project / "read").read_text() == "name: own\n"


@pytest.mark.parametrize("name", ["a: b.yml", "1", "'q'", "- a.yml", "a.yml #b", "[1]"])
def test_a_profiles_name_that_is_yaml_is_refused(project, refused, name):
    (project / name).write_text("name: own\n")
    assert "takes this name for YAML: rename" in refused("study", "--profile", name)


@pytest.mark.slow
def test_without_a_home_to_write_to_a_study_says_so_in_one_line(project):
    home = {**os.environ, "HOME": "/proc/nowhere"}
    home = {name: value for name, value in home.items() if not name.startswith("XDG_")}
    command = [CXR, "study", "--no-book"]
    outcome = subprocess.run(command, cwd=project, capture_output=True, text=True, env=home)
    assert outcome.returncode == 2
    assert outcome.stderr.count("\n") == 1
    assert "cannot be written (No such file or directory): set HOME to a folder" in outcome.stderr


@pytest.mark.slow
def test_a_name_commands_no_terminal_and_begins_no_line_of_its_own(project):
    name = "\x1b[2J\rcxr: all is well\n\u202etxt.png"
    make_run(project)
    run = ("--run", "A/efficient-none")
    for arguments in (("explain", name, *run), ("data", "check", name), ("unpack", name)):
        outcome = subprocess.run([CXR, *arguments], cwd=project, capture_output=True)
        said = (outcome.stdout + outcome.stderr).decode()
        assert outcome.returncode in (1, 2)
        assert said.removesuffix("\n").isprintable(), said
        assert said.startswith("cxr: ")


@pytest.mark.slow
def test_what_a_terminal_cannot_show_is_escaped_and_no_error(project):
    made = make_run(project / "runs" / "s")
    (project / "runs" / "s").rename(project / "runs" / "\u80ba")
    place = project / "runs" / "\u80ba" / "A" / made.folder.name
    subprocess.run([CXR, "pack", place, "run.zip"], cwd=project, check=True)
    shutil.rmtree(place)
    latin = {**os.environ, "PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"}
    command = [CXR, "unpack", "run.zip"]
    outcome = subprocess.run(command, cwd=project, capture_output=True, env=latin, check=True)
    assert b"\\u80ba" in outcome.stdout


def test_outside_the_study_the_command_says_where_to_go(tmp_path, monkeypatch, refused):
    monkeypatch.chdir(tmp_path)
    assert "not inside the study's folder" in refused("train", "A", "efficient")
    assert "not inside the study's folder" in refused("predict", "radiograph.png")


def test_bad_input_ends_a_process_in_one_line_and_status_2(project):
    outcome = subprocess.run(
        [CXR, "train", "Z", "efficient"], cwd=project, capture_output=True, text=True
    )
    assert (outcome.returncode, outcome.stdout) == (2, "")
    assert outcome.stderr.startswith("cxr: ") and outcome.stderr.count("\n") == 1


def test_predicting_without_the_released_network_says_how_to_have_it_back(project, refused):
    line = refused("predict", "radiograph.png")
    assert "run.json is not there: `git checkout results/coronahack-224/C/efficient`" in line
    assert "no run in nowhere" in refused("explain", "radiograph.png", "--run", "nowhere")


@pytest.mark.parametrize(
    "command", [["pair"], ["study"], ["notebook", "chapter", "out.ipynb"]], ids=lambda c: c[0]
)
def test_a_chapter_of_which_both_halves_were_edited_stops_a_command_before_it_runs(
    project, refused, chapter, command
):
    text, notebook = chapter
    text.write_text(text.read_text() + "\nMore.\n")
    notebook.write_text(notebook.read_text().replace("What it asks", "What it wants"))
    before = text.read_bytes(), notebook.read_bytes()
    line = refused(*command)
    assert "notebooks/chapter.ipynb and its .md were both edited, the .md lacks cell 1" in line
    assert (text.read_bytes(), notebook.read_bytes()) == before
    assert not (project / "out.ipynb").exists()


@pytest.mark.parametrize(
    "name", ["study", "train", "predict", "explain", "notebook", "keep", "pair"]
)
def test_every_command_explains_itself(name):
    outcome = subprocess.run([CXR, name, "--help"], capture_output=True, text=True)
    assert outcome.returncode == 0
    assert "Usage" in outcome.stdout


def test_an_arm_of_another_experiment_is_refused_with_those_there_are(project, refused):
    line = refused("train", "B", "densenet121-imagenet")
    assert "densenet121-best" in line


def test_keep_copies_the_numbers_of_every_seed_and_nothing_else(project):
    options = profile(project, image_size=121, more_seeds=[719])
    for trial in profiles.read(project / "profiles" / "odd.yml").trials:
        make_run(project / "runs" / trial.folder_name)
    outcome = subprocess.run(
        [CXR, "keep", *options], cwd=project, capture_output=True, text=True, check=True
    )
    kept = project / "results" / "odd"
    folders = [str(path.relative_to(kept)) for path in kept.rglob("efficient-none")]
    assert sorted(folders) == ["A/efficient-none", "seed-719/A/efficient-none"]
    assert len(outcome.stdout.splitlines()) == 2
    names = {path.name for path in kept.rglob("*") if path.is_file()}
    assert names == {"run.json", "history.csv", "predictions.csv", "metrics.csv"}


@pytest.mark.slow
def test_a_name_that_no_terminal_can_print_is_printed_all_the_same(project):
    folder = project / "old"
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (130, 130), np.uint8)
    (folder / os.fsdecode(b"R\xf6ntgen.png")).write_bytes(b"no image")
    (folder / "fine.png").write_bytes(cv2.imencode(".png", noise)[1].tobytes())
    for locale in ("C.UTF-8", "C"):
        outcome = subprocess.run(
            [CXR, "data", "check", folder], cwd=project, capture_output=True,
            env={**os.environ, "LC_ALL": locale, "PYTHONIOENCODING": "utf-8:strict"},
        )  # fmt: skip
        assert outcome.returncode == 2
        assert b"R\\udcf6ntgen.png is not an image" in b" ".join(outcome.stdout.split())
        assert b"Traceback" not in outcome.stderr


@pytest.mark.slow
def test_data_check_says_what_is_there_what_was_changed_and_what_is_wrong(project):
    rng = np.random.default_rng(0)
    for i in range(6):
        cv2.imwrite(str(project / f"{i}.png"), rng.integers(0, 255, (130, 130), np.uint8))
    rows = [
        f"{i}.png;{group};P{i // 2}{' ' * (i % 2)}"
        for i, group in enumerate(["Normal", "COVID"] * 3)
    ]
    (project / "mine.csv").write_text("\n".join(["File;Group;Patient", *rows, ";;", ""]))
    outcome = subprocess.run(
        [CXR, "data", "check", "mine.csv"], cwd=project, capture_output=True, text=True
    )
    said = " ".join(outcome.stdout.split())
    assert outcome.returncode == 0, outcome.stderr
    assert "Radiographs group radiographs normal 3 covid 3" in said
    assert "1 empty, left out" in said
    assert "patient 3 'P0 ' is read as 'P0'" in said
    assert "Problems none" in said
    assert outcome.stderr == ""
    outcome = subprocess.run(
        [CXR, "data", "check", "mine.csv", "--json"], cwd=project, capture_output=True, text=True
    )
    told = json.loads(outcome.stdout)
    assert told["problems"] == [] and "error" not in told
    assert told["radiographs"][0] == {"group": "normal", "radiographs": 3}
    assert {row["auc"] for row in told["origin"]} == {None}
    assert set(told["confounders"][0]) >= {"value", "n", "patients"}


@pytest.mark.slow
def test_data_check_tells_a_machine_what_is_wrong_too(project, monkeypatch, capsys):
    cv2.imwrite(str(project / "fine.png"), GREY)
    (project / "mine.csv").write_text("file,group\nfine.png,normal\nlost.png,covd\n")
    assert cxr(monkeypatch, "data", "check", "mine.csv", "--json") == 2
    shown = capsys.readouterr()
    told = json.loads(shown.out)
    assert {row["file"] for row in told["problems"]} >= {"lost.png"}
    assert "covd" in told["error"] and told["error"].endswith("the audit needs this mended")
    assert shown.err == f"cxr: {told['error']}\n"


def test_a_study_that_cannot_be_run_ends_before_anything_is_trained(project, refused):
    for i in range(9):
        cv2.imwrite(str(project / f"{i}.png"), GREY)
    rows = [f"{i}.png,normal" for i in range(9)]
    (project / "mine.csv").write_text("\n".join(["file,group", *rows]))
    odd = profile(project, cohort="folder", data="mine.csv")
    assert "a study needs two groups" in refused("study", *odd)
    assert not list(project.glob("runs/*/*"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["text", "cut JPEG"])
def test_a_radiograph_that_cannot_be_read_ends_in_one_line_with_its_name(project, refused, kind):
    names = {
        "Normal,TRAIN,,": [f"n{i}.jpeg" for i in range(6)],
        "Pnemonia,TRAIN,,Virus": [f"person{i}_virus_1.jpeg" for i in range(6)],
        "Pnemonia,TRAIN,,bacteria": [f"person{i}_bacteria_1.jpeg" for i in range(6)],
        "Pnemonia,TRAIN,COVID-19,Virus": [*COVID],
    }
    data = project / "data" / "kaggle"
    data.mkdir(parents=True)
    columns = "X_ray_image_name,Label,Dataset_type,Label_2_Virus_category,Label_1_Virus_category"
    lines = [f"{name},{rest}" for rest, those in names.items() for name in those]
    (data / "meta.csv").write_text("\n".join([columns, *lines]))
    for those in names.values():
        for name in those:
            cv2.imwrite(str(data / name), GREY)
    whole = cv2.imencode(".jpg", GREY)[1].tobytes()
    (data / "n3.jpeg").write_bytes(b"no image" if kind == "text" else whole[: len(whole) // 2])
    counts = {"normal": 6, "virus": 6, "bacteria": 6, "covid": 5, "image_size": 121}
    odd = profile(project, cohort="coronahack", data="data/kaggle", **counts)
    assert "n3.jpeg" in refused("train", "A", "efficient", *odd)


def test_a_run_is_shown_with_its_scores(tmp_path, monkeypatch, capsys):
    run = make_run(tmp_path)
    assert not cxr(monkeypatch, "show", run.folder)
    said = capsys.readouterr().out
    assert said.startswith("A\u2002Efficient\n  experiment: A\n")
    harsh = 100 * run.measure("accuracy")[0]
    assert re.search(rf"Efficient +{harsh:.1f}", said)
    assert "COVID" in said


def test_a_run_without_scores_says_why(tmp_path, refused):
    lost = make_run(tmp_path, state="not run", reason="weights unavailable")
    assert "weights unavailable: no scores" in refused("show", str(lost.folder))


def test_the_version_is_said(monkeypatch, capsys):
    assert not cxr(monkeypatch, "--version")
    assert capsys.readouterr().out == f"cxr {cxrlib.__version__}\n"
