"""Folders that people keep radiographs in: which files are images, and which one a name means."""

import filecmp
import os
import posixpath
import unicodedata
from pathlib import Path

from PIL import Image

from cxrlib.cohort import tables
from cxrlib.images import decode, pictures

LEFT_BEHIND = {"__macosx", "thumbs.db", "desktop.ini", "@eadir", "$recycle.bin", "dicomdir"}
"""Names, in small letters, of what systems leave in a folder, as what begins with a dot."""

_ENDINGS = {
    *(ending for ending, name in Image.registered_extensions().items() if name in pictures.ALL),
    ".dcm",
    ".dicom",
}


def files(root):
    """Lists the files below a folder, sorted, without what systems leave there."""
    found = []
    for folder, inner, names in os.walk(root):
        inner[:] = sorted(name for name in inner if not _left_behind(name))
        found += [Path(folder, name) for name in names if not _left_behind(name)]
    return sorted(path for path in found if path.is_file())


def images(root):
    """Lists the images below a folder: what is one by its content, or says so by its ending.

    The latter are broken where the former they are not: they must not be passed over in silence.
    """
    return [path for path in files(root) if path.suffix.lower() in _ENDINGS or _kind(path)]


def is_there(path):
    """Returns whether a path is a file; one that no system would take is none."""
    try:
        return Path(path).is_file()
    except (OSError, ValueError):  # too long a name, say
        return False


def key(name):
    """Returns what two spellings of a name have in common, on any machine.

    Capitals, how accents are composed, and the encoding of a name that is not UTF-8 play no part.
    """
    return unicodedata.normalize("NFC", text(name).strip()).casefold()


def text(name):
    """Returns a name on the disk, which is bytes of any encoding, as text that can be written.

    Where it is not UTF-8 it is taken for Windows-1252, as old archives have it. With the name as it
    was (Python's surrogates) the file is opened, and no table, page or figure takes that.
    """
    written = os.fsencode(name)
    try:
        return written.decode("utf-8")
    except UnicodeDecodeError:
        return written.decode("cp1252", "replace")


class Names:
    """Finds files below a folder by their names alone, as the metadata of collections give them."""

    def __init__(self, root):
        self.root, self._alike = Path(root), {}
        for path in files(root):
            self._alike.setdefault(key(path.name), []).append(path)

    def find(self, name, folder=None):
        """Returns the files that a name means: more than one where they are different pictures.

        Args:
            name: The file's name, without a folder.
            folder: Where it is for sure; None: anywhere below the root.

        Returns:
            List of paths, at best of one.
        """
        found = self._alike.get(key(name), [])
        if folder is not None:
            found = [path for path in found if path.parent == Path(folder)]
        if len({path.parent for path in found}) == 1:  # they differ in capitals, say
            found = [path for path in found if path.name == name] or found
        others = [path for path in found[1:] if not filecmp.cmp(found[0], path, shallow=False)]
        return [*found[:1], *others]


class Paths:
    """Finds files by their paths from a table's folder, as the table gives them."""

    def __init__(self, folder):
        self.folder, self._listings = Path(folder), {}

    def find(self, cell):
        """Returns the path that a cell names, as it is written on the disk, with forward slashes.

        Args:
            cell: A cell of the table. Spaces around it, `./`, backslashes, capitals and how accents
                are composed play no part where that finds a file.

        Returns:
            The path, relative if the cell's was; "" where the cell names nothing. What is not there
            is returned as it was understood.
        """
        for written in (cell, cell.strip(), tables.clean(cell), cell.strip().replace("\\", "/")):
            path = posixpath.normpath(written) if written else ""
            if path and is_there(self.folder / path):
                return path
        if not tables.fact(cell):
            return ""
        return self._alike(path) or path

    def _alike(self, path):
        """Returns the one path that differs from a path in spelling alone, or "" ."""
        start = "/" if path.startswith("/") else ""
        found = [start]
        for part in path.strip("/").split("/"):
            found = [
                posixpath.join(place, name)
                for place in found
                for name in self._names(place).get(key(part), ())
            ]
        found = [path for path in found if is_there(self.folder / path)]
        return found[0] if len(found) == 1 else ""

    def _names(self, place):
        """Returns a folder's names by what spellings have in common."""
        if place not in self._listings:
            listing = self._listings.setdefault(place, {"..": [".."]})
            try:
                names = sorted(path.name for path in (self.folder / place).iterdir())
                for name in names:
                    listing.setdefault(key(name), []).append(name)
            except (OSError, ValueError):  # no folder: nothing is found in it
                pass
        return self._listings[place]


def _left_behind(name):
    return name.startswith(".") or name.lower() in LEFT_BEHIND


def _kind(path):
    try:
        return decode.kind(path)
    except OSError:
        return "unknown"  # whatever keeps it shut is said where it is read
