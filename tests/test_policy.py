"""The book's pages run the theme's scripts, and nothing that came in with a name or a run.json."""

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import expect, sync_playwright

from cxrlib.pages import gallery
from cxrlib.study import runs
from tests import browser
from tests.conftest import copy_looks, make_run
from tests.test_gallery import panel_of

pytestmark = pytest.mark.slow
HACK = "<img src=x onerror=\"document.title='hacked'\">"
NAME = """ward -7 "b" it's--x...png"""
"""Words that Sphinx would set in type."""

PAGE = f"""\
# Hacked?

{HACK}

<script>document.title = "hacked"</script>

<a href="javascript:document.title='hacked'">a link</a>

```python
print("copy me")
```
"""


def output(bundle):
    """Returns a cell that shows a mime bundle, as papermill leaves it."""
    shown = nbformat.v4.new_output("execute_result", bundle, execution_count=1)
    return nbformat.v4.new_code_cell("shown", outputs=[shown], execution_count=1)


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """A small book with the real settings: a page with injected HTML, and one with runs in it."""
    from cxrlib.pages import tables

    folder = tmp_path_factory.mktemp("policy")
    copy_looks(folder)
    (folder / "book" / "index.md").write_text(PAGE)
    lost = make_run(folder, "resnet50", "imagenet", state=runs.NOT_RUN, reason=HACK)
    these = [make_run(folder, machine=HACK, versions={"keras": HACK, NAME: "3"}), lost]
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_markdown_cell("# Runs")]
    for shown in (
        gallery.Gallery([panel_of(these)]),
        tables.Table(tables.arms(these), "Arms.", "tab-a"),
        tables.Table(tables.versions(these), "Versions.", "tab-v"),
    ):
        notebook.cells.append(output(shown._repr_mimebundle_()))
    nbformat.write(notebook, folder / "book" / "runs.ipynb")
    (folder / "book" / "_toc.yml").write_text(
        "format: jb-book\nroot: index\nchapters:\n- file: runs\n"
    )
    command = [Path(sys.executable).with_name("jupyter-book"), "build", "book"]
    built = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    return folder / "_build" / "html"


@pytest.fixture
def page():
    if browser.executable() is None:
        assert "CI" not in os.environ, "no Chromium: .ci/run installs it"
        pytest.skip("no Chromium here: apt install chromium")
    with sync_playwright() as playwright, browser.window(playwright, 1280, "light") as empty:
        yield empty


def test_an_injected_handler_script_or_link_does_not_run(book, page):
    refused = []
    page.on("console", lambda message: refused.append(message.text))
    page.goto((book / "index.html").as_uri())
    page.get_by_role("link", name="a link").click()
    page.wait_for_timeout(500)
    assert "hacked" not in page.title()
    assert sum("Content Security Policy" in text for text in refused) == 3
    # That the page would have run them without the policy:
    bare = re.sub("<meta http-equiv=.Content-Security-Policy[^>]*>", "", page.content())
    (book / "bare.html").write_text(bare)
    page.goto((book / "bare.html").as_uri())
    expect(page).to_have_title("hacked")
    (book / "bare.html").unlink()


def test_what_a_run_says_of_itself_is_text_in_its_tables(book, page):
    faults = []
    browser.listen(page, faults.append)
    page.goto((book / "runs.html").as_uri())
    assert page.locator("td", has_text=HACK).count() == 3
    expect(page.get_by_role("rowheader", name=NAME, exact=True)).to_be_visible()
    expect(page.get_by_text(f"Not run in A: ResNet-50 (ImageNet): {HACK}.")).to_be_visible()
    assert faults == []


def test_the_gallery_the_search_the_dark_switch_and_the_copy_buttons_still_work(book, page):
    faults = []
    browser.listen(page, faults.append)
    page.goto((book / "runs.html").as_uri())
    page.locator(".cxr-tiles button").first.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    before = page.locator("html").get_attribute("data-mode")
    page.locator(".theme-switch-button:visible").first.click()
    expect(page.locator("html")).not_to_have_attribute("data-mode", before)
    page.evaluate("window.print = () => { document.title = 'printed' }")
    page.locator("button[onclick='window.print()']").first.dispatch_event("click")
    expect(page).to_have_title("printed")
    assert faults == []  # from a folder no browser lets the search fetch what it quotes
    page.locator(".search-button__button:visible, .search-button:visible").first.click()
    page.locator("input[type=search]:visible").first.fill("hacked")
    page.keyboard.press("Enter")
    expect(page.locator("#search-results li").first).to_be_visible()
    page.goto((book / "index.html").as_uri())
    expect(page.locator("button.copybtn").first).to_be_attached()


def test_every_page_of_the_book_has_the_policy_before_its_first_script(book):
    for path in book.glob("*.html"):
        text = path.read_text()
        assert 0 < text.index("Content-Security-Policy") < text.index("<script"), path.name
        assert "'unsafe-inline'" not in text[: text.index("style-src")]
