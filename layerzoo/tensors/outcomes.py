"""How a check of one property on one sample can end if it does not pass."""

from dataclasses import dataclass

try:
    from hypothesis.errors import UnsatisfiedAssumption
except ImportError:  # whoever only reads values and gradients needs no Hypothesis
    UnsatisfiedAssumption = Exception  # type: ignore[assignment, misc]


@dataclass(frozen=True)
class Finding:
    """What a comparison found.

    Attributes:
        what: What was compared, or all that there is to say if it was not numbers.
        entry: The index of the worst entry, in arrays that differ.
        found: That entry.
        due: What it must be.
        difference: How far apart they are.
        tolerance: How far apart they may be.
        origin: Where the tolerance comes from.
    """

    what: str
    entry: list[int] | None = None
    found: float = 0.0
    due: float = 0.0
    difference: float = 0.0
    tolerance: float = 0.0
    origin: str = ""

    def __str__(self):
        text = self.what
        if self.entry is not None:
            text += (
                f"\nworst entry     [{', '.join(map(str, self.entry))}]: {self.found:.8g} and {self.due:.8g}"
                f"\ndifference      {self.difference:.3g}, tolerance {self.tolerance:.3g} ({self.origin})"
            )
        return text


class Violation(AssertionError):
    """The property does not hold.

    Attributes:
        finding: What was compared.
        hint: The probable cause, if these numbers tell more than the property's own hint.
    """

    def __init__(self, finding: Finding, hint: str = ""):
        super().__init__(finding)
        self.finding = finding
        self.hint = hint

    def __str__(self):
        return str(self.finding)


class NotApplicable(UnsatisfiedAssumption):
    """The property does not apply to this layer at this sample. In a `@given` test, another one is drawn."""


class Inconclusive(Exception):
    """The property could be neither confirmed nor refuted. This fails a run unless the card expects it."""
