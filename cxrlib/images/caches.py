"""Pixel caches on the disk: opened, counted, and removed where no process uses them.

A cache `NAME.npy` has its keys in `NAME.keys` beside it. Who uses one holds a shared lock on it for
as long as its array lives, and who makes one the lock of `files.locked`; whoever removes one needs
both. When it was used last is the time of the keys.
"""

import contextlib
import fcntl
import os
import re
import weakref

import numpy as np

from cxrlib import files

KEYS = ".keys"
"""Ending of the file beside a pixel cache that says, a line an image, what each is made from."""

_NAME = re.compile(r"[^.].*-\d+-.+-[0-9a-f]{8}\.npy")
"""Names that `study.pixels` gives: any other file in the folder is somebody's own."""


def opened(path):
    """Maps a pixel cache; no process removes it as long as the array is there.

    Args:
        path: The `.npy` file.

    Returns:
        Read-only uint8 memory map.

    Raises:
        InputError: It is damaged.
        OSError: It cannot be opened.
    """
    with contextlib.ExitStack() as undone:
        used = undone.enter_context(path.open("rb"))
        fcntl.flock(used, fcntl.LOCK_SH)
        with contextlib.suppress(OSError):  # another user's, or without its keys
            os.utime(path.with_suffix(KEYS))
        with files.reading(path):
            pixels = np.load(path, mmap_mode="r")
        undone.pop_all()
    weakref.finalize(pixels, used.close)
    return pixels


def found(folder):
    """Lists the pixel caches of a folder, those first that were used longest ago.

    Args:
        folder: A Path; one that is not there holds none.

    Returns:
        List of paths.
    """
    ours = [path for path in folder.glob("*.npy") if _NAME.fullmatch(path.name)]
    return sorted((path for path in ours if path.is_file() and not path.is_symlink()), key=_used)


def _used(path):
    """Returns when a cache was used last, in seconds; 0 where its keys are gone."""
    keys = path.with_suffix(KEYS)
    return keys.stat().st_mtime if keys.exists() else 0


def size(path):
    """Returns the bytes of a pixel cache and its keys; 0 where another process removed it."""
    there = [part for part in (path, path.with_suffix(KEYS)) if part.exists()]
    return sum(part.stat().st_size for part in there)


def remove(path):
    """Removes a pixel cache that no process makes or uses.

    Args:
        path: The `.npy` file.

    Returns:
        The bytes that are free now; 0 where a process has it, and it stays.
    """
    with files.locked_if_free(path) as free, contextlib.ExitStack() as opened:
        try:
            unused = opened.enter_context(path.open("rb"))
            fcntl.flock(unused, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, FileNotFoundError):
            return 0
        if not free:
            return 0
        freed = size(path)
        path.unlink()
        path.with_suffix(KEYS).unlink(missing_ok=True)
    return freed


def bound(folder, most):
    """Removes the caches that were used longest ago, until those left are small enough together.

    Args:
        folder: Of the caches.
        most: Bytes that they may have. Those that a process uses stay, however large.
    """
    sizes = {path: size(path) for path in found(folder)}
    total = sum(sizes.values())
    for path in sizes:
        if total <= most:
            return
        total -= remove(path)
