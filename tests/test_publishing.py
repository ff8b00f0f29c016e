"""What makes the study citable, checkable and publishable names things that are there."""

import os
import re
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest
import yaml

import cxrlib
from cxrlib.pages import notebooks
from tests.conftest import ROOT, copy_looks

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text())
MANIFEST = yaml.safe_load((ROOT / "codecheck.yml").read_text())["manifest"]
ARTICLE = runpy.run_path(str(ROOT / "docs" / "rescience.py"))
NAMES = {"DenseNet-121", "ResNet-50", "COVID-19", "768 pixels", "| 768 |", "95 %", "CC BY 4.0"}
"""What has a number in it that no run makes, beside years and thresholds."""

HOME = "https://github.com/someone/somewhere"


def steps(path):
    jobs = yaml.safe_load(path.read_text())["jobs"].values()
    return [step for job in jobs for step in job["steps"]]


def test_the_citation_has_what_its_format_asks_for():
    assert {"cff-version", "message", "title", "authors", "version"} <= set(CITATION)
    assert CITATION["cff-version"] == "1.2.0"
    for work in (CITATION, *CITATION["references"]):
        assert work["title"]
        for author in work["authors"]:
            assert set(author) in ({"name"}, {"family-names", "given-names"})


def test_citation_package_and_licence_say_the_same():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert CITATION["version"] == cxrlib.__version__
    assert CITATION["license"] == project["license"] == "MIT"
    holder = f"the {CITATION['authors'][0]['name'].removeprefix('The ')}"
    for name in (*project["license-files"], "LICENSE-text"):
        assert f"Copyright (c) 2026 {holder}\n" in (ROOT / name).read_text()


@pytest.mark.parametrize("entry", MANIFEST, ids=lambda entry: entry["comment"].split(":")[0])
def test_what_is_to_be_checked_is_a_kept_file_or_a_label_of_a_chapter(entry):
    page = Path(entry["file"])
    if page.parts[0] in ("results", "docs"):
        assert (ROOT / page).is_file()
        return
    made_from = Path("book") / page.relative_to("_build/html").with_suffix(".ipynb")
    chapter = next(name for name in notebooks.names() if notebooks.page(name) == made_from)
    label = entry["comment"].split(":")[0]
    text = (ROOT / "notebooks" / f"{chapter}.md").read_text()
    assert re.search(rf'^    name: {label}$|, "{label}"\)', text, re.MULTILINE)


@pytest.mark.slow
def test_the_articles_numbers_are_those_of_the_results():
    text = ARTICLE["ARTICLE"].read_text(encoding="utf-8")
    assert ARTICLE["filled"](text) == text, "run: python docs/rescience.py"


def test_no_number_of_the_article_was_typed():
    """Nor does a line begin with a mark: what follows it there would not be read as Markdown."""
    text = ARTICLE["ARTICLE"].read_text(encoding="utf-8")
    assert not re.search(r"^<!--\w+-->[^\n]", text, re.MULTILINE)
    prose, *_ = ARTICLE["MARKED"].sub("", text).partition("## References")
    prose = re.sub(r"\]\([^)]*\)|arXiv:\S+|\(?\b20\d\d\)?|\b0\.50?\b", "", prose)
    for name in NAMES:
        prose = prose.replace(name, "")
    assert not re.findall(r".*\d.*", prose)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_pins_its_actions_and_calls_commands_that_exist(path):
    targets = re.findall(r"^([a-z]+)[ a-z]*:", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for step in steps(path):
        if "uses" in step:
            assert re.fullmatch(r"[\w-]+/[\w-]+@v\d+", step["uses"])
            continue
        command, *rest = step["run"].split()
        if command == "make":
            assert rest and set(rest) <= set(targets)
        else:
            assert os.access(ROOT / command, os.X_OK) and not rest


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_has_an_end_and_may_write_only_what_it_publishes(path):
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {"contents": "read"}
    assert all(job["timeout-minutes"] <= 120 for job in workflow["jobs"].values())


def test_the_link_check_looks_at_files_that_are_there():
    step = next(
        s for s in steps(ROOT / ".github/workflows/links.yml") if "args" in s.get("with", {})
    )
    for pattern in re.findall(r"[\w*/-]+\.(?:md|cff|yml)", step["with"]["args"]):
        assert list(ROOT.glob(pattern)), pattern


def test_binder_installs_the_lock():
    asked = (ROOT / "binder" / "requirements.txt").read_text().split()
    assert asked[0] == "-r"
    assert (ROOT / "binder" / asked[1]).resolve() == ROOT / "requirements.lock"
    assert os.access(ROOT / "binder" / "postBuild", os.X_OK)


@pytest.fixture(scope="module", params=["", HOME], ids=["no address", "an address"])
def book(tmp_path_factory, request):
    """A book of a prose page and a chapter with the real settings, and the address it was given."""
    folder = tmp_path_factory.mktemp("home")
    copy_looks(folder)
    settings = (ROOT / "_config.yml").read_text()
    told = settings.replace('repository_url: ""', f'repository_url: "{request.param}"')
    (folder / "_config.yml").write_text(told)
    (folder / "book" / "scaling.md").write_text("# Prose\n")
    (folder / "book" / "_toc.yml").write_text(
        "format: jb-book\nroot: index\nchapters:\n- file: experiments/01-data\n- file: scaling\n"
    )
    (folder / "book" / "experiments").mkdir()
    chapter = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# A chapter")])
    chapter.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    for page in ("index", "experiments/01-data"):
        nbformat.write(chapter, folder / "book" / f"{page}.ipynb")
    command = [Path(sys.executable).with_name("jupyter-book"), "build", "-W", "book"]
    built = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    return folder / "_build" / "html", request.param


def links(page):
    """Returns where a page's buttons lead outside the book."""
    header = page.read_text().partition('<div class="article-header-buttons">')[2]
    return re.findall(r'href="(https://[^"]+)"', header.partition("<article")[0])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "source"),
    [
        ("index", "notebooks/00-front-page"),
        ("experiments/01-data", "notebooks/01-data"),
        ("scaling", "book/scaling"),
    ],
)
def test_pages_lead_to_their_sources_where_the_book_has_an_address(book, page, source):
    html, address = book
    binder = "https://mybinder.org/v2/gh/someone/somewhere/main?urlpath=lab/tree"
    wanted = [
        address,
        f"{address}/blob/main/{source}.md?plain=1",
        f"{address}/edit/main/{source}.md",
    ]
    if source.startswith("notebooks"):
        wanted = [f"{binder}/{source}.ipynb", *wanted]
    assert links(html / f"{page}.html") == (wanted if address else [])
    assert (ROOT / f"{source}.md").is_file()
