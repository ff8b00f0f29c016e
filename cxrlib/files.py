"""Where the project's things are, and writing them so that a cut leaves nothing half-written."""

import contextlib
import csv
import errno
import fcntl
import glob
import hashlib
import json
import os
import re
import socket
import stat
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

from cxrlib.errors import InputError, printable

_HOST = re.sub(r"\W", "_", socket.gethostname())[:64]
_SHORT, _DIGEST = 100, 8


def root():
    """Finds the project's folder: the nearest one at or above here that holds the Snakefile.

    Papermill runs a notebook where it was called, JupyterLab where the notebook lies; paths in a
    profile mean the same in both because they are taken from here.

    Raises:
        InputError: No folder at or above the working directory is the project's.
    """
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "Snakefile").exists():
            return folder
    raise InputError(f"{here} is not inside the study's folder: change to the clone and try again")


@contextlib.contextmanager
def replacing(path):
    """Returns a temporary name to write to, and renames it to `path` if all went well.

    The temporary name keeps the ending, because some writers choose their format by it. What a
    killed process of this machine left under such a name is deleted.

    Args:
        path: The file that is wanted; its folder is made when missing.

    Yields:
        Path of the temporary file beside it. It is deleted when the body raises.

    Raises:
        OSError: Writing failed (a full disk, say); the error names `path`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    stem = f".{shortened(path.stem, _SHORT)}.{_HOST}"
    temporary = path.with_name(f"{stem}-{os.getpid()}{path.suffix}")
    for left in path.parent.glob(f"{glob.escape(stem)}-*{glob.escape(path.suffix)}"):
        if not _is_alive(left.name.removesuffix(path.suffix).rpartition("-")[2]):
            left.unlink(missing_ok=True)
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        if error.filename is None and error.errno is not None:
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def shortened(name, most):
    """Returns a name of so many bytes at most: a long one ends in its digest instead.

    File systems take 255 bytes, and something may have to be added.
    """
    written = os.fsencode(name)
    if len(written) <= most:
        return name
    digest = hashlib.sha256(written).hexdigest()[:_DIGEST]
    return written[: most - _DIGEST - 1].decode("utf-8", "ignore") + f"-{digest}"


@contextlib.contextmanager
def writing_array(path, shape):
    """Writes an array to a `.npy` file piece by piece, so that memory does not grow with it.

    Args:
        path: The file, written whole or not at all.
        shape: Of the array.

    Yields:
        uint8 memory map of this shape, to be filled.

    Raises:
        OSError: The disk has no room for all of it.
    """
    import numpy as np  # a tenth of a second, which the command's start has no use for

    with replacing(path) as temporary:
        array = np.lib.format.open_memmap(temporary, "w+", np.uint8, shape)
        if hasattr(os, "posix_fallocate"):  # a full disk under a memory map kills the process
            with temporary.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, temporary.stat().st_size)
        yield array
        array.flush()


def _is_alive(process):
    try:
        os.kill(int(process), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        pass  # another user's
    return True


def abandoned(folder):
    """Lists what killed processes of this machine left half-written in a folder: see `replacing`.

    Args:
        folder: A Path; in one that is not there nothing was left.

    Returns:
        List of paths.
    """
    named = re.compile(rf"\..+\.{_HOST}-(\d+)(\.[^.]+)?")
    written = [(path, named.fullmatch(path.name)) for path in sorted(folder.glob(".*"))]
    return [path for path, parts in written if parts and not _is_alive(parts[1])]


@contextlib.contextmanager
def reading(path):
    """Reports a file that is there and cannot be read as damaged.

    The body reads one file and does nothing else: what a parser raises on damage can be anything.

    Raises:
        InputError: It is damaged; the message names it.
        OSError: It cannot be opened.
        MemoryError: It does not fit in memory.
    """
    try:
        yield
    except (InputError, MemoryError):
        raise
    except Exception as error:
        # HDF5 and seeks before a file's start raise an OSError that names no file.
        if isinstance(error, OSError) and error.filename is not None:
            raise
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise OSError(error.errno, error.strerror, str(path)) from error
        reason = str(error).strip().splitlines()
        raise InputError(
            f"{path} is damaged ({reason[0][:200] if reason else 'cut short'}):"
            " delete it and run again"
        ) from error


@contextlib.contextmanager
def locked(path):
    """Waits until no other process works on `path`, and keeps others waiting while the body runs.

    The lock lies beside `path` and goes with the process, however it ends. One that has to wait
    says so.

    Yields:
        The lock's open file. A process that is given it keeps others waiting as long as it lives.
    """
    with _lock(path) as lock:
        if not _taken(lock):
            waited = printable(f"cxr: waiting for another process that works on {path}")
            print(waited, file=sys.stderr)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock


@contextlib.contextmanager
def locked_if_free(path):
    """Keeps others waiting while the body runs, as `locked` does, but waits for nobody.

    Yields:
        Whether no other process works on `path`.
    """
    with _lock(path) as lock:
        yield _taken(lock)


def _lock(path):
    """Opens the file whose lock stands for that of `path`."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f".{shortened(path.name, 2 * _SHORT)}.lock").open("w")


def _taken(lock):
    """Takes the lock of an open file unless another process has it; returns whether it did."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def digests(paths):
    """Digests the content of files, each read once.

    Digests are kept in data/digests.csv, and a file is read again when its size or time changed.

    Args:
        paths: Existing files.

    Returns:
        List of SHA-256 digests in hexadecimal, one a path.

    Raises:
        OSError: A file cannot be read; the error names it.
    """
    kept = root() / "data" / "digests.csv"
    named = {"encoding": "utf-8", "errors": "surrogateescape"}  # names are bytes, of any encoding
    states = [_state(path) for path in paths]
    known = {}
    if kept.exists():
        with reading(kept), kept.open(newline="", **named) as file:
            known = dict(csv.reader(file))
    new = [(state, path) for state, path in zip(states, paths) if state not in known]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = pool.map(_digest, [path for _, path in new])
        known |= {state: digest for (state, _), digest in zip(new, found)}
    if new:
        with replacing(kept) as temporary, temporary.open("w", newline="", **named) as file:
            csv.writer(file).writerows(known.items())
    return [known[state] for state in states]


def _state(path):
    known = Path(path).stat()
    return f"{path} {known.st_size} {known.st_mtime_ns}"


def _digest(path):
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def refuse_odd(packed, most):
    """Refuses a zip archive that cannot be unpacked safely, before anything of it is.

    Args:
        packed: The open `zipfile.ZipFile`.
        most: Bytes that its files may have together.

    Raises:
        ValueError: A file of it would leave its folder, is a link, is encrypted, is compressed in
            an unknown way or lies dozens of folders deep; or they are too large or too many.
    """
    members = packed.infolist()
    size = sum(member.file_size for member in members)
    if size > most or len(members) > _MEMBERS:
        raise ValueError(f"{len(members)} files of {size} bytes: too large")
    for member in members:
        path = PurePosixPath(member.filename)
        name = printable(member.filename)[:80]
        if path.is_absolute() or ".." in path.parts or "\0" in member.filename:
            raise ValueError(f"not to be trusted: it holds {name!r}")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise ValueError(f"not to be trusted: {name!r} is a link")
        if member.flag_bits & 1:
            raise ValueError(f"{name!r} is encrypted: unpack it by hand")
        if member.compress_type not in _METHODS:
            raise ValueError(
                f"{name!r} is compressed by method {member.compress_type}, unknown here"
            )
        if len(path.parts) > _DEEPEST:
            raise ValueError(f"folders in folders, {len(path.parts)} deep")


_MEMBERS, _DEEPEST = 10**6, 32


def zipped(path):
    """Lists the names in a zip file; none where it is no zip file."""
    if not zipfile.is_zipfile(path):
        return []
    with zipfile.ZipFile(path) as packed:
        return packed.namelist()


_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


def write_new(content, path, another=False):
    """Writes a file that a user asked for by name, and never over another one.

    Args:
        content: bytes.
        path: The file. One that holds these very bytes is left as it is.
        another: Where something else is there, take NAME-2, NAME-3, ... instead of refusing.

    Returns:
        The path that holds the bytes now.

    Raises:
        InputError: Something else is there: it might be anybody's radiograph.
    """
    first, n = Path(path), 1
    path = first
    while path.exists() or path.is_symlink():
        if path.is_file() and path.read_bytes() == content:
            return path
        if not another:
            raise InputError(f"{path} is there already: name a new file, or move it away")
        n += 1
        path = first.with_stem(f"{first.stem}-{n}")
    with replacing(path) as temporary:
        temporary.write_bytes(content)
    return path


def write_csv(frame, path):
    """Writes a frame as CSV, without its index, whole or not at all."""
    with replacing(path) as temporary:
        frame.to_csv(temporary, index=False)


def write_json(value, path):
    """Writes a value as indented JSON, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def read_json(path):
    """Reads a JSON file of at most a megabyte.

    Raises:
        InputError: It is damaged.
    """
    with reading(path), Path(path).open("rb") as file:
        content = file.read(_LONGEST + 1)
        if len(content) > _LONGEST:
            raise ValueError(f"longer than {_LONGEST} bytes")
        return json.loads(content.decode("utf-8"))


_LONGEST = 2**20
