"""Galleries: every test radiograph of the runs, to be filtered and opened in the book's page.

The page carries its data, because one opened from a folder may fetch nothing. What is common to
several arms, a radiograph with its truth and its lungs, is in it once; heatmaps are grey, and the
page colours them. Its script and style are book/_static/gallery.js and gallery.css.
"""

import base64
import json
from typing import NamedTuple

import cv2
import numpy as np
from matplotlib import colormaps

from cxrlib import images, metrics
from cxrlib.labels import GROUP_LABELS, UNTRAINED, arm_label
from cxrlib.networks import ARCHITECTURES
from cxrlib.targets import GROUP_TARGET, TARGETS

LIMIT = 300
"""Test radiographs of an experiment that a gallery holds at most."""

IMAGE_EDGE, HEATMAP_EDGE = 224, 96
"""Pixels that a gallery's radiographs and heatmaps have at most."""

QUALITY = 75
"""Of the WebP images, of 100: a radiograph of 224 px takes 3 to 6 kB, a heatmap half of one."""

OUTCOMES = ("right", "missed", "false alarm")
"""What an answer is: as the truth, no where the truth is yes, yes where it is no."""

LUNGS_GRID = 1000
"""Lung outlines are drawn on a square of so many units, whatever the image size."""

_FALLBACK = "The gallery is in the book: run `make book` and open this chapter there."


class Radiograph(NamedTuple):
    """One radiograph as a gallery holds it: file, copy and group as in the cohort, and

    truth, five of 0 and 1 in the order of `TARGETS`; image, WebP in base64; lungs, their outline as
    the path of an SVG on `LUNGS_GRID`, "" where it is not known.
    """

    file: str
    copy: int
    group: str
    truth: tuple[int, ...]
    image: str
    lungs: str


class Gallery:
    """The radiographs of several experiments, shown in the book.

    Args:
        panels: What `panel` returns for each experiment.
    """

    def __init__(self, panels):
        self.data = join(panels)

    def _repr_mimebundle_(self, include=None, exclude=None):
        content = json.dumps(self.data, separators=(",", ":")).replace("<", "\\u003c")
        return {
            "text/html": f'<div class="cxr-gallery"><p>{_FALLBACK}</p>'
            f'<script type="application/json">{content}</script></div>',
            "text/plain": _FALLBACK,
        }


def panel(runs, radiographs, pixels, regions, limit=LIMIT):
    """Gathers the test radiographs of one experiment and what its arms say of them.

    Args:
        runs: Runs of the experiment, finished or not.
        radiographs: The experiment's radiographs, DataFrame with split, file, group and copy.
        pixels: uint8 (n, size, size, 3), row by row `radiographs`.
        regions: Function of a row of `radiographs` that gives its bool masks by name, as
            `study.regions` does; the one called lungs is used, if it is there.
        limit: Radiographs to show at most; `choose` takes them.

    Returns:
        Dict of experiment, total (test radiographs there are), radiographs (a `Radiograph` each),
        arms, best first, those that have not learnt enough last, and missing: sentences on the
        arms that did not run. An arm is a dict of label, note, method, and for each radiograph its
        five probabilities, its five outcomes (places in `OUTCOMES`) and its heatmap, WebP in
        base64, "" where it is 0 throughout.
    """
    finished = [run for run in runs if run.finished]
    positions = np.flatnonzero(radiographs["split"] == "test")
    places = choose(radiographs["group"].to_numpy()[positions], limit)
    return {
        "experiment": runs[0].experiment,
        "total": len(positions),
        "radiographs": [
            _radiograph(radiographs.iloc[i], pixels[i], regions) for i in positions[places]
        ],
        "arms": [_arm(run, places) for run in sorted(finished, key=_rank)],
        "missing": [
            f"{_label(run)}: {run.info.get('reason', run.info['state'])}"
            for run in runs
            if not run.finished
        ],
    }


def join(panels):
    """Joins experiments into the data of a page, each radiograph once.

    Args:
        panels: What `panel` returns for each experiment.

    Returns:
        Dict that JSON can hold. Experiments name their radiographs by place in `radiographs`.
    """
    places = {}
    experiments = [
        {**one, "radiographs": [places.setdefault(r, len(places)) for r in one["radiographs"]]}
        for one in panels
    ]
    return {
        "targets": TARGETS,
        "groups": GROUP_LABELS,
        "group_targets": GROUP_TARGET,
        "outcomes": OUTCOMES,
        "grid": LUNGS_GRID,
        "colours": colormaps["inferno"](np.linspace(0, 1, 17))[:, :3].T.round(3).tolist(),
        "radiographs": [one._asdict() for one in places],
        "experiments": experiments,
    }


def choose(groups, limit=LIMIT):
    """Chooses radiographs before any result is seen: the first ones of every group, in turn.

    Args:
        groups: Array of n group names.
        limit: How many are wanted at most.

    Returns:
        int array of places, ascending: all where there are no more than `limit`. A small group is
        whole before a large one gets more than it.
    """
    groups = np.asarray(groups)
    turn = np.zeros(len(groups), int)
    for group in np.unique(groups):
        turn[groups == group] = np.arange((groups == group).sum())
    return np.sort(np.argsort(turn, kind="stable")[:limit])


def outcomes(truth, scores):
    """Judges answers: yes from a probability of 0.5 on.

    Args:
        truth: Array (n, 5) of 0 and 1.
        scores: Array (n, 5) of probabilities.

    Returns:
        int array (n, 5) of places in `OUTCOMES`.

    Raises:
        InputError: As `metrics.evaluate`.
    """
    truth, _, answers = metrics.checked(truth, scores)
    return np.where(answers == truth, 0, np.where(truth, 1, 2))


def outline(mask):
    """Traces a mask.

    Args:
        mask: bool array (size, size).

    Returns:
        The path of an SVG on a square of `LUNGS_GRID` units; "" for an empty mask.
    """
    found, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    size = len(mask)
    parts = []
    for contour in found:
        corners = cv2.approxPolyDP(contour, 0.004 * size, closed=True)[:, 0]
        units = np.rint((corners + 0.5) / size * LUNGS_GRID).astype(int)
        parts.append("M" + "L".join(f"{x} {y}" for x, y in units) + "Z")
    return "".join(parts)


def _radiograph(row, image, regions):
    lungs = regions(row).get("lungs")
    return Radiograph(
        file=str(row["file"]),
        copy=int(row["copy"]),
        group=row["group"],
        truth=tuple(int(row[target]) for target in TARGETS),
        image=_webp(cv2.cvtColor(np.asarray(image), cv2.COLOR_RGB2GRAY), IMAGE_EDGE),
        lungs="" if lungs is None else outline(lungs),
    )


def _arm(run, places):
    predictions = run.test_predictions.iloc[places]
    scores = predictions[[f"p_{target}" for target in TARGETS]].to_numpy()
    truth = predictions[[f"y_{target}" for target in TARGETS]].to_numpy()
    kept = run.heatmaps
    return {
        "label": _label(run),
        "note": "" if run.learnt else f": {UNTRAINED}",
        "method": ARCHITECTURES[run.architecture].heatmap,
        "probabilities": scores.round(3).tolist(),
        "outcomes": outcomes(truth, scores).tolist(),
        "heatmaps": [_webp(kept[i], HEATMAP_EDGE) if kept[i].any() else "" for i in places],
    }


def _rank(run):
    """Orders arms by the lowest validation loss, after those that have learnt."""
    return not run.learnt, run.history["val_loss"].min()


def _label(run):
    return arm_label(*run.key[1:])


def _webp(grey, edge):
    small = images.resize(np.asarray(grey), min(edge, len(grey)))
    encoded = cv2.imencode(".webp", small, [cv2.IMWRITE_WEBP_QUALITY, QUALITY])[1]
    return base64.b64encode(encoded).decode()
