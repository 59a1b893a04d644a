"""What builds a mixture of experts: settings of a router, stacked kernels, and what keeps the balance."""

import keras
from keras import initializers, ops

from layerzoo.building.arguments import (
    another,
    non_negative_number,
    one_of,
    optional_non_negative_number,
    optional_positive_number,
    positive_int,
)
from layerzoo.building.seeds import seed_of_part
from layerzoo.ops.experts import balance_loss


def keep_router(
    layer, num_experts, top_k, router, capacity_factor, aux_loss_weight, bias_update_rate
) -> None:
    """Check the settings of a router, and keep each as an attribute of its name."""
    layer.num_experts = positive_int(num_experts=num_experts)
    layer.top_k = positive_int(top_k=top_k)
    if layer.top_k > layer.num_experts:
        raise ValueError(
            f"`top_k` must be at most `num_experts`. Received: top_k={top_k!r}, num_experts={num_experts!r}"
        )
    layer.router = one_of(("softmax", "sigmoid"), router=router)
    layer.capacity_factor = optional_positive_number(capacity_factor=capacity_factor)
    layer.aux_loss_weight = optional_non_negative_number(aux_loss_weight=aux_loss_weight)
    layer.bias_update_rate = non_negative_number(bias_update_rate=bias_update_rate)


def add_router(layer, width) -> None:
    """Add the kernel of a router, `route`, and its balancing bias, `balance`, or None with the softmax."""
    start = another(layer.kernel_initializer)
    shape = (width, layer.num_experts)
    layer.route = layer.add_weight(shape, start, name="router", autocast=False)
    layer.balance = None
    if layer.router == "sigmoid":
        settings = dict(trainable=False, autocast=False, name="balance")
        layer.balance = layer.add_weight(shape[1:], "zeros", **settings)


def add_experts(layer, width) -> None:
    """Add the kernels of all experts, `gate_up` and `down`, and their biases, or None without biases."""
    e, d, h = layer.num_experts, width, layer.hidden_dim
    initializer, bias = layer.kernel_initializer, layer.use_bias
    layer.gate_up = layer.add_weight((e, d, 2 * h), drawn_apart(initializer, 2), name="gate_up")
    layer.down = layer.add_weight((e, h, d), drawn_apart(initializer), name="down")
    zeros = lambda units, name: layer.add_weight((e, units), "zeros", name=name)  # noqa: E731
    layer.gate_up_bias = zeros(2 * h, "gate_up_bias") if bias else None
    layer.down_bias = zeros(d, "down_bias") if bias else None


def drawn_apart(initializer, side_by_side=1):
    """An initializer of stacked kernels `(e, d, w)` that draws each as `Dense` draws a kernel of its own.

    Drawn at once, their number would count as part of the width, and shrink them.

    Args:
        initializer: what `keras.initializers.get` gave.
        side_by_side: how many kernels there are on the last axis.
    """

    def draw(shape, dtype=None):
        count, width, units = shape
        sizes = (width, units // side_by_side)
        number = count * side_by_side
        parts = [_another(initializer, part)(sizes, dtype=dtype) for part in range(number)]
        rows = [parts[i : i + side_by_side] for i in range(0, number, side_by_side)]
        return ops.stack([ops.concatenate(row, axis=-1) for row in rows])

    return draw


def _another(initializer, part):
    """An initializer like this one, which with a seed draws other numbers for each part."""
    initializer = initializers.get(initializer or "glorot_uniform")
    if not isinstance(initializer, initializers.Initializer):
        return initializer
    config = initializer.get_config()
    if isinstance(config.get("seed"), int):
        return type(initializer).from_config({**config, "seed": seed_of_part(config["seed"], part)})
    return another(initializer)


def keep_balance(layer, scores, load, valid, training) -> None:
    """Add the balance loss of a router, and in training move its balancing bias.

    Args:
        layer: the layer of the router.
        scores: `(n, e)`.
        load: `(e,)`, how many tokens chose each expert.
        valid: `(n,)` booleans, or None.
        training: whether to move the bias.
    """
    weight = layer.aux_loss_weight
    if weight is None:
        weight = 0.01 if layer.router == "softmax" else 0.0
    if weight:
        layer.add_loss(weight * balance_loss(scores, load, valid))
    if layer.balance is not None and training and layer.trainable:
        load = ops.cast(load, layer.balance.dtype)
        layer.balance.assign_add(layer.bias_update_rate * ops.sign(ops.mean(load) - load))


def routing_spec(layer, inputs, return_routing):
    """Symbolic outputs in the layer's compute dtype, and symbolic experts and weights if asked for."""
    outputs = keras.KerasTensor(inputs.shape, dtype=layer.compute_dtype)
    if not return_routing:
        return outputs
    routes, dtypes = (*inputs.shape[:-1], layer.top_k), ("int32", layer.compute_dtype)
    return outputs, *(keras.KerasTensor(routes, dtype=dtype) for dtype in dtypes)
