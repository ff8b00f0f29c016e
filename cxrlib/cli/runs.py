"""One run: train it, show it, keep it, carry it."""

from pathlib import Path
from typing import Annotated

import typer

from cxrlib import files
from cxrlib.cli.shared import QUICK, ProfileFile, app, ending, from_root, print_table, say
from cxrlib.errors import InputError

PANEL = "One run"


@app.command(rich_help_panel=PANEL)
def train(
    experiment: Annotated[str, typer.Argument(help="A, B, C or D.")],
    arm: Annotated[str, typer.Argument(help="densenet121-none, efficient, ...")],
    profile: ProfileFile = QUICK,
    seed: Annotated[int | None, typer.Option(help="One of the profile's seeds.")] = None,
    fold: Annotated[int | None, typer.Option(help="One of the profile's folds.")] = None,
    weights: Annotated[Path | None, typer.Option(help="A file of ImageNet weights.")] = None,
    lines: Annotated[bool, typer.Option(help="A line an epoch instead of a bar.")] = False,
):
    """Train one arm of an experiment, or go on with it."""
    from cxrlib import study as studies
    from cxrlib.study import experiments, profiles

    settings = profiles.read(from_root(profile)).trial(seed, fold)
    chosen = settings.experiment(experiment)
    found = experiments.find_arm(chosen, arm)
    if weights is not None and not weights.is_file():
        raise InputError(f"no weights file {weights}")
    run = studies.train(settings, chosen, found, weights=weights, lines=lines, retry=True)
    say(f"{chosen.name} {run.arm}: {run.info.get('reason', run.info['state'])}  {run.folder}")
    if run.finished:
        say(f"  {_scores(run)}")


def _scores(run):
    """Returns a finished run's main scores in one line."""
    from cxrlib import labels

    measures = (("all", "accuracy"), ("all", "macro_f1"), ("COVID", "recall"))
    told = [
        f"{labels.measure_label(metric, target)} {labels.per_cent(*run.measure(metric, target))}"
        for target, metric in measures
    ]
    return ", ".join(told)


@app.command(rich_help_panel=PANEL)
def show(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder.")],
):
    """Print what a run was made from and how it scored: per cent, 95 % intervals."""
    from cxrlib import labels
    from cxrlib.pages import tables
    from cxrlib.study import runs

    run = runs.load(folder)
    facts = [f"{name}: {run.info[name]}" for name in runs.FACTS if name != "arm"]
    say(labels.run_label(*run.key), *(f"  {fact}" for fact in facts))
    if not run.finished:
        raise InputError(f"{run.info.get('reason', 'not finished')}: no scores")
    say("")
    print_table("The whole answer", tables.overall([run]))
    print_table("Target by target", tables.per_target([run]))
    if run.external:
        print_table("On radiographs from elsewhere, AUC of COVID", tables.external([run]))


@app.command(rich_help_panel=PANEL)
def keep(profile: ProfileFile = QUICK):
    """Copy a study's numbers and its small networks, no pictures, to results/ to be committed."""
    from cxrlib import predict
    from cxrlib import study as studies
    from cxrlib.cohort import audit
    from cxrlib.study import keeping, profiles, runs

    settings = profiles.read(from_root(profile))
    kept = files.root() / "results" / settings.name
    if settings.cohort != "phantom":  # nothing about phantoms needs finding out
        for title, frame in audit.report(studies.cohort(settings)).items():
            name = title.lower().replace(" ", "-")
            files.write_csv(frame, kept / "audit" / f"{name}.csv")
    looked = []
    for trial in settings.trials:
        place = kept if trial.folder_name == settings.folder_name else kept / trial.trial_name
        found = runs.load_all(studies.folder(trial))
        ended = [run for run in found if run.info["state"] != runs.RUNNING]
        for path in keeping.keep(ended, place):
            say(path.relative_to(files.root()))
            is_released = path == files.root() / predict.RELEASED
            if is_released and (path / "model.keras").exists():
                predict.release(runs.load(path))
        looked += [(trial, run) for run in ended if run.finished]
    if looked and settings.cohort != "phantom":
        path = kept / "lung-attention.csv"
        files.write_csv(studies.attention_of(looked), path)
        say(path.relative_to(files.root()))


@app.command(rich_help_panel=PANEL)
def pack(
    folder: Annotated[Path, typer.Argument(help="A run's folder.")],
    file: Annotated[Path, typer.Argument(help="The zip file to write.")],
):
    """Write a run as one file, to be carried to another machine."""
    from cxrlib.study import packing

    ending(file, ".zip")
    packing.pack(folder, file)


@app.command(rich_help_panel=PANEL)
def unpack(
    packed: Annotated[list[Path] | None, typer.Argument(metavar="FILE...")] = None,
):
    """Put packed runs where they were, unless the same are there; say where something was put."""
    from cxrlib.study import packing

    for path in packed or []:
        packing.unpack(path, say)
