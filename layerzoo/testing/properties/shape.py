"""Shapes and dtypes: what a layer says about its output before it computes it."""

import inspect

import keras
import numpy as np

from layerzoo.tensors import compat
from layerzoo.tensors.outcomes import NotApplicable, demand
from layerzoo.testing.engine.comparison import demand_close
from layerzoo.testing.engine.register import declare

MANY = 3
OTHER_IN_TRAINING = (
    "Something that runs only `if training` adds or removes an axis, broadcasts, or returns another "
    "structure or dtype. Noise is drawn in the shape of what it is applied to."
)


@declare(
    "S1",
    hint=(
        "`compute_output_shape` or `compute_output_spec` disagrees with `call`. Compute the shape there "
        "from the input's shape and the arguments, in the same structure."
    ),
)
def shape_static(case):
    """The symbolic output and the one in training have the eager output's structure, rank and known sizes."""
    spec = compat.call(case.make(), case.symbols())
    layer, arrays = case.make(), case.arrays()
    eager = case.call(layer, arrays)
    said, found = _structure(spec), _structure(eager)
    demand(said == found, f"  symbolic output {said}\n  eager output    {found}")
    demand_covers(spec, eager, "every size of the input is known")
    trained = case.call(layer, arrays, training=True)
    said = _structure(trained)
    demand(said == found, f"  in training     {said}\n  at inference    {found}", OTHER_IN_TRAINING)
    pairs = zip(keras.tree.flatten(trained), keras.tree.flatten(eager), strict=True)
    for index, shapes in enumerate((tuple(a.shape), tuple(e.shape)) for a, e in pairs):
        demand(
            shapes[0] == shapes[1],
            f"  output {index}\n  shape           in training {shapes[0]}, at inference {shapes[1]}",
            OTHER_IN_TRAINING,
        )


@declare(
    "S2",
    hint=(
        "The layer uses a size that is unknown, or remembers the size of its first call. In "
        "`compute_output_shape`, return None for each size that follows from None. In `call`, take sizes "
        "from `keras.ops.shape(inputs)`."
    ),
)
def shape_dynamic(case):
    """If sizes are unknown, the layer runs at each size, also in training, and leaves open what varies."""
    unknowns = case.unknowns()
    if not unknowns:
        raise NotApplicable("every size is fixed")
    for unknown in unknowns:
        layer = case.make()
        spec = compat.call(layer, case.symbols(**dict.fromkeys(unknown)))
        for sizes in ({letter: case.sizes[letter] for letter in unknown}, unknown):
            eager = case.call(layer, case.arrays(**sizes))
            demand_covers(spec, eager, f"unknown to the symbolic input: {', '.join(unknown)}")
    # elsewhere a call that runs knows every size; a trace takes long, so that every second sample must do
    if compat.BACKEND == "tensorflow" and case.sample.seed % 2:
        spec = compat.traced(layer, case.symbols(**dict.fromkeys(unknown)), training=True)
        demand_covers(spec, eager, f"traced in training with unknown sizes: {', '.join(unknown)}")


@declare(
    "S3",
    hint=(
        "If a layer has `compute_output_shape`, Keras assumes that every output has the layer's compute "
        "dtype. Cast the output to `self.compute_dtype`, or write `compute_output_spec` for an integer, a "
        "boolean or another float type."
    ),
)
def spec_dtype(case):
    """The output has the same dtypes if symbolic, eager and in training, in float32 and mixed precision."""
    whole = "float" not in case.make().compute_dtype  # so that float policies do not fit it
    for policy in (None,) if whole else ("float32", "mixed_float16", "mixed_bfloat16"):
        layer = case.make(dtype=policy)
        spec, eager = compat.call(layer, case.symbols()), case.call(layer, case.arrays())
        said, found = _dtypes(spec), _dtypes(eager)
        demand(
            said == found,
            f"  dtype policy    {policy or 'its own'}\n  symbolic dtypes {', '.join(said)}\n"
            f"  eager dtypes    {', '.join(found)}",
        )
        trained = _dtypes(case.call(layer, case.arrays(), training=True))
        demand(
            trained == found,
            f"  dtype policy    {policy or 'its own'}\n  in training     {', '.join(trained)}\n"
            f"  at inference    {', '.join(found)}",
            OTHER_IN_TRAINING,
        )


@declare(
    "S4",
    brief=2,
    tier="should",
    hint=(
        "Keep `compute_output_shape` in step with `call`, even if the layer has a `compute_output_spec`. "
        "Wrappers and `Sequential` ask for the shape alone, and with an unknown batch."
    ),
)
def compute_output_shape_agrees(case):
    """`compute_output_shape` returns the shapes of the outputs, also if the batch is unknown."""
    layer = case.make()
    if compat.is_default(layer.compute_output_shape):
        raise NotApplicable("the layer has no `compute_output_shape` of its own")
    eager = [tuple(y.shape) for y in keras.tree.flatten(case.call(layer, case.arrays()))]
    free = "b" in case.traits.dynamic.split()
    for sizes in ({}, {"b": None}) if free else ({},):
        shapes = case.shapes(**sizes)
        said = output_shapes(layer, shapes)
        demand(
            len(said) == len(eager) and all(map(covers, said, eager)),
            f"  for inputs      {shapes}\n  it says         {said}\n  the outputs     {eager}",
        )


@declare(
    "S5",
    hint=(
        "Something treats a batch of one differently: a `squeeze` without an axis, a reshape that guesses, "
        "or a test of the batch size."
    ),
)
def batch_one(case):
    """A sample gives the same axes, dtype and values in a batch of one as in a larger batch."""
    arrays = _many(case)
    layer = case.built()
    many = keras.tree.flatten(case.call(layer, arrays))
    one = keras.tree.flatten(case.call(layer, _samples(case, arrays, 1)))
    for index, (a, e) in _batched(one, many):
        found, due = tuple(a.shape), (1, *e.shape[1:])
        demand(found == due, f"  output {index}\n  shape           {found}, should be {due}")
        found, due = (keras.backend.standardize_dtype(y.dtype) for y in (a, e))
        demand(
            found == due, f"  output {index}\n  dtype           {found}, in a larger batch {due}"
        )
        if case.traits.couples_batch != "always":
            what = f"  output {index} of a sample alone, and of the same sample beside {MANY - 1} others"
            origin = "float32, 1e-5 for sums in another order"
            demand_close(compat.array(a), compat.array(e)[:1], 1e-5, what, origin)


@declare(
    "S6",
    tier="should",
    never=(
        "The card says that an empty batch is refused (`zero_batch=False`), but the layer accepted it at "
        "every sample."
    ),
    hint=(
        "A reshape with -1, or a reduction over the batch, has no answer if there are no samples. Some "
        "kernels refuse them too: TensorFlow's convolutions do on a CPU. If that is intended, declare "
        "`zero_batch=False`. If it concerns one backend only, declare an expected failure."
    ),
)
def batch_zero(case):
    """An empty batch gives an empty batch, unless the card says that it is refused."""
    claimed = case.traits.zero_batch
    if claimed is None:
        raise NotApplicable("the card claims nothing about an empty batch")
    arrays = _many(case)
    layer = case.built()
    many = keras.tree.flatten(case.call(layer, arrays))
    none = lambda: keras.tree.flatten(case.call(layer, _samples(case, arrays, 0)))  # noqa: E731
    try:
        wrong = _not_empty(none(), many)
    except Exception:
        if not claimed:
            return True
        _excuse_kernels(case, none, many)
        raise
    if not claimed:
        return bool(wrong)
    if wrong:
        _excuse_kernels(case, none, many)
    demand(not wrong, "\n".join(wrong))
    return None


def _not_empty(none, many) -> list[str]:
    """A line for each output whose shape is not that of an empty batch."""
    lines = []
    for index, (a, e) in _batched(none, many):
        found, due = tuple(a.shape), (0, *e.shape[1:])
        if found != due:
            lines.append(f"  output {index}\n  shape           {found}, should be {due}")
    return lines


def _excuse_kernels(case, none, many):
    """Raise `NotApplicable` if the layer takes an empty batch wherever the backend's kernels do.

    This does not excuse a layer of Keras, which could work around its backend.
    """
    if compat.is_of_keras(case.card.layer.call):
        return
    try:
        with compat.kernels_for_empty_batches():
            wrong = _not_empty(none(), many)
    except Exception:  # something else refuses it too
        return
    if not wrong:
        raise NotApplicable(f"a convolution or pooling of {compat.BACKEND} refuses an empty batch")


def _structure(outputs):
    """Nested outputs in which each tensor is replaced by its rank, as text."""
    return keras.tree.map_structure(lambda y: f"rank {len(y.shape)}", outputs)


def _dtypes(outputs) -> list[str]:
    return [keras.backend.standardize_dtype(y.dtype) for y in keras.tree.flatten(outputs)]


def covers(said, found) -> bool:
    """Whether a shape describes another one, if None stands for any size."""
    return len(said) == len(found) and all(map(lambda a, b: a in (None, b), said, found))


def demand_covers(spec, eager, where):
    """Demand that the shape of each symbolic output describes the eager one."""
    pairs = zip(keras.tree.flatten(spec), keras.tree.flatten(eager), strict=True)
    for index, (said, found) in enumerate(pairs):
        demand(
            covers(said.shape, found.shape),
            f"  output {index}, {where}\n"
            f"  symbolic shape  {tuple(said.shape)}\n  eager shape     {tuple(found.shape)}",
        )


def output_shapes(layer, shapes) -> list[tuple]:
    """What `compute_output_shape` says for the shapes of the inputs by path: a shape for each output."""
    count = len(inspect.signature(layer.compute_output_shape).parameters)
    arguments = list(compat.packed(shapes).values())[:count]
    return _shapes(layer.compute_output_shape(*arguments))


def _shapes(nested) -> list[tuple]:
    """The shapes that `compute_output_shape` returned, as one shape or in a structure."""
    if isinstance(nested, dict):
        in_order = sorted(
            nested.items()
        )  # the order in which `keras.tree.flatten` takes the outputs
        return [shape for _, each in in_order for shape in _shapes(each)]
    if all(size is None or isinstance(size, int | np.integer) for size in nested):
        return [tuple(nested)]
    return [shape for each in nested for shape in _shapes(each)]


def _many(case):
    """A batch of `MANY` samples."""
    if "b" not in case.traits.dynamic.split():
        raise NotApplicable("the batch size is fixed")
    return case.arrays(values="normal", b=MANY)


def _samples(case, arrays, count):
    """The first samples of a batch, along the batch axis, whichever that is."""
    return {
        path: a.take(range(count), case.tensors[path].letters.index("b"))
        if "b" in case.tensors[path].letters
        else a
        for path, a in arrays.items()
    }


def _batched(few, many):
    """Each output whose first axis is the batch: its index, and its values for few and for `MANY` samples."""
    pairs = list(zip(few, many, strict=True))
    found = [(i, (a, e)) for i, (a, e) in enumerate(pairs) if tuple(e.shape[:1]) == (MANY,)]
    if not found:
        raise NotApplicable("no output has the batch as its first axis")
    return found
