"""How a check of one property on one sample can end if it does not pass."""

import contextlib
from collections.abc import Iterator

from hypothesis.errors import UnsatisfiedAssumption

_counts: list[list[int]] = []


@contextlib.contextmanager
def counted() -> Iterator[list[int]]:
    """Count the comparisons made inside, in a list with one number."""
    _counts.append([0])
    try:
        yield _counts[-1]
    finally:
        _counts.pop()


def note_comparison() -> None:
    """Count one comparison: of two arrays that have entries, or of anything else that is demanded."""
    for count in _counts:
        count[0] += 1


class Violation(AssertionError):
    """The property does not hold. The message has the claim, both numbers, and the origin of the tolerance.

    Attributes:
        hint: The probable cause, if these numbers tell more than the property's own hint.
    """

    def __init__(self, message: str, hint: str = ""):
        super().__init__(message)
        self.hint = hint


class NotApplicable(UnsatisfiedAssumption):
    """The property does not apply to this layer at this sample. In a `@given` test, another one is drawn."""


class Inconclusive(Exception):
    """The property could be neither confirmed nor refuted. This fails a run unless the card expects it."""


def demand(condition, message: str, hint: str = "") -> None:
    """Raise a `Violation` unless the condition is true; comparisons with NaN are not."""
    note_comparison()
    if not bool(condition):
        raise Violation(message, hint)
