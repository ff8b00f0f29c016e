"""What the prose pages point to is there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from cxrlib.pages import notebooks
from tests.conftest import copy_chapter

CXR = Path(sys.executable).with_name("cxr")

ROOT = Path(__file__).parents[1]
PAGES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "docs/rescience.md")),
    *sorted((ROOT / "book").glob("*.md")),
]


def test_the_api_page_lists_every_room_a_notebook_may_import():
    found = {path.stem for path in (ROOT / "cxrlib").iterdir() if path.suffix in ("", ".py")}
    found -= {"__init__", "__pycache__", "cli"}
    listed = re.findall(r"^   cxrlib\.(\w+)$", (ROOT / "book" / "api.md").read_text(), re.M)
    assert sorted(listed) == sorted(found)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_file_a_page_links_to_exists(page):
    links = re.findall(r"\]\(([^)#\s]+)\)", page.read_text(encoding="utf-8"))
    made = {ROOT / notebooks.page(name) for name in notebooks.names()}  # by the study
    for link in links:
        if "://" in link or (page.parent / link).resolve() in made:
            continue
        assert (page.parent / link).exists(), f"{page.name}: {link}"


@pytest.mark.slow
def test_each_study_has_a_book_of_its_own_and_the_last_one_is_at_hand(tmp_path):
    study = copy_chapter(tmp_path / "study", "06-paper-audit")
    profiles = study / "profiles"
    (profiles / "mine.yml").write_text("name: mine\n")
    (profiles / "theirs.yml").write_text("name: theirs\n")
    (study / "_build" / "html").mkdir(parents=True)  # of Jupyter Book itself
    for name in ("mine", "theirs", "mine"):
        command = [CXR, "study", "--profile", f"profiles/{name}.yml"]
        outcome = subprocess.run(command, cwd=study, capture_output=True, text=True)
        assert outcome.returncode == 0, outcome.stderr
        page = study / "_build" / name / "_build" / "html" / "index.html"
        first, *_, last = outcome.stdout.splitlines()
        assert first.endswith("no chapter shows an arm") and last == f"The book: {page}"
        assert "Finished generating" not in outcome.stdout
        assert (study / "_build" / "html" / "index.html").samefile(page)
        assert (page.parent / "experiments" / "06-paper-audit.html").is_file()
    with (study / "notebooks" / "06-paper-audit.md").open("a") as text:
        text.write("\n```{code-cell} ipython3\n1 / 0\n```\n")
    command = [CXR, "study", "--profile", "profiles/theirs.yml"]
    assert subprocess.run(command, cwd=study, capture_output=True).returncode == 2
    assert (study / "_build" / "html" / "index.html").samefile(page)  # of the last that ended
