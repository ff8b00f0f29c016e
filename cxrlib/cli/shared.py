"""What all commands share: the app that they belong to, their options, and how they speak."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from cxrlib import files
from cxrlib.errors import InputError, printable

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
data = typer.Typer(no_args_is_help=True, help="Get a dataset, and check what is in it.")
app.add_typer(data, name="data", rich_help_panel="Numbers of others")
paper = typer.Typer(no_args_is_help=True, help="The paper's printed numbers.")
app.add_typer(paper, name="paper", rich_help_panel="Numbers of others")

ProfileFile = Annotated[Path, typer.Option("--profile", help="How big a study runs.")]
RunFolder = Annotated[
    Path | None,
    typer.Option("--run", help="A run's folder; by default the network that is released."),
]
QUICK = Path("profiles/quick.yml")


def say(*lines, file=None):
    """Prints lines: whatever is in a name commands no terminal, and begins no line of its own."""
    for line in lines:
        print(printable(str(line)), file=file or sys.stdout, flush=True)


def say_table(frame, **how):
    """Prints a table as pandas writes it."""
    say(*frame.map(_cell).to_string(**how).split("\n"))


def _cell(value):
    return printable(value) if isinstance(value, str) else value


def print_table(title, frame, above=(), below=()):
    """Prints a table between lines; "none" where nothing else is said."""
    say(title, *above, "")
    if len(frame):
        say_table(frame, index=False)
    say(*(below or ([] if len(frame) else ["none"])), "")


def say_written(paths):
    """Says which halves of notebooks were brought in step."""
    for path in paths:
        say(f"{path.relative_to(files.root())}: brought in step with its other half")


def ending(path, wanted):
    """Refuses to write a file of one kind under the name of another."""
    if path.suffix.lower() != wanted:
        raise InputError(f"{path}: name a file that ends in {wanted}")


def from_root(path):
    """Takes a profile's path from here or, failing that, from the study's folder."""
    return path if path.exists() else files.root() / path
