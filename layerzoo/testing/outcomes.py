"""How a check of one property on one sample can end, other than well."""


class Violation(AssertionError):
    """The property does not hold: what was claimed, both numbers, and where the tolerance is from.

    Attributes:
        hint: What is probably the cause, if these numbers say more than the property's own hint.
    """

    def __init__(self, message: str, hint: str = ""):
        super().__init__(message)
        self.hint = hint


class NotApplicable(Exception):
    """The layer does not claim the trait that the property is about."""


class Inconclusive(Exception):
    """The property could be neither shown nor refuted; a run fails over it unless the card expects it."""


def demand(condition, message: str, hint: str = "") -> None:
    """Raise a `Violation` unless the condition is true; a NaN in it is not true."""
    if not bool(condition):
        raise Violation(message, hint)
