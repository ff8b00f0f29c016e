"""A table as the book shows it, numbered and captioned."""

import html
import io
import numbers
import re

import pandas as pd

from cxrlib.errors import printable

NONE = pd.DataFrame({"Arm": ["none finished"]})
"""What is shown where no arm is finished."""

ENDS = ["value", "low", "high"]
"""A measure and its interval."""


class Table:
    """A frame with a caption, shown numbered in the book and as HTML in JupyterLab.

    Args:
        frame: DataFrame; cells are text, of which nothing becomes markup.
        caption: One line of text.
        name: Label that prose refers to with {numref}.
    """

    def __init__(self, frame, caption, name):
        self.frame, self.caption, self.name = frame, caption, name

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {
            "text/markdown": self._markdown(),
            "text/html": f"<p>{html.escape(self.caption)}</p>{self._html()}",
            "text/plain": f"{self.caption}\n{self.frame.to_string(index=False)}",
        }

    def _filled(self):
        """Returns the frame, with a row "none" where it has none: Sphinx has no such table."""
        if len(self.frame) and len(self.frame.columns):
            return self.frame
        columns = list(self.frame.columns) or ["Rows"]
        return pd.DataFrame([["none", *[""] * (len(columns) - 1)]], columns=columns)

    def _html(self):
        """Writes the table for JupyterLab; a row's first cell is its header, as in the book."""
        shown = self._filled()
        first = shown.columns[0]
        return shown.set_index(first).rename_axis(index=None, columns=first).to_html()

    def _markdown(self):
        """Writes the one directive that Jupyter Book numbers as a table."""
        rows = io.StringIO()
        shown = self._filled().map(_escaped)
        shown.columns = map(_escaped, shown.columns)
        shown.to_csv(rows, index=False)
        return (
            f"```{{csv-table}} {_escaped(self.caption)}\n:name: {self.name}\n:header-rows: 1\n\n"
            f"{rows.getvalue()}```"
        )


_MARKUP = re.compile(
    r"[\\`*_{}\[\]<$~]"  # code, emphasis, roles, links, HTML, formulas
    r"|&(?=[#\w])"  # entities
    r"|^[#>+\-:%=(|]|(?<=\d)[.)](?=\s|$)"  # blocks: headings, quotes, lists, comments, labels
)


def _escaped(cell):
    """Writes text so that MyST shows it as it is: it may come from a file's name or a run.json."""
    if cell is None or isinstance(cell, numbers.Number):
        return cell
    return _MARKUP.sub(r"\\\g<0>", printable(str(cell)).strip(" "))
