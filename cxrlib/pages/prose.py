"""The numbers that prose glues into the book, by key: plain floats, and words."""

import numpy as np

from cxrlib import labels
from cxrlib.study.runs import chosen as chosen_run
from cxrlib.study.runs import join_metrics


class Words(str):
    """Text that prose glues without quotation marks around it."""

    def __repr__(self):
        return str(self)


def experiment(runs):
    """Returns the numbers that a chapter's prose glues, by key.

    The arm that speaks for an experiment is the one with the lowest *validation* loss.

    Args:
        runs: Runs of one experiment.

    Returns:
        Dict of plain floats (per cent where a share) and `Words`. Where no arm finished, the
        numbers of its answers are NaN and `chosen_arm` is "no arm, because none finished".
    """
    finished = [run for run in runs if run.finished]
    if not finished:
        return {
            **dict.fromkeys(_OF_THE_CHOSEN, np.nan),
            "n_arms_run": 0.0,
            "n_arms_not_run": float(len(runs)),
            "chosen_arm": Words("no arm, because none finished"),
            "pretrained": _pretrained([]),
        }
    chosen = chosen_run(runs)
    measured = chosen.metrics.set_index(["target", "metric"])
    harsh = measured.loc[("all", "accuracy")]
    covid = measured.loc[("COVID", "recall")]
    test = chosen.test_predictions
    majority = test["group"].value_counts(normalize=True).max()
    return {
        "n_arms_run": float(len(finished)),
        "n_arms_not_run": float(len(runs) - len(finished)),
        "chosen_arm": Words(labels.arm_label(chosen.architecture, chosen.weights)),
        "chosen_epoch": float(chosen.info["best_epoch"]),
        "harsh": 100 * float(harsh["value"]),
        "harsh_low": 100 * float(harsh["low"]),
        "harsh_high": 100 * float(harsh["high"]),
        "macro_f1": 100 * float(measured.loc[("all", "macro_f1"), "value"]),
        "covid_recall": 100 * float(covid["value"]),
        "covid_low": 100 * float(covid["low"]),
        "covid_high": 100 * float(covid["high"]),
        "covid_patients": float(covid["n"]),
        "covid_images": float((test["group"] == "covid").sum()),
        "pretrained": _pretrained(finished),
        "test_images": float(len(test)),
        "majority": 100 * float(majority),
    }


_OF_THE_CHOSEN = (
    "chosen_epoch", "harsh", "harsh_low", "harsh_high", "macro_f1", "covid_recall", "covid_low",
    "covid_high", "covid_patients", "covid_images", "test_images", "majority",
)  # fmt: skip
"""Numbers of the arm that speaks for an experiment, and of its test radiographs."""


def _pretrained(finished):
    if any(run.weights == "imagenet" for run in finished):
        return Words("Whether ImageNet weights helped is in the table of arms against arms")
    return Words(
        "Whether ImageNet weights help cannot be said: no arm that starts from them was run"
    )


def headline(by_experiment):
    """Returns the front page's numbers.

    Args:
        by_experiment: Experiment name -> its runs.

    Returns:
        Dict: the best harsh accuracy of all arms, the COVID recall of the arm with the lowest
        validation loss in A and in C (per cent, with intervals; NaN where no arm finished), how
        many arms ran and did not, and what the cohort is made of.
    """
    spoken = {name: experiment(runs) for name, runs in by_experiment.items()}
    runs = [run for runs in by_experiment.values() for run in runs]
    best = dict.fromkeys(("value", "low", "high"), np.nan)  # where no arm finished
    if any(run.finished for run in runs):
        measured = join_metrics(runs)
        harsh = measured[(measured["target"] == "all") & (measured["metric"] == "accuracy")]
        best = harsh.loc[harsh["value"].idxmax()]
    numbers = {
        "headline_harsh_best": 100 * float(best["value"]),
        "headline_harsh_low": 100 * float(best["low"]),
        "headline_harsh_high": 100 * float(best["high"]),
        "n_arms_run": sum(numbers["n_arms_run"] for numbers in spoken.values()),
        "n_arms_not_run": sum(numbers["n_arms_not_run"] for numbers in spoken.values()),
        "cohort": Words({"phantom": "phantoms"}.get(runs[0].info["cohort"], "radiographs")),
    }
    for name in ("A", "C"):
        for key in ("covid_recall", "covid_low", "covid_high"):
            numbers[f"headline_{key}_{name.lower()}"] = spoken[name][key]
    return numbers


def looking(measured):
    """Returns what prose says of lung attention, for a cohort whose lungs are known or are not.

    Args:
        measured: As `attention.summary` returns it, by experiment, architecture, weights and
            region; without a row where nobody knows the lungs.

    Returns:
        Dict of `Words`: looking_number and looking_clause for the front page, looking for a
        chapter. Counted are the arms with more heatmap energy in the lungs than a Gaussian in the
        image's middle has.
    """
    lungs = measured[measured["region"] == "lungs"]
    if lungs.empty:
        return {
            "looking_number": Words("not known"),
            "looking_clause": Words(
                "is how many networks of this copy look at the lungs: nobody has outlined those of"
                " its radiographs"
            ),
            "looking": Words(
                "The lungs of these radiographs are not known, so nothing is measured"
            ),
        }
    keys = ["experiment", "architecture", "weights"]
    arms = lungs.pivot(index=keys, columns="measure", values="value")
    beating = (arms["energy"] > arms["gaussian"]).sum()
    return {
        "looking_number": Words(f"{beating} of {len(arms)}"),
        "looking_clause": Words(
            "networks of this copy have heatmaps that lie in the lungs more than a blot in the"
            " middle of the image does"
        ),
        "looking": Words(
            f"Of {len(arms)} arms, {beating} have more energy in the lungs than the Gaussian has"
        ),
    }


def effort(runs):
    """Returns the numbers that prose about a study's effort glues, by key."""
    finished = [run for run in runs if run.finished]
    return {
        "arms_finished": float(len(finished)),
        "arms_missing": float(len(runs) - len(finished)),
        "training_minutes": sum(run.info["training_seconds"] for run in finished) / 60,
        "precision": Words(
            " and ".join(sorted({run.info["precision"] for run in finished})) or "no arm"
        ),
    }
