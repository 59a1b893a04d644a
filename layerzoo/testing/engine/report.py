"""The results of a run of the kit."""

import dataclasses
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from layerzoo.tensors.outcomes import Finding

Status = Literal[
    "passed",
    "failed",
    "expected_failure",
    "unexpected_pass",
    "not_applicable",
    "not_run",
    "not_asked",
    "inconclusive",
    "expected_inconclusive",
]

ASIDE: tuple[Status, ...] = ("not_applicable", "not_run")
"""The statuses that say nothing about the layer: it claims nothing, or the profile is too short."""

GOOD: tuple[Status, ...] = ("passed", "expected_failure", "expected_inconclusive", *ASIDE)
"""The statuses with which a run succeeds: an inconclusive result is good only if the card expects it."""


FIRST = ("R1", "L4", "I1", "R3", "N3", "S1", "S3", "S2", "B2", "L2", "B1", "C4", "C1")
"""The properties that are checked and told first, because what breaks them makes others fail too."""


NO_CARD = (
    "Where a hint speaks of the card: for an instance, declare it with "
    "`check_layer(..., traits=Traits(...))`."
)


def place(id: str) -> int:
    """The place of a property in the order in which properties are checked and told."""
    return FIRST.index(id) if id in FIRST else len(FIRST)


def kept(reasons: Iterable[tuple[str, str]]) -> list[str]:
    """A line for each reason why properties were not asked, given as pairs of an id and the reason."""
    ids: dict[str, list[str]] = {}
    for id, reason in reasons:
        ids.setdefault(reason, []).append(id)
    return [f"{reason}: {', '.join(each)}" for reason, each in ids.items()]


def printable(text: str) -> str:
    """The text with control characters as escapes, because names may hold what a terminal obeys."""
    return "".join(c if c in "\n\t" or c.isprintable() else ascii(c)[1:-1] for c in text)


class ConformanceError(AssertionError):
    """A layer breaks a property that it must satisfy."""


@dataclass(frozen=True)
class Failure:
    """Everything that is known of a failing check, at the simplest sample that was found.

    Attributes:
        title: The layer, the property, and where it failed.
        statement: The claim that does not hold.
        finding: What was compared, with the numbers. None if the layer raised an error.
        raised: The type of that error; empty if a comparison failed.
        message: The message of that error.
        at: The file and line that raised it, in the layer if it has one.
        sample: The sample's token; empty if no single sample is at fault.
        setting: The constructor arguments and the shapes of the inputs.
        hint: The probable cause.
        program: Python that shows the failure, seen to fail; empty if there is none.
        no_program: Why there is none.
        command: How to check again.
    """

    title: str
    statement: str
    finding: Finding | None = None
    raised: str = ""
    message: str = ""
    at: str = ""
    sample: str = ""
    setting: str = ""
    hint: str = ""
    program: str = ""
    no_program: str = ""
    command: str = ""

    @property
    def detail(self) -> str:
        """What was compared and what came out, or what the layer raised and where."""
        if self.finding:
            return str(self.finding)
        return f"raised          {self.raised}: {self.message}\nat              {self.at}"

    def __str__(self):
        shown = f"\n{textwrap.indent(self.program, '    ')}" if self.program else ""
        shown = shown or (f"       no program: {self.no_program}" if self.no_program else "")
        lines = [
            self.title,
            f"  {self.statement}" if self.statement else "",
            textwrap.indent(self.detail, "  "),
            f"  smallest sample {self.sample}  {self.setting}" if self.sample else "",
            f"  hint            {self.hint}" if self.hint else "",
            f"  to see it{shown}" if shown else "",
            f"  to check again  {self.command}" if self.command else "",
        ]
        return printable("\n".join(line for line in lines if line))


@dataclass(frozen=True)
class Result:
    """The result of one property for one layer.

    Attributes:
        id: The property's id.
        name: The property's name.
        status: The outcome.
        samples: The number of samples that were checked and to which the property applied.
        reason: Why it did not pass, or what a passed check left open, unless there is a failure.
        token: The check at the simplest failing sample that was found; `layerzoo replay` runs it again.
        seconds: How long it took.
        failure: What is known of a failure, or of what could not be decided.
    """

    id: str
    name: str
    status: Status
    samples: int
    reason: str = ""
    token: str = ""
    seconds: float = 0.0
    failure: Failure | None = None

    @property
    def message(self) -> str:
        """The failure as text, or the reason."""
        return str(self.failure) if self.failure else printable(self.reason)

    @property
    def ok(self) -> bool:
        """Whether a run with this result can succeed."""
        return self.status in GOOD

    @property
    def bad(self) -> bool:
        """Whether it is not good, and no other result says why."""
        return not self.ok and self.status != "not_asked"

    @property
    def empty(self) -> bool:
        """Whether it passed without checking any sample, which is no result."""
        return self.status == "passed" and self.samples == 0


@dataclass(frozen=True)
class Report:
    """The results of all demanded properties for one layer on one backend.

    Attributes:
        layer: The layer's name.
        backend: The Keras backend.
        profile: How thoroughly it was checked.
        demanded: The ids of the properties to check.
        results: One for each of them.
        unclaimed: The traits that the layer does not claim, so that they were not tested, each with what in
            its signature suggests the claim, or with an empty text.
        instance: Whether an instance was checked, which has no card.
    """

    layer: str
    backend: str
    profile: str
    demanded: tuple[str, ...]
    results: tuple[Result, ...]
    unclaimed: Mapping[str, str] = field(default_factory=dict)
    instance: bool = False

    @property
    def failures(self) -> tuple[Result, ...]:
        """The results that are not good, the likely cause first, without properties that it kept away."""
        bad = [result for result in self.results if result.bad]
        return tuple(sorted(bad, key=lambda result: place(result.id)))

    @property
    def not_asked(self) -> tuple[Result, ...]:
        """The properties that could not be checked because of an error that a failure reports already."""
        return tuple(result for result in self.results if result.status == "not_asked")

    @property
    def missing(self) -> tuple[str, ...]:
        """Demanded properties that have no result, or that passed without checking any sample."""
        found = {result.id for result in self.results if not result.empty}
        return tuple(id for id in self.demanded if id not in found)

    @property
    def looked(self) -> bool:
        """Whether any property looked at the layer, so that the results say something about it."""
        return any(
            r.samples or not r.ok or r.status == "expected_inconclusive" for r in self.results
        )

    @property
    def standing(self) -> tuple[int, int]:
        """How many properties hold, and how many apply."""
        found = {result.id: result for result in self.results}
        due = [id for id in self.demanded if id not in found or found[id].status not in ASIDE]
        hold = [id for id in due if id not in self.missing and found[id].ok]
        return len(hold), len(due)

    @property
    def ok(self) -> bool:
        """Whether every demanded property was checked and has a good result."""
        return not (self.failures or self.missing or self.not_asked)

    def counts(self) -> dict[str, int]:
        """The number of results with each status."""
        return dict(Counter(result.status for result in self.results))

    def raise_on_failure(self) -> None:
        """Raise a `ConformanceError` with every failure's message unless the report is good."""
        if not self.ok:
            raise ConformanceError(str(self))

    def to_dict(self) -> dict:
        """The report as plain data."""
        return dataclasses.asdict(self)

    def __str__(self):
        counts = ", ".join(f"{n} {status.replace('_', ' ')}" for status, n in self.counts().items())
        lines = [f"{self.layer} on {self.backend}, profile {self.profile}: {counts}"]
        lines += [f"not checked: {', '.join(self.missing)}"] if self.missing else []
        if self.unclaimed:
            told = (f"{name} ({why})" if why else name for name, why in self.unclaimed.items())
            lines += [f"not claimed, so not tested: {', '.join(told)}"]
        lines += [f"\n{result.message}" for result in self.failures]
        lines += [f"\n{line}" for line in kept((r.id, r.message) for r in self.not_asked)]
        lines += [f"\n{NO_CARD}"] if self.instance and not self.ok else []
        return printable("\n".join(lines))
