"""What a property compares. A property yields comparisons, and the engine judges them."""

import contextlib
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from layerzoo.tensors import compat
from layerzoo.tensors.outcomes import Finding, Violation


@dataclass(frozen=True)
class Tolerance:
    """How near numbers must be to what is due.

    Attributes:
        relative: Allowed difference, relative to the largest magnitude of what is due, or to 1 if that is
            smaller. 0 demands equal bits.
        origin: Where the tolerance comes from, for the message.
    """

    relative: float
    origin: str


EXACT = Tolerance(0.0, "the same bits")
SAME = Tolerance(1e-6, "float32, 1e-6: the same sums of the same numbers")
SUMS = Tolerance(1e-5, "float32, 1e-5 for sums in another order")
HALF = {
    "float16": Tolerance(2e-2, "2e-2 because a layer inside computes in float16"),
    "bfloat16": Tolerance(1e-1, "1e-1 because a layer inside computes in bfloat16"),
}


def allowing(layer: Any, tolerance: Tolerance) -> Tolerance:
    """The tolerance for a layer: a wider one if a layer inside has a half precision.

    A layer that is passed in may have a dtype policy of its own, whatever the policy of the one around it.
    """
    half = compat.half_inside(layer)
    return HALF[half] if half else tolerance


@dataclass(frozen=True)
class Verdict:
    """What the engine finds of one comparison.

    Attributes:
        share: The error as a share of what is allowed. None if there was nothing to compare.
        violation: Why it does not hold. None if it does.
    """

    share: float | None
    violation: Violation | None = None


@dataclass(frozen=True)
class Comparison:
    """Two arrays that must agree. A NaN agrees only with a NaN, and infinities only with themselves.

    Attributes:
        found: What was computed.
        due: What it must be.
        within: How near.
        what: What is compared, for the message: first `found`, then `due`.
        hint: The probable cause of a difference, if it is not the one of the property.
    """

    found: Any
    due: Any
    within: Tolerance
    what: str
    hint: str = ""

    def judged(self) -> Verdict:
        """Compare."""
        found, due = np.asarray(self.found), np.asarray(self.due)
        if found.shape != due.shape:
            shapes = f"{self.what}\nshapes          {found.shape} and {due.shape}"
            return Verdict(np.inf, Violation(Finding(shapes), self.hint))
        if found.size == 0:
            return Verdict(None)
        a, e = found.astype("float64"), due.astype("float64")
        both_nan = np.isnan(a) & np.isnan(e)
        with np.errstate(invalid="ignore"):
            error = np.where(both_nan | (a == e), 0.0, np.abs(a - e))
        largest = float(np.abs(e[np.isfinite(e)]).max(initial=0.0))
        allowed = self.within.relative * max(1.0, largest)
        share = float(error.max()) / allowed if allowed else 0.0
        if np.all(error <= allowed):
            return Verdict(share)
        worst = np.unravel_index(np.argmax(np.where(np.isnan(error), np.inf, error)), a.shape)
        finding = Finding(
            what=self.what,
            entry=[int(i) for i in worst],
            found=float(a[worst]),
            due=float(e[worst]),
            difference=float(error[worst]),
            tolerance=allowed,
            origin=self.within.origin,
        )
        return Verdict(share, Violation(finding, self.hint))


@dataclass(frozen=True)
class Fact:
    """Something that must be true.

    Attributes:
        holds: Whether it is.
        what: What was found and what is due, for the message.
        hint: The probable cause if it is false, if it is not the one of the property.
        share: The error as a share of what is allowed, if there is one.
    """

    holds: Any
    what: str
    hint: str = ""
    share: float = 0.0

    def judged(self) -> Verdict:
        """See whether it is true."""
        if bool(self.holds):
            return Verdict(self.share)
        return Verdict(self.share, Violation(Finding(self.what), self.hint))


@dataclass(frozen=True)
class Finite:
    """An array that must hold neither NaN nor infinity.

    Attributes:
        found: The array.
        what: What it is, for the message.
        hint: The probable cause, if it is not the one of the property.
    """

    found: Any
    what: str
    hint: str = ""

    def judged(self) -> Verdict:
        """Look for the first entry that is not finite."""
        found = np.asarray(self.found)
        if found.size == 0:
            return Verdict(None)
        bad = np.argwhere(~np.isfinite(found.astype("float64")))
        if not bad.size:
            return Verdict(0.0)
        entry = tuple(int(i) for i in bad[0])
        text = f"{self.what}\nentry           {list(entry)}: {found[entry]} of {found.shape}"
        return Verdict(0.0, Violation(Finding(text), self.hint))


@dataclass(frozen=True)
class Sometimes:
    """Something that must be true at one sample at least; where it is false, nothing is refuted.

    Attributes:
        holds: Whether it is true at this sample.
    """

    holds: Any


@dataclass(frozen=True)
class Note:
    """What a passed check leaves open, for the report."""

    text: str


Yielded = Comparison | Fact | Finite | Sometimes | Note

Evidence = Generator[Yielded, None, None]
"""What the function of a property returns."""

_meters: list[list[float]] = []


@contextlib.contextmanager
def metered() -> Iterator[list[float]]:
    """Collect the worst error of every comparison judged inside, as a share of its tolerance."""
    shares: list[float] = []
    _meters.append(shares)
    try:
        yield shares
    finally:
        _meters.remove(shares)


def judged(comparison: Comparison | Fact | Finite) -> Verdict:
    """The verdict on one comparison; the meters see it too."""
    verdict = comparison.judged()
    if verdict.share is not None:
        for shares in _meters:
            shares.append(verdict.share)
    return verdict


def demand(*comparisons: Comparison | Fact | Finite) -> None:
    """Raise the `Violation` of the first comparison that does not hold."""
    for comparison in comparisons:
        if violation := judged(comparison).violation:
            raise violation


def differ(found: Iterable[Any], others: Iterable[Any], within: Tolerance = EXACT) -> bool:
    """Whether any array differs from its partner."""
    pairs = zip(found, others, strict=True)
    return any(Comparison(a, b, within, "").judged().violation for a, b in pairs)


PATIENCE = 256
"""How often a call is repeated. What happens to one batch in twenty then stays unseen once in 500,000."""


def varies(call: Callable[[], list], first: list | None = None) -> bool:
    """Whether calls differ from a first one. It asks again and again, as the noise may seldom show.

    Noise that is drawn once for a whole batch, such as a dropped path, shows in few calls.
    """
    first = call() if first is None else first
    return any(differ(call(), first) for _ in range(PATIENCE))
