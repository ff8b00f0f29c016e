"""Tables that grow network by network over hours: one can be stopped, and goes on where it was.

Beside TABLE.csv lies TABLE.json with the settings that its networks were trained with, and which
radiographs these were of, so that a profile or a folder that has changed since never adds rows to
it that look like the others.
"""

import dataclasses

import pandas as pd

from cxrlib import cohort, columns, files, study
from cxrlib.errors import InputError
from cxrlib.study.profiles import CHANGE_NO_RUN, Profile

NO_MATTER = (*CHANGE_NO_RUN, "seed")
"""Parameters that change no row, or, as the seed, stand in each. Where the radiographs are is one;
which they are, `radiographs` says."""


def begin(path, checks, profile, **facts):
    """Reads a table that another call began, or begins one.

    Args:
        path: The CSV file.
        checks: Its columns, as `columns.read` takes them.
        profile: `Profile` of the networks that are to be trained.
        facts: What else no row says and all must share. One that an older table does not have is
            written down now.

    Returns:
        DataFrame of what was measured before; it may be empty.

    Raises:
        InputError: It was begun with other settings, or does not say with which.
    """
    begun = path.exists()
    keep_to(path.with_suffix(".json"), path if begun else None, profile, **facts)
    return columns.read(path, checks) if begun else pd.DataFrame(columns=list(checks))


def keep_to(beside, begun, profile, **facts):
    """Writes down with which settings tables are made, and refuses others once one is begun.

    Args:
        beside: The JSON file.
        begun: The table that another call began; None where there is none.
        profile, facts: As `begin` takes them.

    Raises:
        InputError: As `begin`.
    """
    if begun is None:
        files.write_json(_settings(profile) | facts, beside)
        return
    if not beside.exists():
        raise InputError(f"{begun} does not say how it was made: {beside.name} is missing. {_MEND}")
    refuse_others(beside, begun, profile, **facts)
    kept = files.read_json(beside)
    if facts.keys() - kept.keys():
        files.write_json(kept | facts, beside)


def refuse_others(beside, begun, profile, **facts):
    """Refuses settings that are not those of a table, as `keep_to` does, and writes nothing."""
    was = facts | _settings(Profile()) | files.read_json(beside)
    for name, value in (_settings(profile) | facts).items():
        if was.get(name) != value:
            told = f"begun with {name} {was.get(name)}, and now {name} is {value}"
            raise InputError(f"{begun} was {told}. {_MEND}")


def radiographs(profile, place=None):
    """Says which radiographs a table is of, wherever they are: facts, as `begin` takes them.

    Args:
        profile: Of the networks that are to be trained.
        place: Where the new patients are, as `cohort.read` takes it; None: there are none.

    Returns:
        Dict: radiographs (of the profile) and, of new patients, new_radiographs, each a digest;
        empty of phantoms, which their profile says all of.

    Raises:
        InputError: They cannot be read.
    """
    if profile.cohort == "phantom":
        return {}
    found = {"radiographs": study.identity(study.everything(profile))}
    return found | ({"new_radiographs": study.identity(cohort.read(place))} if place else {})


_MEND = "Give the profile another name, or move the table away."


def add(table, rows, path):
    """Writes a table with some rows more, and returns it."""
    table = pd.concat([table, rows[list(table.columns)]], ignore_index=True)
    files.write_csv(table, path)
    return table


def _settings(profile):
    """Returns what changes a row, as JSON gives it back: a dict."""
    facts = dataclasses.asdict(profile)
    return {name: value for name, value in facts.items() if name not in NO_MATTER}
