"""One pytest test for each property of each card."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import pytest

from layerzoo.catalogue import Card
from layerzoo.testing.engine.register import Property, select
from layerzoo.testing.engine.report import ASIDE, ConformanceError, Result, printable
from layerzoo.testing.engine.run import Told, check_property
from layerzoo.testing.engine.triage import in_order


@dataclass(frozen=True)
class Check:
    """One property of one card; call it to run it.

    Attributes:
        card: The card to check.
        property: The property.
        target: What names the card in a token. Default: its name in the catalogue, if it has one.
        told: The errors that earlier checks of this card reported in this process. A check that meets one
            of these again is skipped, with the id of the property that failed.
    """

    card: Card
    property: Property
    target: str | None = None
    told: Told = field(default_factory=dict, compare=False)

    def name(self) -> str:
        """The name of the test."""
        return printable(f"{self.card.name}-{self.property.id}.{self.property.name}")

    def run(self, profile: str | None = None) -> Result:
        """Run the check."""
        return check_property(self.card, self.property, profile, self.target, told=self.told)

    def __call__(self, profile: str | None = None) -> None:
        """Run the check as a test; skip the test if the property does not apply.

        Raises:
            ConformanceError: the property does not hold, or is inconclusive and the card does not expect it.
        """
        judge(self.run(profile))


def judge(result: Result) -> None:
    """Pass, skip, xfail or fail the running test, as the result of its check says.

    Raises:
        ConformanceError: the property does not hold, or is inconclusive and the card does not expect it.
    """
    if result.status == "not_asked":
        pytest.skip(result.message)
    if result.status in ASIDE:
        pytest.skip(f"{result.status.replace('_', ' ')}: {result.message}")
    if result.status in ("expected_failure", "expected_inconclusive"):
        pytest.xfail(result.message)
    if not result.ok:
        status = "" if result.status == "failed" else f"{result.status}\n"
        raise ConformanceError(f"{status}{result.message}")


def parametrize_with_checks(
    cards: Iterable[Card], only: Sequence[str] = ()
) -> pytest.MarkDecorator:
    """Parametrize a test with every check of some cards, under the argument name `check`.

    Args:
        cards: What to check.
        only: Ids, names or groups of properties, shell patterns allowed. Default: all.
    """
    checks = []
    for card in cards:
        told: Told = {}
        checks += [Check(card, each, told=told) for each in in_order(select(*only))]
    return pytest.mark.parametrize(
        "check", [pytest.param(check, id=check.name()) for check in checks]
    )
