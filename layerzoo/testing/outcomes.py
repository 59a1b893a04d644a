"""How a check of one property on one sample can end if it does not pass."""


class Violation(AssertionError):
    """The property does not hold. The message has the claim, both numbers, and the origin of the tolerance.

    Attributes:
        hint: The probable cause, if these numbers tell more than the property's own hint.
    """

    def __init__(self, message: str, hint: str = ""):
        super().__init__(message)
        self.hint = hint


class NotApplicable(Exception):
    """The property does not apply to this layer at this sample."""


class Inconclusive(Exception):
    """The property could be neither confirmed nor refuted. This fails a run unless the card expects it."""


def demand(condition, message: str, hint: str = "") -> None:
    """Raise a `Violation` unless the condition is true; comparisons with NaN are not."""
    if not bool(condition):
        raise Violation(message, hint)
