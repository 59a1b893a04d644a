"""The register of properties: one small function each, with an id that stays."""

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from layerzoo.testing.case import Case

Tier = Literal["must", "should", "trait"]
Cost = Literal["cheap", "fair", "dear"]


@dataclass(frozen=True)
class Property:
    """One property of a layer.

    Attributes:
        id: Short and stable, as in `G1`.
        name: The function's name.
        group: The module's name: shape, build, config, gradient, numerics, mask, independence,
            randomness, execution, dropin.
        tier: `must` (failing means broken), `should` (failing means limited) or `trait` (only where the
            card claims it).
        cost: `cheap` (milliseconds), `fair` (tens of them) or `dear` (compiles or writes files). It
            decides at how many samples the property is checked.
        statement: What is claimed, in a sentence.
        check: Given a `Case`, returns None where the property holds, or raises. A claim that some sample
            must refute returns whether this one did.
        never: What it means when no sample refuted such a claim.
    """

    id: str
    name: str
    group: str
    tier: Tier
    cost: Cost
    statement: str
    check: Callable[[Case], bool | None]
    never: str = ""


PROPERTIES: dict[str, Property] = {}


def declare(id: str, tier: Tier = "must", cost: Cost = "cheap", never: str = ""):
    """Register the decorated function as a property; its docstring's first line is the statement."""

    def register(check):
        if id in PROPERTIES:
            raise ValueError(f"The id of a property must be new. Received: id={id!r}")
        PROPERTIES[id] = Property(
            id=id,
            name=check.__name__,
            group=check.__module__.rsplit(".", 1)[-1],
            tier=tier,
            cost=cost,
            statement=check.__doc__.strip().split("\n")[0],
            check=check,
            never=never,
        )
        return check

    return register


def select(*patterns: str) -> list[Property]:
    """The properties whose id, name or group matches one of some shell patterns; all without patterns.

    Raises:
        ValueError: a pattern matches none.
    """
    for pattern in patterns:
        if not any(_matches(each, pattern) for each in PROPERTIES.values()):
            raise ValueError(
                "A property is named by its id, its name or its group. "
                f"Received: {pattern!r}. The ids are {', '.join(PROPERTIES)}"
            )
    return [
        each
        for each in PROPERTIES.values()
        if not patterns or any(_matches(each, pattern) for pattern in patterns)
    ]


def _matches(each: Property, pattern: str) -> bool:
    return any(fnmatchcase(word, pattern) for word in (each.id, each.name, each.group))
