"""The notebooks and the book."""

from pathlib import Path
from typing import Annotated

import typer

from cxrlib.cli.shared import QUICK, ProfileFile, app, ending, from_root, say, say_written

PANEL = "Notebooks and the book"


@app.command(rich_help_panel=PANEL)
def notebook(
    name: Annotated[str, typer.Argument(help="02-experiment-a, ...")],
    output: Annotated[Path, typer.Argument(help="Where the executed notebook goes.")],
    profile: ProfileFile = QUICK,
):
    """Run one notebook with a profile; an incomplete output never stays behind."""
    from cxrlib.pages import notebooks, pairs
    from cxrlib.study import profiles

    ending(output, ".ipynb")
    say_written(pairs.settle(name))
    notebooks.execute(name, profiles.read(from_root(profile)), output)


@app.command(rich_help_panel=PANEL)
def book(profile: ProfileFile = QUICK):
    """Build the book of a study whose chapters are executed: what `cxr study` does last."""
    from cxrlib.pages import book as books
    from cxrlib.study import profiles

    books.bind(profiles.read(from_root(profile)))


@app.command(rich_help_panel=PANEL)
def pdf(profile: ProfileFile = QUICK):
    """Print the book of a study into one PDF, with the Chromium of this system."""
    from cxrlib.pages import printed
    from cxrlib.study import profiles

    say(f"The book on paper: {printed.write(profiles.read(from_root(profile)))}")


@app.command(rich_help_panel=PANEL)
def crate(
    file: Annotated[Path, typer.Argument(help="The zip file to write.")],
    profile: ProfileFile = QUICK,
):
    """Write a finished study, its book and its numbers, as one file to archive: an RO-Crate."""
    from cxrlib.pages import crate as crates
    from cxrlib.study import profiles

    ending(file, ".zip")
    crates.write(profiles.read(from_root(profile)), file)


@app.command(rich_help_panel=PANEL)
def pair():
    """Bring the halves of each notebook, NN-name.md and .ipynb, in step: the edited one is kept."""
    from cxrlib.pages import pairs

    say_written(pairs.settle_all())
