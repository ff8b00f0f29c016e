"""What a user did that cannot work, said in one line that names the thing and the mend."""

import unicodedata

_TURNING = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
"""Bidirectional classes of what turns the order of the letters after it."""


class InputError(ValueError):
    """Bad input: the message is for the user, who needs no traceback to act on it.

    The `cxr` command prints the message alone and exits with status 2.
    """


class InputWarning(UserWarning):
    """Input that was read, though not as it stands: one line that names the thing and the cause.

    The `cxr` command prints the line on the standard error; the exit status stays as it is.
    """


def printable(text):
    """Writes what would command a terminal as Python's escapes: a name may hold anything.

    Args:
        text: Any text.

    Returns:
        The text, with control characters, line ends, halves of a character and what turns the
        order of letters as `\\x1b`, `\\n`, `\\udcff` and `\\u202e`.
    """
    return "".join(repr(c)[1:-1] if _commands(c) else c for c in text)


def _commands(c):
    return (
        unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")
        or unicodedata.bidirectional(c) in _TURNING
    )
