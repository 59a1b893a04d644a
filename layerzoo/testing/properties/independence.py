"""Independence: which outputs depend on which inputs, and what holds for all inputs."""

import numpy as np

from layerzoo.tensors import compat
from layerzoo.tensors.outcomes import NotApplicable, demand
from layerzoo.testing.engine.comparison import demand_close
from layerzoo.testing.engine.register import declare

SUMS = "float32, 1e-5 for sums in another order"
SAME = "float32, 1e-6: the same sums of the same numbers"


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
    shown="""
    layer = built()
    other = lambda v: np.concatenate([v, v[::-1] * v.dtype.type(2) if v.dtype.kind == "f" else v[::-1]])
    batch = keras.tree.map_structure(other, inputs)
    for row in range(2):
        alone = keras.tree.map_structure(lambda v: v[row : row + 1], batch)
        for y, e in zip(numbers(layer(**batch)), numbers(layer(**alone))):
            assert len(y) > row, f"only {len(y)} samples come out of a batch"
            assert y[:1].shape == e.shape, f"in a batch {y.shape}, alone {e.shape}"
            y, e = y[row].ravel(), e[0].ravel()
            assert np.allclose(y, e, atol=1e-5), f"in a batch {y[:4]}, alone {e[:4]}"
    half = lambda rows: keras.tree.map_structure(lambda v: np.concatenate([v, rows(v)]), inputs)
    def train(given):  # with the same noise each time
        seeds = [v.assign([7, 0]) for v in layer.variables if "seed_gen" in v.path]
        keras.utils.set_random_seed(7)
        return numbers(layer(**given, training=True))
    if not claimed["couples_batch"] and not claimed["state"]:
        for y, e in zip(train(half(lambda v: v)), train(half(lambda v: v * v.dtype.type(0)))):
            y, e = y[: len(y) // 2].ravel(), e[: len(e) // 2].ravel()
            assert np.allclose(y, e, atol=1e-5), f"in training {y[:4]}, beside others {e[:4]}"
    """,
)
def batch_independence(case):
    """The samples of a batch do not influence each other, unless the card says that they do."""
    if "b" not in case.traits.dynamic.split():
        raise NotApplicable("the batch size is fixed")
    coupled = case.traits.couples_batch
    arrays = case.arrays(values="normal", b=3)
    layer = case.built()
    whole = case.run(layer, arrays)
    changed = case.arrays(salt=1, values="normal", b=3)
    mixed = rows(case, arrays, slice(0, 1), rows(case, changed, slice(1, 3)))
    if coupled:
        training = coupled == "training"
        with compat.kept_state(layer):  # training moves the statistics that inference uses
            first = case.run(layer, arrays, training=training)
            second = case.run(layer, mixed, training=training)
        refuted = any(
            not np.allclose(a[0], b[0], atol=1e-6) for a, b in zip(first, second, strict=True)
        )
        if coupled == "always":
            return refuted
    demand_samples(whole, 3)
    for a, e in zip(case.run(layer, mixed), whole, strict=True):
        what = "  sample 0 of 3, after samples 1 and 2 changed, and before"
        demand_close(a[0], e[0], 1e-6, what, SAME)
    if not coupled:
        pair = case.train(layer, mixed), case.train(layer, arrays)
        for a, e in zip(*pair, strict=True):
            what = "  in training, sample 0 of 3, after samples 1 and 2 changed, and before"
            demand_close(a[0], e[0], 1e-6, what, SAME)
    for row in range(3):
        alone = case.run(layer, rows(case, arrays, slice(row, row + 1)))
        for a, e in zip(alone, whole, strict=True):
            demand(
                a.shape == (1, *e.shape[1:]),
                f"  batch of one    {a.shape}\n  batch of three  {e.shape}",
                "A batch of one must keep its axis: tell `squeeze` which axis to remove.",
            )
            demand_close(
                a[0], e[row], 1e-5, f"  sample {row} as a batch of one, and in a batch of 3", SUMS
            )
    return refuted if coupled else None


@declare(
    "I2",
    tier="trait",
    never=(
        "The card says that the layer is not causal, but no output depended on a later step in any sample."
    ),
    hint=(
        "Usually a mask that is off by one or transposed, a shift in the wrong direction, or a mean over "
        "all steps. Output `t` may read only the inputs `0` to `t`."
    ),
    shown="""
    layer = built()
    name, x = next(iter(inputs.items()))
    if claimed["causal"] and "t" in claimed["dynamic"].split() and len(inputs) == 1:
        x = np.concatenate([x] * 8, axis=1)
    for k in range(1, x.shape[1]):
        later = np.concatenate([x[:, :k], x[::-1, :k][:, :1] + x[:, k:] * x.dtype.type(0)], axis=1)
        for y, e in zip(numbers(layer(**{**inputs, name: later})), numbers(layer(**{**inputs, name: x}))):
            y, e = y[:, :k], e[:, :k]
            same = np.allclose(y, e, atol=1e-6)
            assert same, f"steps from {k} on changed; before them {y.ravel()[:4]}, not {e.ravel()[:4]}"
        if claimed["causal"] and "t" in claimed["dynamic"].split():
            whole = numbers(layer(**{**inputs, name: x}))
            for y, e in zip(numbers(layer(**{**inputs, name: x[:, :k]})), whole):
                same = np.allclose(y, e[:, :k], atol=1e-5)
                assert same, f"the first {k} steps alone {y.ravel()[:4]}, not {e[:, :k].ravel()[:4]}"
        if claimed["causal"] and not claimed["couples_batch"] and not claimed["state"]:
            def train(given):  # with the same noise each time
                [v.assign([7, 0]) for v in layer.variables if "seed_gen" in v.path]
                keras.utils.set_random_seed(7)
                return numbers(layer(**{**inputs, name: given}, training=True))
            for y, e in zip(train(later), train(x)):
                same = np.allclose(y[:, :k], e[:, :k], atol=1e-6)
                assert same, f"in training, steps from {k} on changed what is before them: {y}, not {e}"
    """,
)
def causality(case):
    """If claimed causal, no output depends on later steps or on their number; if claimed not, some does."""
    if case.traits.causal is None:
        raise NotApplicable("the card claims nothing about causality")
    case = case.roomy()
    time_axis(case)
    steps = case.sizes["t"]
    if steps == 1:
        raise NotApplicable("a single step has no later one")
    layer = case.built()
    if not case.traits.causal:
        moved = _after_changes(case, case.run, layer, range(1, steps))
        return not all(np.allclose(a, e, atol=1e-6) for _, a, e in moved)
    _demand_unmoved(_after_changes(case, case.run, layer, range(1, steps)))
    if not case.traits.couples_batch:
        _demand_unmoved(_after_changes(case, case.train, layer, [steps // 2]), ", in training")
    if "t" not in case.traits.dynamic.split():
        return None
    _demand_prefixes(case, layer, {1, steps // 2, steps - 1})
    long = case.long()
    half = long.sizes["t"] // 2
    _demand_unmoved(_after_changes(long, long.run, layer, [half]), f" of {long.sizes['t']}")
    _demand_prefixes(long, layer, {half})
    return None


def _after_changes(case, run, layer, steps):
    """For each step, each output before it: after the first input from there on changed, and before that."""
    axis = time_axis(case)
    arrays, others = (case.arrays(salt, "normal") for salt in (0, 1))
    whole = run(layer, arrays)
    for k in steps:
        x, other = (np.moveaxis(each[case.first], axis, 0) for each in (arrays, others))
        later = np.moveaxis(np.concatenate([x[:k], other[k:]]), 0, axis)
        for a, e in zip(run(layer, {**arrays, case.first: later}), whole, strict=True):
            yield k, a[:, :k], e[:, :k]


def _demand_unmoved(moved, where=""):
    for k, a, e in moved:
        what = (
            f"  outputs before step {k}{where}, after the inputs from there on changed, and before"
        )
        demand_close(a, e, 1e-6, what, SAME)


def _demand_prefixes(case, layer, lengths):
    """Demand that the first steps alone give what they give if more steps follow."""
    arrays, axis = case.arrays(values="normal"), time_axis(case)
    whole = case.run(layer, arrays)
    for k in sorted(lengths):
        first = {**arrays, case.first: np.take(arrays[case.first], range(k), axis)}
        for a, e in zip(case.run(layer, first), whole, strict=True):
            what = (
                f"  outputs of the first {k} steps alone, and with {case.sizes['t'] - k} after them"
            )
            hint = (
                "A causal output must not depend on how many steps follow: look for a length that enters "
                "the numbers, a norm or a position counted from the end."
            )
            demand_close(a, e[:, :k], 1e-5, what, SUMS, hint)


@declare(
    "I3",
    tier="trait",
    never=(
        "The declared transformation did not change the input in any sample, so that nothing was checked."
    ),
    hint=(
        "Usually the wrong axis in a softmax, a norm or a `reshape`. Otherwise something depends on "
        "position, although the card claims that position does not matter."
    ),
    shown="""
    layer = built()
    name, x = next(iter(inputs.items()))
    for claim, (before, after) in claimed["equivariant"].items():
        for y, e in zip(numbers(layer(**{**inputs, name: before(x)})), numbers(layer(**inputs))):
            error, allowed = abs(y - after(e)).max(), 1e-5 * max(1, abs(e).max())
            assert error <= allowed, f"{claim}: {y.ravel()[:4]}, not {after(e).ravel()[:4]}"
    """,
)
def equivariance(case):
    """If the first input is transformed as the card declares, the outputs transform as it declares."""
    if not case.traits.equivariant:
        raise NotApplicable("the card declares no transformation")
    case = case.roomy()
    layer, arrays = case.built(), case.arrays(values="normal")
    whole = case.run(layer, arrays)
    changed = False
    for claim, (before, after) in case.traits.equivariant.items():
        moved = {**arrays, case.first: np.asarray(before(arrays[case.first].copy()))}
        changed |= not np.array_equal(moved[case.first], arrays[case.first])
        for index, (a, e) in enumerate(zip(case.run(layer, moved), whole, strict=True)):
            what = (
                f"  {claim}: output {index} for the transformed input, and the output transformed"
            )
            demand_close(a, after(e), 1e-5, what, SUMS)
    return changed


@declare(
    "I4",
    tier="trait",
    never=(
        "The card says how far an output reaches, but the outermost steps of that window mattered in no "
        "sample. The window is too wide."
    ),
    hint=(
        "Usually a window that is off by one: decide whether it includes the step itself. A second layer "
        "inside widens the window, because windows add up."
    ),
    shown="""
    layer = built()
    (name, x), (earlier, later) = next(iter(inputs.items())), claimed["reach"]
    for k in range(x.shape[1]):
        changed = x.copy()
        changed[:, k] = x[:, k - 1]
        far = [t for t in range(x.shape[1]) if not -earlier <= k - t <= later]
        for y, e in zip(numbers(layer(**{**inputs, name: changed})), numbers(layer(**inputs))):
            y, e = y[:, far], e[:, far]
            same = np.allclose(y, e, atol=1e-6)
            assert same, f"step {k} changed; at steps {far} {y.ravel()[:4]}, not {e.ravel()[:4]}"
    """,
)
def locality(case):
    """An output depends only on steps within the declared window, and does depend on its outermost steps."""
    if case.traits.reach is None:
        raise NotApplicable("the card declares no window")
    earlier, later = case.traits.reach
    axis = time_axis(case)
    length = case.sizes["t"]
    if "t" in case.traits.dynamic.split():
        length = max(length, earlier + later + 2)
        arrays, other = (case.arrays(salt, "normal", t=length) for salt in (0, 1))
    else:
        arrays, other = (case.arrays(salt, "normal") for salt in (0, 1))
    layer = case.built()
    whole = case.run(layer, arrays)
    seen = {-earlier: False, later: False}
    for k in range(length):
        moved = {**arrays, case.first: arrays[case.first].copy()}
        np.moveaxis(moved[case.first], axis, 0)[k] = np.moveaxis(other[case.first], axis, 0)[k]
        far = [t for t in range(length) if not -earlier <= k - t <= later]
        for a, e in zip(case.run(layer, moved), whole, strict=True):
            what = (
                f"  outputs at steps {far}, after step {k} of the input changed, and before\n"
                f"  window          {earlier} earlier and {later} later steps"
            )
            demand_close(a[:, far], e[:, far], 1e-6, what, SAME)
            for distance in seen:
                if 0 <= k - distance < length:
                    t = k - distance
                    seen[distance] |= not np.allclose(a[:, t], e[:, t], atol=1e-6)
    return all(seen.values()) if length > max(earlier, later) else None


@declare(
    "I5",
    tier="trait",
    hint=(
        "Usually a sum or a norm over the wrong axis, a constant added for stability to something that "
        "must sum to one, or scores that change after they were normalised."
    ),
    shown="""
    x, y = next(iter(inputs.values())), numbers(built()(**inputs))[0]
    for claim, residue in claimed["conserves"].items():
        left, allowed = abs(residue(x, y)).max(), 1e-5 * max(1, abs(x).max(), abs(y).max())
        assert left <= allowed, f"{claim}: {left} is left, but only {allowed} is allowed"
    """,
)
def conservation(case):
    """What the card declares conserved is: the residue of the first input and the first output is zero."""
    if not case.traits.conserves:
        raise NotApplicable("the card declares nothing that is conserved")
    layer, arrays = case.built(), case.arrays(values="normal")  # squares must not round
    x, y = arrays[case.first], case.run(layer, arrays)[0]
    size = max(1.0, *(float(np.abs(a).max(initial=0)) for a in (x, y)))
    for claim, residue in case.traits.conserves.items():
        left = np.asarray(residue(x, y), "float64")
        demand(left.size, f"  {claim}: the residue has no entries, so it claims nothing")
        demand_close(
            left,
            np.zeros(left.shape),
            1e-5 * size,
            f"  {claim}: the residue, and zero",
            f"float32, 1e-5 of the largest input or output, {size:.3g}",
        )


def demand_samples(outputs, count) -> None:
    """Demand that each output has as many samples as the inputs."""
    for index, y in enumerate(outputs):
        demand(
            y.shape[:1] == (count,),
            f"  output {index}        {y.shape}, of a batch of {count}",
            "The first axis of an output must be that of the samples, and keep all of them.",
        )


def rows(case, arrays, which, others=None) -> dict[str, np.ndarray]:
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


def time_axis(case) -> int:
    """The axis `t` of the first input."""
    letters = case.tensors[case.first].letters
    if "t" not in letters:
        raise NotApplicable("the first input has no axis `t`")
    return letters.index("t")
