"""The `cxr` command. It starts fast: nothing here imports Keras before it is needed."""

import functools
import json
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Annotated

import typer

from cxrlib import files
from cxrlib.errors import InputError, InputWarning, printable

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
data = typer.Typer(no_args_is_help=True, help="Get a dataset, and check what is in it.")
app.add_typer(data, name="data")
paper = typer.Typer(no_args_is_help=True, help="The paper's printed numbers.")
app.add_typer(paper, name="paper")


@app.callback(invoke_without_command=True)
def about(version: Annotated[bool, typer.Option("--version", help="Say which this is.")] = False):
    """COVID detection in chest radiographs, rerun and measured. A study, not a medical device."""
    if version:
        from importlib import metadata

        _say(f"cxr {metadata.version('cxrlib')}")
        raise typer.Exit


ProfileFile = Annotated[Path, typer.Option("--profile", help="How big a study runs.")]
RunFolder = Annotated[
    Path | None,
    typer.Option("--run", help="A run's folder; by default the network that is released."),
]
QUICK = Path("profiles/quick.yml")
STOPPED = 130
"""Status of a command that Ctrl-C stopped, as Typer gives it."""


@app.command()
def study(
    profile: ProfileFile = QUICK,
    cores: Annotated[str, typer.Option(help="Processor cores to use: a number or all.")] = "all",
    book: Annotated[bool, typer.Option(help="Run the notebooks and build the book too.")] = True,
    on: Annotated[
        Path | None, typer.Option(help="A cluster's settings: cluster/slurm, say.")
    ] = None,
    check: Annotated[
        Path | None, typer.Option(help="Runs of another study: say whether this one repeats them.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would run, and why; run nothing.")
    ] = False,
    status: Annotated[
        bool, typer.Option("--status", help="Say what studies left on the disk; run nothing.")
    ] = False,
):
    """Run a study: its arms, its notebooks, its book. Goes on from where it was stopped."""
    if status:
        from cxrlib.study import disk

        _say(*disk.lines())
        return
    from cxrlib.pages import pairs
    from cxrlib.study import profiles

    settings = profiles.read(_from_root(profile))
    if book and not dry_run:
        _say_written(pairs.settle_all())  # so that an edit of either half is shown
    if check:
        from cxrlib.study import experiments, runs  # pandas comes with them

        # First, so that a wrong folder is refused at once. `cxr shortcuts` has other experiments.
        others = [run for run in runs.load_all(check) if run.experiment in experiments.EXPERIMENTS]
    _check_data(settings)
    command = _snakemake(profile, "book" if book else "arms", cores, on)
    _say_plan(settings, cores if on is None else "1", book)  # a cluster's time is told in all
    if dry_run:
        return
    _need_home()
    _run_graph(command, quietly=on is None)
    _say_ended(settings, book)
    if check:
        _check(settings, others)


def _say_plan(settings, cores, book):
    """Says what a study will train, why, roughly how long, and where its page will be."""
    from cxrlib.pages import book as books
    from cxrlib.pages import notebooks
    from cxrlib.study import outlook

    tasks, total = outlook.tasks(settings, notebooks.shown() if book else None)
    at_once = outlook.at_once(settings, 0 if cores == "all" else int(cores))
    _say(*outlook.lines(settings, tasks, total, at_once))
    if book:
        _say(f"The book will be {files.root() / books.front(settings)}")


def _run_graph(command, quietly):
    """Runs Snakemake's command to its end.

    Args:
        command: What `_snakemake` returned.
        quietly: Let only the jobs and their errors be heard; what Snakemake itself says goes to a
            file, and is shown where no job says what went wrong.

    Raises:
        InputError: Something failed.
    """
    # The rules call commands of this environment, whether or not it is activated.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    log = files.root() / "runs" / "study.log"
    with files.locked(log.with_suffix("")) as lock:
        log.unlink(missing_ok=True)
        status = _waited_for(
            # Snakemake holds the lock too: should this process alone be killed, others still wait.
            subprocess.Popen(
                [*command[:1], "-c", _QUIETLY, log, *command[3:]] if quietly else command,
                cwd=files.root(),
                env={**os.environ, "PATH": path},
                pass_fds=[lock.fileno()],
            )
        )
    if status:
        _say(*_unheard(log), file=sys.stderr)
        raise InputError("the study stopped: see above; what is finished is kept, run it again")


_QUIETLY = """
import runpy, sys
sys.stderr = open(sys.argv.pop(1), "w", 1, "utf-8", "replace")  # the jobs inherit the descriptor
runpy.run_module("snakemake", run_name="__main__", alter_sys=True)
"""
"""Python that runs Snakemake with its own words in a file."""


def _unheard(log):
    """Returns what Snakemake said, in lines, where it is more than that a job failed."""
    said = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
    a_job_told = "CalledProcessError" in said and "died with" not in said
    return [] if a_job_told else said.splitlines()


def _say_ended(settings, book):
    """Says what was not run, and makes a study's book the one at hand and says where it is."""
    from cxrlib.pages import book as books
    from cxrlib.study import outlook

    _say(*outlook.not_run(settings))
    if book:
        _say(f"The book: {books.show(settings)}")


def _snakemake(profile, wanted, cores, on):
    """Returns the command that makes "arms" or the "book"."""
    if not profile.is_absolute():  # the same file from the study's folder, where all else runs
        profile = os.path.relpath(_from_root(profile), files.root())
    _refuse_yaml(profile)
    if cores != "all" and not (cores.isdecimal() and int(cores)):
        raise InputError(f"--cores {cores}: a number from 1, or all")
    command = [
        sys.executable, "-m", "snakemake", wanted, "--snakefile", "Snakefile", "--cores", cores,
        "--config", f"profile={profile}",
        # The study's lock outlives no process, so a killed one needs no unlocking by hand.
        "--nolock", "--rerun-incomplete", "--keep-going",
    ]  # fmt: skip
    if on is None:
        return command
    on = _from_root(on).resolve()
    if not (on / "config.yaml").is_file():
        raise InputError(f"no config.yaml in {on}: cluster/ has two that are ready")
    # What a machine elsewhere does is heard from Snakemake alone.
    return [*command, "--quiet", "rules", "host", "reason", "--workflow-profile", str(on)]


def _check_data(settings):
    """Reads the cohort once before anything is trained, so that what is wrong with it ends here.

    Where the data are not on this machine, as beside a cluster, the arms say so.
    """
    if settings.cohort == "phantom" or not (files.root() / settings.data).exists():
        return
    from cxrlib import study as studies

    for trial in settings.trials:
        studies.cohort(trial)


def _refuse_yaml(path):
    """Refuses a profile's name that Snakemake, which reads it as YAML, would not take for a name.

    Raises:
        InputError: It means something else there, as `a: b.yml` or `1` do.
    """
    import yaml

    text = str(path)
    try:
        read = yaml.load(text, yaml.BaseLoader)
    except yaml.YAMLError:
        read = text  # Snakemake then takes it as it is
    if read != text or text.strip("'\"") != text or not Path(text).suffix:
        raise InputError(f"{path}: Snakemake takes this name for YAML: rename it, mine.yml say")


def _need_home():
    """Refuses to start where Snakemake or Jupyter would fail at once: containers may lack a home.

    Raises:
        InputError: A folder that they write to cannot be written.
    """
    from jupyter_core import paths
    from platformdirs import user_cache_path

    for folder in (user_cache_path("snakemake"), Path(paths.jupyter_runtime_dir())):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError as error:
            raise InputError(
                f"{folder} cannot be written ({error.strerror}): set HOME to a folder that can be,"
                " as in `HOME=/tmp cxr study`"
            ) from error


def _waited_for(process):
    """Waits for a process to end, also where Ctrl-C stops it: it may have jobs to call back."""
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.wait()
        raise


def _check(settings, others):
    """Prints whether a finished study repeats the runs of another one; status 1 where not."""
    from cxrlib import study as studies
    from cxrlib.study import experiments, reproduction, runs

    ours = [
        runs.load(studies.run_folder(trial, experiment, arm))
        for trial in settings.trials
        for experiment in map(trial.experiment, experiments.EXPERIMENTS)
        for arm in experiment.arms
    ]
    found = reproduction.compare(ours, others)
    _print_table("Against the other study", found.drop(columns="differs").round(4))
    for facts in dict.fromkeys(filter(None, found["differs"])):
        _say(f"made otherwise: {facts}")
    apart = found[~found["verdict"].isin(reproduction.REPRODUCED)]
    if len(apart):
        names = ", ".join(
            f"{row.experiment} {row.arm} ({row.verdict})" for row in apart.itertuples()
        )
        _say(f"cxr: not reproduced: {names}", file=sys.stderr)
        raise typer.Exit(1)
    _say("reproduced: every arm came out as it did there")


@app.command()
def clean():
    """Remove pixel caches, which are made anew when wanted, and checkpoints of finished runs."""
    from cxrlib.study import disk

    _say(*disk.clean(), "", "What is left:", *disk.lines())


@app.command()
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

    settings = profiles.read(_from_root(profile)).trial(seed, fold)
    chosen = settings.experiment(experiment)
    found = experiments.find_arm(chosen, arm)
    if weights is not None and not weights.is_file():
        raise InputError(f"no weights file {weights}")
    run = studies.train(settings, chosen, found, weights=weights, lines=lines, retry=True)
    _say(f"{chosen.name} {run.arm}: {run.info.get('reason', run.info['state'])}  {run.folder}")
    if run.finished:
        _say(f"  {_scores(run)}")


def _scores(run):
    """Returns a finished run's main scores in one line."""
    from cxrlib import labels

    measures = (("all", "accuracy"), ("all", "macro_f1"), ("COVID", "recall"))
    told = [
        f"{labels.measure_label(metric, target)} {labels.per_cent(*run.measure(metric, target))}"
        for target, metric in measures
    ]
    return ", ".join(told)


@app.command()
def show(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder.")],
):
    """Print what a run was made from and how it scored: per cent, 95 % intervals."""
    from cxrlib import labels
    from cxrlib.pages import tables
    from cxrlib.study import runs

    run = runs.load(folder)
    facts = [f"{name}: {run.info[name]}" for name in runs.FACTS if name != "arm"]
    _say(labels.run_label(*run.key), *(f"  {fact}" for fact in facts))
    if not run.finished:
        raise InputError(f"{run.info.get('reason', 'not finished')}: no scores")
    _say("")
    _print_table("The whole answer", tables.overall([run]))
    _print_table("Target by target", tables.per_target([run]))
    if run.external:
        _print_table("On radiographs from elsewhere, AUC of COVID", tables.external([run]))


@app.command()
def external(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[EXPERIMENT ARM] [PLACE]",
            help="The arm, as `cxr train` takes it; Cohen et al.'s collection, or your CSV file.",
        ),
    ] = None,
    data: Annotated[Path | None, typer.Option(help="The place, by name.")] = None,
    run: Annotated[
        Path | None, typer.Option(help="A run's folder, one of results/ say, instead of an arm.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="What to call the cohort; the place's name by default.")
    ] = None,
    profile: ProfileFile = QUICK,
    lungs: Annotated[Path | None, typer.Option(help="Folder of lung masks and boxes.")] = None,
    keep_duplicates: Annotated[
        bool, typer.Option("--keep-duplicates", help="Also pictures of the training cohort.")
    ] = False,
):
    """Test a trained arm on radiographs from elsewhere, whose patients it has not seen."""
    from cxrlib.shortcuts import external as elsewhere

    arm, places = ([], words or []) if run else ((words or [])[:2], (words or [])[2:])
    places = [Path(place) for place in places] + ([data] if data else [])
    if len(places) != 1 or (not run and len(arm) != 2):
        raise InputError(
            "name an experiment and an arm, or a run with --run, and one dataset to test on: its"
            " folder, or the CSV file that lists it"
        )
    tested, trained = _trained(*arm, profile) if arm else _kept(run)
    options = {"name": name, "keep_duplicates": keep_duplicates, "outlines": lungs}
    _say_tested(tested, elsewhere.test(tested, places[0], trained, **options))
    if trained is None:
        _say(
            f"{tested.info['cohort']}, which it was trained on, is not at hand: patients and"
            " pictures could not be compared"
        )


def _trained(experiment, arm, profile):
    """Returns the run of a study's arm, and the cohort that it was drawn from; trains nothing."""
    from cxrlib import study as studies
    from cxrlib.study import experiments, profiles, runs

    settings = profiles.read(_from_root(profile))
    chosen = settings.experiment(experiment)
    folder = studies.run_folder(settings, chosen, experiments.find_arm(chosen, arm))
    run = runs.load(folder) if (folder / "run.json").is_file() else None
    if run is None or not run.finished:
        state = "has not been trained" if run is None else f"is {run.info['state']}"
        why = f" ({run.info['reason']})" if run and "reason" in run.info else ""
        raise InputError(
            f"{chosen.name} {arm} {state}{why}: `cxr train {chosen.name} {arm} --profile {profile}`"
            " trains it"
        )
    return run, studies.everything(settings)


def _kept(folder):
    """Returns the run in a folder, and the cohort that it was drawn from where that is at hand."""
    from cxrlib.shortcuts import external as elsewhere
    from cxrlib.study import runs

    run = runs.load(folder)
    return run, elsewhere.trained_on(run)


def _say_tested(run, tested):
    """Prints what came of a test on a cohort from elsewhere."""
    from cxrlib.pages import tables
    from cxrlib.shortcuts import external as elsewhere

    n, patients = len(tested.predictions), tested.predictions["patient"].nunique()
    title = f"{run.experiment} {run.arm} on {tested.name}: {n} radiographs of {patients} patients"
    _print_table(title, tables.scores(tested.predictions))
    _print_table("Called so, per cent (95 % interval)", tables.shares(tested.predictions))
    if len(tested.left_out):
        left_out = elsewhere.counted(tested.left_out).reset_index()
        _print_table(f"Left out: {left_out['radiographs'].sum()}", left_out)
    if tested.attention is not None:
        outlined = tested.attention["file"].nunique()
        _say(f"heatmaps measured in {outlined} of them, whose lungs are outlined")
    _say(tested.folder)


@app.command()
def shortcuts(
    profile: ProfileFile = Path("profiles/marks.yml"),
):
    """Measure what scores hang on: marks tied, pasted, painted over, moved, and parts covered."""
    from cxrlib import shortcuts as shortcut
    from cxrlib.study import profiles

    settings = profiles.read(_from_root(profile))
    folder = shortcut.kept_in(settings)
    for line in shortcut.measure(settings, folder):
        _say(line)
    _say(folder)


@app.command()
def remedies(
    place: Annotated[
        Path | None, typer.Argument(help="New patients, where the profile is of real radiographs.")
    ] = None,
    profile: ProfileFile = Path("profiles/remedies.yml"),
):
    """Compare what mends a shortcut. Goes on where it was stopped."""
    from cxrlib import shortcuts
    from cxrlib.shortcuts import remedies as remedy
    from cxrlib.study import profiles

    settings = profiles.read(_from_root(profile))
    path = shortcuts.kept_in(settings) / "remedies.csv"
    for line in remedy.measure(settings, path, place):
        _say(line)
    _say(path)


@app.command()
def transfer(
    place: Annotated[
        Path | None, typer.Argument(help="New patients, where the profile is of real radiographs.")
    ] = None,
    profile: ProfileFile = Path("profiles/remedies.yml"),
):
    """Ask networks of phantoms about radiographs, and the reverse. Goes on where it was stopped."""
    from cxrlib import shortcuts
    from cxrlib.shortcuts import transfer as asked
    from cxrlib.study import profiles

    settings = profiles.read(_from_root(profile))
    path = shortcuts.kept_in(settings) / "transfer.csv"
    for line in asked.measure(settings, path, place):
        _say(line)
    _say(path)


@app.command()
def heatmaps(
    profile: ProfileFile = Path("profiles/remedies.yml"),
):
    """Ask which kind of heatmap shows a shortcut, on phantoms. Goes on where it was stopped."""
    from cxrlib import shortcuts
    from cxrlib.shortcuts import telling
    from cxrlib.study import profiles

    settings = profiles.read(_from_root(profile))
    path = shortcuts.kept_in(settings) / "heatmaps.csv"
    for line in telling.measure(settings, path):
        _say(line)
    _say(path)


@app.command()
def lungs(
    places: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[PLACE...]", help="Datasets to test on: folders or CSV files."),
    ] = None,
    outlines: Annotated[
        Path | None, typer.Option("--lungs", help="Folder of readers' lung masks of these.")
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="Write each radiograph's score there.")] = None,
    anew: Annotated[bool, typer.Option("--anew", help="Train it again.")] = False,
):
    """Train what outlines lungs, on phantoms alone, and test it on readers' outlines."""
    if bool(places) != bool(outlines):
        raise InputError("name datasets and, with --lungs, the folder of their lung masks")
    if csv:
        _ending(csv, ".csv")
    import pandas as pd

    from cxrlib import cohort, networks
    from cxrlib.cohort import lungs as readers
    from cxrlib.networks import unet

    path = files.root() / networks.UNET
    if anew or not path.exists():
        for line in unet.train(path):
            _say(line)
    tested = []
    for place in places or []:
        known = readers.join(cohort.read(place), outlines)
        found = unet.compare(unet.kept(), known)
        tested.append(found.assign(cohort=place.name))
        middle, worst = found["dice"].median(), found["dice"].min()
        _say(f"{place}: {len(found)} outlined, Dice {middle:.3f} in the middle, worst {worst:.3f}")
    if csv and tested:
        table = pd.concat(tested, ignore_index=True)
        files.write_new(table.to_csv(index=False).encode(), csv)
    _say(path)


@app.command()
def predict(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Of any kind.")],
    run: RunFolder = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of a table.")] = False,
    csv: Annotated[Path | None, typer.Option(help="Write the table there, too.")] = None,
):
    """Say what a trained run makes of radiographs. Not for diagnosis."""
    from cxrlib import predict as predictions

    if csv:
        _ending(csv, ".csv")
    found = _run(run)
    table = predictions.predict(found, images)
    if as_json:
        _say(*json.dumps(predictions.report(found, table), indent=2, allow_nan=False).split("\n"))
    _say_answers(found, table, table_too=not as_json, file=sys.stderr if as_json else sys.stdout)
    if csv:
        predictions.write_table(table, csv)
    _end_with(table)


def _say_answers(run, table, table_too=True, file=None):
    """Prints what a run answered of the radiographs that could be read, and what it is worth."""
    from cxrlib import predict as predictions

    read = table[table["error"] == ""].drop(columns="error")
    if len(read) and table_too:
        _say_table(read, index=False, float_format="{:.3f}".format)
    if len(read):
        _say(*predictions.lines(run), file=file)


def _end_with(table):
    """Ends with an error for each radiograph that could not be read, if there is any."""
    wrong = list(table["error"][table["error"] != ""])
    if wrong:
        _say(*(f"cxr: {error}" for error in wrong[:-1]), file=sys.stderr)
        raise InputError(wrong[-1])


@app.command()
def explain(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Of any kind.")],
    run: RunFolder = None,
    target: Annotated[
        str | None, typer.Option(help="COVID, ...; by default the likeliest of each.")
    ] = None,
    method: Annotated[
        str | None, typer.Option(help="Grad-CAM, Score-CAM, ...; by default the paper's.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="The PNG of one image; by default IMAGE-TARGET.png here, or -2.png, ..."),
    ] = None,
):
    """Show where in radiographs a trained run finds a target. Not for diagnosis."""
    import pandas as pd

    from cxrlib import predict as predictions

    if output:
        _ending(output, ".png")
    if output and len(images) > 1:
        raise InputError(f"--output {output} is one picture: leave it out for several images")
    asked, rows = _run(run), []
    for found in predictions.explain_each(asked, images, target, method):
        if "error" not in found:
            _say_explained(asked, found, output)
        rows.append(
            {
                "file": found["file"],
                **found.get("probabilities", {}),
                "error": found.get("error", ""),
            }
        )
    table = pd.DataFrame(rows, columns=["file", *predictions.TARGETS, "error"])
    _say_answers(asked, table)
    _end_with(table)


def _say_explained(run, found, output):
    """Writes the picture of one radiograph, and says what it shows."""
    from cxrlib import predict as predictions

    target, file = found["target"], Path(found["file"])
    named = output or Path(f"{files.shortened(file.stem, 200)}-{target}.png")
    written = predictions.write_png(predictions.picture(run, found), named, another=not output)
    if found["heatmap"].any():
        _say(f"{written} shows where the run finds {target} in {file}.")
    else:
        _say(f"{written} shows {file}: nothing in it speaks for {target}.")


def _run(folder):
    """Reads a run folder; without one, that of the released network."""
    from cxrlib import predict as predictions
    from cxrlib.study import runs

    return predictions.default() if folder is None else runs.load(folder)


@app.command()
def notebook(
    name: Annotated[str, typer.Argument(help="02-experiment-a, ...")],
    output: Annotated[Path, typer.Argument(help="Where the executed notebook goes.")],
    profile: ProfileFile = QUICK,
):
    """Run one notebook with a profile; an incomplete output never stays behind."""
    from cxrlib.pages import notebooks, pairs
    from cxrlib.study import profiles

    _ending(output, ".ipynb")
    _say_written(pairs.settle(name))
    notebooks.execute(name, profiles.read(_from_root(profile)), output)


@app.command()
def book(profile: ProfileFile = QUICK):
    """Build the book of a study whose chapters are executed: what `cxr study` does last."""
    from cxrlib.pages import book as books
    from cxrlib.study import profiles

    books.bind(profiles.read(_from_root(profile)))


@app.command()
def pdf(profile: ProfileFile = QUICK):
    """Print the book of a study into one PDF, with the Chromium of this system."""
    from cxrlib.pages import printed
    from cxrlib.study import profiles

    _say(f"The book on paper: {printed.write(profiles.read(_from_root(profile)))}")


@app.command()
def crate(
    file: Annotated[Path, typer.Argument(help="The zip file to write.")],
    profile: ProfileFile = QUICK,
):
    """Write a finished study, its book and its numbers, as one file to archive: an RO-Crate."""
    from cxrlib.pages import crate as crates
    from cxrlib.study import profiles

    _ending(file, ".zip")
    crates.write(profiles.read(_from_root(profile)), file)


@app.command()
def pack(
    folder: Annotated[Path, typer.Argument(help="A run's folder.")],
    file: Annotated[Path, typer.Argument(help="The zip file to write.")],
):
    """Write a run as one file, to be carried to another machine."""
    from cxrlib.study import packing

    _ending(file, ".zip")
    packing.pack(folder, file)


@app.command()
def unpack(
    packed: Annotated[list[Path] | None, typer.Argument(metavar="FILE...")] = None,
):
    """Put packed runs where they were, unless the same are there; say where something was put."""
    from cxrlib.study import packing

    for path in packed or []:
        packing.unpack(path, _say)


@app.command()
def keep(profile: ProfileFile = QUICK):
    """Copy a study's numbers and its small networks, no pictures, to results/ to be committed."""
    from cxrlib import study as studies
    from cxrlib.cohort import audit
    from cxrlib.study import profiles, runs

    settings = profiles.read(_from_root(profile))
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
        for path in runs.keep(ended, place):
            _say(path.relative_to(files.root()))
        looked += [(trial, run) for run in ended if run.finished]
    if looked and settings.cohort != "phantom":
        files.write_csv(studies.attention_of(looked), kept / "lung-attention.csv")


@data.command()
def get(
    name: Annotated[str, typer.Argument(help="coronahack or covid-chestxray.")],
    folder: Annotated[
        Path | None, typer.Argument(help="Where it goes; data/NAME by default.")
    ] = None,
):
    """Download a dataset of real radiographs from its owners."""
    from cxrlib.cohort import download

    folder, found = download.get(name, folder)
    _say(f"{folder} {'holds it already' if found else 'holds it now'}")


@data.command()
def check(
    place: Annotated[Path, typer.Argument(help="A dataset's folder, or your CSV file.")],
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of a report.")] = False,
):
    """List all that is wrong with a dataset, and what tells its targets without the lungs."""
    from cxrlib.cohort import audit

    if as_json:
        _print_json(place, audit.check(place))
        return
    for title, frame in audit.check(place):
        _print_part(title, frame)


def _print_part(title, frame):
    """Prints a part of the report: a sentence, a table, and what could not be measured."""
    from cxrlib.pages import report

    text, lines = report.shown(frame)
    _print_table(title, text, above=filter(None, [report.MEANING.get(title)]), below=lines)


def _print_json(place, parts):
    """Prints the parts of an audit as JSON, those before an error too."""
    from cxrlib.pages import report

    told, failed = {"place": str(place)}, None
    try:
        for title, frame in parts:
            told[title.lower().replace(",", "").replace(" ", "_").replace("-", "_")] = report.plain(
                frame
            )
    except InputError as error:
        failed, told["error"] = error, str(error)
    _say(*json.dumps(told, indent=2, allow_nan=False).split("\n"))
    if failed:
        raise failed


def _print_table(title, frame, above=(), below=()):
    """Prints a table between lines; "none" where nothing else is said."""
    _say(title, *above, "")
    if len(frame):
        _say_table(frame, index=False)
    _say(*(below or ([] if len(frame) else ["none"])), "")


@paper.command()
def audit(
    csv: Annotated[Path | None, typer.Option(help="Write every finding's numbers there.")] = None,
):
    """Check the paper's tables against the counts behind them. A finding is a row, not an error."""
    from cxrlib import paper as papers

    numbers, findings = papers.recomputed(), papers.audit()
    shown = papers.summary(findings)
    agree = f"{numbers['agrees'].sum()} of the {len(numbers)} printed values"
    _print_table(f"{agree} follow from the counts. Per cent; intervals of 95 %", shown)
    _say(*(f"{name}: {papers.FINDINGS[name]}" for name in shown["Finding"].unique()))
    if csv is not None:
        files.write_new(findings.to_csv(index=False).encode(), csv)


@app.command()
def pair():
    """Bring the halves of each notebook, NN-name.md and .ipynb, in step: the edited one is kept."""
    from cxrlib.pages import pairs

    _say_written(pairs.settle_all())


def _say_written(paths):
    for path in paths:
        _say(f"{path.relative_to(files.root())}: brought in step with its other half")


def _say(*lines, file=None):
    """Prints lines: whatever is in a name commands no terminal, and begins no line of its own."""
    for line in lines:
        print(printable(str(line)), file=file or sys.stdout, flush=True)


def _say_table(frame, **how):
    """Prints a table as pandas writes it."""
    _say(*frame.map(_cell).to_string(**how).split("\n"))


def _cell(value):
    return printable(value) if isinstance(value, str) else value


def _ending(path, wanted):
    """Refuses to write a file of one kind under the name of another."""
    if path.suffix.lower() != wanted:
        raise InputError(f"{path}: name a file that ends in {wanted}")


def _from_root(path):
    """Takes a profile's path from here or, failing that, from the study's folder."""
    return path if path.exists() else files.root() / path


def _show_warning(others, message, category, *where, **how):
    """Shows a warning about a user's input in one line, and others as they were shown before."""
    if issubclass(category, InputWarning):
        _say(f"cxr: {message}", file=sys.stderr)
    else:
        others(message, category, *where, **how)


def main():
    """Runs the command; bad input ends in one line and status 2, the machine's want in status 1."""
    _open_streams()
    warnings.showwarning = functools.partial(_show_warning, warnings.showwarning)
    try:
        app()
    except InputError as error:
        _fail(error, 2)
    except OSError as error:
        _fail(f"{error}: nothing half-written was left; mend it and run again", 1)
    except MemoryError as error:
        _fail(f"too little memory ({error}): close what else runs, or take a smaller profile", 1)
    except SystemExit as end:
        if end.code == STOPPED:
            _say("cxr: stopped; what is finished is kept, run it again to go on", file=sys.stderr)
        raise


def _open_streams():
    """Lets output take any name, also those that no terminal can print, and be closed (`>&-`)."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 - it stays open
        getattr(sys, name).reconfigure(errors="backslashreplace")


def _fail(message, status):
    _say(f"cxr: {message}", file=sys.stderr)
    sys.exit(status)
