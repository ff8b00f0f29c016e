"""What studies leave on the disk, in plain words, and what of it nobody needs."""

import contextlib
import os
from pathlib import Path
from typing import NamedTuple

from cxrlib import files
from cxrlib.errors import InputError
from cxrlib.images import caches
from cxrlib.labels import size
from cxrlib.study import data, runs

_MADE = "made anew when wanted"
_UNUSED = "of finished runs, which nothing needs"


class Part(NamedTuple):
    """Something that studies left.

    Args:
        what: "pixel caches", "runs", ...
        where: Its folder, from the study's.
        size: Bytes.
        why: What becomes of it, in a few words.
        goes: Whether `clean` removes it, unless a process uses it.
    """

    what: str
    where: str
    size: int
    why: str
    goes: bool = False


def parts():
    """Lists what studies left: pixel caches, checkpoints, runs and books.

    Returns:
        List of `Part`; what is not there is left out. Checkpoints of finished runs are a part of
        their own, those of other runs belong to the runs.
    """
    root, pixels = files.root(), data.pixel_folder()
    kept = caches.found(pixels)
    cut = files.abandoned(pixels)
    old = _checkpoints()
    listed = [
        Part("pixel caches", _from(pixels), sum(map(caches.size, kept)), _MADE, True),
        Part("cut-off caches", _from(pixels), sum(map(_size, cut)), "of killed processes", True),
        Part("checkpoints", "runs", sum(map(_size, old)), _UNUSED, True),
    ]
    for folder in _folders(root / "runs"):
        within = sum(map(_size, (path for path in old if path.is_relative_to(folder))))
        count = len(list(folder.glob("*/*/run.json")))
        said = f"{count} run{'s' * (count != 1)}: yours to keep or delete"
        listed.append(Part("runs", _from(folder), _size(folder) - within, said))
    for folder in (*_folders(root / "_build"), root / "book" / "experiments"):
        listed.append(Part("book", _from(folder), _size(folder), "`make book` builds it"))
    return [part for part in listed if part.size]


def lines():
    """Says what studies left, in lines for a person.

    Returns:
        List of lines.
    """
    listed = parts()
    if not listed:
        return ["No study has left anything here"]
    wide = max(len(part.what) for part in listed)
    told = [f"{p.what:{wide}}  {size(p.size):>8}  {p.where}: {p.why}" for p in listed]
    goes = sum(part.size for part in listed if part.goes)
    whole = f"In all {size(sum(part.size for part in listed))}"
    return [*told, f"{whole}; `cxr clean` frees {size(goes)}" if goes else whole]


def clean():
    """Removes pixel caches and checkpoints of finished runs, and nothing else.

    What a process uses stays; so does whatever no study made.

    Returns:
        List of lines that say what went, and what stayed because a process uses it.
    """
    pixels, freed, told = data.pixel_folder(), {}, []
    for path in files.abandoned(pixels):
        freed.setdefault("cut-off cache", []).append(_unlinked(path))
    used = []
    for path in caches.found(pixels):
        gone = caches.remove(path)
        if gone:
            freed.setdefault("pixel cache", []).append(gone)
        else:
            used.append(path)
    for path in _checkpoints():
        with files.locked_if_free(path.parent) as free:
            if free:
                freed.setdefault("checkpoint", []).append(_unlinked(path))
            else:
                used.append(path)
    for what, sizes in freed.items():
        told.append(f"removed {len(sizes)} {what}{'s' * (len(sizes) > 1)}: {size(sum(sizes))}")
    told += [f"left {_from(path)}: a process uses it" for path in used]
    return told or ["nothing to remove"]


def _checkpoints():
    """Lists the checkpoints of runs that are finished and have their network."""
    found = []
    for told in sorted((files.root() / "runs").glob("*/*/*/run.json")):
        try:
            finished = runs.load(told.parent).finished
        except (InputError, OSError):
            continue  # whoever needs that run says so
        if finished and (told.parent / "model.keras").is_file():
            found += sorted(told.parent.glob("checkpoint-[0-9][0-9][0-9][0-9].keras"))
    return [path for path in found if path.is_file() and not path.is_symlink()]


def _folders(place):
    """Lists the folders in a folder, links apart; none where it is not there."""
    inside = sorted(place.iterdir()) if place.is_dir() else []
    return [path for path in inside if path.is_dir() and not path.is_symlink()]


def _size(path):
    """Returns the bytes of a file, or of all files below a folder; what goes meanwhile is 0."""
    paths = [Path(top, name) for top, _, names in os.walk(path) for name in names]
    total = 0
    for file in paths if path.is_dir() else [path]:
        with contextlib.suppress(FileNotFoundError):
            total += file.lstat().st_size
    return total


def _unlinked(path):
    """Removes a file and returns its bytes."""
    freed = _size(path)
    path.unlink(missing_ok=True)
    return freed


def _from(path):
    return path.relative_to(files.root()).as_posix()
