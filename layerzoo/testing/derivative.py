"""Gradients held against central differences: how, at which precision, and what a mismatch looks like."""

import itertools
from dataclasses import dataclass

import numpy as np

from layerzoo.testing import autodiff, compat
from layerzoo.testing.closeness import note_share
from layerzoo.testing.outcomes import Inconclusive, Violation
from layerzoo.testing.slice import Slice

STEPS = (2.0**-17, 2.0**-21, 2.0**-25)
"""Powers of two, so that adding one is exact; where the function bends sharply the larger are too large."""

COARSE = (2.0**-8, 2.0**-10, 2.0**-12)
"""The steps where some part rounds to float32: the larger drown rounding, the smaller follow a bend."""

TOLERANCE = {"float64, probed": 1e-6, "float32 only": 2e-2}
"""By the precision that the layer works in, relative to the derivative and at least to 1."""

POINTS = 4

RATIOS = {
    0.5: "Half of the gradient is missing: usually a `stop_gradient` on one of two equal parts, or a custom "
    "gradient without a factor of 2.",
    2.0: "The gradient is twice what it should be: usually a custom gradient that adds what is already "
    "counted, or repeats a factor of 2.",
    -1.0: "The gradient has the wrong sign. If it is reversed on purpose, the card must name the function "
    "whose gradient it is: `surrogate`.",
    0.0: "No gradient comes through here: usually a `stop_gradient`, a way through NumPy, or an operation "
    "without derivative such as `round`, `argmax` or a comparison.",
}
"""What a ratio of autodiff to the central difference usually means."""

NAN = (
    "The gradient is not a number where the output is finite: usually a 0/0 or an infinity in the part "
    "that `where` does not choose. Replace the argument before the operation too, not only the result."
)
NO_OUTPUT = (
    "The output itself is not finite here, so that it has no derivative: look at its values first."
)
OFFSET = (
    "The gradient is off by the same number everywhere: usually a custom gradient that adds a constant or "
    "a loss of its own."
)
PHANTOM = (
    "The gradient passes where the output does not depend on it, as in a straight-through estimator: if "
    "that is meant, the card must name the function whose gradient it is: `surrogate`."
)
KINK = (
    "The slopes to both sides differ at every point tried: a layer with corners this dense claims "
    '`differentiable="kinked"`, one of steps `differentiable="none"` or a `surrogate`.'
)
OTHER = (
    "Usually a custom gradient with an error in its formula, or a `stop_gradient` on a part of what the "
    "output depends on."
)


@dataclass
class Line:
    """A leaf's derivative along a direction: by autodiff and as a central difference."""

    index: int
    direction: np.ndarray
    exact: float
    numeric: float
    step: float
    precision: str
    kinked: bool = False

    @property
    def allowed(self) -> float:
        """How far the two may be apart."""
        return TOLERANCE[self.precision] * max(1.0, abs(self.numeric), abs(self.exact))

    @property
    def close(self) -> bool:
        """Whether they agree; a NaN agrees with nothing."""
        return abs(self.numeric - self.exact) <= self.allowed


def demand_derivative(
    subject: Slice, seed: int, smooth: bool, among: range | None = None, of: Slice | None = None
) -> set[str]:
    """Demand that a slice's gradient is its numerical derivative, leaf by leaf.

    At a kink the point is jittered. The precision is measured and not asked: only two central differences
    of different small steps that agree can come from float64.

    Args:
        subject: The slice.
        seed: Of the directions.
        smooth: Whether kinks at every point tried count against the layer.
        among: Which leaves. Default: all.
        of: The slice whose derivative the gradient is to be. Default: the same.

    Returns:
        The names of the leaves that could be held against float32 only.
    """
    generator = np.random.default_rng([seed, 71])
    leaves = subject.leaves
    of = of or subject
    among = range(len(leaves)) if among is None else among
    for attempt in range(POINTS):
        if attempt:
            leaves = [leaf + 0.1 * generator.normal(size=leaf.shape) for leaf in leaves]
        lines = _lines(subject, of, leaves, among, generator)
        if not lines or lines[-1].close:
            for line in lines:
                note_share(abs(line.numeric - line.exact), line.allowed)
            return {subject.names[line.index] for line in lines if line.precision != PROBED}
        worst = lines[-1]
        if not worst.kinked:
            break
    message, hint = _told(subject, of, leaves, worst)
    if worst.kinked and not smooth:
        raise Inconclusive(f"every one of {POINTS} points has a kink\n{message}")
    note_share(abs(worst.numeric - worst.exact), worst.allowed)
    raise Violation(message, KINK if worst.kinked else hint)


PROBED = next(iter(TOLERANCE))


def _lines(subject, of, leaves, among, generator) -> list[Line]:
    """Two dense directions of each leaf and one entry, until one does not agree."""
    gradients = subject.gradient(leaves)
    lines: list[Line] = []
    for index in among:
        found = gradients[index].astype("float64")
        for dense in (True, True, False):
            if not found.size:
                continue
            direction = generator.normal(size=found.shape)
            if not dense:
                only = np.zeros(found.size)
                only[generator.integers(found.size)] = 1.0
                direction = only.reshape(found.shape)
            lines.append(_line(of, leaves, index, direction, float(np.sum(found * direction))))
            if not lines[-1].close:
                return lines
    return lines


def _line(of, leaves, index, direction, exact) -> Line:
    def tried(steps, precision) -> list[Line]:
        lines: list[Line] = []
        for step in steps:
            numeric = _quotient(of, leaves, index, direction, step)
            lines.append(Line(index, direction, exact, numeric, step, precision))
            if lines[-1].close:
                break
        return lines

    fine = tried(STEPS, PROBED)
    if fine[-1].close:
        return fine[-1]
    settled = [b for a, b in itertools.pairwise(fine) if _agree(a.numeric, b.numeric)]
    if settled:
        line = settled[-1]
    else:
        coarse = tried(COARSE, "float32 only")
        line = coarse[-1] if coarse[-1].close else coarse[0]
    if not line.close:
        line.kinked = _kinked(of, leaves, line)
    return line


def _agree(a: float, b: float) -> bool:
    """Whether two quotients are of one derivative; zero may as well be a step lost in float32."""
    return a != 0 and b != 0 and abs(a - b) <= TOLERANCE[PROBED] * max(1.0, abs(a), abs(b))


def _quotient(of, leaves, index, direction, step) -> float:
    ahead, behind = (of.value(moved(leaves, index, direction, s)) for s in (step, -step))
    return (ahead - behind) / (2 * step)


def _kinked(of, leaves, line) -> bool:
    """Whether the slopes to both sides differ by more than curvature explains."""
    here = of.value(leaves)
    right, left = (
        (of.value(moved(leaves, line.index, line.direction, s)) - here) / s
        for s in (line.step, -line.step)
    )
    bend = 1e-3 if line.precision == PROBED else 5e-2
    return abs(right - left) > bend * max(1.0, abs(line.numeric))


def _told(subject, of, leaves, line) -> tuple[str, str]:
    """What to say of a mismatch, and what it probably comes from."""
    name, shape = subject.names[line.index], line.direction.shape
    entry = _wrong_entry(subject, of, leaves, line)
    ratio = line.exact / line.numeric if line.numeric else float("nan")
    message = (
        f"  leaf            {name} {shape}\n"
        f"  autodiff        {line.exact:.8g}   central difference {line.numeric:.8g} "
        f"(h=2^{int(np.log2(line.step))})   ratio {ratio:.4f}\n"
        f"  difference      {abs(line.numeric - line.exact):.3g}, tolerance {line.allowed:.3g} "
        f"({line.precision})\n"
        f"  Taylor slopes   {_taylor(of, leaves, line)}  (2 = right, 1 = wrong)"
    )
    if entry is None:
        return message, _meaning(subject, of, leaves, line, line.exact, line.numeric)
    output, place, exact, numeric = entry
    message += (
        f"\n  a wrong entry   d output{output} / d {name}{list(place)}: {exact:.6g} by autodiff, "
        f"{numeric:.6g} by difference"
    )
    return message, _meaning(subject, of, leaves, line, exact, numeric)


def _meaning(subject, of, leaves, line, exact, numeric) -> str:
    if not np.isfinite(numeric):
        return NO_OUTPUT
    if not np.isfinite(exact):
        return NAN
    tolerance = TOLERANCE[line.precision]
    phantom = abs(numeric) <= tolerance
    for ratio, meaning in RATIOS.items():
        if not phantom and abs(exact / numeric - ratio) <= 10 * tolerance:
            return meaning
    offsets = []
    gradient = subject.gradient(leaves)[line.index]
    for seed in range(3):
        direction = np.random.default_rng(seed).normal(size=line.direction.shape)
        slope = _quotient(of, leaves, line.index, direction, line.step)
        offsets.append((float(np.sum(gradient * direction)) - slope) / float(np.sum(direction)))
    if line.direction.size > 1 and max(offsets) - min(offsets) <= 1e-2 * abs(offsets[0]):
        return OFFSET
    return PHANTOM if phantom else OTHER


def _taylor(of, leaves, line) -> str:
    """How fast what remains of L(z + hv) - L(z) - h<g, v> shrinks, as powers of h."""
    first = -4 if line.precision == PROBED else -2
    here = of.value(leaves)
    remains = []
    for power in range(first, first - 8, -2):
        step = 2.0**power
        there = of.value(moved(leaves, line.index, line.direction, step))
        remains.append(abs(there - here - step * line.exact))
    with np.errstate(divide="ignore", invalid="ignore"):
        slopes = -np.diff(np.log2(remains)) / 2
    return " ".join(f"{slope:.2f}" for slope in slopes)


def _wrong_entry(subject, of, leaves, line):
    """An entry of the Jacobian that is wrong: of the output, of the leaf, and both numbers.

    Where a sum is wrong one of its halves is, so that a few evaluations find the entry.
    """
    shape = line.direction.shape
    gradients = subject.gradient(leaves)[line.index].astype("float64")

    def off_along(entries):
        direction = np.zeros(gradients.size)
        direction[entries] = line.direction.ravel()[entries]
        direction = direction.reshape(shape)
        exact = float(np.sum(gradients * direction))
        return abs(exact - _quotient(of, leaves, line.index, direction, line.step))

    place = np.unravel_index(_bisected(np.flatnonzero(line.direction), off_along), shape)
    only = np.zeros(shape)
    only[place] = 1.0
    count = len(leaves)
    if not of.cotangents:  # a derivative has no outputs of its own
        return None

    def pulled(slice, cotangents, at=leaves):
        return joint[slice]([compat.tensor(each) for each in [*at, *cotangents]])

    joint = {
        each: autodiff.gradient(lambda all, each=each: each.scalar(all[:count], all[count:]))
        for each in {subject, of}
    }
    ahead, behind = (
        _flat(pulled(of, of.cotangents, moved(leaves, line.index, only, s))[count:])
        for s in (line.step, -line.step)
    )
    numeric = (ahead - behind) / (2 * line.step)  # of every output by this entry of the leaf
    signs = np.where(np.random.default_rng(0).random(numeric.size) < 0.5, -1.0, 1.0)

    def exact_at(entries):
        chosen = np.zeros(numeric.size)
        chosen[entries] = signs[entries]
        return float(pulled(subject, _unflat(chosen, of.cotangents))[line.index][place])

    def off(entries):
        return abs(exact_at(entries) - float(np.sum((signs * numeric)[entries])))

    output = _bisected(np.arange(numeric.size), off)
    exact = exact_at([output]) * signs[output]
    if abs(exact - numeric[output]) <= TOLERANCE[line.precision] * max(1.0, abs(numeric[output])):
        return None  # the errors of several entries add up to what is seen
    return _named(output, of.cotangents), [int(i) for i in place], exact, numeric[output]


def _bisected(entries, off) -> int:
    """One of some entries, in the half that is further off, and again in that."""
    while len(entries) > 1:
        halves = entries[: len(entries) // 2], entries[len(entries) // 2 :]
        errors = [error if np.isfinite(error) else np.inf for error in map(off, halves)]
        entries = halves[int(np.argmax(errors))]
    return int(entries[0])


def _flat(arrays) -> np.ndarray:
    return np.concatenate([np.asarray(a, "float64").ravel() for a in arrays])


def _unflat(flat, like) -> list[np.ndarray]:
    ends = np.cumsum([a.size for a in like])[:-1]
    parts = np.split(flat, ends)
    return [p.reshape(a.shape).astype(a.dtype) for p, a in zip(parts, like, strict=True)]


def _named(flat_index, arrays) -> str:
    """The index of an entry, with the number of its output where there are several."""
    for number, a in enumerate(arrays):
        if flat_index < a.size:
            index = [int(i) for i in np.unravel_index(flat_index, a.shape)]
            return f"s.{number}{index}" if len(arrays) > 1 else str(index)
        flat_index -= a.size
    raise IndexError(flat_index)


def moved(leaves, index, direction, step) -> list[np.ndarray]:
    """The leaves, one of them moved along a direction."""
    return [leaf + step * direction if i == index else leaf for i, leaf in enumerate(leaves)]
