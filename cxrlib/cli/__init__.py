"""The `cxr` command. It starts fast: nothing here imports Keras before it is needed."""

import functools
import os
import sys
import warnings
from pathlib import Path
from typing import Annotated

import typer

from cxrlib.cli.shared import app, say
from cxrlib.errors import InputError, InputWarning

# isort: off
from cxrlib.cli import study, runs, answers, measures, pages, data  # noqa: F401 - in --help's order

# isort: on

STOPPED = 130
"""Status of a command that Ctrl-C stopped, as Typer gives it."""


@app.callback(invoke_without_command=True)
def about(version: Annotated[bool, typer.Option("--version", help="Say which this is.")] = False):
    """COVID detection in chest radiographs, rerun and measured. A study, not a medical device."""
    if version:
        from importlib import metadata

        say(f"cxr {metadata.version('cxrlib')}")
        raise typer.Exit


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
            say("cxr: stopped; what is finished is kept, run it again to go on", file=sys.stderr)
        raise


def _show_warning(others, message, category, *where, **how):
    """Shows a warning about a user's input in one line, and others as they were shown before."""
    if issubclass(category, InputWarning):
        say(f"cxr: {message}", file=sys.stderr)
    else:
        others(message, category, *where, **how)


def _open_streams():
    """Lets output take any name, also those that no terminal can print, and be closed (`>&-`)."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 - it stays open
        getattr(sys, name).reconfigure(errors="backslashreplace")


def _fail(message, status):
    say(f"cxr: {message}", file=sys.stderr)
    sys.exit(status)
