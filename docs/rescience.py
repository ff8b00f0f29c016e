"""Writes the numbers of docs/rescience.md anew: `python docs/rescience.py`, after results change.

A number stands there between `<!--name-->` and `<!---->`, which no reader sees. It is what
`numbers` computes under that name, from results/ and from the facts of the paper. A test computes
them again.
"""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from cxrlib import cohort, files, labels, metrics, paper, shortcuts
from cxrlib.heatmaps import attention
from cxrlib.pages import remedies, tables
from cxrlib.paper import verdicts
from cxrlib.shortcuts import remedies as tried
from cxrlib.study import experiments, runs, trials

ARTICLE = Path(__file__).with_suffix(".md")
MARKED = re.compile(r"<!--(\w+)-->(.*?)<!---->", re.DOTALL)
"""A name, and what is written under it."""

RESULTS = files.root() / "results"
ELSEWHERE = "covid-chestxray"
PUBLISHED = [name for name, row in experiments.EXPERIMENTS.items() if row.published]
"""Letters of the paper's own experiments."""


def numbers():
    """Returns what stands in the article, as text by its name."""
    kept = runs.load_all(RESULTS / "coronahack-224")
    small = [run for run in kept if run.experiment in PUBLISHED]
    deep = runs.load_all(RESULTS / "coronahack-128")
    first = {run.experiment: run for run in small if run.info["seed"] == 718}
    found = {
        **_of_the_data(first),
        **_of_the_settings(small, deep),
        **_of_the_verdicts(small + deep),
        **_of_new_patients(small, deep, first),
        **_of_the_audit(),
        **_of_two_splits(small),
        **_of_marks(),
        **_of_heatmaps(small),
        **_of_remedies(),
        **_of_remedies_on_real(),
        **_of_experiment_d(kept),
    }
    return {name: _plain(value) for name, value in found.items()}


def _plain(value):
    """Writes a value with blanks and dashes that any editor shows."""
    return str(value).replace("\u2060", "").replace("\u00a0", " ")


def _of_the_data(first):
    sample = paper.split()
    counts = sample.groupby(["group", "split"]).size()
    ill = first["C"].test_predictions.query("group == 'covid'")
    shared = cohort.leakage(sample)
    return {
        "sampled": f"{len(sample):,}",
        "covid_sampled": counts["covid"].sum(),
        "covid_tested": counts["covid", "test"],
        "tested": sample["split"].eq("test").sum(),
        "copies": len(ill) // ill["file"].nunique(),
        "leaked": shared["with_patient_in_train"].sum(),
    }


def _of_the_settings(small, deep):
    others = [run for run in deep if run.architecture != "efficient"]
    schedules = [run.info["schedule"] for run in deep]
    return {
        "batch_a": experiments.A.schedule.batch_size,
        "batch_c": experiments.find("C").schedule.batch_size,
        "rate": f"{experiments.A.schedule.learning_rate:.4f}",
        "epochs_a": experiments.A.schedule.epochs,
        "epochs_c": experiments.find("C").schedule.epochs,
        "small_edge": _each(run.info["image_size"] for run in small),
        "deep_edge": _each(run.info["image_size"] for run in deep),
        "deep_epochs": _each(run.info["schedule"]["epochs"] for run in others),
        "deep_rate": _each(schedule["learning_rate"] for schedule in schedules),
        "deep_batch": _each(schedule["batch_size"] for schedule in schedules),
        "seeds": len({run.info["seed"] for run in small}),
        "deep_arms": labels.listed([labels.run_label(*run.key) for run in others]),
    }


def _each(values):
    """Writes the values there are, each once."""
    return labels.listed([f"{value:g}" for value in sorted(set(values))])


def _of_the_verdicts(everything):
    compared = verdicts.table(everything)
    judged = compared[~compared["verdict"].isin([verdicts.NOT_RUN, verdicts.OTHER_START])]
    again = judged[judged["verdict"] == verdicts.AGAIN].groupby("target").size()
    lost = compared.query("verdict == @verdicts.NOT_RUN and target == 'all'")
    ours = judged.query("experiment == 'A' and architecture == 'efficient' and target == 'COVID'")
    heads = {"Harsh accuracy, ": "Harsh, ", "Harsh accuracy: verdict": "Verdict"}
    heads |= {"COVID recall, ": "COVID, ", "COVID recall: verdict": "Verdict"}
    shown = tables.verdicts(compared)
    for long, short in heads.items():
        shown.columns = [name.replace(long, short) for name in shown.columns]
    return {
        "judged": len(judged) // len(verdicts.TOLERANCES),
        "judged_arms": len(judged[trials.ARM].drop_duplicates()),
        "again_harsh": again.get("all", 0),
        "again_covid": again.get("COVID", 0),
        "points": f"{100 * verdicts.TOLERANCES['all', 'accuracy']:.0f}",
        "not_run": len(lost),
        "a_efficient": f"{100 * ours['smallest'].min():.0f} to {100 * ours['largest'].max():.0f} %",
        "verdicts": f"\n\n{_listed(shown)}\n\n",
    }


def _listed(table):
    """Writes a table in Markdown."""
    rows = [list(table.columns), ["---"] * table.shape[1], *table.astype(str).to_numpy().tolist()]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def _of_new_patients(small, deep, first):
    ends = {run.folder: metrics.auc_of(run.external[ELSEWHERE], "COVID") for run in [*small, *deep]}
    by_letter = {k: [ends[run.folder][0] for run in small if run.experiment == k] for k in first}
    shares = [(run.experiment, metrics.harsh_once(run.test_predictions)) for run in small]
    once = pd.DataFrame(shares).groupby(0)[1].mean()
    one = first["C"].external[ELSEWHERE]
    ill = one["y_COVID"] == 1
    models = pd.read_csv(RESULTS / "coronahack-224" / "audit" / "baselines.csv")
    border = models.query("tested == 'by patient' and target == 'COVID' and features == 'border'")
    recall = first["C"].measure("recall", "COVID")
    patients = first["C"].test_predictions.query("group == 'covid'")["file"].nunique()
    told = {f"auc_{k.lower()}": labels.ranged(*ends[run.folder]) for k, run in first.items()}
    spread = {f"aucs_{k.lower()}": f"{min(of):.2f} to {max(of):.2f}" for k, of in by_letter.items()}
    return told | spread | {
        "found_c": f"{recall[0] * patients:.0f} of {patients}",
        "networks": len(ends),
        "best": labels.ranged(*max(ends.values())),
        "least_here": f"{min(run.measure('auc', 'COVID')[0] for run in small):.2f}",
        "once": labels.listed([f"{labels.per_cent(once[k])} in {k}" for k in first]),
        "new": len(one),
        "new_ill": ill.sum(),
        "new_well": (~ill).sum(),
        "new_well_patients": one.loc[~ill, "patient"].nunique(),
        "border": labels.ranged(*border[["auc", "low", "high"]].iloc[0]),
    }  # fmt: skip


def _of_the_audit():
    printed = paper.recomputed()
    slip = printed.query(
        "experiment == 'A' and architecture == 'densenet121' and weights == 'none'"
    )
    slip = 100 * slip.query("metric == 'macro_recall'").iloc[0][["printed", "right"]]
    findings = paper.audit()
    eleven = findings.query("finding == 'copies' and experiment == 'C'").iloc[0]
    ends = eleven[["printed", "printed_low", "printed_high", "right_low", "right_high"]]
    value, *around = (f"{100 * end:.1f}" for end in ends)
    return {
        "agree": f"{printed['agrees'].sum()} of {len(printed)}",
        "macro": f"{slip['right']:.2f} % and not {slip['printed']:.2f} %",
        "eleven": f"{value} % ({around[0]} to {around[1]} %)",
        "eleven_exact": f"{around[2]} to {around[3]} %",
    }


def _of_two_splits(kept):
    apart = runs.load_all(RESULTS / "coronahack-224-by-patient")
    higher = [k for k in PUBLISHED if min(_harsh(kept, k)) > max(_harsh(apart, k))]
    both = {k: [labels.per_cent(np.mean(_harsh(of, k))) for of in (kept, apart)] for k in PUBLISHED}
    pairs = [f"{' and '.join(both[k])} in {k}" for k in PUBLISHED]
    lie = labels.listed(higher) if higher else "none of them"
    return {"two_splits": labels.listed(pairs), "splits_apart": lie}


def _harsh(found, experiment):
    """Returns an experiment's harsh accuracies, a seed each."""
    return [run.measure("accuracy")[0] for run in found if run.experiment == experiment]


def _of_marks():
    changed = pd.read_csv(RESULTS / "coronahack-224" / "shortcuts" / "marks-changed.csv")
    pasted = changed.query("change == 'pasted' and mark == 'R' and target == 'Normal'")
    turned = pasted.query("group == 'normal'").set_index("experiment")["flipped"]
    scored = pd.read_csv(RESULTS / "coronahack-224" / "shortcuts" / "marks-scored.csv")
    painted = scored.query("change == 'painted over' and metric == 'accuracy'")
    owed = {k: 100 * shortcuts.widest(part) for k, part in painted.groupby("experiment")}
    kept = RESULTS / "marks" / "shortcuts"
    auc = pd.read_csv(kept / "auc.csv")
    gaps = shortcuts.gaps(auc).query("target == 'all' and tie == 1 and version == 'random'")
    gaps = shortcuts.over_seeds(gaps, "gap", ["experiment"]).set_index("experiment")
    gap = {k: labels.ranged(*gaps.loc[k, ["mean", "low", "high"]]) for k in gaps.index}
    _, told = shortcuts.honesty(auc, pd.read_csv(kept / "attention.csv"))
    covered = pd.read_csv(RESULTS / "covered" / "shortcuts" / "occlusion.csv")
    covered = covered.query("target == 'COVID'").groupby("cover")["value"].mean()
    return {
        "owed_a": labels.ranged(*owed["A"], digits=1),
        "owed_c": labels.ranged(*owed["C"], digits=1),
        "turned_a": labels.per_cent(turned["A"], digits=0),
        "turned_c": labels.per_cent(turned["C"], digits=0),
        "gap_a": gap["A"],
        "gap_c": gap["C"],
        "gap_crop": gap["A-cropped"],
        "gap_rest": gap["C-uncropped"],
        "honest": labels.ranged(*told["lungs"]),
        "honest_runs": told["runs"],
        "frame": f"{covered['centre']:.2f}",
        "uncovered": f"{covered['none']:.2f}",
    }


def _of_heatmaps(small):
    looked = runs.join_attention(small, ELSEWHERE)
    by = ["experiment", "seed", "region"]
    lift = attention.summary(looked, by).query("region == 'lungs' and measure == 'lift'")
    lift = (100 * lift.set_index("experiment")["value"]).groupby(level=0)
    mean = lift.mean()
    return {
        **{f"lift_{k.lower()}": labels.number(value, 0) for k, value in mean.items()},
        "lift_apart": f"{np.ptp(mean):.1f}",
        "lift_among": f"{lift.agg(np.ptp).max():.1f}",
    }


def _of_remedies():
    effects = tried.effects(tried.read(RESULTS / "remedies" / "shortcuts" / "remedies.csv"))
    told = remedies.verdicts(effects)
    by = ["shortcut", "remedy"]
    left = shortcuts.over_seeds(effects, "random", by).set_index(by)
    left = left["mean"].map("{:.2f}".format)
    gap = shortcuts.over_seeds(effects, "gap", by).set_index(by).loc[("source", "none")]
    mends = {f"mends_{k}": "; ".join(names) or "none" for k, names in told.items()}
    return mends | {
        "remedies": effects["remedy"].nunique() - 2,  # less nothing, and the border alone
        "remedies_seeds": effects.groupby(["shortcut", "remedy"])["seed"].nunique().min(),
        "mended_share": f"{100 * remedies.MENDED:.0f} %",
        "gap_source": labels.ranged(*gap[["mean", "low", "high"]]),
        "marks_without": left["marks", "none"],
        "marks_c": left["marks", "c"],
        "nothing_without": left["nothing", "none"],
    }


def _of_remedies_on_real():
    """Says what remedies did on the paper's radiographs."""
    folder = RESULTS / "remedies-coronahack" / "shortcuts"
    effects, before = (
        tried.effects(tried.read(folder / name), "COVID")
        for name in ("remedies.csv", "remedies-before.csv")
    )
    ends = {
        measure: shortcuts.over_seeds(effects, measure, ["remedy"])
        .set_index("remedy")
        .apply(lambda row: labels.ranged(*row[["mean", "low", "high"]]), axis=1)
        for measure in ("random", "gained")
    }
    first = shortcuts.over_seeds(before, "gained", ["remedy"]).set_index("remedy")
    return {
        "real_without": ends["random"]["none"],
        "real_c": ends["random"]["c"],
        "real_tried": effects["remedy"].nunique() - 2,  # less nothing, and the border alone
        "real_helps": _were(remedies.helping(effects, before)),
        "real_harms": _were(remedies.harming(effects, before)),
        "joined": ends["gained"]["joined evenly"],
        "joined_before": labels.ranged(*first.loc["joined evenly", ["mean", "low", "high"]]),
    }


def _were(names):
    return f"{labels.listed(names)} were" if names else "none was"


def _of_experiment_d(kept):
    dice = pd.read_csv(RESULTS / "lungs" / "dice.csv")["dice"]
    rows = [
        (run.experiment, run.measure("accuracy")[0], metrics.auc_of(new, "COVID")[0])
        for run in kept
        for name, new in run.external.items()
        if name == ELSEWHERE and run.architecture == "efficient"
    ]
    found = pd.DataFrame(rows, columns=["experiment", "harsh", "auc"]).groupby("experiment")
    mean, seeds = found.mean(), found.size()
    return {
        "outlined": len(dice),
        "dice": f"{dice.median():.2f}",
        "d_seeds": seeds["D"],
        "d_harsh": f"{100 * mean.loc['D', 'harsh']:.0f} %",
        "c_harsh": f"{100 * mean.loc['C', 'harsh']:.0f} %",
        "d_auc": f"{mean.loc['D', 'auc']:.2f}",
        "c_auc": f"{mean.loc['C', 'auc']:.2f}",
    }


def filled(text):
    """Returns an article with its numbers as they are now.

    Raises:
        KeyError: It names a number that nothing computes.
    """
    found = numbers()
    return MARKED.sub(lambda mark: f"<!--{mark[1]}-->{found[mark[1]]}<!---->", text)


if __name__ == "__main__":
    ARTICLE.write_text(filled(ARTICLE.read_text(encoding="utf-8")), encoding="utf-8")
