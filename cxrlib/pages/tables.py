"""Tables for the book: tidy frames in, numbered captioned tables out. They never train."""

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
    LABELS,
    arm_label,
    interval,
    measure_label,
    minutes,
    p_value,
    plain,
    run_label,
    signed,
    split_label,
)  # fmt: skip
from cxrlib.metrics import calibration, comparison
from cxrlib.study import experiments, trials
from cxrlib.study.runs import NOT_RUN
from cxrlib.targets import GROUP_TARGET, TARGETS

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
            "text/html": f"<p>{html.escape(self.caption)}</p>"
            + self._filled().to_html(index=False),
            "text/plain": f"{self.caption}\n{self.frame.to_string(index=False)}",
        }

    def _filled(self):
        """Returns the frame, with a row "none" where it has none: Sphinx has no such table."""
        if len(self.frame) and len(self.frame.columns):
            return self.frame
        columns = list(self.frame.columns) or [""]
        return pd.DataFrame([["none", *[""] * (len(columns) - 1)]], columns=columns)

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


def overall(runs, name):
    """Tabulates the measures of the whole answer, each arm beside the paper's printed values.

    Args:
        runs: Runs of one experiment.
        name: The table's label.

    Returns:
        A `Table` with three rows an arm: measured, printed, and the difference; of an arm that was
        not run the first two.
    """
    published = paper.published()
    rows = []
    for run in runs:
        rows.append([arm_label(*run.key[1:]), *_overall_cells(run)])
        printed, whose = _of_paper(published, *run.key)
        rows.append([f"– paper{whose}", *_cells(printed, "all", metrics.OVERALL)])
        if run.finished:
            rows.append(["– difference", *_less(run.metrics, printed, "all", metrics.OVERALL)])
    columns = ["Arm", *(LABELS[metric] for metric in metrics.OVERALL)]
    caption = (
        f"Experiment {runs[0].experiment}, the whole answer, {_split(runs)}: per cent (95 %"
        " interval); the Hamming loss is a share. Under each arm what the paper printed, and this"
        " study less the paper, with an interval from both studies' own."
    )
    return Table(pd.DataFrame(rows, columns=columns), caption, name)


def per_target(runs, name):
    """Tabulates precision, recall and F1 per target, each beside the paper's printed value.

    Args:
        runs: Runs of one experiment.
        name: The table's label.

    Returns:
        A `Table` with a row an arm and, below it, a row a target.
    """
    published = paper.published()
    rows = []
    for run in runs:
        if not run.finished:
            continue
        measured, (printed, _) = run.metrics, _of_paper(published, *run.key)
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
    caption = (
        f"Experiment {runs[0].experiment}, target by target, {_split(runs)}: per cent (95 %"
        " interval), each beside the value that the paper printed and, in brackets, this study"
        " less the paper."
    )
    return Table(pd.DataFrame(rows, columns=columns), caption, name)


def seeds(runs, name):
    """Tabulates how far the main measures differ between seeds, beside the paper's values.

    Args:
        runs: Runs of one experiment, of all seeds and folds, as `study.every` returns them.
        name: The table's label.

    Returns:
        A `Table` with a row an arm and measure.
    """
    if not any(run.finished for run in runs):
        return Table(_NONE, f"Experiment {runs[0].experiment}: no arm finished.", name)
    measured, published = trials.measured(runs), paper.published()
    spread = trials.spread(measured)
    same_task = runs[0].info["cohort"] == "coronahack"  # phantoms are another task
    rows = []
    for key, part in measured.groupby(trials.ARM, sort=False):
        printed, whose = _of_paper(published, *key)
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
                interval(theirs, np.nan, np.nan) + whose,
                trials.verdict(own["value"], theirs) if same_task else "not said",
            ])  # fmt: skip
    splits = dict.fromkeys(run.info["split"] for run in runs)
    what = f"{len(splits)} folds of patients, pooled" if len(splits) > 1 else _split(runs)
    caption = (
        f"Experiment {runs[0].experiment}, {what}: the first seed with its 95 % interval (other"
        " patients), and the mean ± standard deviation over seeds (other trainings), per cent. In"
        " range: where one more seed would be expected."
    )
    columns = [
        "Arm",
        "Measure",
        "First seed",
        "Seeds",
        "Over seeds",
        "Range",
        "Paper",
        "Paper's is",
    ]
    return Table(pd.DataFrame(rows, columns=columns), caption, name)


def differences(runs, name):
    """Tabulates whether the arms of an experiment differ, each pair on the same radiographs.

    Args:
        runs: Runs of one experiment, or of several that test the same radiographs.
        name: The table's label.
    """
    letters = list(dict.fromkeys(run.experiment for run in runs))
    several = len(letters) > 1
    answers = {
        run_label(*run.key) if several else arm_label(*run.key[1:]): run.test_predictions
        for run in runs
        if run.finished
    }
    caption = (
        f"Experiment{'s' * several} {' and '.join(letters)}, arm against arm on the same"
        " radiographs: difference in points (95 % interval, resampling patients) and p corrected"
        " for the whole table (Holm)."
    )
    columns = ["One arm", "Another", "Measure", "Difference", "p", "The first is"]
    if len(answers) < 2:
        rows = [[*(answers or ["none"]), "none ran", "–", "–", "–", "–"]]
        return Table(pd.DataFrame(rows, columns=columns), caption, name)
    rows = []
    for row in comparison.table(answers).itertuples():
        measure = measure_label(row.metric, row.target)
        p = "–" if np.isnan(row.p_holm) else p_value(row.p_holm)
        less = signed(row.difference, row.low, row.high)
        rows.append([row.a, row.b, measure, less, p, row.verdict])
    return Table(pd.DataFrame(rows, columns=columns), caption, name)


def likeness(compared, caption, name):
    """Tabulates how alike two networks' heatmaps are.

    Args:
        compared: As `sanity.cascades` or `sanity.retrained` returns it.
        caption: What was compared with what.
        name: The table's label.
    """
    rows = []
    for (heatmap, change), found in compared.groupby(["heatmap", "change"], sort=False):
        cells = {"Heatmap": heatmap, "Network": change}
        for row in found.itertuples():
            measure = {"ssim": "Structural similarity", "rank": "Rank correlation"}[row.measure]
            shown = f"{row.value:.2f} ({row.low:.2f} to {row.high:.2f})"
            cells[measure] = shown.replace("-", "−")
            cells[f"{measure}, others"] = f"{row.pairs:.2f}".replace("-", "−")
            cells["Compared"] = row.n
        rows.append(cells)
    none = [{"Heatmap": "none", "Network": "Efficient was not run"}]
    return Table(pd.DataFrame(rows or none), caption, name)


def calibrations(runs, name):
    """Tabulates how well probabilities are calibrated, as they are and temperature-scaled.

    Args:
        runs: Finished runs.
        name: The table's label.
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
    caption = "Calibration on the test radiographs, the mean of five targets; lower is better."
    return Table(pd.DataFrame(rows, columns=columns), caption, name)


def predictive_values(runs, name):
    """Tabulates how often "COVID" would be right where COVID is rarer than in this cohort.

    Args:
        runs: Finished runs.
        name: The table's label.
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
    caption = "Of those called COVID, the share that would have it, per cent (95 % interval)."
    return Table(pd.DataFrame(rows), caption, name)


def thresholds(runs, name, target="COVID"):
    """Tabulates what a threshold chosen on validation radiographs does to a target's measures.

    Args:
        runs: Finished runs.
        name: The table's label.
        target: One of `TARGETS`.

    Returns:
        A `Table` with two rows a run: at 0.5, and at the threshold with the highest recall plus
        specificity.
    """
    measures = ("recall", "specificity", "precision", "f1")
    rows = []
    for run in runs:
        found = calibration.at_thresholds(run.validation_predictions, run.test_predictions)
        for _, part in found.groupby("rule", sort=False):
            cut = part.loc[part["target"] == target, "threshold"].iloc[0]
            label = run_label(*run.key)
            rows.append([label, f"{cut:.2f}", *_cells(part, target, measures)])
    caption = (
        f"{target} at the fixed threshold and at one chosen on validation radiographs (Youden):"
        " per cent of the test radiographs (95 % interval)."
    )
    columns = ["Arm", "Threshold", *(LABELS[measure] for measure in measures)]
    return Table(pd.DataFrame(rows, columns=columns), caption, name)


def attention(summary, name, of="region"):
    """Tabulates heatmap energy beside what chance gives.

    Args:
        summary: As `attention.summary` returns it, by experiment, architecture, weights and `of`.
        name: The table's label.
        of: "region", or "target" where one region is shown target by target.
    """
    rows = []
    keys = ["experiment", "architecture", "weights", of]
    for (experiment, *arm, what), part in summary.groupby(keys, sort=False):
        found = part.set_index("measure")
        cells = [interval(*found.loc[measure, _ENDS]) for measure in ("energy", "pointing")]
        chance = [f"{100 * found.loc[measure, 'value']:.1f}" for measure in ("area", "gaussian")]
        lift = signed(*found.loc["lift", _ENDS])
        label = run_label(experiment, *arm)
        rows.append([label, what, found["n"].iloc[0], *cells, *chance, lift])
    chance = ["Its share", "Gaussian"]
    columns = ["Arm", of.capitalize(), "n", "Energy", "Highest point", *chance, "Above share"]
    caption = (
        "Heatmaps against what is known of the test radiographs: per cent (95 % interval, counting"
        " patients); above share in points."
    )
    return Table(pd.DataFrame(rows, columns=columns), caption, name)


def recovery(measured, name):
    """Tabulates how much of the marks of phantoms is found.

    Args:
        measured: As `marks.recovery` returns it.
        name: The table's label.
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
    caption = (
        "Marks of phantoms, found by classic means: per cent of the phantoms in which most of the"
        " mark was found (none: in which anything was), and recall and precision of its pixels."
    )
    return Table(pd.DataFrame(rows), caption, name)


def marks_changed(measured, name, what):
    """Tabulates what a change of its marks does to the probability of each group's own target.

    Args:
        measured: As `shortcuts.marks_changed` returns it, of one or several experiments.
        name: The table's label.
        what: What was done, as the caption begins.
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
    caption = (
        f"{what}: change of the probability of the group's own target in points (95 % interval,"
        " counting patients), and per cent of its answers turned."
    )
    return Table(pd.DataFrame(rows, columns=columns), caption, name)


def occlusion(measured, name):
    """Tabulates how well targets and origin are told with parts of every radiograph covered.

    Args:
        measured: As `shortcuts.occlusion` returns it, all runs joined.
        name: The table's label.
    """
    rows = []
    for cover, part in measured.groupby("cover", sort=False):
        row = {"Radiographs": COVERED[cover]}
        for target, runs_of in part.groupby("target", sort=False):
            ends = runs_of["value"].mean(), runs_of["low"].min(), runs_of["high"].max()
            note = runs_of["note"].fillna("").iloc[0]
            row[target] = note or f"{ends[0]:.2f} ({ends[1]:.2f} to {ends[2]:.2f})"
        rows.append(row)
    caption = (
        "AUC of networks trained and tested on covered radiographs, and of telling the source of a"
        " radiograph from their features: mean over seeds (lowest to highest end of their 95 %"
        " intervals)."
    )
    table = pd.DataFrame(rows).rename(columns={"origin": "Origin"})
    return Table(table, caption, name)


def over_seeds(measured, name, caption, columns):
    """Tabulates measures that were averaged over seeds.

    Args:
        measured: As `shortcuts.over_seeds` returns it.
        name: The table's label.
        caption: One line.
        columns: Column of `measured` -> its heading; the mean with its interval comes last.
    """
    rows = measured[list(columns)].astype(str).rename(columns=columns)
    points = [signed(*ends) for ends in measured[["mean", "low", "high"]].itertuples(index=False)]
    return Table(rows.assign(**{"Mean (95 % interval)": points}), caption, name)


def impossible(runs, name):
    """Tabulates answers that no radiograph can deserve.

    Args:
        runs: Finished runs.
        name: The table's label.
    """
    rows = []
    for run in runs:
        cells = {"Arm": run_label(*run.key)}
        for row in calibration.inconsistent(run.test_predictions).itertuples():
            cells[row.answer] = interval(row.share, row.low, row.high)
        rows.append(cells)
    caption = "Impossible answers, per cent of test radiographs (95 % interval)."
    return Table(pd.DataFrame(rows), caption, name)


def arms(runs, name):
    """Tabulates what became of each arm: trained how long, or not run and why.

    Args:
        runs: Runs of one or several experiments.
        name: The table's label.
    """
    rows = []
    for run in runs:
        info, finished = run.info, run.finished
        state = f"{info['state']}: {info['reason']}" if "reason" in info else info["state"]
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
    return Table(pd.DataFrame(rows), f"The arms and what became of them; {_split(runs)}.", name)


def setup(experiment, profile, name, split):
    """Tabulates an experiment's numbers, the paper's beside what this study's profile runs.

    `split` says how its radiographs were split (see `study.split`).
    """
    published = experiments.find(experiment.name)
    paper_schedule = published.schedule
    deep, small = (profile.schedule(experiment, a) for a in ("densenet121", "efficient"))

    def copies(of):
        return f"{of.train} train and validation, {of.test} test" if of else "none"

    rows = [
        (
            "Images",
            experiment.treatment.replace("+", " + "),
            published.treatment.replace("+", " + "),
        ),
        ("Split", split_label(split).removeprefix("split "), "by image"),
        ("Edge in pixels", profile.image_size, 768),
        ("Copies of a COVID image", copies(experiment.copies), copies(published.copies)),
        ("Augmentation while training", *[_online(e.online) for e in (experiment, published)]),
        ("Batch", small.batch_size, paper_schedule.batch_size),
        ("Epochs at most, deep networks", deep.epochs, paper_schedule.epochs),
        ("Epochs at most, Efficient", small.epochs, paper_schedule.epochs),
        ("Passes an epoch", small.passes_per_epoch, paper_schedule.passes_per_epoch),
        ("Learning rate", f"{small.learning_rate:g}", f"{paper_schedule.learning_rate:g}"),
        (
            "Halve the learning rate after epochs without progress",
            small.reduce_after,
            paper_schedule.reduce_after,
        ),
        ("Stop after epochs without progress", small.stop_after, paper_schedule.stop_after),
        ("Batch normalisation averages over", *map(_norms, (small, paper_schedule))),
    ]
    frame = pd.DataFrame(rows, columns=["", "this study", "paper"]).astype(str)
    return Table(frame, f"Experiment {experiment.name} as run here and as published.", name)


def cohort(table, name, split):
    """Tabulates radiographs by group and split; `split` says how they were split."""
    counted = table.groupby(["group", "split"], sort=False).size().unstack(fill_value=0)
    counted = counted[["train", "validation", "test"]]
    counted["all"] = counted.sum(axis=1)
    counted.loc["all"] = counted.sum()
    frame = counted.reset_index().rename(columns={"group": "Group"})
    return Table(frame, f"Radiographs by group and split; {split_label(split)}.", name)


def leakage(counts, name, split):
    """Tabulates test radiographs whose patient also occurs in training (see `cohort.leakage`)."""
    frame = counts.set_axis(["Group", "Test radiographs", "Patient also in training"], axis=1)
    caption = f"Test radiographs of patients who also have one in training; {split_label(split)}."
    return Table(frame, caption, name)


def splits(runs, others, name):
    """Tabulates the same arms under two splits, row under row.

    Args:
        runs, others: Runs of the same arms; each list under one split.
        name: The table's label.
    """
    rows = []
    for pair in zip(runs, others):
        for run in pair:
            arm = run_label(*run.key)
            cells = _cells(run.metrics, "all", ("accuracy", "macro_f1"))
            recall = _cells(run.metrics, "COVID", ("recall",))
            rows.append(
                [arm, split_label(run.info["split"]).removeprefix("split "), *cells, *recall]
            )
    columns = ["Arm", "Split", LABELS["accuracy"], LABELS["macro_f1"], "COVID recall"]
    caption = "The same arms under two splits: per cent (95 % interval, counting patients)."
    return Table(pd.DataFrame(rows, columns=columns), caption, name)


def findings(counts, name):
    """Tabulates what a collection's findings mean here (see `cohort.count_findings`)."""
    shown = counts.assign(group=counts["group"].replace("", "left out"))
    frame = shown.set_axis(["Finding", "Counts as", "Because", "Radiographs"], axis=1)
    return Table(frame, "Frontal radiographs by finding, and the group that each counts as.", name)


def external(runs, name):
    """Tabulates how often each arm says COVID of radiographs from elsewhere, by their group.

    Args:
        runs: Runs that were tested there.
        name: The table's label.
    """
    rows = []
    for run in runs:
        arm = run_label(*run.key)
        said = run.external.assign(covid=run.external["p_COVID"] >= 0.5)
        cells = {"Arm": f"{arm}, {split_label(run.info['split'])}"}
        for group, part in said.groupby("group"):
            column = f"{group} ({len(part)}, {part['patient'].nunique()}\u00a0patients)"
            cells[column] = interval(*metrics.share(part["covid"], part["patient"]))
        rows.append(cells)
    caption = "Called COVID, per cent (95 % interval, counting patients), by what they show."
    return Table(pd.DataFrame(rows), caption, name)


def _split(runs):
    return " and ".join(map(split_label, dict.fromkeys(run.info["split"] for run in runs)))


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


def _of_paper(published, experiment, architecture, weights):
    """Finds the paper's values for an arm, and says so where its initialisation was another."""
    same = (published["experiment"] == experiment) & (published["architecture"] == architecture)
    exact = published[same & (published["weights"] == weights)]
    if len(exact):
        return exact, ""
    return published[same], " (ImageNet)"


def _online(ranges):
    if ranges is None:
        return "none"
    return (
        f"rotation {ranges.rotation:g}°, shifts {ranges.height_shift:g} and {ranges.width_shift:g},"
        f" shear {ranges.shear:g}°, flip"
    )


def _norms(schedule):
    return f"{schedule.norm_images} images" if schedule.norm_images else "the last steps"


def profile(settings, name):
    """Tabulates a profile, parameter by parameter."""
    values = dataclasses.asdict(settings)
    values |= {"arms": ", ".join(settings.arms) or "all", "data": settings.data or "–"}
    rows = [(key, f"{value:g}" if type(value) is float else value) for key, value in values.items()]
    frame = pd.DataFrame(rows, columns=["Parameter", "Value"])
    return Table(frame, "The profile of this study.", name)


def versions(runs, name):
    """Tabulates with which versions and on what kind of machine the finished runs were made."""
    made = [
        {"Python": run.info["python"], **run.info["versions"], "Machine": run.info["machine"]}
        for run in runs
        if run.finished
    ]
    frame = pd.DataFrame(made).drop_duplicates().T.reset_index()
    frame.columns = [
        "",
        *(["Value"] if frame.shape[1] == 2 else map(str, range(1, frame.shape[1]))),
    ]
    return Table(frame, "Versions and machine.", name)


def precisions(singles, halves, name):
    """Tabulates what computing in bfloat16 changes.

    Args:
        singles, halves: Runs in float32 and in bfloat16, of the same arms and several seeds.
        name: The table's label.
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
    seeds = single["seed"].nunique()
    caption = (
        f"The same {seeds} seeds trained in float32 and in bfloat16: mean ± standard deviation over"
        " seeds, and the difference of the means in points (95 % interval)."
    )
    columns = ["Arm", "Measure", "float32", "bfloat16", "Difference"]
    return Table(pd.DataFrame(rows, columns=columns), caption, name)


def benchmarks(measured, name):
    """Tabulates what `make bench` measured.

    Args:
        measured: DataFrame: what, ours, against, theirs, unit.
        name: The table's label.
    """
    rows = []
    for row in measured.itertuples():
        ours, theirs = (f"{plain(value)} {row.unit}" for value in (row.ours, row.theirs))
        rows.append((row.what, ours, row.against, theirs, f"{row.ours / row.theirs:.2f}"))
    columns = ["What", "Here", "Against", "There", "Ratio"]
    machine = ", ".join(measured["machine"].unique())
    caption = f"Speed, start-up and memory, each measured beside the alternative; {machine}."
    return Table(pd.DataFrame(rows, columns=columns), caption, name)
