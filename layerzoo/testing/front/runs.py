"""A run of the kit over many layers, on one or several backends, and how it came out."""

import dataclasses
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, Self

import keras

from layerzoo.tensors import compat
from layerzoo.tensors.outcomes import Finding
from layerzoo.testing.engine.register import Property
from layerzoo.testing.engine.report import Failure, Report, Result
from layerzoo.testing.proof.mutate import Verdict


@dataclass(frozen=True)
class Described:
    """What a report says of a property."""

    name: str
    tier: str
    group: str
    statement: str


@dataclass(frozen=True)
class Problem:
    """A target that could not be used.

    Attributes:
        target: The target, or an empty text if `problem` names it.
        problem: Why, in one line.
    """

    target: str
    problem: str


@dataclass(frozen=True)
class Fate:
    """What became of a defect that was injected into a layer.

    Attributes:
        killer: The id of the property that detected it; empty if none did.
        advice: How to improve the card if none did.
    """

    killer: str
    advice: str


@dataclass(frozen=True)
class Shortfall:
    """Something that was demanded, but not checked.

    Attributes:
        layer: The layer, or an empty text for all of them.
        property: The id of the property, or an empty text for all of them.
        backend: The backend.
        why: Why that is so.
    """

    layer: str
    property: str
    backend: str
    why: str


@dataclass(frozen=True)
class Shared:
    """A result that is not good, and the backends on which it is the same.

    Attributes:
        layer: The layer.
        result: The result on the first of the backends.
        backends: The backends.
    """

    layer: str
    result: Result
    backends: tuple[str, ...]

    @property
    def title(self) -> str:
        """The id and the name of the property."""
        return f"{self.result.id} {self.result.name}"

    @property
    def status(self) -> str:
        """The status in words."""
        return self.result.status.replace("_", " ")


@dataclass(frozen=True)
class Totals:
    """How much was checked on one backend."""

    layers: int
    checks: int
    samples: int
    seconds: float
    statuses: dict[str, int]


@dataclass
class Run:
    """A run, or the part of it that one process has made.

    Attributes:
        profile: How thoroughly it checks.
        keras: The version of Keras.
        properties: The properties to check, by id.
        partial: Whether the user chose them, so that possibly none of them applies to a layer.
        backends: The version of each backend that was used.
        targets: What names each layer's card on the command line, by the layer's label.
        problems: The targets that could not be used, by backend.
        results: The results, by layer, property and backend.
        mutants: What became of each injected defect, by layer, defect and backend.
    """

    profile: str
    keras: str
    properties: dict[str, Described]
    partial: bool = False
    backends: dict[str, str] = field(default_factory=dict)
    targets: dict[str, str] = field(default_factory=dict)
    problems: dict[str, list[Problem]] = field(default_factory=dict)
    results: dict[str, dict[str, dict[str, Result]]] = field(default_factory=dict)
    mutants: dict[str, dict[str, dict[str, Fate]]] = field(default_factory=dict)

    @classmethod
    def planned(cls, profile: str, properties: Iterable[Property], partial: bool = False) -> Self:
        """A run on no backend yet."""
        described = {
            each.id: Described(each.name, each.tier, each.group, each.statement)
            for each in properties
        }
        return cls(profile, keras.__version__, described, partial)

    @classmethod
    def here(cls, profile: str, properties: Iterable[Property], partial: bool = False) -> Self:
        """A run on this process's backend that has checked nothing yet."""
        run = cls.planned(profile, properties, partial)
        run.backends[compat.BACKEND] = version(compat.BACKEND)
        return run

    def add(self, label: str, target: str, result: Result, backend: str = compat.BACKEND) -> None:
        """Add the result of one property for one layer."""
        self.targets[label] = target
        self.results.setdefault(label, {}).setdefault(result.id, {})[backend] = result

    def add_mutants(self, label: str, verdicts: Iterable[Verdict]) -> None:
        """Add what became of the defects that were injected into a layer."""
        for each in verdicts:
            fate = Fate(each.killer, each.mutant.advice)
            by_backend = self.mutants.setdefault(label, {}).setdefault(each.mutant.defect, {})
            by_backend[compat.BACKEND] = fate

    def merge(self, part: "Run") -> None:
        """Add what another process found."""
        for mine, its in (
            (self.properties, part.properties),
            (self.backends, part.backends),
            (self.targets, part.targets),
            (self.problems, part.problems),
            (self.results, part.results),
            (self.mutants, part.mutants),
        ):
            _merge(mine, its)

    def to_dict(self) -> dict[str, Any]:
        """The run as plain data."""
        data = dataclasses.asdict(dataclasses.replace(self, results={}))
        del data["results"]
        data["layers"] = {
            label: {
                id: {backend: _plain(result) for backend, result in by_backend.items()}
                for id, by_backend in results.items()
            }
            for label, results in self.results.items()
        }
        return data

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """The run that such data describes."""
        properties = {id: Described(**each) for id, each in data["properties"].items()}
        return cls(
            profile=data["profile"],
            keras=data["keras"],
            properties=properties,
            partial=data["partial"],
            backends=data["backends"],
            targets=data["targets"],
            problems={
                backend: [Problem(**each) for each in found]
                for backend, found in data["problems"].items()
            },
            results={
                label: {
                    id: {
                        backend: _result(id, properties[id].name, each)
                        for backend, each in by_backend.items()
                    }
                    for id, by_backend in found.items()
                }
                for label, found in data["layers"].items()
            },
            mutants={
                label: {
                    defect: {backend: Fate(**each) for backend, each in by_backend.items()}
                    for defect, by_backend in found.items()
                }
                for label, found in data["mutants"].items()
            },
        )

    def every(self) -> Iterator[tuple[str, str, Result]]:
        """Each result, with its layer and its backend."""
        for label, results in self.results.items():
            for by_backend in results.values():
                for backend, result in by_backend.items():
                    yield label, backend, result

    def report(self, label: str, backend: str) -> Report:
        """The results of one layer on one backend."""
        found = (by_backend.get(backend) for by_backend in self.results[label].values())
        return Report(
            layer=label,
            backend=backend,
            profile=self.profile,
            demanded=tuple(self.properties),
            results=tuple(result for result in found if result is not None),
        )

    @property
    def totals(self) -> dict[str, Totals]:
        """How much was checked, by backend."""
        return {backend: self._totals(backend) for backend in self.backends}

    def _totals(self, backend) -> Totals:
        mine = [(label, result) for label, where, result in self.every() if where == backend]
        return Totals(
            layers=len({label for label, _ in mine}),
            checks=sum(result.samples > 0 for _, result in mine),
            samples=sum(result.samples for _, result in mine),
            seconds=round(sum(result.seconds for _, result in mine), 1),
            statuses=dict(Counter(result.status for _, result in mine)),
        )

    @property
    def failures(self) -> list[Shared]:
        """The results that are not good. Backends whose messages differ only in their own name share one."""
        found: dict[tuple, Shared] = {}
        for label, backend, result in self.every():
            if result.bad:
                key = label, result.id, result.status, result.message.replace(backend, "")
                first = found.get(key, Shared(label, result, ()))
                found[key] = dataclasses.replace(first, backends=(*first.backends, backend))
        return list(found.values())

    @property
    def shortfalls(self) -> list[Shortfall]:
        """What was demanded but not checked."""
        return [each for backend in self.backends for each in self._shortfalls(backend)]

    def _shortfalls(self, backend) -> Iterator[Shortfall]:
        unusable = [problem.target for problem in self.problems.get(backend, ())]
        looked_at_any = False
        for label in self.results:
            if any(f"{self.targets[label]}:".startswith(f"{target}:") for target in unusable):
                continue  # reported as a problem
            report = self.report(label, backend)
            for id in report.missing:
                empty = any(result.id == id for result in report.results)
                why = "it passed without checking any sample" if empty else "there is no result"
                yield Shortfall(label, id, backend, why)
            looked_at_any |= report.looked
            if not self.partial and not report.looked:
                yield Shortfall(label, "", backend, "no property applies to the layer")
        if self.partial and self.results and not looked_at_any:
            why = "none of the selected properties applies to any layer"
            yield Shortfall("", "", backend, why)

    @property
    def survivors(self) -> list[tuple[str, str, str, Fate]]:
        """Each injected defect that no property detected: layer, defect, backend and fate."""
        return [
            (label, defect, backend, fate)
            for label, defects in self.mutants.items()
            for defect, by_backend in defects.items()
            for backend, fate in by_backend.items()
            if not fate.killer
        ]

    @property
    def ok(self) -> bool:
        """Whether every demanded property was checked and has a good result, and no mutant survived."""
        good = all(result.ok for _, _, result in self.every())
        return good and not self.shortfalls and not self.survivors


def _merge(into: dict, found: dict) -> None:
    for key, value in found.items():
        if isinstance(value, dict):
            _merge(into.setdefault(key, {}), value)
        else:
            into[key] = value


def _plain(result: Result) -> dict[str, Any]:
    """A result as data: with its message, and the parts of its failure if there is one."""
    data = {
        "status": result.status,
        "samples": result.samples,
        "reason": result.message,
        "token": result.token,
        "seconds": round(result.seconds, 2),
    }
    if result.failure is None:
        return data
    parts = dataclasses.asdict(result.failure)
    if parts["finding"]:
        numbers = {name: _written(parts["finding"][name]) for name in NUMBERS}
        parts["finding"].update(numbers)
    return data | {"failure": parts}


NUMBERS = ("found", "due", "difference", "tolerance")


def _written(number: float) -> float | str:
    """A number that strict JSON has: NaN and infinity are texts."""
    return number if math.isfinite(number) else str(number)


def _result(id: str, name: str, data: dict[str, Any]) -> Result:
    failure = None
    if "failure" in data:
        finding = data["failure"]["finding"]
        numbers = {name: float(finding[name]) for name in NUMBERS} if finding else {}
        found = Finding(**{**finding, **numbers}) if finding else None
        failure = Failure(**{**data["failure"], "finding": found})
    given = data | {"reason": "" if failure else data["reason"], "failure": failure}
    return Result(id=id, name=name, **given)
