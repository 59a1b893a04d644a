"""Code and objects of plug-ins: whatever they raise, change or print, nobody else is broken by it."""

import contextlib
import io
import os
import reprlib
import signal
import sys
import threading
import warnings
from collections.abc import Iterator

import keras

WIDTH = 400
"""How many characters of a foreign text a message shows."""


class Escaped(Exception):
    """Foreign code raised something that would end the program, or an error that cannot be read."""


def contained(function, *args):
    """Call foreign code, so that whatever it raises is an `Exception` with a message.

    The working directory stays what it was. Ctrl-C still stops the program, even if the code catches it.

    Raises:
        Escaped: the code raised `SystemExit`, `KeyboardInterrupt` or the like, or an error whose message
            cannot be read.
        KeyboardInterrupt: the user pressed Ctrl-C.
    """
    here = _working_directory()
    with _interrupts() as pressed:
        try:
            return function(*args)
        except Exception as error:
            if _message(error) is None:
                raise _escaped(error) from None
            raise
        except BaseException as error:
            if pressed:
                raise
            raise _escaped(error) from None
        finally:
            if here is not None and _working_directory() != here:
                os.chdir(here)
            if pressed:
                raise KeyboardInterrupt


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Put back what an import may change for everybody: Keras's settings and classes, and warning filters.

    What is printed goes to stderr, because the output of some commands is a program.
    """
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    image, epsilon = keras.config.image_data_format(), keras.config.epsilon()
    registered = dict(keras.saving.get_custom_objects())
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        keras.config.set_floatx(floatx)
        keras.config.set_dtype_policy(policy)
        keras.config.set_image_data_format(image)
        keras.config.set_epsilon(epsilon)
        keras.saving.get_custom_objects().update(registered)


def shown(value: object) -> str:
    """The `repr` of a foreign object as one short line, or its type if it has none."""
    unheard = io.StringIO()
    with contextlib.redirect_stdout(unheard), contextlib.redirect_stderr(unheard):
        try:
            return line(contained(BRIEF.repr, value))
        except Exception:  # a `repr` can do anything
            return f"an object of type {line(type(value).__name__)}"


def told(error: BaseException) -> str:
    """The type and the message of a foreign error, as one short line."""
    message = str(_message(error))
    return line(message if isinstance(error, Escaped) else f"{type(error).__name__}: {message}")


def line(text: str) -> str:
    """A foreign text as one short line without control characters."""
    text = printable(" ".join(text[: 10 * WIDTH].split()))
    return text if len(text) <= WIDTH else f"{text[:WIDTH]} ..."


def printable(text: str) -> str:
    """A foreign text in which control characters other than line breaks are written as escapes."""
    return "".join(
        char if char.isprintable() or char == "\n" else ascii(char)[1:-1] for char in text
    )


BRIEF = reprlib.Repr()
BRIEF.maxstring = BRIEF.maxother = BRIEF.maxlong = 100


@contextlib.contextmanager
def _interrupts() -> Iterator[list]:
    """A list that has an item once the user has pressed Ctrl-C."""
    pressed: list[int] = []
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield pressed  # no signal arrives here
        return

    def noted(number, frame):
        pressed.append(number)
        before(number, frame)

    signal.signal(signal.SIGINT, noted)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)


def _escaped(error: BaseException) -> Escaped:
    message = _message(error)
    said = "(it has no readable message)" if message is None else message
    return Escaped(f"{type(error).__name__}: {said or 'without a message'}").with_traceback(
        error.__traceback__
    )


def _message(error: BaseException) -> str | None:
    try:
        return str(error)
    except BaseException:  # the error is a foreign object too
        return None


def _working_directory() -> str | None:
    with contextlib.suppress(OSError):  # it may have been deleted
        return os.getcwd()
    return None
