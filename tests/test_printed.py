"""The book on paper: every page of it, in order, with links that lead where they led."""

import shutil
from pathlib import Path

import pypdf
import pytest

from cxrlib.errors import InputError
from cxrlib.pages import printed
from cxrlib.study import profiles

NAV = """<link rel="stylesheet" href="printed.css"><nav class="bd-links">
<p class="caption">Parts</p><ul>
<li class="toctree-l1"><a class="reference" href="a/one.html">One &amp; "all"</a></li>
<li class="toctree-l1"><a class="reference" href="two.html">Two</a><ul>
<li class="toctree-l2"><a class="reference" href="two/three.html">Three</a></li></ul></li>
</ul></nav>"""

ARTICLES = {
    "index.html": '<h1>A book<a class="headerlink" href="#x">#</a></h1><a href="a/one.html">1</a>',
    "a/one.html": '<section id="same"><h1>One</h1><img src="../i.png"><a href="#same">here</a>'
    '<a href="../two.html#same">there</a><a href="../genindex.html">nowhere</a></section>',
    "two.html": '<section id="same"><h1>Two</h1><a href="https://a.org/">out</a>'
    '<details class="hide"><pre>1 + 1</pre></details></section>',
    "two/three.html": '<h1>Three</h1><div class="cxr-gallery"><script>x</script></div>',
}


@pytest.fixture
def folder(tmp_path):
    """A built book of four pages, two of which have a section of one name."""
    shutil.copy(Path(__file__).parents[1] / "book" / "_static" / "printed.css", tmp_path)
    for path, article in ARTICLES.items():
        page = tmp_path / path
        page.parent.mkdir(exist_ok=True)
        page.write_text(f'{NAV}<article class="bd-article">{article}</article>')
    return tmp_path


def test_pages_come_in_the_order_of_the_contents_under_their_headings(folder):
    assert [(part.title, part.level) for part in printed.contents(folder)] == [
        ("A book", 1), ("Parts", 1), ('One & "all"', 1), ("Two", 1), ("Three", 2),
    ]  # fmt: skip


def test_a_section_is_found_where_another_page_has_one_of_that_name(folder):
    text = printed.document(folder, "mine")
    assert text.count('id="a-one--same"') == text.count('id="two--same"') == 1
    assert '<a href="#a-one--same">here</a><a href="#two--same">there</a>nowhere' in text
    assert '<a href="https://a.org/">out</a>' in text


def test_what_is_for_a_screen_alone_is_left_out(folder):
    text = printed.document(folder, "mine")
    assert "1 + 1" not in text
    assert "<script" not in text
    assert "browsed on a screen" in text


def test_the_contents_give_each_page_its_number_once_it_is_known(folder):
    assert "<span></span>" in printed.document(folder, "mine")
    numbers = {"index": 3, "a-one": 4, "two": 5, "two-three": 5}
    assert "<span>4</span>" in printed.document(folder, "mine", numbers)


def test_a_study_without_a_book_is_told_how_to_make_one():
    with pytest.raises(InputError, match="`cxr study` makes it"):
        printed.write(profiles.Profile(name="nowhere"))


def test_without_chromium_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(printed, "browser", lambda: None)
    with pytest.raises(InputError, match="apt install chromium"):
        printed._print("<p>x", tmp_path / "x.pdf")


@pytest.mark.skipif(printed.browser() is None, reason="no Chromium here: apt install chromium")
def test_a_pdf_says_on_which_page_each_chapter_begins(folder, tmp_path):
    path = tmp_path / "book.pdf"
    printed._print(printed.document(folder, "mine"), path)
    numbers = printed.page_numbers(path)
    assert [numbers[name] for name in ("index", "a-one", "two", "two-three")] == [3, 4, 5, 5]
    begun = [page.extract_text().split("\n")[:2] for page in pypdf.PdfReader(path).pages]
    assert [str(i) in lines for i, lines in enumerate(begun, 1)] == [False] + [True] * 4
