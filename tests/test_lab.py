"""JupyterLab opens a chapter and saves both of its halves, and nothing that nobody edited."""

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright
from tornado.web import HTTPError
from traitlets import import_item

from cxrlib.pages import lab, pairs
from tests import browser
from tests.chapters import NOTEBOOK, TEXT, edited, say
from tests.conftest import copy_chapter

ROOT = Path(__file__).parents[1]
CXR = Path(sys.executable).with_name("cxr")
CHAPTER = "06-paper-audit"
LAST = "few papers give a reader the means to check them."
SENTENCES = (" A sentence typed in the browser.", " And another.")


def opened(path="notebooks/chapter.ipynb", root="."):
    """Opens a notebook as JupyterLab does; gives what manages the files and what it shows."""
    manager = lab.Chapters(root_dir=str(Path(root).resolve()))
    return manager, asyncio.run(manager.get(path, type="notebook"))["content"]


def saved(manager, content, path="notebooks/chapter.ipynb"):
    model = {"type": "notebook", "format": "json", "content": content}
    return asyncio.run(manager.save(model, path))


def run(content):
    """Fills a notebook as running it in JupyterLab does."""
    content["metadata"]["kernelspec"]["display_name"] = "Python 3 (ipykernel)"
    content["metadata"]["language_info"] = {"name": "python", "pygments_lexer": "ipython3"}
    stream = {"output_type": "stream", "name": "stdout", "text": "a megabyte"}
    for cell in content["cells"]:
        cell["metadata"]["editable"] = True
        if cell["cell_type"] == "code":
            cell.update(execution_count=3, outputs=[stream])


def test_jupyterlab_is_told_to_ask_here():
    told = json.loads((ROOT / "notebooks" / "jupyter_lab_config.json").read_text())
    assert import_item(told["ServerApp"]["contents_manager_class"]) is lab.Chapters


@pytest.mark.parametrize("root", [".", "notebooks"])
@pytest.mark.parametrize("suffix", [".md", ".ipynb"])
def test_a_save_writes_what_was_edited_and_nothing_else(chapter, root, suffix):
    path = f"chapter{suffix}" if root == "notebooks" else f"notebooks/chapter{suffix}"
    manager, content = opened(path, root)
    run(content)
    content["cells"][0]["source"] += SENTENCES[0]
    saved(manager, content, path)
    text = TEXT.replace("What it asks.", f"What it asks.{SENTENCES[0]}")
    assert [half.read_text() for half in chapter] == [*pairs.agree("chapter", text, NOTEBOOK)]
    assert list(pairs.settle_all()) == []


def test_a_save_without_an_edit_changes_no_byte(chapter):
    manager, content = opened()
    run(content)
    saved(manager, content)
    assert [half.read_text() for half in chapter] == [TEXT, NOTEBOOK]


@pytest.mark.parametrize("half", [0, 1])
def test_opening_shows_the_half_that_was_edited(chapter, half):
    new = (TEXT + "Said in the .ipynb.\n", edited(say))[half]
    os.utime(chapter[half], (0, 0))
    chapter[half].write_text(new)
    os.utime(chapter[half], (0, 0))  # a clone's times say nothing
    assert opened()[1]["cells"][-1]["source"] == "What it means.\nSaid in the .ipynb."


def test_two_edits_that_differ_are_not_opened(chapter):
    chapter[0].write_text(TEXT + "\nMore.\n")
    chapter[1].write_text(edited(say))
    with pytest.raises(HTTPError, match="both edited"):
        opened()


def test_a_save_never_goes_over_an_edit_that_it_has_not_seen(chapter):
    manager, content = opened()
    other = edited(say)
    chapter[1].write_text(other)
    with pytest.raises(HTTPError, match="chapter.ipynb was edited elsewhere too"):
        saved(manager, content)
    assert [half.read_text() for half in chapter] == [TEXT, other]


@pytest.mark.parametrize(
    ("change", "back"),
    [
        ({"attachments": {"a.png": {"image/png": "iVBORw0KGgo="}}}, {"attachments": {}}),
        ({"source": "```"}, {"source": "What it means."}),
    ],
    ids=["a pasted picture", "a fence left open"],
)
def test_what_a_text_cannot_hold_is_not_saved_until_it_is_mended(chapter, change, back):
    manager, content = opened()
    content["cells"][2].update(change)
    with pytest.raises(HTTPError, match="chapter.ipynb, cell 3"):
        saved(manager, content)
    assert [half.read_text() for half in chapter] == [TEXT, NOTEBOOK]
    content["cells"][2].update(back)
    saved(manager, content)
    assert list(pairs.settle_all()) == []


def test_a_new_notebook_gets_both_halves(chapter):
    manager, content = opened()
    saved(manager, content, "notebooks/another.ipynb")
    assert chapter[0].with_name("another.md").read_text().endswith("What it means.\n")
    assert json.loads(chapter[1].with_name("another.ipynb").read_text())["metadata"]["cxr"]
    assert list(pairs.settle_all()) == []


def test_a_notebook_that_is_begun_in_jupyterlab_gets_both_halves(chapter):
    manager = lab.Chapters(root_dir=".")
    path = asyncio.run(manager.new_untitled("notebooks", type="notebook"))["path"]
    assert path.endswith("Untitled.ipynb")
    content = asyncio.run(manager.get(path, type="notebook"))["content"]
    content["cells"] = [{"cell_type": "markdown", "id": "a", "metadata": {}, "source": "New."}]
    saved(manager, content, path)
    assert chapter[0].with_name("Untitled.md").read_text().endswith("\nNew.\n")
    assert list(pairs.settle_all()) == []


def test_a_notebook_elsewhere_is_saved_as_it_is(chapter):
    manager, content = opened()
    run(content)
    saved(manager, content, "mine.ipynb")
    kept = json.loads(Path("mine.ipynb").read_text())["cells"]
    assert [cell.get("execution_count") for cell in kept] == [None, 3, None, 3, None]
    assert not Path("mine.md").exists()


@contextmanager
def jupyterlab(study, path, *arguments):
    """Runs `jupyter lab` for a user without settings, and opens a file; gives the page."""
    home = study.parent / "home"
    home.mkdir()
    env = {**os.environ, "HOME": str(home), "PYTHONPATH": str(study)}
    if Path(sys.prefix) != ROOT / ".venv":  # which knows the settings
        env["JUPYTER_CONFIG_PATH"] = str(study / "notebooks")
    command = [CXR.with_name("jupyter"), "lab", *arguments, "--no-browser", "--allow-root"]
    with (home / "log").open("w") as log:
        process = subprocess.Popen([*command, "--port=0"], cwd=study, env=env, stderr=log)
    try:
        address = waited_for(lambda: re.search(r"http://127\S+", (home / "log").read_text()))[0]
        with sync_playwright() as playwright, browser.window(playwright, 1280, "light") as page:
            page.set_default_timeout(120_000)
            page.goto(address.replace("/lab?", f"/lab/tree/{path}?"))
            yield page
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):  # one that is still asked may hang
            process.wait(5)
        process.kill()
        process.wait()


def waited_for(found, seconds=60):
    """Asks until there is an answer."""
    for _ in range(seconds * 5):
        if answer := found():
            return answer
        time.sleep(0.2)
    raise AssertionError(f"nothing after {seconds} s")


def cxr(*arguments, folder):
    outcome = subprocess.run([CXR, *arguments], cwd=folder, capture_output=True, text=True)
    assert outcome.returncode == 0, outcome.stderr
    return outcome.stdout


def is_save(answer):
    return answer.request.method == "PUT" and "/api/contents/" in answer.url


def write(page, words):
    """Writes at the end of the first cell, runs it and the next two, and saves.

    The second is hidden: what it is counted as is not seen.

    What is run before the kernel is there is forgotten as it connects.
    """
    page.locator(".jp-Notebook-ExecutionIndicator[data-status='idle']").wait_for()
    cell = page.locator(".jp-MarkdownCell").first
    cell.dblclick()
    cell.locator(".cm-content").click()
    page.keyboard.press("Control+End")
    page.keyboard.type(words)
    for _ in range(3):
        page.keyboard.press("Shift+Enter")
    with page.expect_response(is_save) as answer:
        page.keyboard.press("Control+s")
    assert answer.value.ok


@pytest.fixture
def study(tmp_path):
    """A study of one chapter, where there is a browser to open it in."""
    if browser.executable() is None:
        assert "CI" not in os.environ, "no Chromium: .ci/run installs it"
        pytest.skip("no Chromium here: apt install chromium")
    return copy_chapter(tmp_path / "study", CHAPTER)


def check_typing(study, path, *arguments):
    """Types two sentences in JupyterLab, and checks that they are all that changes."""
    text, notebook = (study / "notebooks" / f"{CHAPTER}{end}" for end in (".md", ".ipynb"))
    old_text, old_lines = text.read_text(), notebook.read_text().splitlines()
    with jupyterlab(study, path, *arguments) as page:
        for words in SENTENCES:
            write(page, words)
        # It ran, once at least; its count is not saved.
        page.get_by_text(re.compile(r"^\[\d\]:$")).wait_for()
        assert page.locator(".jp-Dialog").count() == 0
    assert text.read_text() == old_text.replace(LAST, LAST + "".join(SENTENCES))
    lines = notebook.read_text().splitlines()
    changed = [one for one, other in zip(lines, old_lines, strict=True) if one != other]
    assert len(changed) == 2  # the last sentence's, and a digest
    assert LAST + "".join(SENTENCES) in changed[0]
    assert cxr("pair", folder=study) == ""
    assert notebook.read_text().splitlines() == lines


@pytest.mark.slow
def test_what_is_typed_in_jupyterlab_that_started_in_notebooks_is_all_that_changes(study):
    check_typing(study, f"{CHAPTER}.ipynb", "notebooks")


@pytest.mark.slow
def test_what_is_typed_in_jupyterlab_that_started_in_the_root_is_on_the_page(study):
    check_typing(study, f"notebooks/{CHAPTER}.ipynb")
    cxr("study", folder=study)
    page = (study / f"_build/html/experiments/{CHAPTER}.html").read_text()
    assert LAST + "".join(SENTENCES) in page


@pytest.mark.slow
def test_jupyterlab_says_why_it_does_not_open_two_edits_that_differ(study):
    text, notebook = (study / "notebooks" / f"{CHAPTER}{end}" for end in (".md", ".ipynb"))
    text.write_text(text.read_text() + "\nMore.\n")
    notebook.write_text(edited(say, notebook.read_text()))
    with jupyterlab(study, f"notebooks/{CHAPTER}.ipynb") as page:
        said = page.locator(".jp-Dialog").inner_text()
    assert f"{CHAPTER}.ipynb and its .md were both edited, the .md lacks cell" in said
