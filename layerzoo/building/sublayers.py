"""The layers inside a layer: they take their owner's settings and its mask."""

import types

import keras
from keras import activations, layers, ops, saving

from layerzoo.building.arguments import another
from layerzoo.building.seeds import seed_of_part
from layerzoo.building.wrapped import build_by_call, in_one_line


def dense(
    owner, units, input_shape, name, use_bias=None, activation=None, bias_initializer="zeros"
):
    """A built `Dense` with its owner's kernel initializer, dtype policy and, by default, `use_bias`.

    The initializer is cloned, because one instance used twice would give two equal kernels.
    """
    layer = layers.Dense(
        units,
        activation=activation,
        use_bias=owner.use_bias if use_bias is None else use_bias,
        kernel_initializer=another(owner.kernel_initializer),
        bias_initializer=bias_initializer,
        dtype=owner.dtype_policy,
        name=name,
    )
    layer.build(input_shape)
    return layer


def dropping(owner, part):
    """A `Dropout` with its owner's rate, and a seed of its own for each part of the owner that draws."""
    return layers.Dropout(
        owner.dropout,
        seed=seed_of_part(owner.seed, part),
        dtype=owner.dtype_policy,
        name=f"dropout_{part}",
    )


def rms_norm(owner, input_shape, name):
    """A built `RMSNormalization` with its owner's dtype policy."""
    layer = layers.RMSNormalization(dtype=owner.dtype_policy, name=name)
    layer.build(input_shape)
    return layer


def layer_norm(owner, input_shape, name):
    """A built `LayerNormalization` with its owner's `epsilon` and dtype policy."""
    layer = layers.LayerNormalization(epsilon=owner.epsilon, dtype=owner.dtype_policy, name=name)
    layer.build(input_shape)
    return layer


def build_function(function, input_shape, name="activation"):
    """Build an activation that is a layer, and see that it takes inputs of a shape.

    Args:
        function: the activation. If it is no layer, there is nothing to do.
        input_shape: the shape.
        name: the argument that holds the activation, for the error.

    Raises:
        ValueError: it does not take such inputs, or has weights for each step or pixel of an unknown number.
    """
    if not isinstance(function, layers.Layer):
        return
    try:
        build_by_call(function, keras.KerasTensor(input_shape))
    except Exception as error:  # of whatever kind: PReLU raises an IndexError for an axis too few
        raise ValueError(
            f"`{name}` must take inputs of shape {tuple(input_shape)}. Received: {name}={function}, which "
            f"raised {type(error).__name__}: {in_one_line(error)}"
        ) from error


def biases(position):
    """Whether a layer has a method `bias`, as opposed to a weight with that name."""
    return callable(getattr(position, "bias", None))


def build_position(position, heads):
    """Build a position layer, unless it is None. `heads` is the shape `(b, t, n, h)`.

    A layer with a method `bias` is built for scores `(b, n, t, s)`, any other for queries and keys.
    """
    if position is not None and not position.built:
        position.build((None, heads[2], None, None) if biases(position) else heads)


def positioned(position, query, key, place=None):
    """Queries and keys, rotated by `position`, and its bias, as keyword arguments of `attention`.

    They keep their dtype, whatever dtype policy `position` has. `place` is the position of the first step,
    `(b,)`, if that is not 0.
    """
    return turned(position, query, place), turned(position, key, place), position_bias(position)


def turned(position, x, place=None):
    """Queries or keys, rotated by `position` if it rotates. `place` is as in `positioned`."""
    if position is None or biases(position):
        return x
    return ops.cast(position(x, **({} if place is None else dict(offset=place))), x.dtype)


def position_bias(position):
    """The bias of `position`, if it has one, as keyword arguments of `attention`."""
    if not biases(position):
        return {}
    return dict(bias=position.bias, weights=[ops.convert_to_tensor(w) for w in position.weights])


def serialized(given):
    """The config of what was handed in: a layer, a list of layers, an activation or None.

    It is written twice, because in a file Keras gives an id only to what it meets again. By this id, a layer
    that was handed to two owners is loaded as one layer.
    """
    function = isinstance(given, types.FunctionType)
    serialize = activations.serialize if function else saving.serialize_keras_object
    serialize(given)
    return _unbuilt(serialize(given))


def _unbuilt(config):
    """A config without the shapes that the layer was built for.

    Keras adds these shapes once a layer is built. They would change the owner's config with the first call,
    and a copy made from that config would fit no other width.
    """
    if isinstance(config, list | tuple):
        return [_unbuilt(item) for item in config]
    if isinstance(config, dict):
        return {key: value for key, value in config.items() if key != "build_config"}
    return config
