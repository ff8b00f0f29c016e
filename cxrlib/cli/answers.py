"""What a network says of single radiographs, and where it looks. Not for diagnosis."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from cxrlib import files
from cxrlib.cli.shared import RunFolder, app, ending, say, say_table
from cxrlib.errors import InputError

PANEL = "Single radiographs"


@app.command(rich_help_panel=PANEL)
def predict(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Of any kind.")],
    run: RunFolder = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of a table.")] = False,
    csv: Annotated[Path | None, typer.Option(help="Write the table there, too.")] = None,
):
    """Say what a trained run makes of radiographs. Not for diagnosis."""
    from cxrlib import predict as predictions

    if csv:
        ending(csv, ".csv")
    found = _run(run)
    table = predictions.predict(found, images)
    if as_json:
        say(*json.dumps(predictions.report(found, table), indent=2, allow_nan=False).split("\n"))
    _say_answers(found, table, table_too=not as_json, file=sys.stderr if as_json else sys.stdout)
    if csv:
        predictions.write_table(table, csv)
    _end_with(table)


def _say_answers(run, table, table_too=True, file=None):
    """Prints what a run answered of the radiographs that could be read, and what it is worth."""
    from cxrlib import predict as predictions

    read = table[table["error"] == ""].drop(columns="error")
    if len(read) and table_too:
        say_table(read, index=False, float_format="{:.3f}".format)
    if len(read):
        say(*predictions.lines(run), file=file)


def _end_with(table):
    """Ends with an error for each radiograph that could not be read, if there is any."""
    wrong = list(table["error"][table["error"] != ""])
    if wrong:
        say(*(f"cxr: {error}" for error in wrong[:-1]), file=sys.stderr)
        raise InputError(wrong[-1])


@app.command(rich_help_panel=PANEL)
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
        ending(output, ".png")
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
        say(f"{written} shows where the run finds {target} in {file}.")
    else:
        say(f"{written} shows {file}: nothing in it speaks for {target}.")


def _run(folder):
    """Reads a run folder; without one, that of the released network."""
    from cxrlib import predict as predictions
    from cxrlib.study import runs

    return predictions.default() if folder is None else runs.load(folder)
