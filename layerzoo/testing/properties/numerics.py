"""Numbers: how precision, size, NaN and the dtype of the inputs affect the outputs."""

import keras
import numpy as np

from layerzoo.tensors import compat
from layerzoo.tensors.outcomes import NotApplicable
from layerzoo.testing.engine.case import Case
from layerzoo.testing.engine.comparison import (
    SUMS,
    Comparison,
    Evidence,
    Fact,
    Finite,
    Tolerance,
)
from layerzoo.testing.engine.register import declare
from layerzoo.testing.properties.independence import same_samples

PRECISION = {"mixed_float16": 2e-2, "mixed_bfloat16": 1e-1, "bfloat16": 1e-1}
"""How far outputs under each policy may be from those in float32, as a share of the largest."""

SPACING = {"float16": 2.0**-11, "bfloat16": 2.0**-8}
"""The most that rounding moves a number, as a share of the number."""

CAST = Tolerance(1e-6, "float32, 1e-6: the same numbers, cast first")
UNCAST = Tolerance(2e-2, "2e-2 because `autocast=False` lets it compute in float16")
SINGLE = Tolerance(1e-5, "float32")
DOUBLE = Tolerance(1e-10, "float64, probed")


@declare(
    "N1",
    cost="fair",
    hint=(
        "Usually a sub-layer made without `dtype=self.dtype_policy`, a `cast` to a fixed dtype, or a "
        "constant that half precision cannot hold. Take dtypes from `self.compute_dtype`."
    ),
)
def mixed_precision(case: Case) -> Evidence:
    """In half precision all dtypes follow the policy, inner layers too, and values stay near float32's."""
    layer = case.built()
    arrays = case.arrays(values="normal")
    if not any("float" in x for x in (*_kinds(case.call(layer, arrays)), *_kinds(layer.weights))):
        raise NotApplicable("neither an output nor a weight is a float")
    for name, share in PRECISION.items():
        try:
            half = case.twin(layer, dtype=name)
        except Exception as error:
            if not compat.raised_by_initializer(error):
                raise
            continue  # the backend cannot draw weights in this dtype, which is not the layer's fault
        policy = keras.dtype_policies.get(name)
        outputs = case.call(half, arrays)
        for index, output in enumerate(_without_state(half, outputs)):
            dtype = keras.backend.standardize_dtype(output.dtype)
            yield Fact(
                "float" not in dtype or dtype == policy.compute_dtype,
                f"policy          {name}\n"
                f"output {index}        is {dtype}, but the compute dtype is {policy.compute_dtype}",
            )
        for inner in own_sublayers(case, half):
            yield Fact(
                inner.dtype_policy.name == name or _holds_only(inner),
                f"policy          {name}\n"
                f"sub-layer       {inner.name} has the policy {inner.dtype_policy.name}",
                "The sub-layer was made without `dtype=self.dtype_policy`.",
            )
            for weight in compat.own_weights(inner):
                yield Fact(
                    weight.dtype == policy.variable_dtype,
                    f"policy          {name}\n"
                    f"weight          {weight.path} is {weight.dtype}, not {policy.variable_dtype}",
                    "`add_weight` picks the right dtype if you pass none.",
                )
        yield from near_float32(case, layer, arrays, compat.flat(outputs), name, share)


@declare(
    "N2",
    tier="should",
    cost="fair",
    hint=(
        "Usually an intermediate value above 65,504, the largest number in float16. Scale before a product "
        "instead of after it, and compute squares, exponentials and long sums in float32."
    ),
)
def fp16_range(case: Case) -> Evidence:
    """In float16, inputs of size 1 and 30 give the same as in float32, if float16 can hold it."""
    inputs = {scale: _scaled(case, scale) for scale in (1, 30)}
    layer = case.built()
    half = case.twin(layer, dtype="mixed_float16")
    for scale, arrays in inputs.items():
        outputs = case.run(half, arrays)
        where = f"inputs of size  {scale}\n"
        # four roundings: a softmax of scores in the hundreds is sensitive to each step before it
        yield from near_float32(case, layer, arrays, outputs, "mixed_float16", 5e-2, 4, where)


@declare(
    "N3",
    hint=(
        "Usually the exponential of an unbounded value. Subtract the maximum first, or use "
        "`keras.ops.logsumexp`, `softmax`, `log_sigmoid` or `softplus`."
    ),
)
def large_values(case: Case) -> Evidence:
    """Inputs of size 10,000 give finite outputs in float32, unless float32 cannot hold the result."""
    layer = case.built()

    def outputs(size):
        return [y.astype("float64") for y in case.run(layer, _scaled(case, size))]

    def all_finite(outputs):
        return all(np.isfinite(y).all() for y in outputs)

    found, advice = outputs(1e4), ""
    if not all_finite(found):
        finite, spoilt = 1.0, 1e4
        while spoilt / finite > 1 + 1e-5:
            middle = (finite * spoilt) ** 0.5
            if all_finite(outputs(middle)):
                finite = middle
            else:
                spoilt = middle
        last = max(np.abs(y).max(initial=0.0) for y in outputs(finite))
        if last > 1e30:
            yield Fact(True, "the outputs grow beyond float32, so infinity is the right answer")
            return
        advice = (
            f"\nlast finite     for inputs of size {finite:.4g}, whose largest output is {last:.3g}, "
            "far from 3.4e38, the largest number in float32"
        )
    for index, output in enumerate(found):
        yield Finite(output, f"inputs of size 10,000: output {index} is not finite{advice}")


@declare(
    "N4",
    brief=2,
    tier="should",
    hint=(
        "Usually a reduction or a norm over the batch axis, or padding that is multiplied by zero. 0 * NaN "
        "is NaN; use `keras.ops.where` instead."
    ),
)
def nan_containment(case: Case) -> Evidence:
    """A NaN stays in its sample, and a NaN in masked padding reaches no valid output."""
    if not case.floats:
        raise NotApplicable("no input is a float")
    masking = case.traits.masking
    claim = masking.get(case.first) if isinstance(masking, dict) else masking
    masked = claim in ("propagates", "consumes") and case.tensors[case.first].floating
    apart = "b" in case.traits.dynamic.split() and case.traits.couples_batch != "always"
    if not (apart or masked):
        raise NotApplicable("the samples may influence each other, and the card claims no mask")
    layer = case.built()
    if apart:
        yield from _contained_in_sample(case, layer)
    if masked:
        yield from _contained_in_padding(case, layer, claim)


@declare(
    "N5",
    tier="should",
    hint=(
        "Usually `autocast=False`, a dtype taken from the inputs instead of `self.compute_dtype`, or "
        "integers of different types that meet without a `cast`."
    ),
)
def dtype_inputs(case: Case) -> Evidence:
    """Floats and integers of other widths, as NumPy makes them, are accepted and give the same outputs."""
    layer = case.built()
    arrays = case.arrays(values="normal")
    for path in case.floats:
        arrays[path] = arrays[path].astype("float16").astype(arrays[path].dtype)
    expected = case.call(layer, arrays)
    others = {dtype: _as(arrays, dtype) for dtype in ("float64", "float16", "int64", "int32")}
    others = {dtype: given for dtype, given in others.items() if _dtypes(given) != _dtypes(arrays)}
    if not others:
        raise NotApplicable("no input has a dtype that comes in several widths")
    for dtype, given in others.items():
        within = UNCAST if dtype == "float16" and not layer.autocast else CAST
        found = case.call(layer, given)
        for y, e in zip(keras.tree.flatten(found), keras.tree.flatten(expected), strict=True):
            kinds = _kinds([y, e])
            yield Fact(
                kinds[0] == kinds[1],
                f"inputs          as {dtype} instead of {_dtypes(arrays)}, of equal value\n"
                f"output          is {kinds[0]}, but was {kinds[1]} before",
            )
            what = f"inputs as {dtype}, and as {_dtypes(arrays)}, of equal value"
            yield Comparison(compat.array(y), compat.array(e), within, what)


@declare(
    "N6",
    tier="trait",
    cost="fair",
    claim="reference",
    hint=(
        "The layer and the equation that its card gives as `reference` differ. Compare them term by term, "
        "first with one step, one head and one feature."
    ),
)
def oracle(case: Case) -> Evidence:
    """The outputs equal those of the NumPy function that the card gives as `reference`."""
    layer, arrays = case.built(), case.arrays(values="normal")
    yield from _as_reference(case, layer, arrays, SINGLE)
    with compat.float64():
        layer, arrays = case.built(dtype="float64"), _widened(case.arrays())
        if _honest(layer, arrays, case):  # else the result in float32 was checked above
            yield from _as_reference(case, layer, arrays, DOUBLE)


@declare(
    "N7",
    tier="should",
    hint=(
        "Keras casts only floats to the compute dtype. A layer that computes with floats casts its inputs "
        "first: `inputs = keras.ops.cast(inputs, self.compute_dtype)`."
    ),
)
def integers_for_floats(case: Case) -> Evidence:
    """Integers in place of floats of equal value give the same outputs, or are refused."""
    if not case.floats:
        raise NotApplicable("no input is a float")
    layer = case.built()
    arrays = case.arrays(values="normal")
    for path in case.floats:
        tensor = case.tensors[path]
        arrays[path] = np.clip(np.round(3 * arrays[path]), tensor.low, tensor.high)
    expected = case.run(layer, arrays)
    try:
        given = {p: a.astype("int32") if p in case.floats else a for p, a in arrays.items()}
        found = case.run(layer, given)
    except Exception:
        yield Fact(True, "integers are refused")
        return
    for index, (y, e) in enumerate(zip(found, expected, strict=True)):
        what = f"output {index}        of int32 inputs, and of {_dtypes(arrays)} of equal value"
        yield Comparison(y, e, SUMS, what)


def _without_state(layer, outputs) -> list:
    """Outputs without the state that a layer of Keras's recurrent kind returns behind them.

    A state may be kept in float32, and then comes back so.
    """
    found = keras.tree.flatten(outputs)
    if getattr(layer, "return_state", None) is not True:
        return found
    return found[: -len(keras.tree.flatten(layer.get_initial_state(1)))]


def _as_reference(case, layer, arrays, within) -> Evidence:
    """The outputs are those of the card's reference."""
    expected = keras.tree.flatten(case.traits.reference(layer, _widened(arrays)))
    found = case.run(layer, arrays)
    yield Fact(
        len(found) == len(expected),
        f"outputs         {len(found)} from the layer, {len(expected)} from the reference",
    )
    for index, (y, e) in enumerate(zip(found, expected, strict=True)):
        yield Comparison(y, e, within, f"output {index} of the layer, and of the reference")


def _honest(layer, arrays, case) -> bool:
    """Whether a change of 1e-11 reaches the outputs. In float32 it is lost, whatever the dtype says."""
    generator = np.random.default_rng([case.sample.seed, 23])
    start = [compat.array(v) for v in layer.variables]
    moves = [generator.normal(size=v.shape) * (v.dtype.kind == "f") for v in start]
    steps = {path: generator.normal(size=a.shape) for path, a in arrays.items()}

    def total(size):
        values = [
            compat.tensor((v + size * m).astype(v.dtype)) for v, m in zip(start, moves, strict=True)
        ]
        given = {
            path: compat.tensor(a + size * steps[path] if a.dtype.kind == "f" else a)
            for path, a in arrays.items()
        }
        outputs = compat.flat(compat.evaluate(layer, values, given))
        return sum(float(np.sum(y.astype("float64"))) for y in outputs)

    origin = total(0.0)
    quotients = [(total(size) - origin) / size for size in (1e-11, 1e-10, 1e-9)]
    spread = max(quotients) - min(quotients)
    return any(quotients) and spread <= 1e-3 * max(1.0, *map(abs, quotients))


def near_float32(
    case: Case,
    layer: keras.layers.Layer,
    arrays: dict[str, np.ndarray],
    outputs: list[np.ndarray],
    policy: str,
    share: float,
    roundings: int = 1,
    where: str = "",
) -> Evidence:
    """Half precision gives what float32 gives, if half precision can compute it.

    Some entries move that far if only the inputs and weights are rounded. These are left out, because no
    layer can do better.

    Args:
        case: The case.
        layer: The layer in float32.
        arrays: The inputs.
        outputs: What a layer with the same weights gives for them in half precision.
        policy: The dtype policy of that layer.
        share: How far the outputs may be apart, as a share of the largest.
        roundings: How many roundings of the inputs and weights an entry must withstand.
        where: A first line for the message.
    """
    dtype = keras.dtype_policies.get(policy).compute_dtype
    expected = case.run(layer, arrays)
    other = case.twin(layer)
    weights = layer.get_weights()
    generator = np.random.default_rng([case.sample.seed, 37])
    moved = [np.zeros(e.shape) for e in expected]

    def shake(times, roundings):
        """How far each entry moves at most if only inputs and weights are rounded."""
        for _ in range(times):
            shaken = lambda a: _shaken(a, generator, roundings * SPACING[dtype])  # noqa: E731
            other.set_weights([shaken(w) for w in weights])
            rounded = case.run(other, {path: shaken(a) for path, a in arrays.items()})
            with np.errstate(invalid="ignore", over="ignore"):
                moved[:] = [
                    np.fmax(m, np.abs(r.astype("float64") - e))
                    for m, r, e in zip(moved, rounded, expected, strict=True)
                ]

    def steady(e, m):
        held = np.isfinite(e) & (np.abs(e) <= 65504 if dtype == "float16" else True)
        size = max(1.0, np.abs(e[held]).max(initial=0.0))
        return held, held & (m <= share / 4 * size), share * size

    def far() -> bool:
        """Whether a steady entry is off."""
        for a, e, m in zip(outputs, expected, moved, strict=True):
            _, still, allowed = steady(e, m)
            if a.dtype.kind == "f" and not (np.abs(a[still] - e[still]) <= allowed).all():
                return True
        return False

    shake(3, roundings)
    if far():  # a step, such as `round`, moves an entry only if a rounding crosses its threshold
        shake(40, max(roundings, 4))
    within = Tolerance(share, f"{share:g} of the largest value, for the precision of {dtype}")
    for index, (a, e, m) in enumerate(zip(outputs, expected, moved, strict=True)):
        if a.dtype.kind != "f":
            continue
        held, still, _ = steady(e, m)
        what = f"{where}output {index} under {policy}, and in float32"
        for bad in map(tuple, np.argwhere(held & ~np.isfinite(a))[:1]):
            entry = list(map(int, bad))
            yield Fact(False, f"{what}\nworst entry     {entry}: {a[bad]} and {e[bad]:.8g}")
        yield Comparison(np.where(still, a, 0), np.where(still, e, 0), within, what)


def _shaken(array, generator, spacing):
    """Floats moved at random, by at most as much as rounding would move them."""
    if array.dtype.kind != "f":
        return array
    moved = array * (1 + spacing * generator.uniform(-1, 1, array.shape))
    return moved.astype(array.dtype)


def _scaled(case, scale) -> dict[str, np.ndarray]:
    """The inputs, scaled, except for those that are confined to a range."""
    arrays = case.arrays(values="normal")
    free = [p for p in case.floats if case.tensors[p].low is None or case.tensors[p].high is None]
    if not free:
        raise NotApplicable("no input is a float without a fixed range")
    return {p: a * a.dtype.type(scale) if p in free else a for p, a in arrays.items()}


def _widened(arrays) -> dict[str, np.ndarray]:
    return {p: a.astype("float64") if a.dtype.kind == "f" else a for p, a in arrays.items()}


def _as(arrays, dtype) -> dict[str, np.ndarray]:
    """The inputs, those in another dtype that are of its kind and whose values fit."""
    return {path: _array_as(a, dtype) for path, a in arrays.items()}


def _array_as(array, dtype) -> np.ndarray:
    whole = array.dtype.kind in "iu" and np.dtype(dtype).kind in "iu"
    if array.dtype.kind == "f" and np.dtype(dtype).kind == "f":
        return array.astype(dtype)
    if whole and array.min(initial=0) >= 0 and array.max(initial=0) <= np.iinfo(dtype).max:
        return array.astype(dtype)
    return array


def _kinds(tensors) -> list[str]:
    return [keras.backend.standardize_dtype(x.dtype) for x in keras.tree.flatten(tensors)]


def _dtypes(arrays) -> str:
    return ", ".join(dict.fromkeys(str(a.dtype) for a in arrays.values()))


def _contained_in_sample(case, layer) -> Evidence:
    """If a sample is all NaN, the outputs of the others are as finite as before."""
    arrays = case.arrays(values="normal", b=3)
    whole = case.run(layer, arrays)
    yield from same_samples(whole, 3)
    for sample in range(3):
        spoilt = {path: a.copy() for path, a in arrays.items()}
        for path in case.floats:
            if "b" in case.tensors[path].letters:
                axis = case.tensors[path].letters.index("b")
                np.moveaxis(spoilt[path], axis, 0)[sample] = np.nan
        others = [row for row in range(3) if row != sample]
        for a, e in zip(case.run(layer, spoilt), whole, strict=True):
            what = f"sample {sample} of 3 is all NaN, samples {others} are finite"
            yield from _unspoilt(a[others], e[others], what)


def _contained_in_padding(case, layer, claim) -> Evidence:
    """If masked padding is all NaN, the outputs at valid steps are as finite as before."""
    arrays = case.arrays(values="normal")
    path = case.first
    steps = arrays[path].shape[1]
    mask = np.arange(steps) < max(1, steps - 2)
    if mask.all():
        return
    mask = np.broadcast_to(mask, arrays[path].shape[:2])
    spoilt = {**arrays, path: arrays[path].copy()}
    spoilt[path][~mask] = np.nan
    expected, found = (_run_masked(case, layer, a, mask) for a in (arrays, spoilt))
    for a, e in zip(found, expected, strict=True):
        if claim == "propagates":
            a, e = a[mask], e[mask]
        what = "the last steps are padding and all NaN, the outputs are at valid steps"
        yield from _unspoilt(a, e, what)


def _unspoilt(found, expected, what) -> Evidence:
    """No number became NaN; I1 and M1 check whether it is the same number."""
    spoilt = np.argwhere(np.isfinite(expected) & ~np.isfinite(found))
    for first in map(tuple, spoilt[:1]):
        yield Fact(
            False,
            f"{what}\n"
            f"spoilt          {len(spoilt)} of {found.size} outputs, first {list(map(int, first))}: "
            f"{found[first]}, but {expected[first]:.6g} without NaN",
        )
    if found.size:
        yield Fact(True, what)


def _run_masked(case, layer, arrays, mask):
    if compat.takes(layer, "mask"):
        return case.run(layer, arrays, mask=mask)
    tensors = {path: keras.ops.convert_to_tensor(a) for path, a in arrays.items()}
    compat.with_mask(tensors[case.first], keras.ops.convert_to_tensor(mask))
    return compat.flat(compat.call(layer, tensors))


def _holds_only(layer) -> bool:
    """Whether it is a Sequential or Functional model, or an input layer: these cast nothing."""
    return isinstance(layer, keras.Sequential | keras.layers.InputLayer) or hasattr(
        layer, "operations"
    )


def own_sublayers(case: Case, layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """The inner layers, without those that the user passed in, which keep their own dtype."""
    passed = {
        id(inner)
        for name in case.config
        for outer in keras.tree.flatten(getattr(layer, name, None))
        if isinstance(outer, keras.layers.Layer)
        for inner in compat.sublayers(outer)
    }
    return [inner for inner in compat.sublayers(layer) if id(inner) not in passed]
