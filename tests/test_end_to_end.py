"""The whole study on the smallest cohort: every arm, every notebook, the book, a browser."""

import os
import re
import shutil
import subprocess
import sys
import unicodedata
import zipfile
from pathlib import Path

import nbformat
import pandas as pd
import pypdf
import pytest
from playwright.sync_api import sync_playwright
from rocrate.rocrate import ROCrate

from cxrlib.pages import notebooks, printed
from tests import browser
from tests.conftest import copy_study

ROOT = Path(__file__).parents[1]
CXR = Path(sys.executable).with_name("cxr")
CHAPTERS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.md"))
PAPER = 657
"""The width between the margins of a printed page, in pixels of 1/96 inch."""
pytestmark = pytest.mark.slow


def cxr(*arguments, folder):
    """Runs the command as a user would, in the study's folder."""
    return subprocess.run(
        [CXR, *arguments], cwd=folder, capture_output=True, text=True, timeout=1800
    )


def needs_a_browser():
    """Skips a test where there is no Chromium, except where every test must run."""
    if browser.executable() is None:
        assert "CI" not in os.environ, "no Chromium: .ci/run installs it"
        pytest.skip("no Chromium here: apt install chromium")


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """The study's files in a new folder, with the smallest profile."""
    folder = copy_study(tmp_path_factory.mktemp("clone"))
    shutil.copy(ROOT / "tests" / "smoke.yml", folder / "profiles")
    return folder


@pytest.fixture(scope="module")
def finished(clone):
    """The same folder after one `cxr study`."""
    outcome = cxr("study", "--profile", "profiles/smoke.yml", folder=clone)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    return clone


def test_one_command_leaves_every_arm_every_chapter_and_the_book(finished):
    arms = sorted(
        str(path.parent.relative_to(finished)) for path in finished.glob("runs/*/*/*/run.json")
    )
    assert len(arms) == 12, arms
    for chapter in CHAPTERS:
        executed = notebooks.page(chapter)
        assert (finished / executed).is_file()
        page = Path("_build/html") / executed.relative_to("book").with_suffix(".html")
        assert (finished / page).is_file()
    assert (finished / "_build/html/index.html").is_file()


def test_executed_chapters_hold_no_error_and_fold_papermills_cell(finished):
    for chapter in CHAPTERS:
        notebook = nbformat.read(finished / notebooks.page(chapter), 4)
        outputs = [out for cell in notebook.cells for out in cell.get("outputs", [])]
        assert not [out for out in outputs if out["output_type"] == "error"]
        injected = [
            c for c in notebook.cells if "injected-parameters" in c.metadata.get("tags", [])
        ]
        assert len(injected) == 1
        assert {"hide-input", "remove-input"} & set(injected[0].metadata["tags"])


def test_a_second_study_has_nothing_to_do(finished):
    page = finished / "_build/html/index.html"
    before = page.stat().st_mtime_ns
    outcome = cxr("study", "--profile", "profiles/smoke.yml", folder=finished)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert page.stat().st_mtime_ns == before


def test_a_study_is_checked_against_the_runs_of_another(finished, tmp_path):
    study = next((finished / "runs").glob("smoke-*/A")).parent
    others = shutil.copytree(study, tmp_path / "others")
    command = ("study", "--profile", "profiles/smoke.yml", "--check", str(others))
    outcome = cxr(*command, folder=finished)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert "reproduced: every arm came out as it did there" in outcome.stdout
    predictions = others / "A" / "efficient" / "predictions.csv"
    table = pd.read_csv(predictions)
    table["p_COVID"] = 1 - table["p_COVID"]
    table.to_csv(predictions, index=False)
    outcome = cxr(*command, folder=finished)
    assert outcome.returncode == 1
    assert "not reproduced: A efficient (different)" in outcome.stderr
    nowhere = cxr(*command[:-1], str(tmp_path / "nowhere"), folder=finished)
    assert (nowhere.returncode, nowhere.stderr.count("\n")) == (2, 1)


def test_a_finished_study_becomes_a_crate_that_says_what_made_what(finished, tmp_path):
    made = cxr("crate", tmp_path / "study.zip", "--profile", "profiles/smoke.yml", folder=finished)
    assert made.returncode == 0, made.stderr
    crate = ROCrate(tmp_path / "study.zip")
    runs = [path.parent.relative_to(finished) for path in finished.glob("runs/*/*/*/run.json")]
    actions = {one.id: one for one in crate.get_by_type("CreateAction")}
    assert set(actions) == {f"#{run}" for run in runs}
    ended = actions[next(name for name in actions if name.endswith("A/efficient"))]
    assert f"{ended.id[1:]}/metrics.csv" in [made.id for made in ended["result"]]
    unrun = next(one for name, one in actions.items() if name.endswith("-imagenet"))
    assert unrun["actionStatus"].endswith("FailedActionStatus") and unrun["error"]
    with zipfile.ZipFile(tmp_path / "study.zip") as packed:
        names = packed.namelist()
    assert "book/index.html" in names and len(names) == len(set(names))
    assert not any(name.endswith((".keras", ".npy")) for name in names)


def test_the_book_builds_without_a_single_warning(finished, tmp_path):
    command = [CXR.with_name("jupyter-book"), "build", "-W", "-n", "--keep-going", "--all", "book"]
    outcome = subprocess.run(
        [*command, "--path-output", str(tmp_path)], cwd=finished, capture_output=True, text=True
    )
    assert outcome.returncode == 0, outcome.stdout[-4000:] + outcome.stderr[-4000:]


def test_every_function_of_the_library_is_on_its_rooms_page(finished):
    rooms = finished / "_build/html/api"
    for path in (ROOT / "cxrlib").rglob("*.py"):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        if module == "cxrlib" or module.startswith("cxrlib.cli") or ".facts" in module:
            continue
        if module.startswith(("cxrlib.pages.figures.", "cxrlib.pages.tables.")):
            module = module.rpartition(".")[0]  # which has what they hold
        page = (rooms / f"{'.'.join(module.split('.')[:2])}.html").read_text(encoding="utf-8")
        for name in re.findall(r"^def ([a-z]\w*)\(", path.read_text(encoding="utf-8"), re.M):
            assert f'id="{module}.{name}"' in page, f"{module}.{name}"


def test_no_page_names_a_folder_of_this_machine(finished):
    for page in (finished / "_build/html").rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert str(finished) not in text and str(ROOT) not in text, page.name


def test_negative_numbers_of_prose_have_a_minus(finished):
    pages = (finished / "_build/html").rglob("*.html")
    prose = [said for page in pages for said in re.findall(r"<p>.*?</p>", page.read_text(), re.S)]
    said = " ".join(re.sub(r"<code.*?</code>|<[^>]*>", "", one) for one in prose)
    assert re.search(r"\(−0\.\d", said)
    assert re.findall(r".{20}[\s(]-\d.{9}", said) == []


def test_every_reader_can_read_every_page_from_disk(finished):
    needs_a_browser()
    assert browser.problems(finished / "_build/html") == []


def test_the_gallerys_large_view_breaks_no_rule_of_axes(finished):
    needs_a_browser()
    page_of_it = finished / "_build/html/experiments/10-gallery.html"
    for width, scheme in ((1280, "light"), (390, "light"), (1280, "dark")):
        with sync_playwright() as playwright, browser.window(playwright, width, scheme) as page:
            page.goto(page_of_it.as_uri())
            page.click(".cxr-tiles button")
            page.wait_for_selector("dialog[open].cxr-large")
            assert browser.violations(page) == []


def test_the_primers_slider_moves_the_line_and_counts_anew(finished):
    needs_a_browser()
    primer = finished / "_build/html/experiments/14-primer.html"
    with sync_playwright() as playwright, browser.window(playwright, 390, "light") as page:
        page.goto(primer.as_uri())
        slider, cells = page.locator(".cxr-threshold input"), page.locator(".cxr-threshold td")
        before = cells.all_inner_texts()
        slider.fill("0")
        assert all(text.startswith("100 %") for text in cells.all_inner_texts()[::2])
        assert all(text.startswith("0 %") for text in cells.all_inner_texts()[1::2])
        assert page.inner_text(".cxr-threshold caption") == "Where yes begins at 0 %"
        slider.fill("50")
        assert cells.all_inner_texts() == before
        assert page.locator(".cxr-threshold circle").count() > 400


def test_the_dial_ties_marks_to_groups_and_shows_what_the_score_loses(finished):
    needs_a_browser()
    chapter = finished / "_build/html/experiments/07-shortcuts.html"
    with sync_playwright() as playwright, browser.window(playwright, 390, "dark") as page:
        page.goto(chapter.as_uri())
        cells, lost = page.locator(".cxr-dial tr:has-text('A') td"), page.locator(".cxr-dial .lost")
        wholly, far = cells.all_inner_texts(), lost.first.bounding_box()["width"]
        page.locator(".cxr-dial input").fill("0")
        assert page.inner_text(".cxr-dial caption") == "AUC where the tie was 0 % in training"
        assert cells.all_inner_texts() != wholly
        assert lost.first.bounding_box()["width"] < far / 10
        assert browser.violations(page) == []


def test_the_whole_book_is_one_pdf_with_contents_that_lead_to_numbered_pages(finished):
    needs_a_browser()
    outcome = cxr("pdf", "--profile", "profiles/smoke.yml", folder=finished)
    assert outcome.returncode == 0, outcome.stderr
    path = finished / "_build/smoke/book.pdf"
    assert outcome.stdout == f"The book on paper: {path}\n"
    assert path.stat().st_size < 40e6
    texts = [page.extract_text() for page in pypdf.PdfReader(path).pages]
    pages = [" ".join(unicodedata.normalize("NFKC", text).split()) for text in texts]  # no "ﬁ"
    numbers = printed.page_numbers(path)
    listed = " ".join(pages[1:4])
    for part in printed.contents(finished / "_build/html"):
        if part.path:
            at = numbers[printed._name(part.path)]
            assert f"{part.title} {at}" in listed
            assert part.title in pages[at - 1]
            assert str(at) in pages[at - 1].split()


def test_no_table_of_the_pdf_is_wider_than_its_page(finished, tmp_path):
    needs_a_browser()
    source = tmp_path / "book.html"
    source.write_text(printed.document(finished / "_build/html", "smoke"), encoding="utf-8")
    with sync_playwright() as playwright, browser.window(playwright, PAPER, "light") as page:
        page.emulate_media(media="print")
        page.goto(source.as_uri())
        assert page.locator("table").count() > 20
        cut = "all => all.filter(one => one.getBoundingClientRect().right > innerWidth + 1).length"
        assert page.locator("table, figure, pre").evaluate_all(cut) == 0


@pytest.mark.parametrize("chapter", ["02-experiment-a"])
def test_a_chapter_runs_by_itself_with_papermill_and_other_epochs(clone, tmp_path, chapter):
    output = tmp_path / "out.ipynb"
    command = [
        CXR.with_name("papermill"), f"notebooks/{chapter}.ipynb", output,
        "-f", "profiles/quick.yml", "-p", "epochs", "1", "-p", "image_size", "121",
        "-y", "{normal: 12, virus: 6, bacteria: 6, covid: 6, arms: [efficient]}",
    ]  # fmt: skip
    # A kernel keeps what is written to its descriptors, unless it finds itself in a test.
    env = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    outcome = subprocess.run(command, cwd=clone, capture_output=True, text=True, env=env)
    assert outcome.returncode == 0, outcome.stderr[-3000:]
    assert "Efficient" in output.read_text()
    # Who waits sees the epochs; the chapter keeps them.
    assert "A efficient  epoch 1/1  validation loss" in outcome.stderr
    assert "A efficient  epoch 1/1  validation loss" in output.read_text()


@pytest.mark.parametrize("chapter", ["02-experiment-a", "06-paper-audit", "08-real-radiographs"])
def test_a_typo_in_a_parameter_is_refused_by_name_before_anything_runs(clone, tmp_path, chapter):
    output = tmp_path / "out.ipynb"
    command = [CXR.with_name("papermill"), f"notebooks/{chapter}.ipynb", output]
    outcome = subprocess.run(
        [*command, "-p", "epohcs", "1"], cwd=clone, capture_output=True, text=True
    )
    assert outcome.returncode != 0
    assert "unknown parameter 'epohcs': did you mean 'epochs'?" in outcome.stderr
    counts = [cell.get("execution_count") for cell in nbformat.read(output, 4).cells]
    assert max(count or 0 for count in counts) <= 3


def test_a_failing_chapter_names_its_cell_and_keeps_what_was_computed(finished):
    source = finished / "notebooks/01-data.md"
    kept, cells = source.read_text(), nbformat.read(source.with_suffix(".ipynb"), 4).cells
    source.write_text(f"{kept}\n```{{code-cell}}\nraise RuntimeError('no such luck')\n```\n")
    runs = {path: path.stat().st_mtime_ns for path in finished.glob("runs/*/*/*/run.json")}
    outcome = cxr("study", "--profile", "profiles/smoke.yml", folder=finished)
    source.write_text(kept)
    printed = outcome.stdout + outcome.stderr
    assert outcome.returncode == 2
    assert f"01-data, cell {len(cells) + 1}: RuntimeError: no such luck" in printed
    assert {path: path.stat().st_mtime_ns for path in runs} == runs
    assert (finished / "runs/01-data.failed.ipynb").is_file()
