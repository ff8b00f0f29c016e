"""What networks are worth elsewhere, what their scores hang on, and what mends it."""

from pathlib import Path
from typing import Annotated

import typer

from cxrlib import files
from cxrlib.cli.shared import QUICK, ProfileFile, app, ending, from_root, print_table, say
from cxrlib.errors import InputError

PANEL = "What scores hang on"


@app.command(rich_help_panel=PANEL)
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
        say(
            f"{tested.info['cohort']}, which it was trained on, is not at hand: patients and"
            " pictures could not be compared"
        )


def _trained(experiment, arm, profile):
    """Returns the run of a study's arm, and the cohort that it was drawn from; trains nothing."""
    from cxrlib import study as studies
    from cxrlib.study import experiments, profiles, runs

    settings = profiles.read(from_root(profile))
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
    print_table(title, tables.scores(tested.predictions))
    print_table("Called so, per cent (95 % interval)", tables.shares(tested.predictions))
    if len(tested.left_out):
        left_out = elsewhere.counted(tested.left_out).reset_index()
        print_table(f"Left out: {left_out['radiographs'].sum()}", left_out)
    if tested.attention is not None:
        outlined = tested.attention["file"].nunique()
        say(f"heatmaps measured in {outlined} of them, whose lungs are outlined")
    say(tested.folder)


@app.command(rich_help_panel=PANEL)
def shortcuts(
    profile: ProfileFile = Path("profiles/marks.yml"),
):
    """Measure what scores hang on: marks tied, pasted, painted over, moved, and parts covered."""
    from cxrlib import shortcuts as shortcut

    _measured(shortcut.measure, profile)


def _measured(measure, profile, name="", *more, **options):
    """Measures what is kept in results/, says each line of it, and then where it is kept."""
    from cxrlib import shortcuts as shortcut
    from cxrlib.study import profiles

    settings = profiles.read(from_root(profile))
    path = shortcut.kept_in(settings) / name
    with files.locked_if_free(path) as free:
        if not free:
            raise InputError(f"another process adds to {path}: wait until it has ended")
        for line in measure(settings, path, *more, **options):
            say(line)
    say(path)


@app.command(rich_help_panel=PANEL)
def remedies(
    place: Annotated[
        Path | None, typer.Argument(help="New patients, where the profile is of real radiographs.")
    ] = None,
    profile: ProfileFile = Path("profiles/remedies.yml"),
    shortcut: Annotated[
        list[str] | None, typer.Option(help="Only this one; give it once for each.")
    ] = None,
    remedy: Annotated[
        list[str] | None, typer.Option(help="Only this one; give it once for each.")
    ] = None,
    architecture: Annotated[
        str, typer.Option(help="efficient, densenet121 or resnet50.")
    ] = "efficient",
):
    """Compare what mends a shortcut. Goes on where it was stopped."""
    from cxrlib.shortcuts import remedies as tried

    only = {"shortcuts": shortcut, "remedies": remedy, "architecture": architecture}
    _measured(tried.measure, profile, "remedies.csv", place, **only)


@app.command(rich_help_panel=PANEL)
def transfer(
    place: Annotated[
        Path | None, typer.Argument(help="New patients, where the profile is of real radiographs.")
    ] = None,
    profile: ProfileFile = Path("profiles/remedies.yml"),
):
    """Ask networks of phantoms about radiographs, and the reverse. Goes on where it was stopped."""
    from cxrlib.shortcuts import transfer as asked

    _measured(asked.measure, profile, "transfer.csv", place)


@app.command(rich_help_panel=PANEL)
def heatmaps(
    profile: ProfileFile = Path("profiles/remedies.yml"),
):
    """Ask which kind of heatmap shows a shortcut, on phantoms. Goes on where it was stopped."""
    from cxrlib.shortcuts import telling

    _measured(telling.measure, profile, "heatmaps.csv")


@app.command(rich_help_panel=PANEL)
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
        ending(csv, ".csv")
    import pandas as pd

    from cxrlib import cohort, networks
    from cxrlib.cohort import lungs as readers
    from cxrlib.networks import unet

    path = files.root() / networks.UNET
    if anew or not path.exists():
        for line in unet.train(path):
            say(line)
    tested = []
    for place in places or []:
        known = readers.join(cohort.read(place), outlines)
        found = unet.compare(unet.kept(), known)
        tested.append(found.assign(cohort=place.name))
        middle, worst = found["dice"].median(), found["dice"].min()
        say(f"{place}: {len(found)} outlined, Dice {middle:.3f} in the middle, worst {worst:.3f}")
    if csv and tested:
        table = pd.concat(tested, ignore_index=True)
        # A folder's name is bytes, of any encoding.
        files.write_new(table.to_csv(index=False).encode("utf-8", "surrogateescape"), csv)
    say(path)
