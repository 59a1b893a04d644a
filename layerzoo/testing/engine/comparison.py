"""Comparing numbers so that a NaN never passes and a tolerance never grows with the size."""

import contextlib
from collections.abc import Iterator

import numpy as np

from layerzoo.tensors import compat
from layerzoo.tensors.outcomes import Violation, note_comparison

_meters: list[list[float]] = []


@contextlib.contextmanager
def metered() -> Iterator[list[float]]:
    """Collect the worst error of every comparison made inside, as a share of its tolerance."""
    shares: list[float] = []
    _meters.append(shares)
    try:
        yield shares
    finally:
        _meters.remove(shares)


def note_share(error: float, allowed: float) -> float:
    """Report a comparison to the meters, and return the error as a share of what is allowed."""
    note_comparison()
    share = error / allowed if allowed else 0.0
    for shares in _meters:
        shares.append(share)
    return share


def demand_close(
    actual, expected, tolerance: float, what: str, origin: str, hint: str = ""
) -> float:
    """Demand that two arrays agree to `tolerance` times the largest expected magnitude (at least 1).

    Args:
        actual: What was computed.
        expected: What it is compared with.
        tolerance: Relative to the scale of `expected`. 0 demands equal bits.
        what: What is compared, for the message.
        origin: Where the tolerance comes from, for the message.
        hint: The probable cause, if it is not the one of the property.

    Returns:
        The worst error as a share of the tolerance.
    """
    actual, expected = np.asarray(actual), np.asarray(expected)
    if actual.shape != expected.shape:
        raise Violation(f"{what}\n  shapes          {actual.shape} and {expected.shape}", hint)
    if actual.size == 0:
        return 0.0
    a, e = actual.astype("float64"), expected.astype("float64")
    both_nan = np.isnan(a) & np.isnan(e)
    with np.errstate(invalid="ignore"):
        error = np.where(both_nan | (a == e), 0.0, np.abs(a - e))
    finite = np.abs(e[np.isfinite(e)])
    allowed = tolerance * max(1.0, float(finite.max(initial=0.0)))
    share = note_share(float(error.max()), allowed)
    if not np.all(error <= allowed):
        worst = np.unravel_index(np.argmax(np.where(np.isnan(error), np.inf, error)), a.shape)
        index = ", ".join(str(int(i)) for i in worst)
        raise Violation(
            f"{what}\n"
            f"  worst entry     [{index}]: {a[worst]:.8g} and {e[worst]:.8g}\n"
            f"  difference      {error[worst]:.3g}, tolerance {allowed:.3g} ({origin})",
            hint,
        )
    return share


HALF = {"float16": 2e-2, "bfloat16": 1e-1}
"""Tolerance for each half precision."""


def allowing(layer, tolerance: float, origin: str) -> tuple[float, str]:
    """The tolerance for a layer, and its origin: a wider one if a layer inside has a half precision.

    A layer that is passed in may have a dtype policy of its own, whatever the policy of the one around it.
    """
    half = compat.half_inside(layer)
    if not half:
        return tolerance, origin
    return HALF[half], f"{HALF[half]:g} because a layer inside computes in {half}"


PATIENCE = 256
"""How often a call is repeated. What happens to one batch in twenty then stays unseen once in 500,000."""


def varies(call, first=None) -> bool:
    """Whether calls differ from a first one. It asks again and again, as the noise may seldom show.

    Noise that is drawn once for a whole batch, such as a dropped path, shows in few calls.
    """
    first = call() if first is None else first
    return any(not all(map(np.array_equal, call(), first)) for _ in range(PATIENCE))


def demand_finite(x, what: str) -> None:
    """Demand that an array holds neither NaN nor infinity."""
    x = np.asarray(x)
    if x.size:
        note_comparison()
    bad = ~np.isfinite(x.astype("float64"))
    if bad.any():
        first = tuple(int(i) for i in np.argwhere(bad)[0])
        raise Violation(f"{what}\n  entry           {list(first)}: {x[first]} of {x.shape}")
