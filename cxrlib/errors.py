"""What a user did that cannot work, said in one line that names the thing and the mend."""


class InputError(ValueError):
    """Bad input: the message is for the user, who needs no traceback to act on it.

    The `cxr` command prints the message alone and exits with status 2.
    """


class InputWarning(UserWarning):
    """What was mended, left out or doubted in an input that is taken all the same, in one line.

    The `cxr` command prints the message alone and goes on.
    """
