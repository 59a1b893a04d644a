"""Convolutions over time that see no later step."""

from keras import layers

from layerzoo.building.arguments import another


def causal_convolution(owner, filters, input_shape, name):
    """A built causal `Conv1D` with its owner's kernel size, dilation, initializer, bias and dtype policy."""
    layer = layers.Conv1D(
        filters,
        owner.kernel_size,
        padding="causal",
        data_format="channels_last",
        dilation_rate=owner.dilation,
        use_bias=owner.use_bias,
        kernel_initializer=another(owner.kernel_initializer),
        dtype=owner.dtype_policy,
        name=name,
    )
    layer.build(input_shape)
    return layer
