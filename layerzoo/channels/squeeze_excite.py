import keras
from keras import activations, initializers, layers

from layerzoo.building.arguments import InitializerLike, one_of, positive_int
from layerzoo.building.sublayers import build_function, dense, unbuilt
from layerzoo.ops.channels import (
    channel_axis,
    known_channels,
    mean_over_positions,
    scale_channels,
)


@keras.saving.register_keras_serializable(package="layerzoo")
class SqueezeExcite(layers.Layer):
    r"""Weighs each channel by what the mean over all positions says of the sample.

    $$
    y_{pc} = g_c\, x_{pc}, \qquad g = \sigma\big(W_2\, \delta(W_1 z)\big), \qquad
    z_c = \frac{1}{|P|} \sum_{p \in P} x_{pc}
    $$

    $p$ is a position, a pixel or a step, and $P$ those that are no padding; $c$ is a channel. $W_1$
    leads to a hidden layer that is `ratio` times narrower, $\delta$ is `activation`, $\sigma$
    `gate_activation`. Each map has a bias.

    Use when:
        - a convolutional block should see the whole image or sequence at nearly no cost.

    Avoid when:
        - single positions should be weighed: `ConvolutionalBlockAttention` does both for images.
        - the model must be causal: the mean sees every step.

    Args:
        ratio: Positive integer. The hidden layer has `channels // ratio` units, at least 1.
        activation: Name, function or layer: what the hidden layer goes through. Default `"relu"`.
        gate_activation: Likewise of the gate. Default `"sigmoid"`.
        use_bias: Boolean. Whether the two maps have a bias.
        kernel_initializer: Initializer of the two kernels.
        data_format: `"channels_last"` or `"channels_first"`, whatever Keras is set to.
        **kwargs: Keras's own: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: A sequence, an image, a volume.
        mask: Boolean `(batch, time)`, false at padding. Taken from the inputs where they carry one.

    Input shape:
        `(batch, ..., channels)` or `(batch, channels, ...)`, of rank 3 or more. Every axis but that of
        the channels may be unknown.

    Output shape:
        The input's.

    Masking:
        Passed on. Padding is left out of the mean, whatever it holds, NaN included, and is zero in the
        outputs.

    Raises:
        ValueError: `ratio` is no positive integer, `data_format` is unknown, or the number of channels.

    Example:
        ```python
        import keras
        from layerzoo import SqueezeExcite

        model = keras.Sequential([keras.Input((None, None, 64)), SqueezeExcite(16)])
        print(model.output_shape, model.count_params())
        #> (None, None, None, 64) 580
        ```

    Reference:
        [Squeeze-and-Excitation Networks](https://arxiv.org/abs/1709.01507). As in the paper's code, the
        hidden width is rounded down; timm rounds it to a multiple of 8, so that its weights fit where
        `channels / ratio` is one.
    """

    def __init__(
        self,
        ratio: int = 16,
        activation="relu",
        gate_activation="sigmoid",
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        data_format: str = "channels_last",
        **kwargs,
    ):
        super().__init__(**kwargs)
        positive_int(ratio=ratio)
        one_of(("channels_last", "channels_first"), data_format=data_format)
        self.ratio = ratio
        self.activation = activations.get(activation)
        self.gate_activation = activations.get(gate_activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.data_format = data_format
        self.supports_masking = True
        self.input_spec = layers.InputSpec(min_ndim=3)

    def build(self, input_shape):
        channels = known_channels(input_shape, self.data_format)
        hidden = max(1, channels // self.ratio)
        self.reduce = dense(self, hidden, (None, channels), "reduce")
        self.expand = dense(self, channels, (None, hidden), "expand")
        build_function(self.activation, (None, hidden))
        build_function(self.gate_activation, (None, channels))
        self.input_spec = layers.InputSpec(
            min_ndim=3, axes={channel_axis(self.data_format): channels}
        )

    def call(self, inputs, mask=None):
        x, mean = mean_over_positions(inputs, mask, self.data_format)
        hidden = self.activation(self.reduce(mean))
        gate = self.gate_activation(self.expand(hidden))
        return scale_channels(x, gate, self.data_format)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        config = super().get_config()
        config.update(
            ratio=self.ratio,
            activation=unbuilt(activations.serialize(self.activation)),
            gate_activation=unbuilt(activations.serialize(self.gate_activation)),
            use_bias=self.use_bias,
            kernel_initializer=initializers.serialize(self.kernel_initializer),
            data_format=self.data_format,
        )
        return config
