"""How networks scored: the whole answer, target by target, seed by seed, against the paper."""

import numpy as np
import pandas as pd

from cxrlib import metrics, paper
from cxrlib.labels import (
    LABELS,
    arm_label,
    interval,
    measure_label,
    p_value,
    run_label,
    signed,
    split_label,
)
from cxrlib.metrics import calibration, comparison
from cxrlib.pages.tables.shown import ENDS, NONE
from cxrlib.study import trials
from cxrlib.study.runs import NOT_RUN
from cxrlib.targets import TARGETS

_IMAGENET = " (ImageNet)"
"""Said of a value of the paper's whose arm began from its weights, and ours from others."""


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


def seeds(runs):
    """Tabulates how far the main measures differ between seeds, beside the paper's values.

    Args:
        runs: Runs of one experiment, of all seeds and folds, as `study.every` returns them.

    Returns:
        A row an arm and measure; the paper's columns only where it has one of the arms.
    """
    if not any(run.finished for run in runs):
        return NONE
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
                interval(*own.iloc[0][ENDS]), over["seeds"],
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


def impossible(runs):
    """Tabulates answers that contradict themselves, any of these, and no to all five targets.

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
    return [] if rows.empty else [tuple(rows.loc[name, ENDS]) for name in names]
