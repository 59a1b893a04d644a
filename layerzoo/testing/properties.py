"""The register of properties: one small function each, with an id that stays.

Ours come with the kit, those of others through the entry-point group `layerzoo.properties`.
"""

import inspect
import re
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib.metadata import EntryPoint, entry_points
from typing import Literal, get_args

from layerzoo.testing.case import Case

GROUP = "layerzoo.properties"

Tier = Literal["must", "should", "trait"]
Cost = Literal["cheap", "fair", "dear", "long"]
COSTS: tuple[Cost, ...] = get_args(Cost)


@dataclass(frozen=True)
class Property:
    """One property of a layer.

    Attributes:
        id: Short and stable, as in `G1`, or in a plug-in `acme.scaling`.
        name: The function's name.
        group: The module's name: shape, build, config, gradient, numerics, mask, independence,
            randomness, execution, dropin, caller. In a plug-in, what stands before the dot of the id.
        tier: `must` (failing means broken), `should` (failing means limited) or `trait` (only where the
            card claims it).
        cost: `cheap` (milliseconds), `fair` (tens of them), `dear` (compiles, writes files or makes many
            layers) or `long` (seconds, for another process or a slow compiler). It decides at how many
            samples the property is checked.
        statement: What is claimed, in a sentence.
        check: Given a `Case`, returns None where the property holds, or raises. A claim that some sample
            must refute returns whether this one did. A text says what a passed check left open.
        never: What it means when no sample refuted such a claim.
        hint: What is usually the cause where it fails; a `Violation` may know better.
        shown: Lines of Python that show the property on a layer, as `Case.snippet` takes them: they end
            in an `assert` that fails, or raise, where the property fails.
        brief: At how many samples JAX and PyTorch look in a short profile, if the property applies to
            them: 2 where an option decides what is claimed, so that the plain layer is looked at too.
    """

    id: str
    name: str
    group: str
    tier: Tier
    cost: Cost
    statement: str
    check: Callable[[Case], bool | str | None]
    never: str = ""
    hint: str = ""
    shown: str = ""
    brief: int = 1


PROPERTIES: dict[str, Property] = {}


def declare(
    id: str,
    tier: Tier = "must",
    cost: Cost = "cheap",
    never: str = "",
    hint: str = "",
    shown: str = "",
    brief: int = 1,
):
    """Register the decorated function as a property; its docstring's first line is the statement.

    The arguments are the attributes of `Property`. Outside of layerzoo an id has a prefix of its owner's
    and a dot, as in `acme.scaling`.

    Raises:
        ValueError: the id is taken or has no prefix, `tier` or `cost` is unknown, or the function has no
            docstring.
    """

    def register(check):
        ours = check.__module__.split(".")[0] == "layerzoo"
        if id in PROPERTIES:
            raise ValueError(f"The id of a property must be new. Received: id={id!r}")
        if not ours and not re.fullmatch(r"\w+(\.\w+)+", id):
            raise ValueError(
                "The id of a property outside of layerzoo must be words joined by dots, of which the first "
                f"is a prefix of your own, as in `acme.scaling`. Received: id={id!r}"
            )
        for name, value, known in (("tier", tier, get_args(Tier)), ("cost", cost, get_args(Cost))):
            if value not in known:
                raise ValueError(f"`{name}` must be one of {known}. Received: {name}={value!r}")
        if not (check.__doc__ or "").strip():
            raise ValueError(
                "The function of a property must have a docstring, for its first line is the statement. "
                f"Received: {check.__name__} without one, id={id!r}"
            )
        PROPERTIES[id] = Property(
            id=id,
            name=check.__name__,
            group=check.__module__.rsplit(".", 1)[-1] if ours else id.split(".")[0],
            tier=tier,
            cost=cost,
            statement=check.__doc__.strip().split("\n")[0],
            check=check,
            never=never,
            hint=hint,
            shown=inspect.cleandoc(shown),
            brief=brief,
        )
        return check

    return register


def load(points: Iterable[EntryPoint]) -> list[str]:
    """Import the modules behind some entry points, which declare properties.

    Returns:
        A line for each that raised. What it had declared until then is taken back.
    """
    problems = []
    for point in points:
        before = dict(PROPERTIES)
        try:
            point.load()
        except Exception as error:  # a plug-in may raise anything, and must break nobody else
            PROPERTIES.clear()
            PROPERTIES.update(before)
            problems.append(
                f"The properties of the plug-in {point.name!r} ({point.value}) could not be loaded, and are "
                f"left out: {type(error).__name__}: {error}"
            )
    return problems


def load_plugins() -> None:
    """Load the properties of every installed plug-in; a `RuntimeWarning` names one that cannot be."""
    for problem in load(entry_points(group=GROUP)):
        warnings.warn(problem, RuntimeWarning, stacklevel=3)


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
