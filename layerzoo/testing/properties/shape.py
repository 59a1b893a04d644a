"""Shapes and dtypes: what a layer says about its output before it computes it."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from layerzoo.tensors import compat
from layerzoo.tensors.outcomes import NotApplicable
from layerzoo.testing.engine.case import Case
from layerzoo.testing.engine.comparison import SUMS, Comparison, Evidence, Fact, Sometimes
from layerzoo.testing.engine.register import declare

Shape = Sequence[int | None]

MANY = 3
"""How many samples a batch has in which there is more than one."""

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
def shape_static(case: Case) -> Evidence:
    """The symbolic output and the one in training have the eager output's structure, rank and known sizes."""
    spec = compat.call(case.make(), case.symbols())
    layer, arrays = case.make(), case.arrays()
    eager = case.call(layer, arrays)
    said, found = _structure(spec), _structure(eager)
    yield Fact(said == found, f"symbolic output {said}\neager output    {found}")
    yield from symbols_cover(spec, eager, "every size of the input is known")
    trained = case.call(layer, arrays, training=True)
    said = _structure(trained)
    what = f"in training     {said}\nat inference    {found}"
    yield Fact(said == found, what, OTHER_IN_TRAINING)
    pairs = zip(keras.tree.flatten(trained), keras.tree.flatten(eager), strict=True)
    for index, (a, e) in enumerate(pairs):
        found, due = tuple(a.shape), tuple(e.shape)
        what = f"output {index}\nshape           in training {found}, at inference {due}"
        yield Fact(found == due, what, OTHER_IN_TRAINING)


@declare(
    "S2",
    hint=(
        "The layer uses a size that is unknown, or remembers the size of its first call. In "
        "`compute_output_shape`, return None for each size that follows from None. In `call`, take sizes "
        "from `keras.ops.shape(inputs)`."
    ),
)
def shape_dynamic(case: Case) -> Evidence:
    """If sizes are unknown, the layer runs at each size, also in training, and leaves open what varies."""
    unknowns = case.unknowns()
    if not unknowns:
        raise NotApplicable("every size is fixed")
    for unknown in unknowns:
        layer = case.make()
        spec = compat.call(layer, case.symbols(**dict.fromkeys(unknown)))
        for at in (case, case.resized(**unknown)):
            eager = case.call(layer, at.arrays())
            where = f"unknown to the symbolic input: {', '.join(unknown)}"
            yield from symbols_cover(spec, eager, where)
    # the other backends trace nothing with unknown sizes; a trace takes long, so every second sample must do
    if compat.BACKEND == "tensorflow" and case.sample.seed % 2:
        spec = compat.traced(layer, case.symbols(**dict.fromkeys(unknown)), training=True)
        where = f"traced in training with unknown sizes: {', '.join(unknown)}"
        yield from symbols_cover(spec, eager, where)


@declare(
    "S3",
    hint=(
        "If a layer has `compute_output_shape`, Keras assumes that every output has the layer's compute "
        "dtype. Cast the output to `self.compute_dtype`, or write `compute_output_spec` for an integer, a "
        "boolean or another float type."
    ),
)
def spec_dtype(case: Case) -> Evidence:
    """The output has the same dtypes if symbolic, eager and in training, in float32 and mixed precision."""
    whole = "float" not in case.make().compute_dtype  # so that float policies do not fit it
    for policy in (None,) if whole else ("float32", "mixed_float16", "mixed_bfloat16"):
        layer = case.make(dtype=policy)
        spec, eager = compat.call(layer, case.symbols()), case.call(layer, case.arrays())
        said, found = _dtypes(spec), _dtypes(eager)
        yield Fact(
            said == found,
            f"dtype policy    {policy or 'its own'}\nsymbolic dtypes {', '.join(said)}\n"
            f"eager dtypes    {', '.join(found)}",
        )
        trained = _dtypes(case.call(layer, case.arrays(), training=True))
        yield Fact(
            trained == found,
            f"dtype policy    {policy or 'its own'}\nin training     {', '.join(trained)}\n"
            f"at inference    {', '.join(found)}",
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
def compute_output_shape_agrees(case: Case) -> Evidence:
    """`compute_output_shape` returns the shapes of the outputs, also if the batch is unknown."""
    layer = case.make()
    if compat.is_default(layer.compute_output_shape):
        raise NotApplicable("the layer has no `compute_output_shape` of its own")
    eager = keras.tree.flatten(case.call(layer, case.arrays()))
    yield output_shapes_cover(layer, case.shapes(), eager)
    if "b" in case.traits.dynamic.split():
        yield output_shapes_cover(layer, case.shapes(b=None), eager)


@declare(
    "S5",
    hint=(
        "Something treats a batch of one differently: a `squeeze` without an axis, a reshape that guesses, "
        "or a test of the batch size."
    ),
)
def batch_one(case: Case) -> Evidence:
    """A sample gives the same axes, dtype and values in a batch of one as in a larger batch."""
    arrays, layer = _many(case), case.built()
    many = keras.tree.flatten(case.call(layer, arrays))
    one = keras.tree.flatten(case.call(layer, _samples(case, arrays, 1)))
    for index, (a, e) in _batched(one, many):
        yield _has_shape(index, a, (1, *e.shape[1:]))
        found, due = _dtypes([a, e])
        what = f"output {index}\ndtype           {found}, in a larger batch {due}"
        yield Fact(found == due, what)
        if case.traits.couples_batch != "always":
            what = (
                f"output {index} of a sample alone, and of the same sample beside {MANY - 1} others"
            )
            yield Comparison(compat.array(a), compat.array(e)[:1], SUMS, what)


@declare(
    "S6",
    tier="should",
    claim="zero_batch",
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
def batch_zero(case: Case) -> Evidence:
    """An empty batch gives an empty batch, unless the card says that it is refused."""
    arrays, layer = _many(case), case.built()
    many = keras.tree.flatten(case.call(layer, arrays))

    def empty() -> list[Fact]:
        """Each output is empty. It raises what the layer raises if it refuses an empty batch."""
        none = keras.tree.flatten(case.call(layer, _samples(case, arrays, 0)))
        return [_has_shape(i, a, (0, *e.shape[1:])) for i, (a, e) in _batched(none, many)]

    accepted = _all_hold(empty)
    if case.traits.zero_batch is False:
        yield Sometimes(not accepted)
        return
    if not accepted:
        _excuse_kernels(case, empty)
    yield from empty()


def _all_hold(facts: Callable[[], list[Fact]]) -> bool:
    """Whether all facts hold; if the layer raises instead, they do not."""
    try:
        return all(each.holds for each in facts())
    except NotApplicable:
        raise
    except Exception:  # a layer can raise anything
        return False


def _excuse_kernels(case: Case, empty: Callable[[], list[Fact]]) -> None:
    """Raise `NotApplicable` if the layer takes an empty batch wherever the backend's kernels do.

    This does not excuse a layer of Keras, which could work around its backend.
    """
    if compat.is_of_keras(case.card.layer.call):
        return
    with compat.kernels_for_empty_batches():
        accepted = _all_hold(empty)
    if accepted:
        raise NotApplicable(f"a convolution or pooling of {compat.BACKEND} refuses an empty batch")


def _structure(outputs: Any) -> Any:
    """Nested outputs in which each tensor is replaced by its rank, as text."""
    return keras.tree.map_structure(lambda y: f"rank {len(y.shape)}", outputs)


def _dtypes(outputs: Any) -> list[str]:
    return [keras.backend.standardize_dtype(y.dtype) for y in keras.tree.flatten(outputs)]


def _has_shape(index: int, output: Any, due: tuple[int, ...]) -> Fact:
    found = tuple(output.shape)
    return Fact(found == due, f"output {index}\nshape           {found}, should be {due}")


def _covers(said: Shape, found: Shape) -> bool:
    """Whether a shape describes another one, if None stands for any size."""
    return len(said) == len(found) and all(a in (None, b) for a, b in zip(said, found, strict=True))


def symbols_cover(spec: Any, eager: Any, where: str) -> Iterator[Fact]:
    """The shape of each symbolic output describes the eager one."""
    pairs = zip(keras.tree.flatten(spec), keras.tree.flatten(eager), strict=True)
    for index, (said, found) in enumerate(pairs):
        yield Fact(
            _covers(said.shape, found.shape),
            f"output {index}, {where}\n"
            f"symbolic shape  {tuple(said.shape)}\neager shape     {tuple(found.shape)}",
        )


def output_shapes_cover(
    layer: keras.layers.Layer, shapes: Mapping[str, Shape], outputs: Sequence[Any]
) -> Fact:
    """What `compute_output_shape` says for the shapes of the inputs, by path, describes the outputs."""
    said, found = output_shapes(layer, shapes), [tuple(y.shape) for y in outputs]
    return Fact(
        len(said) == len(found) and all(map(_covers, said, found)),
        f"for inputs      {shapes}\nit says         {said}\nthe outputs     {found}",
    )


def output_shapes(layer: keras.layers.Layer, shapes: Mapping[str, Shape]) -> list[tuple]:
    """What `compute_output_shape` says for the shapes of the inputs by path: a shape for each output."""
    count = len(inspect.signature(layer.compute_output_shape).parameters)
    arguments = list(compat.packed(dict(shapes)).values())[:count]
    return _shapes(layer.compute_output_shape(*arguments))


def _shapes(nested: Any) -> list[tuple]:
    """The shapes that `compute_output_shape` returned, as one shape or in a structure."""
    if isinstance(
        nested, dict
    ):  # `keras.tree.flatten` takes the outputs in the order of their names
        return [shape for _, each in sorted(nested.items()) for shape in _shapes(each)]
    if all(size is None or isinstance(size, int | np.integer) for size in nested):
        return [tuple(nested)]
    return [shape for each in nested for shape in _shapes(each)]


def _many(case: Case) -> dict[str, np.ndarray]:
    """A batch of `MANY` samples."""
    if "b" not in case.traits.dynamic.split():
        raise NotApplicable("the batch size is fixed")
    return case.arrays(values="normal", b=MANY)


def _samples(case: Case, arrays: dict[str, np.ndarray], count: int) -> dict[str, np.ndarray]:
    """The first samples of a batch, along the batch axis, whichever that is."""
    return {
        path: a.take(range(count), case.tensors[path].letters.index("b"))
        if "b" in case.tensors[path].letters
        else a
        for path, a in arrays.items()
    }


def _batched(few: list, many: list) -> list[tuple[int, tuple]]:
    """Each output whose first axis is the batch: its index, and its values for few and for `MANY` samples."""
    pairs = list(zip(few, many, strict=True))
    found = [(i, (a, e)) for i, (a, e) in enumerate(pairs) if tuple(e.shape[:1]) == (MANY,)]
    if not found:
        raise NotApplicable("no output has the batch as its first axis")
    return found
