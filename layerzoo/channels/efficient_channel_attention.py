import keras
from keras import initializers, layers, ops

from layerzoo.building.arguments import (
    InitializerLike,
    another,
    image_format,
    initializer,
    positive_number,
)
from layerzoo.building.recipe import recipe
from layerzoo.ops.channels import (
    adaptive_kernel_size,
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
class EfficientChannelAttention(layers.Layer):
    r"""Efficient channel attention (ECA): gates each channel by the averages of its neighbouring channels.

    $$
    y_{pc} = \sigma\Big( \sum_{i=-(k-1)/2}^{(k-1)/2} w_i\, z_{c+i} \Big)\, x_{pc}, \qquad
    z_c = \frac{1}{|P|} \sum_{p \in P} x_{pc}, \qquad
    k = \Big| \frac{\log_2 C + \beta}{\gamma} \Big|_{\mathrm{odd}}
    $$

    $p$ is a position (a pixel or a step), and $P$ is the set of positions that are not padding. $c$ is one of
    the $C$ channels. Beyond the first and last channel, $z$ is zero. $|\cdot|_{\mathrm{odd}}$ rounds to the
    nearest odd number, and up in a tie. The $k$ numbers $w$ are the only weights of this layer.

    Use when:
        - `SqueezeExcite` has too many weights, or loses too much in its narrow hidden layer.

    Avoid when:
        - distant channels should decide together: `SqueezeExcite` connects all of them.
        - the model must be causal: the average sees every step.

    Args:
        gamma: Positive float. A larger value gives a smaller kernel. Defaults to 2.
        beta: Positive float. A larger value gives a larger kernel. Defaults to 1.
        kernel_initializer: Initializer for the kernel. Defaults to `"glorot_uniform"`.
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
        ValueError: if `gamma` or `beta` is not positive, `data_format` is not recognised, or the number of
            channels is unknown.
        ValueError: if a mask has another shape than stated, or other values than booleans, 0 and 1.

    Example:
        ```python
        import keras
        from layerzoo import EfficientChannelAttention

        model = keras.Sequential([keras.Input((None, None, 64)), EfficientChannelAttention()])
        print(model.output_shape, model.count_params())
        #> (None, None, None, 64) 3
        ```

    Reference:
        [ECA-Net](https://arxiv.org/abs/1910.03151). The kernel size is that of the paper and its code. timm
        uses at least 3, which differs only below 8 channels.
    """

    def __init__(
        self,
        gamma: float = 2.0,
        beta: float = 1.0,
        kernel_initializer: InitializerLike = "glorot_uniform",
        data_format: str | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.gamma = positive_number(gamma=gamma)
        self.beta = positive_number(beta=beta)
        self.kernel_initializer = initializer(kernel_initializer=kernel_initializer)
        self.data_format = image_format(data_format=data_format)
        self.supports_masking = True
        self.input_spec = layers.InputSpec(min_ndim=3)

    def build(self, input_shape):
        channels = known_channels(input_shape, self.data_format)
        self.convolution = layers.Conv1D(
            1,
            adaptive_kernel_size(channels, self.gamma, self.beta),
            padding="same",
            data_format="channels_last",
            use_bias=False,
            kernel_initializer=another(self.kernel_initializer),
            dtype=self.dtype_policy,
            name="convolution",
        )
        self.convolution.build((None, channels, 1))
        self.input_spec = layers.InputSpec(
            min_ndim=3, axes={channel_axis(self.data_format): channels}
        )

    def call(self, inputs, mask=None):
        mask = fitting_mask(mask, position_sizes(inputs, self.data_format))
        inputs = floating(inputs, self.compute_dtype)
        x, mean = mean_over_positions(inputs, mask, self.data_format)
        gate = ops.sigmoid(self.convolution(ops.expand_dims(mean, -1)))  # (b, c, 1)
        return scale_channels(x, ops.squeeze(gate, -1), self.data_format)

    def compute_output_shape(self, input_shape):
        return input_shape

    def compute_output_spec(self, inputs, mask=None):
        fitting_mask(mask, position_sizes(inputs, self.data_format))
        return keras.KerasTensor(inputs.shape, dtype=self.compute_dtype)

    def get_config(self):
        config = super().get_config()
        config.update(
            gamma=self.gamma,
            beta=self.beta,
            kernel_initializer=initializers.serialize(self.kernel_initializer),
            data_format=self.data_format,
        )
        return config
