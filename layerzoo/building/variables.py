"""Several variables of one sample: which there are, and a dense map for each of them."""

import keras
from keras import initializers, layers, ops

from layerzoo.building.arguments import another, known_width
from layerzoo.building.sublayers import dense


def shapes_of_variables(input_shape, number=None) -> dict:
    """The shape of each variable, by its name in a dict or its index elsewhere. Names are sorted.

    Args:
        input_shape: a list or dict of shapes `(batch, ..., width)`; or one shape, `(batch, ..., variables,
            width)`, or `(batch, ..., variables * width)` if their number is given.
        number: how many variables there must be, or None.

    Raises:
        ValueError: there are others, a size that must be known is not, or the axes before the last differ.
    """
    if isinstance(input_shape, dict):
        shapes = {name: tuple(input_shape[name]) for name in sorted(input_shape)}
    elif input_shape and isinstance(input_shape[0], list | tuple):
        shapes = dict(enumerate(map(tuple, input_shape)))
    elif number is None:
        shapes = dict.fromkeys(
            range(_known_number(input_shape)), (*input_shape[:-2], input_shape[-1])
        )
    else:
        width = known_width(input_shape)
        if width % number:
            raise ValueError(
                "`num_variables` must divide the width of a single input. "
                f"Received: num_variables={number}, input_shape={tuple(input_shape)}"
            )
        shapes = dict.fromkeys(range(number), (*input_shape[:-1], width // number))
    _must_go_together(shapes, number)
    return shapes


def _known_number(input_shape):
    """The size of the axis before the last one, if that is where the variables are."""
    known_width(input_shape)
    shape = tuple(input_shape)
    if len(shape) < 3:
        raise ValueError(
            "`inputs` must have an axis of variables before the last one, unless `num_variables` is given. "
            f"Received: input_shape={shape}"
        )
    if shape[-2] is None:
        raise ValueError(
            f"The axis of the variables must have a known size. Received: input_shape={shape}"
        )
    if shape[-2] == 0:
        raise ValueError(
            f"The axis of the variables must not be empty. Received: input_shape={shape}"
        )
    return shape[-2]


def shapes_of(inputs):
    """The shape of each tensor of the inputs."""
    return keras.tree.map_structure(lambda x: tuple(x.shape), inputs)


def must_be_variables(inputs, widths, number=None) -> None:
    """Raise a `ValueError` unless inputs hold the variables of these widths, by name or index.

    Args:
        inputs: as for `variables_first`.
        widths: the width of each variable in the first call.
        number: as there.
    """
    if isinstance(inputs, dict):
        inputs = {name: x for name, x in inputs.items() if x is not None}
    shapes = shapes_of_variables(shapes_of(inputs), number)
    found = {name: shape[-1] for name, shape in shapes.items()}
    if found != widths:
        raise ValueError(
            f"`inputs` must hold the variables of the first call, with their widths: {widths}. "
            f"Received: {found}"
        )


def _must_go_together(shapes, number):
    if not shapes or len(shapes) != (number or len(shapes)):
        raise ValueError(
            f"`inputs` must hold {number or 'one or more'} variables. Received: {len(shapes)} variables"
        )
    first = next(iter(shapes.values()))
    for shape in shapes.values():
        known_width(shape)
        pairs = zip(shape[:-1], first[:-1], strict=False)
        known = [(m, n) for m, n in pairs if isinstance(m, int) and isinstance(n, int)]
        if len(shape) < 2 or len(shape) != len(first) or any(m != n for m, n in known):
            raise ValueError(
                "`inputs` must hold variables of shape (batch, ..., width) that differ in their width alone. "
                f"Received: {shapes}"
            )


def spec_of_variables(input_shape, number=None):
    """The `InputSpec` of a single input. A list or dict has none, and `must_be_variables` looks at it."""
    if isinstance(input_shape, dict) or isinstance(input_shape[0], list | tuple):
        return None
    axes = {-1: input_shape[-1]} | ({-2: input_shape[-2]} if number is None else {})
    return layers.InputSpec(min_ndim=1 + len(axes), axes=axes)


def first_mask(masks, rank):
    """The first mask with so many axes among those of the variables, or None."""
    found = [mask for mask in keras.tree.flatten(masks) if mask is not None]
    return next((mask for mask in found if len(mask.shape) == rank), None)


def variables_first(inputs, number=None):
    """Tensors by the names or indices of `shapes_of_variables`; or of one input a tensor, variables first.

    Args:
        inputs: a list or dict of tensors, or one tensor.
        number: as there.
    """
    if isinstance(inputs, dict):
        return [inputs[name] for name in sorted(inputs)]
    if isinstance(inputs, list | tuple):
        return list(inputs)
    if number is not None:
        sizes = ops.shape(inputs)
        inputs = ops.reshape(inputs, (*sizes[:-1], number, inputs.shape[-1] // number))
    return ops.moveaxis(inputs, len(inputs.shape) - 2, 0)  # from the front, for PyTorch's ONNX


def dense_each(owner, number, units, width, name):
    """A built `EinsumDense` with a kernel and a bias for each variable, each of them like those of a `Dense`.

    It maps `(variables, samples, width)` to `(variables, samples, units)`.

    Args:
        owner: the layer, for its kernel initializer and its dtype policy.
        number: how many variables there are.
        units: width of the output.
        width: width of each variable.
        name: name of the layer.
    """
    layer = layers.EinsumDense(
        "vnd,vdu->vnu",
        output_shape=(None, units),
        bias_axes="vu",
        kernel_initializer=_drawn_each(owner.kernel_initializer),
        dtype=owner.dtype_policy,
        name=name,
    )
    layer.build((number, None, width))
    return layer


def _drawn_each(initializer):
    """An initializer that draws each kernel of a stack by itself: together they would have another fan-in."""

    def draw(shape, dtype=None):
        drawn = [another(initializer) or initializers.GlorotUniform() for _ in range(shape[0])]
        return ops.stack([each(shape[1:], dtype=dtype) for each in drawn])

    return draw


def embedding(owner, units, shapes):
    """What maps each variable to a width: a layer of `dense_each`, or a list of a layer or None for each.

    It is None if all variables have that width.

    Args:
        owner: the layer, for its kernel initializer and its dtype policy.
        units: the width.
        shapes: as `shapes_of_variables` gives them.
    """
    widths = {shape[-1] for shape in shapes.values()}
    if widths == {units}:
        return None
    if len(widths) == 1:
        return dense_each(owner, len(shapes), units, widths.pop(), "embed")
    return [
        None if shape[-1] == units else dense(owner, units, shape, f"embed_{name}", use_bias=True)
        for name, shape in shapes.items()
    ]


def embedded(embed, variables):
    """All variables in one tensor `(variables, samples, units)`, and the sizes that `samples` is made of.

    Args:
        embed: what `embedding` gives.
        variables: what `variables_first` gives.
    """
    each = isinstance(embed, list | tuple)
    if each:
        pairs = zip(embed, variables, strict=True)
        variables = [x if layer is None else layer(x) for layer, x in pairs]
    x = ops.stack(variables) if isinstance(variables, list) else variables
    flat = ops.reshape(x, (x.shape[0], -1, x.shape[-1]))
    return flat if each or embed is None else embed(flat), ops.shape(x)[1:-1]
