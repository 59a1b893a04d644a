"""The layers that a wrapper is given: applied in turn, in one data format, added to their own input."""

import inspect

import keras
from keras import backend, layers, ops

from layerzoo.building.arguments import one_of
from layerzoo.ops.channels import channel_axis


def demand_layers(layer) -> None:
    """Raise a `ValueError` unless `layer` is a layer or a list of at least one layer."""
    chain = chain_of(layer)
    if not chain or not all(isinstance(item, layers.Layer) for item in chain):
        raise ValueError(
            f"`layer` must be a Keras layer or a list of Keras layers. Received: layer={layer!r}"
        )


def chain_of(layer) -> list:
    """The layers that a wrapper applies in turn: what it was given, as a list."""
    return list(layer) if isinstance(layer, list | tuple) else [layer]


def data_format_of(chain, data_format) -> str:
    """`data_format`, or that of the layers that have one, or `"channels_last"` if none has.

    Looks into models and wrappers too. Layers that disagree raise a `ValueError`.
    """
    if one_of((None, "channels_last", "channels_first"), data_format=data_format):
        return data_format
    found = {name for layer in chain for name in _data_formats(layer)}
    if len(found) > 1:
        raise ValueError(
            "`layer` must hold layers of one `data_format`, unless `data_format` is given. "
            f"Received: layers of {' and '.join(sorted(found))}"
        )
    return found.pop() if found else "channels_last"


def _data_formats(layer):
    if hasattr(layer, "data_format"):
        return {layer.data_format}
    inner = [*getattr(layer, "layers", []), *filter(None, [getattr(layer, "layer", None)])]
    return {name for each in inner for name in _data_formats(each)}


def build_by_call(layer, symbols):
    """Call a layer on symbols, which builds any layer, and return its symbolic outputs.

    The call is then forgotten. It belongs to no model, and a model in which the layer stands would find it
    when it is loaded.
    """
    outputs = layer(symbols)
    layer._inbound_nodes = layer._inbound_nodes[:-1]
    return outputs


ONE_TENSOR = "must take one input and give one output"


def build_in_turn(owner, chain, input_shape, name="layer") -> tuple:
    """Build layers that are applied in turn, and give the shape of what comes out.

    A layer that takes more than one input or gives more than one output raises a `ValueError`.

    Args:
        owner: the layer that holds them, for its compute dtype.
        chain: the layers.
        input_shape: the shape of what the first one gets.
        name: the argument that holds the layers, for the error.
    """
    x = keras.KerasTensor(input_shape, dtype=owner.compute_dtype)
    for layer in chain:
        try:
            y = build_by_call(layer, x)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"`{name}` {ONE_TENSOR}. Received: {name}={layer}, which raised for inputs of shape "
                f"{x.shape}: {type(error).__name__}: {in_one_line(error)}"
            ) from error
        if not isinstance(y, keras.KerasTensor):
            _demand_one(layer, y, name)
        x = y
    return tuple(x.shape)


def _needed(layer):
    """The names of the inputs without which a layer cannot be called."""
    return [
        name
        for name, each in inspect.signature(layer.call).parameters.items()
        if each.default is each.empty
        and each.kind is each.POSITIONAL_OR_KEYWORD
        and name not in ("training", "mask")
    ]


def _demand_one(layer, given, name):
    several = f"{len(given)} outputs" if isinstance(given, list | tuple | dict) else f"{given}"
    raise ValueError(f"`{name}` {ONE_TENSOR}. Received: {name}={layer}, which gives {several}")


def in_one_line(error):
    """What an error says, without what Keras adds to it: where it was raised, and the arguments."""
    said = str(error).partition("\x1b[1m")[2].partition("\x1b[0m")[0] or str(error)
    return " ".join(said.split())


def foretold_shape(chain, input_shape, name="layer") -> tuple | None:
    """The shape of what comes out of layers that need not be built yet, or None if one cannot tell it.

    Nothing is built, so that layers which do not fit are as they were when an error is raised.

    Args:
        chain: the layers.
        input_shape: the shape of what the first one gets.
        name: the argument that holds the layers, for the error.

    Raises:
        ValueError: a layer takes more than one input, or gives more than one output.
    """
    shape = tuple(input_shape)
    for layer in chain:
        needed = _needed(layer)
        if len(needed) > 1:
            raise ValueError(
                f"`{name}` {ONE_TENSOR}. Received: {name}={layer}, which needs {' and '.join(needed)}"
            )
        try:
            shape = layer.compute_output_shape(shape)
        except Exception:  # of whatever kind: a layer that is not built yet may not know
            return None
        if not isinstance(shape, list | tuple):
            return None
        if any(isinstance(size, list | tuple) for size in shape):
            _demand_one(layer, shape, name)
        shape = tuple(shape)
    return shape


def branch_shape_of(owner, chain, input_shape) -> tuple:
    """Build the layers of a branch, and give the shape of what comes out.

    A shape that cannot be added to the input, the channels being projected, raises a `ValueError`, before
    any layer is built if they tell their shapes.
    """
    foretold = foretold_shape(chain, input_shape)
    if foretold is not None:
        must_fit(foretold, input_shape, owner.data_format)
    shape = build_in_turn(owner, chain, input_shape)
    must_fit(shape, input_shape, owner.data_format)
    return shape


def must_keep_shape(owner, chain, input_shape, name="layer") -> None:
    """Build the layers of a branch, and raise a `ValueError` unless the shape stays as far as it is known."""
    may_keep_shape(chain, input_shape, name)
    must_equal(build_in_turn(owner, chain, input_shape, name), input_shape, name)


def may_keep_shape(chain, input_shape, name="layer") -> None:
    """Raise a `ValueError` if layers tell, before they are built, that they change the shape."""
    foretold = foretold_shape(chain, input_shape, name)
    if foretold is not None:
        must_equal(foretold, input_shape, name)


def must_equal(output_shape, input_shape, name="layer") -> None:
    """Raise a `ValueError` unless two shapes are equal, as far as they are known."""
    if not _same(output_shape, input_shape):
        raise ValueError(
            f"`{name}` {MUST_KEEP}. Received: input_shape={tuple(input_shape)}, "
            f"output_shape={tuple(output_shape)}"
        )


MUST_KEEP = "must keep the shape, for its output is added to its input"


def _same(shape, other):
    """Whether two shapes may be equal, as far as they are known."""
    return len(shape) == len(other) and all(
        m == n or None in (m, n) for m, n in zip(shape, other, strict=True)
    )


def over_channels(layer, x, data_format):
    """Apply a layer of the last axis to the channels."""
    if data_format == "channels_last":
        return layer(x)
    places = range(2, len(x.shape))
    return ops.transpose(
        layer(ops.transpose(x, (0, *places, 1))), (0, len(places) + 1, *(p - 1 for p in places))
    )


def per_channel(weight, x, data_format):
    """One number per channel, in the shape that multiplies the channels of `x`."""
    if data_format == "channels_last":
        return weight
    return ops.expand_dims(weight, tuple(range(1, len(x.shape) - 1)))


def scaled(x, factors, data_format):
    """Multiply each channel by a number, in the dtype of these numbers: half precision has too few digits."""
    factors = per_channel(ops.convert_to_tensor(factors), x, data_format)
    return ops.cast(ops.cast(x, factors.dtype) * factors, x.dtype)


MUST_FIT = (
    "`layer` must keep every axis except that of the channels, for its output is added to its input"
)


def must_fit(output_shape, input_shape, data_format) -> None:
    """Raise a `ValueError` unless two shapes differ in the channels alone, as far as they are known."""
    axis = channel_axis(data_format) % len(input_shape)
    fits = len(output_shape) == len(input_shape) and all(
        m == n or i == axis or None in (m, n)
        for i, (m, n) in enumerate(zip(output_shape, input_shape, strict=True))
    )
    if not fits:
        raise ValueError(
            f"{MUST_FIT}. Received: input_shape={tuple(input_shape)}, "
            f"output_shape={tuple(output_shape)}, data_format={data_format!r}"
        )


def add_branch(shortcut, branch, data_format):
    """Their sum, where the layers of the branch may have changed the channels. No axis is broadcast."""
    must_fit(branch.shape, shortcut.shape, data_format)
    return shortcut + _compared(branch, shortcut, MUST_FIT)


def kept(branch, inputs):
    """What the layers of a branch gave, which must have the shape of what they got. No axis is broadcast."""
    must_equal(branch.shape, inputs.shape)
    return _compared(branch, inputs, f"`layer` {MUST_KEEP}")


def _compared(branch, other, rule):
    """The branch, if its shape is that of another tensor also in the sizes that are known at run time only.

    TensorFlow alone has such sizes. Where it compiles with XLA, it leaves out what compares them.
    """
    unknown = None in (*branch.shape, *other.shape) and not keras.utils.is_keras_tensor(branch)
    if backend.backend() == "tensorflow" and unknown:
        import tensorflow as tf

        fits = tf.debugging.assert_equal(tf.shape(branch), tf.shape(other), f"{rule}.")
        with tf.control_dependencies([fits]):  # the error of the sum would not name `layer`
            branch = tf.identity(branch)
    return branch


def known_streams(num_streams, input_shape) -> None:
    """Raise a `ValueError` unless the axis before the last has this size."""
    if len(input_shape) < 3 or input_shape[-2] is None:
        raise ValueError(
            "The axis of the streams, before the last one, must have a known size. "
            f"Received: input_shape={tuple(input_shape)}"
        )
    if input_shape[-2] != num_streams:
        raise ValueError(
            "The inputs must have `num_streams` streams on the axis before the last one, unless the layer "
            f"has `enter=True`. Received: num_streams={num_streams}, input_shape={tuple(input_shape)}"
        )
