"""The layers inside a layer: made after their owner's settings, called with its mask."""

import inspect

from keras import layers, ops


def dense(owner, units, input_shape, name, use_bias=None):
    """A built `Dense` with its owner's `use_bias` where none is given, `kernel_initializer` and dtype policy.

    The initializer is cloned: one instance used twice gives two equal kernels.
    """
    layer = layers.Dense(
        units,
        use_bias=owner.use_bias if use_bias is None else use_bias,
        kernel_initializer=owner.kernel_initializer.clone(),
        dtype=owner.dtype_policy,
        name=name,
    )
    layer.build(input_shape)
    return layer


def rms_norm(owner, input_shape, name):
    """A built `RMSNormalization` with its owner's dtype policy."""
    layer = layers.RMSNormalization(dtype=owner.dtype_policy, name=name)
    layer.build(input_shape)
    return layer


def build_function(function, input_shape):
    """Build an activation that is a layer and not built yet; any other needs nothing."""
    if isinstance(function, layers.Layer) and not function.built:
        function.build(input_shape)


def biases(position):
    """Whether a layer has a method `bias`, and not a weight of that name."""
    return callable(getattr(position, "bias", None))


def build_position(position, heads):
    """Build a layer, or None, that tells attention of positions; `heads`: `(b, t, n, h)`.

    One with a method `bias` adds to scores `(b, n, t, s)`. Any other turns queries and keys.
    """
    if position is not None and not position.built:
        position.build((None, heads[2], None, None) if biases(position) else heads)


def positioned(position, query, key):
    """Queries and keys as `position` turns them; and its bias, as arguments for `attention`."""
    if biases(position):
        weights = [ops.convert_to_tensor(w) for w in position.weights]
        return query, key, dict(bias=position.bias, weights=weights)
    if position is not None:
        query, key = position(query), position(key)
    return query, key, {}


def unbuilt(serialized):
    """What Keras serialized, a layer or a list of them, without the shapes they were built for.

    Keras adds these once a layer is built: its owner's config would change with the first call, and a
    copy made from it would fit no other width.
    """
    if isinstance(serialized, list | tuple):
        return [unbuilt(item) for item in serialized]
    if isinstance(serialized, dict):
        return {key: value for key, value in serialized.items() if key != "build_config"}
    return serialized


def apply_in_turn(chain, x, mask=None):
    """Run `x` through a list of layers, each with the mask that the one before it leaves."""
    for layer in chain:
        takes_mask = mask is not None and "mask" in inspect.signature(layer.call).parameters
        y = layer(x, mask=mask) if takes_mask else layer(x)
        mask = layer.compute_mask(x, mask) if layer.supports_masking else None
        x = y
    return x
