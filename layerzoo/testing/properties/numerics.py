"""Numbers: how precision, size, NaN and the dtype of the inputs affect the outputs."""

import keras
import numpy as np

from layerzoo.tensors import compat
from layerzoo.tensors.outcomes import NotApplicable, Violation, demand
from layerzoo.testing.engine.case import flat
from layerzoo.testing.engine.comparison import demand_close, demand_finite, note_comparison
from layerzoo.testing.engine.register import declare
from layerzoo.testing.properties.independence import same_samples

PRECISION = {"mixed_float16": 2e-2, "mixed_bfloat16": 1e-1, "bfloat16": 1e-1}
SUMS = "float32, 1e-5 for sums in another order"
SPACING = {"float16": 2.0**-11, "bfloat16": 2.0**-8}
"""The most that rounding moves a number, as a share of the number."""


@declare(
    "N1",
    cost="fair",
    hint=(
        "Usually a sub-layer made without `dtype=self.dtype_policy`, a `cast` to a fixed dtype, or a "
        "constant that half precision cannot hold. Take dtypes from `self.compute_dtype`."
    ),
)
def mixed_precision(case):
    """In half precision all dtypes follow the policy, inner layers too, and values stay near float32's."""
    layer = case.built()
    arrays = case.arrays(values="normal")
    if not any("float" in x for x in (*_kinds(case.call(layer, arrays)), *_kinds(layer.weights))):
        raise NotApplicable("neither an output nor a weight is a float")
    for name, tolerance in PRECISION.items():
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
            demand(
                "float" not in dtype or dtype == policy.compute_dtype,
                f"  policy          {name}\n"
                f"  output {index}        is {dtype}, but the compute dtype is {policy.compute_dtype}",
            )
        for inner in own_sublayers(case, half):
            demand(
                inner.dtype_policy.name == name or _holds_only(inner),
                f"  policy          {name}\n"
                f"  sub-layer       {inner.name} has the policy {inner.dtype_policy.name}",
                "The sub-layer was made without `dtype=self.dtype_policy`.",
            )
            for weight in compat.own_weights(inner):
                demand(
                    weight.dtype == policy.variable_dtype,
                    f"  policy          {name}\n"
                    f"  weight          {weight.path} is {weight.dtype}, not {policy.variable_dtype}",
                    "`add_weight` picks the right dtype if you pass none.",
                )
        demand_near(case, layer, arrays, flat(outputs), name, tolerance)


@declare(
    "N2",
    tier="should",
    cost="fair",
    hint=(
        "Usually an intermediate value above 65,504, the largest number in float16. Scale before a product "
        "instead of after it, and compute squares, exponentials and long sums in float32."
    ),
)
def fp16_range(case):
    """In float16, inputs of size 1 and 30 give the same as in float32, if float16 can hold it."""
    inputs = {scale: _scaled(case, scale) for scale in (1, 30)}
    layer = case.built()
    half = case.twin(layer, dtype="mixed_float16")
    for scale, arrays in inputs.items():
        outputs = case.run(half, arrays)
        where = f"  inputs of size  {scale}\n"
        # four roundings: a softmax of scores in the hundreds is sensitive to each step before it
        demand_near(case, layer, arrays, outputs, "mixed_float16", 5e-2, 4, where)


@declare(
    "N3",
    hint=(
        "Usually the exponential of an unbounded value. Subtract the maximum first, or use "
        "`keras.ops.logsumexp`, `softmax`, `log_sigmoid` or `softplus`."
    ),
)
def large_values(case):
    """Inputs of size 10,000 give finite outputs in float32, unless float32 cannot hold the result."""
    layer = case.built()

    def outputs(scale):
        return [y.astype("float64") for y in case.run(layer, _scaled(case, scale))]

    found = outputs(1e4)
    if any(y.size for y in found):
        note_comparison()
    if all(np.isfinite(y).all() for y in found):
        return
    finite, spoilt = 1.0, 1e4
    while spoilt / finite > 1 + 1e-5:
        middle = (finite * spoilt) ** 0.5
        if all(np.isfinite(y).all() for y in outputs(middle)):
            finite = middle
        else:
            spoilt = middle
    last = max(np.abs(y).max(initial=0.0) for y in outputs(finite))
    if last > 1e30:
        return  # it grows beyond float32, so infinity is the right answer
    for index, output in enumerate(found):
        demand_finite(
            output,
            f"  inputs of size 10,000: output {index} is not finite\n"
            f"  last finite     for inputs of size {finite:.4g}, whose largest output is {last:.3g}, "
            "far from 3.4e38, the largest number in float32",
        )


@declare(
    "N4",
    brief=2,
    tier="should",
    hint=(
        "Usually a reduction or a norm over the batch axis, or padding that is multiplied by zero. 0 * NaN "
        "is NaN; use `keras.ops.where` instead."
    ),
)
def nan_containment(case):
    """A NaN stays in its sample, and a NaN in masked padding reaches no valid output."""
    if not case.floats:
        raise NotApplicable("no input is a float")
    looked = False
    layer = case.built()
    if "b" in case.traits.dynamic.split() and case.traits.couples_batch != "always":
        looked = True
        _demand_contained(case, layer)
    masking = case.traits.masking
    claim = masking.get(case.first) if isinstance(masking, dict) else masking
    if claim in ("propagates", "consumes") and case.tensors[case.first].floating:
        looked = True
        _demand_masked(case, layer, claim)
    if not looked:
        raise NotApplicable("the samples may influence each other, and the card claims no mask")


@declare(
    "N5",
    tier="should",
    hint=(
        "Usually `autocast=False`, a dtype taken from the inputs instead of `self.compute_dtype`, or "
        "integers of different types that meet without a `cast`."
    ),
)
def dtype_inputs(case):
    """Floats and integers of other widths, as NumPy makes them, are accepted and give the same outputs."""
    layer = case.built()
    arrays = case.arrays(values="normal")
    for path in case.floats:
        arrays[path] = arrays[path].astype("float16").astype(arrays[path].dtype)
    expected = case.call(layer, arrays)
    looked = False
    for dtype in ("float64", "float16", "int64", "int32"):
        given = {path: _as(a, dtype) for path, a in arrays.items()}
        if all(given[path].dtype == a.dtype for path, a in arrays.items()):
            continue
        looked = True
        tolerance, origin = 1e-6, "float32, 1e-6: the same numbers, cast first"
        if dtype == "float16" and not layer.autocast:
            tolerance, origin = 2e-2, "2e-2 because `autocast=False` lets it compute in float16"
        found = case.call(layer, given)
        for y, e in zip(keras.tree.flatten(found), keras.tree.flatten(expected), strict=True):
            kinds = _kinds([y, e])
            demand(
                kinds[0] == kinds[1],
                f"  inputs          as {dtype} instead of {_dtypes(arrays)}, of equal value\n"
                f"  output          is {kinds[0]}, but was {kinds[1]} before",
            )
            what = f"  inputs as {dtype}, and as {_dtypes(arrays)}, of equal value"
            demand_close(compat.array(y), compat.array(e), tolerance, what, origin)
    if not looked:
        raise NotApplicable("no input has a dtype that comes in several widths")


@declare(
    "N6",
    tier="trait",
    cost="fair",
    hint=(
        "The layer and the equation that its card gives as `reference` differ. Compare them term by term, "
        "first with one step, one head and one feature."
    ),
)
def oracle(case):
    """The outputs equal those of the NumPy function that the card gives as `reference`."""
    if case.traits.reference is None:
        raise NotApplicable("the card gives no `reference`")
    layer, arrays = case.built(), case.arrays(values="normal")
    _demand_reference(case, layer, arrays, 1e-5, "float32")
    with compat.float64():
        layer, arrays = case.built(dtype="float64"), _widened(case.arrays())
        if not _honest(layer, arrays, case):
            return  # some operation uses float32 here, and its result was checked above
        _demand_reference(case, layer, arrays, 1e-10, "float64, probed")


@declare(
    "N7",
    tier="should",
    hint=(
        "Keras casts only floats to the compute dtype. A layer that computes with floats casts its inputs "
        "first: `inputs = keras.ops.cast(inputs, self.compute_dtype)`."
    ),
)
def integers_for_floats(case):
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
        return
    for index, (y, e) in enumerate(zip(found, expected, strict=True)):
        what = f"  output {index}        of int32 inputs, and of {_dtypes(arrays)} of equal value"
        demand_close(y, e, 1e-5, what, SUMS)


def _without_state(layer, outputs) -> list:
    """Outputs without the state that a layer of Keras's recurrent kind returns behind them.

    A state may be kept in float32, and then comes back so.
    """
    found = keras.tree.flatten(outputs)
    if getattr(layer, "return_state", None) is not True:
        return found
    return found[: -len(keras.tree.flatten(layer.get_initial_state(1)))]


def _demand_reference(case, layer, arrays, tolerance, origin):
    expected = keras.tree.flatten(case.traits.reference(layer, _widened(arrays)))
    found = case.run(layer, arrays)
    demand(
        len(found) == len(expected),
        f"  outputs         {len(found)} from the layer, {len(expected)} from the reference",
    )
    for index, (y, e) in enumerate(zip(found, expected, strict=True)):
        demand_close(
            y, e, tolerance, f"  output {index} of the layer, and of the reference", origin
        )


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
        outputs = flat(compat.evaluate(layer, values, given))
        return sum(float(np.sum(y.astype("float64"))) for y in outputs)

    origin = total(0.0)
    quotients = [(total(size) - origin) / size for size in (1e-11, 1e-10, 1e-9)]
    spread = max(quotients) - min(quotients)
    return any(quotients) and spread <= 1e-3 * max(1.0, *map(abs, quotients))


def demand_near(case, layer, arrays, outputs, policy, tolerance, roundings=1, where=""):
    """Demand that half precision gives what float32 gives, if half precision can compute it.

    Some entries move that far if only the inputs and weights are rounded. These are left out, because no
    layer can do better.
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
        return held, held & (m <= tolerance / 4 * size), tolerance * size

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
    origin = f"{tolerance:g} of the largest value, for the precision of {dtype}"
    for index, (a, e, m) in enumerate(zip(outputs, expected, moved, strict=True)):
        if a.dtype.kind != "f":
            continue
        held, still, _ = steady(e, m)
        what = f"{where}  output {index} under {policy}, and in float32"
        if not np.isfinite(a[held]).all():
            bad = tuple(int(i) for i in np.argwhere(held & ~np.isfinite(a))[0])
            raise Violation(f"{what}\n  worst entry     {list(bad)}: {a[bad]} and {e[bad]:.8g}")
        demand_close(np.where(still, a, 0), np.where(still, e, 0), tolerance, what, origin)


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


def _as(array, dtype):
    """The array in another dtype of the same kind, if its values fit."""
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


def _demand_contained(case, layer):
    arrays = case.arrays(values="normal", b=3)
    whole = case.run(layer, arrays)
    same_samples(whole, 3)
    for sample in range(3):
        spoilt = {path: a.copy() for path, a in arrays.items()}
        for path in case.floats:
            if "b" in case.tensors[path].letters:
                axis = case.tensors[path].letters.index("b")
                np.moveaxis(spoilt[path], axis, 0)[sample] = np.nan
        others = [row for row in range(3) if row != sample]
        for a, e in zip(case.run(layer, spoilt), whole, strict=True):
            what = f"  sample {sample} of 3 is all NaN, samples {others} are finite"
            _demand_unspoilt(a[others], e[others], what)


def _demand_masked(case, layer, claim):
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
        _demand_unspoilt(
            a, e, "  the last steps are padding and all NaN, the outputs are at valid steps"
        )


def _demand_unspoilt(found, expected, what):
    """Demand that no number became NaN; I1 and M1 check whether it is the same number."""
    if found.size:
        note_comparison()
    spoilt = np.argwhere(np.isfinite(expected) & ~np.isfinite(found))
    if len(spoilt):
        first = tuple(int(i) for i in spoilt[0])
        raise Violation(
            f"{what}\n"
            f"  spoilt          {len(spoilt)} of {found.size} outputs, first {list(first)}: "
            f"{found[first]}, but {expected[first]:.6g} without NaN"
        )


def _run_masked(case, layer, arrays, mask):
    if compat.takes(layer, "mask"):
        return case.run(layer, arrays, mask=mask)
    tensors = {path: keras.ops.convert_to_tensor(a) for path, a in arrays.items()}
    compat.with_mask(tensors[case.first], keras.ops.convert_to_tensor(mask))
    return flat(compat.call(layer, tensors))


def _holds_only(layer) -> bool:
    """Whether it is a Sequential or Functional model, or an input layer: these cast nothing."""
    return isinstance(layer, keras.Sequential | keras.layers.InputLayer) or hasattr(
        layer, "operations"
    )


def own_sublayers(case, layer):
    """The inner layers, without those that the user passed in, which keep their own dtype."""
    passed = {
        id(inner)
        for name in case.config
        for outer in keras.tree.flatten(getattr(layer, name, None))
        if isinstance(outer, keras.layers.Layer)
        for inner in compat.sublayers(outer)
    }
    return [inner for inner in compat.sublayers(layer) if id(inner) not in passed]
