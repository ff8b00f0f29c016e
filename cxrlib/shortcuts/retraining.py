"""The networks whose heatmaps are put to the test, and the same trained once more."""

import numpy as np

from cxrlib import files, study
from cxrlib.labels import arm_label
from cxrlib.networks import Recipe
from cxrlib.study import runs as study_runs
from cxrlib.targets import TARGETS


def networks(runs):
    """Loads the networks of finished runs, one at a time.

    Args:
        runs: Runs, finished or not.

    Yields:
        Pairs of an arm's label and its network, as `sanity.cascades` takes them.
    """
    for run in runs:
        if run.finished:
            yield arm_label(*run.key[1:]), run.network


def tested(runs):
    """Returns the runs that stand for the paper's: Efficient, and one deep arm.

    Args:
        runs: Runs of one experiment.

    Returns:
        List of one or two finished runs: of each kind the one with the lowest validation loss.
    """
    finished = [run for run in runs if run.finished]
    kinds = [[run for run in finished if _is_efficient(run) == kind] for kind in (True, False)]
    return [study_runs.chosen(kind) for kind in kinds if kind]


def trained_again(profile, runs):
    """Trains Efficient twice more: from another seed, and from another seed on shuffled labels.

    Args:
        profile: The study's profile.
        runs: Runs of one experiment; without a finished one of Efficient nothing is trained.

    Yields:
        Tuples of the arm's label, its network, and a dict of the other two networks, as
        `sanity.retrained` takes them.
    """
    for run in filter(_is_efficient, runs):
        for label, network in networks([run]):
            seed = profile.seed + 1
            yield (
                label,
                network,
                {
                    "another seed": retrain(profile, run, seed=seed),
                    "another seed, shuffled labels": retrain(
                        profile, run, seed=seed, shuffled=True
                    ),
                },
            )


def retrain(profile, run, *, seed, shuffled=False):
    """Trains a run's network once more: from other random weights, or on shuffled labels.

    Args:
        profile: The study's profile.
        run: A finished run that started from random weights.
        seed: Of the initial weights, the order and the shuffling.
        shuffled: Deal the labels of training and validation radiographs out at random.

    Returns:
        The network, kept in the run's folder and trained only once.
    """
    from cxrlib.networks import models, training  # seconds: Keras comes with it

    folder = run.folder / "sanity" / f"seed-{seed}{'-shuffled' * shuffled}"
    experiment = profile.experiment(run.experiment)
    radiographs = study.radiographs(profile, experiment)
    with files.locked(folder):
        schedule = profile.schedule(experiment, run.architecture)
        recipe = Recipe(
            run.architecture, None, schedule, experiment.online, seed, run.info["precision"]
        )
        dealt = shuffle(radiographs, seed) if shuffled else radiographs
        pixels = study.pixels(profile, experiment)
        training.fit(folder, recipe, pixels, dealt, label=folder.name, lines=True)
    return models.load(folder / "model.keras", run.architecture, profile.image_size)


def shuffle(radiographs, seed):
    """Deals each split's targets out anew among its radiographs; the test split keeps its own."""
    dealt = radiographs.copy()
    rng = np.random.default_rng(seed)
    for split in ("train", "validation"):
        rows = dealt.index[dealt["split"] == split]
        dealt.loc[rows, list(TARGETS)] = dealt.loc[rng.permutation(rows), list(TARGETS)].to_numpy()
    return dealt


def _is_efficient(run):
    return run.architecture == "efficient"
