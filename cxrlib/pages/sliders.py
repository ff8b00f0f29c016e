"""Figures with a slider: where yes begins, and how firmly marks were tied to the groups.

In the book book/_static/sliders.js draws them. In JupyterLab and on paper, where no script runs, a
table stands alone.
"""

import html
import json

from cxrlib import shortcuts
from cxrlib.labels import number, ranged
from cxrlib.pages.figures.drawn import EXPERIMENT_COLOURS

START = 50
"""Per cent: where yes begins until the reader says otherwise, as in all other chapters."""


class Threshold:
    """Sensitivity and specificity of one network, in two or more places.

    Args:
        asked: Dict of place -> predictions, DataFrames with y_* (0 or 1) and p_* columns.
        target: One of the five.
    """

    def __init__(self, asked, target="COVID"):
        self.target, self.said = target, {}
        for place, one in asked.items():
            has = one[f"y_{target}"] == 1
            per_mille = (1000 * one[f"p_{target}"]).astype(int)  # down, so that 0.4999 stays a no
            parts = {"with": per_mille[has], "without": per_mille[~has]}
            self.said[place] = {kind: part.tolist() for kind, part in parts.items()}

    def at(self, per_cent):
        """Counts what is right where yes begins at a probability.

        Args:
            per_cent: Whole number from 0 to 100.

        Returns:
            Dict of place -> ((found, with the target), (cleared, without it)), whole numbers.
        """
        counts = {}
        for place, said in self.said.items():
            found = sum(p >= 10 * per_cent for p in said["with"])
            cleared = sum(p < 10 * per_cent for p in said["without"])
            counts[place] = ((found, len(said["with"])), (cleared, len(said["without"])))
        return counts

    def _repr_html_(self):
        counts = self.at(START).items()
        rows = {place: [_share(*part) for part in parts] for place, parts in counts}
        heads = ("Asked about", "Sensitivity", "Specificity")
        table = _table(f"Where yes begins at {START} %", heads, rows)
        return _figure("threshold", table, target=self.target, start=START, said=_json(self.said))


class Dial:
    """What the AUC hangs on, as marks are tied to groups more and more firmly.

    Args:
        auc: The sweep's "auc" frames, joined (see `shortcuts.sweep`).
    """

    def __init__(self, auc):
        whole = auc[auc["target"] == "all"]
        by = ["tie", "experiment", "version"]
        mean = whole.groupby(by)["auc"].mean()
        lost = shortcuts.over_seeds(shortcuts.gaps(whole), "gap", by).set_index(by)
        there = set(whole["experiment"])
        self.experiments = [name for name in EXPERIMENT_COLOURS if name in there]
        self.said = {
            f"{100 * tie:.0f} %": [
                (
                    *(number(mean[tie, name, version]) for version in ("tied", "random")),
                    ranged(*lost.loc[(tie, name, "random"), ["mean", "low", "high"]]),
                )
                for name in self.experiments
            ]
            for tie in sorted(whole["tie"].unique())
        }

    def _repr_html_(self):
        firmest = list(self.said)[-1]
        names = [name.replace("-", ", ") for name in self.experiments]
        rows = dict(zip(names, self.said[firmest]))
        heads = ("Experiment", "Marks as in training", "Marks at random", "Shortcut gap")
        colours = [EXPERIMENT_COLOURS[name] for name in self.experiments]
        table = _table(f"AUC where the tie was {firmest} in training", heads, rows)
        return _figure("dial", table, said=_json(self.said), colours=_json(colours))


def _table(caption, heads, rows):
    """Returns a table as HTML; rows is a dict of each row's head -> its other cells."""
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    body = "".join(
        f'<tr><th scope="row">{html.escape(name)}</th>'
        f"{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
        for name, cells in rows.items()
    )
    inside = f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
    return f"<table><caption>{caption}</caption>{inside}</table>"


def _figure(kind, table, **data):
    """Returns a table with what its script reads."""
    told = "".join(f' data-{name}="{html.escape(str(value))}"' for name, value in data.items())
    return f'<div class="cxr-slider cxr-{kind}"{told}>{table}</div>'


def _json(value):
    return json.dumps(value, separators=(",", ":"))


def _share(part, of):
    """Writes a share with its counts: "92 % (11 of 12)"; "–" of none."""
    return f"{100 * part / of:.0f} % ({part} of {of})" if of else "–"
