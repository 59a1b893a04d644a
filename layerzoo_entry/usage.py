"""The errors of whoever calls a command: they are shown in one line, and all others with a traceback."""

import contextlib
from collections.abc import Iterator


class UsageError(ValueError):
    """What the user gave a command is wrong. The message says what is due."""


class NotInstalled(UsageError, ImportError):
    """A package is needed that is not installed. The message says how to install it."""


@contextlib.contextmanager
def users(*errors: type[Exception]) -> Iterator[None]:
    """Turn such errors into a `UsageError`, around a call that does nothing but use what the user gave."""
    try:
        yield
    except errors as error:
        raise UsageError(str(error)) from error
