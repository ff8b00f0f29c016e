"""A threshold that the reader moves: what a network finds, and what it takes for a find.

In the book book/_static/threshold.js draws a dot a radiograph and a slider. In JupyterLab and on
paper, where no script runs, the table stands alone, for the threshold that networks are judged by.
"""

import html
import json

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
        rows = [
            f'<tr><th scope="row">{html.escape(place)}</th>'
            f"<td>{_share(*found)}</td><td>{_share(*cleared)}</td></tr>"
            for place, (found, cleared) in self.at(START).items()
        ]
        heads = ("Asked about", "Sensitivity", "Specificity")
        head = "".join(f'<th scope="col">{name}</th>' for name in heads)
        said = html.escape(json.dumps(self.said, separators=(",", ":")))
        return (
            f'<div class="cxr-threshold" data-target="{html.escape(self.target)}"'
            f' data-start="{START}" data-said="{said}">'
            f"<table><caption>Where yes begins at {START} %</caption>"
            f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
        )


def _share(part, of):
    """Writes a share with its counts: "92 % (11 of 12)"; "–" of none."""
    return f"{100 * part / of:.0f} % ({part} of {of})" if of else "–"
