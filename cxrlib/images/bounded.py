"""Files that can be read so many times only: whatever parses one ends."""

import io
import os

import numpy as np

from cxrlib.errors import InputError

READS = 50_000
"""Times that a DICOM header may be read from, two an element, at 80 us and a kilobyte each."""


class Bounded(io.BufferedReader):
    """An open file with a bound on how often and how much is read.

    A parser that is led through millions of parts takes minutes and gigabytes over a small file.

    Attributes:
        reads_left: Times that it may still be read from.
        bytes_left: Bytes that may still be read.

    Raises:
        InputError: On reading beyond either.
    """

    def __init__(self, raw):
        super().__init__(raw)
        self.reads_left = self.bytes_left = np.inf
        self._size = raw.seek(0, os.SEEK_END)
        raw.seek(0)

    def read(self, size=-1):
        """Reads bytes, never asking for more than there are: a length is not to be believed."""
        content = super().read(min(size, self._size) if size is not None and size >= 0 else -1)
        self.reads_left -= 1
        self.bytes_left -= len(content)
        if self.reads_left < 0 or self.bytes_left < 0:
            raise InputError(
                "has more before its pixels, or in more pieces, than any radiograph: save it anew"
            )
        return content
