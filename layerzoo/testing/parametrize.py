"""One pytest test of each property of each card."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pytest

from layerzoo.catalogue import Card
from layerzoo.testing.properties import Property, select
from layerzoo.testing.report import ConformanceError
from layerzoo.testing.run import check_property


@dataclass(frozen=True)
class Check:
    """One property of one card; call it to run it.

    Attributes:
        card: What is checked.
        property: What for.
    """

    card: Card
    property: Property

    def __call__(self, profile: str | None = None) -> None:
        """Run the check; skip the test where it does not apply.

        Raises:
            ConformanceError: the property does not hold, or could be neither shown nor refuted.
        """
        result = check_property(self.card, self.property, profile)
        if result.status == "not_applicable":
            pytest.skip(f"not applicable: {result.message}")
        if result.status == "expected_failure":
            pytest.xfail(result.message)
        if not result.ok:
            raise ConformanceError(f"{result.status}\n{result.message}")


def parametrize_with_checks(cards: Iterable[Card], only: Sequence[str] = ()):
    """Parametrize a test with every check of some cards, under the argument name `check`.

    Args:
        cards: What to check.
        only: Ids, names or groups of properties, shell patterns allowed. Default: all.
    """
    return pytest.mark.parametrize(
        "check",
        [
            pytest.param(Check(card, each), id=f"{card.name}-{each.id}.{each.name}")
            for card in cards
            for each in select(*only)
        ],
    )
