"""Tables that grow network by network over hours: one can be stopped, and goes on where it was.

Beside TABLE.csv lies TABLE.json with the settings that its networks were trained with, so that a
profile that has changed since never adds rows to it that look like the others.
"""

import dataclasses

import pandas as pd

from cxrlib import columns, files
from cxrlib.errors import InputError
from cxrlib.study.profiles import CHANGE_NO_RUN, Profile

NO_MATTER = (*CHANGE_NO_RUN, "seed")
"""Parameters that change no row, or, as the seed, stand in each."""


def begin(path, checks, profile, **facts):
    """Reads a table that another call began, or begins one.

    Args:
        path: The CSV file.
        checks: Its columns, as `columns.read` takes them.
        profile: `Profile` of the networks that are to be trained.
        facts: What else no row says and all must share.

    Returns:
        DataFrame of what was measured before; it may be empty.

    Raises:
        InputError: It was begun with other settings, or does not say with which.
    """
    beside, settings = path.with_suffix(".json"), _settings(profile) | facts
    if not path.exists():
        files.write_json(settings, beside)
        return pd.DataFrame(columns=list(checks))
    if not beside.exists():
        raise InputError(f"{path} does not say how it was made: {beside.name} is missing. {_MEND}")
    begun = _settings(Profile()) | files.read_json(beside)
    for name, value in settings.items():
        if begun.get(name) != value:
            was, now = f"{name} {begun.get(name)}", f"{name} is {value}"
            raise InputError(f"{path} was begun with {was}, and now {now}. {_MEND}")
    return columns.read(path, checks)


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
