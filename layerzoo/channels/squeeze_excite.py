import keras
from keras import initializers, layers

from layerzoo.building.arguments import (
    InitializerLike,
    boolean,
    image_format,
    initializer,
    known_activation,
    positive_int,
)
from layerzoo.building.recipe import recipe
from layerzoo.building.sublayers import build_function, dense, serialized
from layerzoo.ops.activations import activated
from layerzoo.ops.channels import (
    channel_axis,
    known_channels,
    mean_over_positions,
    position_sizes,
    scale_channels,
)
from layerzoo.ops.dtypes import floating
from layerzoo.ops.masks import fitting_mask


@keras.saving.register_keras_serializable(package="layerzoo")
@recipe
class SqueezeExcite(layers.Layer):
    r"""Squeeze-and-excitation (SE): rescales each channel with a gate computed from the global average.

    $$
    y_{pc} = g_c\, x_{pc}, \qquad g = \sigma\big(W_2\, \delta(W_1 z)\big), \qquad
    z_c = \frac{1}{|P|} \sum_{p \in P} x_{pc}
    $$

    $p$ is a position (a pixel or a step), and $P$ is the set of positions that are not padding. $c$ is a
    channel. $W_1$ maps to a hidden layer that is `ratio` times narrower. $\delta$ is `activation` and
    $\sigma$ is `gate_activation`. Both maps have a bias.

    Use when:
        - a convolutional block should see the whole image or sequence at almost no cost.

    Avoid when:
        - single positions should be weighted too: for images, `ConvolutionalBlockAttention` does both.
        - the model must be causal: the average sees every step.

    Args:
        ratio: Positive integer. The hidden layer has `channels // ratio` units, and at least 1. Defaults to
            16.
        activation: Name, function or layer. Activation of the hidden layer. Defaults to `"relu"`.
        gate_activation: Name, function or layer. Activation of the gate. Defaults to `"sigmoid"`.
        use_bias: Boolean. Whether the two maps have a bias. Defaults to True.
        kernel_initializer: Initializer for the two kernels. Defaults to `"glorot_uniform"`.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to Keras's global setting,
            which is `"channels_last"` unless you change it.
        **kwargs: Standard Keras layer arguments: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: A sequence, an image or a volume.
        mask: Boolean tensor of shape `(batch, time)`, false at padding. For an image, `(batch, height)` or
            `(batch, height, width)`. Defaults to the mask that the inputs carry, if any.

    Input shape:
        `(batch, ..., channels)` or `(batch, channels, ...)`, of rank 3 or more. All sizes except the number
        of channels may be unknown.

    Output shape:
        Same as the input.

    Masking:
        The mask is passed on. Padding is left out of the average, even if it holds NaN, and is zero in the
        outputs.

    Raises:
        ValueError: if `ratio` is not a positive integer, `data_format` is not recognised, or the number of
            channels is unknown.
        ValueError: if a mask has another shape than stated, or other values than booleans, 0 and 1.

    Example:
        ```python
        import keras
        from layerzoo import SqueezeExcite

        model = keras.Sequential([keras.Input((None, None, 64)), SqueezeExcite(16)])
        print(model.output_shape, model.count_params())
        #> (None, None, None, 64) 580
        ```

    Reference:
        [Squeeze-and-Excitation Networks](https://arxiv.org/abs/1709.01507). The hidden width is rounded down,
        as in the paper's code. timm rounds it to a multiple of 8, so its weights fit if `channels / ratio` is
        a multiple of 8.
    """

    def __init__(
        self,
        ratio: int = 16,
        activation="relu",
        gate_activation="sigmoid",
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        data_format: str | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.ratio = positive_int(ratio=ratio)
        self.activation = known_activation(activation=activation)
        self.gate_activation = known_activation(gate_activation=gate_activation)
        self.use_bias = boolean(use_bias=use_bias)
        self.kernel_initializer = initializer(kernel_initializer=kernel_initializer)
        self.data_format = image_format(data_format=data_format)
        self.supports_masking = True
        self.input_spec = layers.InputSpec(min_ndim=3)

    def build(self, input_shape):
        channels = known_channels(input_shape, self.data_format)
        hidden = max(1, channels // self.ratio)
        build_function(self.activation, (None, hidden))
        build_function(self.gate_activation, (None, channels), "gate_activation")
        self.reduce = dense(self, hidden, (None, channels), "reduce")
        self.expand = dense(self, channels, (None, hidden), "expand")
        self.input_spec = layers.InputSpec(
            min_ndim=3, axes={channel_axis(self.data_format): channels}
        )

    def call(self, inputs, mask=None):
        mask = fitting_mask(mask, position_sizes(inputs, self.data_format))
        inputs = floating(inputs, self.compute_dtype)
        x, mean = mean_over_positions(inputs, mask, self.data_format)
        hidden = activated(self.activation, self.reduce(mean))
        gate = activated(self.gate_activation, self.expand(hidden))
        return scale_channels(x, gate, self.data_format)

    def compute_output_shape(self, input_shape):
        return input_shape

    def compute_output_spec(self, inputs, mask=None):
        fitting_mask(mask, position_sizes(inputs, self.data_format))
        return keras.KerasTensor(inputs.shape, dtype=self.compute_dtype)

    def get_config(self):
        config = super().get_config()
        config.update(
            ratio=self.ratio,
            activation=serialized(self.activation),
            gate_activation=serialized(self.gate_activation),
            use_bias=self.use_bias,
            kernel_initializer=initializers.serialize(self.kernel_initializer),
            data_format=self.data_format,
        )
        return config
