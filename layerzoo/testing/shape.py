"""Shapes and dtypes: what a layer says of its output before it computes it."""

import inspect

import keras
import numpy as np

from layerzoo.testing import compat
from layerzoo.testing.closeness import demand_close
from layerzoo.testing.outcomes import NotApplicable, demand
from layerzoo.testing.properties import declare

MANY = 3


@declare(
    "S1",
    hint="`compute_output_shape` or `compute_output_spec` says something else than `call` does: compute "
    "the shape there, with the same structure, from the input's shape and the arguments.",
    shown="""
    symbols = keras.tree.map_structure(lambda x: keras.KerasTensor(x.shape, str(x.dtype)), inputs)
    said, found = make()(**symbols), make()(**inputs)
    keras.tree.assert_same_structure(said, found)
    for s, f in zip(keras.tree.flatten(said), keras.tree.flatten(found)):
        s, f = tuple(s.shape), tuple(f.shape)
        fits = len(s) == len(f) and all(a in (None, b) for a, b in zip(s, f))
        assert fits, f"symbolic shape {s}, eager shape {f}"
    """,
)
def shape_static(case):
    """The symbolic output has the structure, rank and known sizes of the eager output."""
    spec = compat.call(case.make(), case.symbols())
    eager = case.call(case.make(), case.arrays())
    said, found = _structure(spec), _structure(eager)
    demand(said == found, f"  symbolic output {said}\n  eager output    {found}")
    _demand_covers(spec, eager, "every size of the input is known")


@declare(
    "S2",
    hint="A size is taken where it is unknown, or remembered from the first call: in "
    "`compute_output_shape` leave None what follows from None, and in `call` take sizes from "
    "`keras.ops.shape(inputs)`.",
    shown="""
    for symbols, others in unknown:
        layer = make()
        said = layer(**symbols)
        for found in (layer(**inputs), layer(**others)):
            for s, f in zip(keras.tree.flatten(said), keras.tree.flatten(found)):
                s, f = tuple(s.shape), tuple(f.shape)
                fits = len(s) == len(f) and all(a in (None, b) for a, b in zip(s, f))
                assert fits, f"symbolic shape {s}, eager shape {f}"
    """,
)
def shape_dynamic(case):
    """With unknown sizes the symbolic output leaves open what varies, and the layer runs at each size."""
    for unknown in case.unknowns():
        layer = case.make()
        spec = compat.call(layer, case.symbols(**dict.fromkeys(unknown)))
        for sizes in ({letter: case.sizes[letter] for letter in unknown}, unknown):
            eager = case.call(layer, case.arrays(**sizes))
            _demand_covers(spec, eager, f"unknown to the symbolic input: {', '.join(unknown)}")


@declare(
    "S3",
    hint="With a `compute_output_shape` Keras takes every output for one in the layer's compute dtype: "
    "cast the output to `self.compute_dtype`, or write `compute_output_spec` for an integer, a boolean "
    "or another float.",
    shown="""
    symbols = keras.tree.map_structure(lambda x: keras.KerasTensor(x.shape, str(x.dtype)), inputs)
    for policy in ("float32", "mixed_float16", "mixed_bfloat16"):
        keras.config.set_dtype_policy(policy)
        layer = make()
        said = [y.dtype for y in keras.tree.flatten(layer(**symbols))]
        outputs = keras.tree.flatten(layer(**inputs))
        found = [keras.backend.standardize_dtype(y.dtype) for y in outputs]
        assert said == found, f"policy {policy}: symbolic dtypes {said}, eager dtypes {found}"
    """,
)
def spec_dtype(case):
    """The symbolic output has the eager output's dtypes, in float32 and in mixed precision."""
    whole = "float" not in case.make().compute_dtype  # and no policy of floats is for it
    for policy in (None,) if whole else ("float32", "mixed_float16", "mixed_bfloat16"):
        layer = case.make(dtype=policy)
        spec, eager = compat.call(layer, case.symbols()), case.call(layer, case.arrays())
        said, found = _dtypes(spec), _dtypes(eager)
        demand(
            said == found,
            f"  dtype policy    {policy or 'its own'}\n  symbolic dtypes {', '.join(said)}\n"
            f"  eager dtypes    {', '.join(found)}",
        )


@declare(
    "S4",
    brief=2,
    tier="should",
    hint="Keep `compute_output_shape` in step with `call`, also where the layer has a "
    "`compute_output_spec`: wrappers and `Sequential` ask for the shape alone, and with the batch unknown.",
    shown="""
    layer = make()
    outputs = keras.tree.flatten(layer(**inputs))
    for batch in (shapes, keras.tree.map_shape_structure(lambda s: (None, *s[1:]), shapes)):
        said = keras.tree.map_shape_structure(keras.KerasTensor, layer.compute_output_shape(*batch))
        for s, y in zip(keras.tree.flatten(said), outputs, strict=True):
            s, f = tuple(s.shape), tuple(y.shape)
            fits = len(s) == len(f) and all(a in (None, b) for a, b in zip(s, f))
            assert fits, f"`compute_output_shape` says {s}, the output has {f}"
    """,
)
def compute_output_shape_agrees(case):
    """`compute_output_shape` gives the shapes of the outputs, also for an unknown batch."""
    layer = case.make()
    if compat.is_default(layer.compute_output_shape):
        raise NotApplicable("the layer has no `compute_output_shape` of its own")
    eager = [tuple(y.shape) for y in keras.tree.flatten(case.call(layer, case.arrays()))]
    free = "b" in case.traits.dynamic.split()
    for sizes in ({}, {"b": None}) if free else ({},):
        shapes = case.shapes(**sizes)
        said = _shapes(layer.compute_output_shape(*_arguments(layer, shapes)))
        demand(
            len(said) == len(eager) and all(map(_covers, said, eager)),
            f"  for inputs      {shapes}\n  it says         {said}\n  the outputs     {eager}",
        )


@declare(
    "S5",
    hint="Something treats a batch of one apart: a `squeeze` without an axis, a reshape that guesses, a "
    "test of the batch's size.",
    shown="""
    layer = built()
    one = keras.tree.map_structure(lambda x: x[:1], inputs)
    two = keras.tree.map_structure(lambda x: np.concatenate([x[:1], x[:1]]), inputs)
    for a, e in zip(keras.tree.flatten(layer(**one)), keras.tree.flatten(layer(**two)), strict=True):
        a, e = keras.ops.convert_to_numpy(a), keras.ops.convert_to_numpy(e)[:1]
        assert a.shape == e.shape and a.dtype == e.dtype, f"{a.shape} {a.dtype}, {e.shape} {e.dtype}"
        worst = np.max(np.abs(a.astype("float64") - e.astype("float64")))
        assert worst <= 1e-5 * max(1, np.max(np.abs(e))), f"alone and in a batch differ by {worst}"
    """,
)
def batch_one(case):
    """A batch of one sample gives what the sample gives beside others: the axes, dtype and values."""
    arrays = _many(case)
    layer = case.built()
    many = keras.tree.flatten(case.call(layer, arrays))
    one = keras.tree.flatten(case.call(layer, _samples(case, arrays, 1)))
    for index, (a, e) in _batched(one, many):
        found, due = tuple(a.shape), (1, *e.shape[1:])
        demand(found == due, f"  output {index}\n  shape           {found}, should be {due}")
        found, due = (keras.backend.standardize_dtype(y.dtype) for y in (a, e))
        demand(found == due, f"  output {index}\n  dtype           {found}, beside others {due}")
        if case.traits.couples_batch != "always":
            what = (
                f"  output {index} of a sample alone, and of the same one beside {MANY - 1} others"
            )
            origin = "float32, 1e-5 for sums in another order"
            demand_close(compat.array(a), compat.array(e)[:1], 1e-5, what, origin)


@declare(
    "S6",
    tier="should",
    never="The card says that an empty batch is refused (`zero_batch=False`); in every sample it was taken.",
    hint="A reshape with -1, or a reduction over the batch, has no answer for no samples; some kernels "
    "refuse them too, as TensorFlow's convolutions do on a CPU. If that is meant, declare "
    "`zero_batch=False`, or for one backend alone an expected failure.",
    shown="""
    layer = built()
    none = keras.tree.map_structure(lambda x: x[:0], inputs)
    for a, e in zip(keras.tree.flatten(layer(**none)), keras.tree.flatten(layer(**inputs)), strict=True):
        a, e = tuple(a.shape), (0, *e.shape[1:])
        assert a == e, f"an empty batch gives the shape {a}, not {e}"
    """,
)
def batch_zero(case):
    """An empty batch gives an empty batch, unless the card says that it is refused."""
    claimed = case.traits.zero_batch
    if claimed is None:
        raise NotApplicable("the card claims nothing about an empty batch")
    arrays = _many(case)
    layer = case.built()
    many = keras.tree.flatten(case.call(layer, arrays))
    try:
        none = keras.tree.flatten(case.call(layer, _samples(case, arrays, 0)))
    except Exception:
        if claimed:
            raise
        return True
    wrong = []
    for index, (a, e) in _batched(none, many):
        found, due = tuple(a.shape), (0, *e.shape[1:])
        wrong += (
            []
            if found == due
            else [f"  output {index}\n  shape           {found}, should be {due}"]
        )
    if claimed:
        demand(not wrong, "\n".join(wrong))
        return None
    return bool(wrong)


def _structure(outputs):
    """Nested outputs with each tensor replaced by its number of axes, in words."""
    return keras.tree.map_structure(lambda y: f"rank {len(y.shape)}", outputs)


def _dtypes(outputs) -> list[str]:
    return [keras.backend.standardize_dtype(y.dtype) for y in keras.tree.flatten(outputs)]


def _covers(said, found) -> bool:
    """Whether a shape in which None is free describes another."""
    return len(said) == len(found) and all(map(lambda a, b: a in (None, b), said, found))


def _demand_covers(spec, eager, where):
    pairs = zip(keras.tree.flatten(spec), keras.tree.flatten(eager), strict=True)
    for index, (said, found) in enumerate(pairs):
        demand(
            _covers(said.shape, found.shape),
            f"  output {index}, {where}\n"
            f"  symbolic shape  {tuple(said.shape)}\n  eager shape     {tuple(found.shape)}",
        )


def _arguments(layer, shapes) -> list:
    """The shapes by argument, as many as `compute_output_shape` takes."""
    count = len(inspect.signature(layer.compute_output_shape).parameters)
    return list(compat.packed(shapes).values())[:count]


def _shapes(nested) -> list[tuple]:
    """The shapes in what `compute_output_shape` gives, which may be one, or some in a structure."""
    if isinstance(nested, dict):
        in_order = sorted(nested.items())  # as `keras.tree.flatten` takes the outputs
        return [shape for _, each in in_order for shape in _shapes(each)]
    if all(size is None or isinstance(size, int | np.integer) for size in nested):
        return [tuple(nested)]
    return [shape for each in nested for shape in _shapes(each)]


def _many(case):
    """A batch of `MANY` samples."""
    if "b" not in case.traits.dynamic.split():
        raise NotApplicable("the batch has one size")
    return case.arrays(values="normal", b=MANY)


def _samples(case, arrays, count):
    """The first samples of a batch, along whichever axis is the batch's."""
    return {
        path: a.take(range(count), case.tensors[path].letters.index("b"))
        if "b" in case.tensors[path].letters
        else a
        for path, a in arrays.items()
    }


def _batched(few, many):
    """Outputs for few samples and for `MANY`, with their index, where the batch is the first axis."""
    pairs = list(zip(few, many, strict=True))
    found = [(i, (a, e)) for i, (a, e) in enumerate(pairs) if tuple(e.shape[:1]) == (MANY,)]
    if not found:
        raise NotApplicable("no output has the batch as its first axis")
    return found
