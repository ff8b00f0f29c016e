"""What a user did that cannot work, said in one line that names the thing and the mend."""


class InputError(ValueError):
    """Bad input: the message is for the user, who needs no traceback to act on it.

    The `cxr` command prints the message alone and exits with status 2.
    """


class InputWarning(UserWarning):
    """Input that was read, though not as it stands: one line that names the thing and the cause.

    The `cxr` command prints the line on the standard error; the exit status stays as it is.
    """
