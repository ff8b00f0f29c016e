"""One PDF a study: the pages of its book in the order of its contents, printed by Chromium.

Sphinx can write one long page too, but there two chapters' sections of one name are one target.
Here each page's names begin with the page's own, so that every link leads where it led.
"""

import html
import os
import posixpath
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from cxrlib import __version__, files
from cxrlib.errors import InputError
from cxrlib.pages import book

BROWSERS = ("chromium", "chromium-browser", "google-chrome")

_LEFT_OUT = "a.headerlink, details.hide, div.cell_input, script, .cxr-gallery, button, .onlyprint"
"""What is for a screen alone: code that unfolds, marks on headings, what a script would fill."""

_NO_GALLERY = "The gallery is browsed on a screen: open this chapter of the book there."


class Part(NamedTuple):
    """A page of the book, or the heading of several.

    Args:
        title: As the contents have it.
        path: Of the page, from the book's folder; empty for a heading.
        level: 1 for a chapter, 2 for a page of a chapter.
    """

    title: str
    path: str
    level: int


def browser():
    """Returns the path of the system's Chromium, or None where there is none."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def contents(folder):
    """Lists the pages of a built book and their headings, the front page first.

    Args:
        folder: The built book's, where its `index.html` is.
    """
    index = _soup(folder / "index.html")
    parts = [Part(_text(index.select_one("article h1")), "index.html", 1)]
    for entry in index.select("nav.bd-links :is(p.caption, a.reference)"):
        inner = entry.find_parent("li", class_="toctree-l2")
        parts.append(Part(_text(entry), entry.get("href", ""), 2 if inner else 1))
    return parts


def document(folder, name, numbers=None):
    """Returns the whole book as one page of HTML.

    Args:
        folder: The built book's.
        name: Of the study, for the cover.
        numbers: Page numbers by name of a target, for the contents; none before it was printed.
    """
    folder = Path(folder).resolve()
    parts = contents(folder)
    targets = {part.path: _name(part.path) for part in parts if part.path}
    chapters = [_chapter(folder, part, targets) for part in parts if part.path]
    looks = [f'<link rel="stylesheet" href="{sheet}">' for sheet in _sheets(folder)]
    title = parts[0].title
    return (
        '<!DOCTYPE html><html lang="en" data-theme="light" data-mode="light"><head>'
        f'<meta charset="utf-8"><title>{html.escape(title)}</title>{"".join(looks)}'
        f"<style>{_running_heads(parts)}</style></head>"
        '<body class="cxr-printed"><main class="bd-content">'
        f"{_cover(title, name)}{_listed(parts, numbers or {})}{''.join(chapters)}"
        "</main></body></html>"
    )


def write(profile):
    """Prints the book of a study, and returns the PDF's path.

    It is printed twice: the contents can only name pages once these are known.

    Raises:
        InputError: There is no book yet, or no Chromium.
        ChildProcessError: Chromium left no PDF.
    """
    folder = (files.root() / book.front(profile)).parent
    if not (folder / "index.html").exists():
        raise InputError("there is no book of this study yet: `cxr study` makes it")
    output = files.root() / book.BUILT / profile.name / "book.pdf"
    with files.replacing(output) as temporary:
        _print(document(folder, profile.name), temporary)
        _print(document(folder, profile.name, page_numbers(temporary)), temporary)
    return output


def page_numbers(path):
    """Returns the number of the page that each target of a PDF's links is on.

    Args:
        path: The PDF.
    """
    import pypdf

    pdf = pypdf.PdfReader(path)
    places = pdf.named_destinations.items()
    return {name.removeprefix("/"): pdf.get_destination_page_number(at) + 1 for name, at in places}


def _print(text, path):
    """Prints HTML into a PDF."""
    chromium = browser()
    if chromium is None:
        raise InputError("there is no Chromium here, which prints the book: apt install chromium")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "book.html")
        source.write_text(text, encoding="utf-8")
        command = [
            chromium, "--headless", "--disable-gpu", "--disable-background-networking",
            f"--user-data-dir={folder}/profile", "--no-pdf-header-footer",
            "--generate-pdf-document-outline", f"--print-to-pdf={path}", source.as_uri(),
        ]  # fmt: skip
        if os.geteuid() == 0:
            command.insert(1, "--no-sandbox")  # which Chromium refuses to root
        outcome = subprocess.run(command, capture_output=True, text=True)
    if outcome.returncode or not Path(path).exists():
        raise ChildProcessError(f"Chromium printed nothing: {outcome.stderr.strip()[-300:]}")


def _chapter(folder, part, targets):
    """Returns a page's content, its names made its own and its links led to the others'."""
    page = _soup(folder / part.path).select_one("article.bd-article")
    for gallery in page.select(".cxr-gallery"):
        gallery.insert_before(_NO_GALLERY)
    for one in page.select(_LEFT_OUT):
        one.decompose()
    own = targets[part.path]
    for one in page.select("[id]"):
        one["id"] = f"{own}--{one['id']}"
    for image in page.select("img[src]"):
        del image["loading"]
        if not image["src"].startswith("data:"):
            image["src"] = (folder / part.path).parent.joinpath(unquote(image["src"])).as_uri()
    for link in page.select("a[href]"):
        to = _led(link["href"], part.path, targets)
        if to is None:
            link.unwrap()
        else:
            link["href"] = to
    page.h1["id"] = own  # not of the section, which may begin at the foot of the page before
    begun = f'<section class="bd-article level-{part.level} of-{own}">'
    return f"{begun}{page.decode_contents()}</section>"


def _led(href, path, targets):
    """Returns where a link of a page leads in the whole; None for what is not part of it."""
    url = urlsplit(href)
    if url.scheme:
        return href
    to = posixpath.normpath(posixpath.join(posixpath.dirname(path), url.path)) if url.path else path
    if to not in targets:
        return None
    return f"#{targets[to]}--{url.fragment}" if url.fragment else f"#{targets[to]}"


def _cover(title, name):
    """Returns the first page."""
    return (
        f'<header class="cover"><p class="cover-title">{html.escape(title)}</p>'
        "<p>A study you can rerun, check and measure</p>"
        '<p class="cover-warning">A research study, not a medical device. Nothing here is fit to'
        " diagnose anyone.</p>"
        f"<p>The book of the study <code>{html.escape(name)}</code>, cxrlib {__version__}."
        " Text, figures and numbers: CC BY 4.0. Code: MIT licence.</p></header>"
    )


def _listed(parts, numbers):
    """Returns the contents, each line with the number of its page where that is known."""
    lines = []
    for part in parts:
        if not part.path:
            lines.append(f'<p class="heading">{html.escape(part.title)}</p>')
            continue
        name = _name(part.path)
        lines.append(
            f'<p class="level-{part.level}"><a href="#{name}">{html.escape(part.title)}</a>'
            f"<span>{numbers.get(name, '')}</span></p>"
        )
    return f'<nav class="cxr-contents"><h1>Contents</h1>{"".join(lines)}</nav>'


def _running_heads(parts):
    """Returns the style that puts a chapter's title at the top of its pages and begins it on one.

    The pages of a chapter follow each other under its title.
    """
    rules = []
    for part in parts:
        if part.path and part.level == 1:
            kind = _name(part.path)
            rules.append(f'@page {kind} {{ @top-left {{ content: "{_quoted(part.title)}" }} }}')
        if part.path:
            rules.append(f".of-{_name(part.path)} {{ page: {kind} }}")
    return "\n".join(rules)


def _sheets(folder):
    """Lists the addresses of the style sheets of the book's front page."""
    links = _soup(folder / "index.html").select('link[rel~="stylesheet"]')
    return [(folder / urlsplit(link["href"]).path).as_uri() for link in links]


def _name(path):
    """Returns a page's name among targets, and among the kinds of printed pages."""
    return path.removesuffix(".html").replace("/", "-").replace(".", "-")


def _quoted(text):
    """Writes text for inside a CSS string."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("<", "\\3c ")


def _soup(path):
    import bs4

    return bs4.BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def _text(tag):
    return " ".join(tag.get_text().removesuffix("#").split())
