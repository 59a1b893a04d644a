"""The register of properties, each a small function with a permanent id.

Ours come with the kit; others come through the entry-point group `layerzoo.properties`.
"""

import inspect
import re
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Literal, get_args

from layerzoo import foreign
from layerzoo.card import Traits
from layerzoo.testing.engine.case import Case
from layerzoo.testing.engine.comparison import Evidence
from layerzoo.testing.engine.programs import read

GROUP = "layerzoo.properties"

Tier = Literal["must", "should", "trait"]
Cost = Literal["cheap", "fair", "dear", "long"]
COSTS: tuple[Cost, ...] = get_args(Cost)


@dataclass(frozen=True)
class Property:
    """One property of a layer.

    Attributes:
        id: Short and permanent, such as `G1`, or `acme.scaling` in a plug-in.
        name: The function's name.
        group: The module's name: shape, build, config, gradient, numerics, mask, independence,
            randomness, execution, dropin, caller, states, files. In a plug-in, the part of the id before
            the dot.
        tier: `must` (failing means broken), `should` (failing means limited) or `trait` (only if the card
            claims it).
        cost: `cheap` (milliseconds), `fair` (tens of milliseconds), `dear` (compiles, writes files or makes
            many layers) or `long` (seconds, because of another process or a slow compiler). It decides on
            how many samples the property is checked.
        statement: The claim, in one sentence.
        check: Takes a `Case`, and yields what it compares. The engine judges that.
        claim: The trait that a card must declare for the property to apply. If it is declared false, some
            sample must refute it. Empty if the property applies to every layer.
        never: What it means if no sample refuted such a claim, or showed what the check yields as
            `Sometimes`.
        hint: The usual cause of a failure; a comparison can bring a better hint.
        folder: Where `<id>.py` shows the property on a layer, if there is such a file: the folder `shown`
            beside the property's module. `layerzoo.testing.shown` says what it may use.
        brief: How many samples JAX and PyTorch check in a short profile, counting those to which the property
            applies. It is 2 if an option decides what is claimed, so that the plain layer is checked too.
    """

    id: str
    name: str
    group: str
    tier: Tier
    cost: Cost
    statement: str
    check: Callable[[Case], Evidence]
    claim: str = ""
    never: str = ""
    hint: str = ""
    folder: Path | None = None
    brief: int = 1

    @property
    def program(self) -> str:
        """The lines that show the property, without what they import; empty if no file does."""
        file = self.folder / f"{self.id}.py" if self.folder else None
        return read(file) if file and file.is_file() else ""


PROPERTIES: dict[str, Property] = {}


def declare(
    id: str,
    tier: Tier = "must",
    cost: Cost = "cheap",
    claim: str = "",
    never: str = "",
    hint: str = "",
    brief: int = 1,
) -> Callable[[Callable[[Case], Evidence]], Callable[[Case], Evidence]]:
    """Register the decorated function as a property; its docstring's first line is the statement.

    The arguments are the attributes of `Property`. Outside layerzoo an id starts with its owner's prefix and
    a dot, as in `acme.scaling`.

    Raises:
        ValueError: the id is taken or has no prefix, `tier`, `cost` or `claim` is unknown, or the function
            has no docstring.
        TypeError: the function yields nothing, or `never` or `hint` is not text.
    """

    def register(check):
        ours = check.__module__.split(".")[0] == "layerzoo"
        if id in PROPERTIES:
            raise ValueError(f"The id of a property must be new. Received: id={id!r}")
        if not ours and not re.fullmatch(r"\w+(\.\w+)+", id):
            raise ValueError(
                "Outside layerzoo the id of a property must be words joined by dots, beginning with your own "
                f"prefix, as in `acme.scaling`. Received: id={id!r}"
            )
        for name, value, known in (("tier", tier, get_args(Tier)), ("cost", cost, get_args(Cost))):
            if value not in known:
                raise ValueError(f"`{name}` must be one of {known}. Received: {name}={value!r}")
        if claim and claim not in Traits.__dataclass_fields__:
            raise ValueError(
                f"`claim` must be one of {', '.join(Traits.__dataclass_fields__)}. Received: claim={claim!r}"
            )
        for name, text in (("never", never), ("hint", hint)):
            if not isinstance(text, str):
                raise TypeError(f"`{name}` must be text. Received: {name}={foreign.shown(text)}")
        if not inspect.isgeneratorfunction(check):
            raise TypeError(
                "The function of a property must yield what it compares, as in "
                f"`yield Comparison(found, due, SUMS, 'what')`. Received: {check.__name__}, id={id!r}"
            )
        if not (check.__doc__ or "").strip():
            raise ValueError(
                "The function of a property must have a docstring, because its first line is the statement. "
                f"Received: {check.__name__} without one, id={id!r}"
            )
        PROPERTIES[id] = Property(
            id=id,
            name=check.__name__,
            group=check.__module__.rsplit(".", 1)[-1] if ours else id.split(".")[0],
            tier=tier,
            cost=cost,
            statement=foreign.printable(check.__doc__.strip().split("\n")[0]),
            check=check,
            claim=claim,
            never=foreign.printable(never),
            hint=foreign.printable(hint),
            folder=_beside(check),
            brief=brief,
        )
        return check

    return register


def _beside(check) -> Path | None:
    try:
        return Path(inspect.getfile(check)).parent / "shown"
    except (TypeError, OSError):  # a property defined at a prompt has no file
        return None


def load(points: Iterable[EntryPoint]) -> list[str]:
    """Import the modules of some entry points, which declare properties.

    Returns:
        A line for each module that raised. The properties that it had declared by then are removed.
    """
    problems = []
    for point in points:
        before = dict(PROPERTIES)
        try:
            with foreign.undisturbed():
                foreign.contained(point.load)
            _demand_intact(before)
        except Exception as error:  # a plug-in can raise anything and must not break the others
            PROPERTIES.clear()
            PROPERTIES.update(before)
            problems.append(
                f"The properties of the plug-in {foreign.shown(point.name)} ({foreign.line(point.value)}) "
                f"could not be loaded and are left out: {foreign.told(error)}"
            )
    return problems


def _demand_intact(before: dict[str, Property]) -> None:
    changed = [id for id, each in before.items() if PROPERTIES.get(id) is not each]
    strange = [id for id, each in PROPERTIES.items() if not isinstance(each, Property)]
    if changed or strange:
        raise ValueError(
            "A plug-in must add properties by `declare`, and change no others. "
            f"Received: {foreign.shown(changed + strange)} changed"
        )


def load_plugins() -> None:
    """Load the properties of every installed plug-in, with a `RuntimeWarning` for each that fails."""
    for problem in load(entry_points(group=GROUP)):
        warnings.warn(problem, RuntimeWarning, stacklevel=3)


def select(*patterns: str) -> list[Property]:
    """The properties whose id, name or group matches one of the shell patterns; all if there is no pattern.

    Raises:
        ValueError: a pattern matches no property.
    """
    for pattern in patterns:
        if not any(_matches(each, pattern) for each in PROPERTIES.values()):
            raise ValueError(
                "A pattern must match the id, name or group of a property. "
                f"Received: {pattern!r}. The ids are {', '.join(PROPERTIES)}"
            )
    return [
        each
        for each in PROPERTIES.values()
        if not patterns or any(_matches(each, pattern) for pattern in patterns)
    ]


def _matches(each: Property, pattern: str) -> bool:
    return any(fnmatchcase(word, pattern) for word in (each.id, each.name, each.group))
