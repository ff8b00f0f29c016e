"""What the prose pages point to is there."""

import re
from pathlib import Path

import pytest

from cxrlib.pages import notebooks

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "book").glob("*.md"))]


def test_the_api_page_lists_every_module_a_notebook_may_import():
    paths = [p.relative_to(ROOT / "cxrlib") for p in (ROOT / "cxrlib").rglob("*.py")]
    modules = {".".join(p.with_suffix("").parts).removesuffix(".__init__") for p in paths}
    modules -= {"__init__", "facts", "cli"}  # facts holds tables only
    listed = re.findall(r"automodule:: cxrlib\.([\w.]+)", (ROOT / "book" / "api.md").read_text())
    assert sorted(listed) == sorted(modules)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_file_a_page_links_to_exists(page):
    links = re.findall(r"\]\(([^)#\s]+)\)", page.read_text(encoding="utf-8"))
    made = {ROOT / notebooks.page(name) for name in notebooks.names()}  # by the study
    for link in links:
        if "://" in link or (page.parent / link).resolve() in made:
            continue
        assert (page.parent / link).exists(), f"{page.name}: {link}"
