"""Tables of radiographs, and the paper's printed numbers."""

import json
from pathlib import Path
from typing import Annotated

import typer

from cxrlib import files
from cxrlib.cli.shared import data, paper, print_table, say
from cxrlib.errors import InputError


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
    say(f"{folder} {'holds it already' if found else 'holds it now'}")


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
    print_table(title, text, above=filter(None, [report.MEANING.get(title)]), below=lines)


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
    say(*json.dumps(told, indent=2, allow_nan=False).split("\n"))
    if failed:
        raise failed


@paper.command()
def audit(
    csv: Annotated[Path | None, typer.Option(help="Write every finding's numbers there.")] = None,
):
    """Check the paper's tables against the counts behind them. A finding is a row, not an error."""
    from cxrlib import paper as papers

    numbers, findings = papers.recomputed(), papers.audit()
    shown = papers.summary(findings)
    agree = f"{numbers['agrees'].sum()} of the {len(numbers)} printed values"
    print_table(f"{agree} follow from the counts. Per cent; intervals of 95 %", shown)
    say(*(f"{name}: {papers.FINDINGS[name]}" for name in shown["Finding"].unique()))
    if csv is not None:
        files.write_new(findings.to_csv(index=False).encode(), csv)
