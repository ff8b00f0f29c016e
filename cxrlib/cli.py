"""The `cxr` command. It starts fast: nothing here imports Keras before it is needed."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from cxrlib import files
from cxrlib.errors import InputError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="COVID detection in chest radiographs, rerun and measured. A study, not a medical device.",
)
ProfileFile = Annotated[Path, typer.Option("--profile", help="How big a study runs.")]
QUICK = Path("profiles/quick.yml")


@app.command()
def study(
    profile: ProfileFile = QUICK,
    cores: Annotated[str, typer.Option(help="Processor cores to use: a number or all.")] = "all",
    book: Annotated[bool, typer.Option(help="Run the notebooks and build the book too.")] = True,
):
    """Run a study: its arms, its notebooks, its book. Goes on from where it was stopped."""
    from cxrlib import profiles

    profiles.read(_from_root(profile))
    command = [
        sys.executable, "-m", "snakemake", "book" if book else "arms",
        "--snakefile", "Snakefile", "--cores", cores, "--config", f"profile={profile}",
        # The lock below outlives no process, so a killed study needs no unlocking by hand.
        "--nolock", "--rerun-incomplete", "--keep-going", "--quiet", "rules", "host", "reason",
    ]  # fmt: skip
    # The rules call commands of this environment, whether or not it is activated.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with files.locked(files.root() / "runs" / "study"):
        status = subprocess.run(
            command, cwd=files.root(), env={**os.environ, "PATH": path}
        ).returncode
    if status:
        raise InputError("the study stopped: see above; what is finished is kept, run it again")


@app.command()
def train(
    experiment: Annotated[str, typer.Argument(help="A, B or C.")],
    arm: Annotated[str, typer.Argument(help="densenet121-none, efficient, ...")],
    profile: ProfileFile = QUICK,
    weights: Annotated[Path | None, typer.Option(help="A file of ImageNet weights.")] = None,
    lines: Annotated[bool, typer.Option(help="A line an epoch instead of a bar.")] = False,
):
    """Train one arm of an experiment, or go on with it."""
    from cxrlib import experiments, profiles
    from cxrlib import study as studies

    settings = profiles.read(_from_root(profile))
    chosen = settings.experiment(experiment)
    found = experiments.find_arm(chosen, arm)
    if weights is not None and not weights.is_file():
        raise InputError(f"no weights file {weights}")
    run = studies.train(settings, chosen, found, weights=weights, lines=lines, retry=True)
    print(f"{chosen.name} {run.arm}: {run.info.get('reason', run.info['state'])}  {run.folder}")


@app.command()
def notebook(
    name: Annotated[str, typer.Argument(help="02-experiment-a, ...")],
    output: Annotated[Path, typer.Argument(help="Where the executed notebook goes.")],
    profile: ProfileFile = QUICK,
):
    """Run one notebook with a profile; an incomplete output never stays behind."""
    from cxrlib import notebooks, profiles

    notebooks.execute(name, profiles.read(_from_root(profile)), output)


@app.command()
def keep(profile: ProfileFile = QUICK):
    """Copy a study's numbers, no networks and no pictures, to results/ to be committed."""
    from cxrlib import profiles, runs
    from cxrlib import study as studies
    from cxrlib.cohort import leakage

    settings = profiles.read(_from_root(profile))
    kept = files.root() / "results" / settings.name
    files.write_csv(leakage(studies.cohort(settings)), kept / "leakage.csv")
    found = [
        run for run in runs.load_all(studies.folder(settings)) if run.info["state"] != runs.RUNNING
    ]
    for path in runs.keep(found, kept):
        print(path.relative_to(files.root()))


@app.command()
def pair():
    """Make each notebook's .ipynb anew from its text, NN-name.md."""
    from cxrlib import notebooks

    for path in notebooks.write_pairs():
        print(path.relative_to(files.root()))


def _from_root(path):
    """Takes a profile's path from here or, failing that, from the study's folder."""
    return path if path.exists() else files.root() / path


def main():
    """Runs the command; bad input ends in one line and status 2, a full disk in status 1."""
    try:
        app()
    except InputError as error:
        print(f"cxr: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        print(
            f"cxr: {error}: nothing half-written was left; mend it and run again", file=sys.stderr
        )
        sys.exit(1)
    except KeyboardInterrupt:
        print("cxr: stopped; what is finished is kept, run it again to go on", file=sys.stderr)
        sys.exit(130)
