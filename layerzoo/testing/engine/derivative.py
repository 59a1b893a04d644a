"""Gradients compared with central differences: how, at which precision, and how a mismatch is reported."""

import itertools
from collections.abc import Generator
from dataclasses import dataclass

import numpy as np

from layerzoo.tensors import autodiff, compat
from layerzoo.tensors.outcomes import Inconclusive
from layerzoo.tensors.slice import Slice
from layerzoo.testing.engine.comparison import Fact, Tolerance, demand

STEPS = (2.0**-17, 2.0**-21, 2.0**-25)
"""Step sizes. Powers of two add exactly; the larger ones are too large if the function bends sharply."""

COARSE = (2.0**-8, 2.0**-10, 2.0**-12)
"""Step sizes if a part rounds to float32: large ones outweigh rounding, small ones follow a bend."""

PROBED = Tolerance(1e-6, "float64, probed")
ROUGH = Tolerance(2e-2, "float32 only")
"""How near the two must be at the precision found, relative to the larger of them, or to 1 if larger."""

TOLERANCE = {each.origin: each.relative for each in (PROBED, ROUGH)}  # until `free` reads `PROBED`

POINTS = 4

RATIOS = {
    0.5: "Half of the gradient is missing: usually a `stop_gradient` on one of two equal parts, or a custom "
    "gradient without a factor of 2.",
    2.0: "The gradient is twice what it should be: usually a custom gradient that adds what is already "
    "counted, or applies a factor of 2 twice.",
    -1.0: "The gradient has the wrong sign. If it is reversed on purpose, the card must name the function "
    "whose gradient it is: `surrogate`.",
    0.0: "No gradient comes through here: usually a `stop_gradient`, a step through NumPy, or an operation "
    "without a derivative such as `round`, `argmax` or a comparison.",
}
"""What each ratio of autodiff to the central difference usually means."""

NAN = (
    "The gradient is not a finite number although the output is. Usually a 0/0 or an infinity hides in the "
    "branch that `where` does not choose. Replace the argument before the operation, not only the result."
)
NO_OUTPUT = (
    "The output itself is not finite here, so it has no derivative. Look at its values first."
)
OFFSET = (
    "The gradient is off by the same amount everywhere: usually a custom gradient that adds a constant or "
    "its own loss."
)
PHANTOM = (
    "There is a gradient although the output does not depend on this leaf, as in a straight-through "
    "estimator. If that is intended, the card must name the function whose gradient it is: `surrogate`."
)
KINK = (
    "The slopes on the two sides differ at every point that was tried. For a layer with corners this dense, "
    'declare `differentiable="kinked"`; for a step function, `differentiable="none"` or a `surrogate`.'
)
OTHER = (
    "Usually a custom gradient whose formula is wrong, or a `stop_gradient` on something that the output "
    "depends on."
)


@dataclass
class Line:
    """A leaf's derivative along one direction, by autodiff and by central difference."""

    index: int
    direction: np.ndarray
    exact: float
    numeric: float
    step: float
    within: Tolerance
    kinked: bool = False

    @property
    def error(self) -> float:
        """How far apart the two are."""
        return abs(self.numeric - self.exact)

    @property
    def allowed(self) -> float:
        """How far apart they may be."""
        return self.within.relative * max(1.0, abs(self.numeric), abs(self.exact))

    @property
    def close(self) -> bool:
        """Whether the two agree; a NaN agrees with nothing."""
        return self.error <= self.allowed


def right_derivative(
    subject: Slice, seed: int, smooth: bool, among: range | None = None, of: Slice | None = None
) -> Generator[Fact, None, set[str]]:
    """A slice's gradient equals its numerical derivative, leaf by leaf.

    At a kink, other points nearby are tried. The precision is measured, not read from a dtype: only in
    float64 can central differences with two different small steps agree.

    Args:
        subject: The slice.
        seed: The seed of the directions.
        smooth: Whether the layer fails if every point that is tried has a kink.
        among: Which leaves to check. Default: all.
        of: The slice whose derivative the gradient should equal. Default: `subject`.

    Returns:
        The names of the leaves that could only be checked at float32 precision.

    Raises:
        Inconclusive: every point that was tried has a kink, and `smooth` is false.
    """
    generator = np.random.default_rng([seed, 71])
    leaves = subject.leaves
    of = of or subject
    among = range(len(leaves)) if among is None else among
    for attempt in range(POINTS):
        if attempt:
            leaves = [leaf + 0.1 * generator.normal(size=leaf.shape) for leaf in leaves]
        lines = _lines(subject, of, leaves, among, generator)
        if not any(line.kinked for line in lines):
            break
    for line in lines:
        what, hint = ("", "") if line.close else _told(subject, of, leaves, line)
        if line.kinked and not smooth:
            raise Inconclusive(f"each of the {POINTS} points has a kink\n{what}")
        yield Fact(line.close, what, hint, line.error / line.allowed)
    return {subject.names[line.index] for line in lines if line.within is not PROBED}


def demand_derivative(
    subject: Slice, seed: int, smooth: bool, among: range | None = None, of: Slice | None = None
) -> set[str]:
    """Raise the `Violation` if `right_derivative`, which has the same arguments, does not hold."""
    facts = right_derivative(subject, seed, smooth, among, of)
    while True:
        try:
            demand(next(facts))
        except StopIteration as end:
            return end.value


def _lines(subject, of, leaves, among, generator) -> list[Line]:
    """For each leaf two dense directions and a single entry, up to the first that disagrees."""
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
    def tried(steps, within) -> list[Line]:
        lines: list[Line] = []
        for step in steps:
            numeric = _quotient(of, leaves, index, direction, step)
            lines.append(Line(index, direction, exact, numeric, step, within))
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
        coarse = tried(COARSE, ROUGH)
        line = coarse[-1] if coarse[-1].close else coarse[0]
    if not line.close:
        line.kinked = _kinked(of, leaves, line)
    return line


def _agree(a: float, b: float) -> bool:
    """Whether two quotients show the same derivative; a zero does not count, as float32 may lose the step."""
    return a != 0 and b != 0 and abs(a - b) <= PROBED.relative * max(1.0, abs(a), abs(b))


def _quotient(of, leaves, index, direction, step) -> float:
    ahead, behind = (of.value(_moved(leaves, index, direction, s)) for s in (step, -step))
    return (ahead - behind) / (2 * step)


def _kinked(of, leaves, line) -> bool:
    """Whether the slopes on the two sides differ by more than curvature explains."""
    here = of.value(leaves)
    right, left = (
        (of.value(_moved(leaves, line.index, line.direction, s)) - here) / s
        for s in (line.step, -line.step)
    )
    bend = 1e-3 if line.within is PROBED else 5e-2
    return abs(right - left) > bend * max(1.0, abs(line.numeric))


def _told(subject, of, leaves, line) -> tuple[str, str]:
    """The message for a mismatch, and its probable cause."""
    name, shape = subject.names[line.index], line.direction.shape
    entry = _wrong_entry(subject, of, leaves, line)
    ratio = line.exact / line.numeric if line.numeric else float("nan")
    message = (
        f"leaf            {name} {shape}\n"
        f"autodiff        {line.exact:.8g}   central difference {line.numeric:.8g} "
        f"(h=2^{int(np.log2(line.step))})   ratio {ratio:.4f}\n"
        f"difference      {line.error:.3g}, tolerance {line.allowed:.3g} ({line.within.origin})\n"
        f"Taylor slopes   {_taylor(of, leaves, line)}  (2 = right, 1 = wrong)"
    )
    exact, numeric = line.exact, line.numeric
    if entry is not None:
        output, place, exact, numeric = entry
        message += (
            f"\na wrong entry   d output{output} / d {name}{list(place)}: {exact:.6g} by autodiff, "
            f"{numeric:.6g} by difference"
        )
    hint = KINK if line.kinked else _meaning(subject, of, leaves, line, exact, numeric)
    return message, hint


def _meaning(subject, of, leaves, line, exact, numeric) -> str:
    if not np.isfinite(numeric):
        return NO_OUTPUT
    if not np.isfinite(exact):
        return NAN
    tolerance = line.within.relative
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
    """How fast L(z + hv) - L(z) - h<g, v> shrinks with h, as powers of h."""
    first = -4 if line.within is PROBED else -2
    here = of.value(leaves)
    remains = []
    for power in range(first, first - 8, -2):
        step = 2.0**power
        there = of.value(_moved(leaves, line.index, line.direction, step))
        remains.append(abs(there - here - step * line.exact))
    with np.errstate(divide="ignore", invalid="ignore"):
        slopes = -np.diff(np.log2(remains)) / 2
    return " ".join(f"{slope:.2f}" for slope in slopes)


def _wrong_entry(subject, of, leaves, line):
    """A wrong entry of the Jacobian: the index in the output, the index in the leaf, and both numbers.

    If a sum is wrong, one of its halves is wrong too, so a few evaluations find the entry.
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
    if not of.cotangents:  # a derivative has no cotangents
        return None

    def pulled(slice, cotangents, at=leaves):
        return joint[slice]([compat.tensor(each) for each in [*at, *cotangents]])

    joint = {
        each: autodiff.gradient(lambda all, each=each: each.scalar(all[:count], all[count:]))
        for each in {subject, of}
    }
    ahead, behind = (
        _flat(pulled(of, of.cotangents, _moved(leaves, line.index, only, s))[count:])
        for s in (line.step, -line.step)
    )
    # the derivative of every output by this entry of the leaf
    numeric = (ahead - behind) / (2 * line.step)
    signs = np.where(np.random.default_rng(0).random(numeric.size) < 0.5, -1.0, 1.0)

    def exact_at(entries):
        chosen = np.zeros(numeric.size)
        chosen[entries] = signs[entries]
        return float(pulled(subject, _unflat(chosen, of.cotangents))[line.index][place])

    def off(entries):
        return abs(exact_at(entries) - float(np.sum((signs * numeric)[entries])))

    output = _bisected(np.arange(numeric.size), off)
    exact = exact_at([output]) * signs[output]
    if abs(exact - numeric[output]) <= line.within.relative * max(1.0, abs(numeric[output])):
        return None  # only the errors of several entries together exceed the tolerance
    return _named(output, of.cotangents), [int(i) for i in place], exact, numeric[output]


def _bisected(entries, off) -> int:
    """An entry found by bisection: again and again, take the half with the larger error."""
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
    """The index of an entry, with the number of its output if there are several."""
    for number, a in enumerate(arrays):
        if flat_index < a.size:
            index = [int(i) for i in np.unravel_index(flat_index, a.shape)]
            return f"s.{number}{index}" if len(arrays) > 1 else str(index)
        flat_index -= a.size
    raise IndexError(flat_index)


def _moved(leaves, index, direction, step) -> list[np.ndarray]:
    """The leaves, with one of them moved along a direction."""
    return [leaf + step * direction if i == index else leaf for i, leaf in enumerate(leaves)]
