"""Tables for the book: tidy frames in, frames of text out, and one that is shown numbered.

Nothing here trains. Captions stand in the chapters: `Table(overall(runs), caption, "tab-x")`.
"""

import dataclasses
import html
import io
import numbers
import re

import numpy as np
import pandas as pd

from cxrlib import metrics, paper
from cxrlib.errors import printable
from cxrlib.labels import (
    COVERED,
    GROUP_LABELS,
    LABELS,
    UNTRAINED,
    arm_label,
    interval,
    listed,
    measure_label,
    minutes,
    number,
    p_value,
    plain,
    ranged,
    run_label,
    signed,
    split_label,
)  # fmt: skip
from cxrlib.metrics import calibration, comparison
from cxrlib.networks import ARCHITECTURES
from cxrlib.shortcuts import external as elsewhere
from cxrlib.study import experiments, trials
from cxrlib.study.runs import NOT_RUN
from cxrlib.targets import GROUP_TARGET, TARGETS

_IMAGENET = " (ImageNet)"
"""Said of a value of the paper's whose arm began from its weights, and ours from others."""

_NONE = pd.DataFrame({"Arm": ["none finished"]})
_ENDS = ["value", "low", "high"]


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


def overall(runs):
    """Tabulates the measures of the whole answer, each arm beside the paper's printed values.

    Args:
        runs: Runs of one experiment.

    Returns:
        Three rows an arm: measured, printed, and the difference; of an arm that was not run the
        first two, and of one that the paper does not have the first.
    """
    published = paper.beside(runs)
    rows = []
    for run in runs:
        rows.append([arm_label(*run.key[1:]), *_overall_cells(run)])
        printed, same = paper.of_arm(published, *run.key)
        if printed.empty:
            continue
        rows.append(
            [f"– paper{'' if same else _IMAGENET}", *_cells(printed, "all", metrics.OVERALL)]
        )
        if run.finished:
            rows.append(["– difference", *_less(run.metrics, printed, "all", metrics.OVERALL)])
    columns = ["Arm", *(LABELS[metric] for metric in metrics.OVERALL)]
    return pd.DataFrame(rows, columns=columns)


def per_target(runs):
    """Tabulates precision, recall and F1 per target, each beside the paper's printed value.

    Args:
        runs: Runs of one experiment.

    Returns:
        A row an arm and, below it, a row a target; the paper's columns only where it has one of
        the arms.
    """
    published = paper.beside(runs)
    rows, in_paper = [], False
    for run in runs:
        if not run.finished:
            continue
        measured, (printed, _) = run.metrics, paper.of_arm(published, *run.key)
        in_paper = in_paper or len(printed) > 0
        rows.append([arm_label(*run.key[1:]), *[""] * 6])
        for target in TARGETS:
            recall = measured[(measured["target"] == target) & (measured["metric"] == "recall")]
            ours = _cells(measured, target, metrics.PER_TARGET)
            theirs = _cells(printed, target, metrics.PER_TARGET, bounds=False)
            less = _less(measured, printed, target, metrics.PER_TARGET, bounds=False)
            known = [b not in ("–", "undefined") for b in less]
            beside = [f"{a} [{b}]" if k else a for a, b, k in zip(theirs, less, known)]
            pairs = [cell for pair in zip(ours, beside) for cell in pair]
            rows.append([f"–\u00a0{target}\u00a0({int(recall['n'].iloc[0])})", *pairs])
    columns = ["Arm, target (patients)"]
    for metric in metrics.PER_TARGET:
        columns += [LABELS[metric], "paper"]
    frame = pd.DataFrame(rows, columns=columns)
    return frame if in_paper or not rows else frame.drop(columns="paper")


def verdicts(compared):
    """Tabulates whether what the paper printed comes out again, a row an arm.

    Args:
        compared: As `verdicts.table` returns it.
    """
    rows = []
    for key, part in compared.groupby([*trials.ARM, "image_size"], sort=False, dropna=False):
        edge, seeds = key[-1], part["seeds"].iloc[0]
        cells = {
            "Arm": run_label(*key[:3]) + ("" if np.isnan(edge) else f", {edge:.0f}\u00a0px"),
            "Seeds": seeds or "–",
        }
        for row in part.itertuples():
            name = "Harsh accuracy" if row.target == "all" else f"{row.target} {row.metric}"
            cells[f"{name}, paper"] = interval(row.paper, np.nan, np.nan)
            here = interval(row.value, row.low, row.high) if seeds else "–"
            cells |= {f"{name}, here": here, f"{name}: verdict": row.verdict}
        rows.append(cells)
    return pd.DataFrame(rows)


def aucs(runs, tested):
    """Tabulates the AUC of each target in the test split, and of COVID on new patients.

    Args:
        runs: Finished runs.
        tested: Predictions of radiographs from elsewhere, one table a run.
    """
    rows = []
    for run, answers in zip(runs, tested):
        cells = {"Arm": f"{run_label(*run.key)}, {run.info['image_size']}\u00a0px"}
        cells["Seed"] = run.info["seed"]
        for target in TARGETS:
            value, *ends = run.measure("auc", target)
            cells[target] = ranged(value, *ends) if target == "COVID" else number(value)
        there = metrics.auc_of(answers, "COVID")
        rows.append(cells | {"COVID, new patients": ranged(*there)})
    return pd.DataFrame(rows)


def seeds(runs):
    """Tabulates how far the main measures differ between seeds, beside the paper's values.

    Args:
        runs: Runs of one experiment, of all seeds and folds, as `study.every` returns them.

    Returns:
        A row an arm and measure; the paper's columns only where it has one of the arms.
    """
    if not any(run.finished for run in runs):
        return _NONE
    measured, published = trials.measured(runs), paper.beside(runs)
    spread = trials.spread(measured)
    rows = []
    for key, part in measured.groupby(trials.ARM, sort=False):
        printed, same = paper.of_arm(published, *key)
        for target, metric in (("all", "accuracy"), ("all", "macro_f1"), ("COVID", "recall")):
            own = part[(part["target"] == target) & (part["metric"] == metric)]
            facts = dict(zip([*trials.ARM, "target", "metric"], (*key, target, metric)))
            over = spread.loc[(spread[list(facts)] == pd.Series(facts)).all(axis=1)].iloc[0]
            there = printed[(printed["target"] == target) & (printed["metric"] == metric)]["value"]
            theirs = there.iloc[0] if len(there) else np.nan
            rows.append([
                arm_label(*key[1:]), measure_label(metric, target),
                interval(*own.iloc[0][_ENDS]), over["seeds"],
                "–" if over["seeds"] < 2 else f"{100 * over['mean']:.1f} ± {100 * over['sd']:.1f}",
                "–" if over["seeds"] < 2
                else f"{100 * over['smallest']:.1f} to {100 * over['largest']:.1f}",
                "–" if printed.empty
                else interval(theirs, np.nan, np.nan) + ("" if same else _IMAGENET),
                trials.verdict(own["value"], theirs),
            ])  # fmt: skip
    columns = [
        "Arm", "Measure", "First seed", "Seeds", "Over seeds", "Range", "Paper", "Paper's is",
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=columns)
    return frame if (frame["Paper"] != "–").any() else frame.drop(columns=columns[-2:])


def differences(runs):
    """Tabulates whether the arms of an experiment differ, each pair on the same radiographs.

    Args:
        runs: Runs of one experiment, or of several that test the same radiographs.
    """
    several = len({run.experiment for run in runs}) > 1
    answers = {
        run_label(*run.key) if several else arm_label(*run.key[1:]): run.test_predictions
        for run in runs
        if run.finished
    }
    columns = ["One arm", "Another", "Measure", "Difference", "p", "The first is"]
    if len(answers) < 2:
        rows = [[*(answers or ["none"]), "none ran", "–", "–", "–", "–"]]
        return pd.DataFrame(rows, columns=columns)
    rows = []
    for row in comparison.table(answers).itertuples():
        measure = measure_label(row.metric, row.target)
        p = "–" if np.isnan(row.p_holm) else p_value(row.p_holm)
        less = signed(row.difference, row.low, row.high)
        rows.append([row.a, row.b, measure, less, p, row.verdict])
    return pd.DataFrame(rows, columns=columns)


def likeness(compared):
    """Tabulates how alike two networks' heatmaps are.

    Args:
        compared: As `sanity.cascades` or `sanity.retrained` returns it.
    """
    rows = []
    for (heatmap, change), found in compared.groupby(["heatmap", "change"], sort=False):
        cells = {"Heatmap": heatmap, "Network": change}
        for row in found.itertuples():
            measure = {"ssim": "Structural similarity", "rank": "Rank correlation"}[row.measure]
            shown = ranged(row.value, row.low, row.high)
            cells[measure] = shown
            cells[f"{measure}, others"] = number(row.pairs)
            cells["Compared"] = row.n
        rows.append(cells)
    none = [{"Heatmap": "none", "Network": "Efficient was not run"}]
    return pd.DataFrame(rows or none)


def calibrations(runs):
    """Tabulates how well probabilities are calibrated, as they are and temperature-scaled.

    Args:
        runs: Finished runs.
    """
    rows = []
    for run in runs:
        fitted = calibration.temperature(run.validation_predictions)
        scaled = calibration.temperature_scaled(run.test_predictions, fitted)
        for kind, answers in (
            ("as they are", run.test_predictions),
            ("temperature-scaled", scaled),
        ):
            found = calibration.scores(answers).query("target == 'all'").set_index("metric")
            brier = found.loc["brier"]
            errors = [
                f"{found.loc[key, 'value']:.3f}" for key in ("calibration_error", "chance_error")
            ]
            shown = f"{brier['value']:.3f} ({brier['low']:.3f}–{brier['high']:.3f})"
            temperature = "1" if kind == "as they are" else f"{fitted:.2f}"
            rows.append([run_label(*run.key), kind, temperature, shown, *errors])
    scores = [LABELS[key] for key in ("brier", "calibration_error", "chance_error")]
    columns = ["Arm", "Probabilities", "Temperature", *scores]
    return pd.DataFrame(rows, columns=columns)


def predictive_values(runs):
    """Tabulates how often "COVID" would be right where COVID is rarer than in this cohort.

    Args:
        runs: Finished runs.
    """
    rows = []
    for run in runs:
        cells = {"Arm": run_label(*run.key)}
        if not calibration.has_both(run.test_predictions, "COVID"):
            rows.append(
                cells | {"Said": "undefined: needs test radiographs with COVID and without"}
            )
            continue
        for row in calibration.predictive_value(run.test_predictions, "COVID").itertuples():
            cells[f"{100 * row.prevalence:g}\u00a0% ill"] = interval(row.value, row.low, row.high)
        rows.append(cells)
    return pd.DataFrame(rows)


def thresholds(runs, target="COVID"):
    """Tabulates what a threshold chosen on validation radiographs does to a target's measures.

    Args:
        runs: Finished runs.
        target: One of `TARGETS`.

    Returns:
        Two rows a run: at 0.5, and at the threshold with the highest recall plus specificity.
    """
    measures = ("recall", "specificity", "precision", "f1")
    rows = []
    for run in runs:
        found = calibration.at_thresholds(run.validation_predictions, run.test_predictions)
        for _, part in found.groupby("rule", sort=False):
            cut = part.loc[part["target"] == target, "threshold"].iloc[0]
            label = run_label(*run.key)
            rows.append([label, f"{cut:.2f}", *_cells(part, target, measures)])
    columns = ["Arm", "Threshold", *(LABELS[measure] for measure in measures)]
    return pd.DataFrame(rows, columns=columns)


def attention(summary, of="region"):
    """Tabulates heatmap energy beside what chance gives.

    Args:
        summary: As `attention.summary` returns it, by experiment, architecture, weights, perhaps
            seed, and `of`.
        of: "region", or "target" where one region is shown target by target.
    """
    rows = []
    seed = [name for name in ("seed",) if name in summary]
    keys = ["experiment", "architecture", "weights", *seed, of]
    for (experiment, architecture, weights, *what), part in summary.groupby(keys, sort=False):
        found = part.set_index("measure")
        cells = [interval(*found.loc[measure, _ENDS]) for measure in ("energy", "pointing")]
        chance = [f"{100 * found.loc[measure, 'value']:.1f}" for measure in ("area", "gaussian")]
        lift = signed(*found.loc["lift", _ENDS])
        label = run_label(experiment, architecture, weights)
        rows.append([label, *what, found["n"].iloc[0], *cells, *chance, lift])
    chance = ["Its share", "Gaussian"]
    which = [name.capitalize() for name in (*seed, of)]
    columns = ["Arm", *which, "n", "Energy", "Highest point", *chance, "Above share"]
    return pd.DataFrame(rows, columns=columns)


def recovery(measured):
    """Tabulates how much of the marks of phantoms is found.

    Args:
        measured: As `marks.recovery` returns it.
    """
    rows = [
        {
            "Mark": row.mark,
            "Phantoms": row.n,
            "Found": f"{100 * row.found:.0f}",
            "Recall": "" if np.isnan(row.recall) else f"{100 * row.recall:.0f}",
            "Precision": "" if np.isnan(row.precision) else f"{100 * row.precision:.0f}",
        }
        for row in measured.itertuples()
    ]
    return pd.DataFrame(rows)


def marks_changed(measured):
    """Tabulates what a change of its marks does to the probability of each group's own target.

    Args:
        measured: As `shortcuts.marks_changed` returns it, of one or several experiments.
    """
    own = measured[measured["target"] == measured["group"].map(GROUP_TARGET)]
    rows = []
    for (change, mark, group), part in own.groupby(["change", "mark", "group"], sort=False):
        found, first = part.set_index("experiment"), part.iloc[0]
        cells = [f"{mark} pasted" if change == "pasted" else change, group]
        cells.append(f"{first['n']} ({100 * first['share']:.0f}\u00a0%)")
        for experiment in found.index:
            ends = found.loc[experiment, ["mean", "low", "high"]]
            cells += [signed(*ends), f"{100 * found.loc[experiment, 'flipped']:.1f}"]
        rows.append(cells)
    columns = ["Change", "Group", "Radiographs"]
    for experiment in own["experiment"].unique():
        columns += [f"{experiment}: change", "turned"]
    return pd.DataFrame(rows, columns=columns)


def occlusion(measured):
    """Tabulates how well targets and origin are told with parts of every radiograph covered.

    Args:
        measured: As `shortcuts.occlusion` returns it, all runs joined.
    """
    rows = []
    for cover, part in measured.groupby("cover", sort=False):
        row = {"Radiographs": COVERED[cover]}
        for target, runs_of in part.groupby("target", sort=False):
            ends = runs_of["value"].mean(), runs_of["low"].min(), runs_of["high"].max()
            note = runs_of["note"].fillna("").iloc[0]
            row[target] = note or ranged(*ends)
        rows.append(row)
    return pd.DataFrame(rows).rename(columns={"origin": "Origin"})


def over_seeds(measured, columns):
    """Tabulates measures that were averaged over seeds.

    Args:
        measured: As `shortcuts.over_seeds` returns it.
        columns: Column of `measured` -> its heading; the mean with its interval comes last.
    """
    rows = measured[list(columns)].astype(str).rename(columns=columns)
    points = [signed(*ends) for ends in measured[["mean", "low", "high"]].itertuples(index=False)]
    return rows.assign(**{"Mean (95 % interval)": points})


def impossible(runs):
    """Tabulates answers that no radiograph can deserve.

    Args:
        runs: Finished runs.
    """
    rows = []
    for run in runs:
        cells = {"Arm": run_label(*run.key)}
        for row in calibration.inconsistent(run.test_predictions).itertuples():
            cells[row.answer] = interval(row.share, row.low, row.high)
        rows.append(cells)
    return pd.DataFrame(rows)


def arms(runs):
    """Tabulates what became of each arm: trained how long, or not run and why.

    Args:
        runs: Runs of one or several experiments.
    """
    rows = []
    for run in runs:
        info, finished = run.info, run.finished
        state = f"{info['state']}: {info['reason']}" if "reason" in info else info["state"]
        if finished and not run.learnt:
            state += f": {UNTRAINED}"
        rows.append(
            {
                "Arm": run_label(*run.key),
                "State": state,
                "Epochs": f"{info['epochs']}/{info['schedule']['epochs']}" if finished else "–",
                "Best": str(info["best_epoch"]) if finished else "–",
                "Images an epoch": f"{info['images_per_epoch']:,}" if finished else "–",
                "Training": minutes(info["training_seconds"]) if finished else "–",
            }
        )
    return pd.DataFrame(rows)


def setup(experiment, profile, split):
    """Tabulates what an experiment does, as this study's profile runs it and as the paper did.

    Args:
        experiment: As the profile has it.
        profile: The study's profile.
        split: How the radiographs were split (see `study.split`).

    Returns:
        A row a setting; no column "paper" for an experiment that the paper does not have.
    """
    kinds = {row.pretrained: name for name, row in ARCHITECTURES.items()}
    deep, small = (profile.schedule(experiment, kinds[kind]) for kind in (True, False))
    as_split = split_label(split).removeprefix("split ")
    columns = {"this study": _settings(experiment, as_split, profile.image_size, deep, small)}
    if experiment.published:
        papers = experiments.find(experiment.name)
        columns["paper"] = _settings(papers, "by image", 768, papers.schedule, papers.schedule)
    return pd.DataFrame(columns).rename_axis("Setting").reset_index().astype(str)


def _settings(experiment, split, edge, deep, small):
    """Returns what an experiment does, in words and numbers by what they are of."""
    copies = experiment.copies
    small_ones = [row.label for row in ARCHITECTURES.values() if not row.pretrained]
    return {
        "Images": experiment.treatment.replace("+", " + "),
        "Split": split,
        "Edge in pixels": edge,
        "Copies of a COVID image": f"{copies.train} train and validation, {copies.test} test"
        if copies
        else "none",
        "Augmentation while training": _online(experiment.online),
        "Batch": small.batch_size,
        "Epochs at most, deep networks": deep.epochs,
        f"Epochs at most, {listed(small_ones)}": small.epochs,
        "Passes an epoch": small.passes_per_epoch,
        "Learning rate": f"{small.learning_rate:g}",
        "Halve the learning rate after epochs without progress": small.reduce_after,
        "Stop after epochs without progress": small.stop_after,
        "Batch normalisation averages over": _norms(small),
    }


def cohort(table):
    """Tabulates radiographs by group and split."""
    counted = table.groupby(["group", "split"], sort=False).size().unstack(fill_value=0)
    counted = counted[["train", "validation", "test"]]
    counted["all"] = counted.sum(axis=1)
    counted.loc["all"] = counted.sum()
    return counted.reset_index().rename(columns={"group": "Group"})


def leakage(counts):
    """Tabulates test radiographs whose patient also occurs in training (see `cohort.leakage`)."""
    return counts.set_axis(["Group", "Test radiographs", "Patient also in training"], axis=1)


def splits(by_split):
    """Tabulates the same arms under several splits, row under row: means over seeds.

    Args:
        by_split: Dict of a split's name -> runs of one or more seeds; the same arms under each.
    """
    asked = {"Harsh accuracy": ("all", "accuracy"), "Macro F1": ("all", "macro_f1")}
    asked |= {"COVID recall": ("COVID", "recall")}
    rows = []
    for split, runs in by_split.items():
        spread = trials.spread(trials.measured(runs)).set_index(["target", "metric"])
        for key, part in spread.groupby(trials.ARM, sort=False):
            cells = [_ranging(part.loc[measure]) for measure in asked.values()]
            seeds = part["seeds"].iloc[0]
            rows.append([run_label(*key), split_label(split).removeprefix("split "), seeds, *cells])
    table = pd.DataFrame(rows, columns=["Arm", "Split", "Seeds", *asked])
    return table.sort_values("Arm", kind="stable", ignore_index=True)


def _ranging(over):
    """Writes a mean in per cent, with the smallest and largest where there are several seeds."""
    mean = f"{100 * over['mean']:.1f}"
    if over["seeds"] < 2:
        return mean
    return f"{mean} ({100 * over['smallest']:.1f} to {100 * over['largest']:.1f})"


def findings(counts):
    """Tabulates what a collection's findings mean here (see `cohort.count_findings`)."""
    shown = counts.assign(group=counts["group"].replace("", "left out"))
    heads = {"finding": "Finding", "group": "Counts as", "reason": "Because"}
    heads["radiographs"] = "Radiographs"
    return shown[list(heads)].rename(columns=heads)


def external(runs):
    """Tabulates how well each run orders radiographs from elsewhere by their probability of COVID.

    Args:
        runs: Runs; those that were not tested elsewhere have no row.

    Returns:
        A row a run and cohort; the cohort is named where there are several, and the split where it
        is not the paper's.
    """
    rows = []
    for run in runs:
        for name, predictions in run.external.items():
            (found,) = elsewhere.scores(predictions).query("target == 'COVID'").itertuples()
            counts = (found.n, found.patients, found.positives)
            rows.append([*_tested(run, name), *counts, _auc(found)])
    columns = ["Arm", "Trained", "Cohort", "Radiographs", "Patients", "With COVID", "AUC"]
    return _cohorts_told_apart(pd.DataFrame(rows, columns=columns))


def called(runs, target="COVID"):
    """Tabulates how often each run calls radiographs from elsewhere COVID, by their group.

    Args:
        runs: As `external` takes them.
        target: One of `shortcuts.external.CALLED`.

    Returns:
        A row a run and cohort, a column a group, COVID last: whole per cent, and of how many.
    """
    rows = []
    for run in runs:
        for name, predictions in run.external.items():
            cells = dict(zip(("Arm", "Trained", "Cohort"), _tested(run, name)))
            for row in elsewhere.called(predictions).query("target == @target").itertuples():
                share, *ends = (f"{100 * v:.0f}" for v in (row.share, row.low, row.high))
                around = "\u2060–\u2060".join(ends)  # never broken over lines
                cells[GROUP_LABELS[row.group]] = f"{share}\u00a0({around}) of {row.n}"
            rows.append(cells)
    order = ["Arm", "Trained", "Cohort", *GROUP_LABELS.values()]
    found = pd.DataFrame(rows, columns=order).dropna(axis=1, how="all")
    return _cohorts_told_apart(found.fillna("–"))


def scores(predictions):
    """Tabulates how well a run orders the radiographs of a cohort, target by target.

    Args:
        predictions: As `shortcuts.external.scores` takes them.
    """
    found = elsewhere.scores(predictions)
    found["auc"] = [_auc(row) for row in found.itertuples()]
    shown = {"target": "Target", "auc": "AUC", "n": "Radiographs", "positives": "With it"}
    return found[[*shown, "patients"]].rename(columns={**shown, "patients": "Patients"})


def shares(predictions):
    """Tabulates how often the radiographs of each group of a cohort are called what.

    Args:
        predictions: As `shortcuts.external.called` takes them.
    """
    rows = []
    for group, part in elsewhere.called(predictions).groupby("group", sort=False):
        cells = {"Group": GROUP_LABELS[group], "Radiographs": part["n"].iloc[0]}
        for row in part.itertuples():
            cells[row.target] = interval(row.share, row.low, row.high)
        rows.append(cells)
    return pd.DataFrame(rows)


def _tested(run, name):
    """Returns a run's arm, how it was trained, and the name of a cohort that it was tested on."""
    how = f"{run.info['image_size']} px, seed {run.info['seed']}"
    if run.info["split"] != "paper":
        how = f"{split_label(run.info['split'])}, {how}"
    own = run.folder.absolute().parents[2].name == "runs"
    return run_label(*run.key), f"{how}, this copy" if own else how, name


def _cohorts_told_apart(table):
    """Drops the name of the cohort where there is one only."""
    one = "Cohort" in table and table["Cohort"].nunique() == 1
    return table.drop(columns="Cohort") if one else table


def _auc(found):
    """Writes an AUC with its interval, or that there is none."""
    return "undefined" if np.isnan(found.auc) else ranged(found.auc, found.low, found.high)


def _overall_cells(run):
    if run.finished:
        return _cells(run.metrics, "all", metrics.OVERALL)
    return [run.info["state"] if run.info["state"] != NOT_RUN else "not run"] + ["–"] * 4


def _cells(measured, target, names, bounds=True):
    triples = _triples(measured, target, names)
    return [
        interval(value, *((low, high) if bounds else (np.nan, np.nan)), metric=name)
        for name, (value, low, high) in zip(names, triples)
    ] or ["–"] * len(names)


def _less(measured, printed, target, names, bounds=True):
    """Returns this study less the paper, signed; a dash where the paper printed nothing."""
    ours, theirs = (_triples(frame, target, names) for frame in (measured, printed))
    cells = []
    for name, one, other in zip(names, ours, theirs):
        less, low, high = comparison.difference(one, other)
        ends = (low, high) if bounds else (np.nan, np.nan)
        cells.append(signed(less, *ends, metric=name))
    return cells or ["–"] * len(names)


def _triples(measured, target, names):
    """Returns value, lower and upper end of each measure; nothing of what was not measured."""
    rows = measured[measured["target"] == target].set_index("metric")
    return [] if rows.empty else [tuple(rows.loc[name, _ENDS]) for name in names]


def _online(ranges):
    if ranges is None:
        return "none"
    return (
        f"rotation {ranges.rotation:g}°, shifts {ranges.height_shift:g} and {ranges.width_shift:g},"
        f" shear {ranges.shear:g}°, flip"
    )


def _norms(schedule):
    return f"{schedule.norm_images} images" if schedule.norm_images else "the last steps"


def profile(settings):
    """Tabulates a profile, parameter by parameter."""
    values = dataclasses.asdict(settings)
    values |= {"arms": ", ".join(settings.arms) or "all", "data": settings.data or "–"}
    rows = [(key, f"{value:g}" if type(value) is float else value) for key, value in values.items()]
    return pd.DataFrame(rows, columns=["Parameter", "Value"])


def versions(runs):
    """Tabulates with which versions and on what kind of machine the finished runs were made."""
    made = [
        {"Python": run.info["python"], **run.info["versions"], "Machine": run.info["machine"]}
        for run in runs
        if run.finished
    ]
    frame = pd.DataFrame(made).drop_duplicates().T.reset_index()
    frame.columns = [
        "Software",
        *(["Value"] if frame.shape[1] == 2 else map(str, range(1, frame.shape[1]))),
    ]
    return frame


def precisions(singles, halves):
    """Tabulates what computing in bfloat16 changes.

    Args:
        singles, halves: Runs in float32 and in bfloat16, of the same arms and several seeds.
    """
    single, half = trials.measured(singles), trials.measured(halves)
    rows = []
    for key in single[trials.ARM].drop_duplicates().itertuples(index=False, name=None):
        for target, metric in (("all", "accuracy"), ("all", "macro_f1"), ("COVID", "auc")):
            facts = pd.Series((*key, target, metric), [*trials.ARM, "target", "metric"])
            values = [
                table.loc[(table[facts.index] == facts).all(axis=1), "value"]
                for table in (single, half)
            ]
            rows.append([
                run_label(*key),
                measure_label(metric, target),
                *(f"{100 * v.mean():.1f} ± {100 * v.std():.1f}" for v in values),
                signed(*trials.shift(*values)),
            ])  # fmt: skip
    columns = ["Arm", "Measure", "float32", "bfloat16", "Difference"]
    return pd.DataFrame(rows, columns=columns)


def benchmarks(measured):
    """Tabulates what `make bench` measured.

    Args:
        measured: DataFrame: what, ours, against, theirs, unit.
    """
    rows = []
    for row in measured.itertuples():
        ours, theirs = (f"{plain(value)} {row.unit}" for value in (row.ours, row.theirs))
        rows.append((row.what, ours, row.against, theirs, f"{row.ours / row.theirs:.2f}"))
    columns = ["What", "Here", "Against", "There", "Ratio"]
    return pd.DataFrame(rows, columns=columns)


def growth(measured):
    """Tabulates how steps grow with the number of radiographs.

    Args:
        measured: DataFrame: step, rows, seconds, peak (MB), exponent; NaN where nothing is known.

    Returns:
        DataFrame with a row a step: at each size seconds and megabytes, and the last exponent.
    """
    rows = []
    for step, found in measured.groupby("step", sort=False):
        cells = {"Step": step}
        for row in found.itertuples():
            took = f"{plain(row.seconds)}\u00a0s, {row.peak:.0f}\u00a0MB"
            cells[f"{row.rows:,}"] = "–" if np.isnan(row.seconds) else took
        known = found["exponent"].dropna()
        rows.append({**cells, "Exponent": number(known.iloc[-1]) if len(known) else "–"})
    sizes = [f"{size:,}" for size in sorted(measured["rows"].unique())]
    return pd.DataFrame(rows, columns=["Step", *sizes, "Exponent"]).fillna("–")
