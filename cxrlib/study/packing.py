"""Runs that travel: packed into one file, and unpacked in the same study on another machine."""

import errno
import json
import re
import shutil
import warnings
import zipfile
from pathlib import Path

from cxrlib.errors import InputError, InputWarning, printable
from cxrlib.files import locked, read_json, reading, refuse_odd, replacing, root, zipped
from cxrlib.study import elsewhere
from cxrlib.study.runs import (
    FINISHED,
    LEFT,
    RUNNING,
    check,
    check_facts,
    load,
    refuse_moved,
)

_LARGEST = 2**34
"""Bytes of a packed run at most: ten times the largest network with a large study's heatmaps."""

_TABLES = "|".join(map(re.escape, elsewhere.FILES))
_TEST = re.compile(rf"external/[A-Za-z0-9_-][A-Za-z0-9._-]{{0,99}}/({_TABLES})")
"""Names of what a run made of cohorts from elsewhere."""

_PLACE = re.compile(r"runs/[^/.][^/]*/[^/.][^/]*/[^/.][^/]*/run\.json")
"""Where a run lies in a study, and its packed run.json too: runs/STUDY/EXPERIMENT/ARM/run.json."""


def pack(folder, path):
    """Writes a run folder as one zip file, to be carried to another machine.

    Args:
        folder: The run folder, somewhere in the study's.
        path: The file.

    Raises:
        InputError: There is no run in the folder, it is still being trained, or it lies elsewhere.
    """
    folder = Path(folder)
    run = load(folder)
    if run.info["state"] == RUNNING:
        raise InputError(f"the run in {folder} has not ended: `cxr train` goes on with it")
    place = folder.absolute()  # links stay: runs/ may lie on another disk
    if ".." in place.parts or not place.is_relative_to(root()):
        raise InputError(f"{folder} is not in {root()}: a run is packed where it was made")
    place = place.relative_to(root())
    if not _PLACE.fullmatch(str(place / "run.json")):
        raise InputError(
            f"{folder} is no runs/STUDY/EXPERIMENT/ARM: a run is packed where it was made"
        )
    if Path(path).exists() and not _is_packed(path):
        raise InputError(f"{path} is there and is no packed run: give another name")
    tests = (f"external/{name}/{file}" for name in run.external for file in elsewhere.FILES)
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as packed:
        for name in ("run.json", *LEFT, *tests):
            if (folder / name).exists():
                packed.write(folder / name, place / name)


def _is_packed(path):
    """Returns whether a file is one that `pack` wrote, and may be written over."""
    return any(_PLACE.fullmatch(name) for name in zipped(path))


def look_into(path):
    """Reads what a packed run says of itself, and unpacks nothing.

    Args:
        path: What `pack` wrote.

    Returns:
        What its run.json holds, and the names of its files.

    Raises:
        InputError: The file is damaged or not a packed run.
    """
    with reading(path), zipfile.ZipFile(path) as packed:
        place, facts = _told(packed, path)
        within = [name for name in packed.namelist() if name.startswith(f"{place}/")]
    return json.loads(facts), {name.removeprefix(f"{place}/") for name in within}


def _told(packed, path):
    """Returns where in the study an open packed run was, and its run.json, checked: bytes."""
    told = next((name for name in packed.namelist() if _PLACE.fullmatch(name)), None)
    if told is None:
        raise ValueError("no run in it")
    refuse_odd(packed, _LARGEST)
    if packed.getinfo(told).file_size > 2**20:
        raise ValueError("its run.json is longer than a megabyte")
    facts = packed.read(told)
    check_facts(json.loads(facts), path)
    return Path(told).parent, facts


def unpack(path, replaced=lambda folder: None):
    """Puts a packed run where it was in the study, unless the same run or a better one is there.

    One that is finished is never replaced by one that is not.

    Args:
        path: What `pack` wrote.
        replaced: Called with the run folder where something was put.

    Returns:
        The run folder.

    Raises:
        InputError: The file is damaged or not a packed run. An `InputWarning` names the tests of a
            run that another one replaces.
    """
    with reading(path), zipfile.ZipFile(path) as packed:
        place, facts = _told(packed, path)
        known = {str(place / name) for name in ("run.json", *LEFT)}
        others = [
            name
            for name in packed.namelist()
            if name not in known and not _TEST.fullmatch(name.removeprefix(f"{place}/"))
        ]
        if others:
            raise ValueError(f"it holds {printable(min(others))[:80]!r}, which is of no run")
        folder = root() / place
        with locked(folder):
            if _wanted(folder / "run.json", facts):
                before = _tested(folder)
                _replace(folder, packed, place)
                _say_lost(folder, before)
                replaced(folder)
    return folder


def _tested(folder):
    """Returns the cohorts from elsewhere that the run in a folder was tested on."""
    return {path.parent.name for path in (folder / "external").glob(f"*/{elsewhere.COUNTS}")}


def _say_lost(folder, before):
    """Warns where tests went with the run that they were of."""
    lost = sorted(before - _tested(folder))
    if lost:
        warnings.warn(
            f"{folder} holds another run now; what the one before said of {', '.join(lost)} went"
            " with it: `cxr external` tests this one",
            InputWarning,
            stacklevel=3,
        )


def _replace(folder, packed, place):
    """Puts a packed run in a folder's place, whole and checked or not at all."""
    unpacked = folder.with_name(f".{folder.name}.unpacked")
    shutil.rmtree(unpacked, ignore_errors=True)  # of an unpacking that was killed
    try:
        packed.extractall(unpacked)
        run = load(unpacked / place)
        refuse_moved(run)
        check(run)
        shutil.rmtree(folder, ignore_errors=True)
        (unpacked / place).rename(folder)
    except OSError as error:
        if error.filename is None and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OSError(error.errno, error.strerror, str(folder)) from error
        raise
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)


def _wanted(here, packed):
    """Returns whether a packed run.json should take the place of the one that is here, if any."""
    if not here.exists():
        return True
    if here.read_bytes() == packed:
        return False
    return read_json(here).get("state") != FINISHED or json.loads(packed)["state"] == FINISHED
