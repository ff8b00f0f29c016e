"""The metadata of collections: which table they are, and which file each of its names means."""

import warnings
from pathlib import Path

import pandas as pd

from cxrlib.cohort import folders, tables
from cxrlib.errors import InputError, InputWarning


def folder(root, what):
    """Returns a collection's folder; one that is not there is refused with what belongs there."""
    root = Path(root)
    if not root.is_dir():
        raise InputError(f"no folder {root}: point `data` at {what}")
    return root


def lists(root):
    """Lists the tables below a folder."""
    return [path for path in folders.files(root) if path.suffix.lower() in (".csv", ".tsv")]


def nearest(root, needed):
    """Returns the table with the columns needed that lies highest below a folder, or None."""
    found = [path for path in lists(root) if set(needed) <= tables.columns(path, needed)]
    highest = min((len(path.parts) for path in found), default=0)
    return one([path for path in found if len(path.parts) == highest])


def one(paths):
    """Returns the one table that is meant; None of none. Copies of a table are one."""
    others = [path for path in paths[1:] if path.read_bytes() != paths[0].read_bytes()]
    if others:
        raise InputError(f"{paths[0]} and {others[0]} both list radiographs: name one, or move one")
    return paths[0] if paths else None


def read(root, needed, name, also=()):
    """Reads the CSV file below a folder that has the columns needed: rows, notes, its path."""
    found = nearest(root, needed)
    if found:
        return *tables.read(found, (*needed, *also)), found
    there = {path: tables.columns(path, needed) for path in lists(root)}
    if not there:
        raise InputError(f"no metadata file below {root}: {name} belongs there")
    likest = max(there, key=lambda file: len(there[file]))
    missing = sorted(set(needed) - there[likest])[0]
    raise InputError(f"{likest} lacks the column {missing}: take {name} itself")


def warn(root, notes):
    """Warns of what was changed on reading, if anything was."""
    if notes:
        said = "; ".join(map(str, notes))
        warnings.warn(f"{root}: {said}", InputWarning, stacklevel=3)


def refuse_twice(names):
    """Refuses metadata that list a file twice: which of two labels counts, nobody knows."""
    twice = names[names.duplicated()]
    if len(twice):
        raise InputError(f"{twice.iloc[0]} is listed twice in the metadata: keep one row")


def image_paths(root, names, folders_of=None):
    """Returns where the images of these names are; all must be there, and each once."""
    found = placed(Path(root), names, pd.DataFrame(index=names.index), folders_of)
    twice, missing = found[found["also"] != ""], found[~found["path"].map(folders.is_there)]
    if len(twice):
        raise InputError(
            f"{len(twice)} images of the metadata are twice below {root}"
            f" ({twice['also'].iloc[0]} are different pictures): leave the radiographs alone there"
        )
    if len(missing):
        raise InputError(
            f"{len(missing)} images of the metadata are not below {root}"
            f" ({missing['file'].iloc[0]} is the first): unpack the whole dataset there"
        )
    return found["path"]


def placed(root, names, labels, folders_of=None):
    """Lists files by the names that metadata give, there or not, and what else has that name.

    Args:
        root: The collection's folder.
        names: Series of file names.
        labels: DataFrame of the rest.
        folders_of: The folder that the metadata name for each file, or None. It is believed where
            any of the files is there: a mask elsewhere is then no radiograph.
    """
    by_name = folders.Names(root)
    places = [None] * len(names) if folders_of is None else list(folders_of)
    found = [by_name.find(name, place) for name, place in zip(names, places)]
    if not any(found):
        places, found = [None] * len(names), [by_name.find(name) for name in names]
    default = [str((place or root) / name) for place, name in zip(places, names)]
    facts = {
        "file": names,
        "path": [str(paths[0]) if paths else path for paths, path in zip(found, default)],
        "also": [
            " and ".join(str(path.relative_to(root)) for path in paths[:2]) * (len(paths) > 1)
            for paths in found
        ],
    }
    return pd.concat([pd.DataFrame(facts, index=names.index), labels], axis=1)
