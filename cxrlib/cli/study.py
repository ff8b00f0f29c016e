"""The study as a whole: run it, say what is left to do, tidy up after it."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from cxrlib import files
from cxrlib.cli.shared import (
    QUICK,
    ProfileFile,
    app,
    from_root,
    print_table,
    say,
    say_written,
)
from cxrlib.errors import InputError

PANEL = "The study"


@app.command(rich_help_panel=PANEL)
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

        say(*disk.lines())
        return
    from cxrlib.pages import pairs
    from cxrlib.study import profiles

    settings = profiles.read(from_root(profile))
    if book and not dry_run:
        say_written(pairs.settle_all())  # so that an edit of either half is shown
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
    say(*outlook.lines(settings, tasks, total, at_once))
    if book:
        say(f"The book will be {files.root() / books.front(settings)}")


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
        say(*_unheard(log), file=sys.stderr)
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

    say(*outlook.not_run(settings))
    if book:
        say(f"The book: {books.show(settings)}")


def _snakemake(profile, wanted, cores, on):
    """Returns the command that makes "arms" or the "book"."""
    if not profile.is_absolute():  # the same file from the study's folder, where all else runs
        profile = os.path.relpath(from_root(profile), files.root())
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
    on = from_root(on).resolve()
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
    print_table("Against the other study", found.drop(columns="differs").round(4))
    for facts in dict.fromkeys(filter(None, found["differs"])):
        say(f"made otherwise: {facts}")
    apart = found[~found["verdict"].isin(reproduction.REPRODUCED)]
    if len(apart):
        names = ", ".join(
            f"{row.experiment} {row.arm} ({row.verdict})" for row in apart.itertuples()
        )
        say(f"cxr: not reproduced: {names}", file=sys.stderr)
        raise typer.Exit(1)
    say("reproduced: every arm came out as it did there")


@app.command(rich_help_panel=PANEL)
def clean():
    """Remove pixel caches, which are made anew when wanted, and checkpoints of finished runs."""
    from cxrlib.study import disk

    say(*disk.clean(), "", "What is left:", *disk.lines())
