"""Tables that this project wrote, read back: every cell that is used is what it must be.

A check is a function of a column (a Series) that returns which of its cells are right, a bool each.
"""

import numpy as np
import pandas as pd

from cxrlib.errors import printable
from cxrlib.files import reading

_ROUNDING = 1e-9
_LONGEST = 2**30
"""Bytes of a table at most: the predictions of four million radiographs."""


def number(low=-np.inf, high=np.inf, missing=False):
    """Returns the check of a number from low to high; NaN passes where it may be missing."""

    def right(column):
        if not pd.api.types.is_numeric_dtype(column) or column.dtype == bool:
            return np.zeros(len(column), bool)
        values = column.to_numpy()  # pandas itself takes twenty times as long for a short table
        inside = (values >= low - _ROUNDING) & (values <= high + _ROUNDING)
        return inside | (np.isnan(values) & missing)

    return right


def whole(low=0, high=np.inf):
    """Returns the check of a whole number from low to high."""
    return lambda column: number(low, high)(column) & (column.dtype.kind in "iu")


def one_of(*names):
    """Returns the check of a name among some."""
    return lambda column: column.isin(names)


def text(column):
    """Checks text: any is right, but for none."""
    return column.astype(str) != ""


def anything(column):
    """Checks nothing but that the column is there."""
    return pd.Series(True, column.index)


def read(path, columns, empty=False):
    """Reads a CSV file and checks it.

    Args:
        path: The file, as `files.write_csv` writes it.
        columns: Column -> its check. The table may have others.
        empty: Whether it may have no row.

    Returns:
        DataFrame of at least one row, unless it may be empty. Where text is expected, "NA" and the
        like are text.

    Raises:
        InputError: It is cut short, empty, lacks a column, or a cell is wrong: the message names
            the file, the column, the line and the mend.
        OSError: It cannot be opened.
    """
    with reading(path):
        _refuse_cut(path)
        numbers = [name for name, check in columns.items() if check not in (text, anything)]
        blank = {name: ["", "nan", "NaN"] for name in numbers}
        words = {name: str for name, check in columns.items() if check is text}  # 007 stays 007
        options = {"keep_default_na": False, "na_values": blank, "low_memory": False}
        table = pd.read_csv(path, dtype=words, **options)
        lost = [name for name in columns if name not in table]
        if lost:
            raise ValueError(f"no column {lost[0]}")
        if table.empty and not empty:
            raise ValueError("no row")
        if not isinstance(table.index, pd.RangeIndex):
            raise ValueError("more cells than columns")
        for name, check in columns.items():
            wrong = ~np.asarray(check(table[name]), bool)
            if wrong.any():
                line, value = wrong.argmax(), table[name].iloc[wrong.argmax()]
                raise ValueError(f"{name} is {printable(str(value))[:40]} in line {line + 2}")
    return table


HISTORY = {
    "epoch": whole(1), "seconds": number(0), "loss": number(missing=True),
    "val_loss": number(missing=True), "accuracy": number(0, 1, missing=True),
    "val_accuracy": number(0, 1, missing=True),
}  # fmt: skip


def read_history(path):
    """Reads the epochs of a training, as `read` does; they count from 1."""
    history = read(path, HISTORY)
    with reading(path):
        if history["epoch"].tolist() != list(range(1, len(history) + 1)):
            raise ValueError("its epochs do not count from 1")
    return history


def refuse_twice(table, keys):
    """Raises ValueError where a radiograph is in a table twice."""
    twice = table.duplicated(keys)
    if twice.any():
        file = printable(str(table.loc[twice.idxmax(), "file"]))[:80]
        raise ValueError(f"{file} is in it twice")


def _refuse_cut(path):
    """Raises ValueError where the last line has no end: its last number may be half of one."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        if size > _LONGEST:
            raise ValueError(f"longer than {_LONGEST} bytes")
        file.seek(max(size - 1, 0))
        if file.read(1) != b"\n":
            raise ValueError("cut short")
