"""Convolutions over time that see no later step."""

from keras import layers

from layerzoo.building.arguments import another
from layerzoo.ops.padding import padded
from layerzoo.ops.steps import after


def causal_convolution(owner, filters, input_shape, name):
    """A built `Conv1D` with its owner's kernel size, dilation, initializer, bias and dtype policy.

    It does not pad. `behind` puts what comes before the inputs in front of them.
    """
    layer = layers.Conv1D(
        filters,
        owner.kernel_size,
        padding="valid",
        data_format="channels_last",
        dilation_rate=owner.dilation,
        use_bias=owner.use_bias,
        kernel_initializer=another(owner.kernel_initializer),
        dtype=owner.dtype_policy,
        name=name,
    )
    layer.build(
        (input_shape[0], None, input_shape[-1])
    )  # steps go in front of however few there are
    return layer


def past_steps(owner) -> int:
    """How many steps before the inputs a convolution of its owner reads."""
    return (owner.kernel_size - 1) * owner.dilation


def behind(owner, x, past=None, mask=None):
    """Put the steps before `x: (b, t, d)` in front of it, for a causal convolution of its owner.

    Args:
        owner: the layer, for the number of these steps.
        x: the steps.
        past: the steps before, or None for zeros.
        mask: the mask of the steps, whose padding is behind the valid ones. Only needed with `past`.

    Returns:
        What the convolution takes, and its last steps before the padding: the `past` of what follows.
    """
    if past is None:
        return padded(x, 1, before=past_steps(owner)), None
    return after(past, x, mask)
