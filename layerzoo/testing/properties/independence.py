"""Independence: which outputs depend on which inputs, and what holds for all inputs."""

import numpy as np

from layerzoo.tensors import compat
from layerzoo.tensors.outcomes import NotApplicable
from layerzoo.testing.engine.case import Case
from layerzoo.testing.engine.comparison import (
    SAME,
    SUMS,
    Comparison,
    Evidence,
    Fact,
    Sometimes,
    Tolerance,
    differ,
)
from layerzoo.testing.engine.register import declare


@declare(
    "I1",
    never=(
        "The card says that the samples of a batch influence each other, but they did so in no sample that "
        "was tried."
    ),
    hint=(
        "Usually a mean, softmax or norm over axis 0, a `squeeze` on a batch of one, or a `reshape` that "
        "mixes the batch with another axis. If samples are meant to influence each other, declare "
        '`couples_batch="training"` or `"always"`.'
    ),
)
def batch_independence(case: Case) -> Evidence:
    """The samples of a batch do not influence each other, unless the card says that they do."""
    if "b" not in case.traits.dynamic.split():
        raise NotApplicable("the batch size is fixed")
    coupled = case.traits.couples_batch
    layer, arrays = case.built(), case.arrays(values="normal", b=3)
    whole = case.run(layer, arrays)
    changed = case.arrays(salt=1, values="normal", b=3)
    mixed = rows(case, arrays, slice(0, 1), rows(case, changed, slice(1, 3)))
    if coupled:
        how = {"training": coupled == "training"}
        with compat.kept_state(layer):  # training moves the statistics that inference uses
            before, after = (case.run(layer, given, **how) for given in (arrays, mixed))
        yield Sometimes(differ([y[0] for y in before], [y[0] for y in after], SAME))
    if coupled == "always":
        return
    yield from same_samples(whole, 3)
    for a, e in zip(case.run(layer, mixed), whole, strict=True):
        what = "sample 0 of 3, after samples 1 and 2 changed, and before"
        yield Comparison(a[0], e[0], SAME, what)
    if not coupled:
        pair = case.train(layer, mixed), case.train(layer, arrays)
        for a, e in zip(*pair, strict=True):
            what = "in training, sample 0 of 3, after samples 1 and 2 changed, and before"
            yield Comparison(a[0], e[0], SAME, what)
    for row in range(3):
        alone = case.run(layer, rows(case, arrays, slice(row, row + 1)))
        for a, e in zip(alone, whole, strict=True):
            yield Fact(
                a.shape == (1, *e.shape[1:]),
                f"batch of one    {a.shape}\nbatch of three  {e.shape}",
                "A batch of one must keep its axis: tell `squeeze` which axis to remove.",
            )
            what = f"sample {row} as a batch of one, and in a batch of 3"
            yield Comparison(a[0], e[row], SUMS, what)


@declare(
    "I2",
    tier="trait",
    claim="causal",
    never=(
        "The card says that the layer is not causal, but no output depended on a later step in any sample."
    ),
    hint=(
        "Usually a mask that is off by one or transposed, a shift in the wrong direction, or a mean over "
        "all steps. Output `t` may read only the inputs `0` to `t`."
    ),
)
def causality(case: Case) -> Evidence:
    """If claimed causal, no output depends on later steps or on their number; if claimed not, some does."""
    case = case.roomy()
    time_axis(case)
    steps = case.sizes["t"]
    if steps == 1:
        raise NotApplicable("a single step has no later one")
    layer = case.built()
    yield from _unmoved(case, case.run, layer, range(1, steps))
    if not case.traits.couples_batch:
        yield from _unmoved(case, case.train, layer, [steps // 2], ", in training")
    if "t" not in case.traits.dynamic.split():
        return
    yield from _prefixes(case, layer, {1, steps // 2, steps - 1})
    long = case.long()
    half = long.sizes["t"] // 2
    yield from _unmoved(long, long.run, layer, [half], f" of {long.sizes['t']}")
    yield from _prefixes(long, layer, {half})


def _unmoved(case, run, layer, steps, where="") -> Evidence:
    """For each step, the outputs before it are the same if the first input changes from there on."""
    axis = time_axis(case)
    arrays, others = (case.arrays(salt, "normal") for salt in (0, 1))
    whole = run(layer, arrays)
    for k in steps:
        x, other = (np.moveaxis(each[case.first], axis, 0) for each in (arrays, others))
        later = np.moveaxis(np.concatenate([x[:k], other[k:]]), 0, axis)
        for a, e in zip(run(layer, {**arrays, case.first: later}), whole, strict=True):
            what = f"outputs before step {k}{where}, after the inputs from there on changed, and before"
            yield Comparison(a[:, :k], e[:, :k], SAME, what)


def _prefixes(case, layer, lengths) -> Evidence:
    """The first steps alone give what they give if more steps follow."""
    arrays, axis = case.arrays(values="normal"), time_axis(case)
    whole = case.run(layer, arrays)
    for k in sorted(lengths):
        first = {**arrays, case.first: np.take(arrays[case.first], range(k), axis)}
        for a, e in zip(case.run(layer, first), whole, strict=True):
            what = (
                f"outputs of the first {k} steps alone, and with {case.sizes['t'] - k} after them"
            )
            hint = (
                "A causal output must not depend on how many steps follow: look for a length that enters "
                "the numbers, a norm or a position counted from the end."
            )
            yield Comparison(a, e[:, :k], SUMS, what, hint)


@declare(
    "I3",
    tier="trait",
    claim="equivariant",
    never=(
        "The declared transformation did not change the input in any sample, so that nothing was checked."
    ),
    hint=(
        "Usually the wrong axis in a softmax, a norm or a `reshape`. Otherwise something depends on "
        "position, although the card claims that position does not matter."
    ),
)
def equivariance(case: Case) -> Evidence:
    """If the first input is transformed as the card declares, the outputs transform as it declares."""
    case = case.roomy()
    layer, arrays = case.built(), case.arrays(values="normal")
    whole, x = case.run(layer, arrays), arrays[case.first]
    for claim, (before, after) in case.traits.equivariant.items():
        moved = np.asarray(before(x.copy()))
        yield Sometimes(not np.array_equal(moved, x))
        outputs = case.run(layer, {**arrays, case.first: moved})
        for index, (a, e) in enumerate(zip(outputs, whole, strict=True)):
            what = f"{claim}: output {index} for the transformed input, and the output transformed"
            yield Comparison(a, after(e), SUMS, what)


@declare(
    "I4",
    tier="trait",
    claim="reach",
    never=(
        "The card says how far an output reaches, but the outermost steps of that window mattered in no "
        "sample. The window is too wide."
    ),
    hint=(
        "Usually a window that is off by one: decide whether it includes the step itself. A second layer "
        "inside widens the window, because windows add up."
    ),
)
def locality(case: Case) -> Evidence:
    """An output depends only on steps within the declared window, and does depend on its outermost steps."""
    earlier, later = case.traits.reach
    axis, length = time_axis(case), case.sizes["t"]
    if "t" in case.traits.dynamic.split():
        length = max(length, earlier + later + 2)
        arrays, others = (case.arrays(salt, "normal", t=length) for salt in (0, 1))
    else:
        arrays, others = (case.arrays(salt, "normal") for salt in (0, 1))
    layer = case.built()
    whole = case.run(layer, arrays)
    reached = {-earlier: False, later: False}
    for k in range(length):
        moved = arrays[case.first].copy()
        np.moveaxis(moved, axis, 0)[k] = np.moveaxis(others[case.first], axis, 0)[k]
        far = [t for t in range(length) if not -earlier <= k - t <= later]
        for a, e in zip(case.run(layer, {**arrays, case.first: moved}), whole, strict=True):
            what = (
                f"outputs at steps {far}, after step {k} of the input changed, and before\n"
                f"window          {earlier} earlier and {later} later steps"
            )
            yield Comparison(a[:, far], e[:, far], SAME, what)
            for distance in reached:
                if 0 <= (t := k - distance) < length:
                    reached[distance] |= differ([a[:, t]], [e[:, t]], SAME)
    if length > max(earlier, later):
        yield Sometimes(all(reached.values()))


@declare(
    "I5",
    tier="trait",
    claim="conserves",
    hint=(
        "Usually a sum or a norm over the wrong axis, a constant added for stability to something that "
        "must sum to one, or scores that change after they were normalised."
    ),
)
def conservation(case: Case) -> Evidence:
    """What the card declares conserved is: the residue of the first input and the first output is zero."""
    layer, arrays = case.built(), case.arrays(values="normal")  # squares must not round
    x, y = arrays[case.first], case.run(layer, arrays)[0]
    size = max(1.0, *(float(np.abs(a).max(initial=0)) for a in (x, y)))
    within = Tolerance(1e-5 * size, f"float32, 1e-5 of the largest input or output, {size:.3g}")
    for claim, residue in case.traits.conserves.items():
        left = np.asarray(residue(x, y), "float64")
        yield Fact(left.size, f"{claim}: the residue has no entries, so it claims nothing")
        yield Comparison(left, np.zeros(left.shape), within, f"{claim}: the residue, and zero")


def same_samples(outputs: list[np.ndarray], count: int) -> Evidence:
    """Each output has as many samples as the inputs."""
    for index, y in enumerate(outputs):
        yield Fact(
            y.shape[:1] == (count,),
            f"output {index}        {y.shape}, of a batch of {count}",
            "The first axis of an output must be that of the samples, and keep all of them.",
        )


def rows(
    case: Case, arrays: dict, which: slice, others: dict | None = None
) -> dict[str, np.ndarray]:
    """Some samples of each input, followed by those of `others` if given."""
    found = {}
    for path, a in arrays.items():
        letters = case.tensors[path].letters
        if "b" in letters:
            axis = letters.index("b")
            a = np.moveaxis(np.moveaxis(a, axis, 0)[which], 0, axis)
            a = np.concatenate([a, others[path]], axis) if others else a
        found[path] = a
    return found


def time_axis(case: Case) -> int:
    """The axis `t` of the first input."""
    letters = case.tensors[case.first].letters
    if "t" not in letters:
        raise NotApplicable("the first input has no axis `t`")
    return letters.index("t")
