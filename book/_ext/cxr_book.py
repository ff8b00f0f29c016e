"""What Jupyter Book's settings cannot do for this book.

Formulas without a network: Jupyter Book fetches MathJax from a CDN on every page with a formula.
Browsers draw MathML by themselves, and docutils, which Sphinx stands on, translates TeX into it.

An API page in seconds: autodoc mocks Keras, yet goes for the source of a class that ours derive
from, and so imports Keras and TensorFlow after all. Told that there is no source, it does not. The
page lists its modules by hand, and a test keeps the list whole: autosummary would write a page a
module into book/, and Jupyter Book leaves out every page that _toc.yml does not list.

Docstrings as they read in the source: their columns stay columns, their colons stay colons.

Negative numbers of prose with a minus, as in the tables: what a run glues comes with a hyphen.
Tables stay as they are written: in a file's name Sphinx would curl quotes and join hyphens.
A table's first column names its rows, to those who hear it too.

Links to the repository where _config.yml has its address: the theme fails where it has none. A
chapter's lead to what people edit in `notebooks/`, not to its executed copy in `book/`.

A content security policy on every page: only the theme's own scripts run. Text from a file's name
or a run.json is escaped where it is written; should some slip through, it runs nothing and asks
nothing of any server.
"""

import base64
import hashlib
import html
import re
import textwrap
from pathlib import Path

from docutils import nodes
from docutils.utils.math import latex2mathml
from sphinx.errors import PycodeError
from sphinx.pycode import ModuleAnalyzer
from sphinx.transforms import SphinxTransform
from sphinx.util import logging

from cxrlib.pages import notebooks

logger = logging.getLogger(__name__)


def _mathml(node, as_block=False):
    """Returns the formula as MathML; as it was typed, with a warning, where that fails."""
    try:
        return latex2mathml.tex2mathml(node.astext(), as_block=as_block)
    except (SyntaxError, ValueError) as error:
        logger.warning("cannot draw the formula %r: %s", node.astext(), error, location=node)
        return f"<code>{node.astext()}</code>"


def inline(translator, node):
    """Writes a formula inside a sentence."""
    translator.body.append(_mathml(node))
    raise nodes.SkipNode


def block(translator, node):
    """Writes a formula on a line of its own, with its number where it has a label."""
    number = f'<span class="eqno">({node["number"]})</span>' if node.get("number") else ""
    translator.body.append(translator.starttag(node, "div", CLASS="math"))
    translator.body.append(f"{_mathml(node, as_block=True)}{number}</div>\n")
    raise nodes.SkipNode


def entry(translator, node):
    """Opens an entry of the references: docutils' role for it is one that ARIA has given up."""
    type(translator).visit_citation(translator, node)
    translator.body[-1] = translator.body[-1].replace("doc-biblioentry", "listitem")


def end_of_entry(translator, node):
    """Closes an entry of the references."""
    type(translator).depart_citation(translator, node)


def as_written(app, what, name, thing, options, lines):
    """Keeps prose from being taken for markup: it runs before Napoleon reads the docstring."""
    if lines and lines[0].startswith("Alias for field number"):  # Python's words for a named tuple
        lines.clear()
    if what in ("attribute", "data", "property") and lines:
        lines[0] = ": " + lines[0]  # Napoleon takes what stands before a colon for a type: nothing
    if what == "module":
        blocks = "\n".join(lines).split("\n\n")
        for i, block in enumerate(blocks):
            if re.search(r"\S {2,}\S", block):  # columns, which a paragraph would run together
                columns = textwrap.indent(textwrap.dedent(block), "    ")
                blocks[i] = f".. code-block:: text\n\n{columns}"
        lines[:] = "\n\n".join(blocks).split("\n")


class TablesAsWritten(SphinxTransform):
    """Keeps smart quotes out of tables, and makes each row's first cell its header."""

    default_priority = 700  # before smart quotes

    def apply(self):
        """Marks each table as no place for them, and its first column as one of headers."""
        for table in self.document.findall(nodes.table):
            table["support_smartquotes"] = False
            next(table.findall(nodes.colspec))["stub"] = 1


def minus_signs(app, doctree, name):
    """Writes the hyphen before a number as a minus, in sentences only."""
    cells = {id(text) for cell in doctree.findall(nodes.entry) for text in cell.findall(nodes.Text)}
    for text in list(doctree.findall(nodes.Text)):
        if type(text.parent) in (nodes.paragraph, nodes.inline) and id(text) not in cells:
            text.parent.replace(text, nodes.Text(re.sub(r"(?<![\w-])-(?=\d)", "−", text)))


def at_home(app, config):
    """Turns the theme's links to the repository on, where it has an address."""
    if config.html_theme_options.get("repository_url"):
        config.html_theme_options |= {
            "repository_branch": "main",
            "path_to_docs": "book",
            "use_repository_button": True,
            "use_source_button": True,
            "use_edit_page_button": True,
            "launch_buttons": {
                "binderhub_url": "https://mybinder.org",
                "notebook_interface": "jupyterlab",
            },
        }


def to_sources(app, pagename, templatename, context, doctree):
    """Leads a chapter's links to its text, and the one that runs it to its notebook."""
    name = notebooks.FRONT if pagename == "index" else Path(pagename).name
    for group in context["header_buttons"]:
        ending = ".ipynb" if group.get("label") == "launch-buttons" else ".md"
        for button in group.get("buttons", [group]):
            if "url" in button:
                source = f"notebooks/{name}{ending}"
                button["url"] = button["url"].replace(f"book/{pagename}.ipynb", source)


POLICY = (
    "default-src 'none'; script-src 'self' file: {scripts}; "
    "style-src 'self' file: 'unsafe-inline'; img-src 'self' file: data:; "
    "font-src 'self' file: data:; form-action 'self' file:; connect-src 'self' file:; "
    "base-uri 'none'"
)
"""`file:` is what 'self' does not mean where a book is opened from a folder."""

_SCRIPT = re.compile(r"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", re.S)
_HANDLER = re.compile(r"""\son\w+="([^"]*)\"""")


def policy(skeleton):
    """Returns the policy under which a page's own inline scripts run and no others.

    Args:
        skeleton: The page's HTML without its content.
    """
    handlers = {html.unescape(code) for code in _HANDLER.findall(_SCRIPT.sub("", skeleton))}
    codes = [*sorted(set(_SCRIPT.findall(skeleton))), *sorted(handlers)]
    digests = [hashlib.sha256(code.encode()).digest() for code in codes]
    allowed = [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests]
    return POLICY.format(scripts=" ".join([*["'unsafe-hashes'"] * bool(handlers), *allowed]))


def guard(app, pagename, templatename, context, doctree):
    """Writes the policy into a page's head, from the page rendered without its content."""
    skeleton = app.builder.templates.render(templatename, {**context, "body": ""})
    tag = f'<meta http-equiv="Content-Security-Policy" content="{policy(skeleton)}">'
    context["metatags"] = tag + context.get("metatags", "")


def setup(app):
    """Registers the renderer that `html_math_renderer` names, and what has no source."""
    app.connect("autodoc-process-docstring", as_written, priority=400)
    app.add_transform(TablesAsWritten)
    app.connect("doctree-resolved", minus_signs)
    app.connect("config-inited", at_home)
    app.connect("html-page-context", to_sources, priority=600)  # after the theme's buttons
    app.connect("html-page-context", guard, priority=900)  # after the theme's own
    app.add_node(nodes.citation, override=True, html=(entry, end_of_entry))
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    for mocked in ("keras", "keras.utils"):
        ModuleAnalyzer.cache["module", mocked] = PycodeError("mocked")
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
