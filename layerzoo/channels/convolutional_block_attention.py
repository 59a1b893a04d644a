import keras
from keras import backend, initializers, layers, ops

from layerzoo.building.arguments import (
    InitializerLike,
    another,
    boolean,
    image_format,
    initializer,
    known_activation,
    positive_int,
)
from layerzoo.building.recipe import recipe
from layerzoo.building.sublayers import build_function, dense, serialized
from layerzoo.ops.activations import activated
from layerzoo.ops.channels import channel_axis, known_channels, position_axes, scale_channels
from layerzoo.ops.dtypes import floating


@keras.saving.register_keras_serializable(package="layerzoo")
@recipe
class ConvolutionalBlockAttention(layers.Layer):
    r"""Convolutional block attention (CBAM): gates the channels of an image, and then its pixels.

    $$
    u_{pc} = \sigma\Big( f\big(\operatorname*{mean}_p x_{pc}\big) + f\big(\max_p x_{pc}\big)
        \Big)_{\!c}\; x_{pc}, \qquad
    y_{pc} = \sigma\Big( K * \big[\operatorname*{mean}_c u_{pc};\; \max_c u_{pc}\big] \Big)_{\!p}\;
        u_{pc}
    $$

    $p$ is a pixel and $c$ a channel. $f(z) = W_2\, \delta(W_1 z)$ is one MLP, shared by the mean and the
    maximum. Its hidden layer is `ratio` times narrower, and $\delta$ is `activation`. $K$ is a convolution
    from two channels to one. Both maps and the convolution have a bias.

    Use when:
        - a convolutional block should learn both what matters (channels) and where (pixels).

    Avoid when:
        - the inputs are sequences.
        - gating the channels is enough: `SqueezeExcite` is cheaper.

    Args:
        ratio: Positive integer. The hidden layer has `channels // ratio` units, and at least 1. Defaults to
            16.
        kernel_size: Positive integer. Height and width of the convolution. Defaults to 7.
        activation: Name, function or layer. Activation of the hidden layer. Defaults to `"relu"`.
        use_bias: Boolean. Whether the two maps and the convolution have a bias. Defaults to True.
        kernel_initializer: Initializer for the three kernels. Defaults to `"glorot_uniform"`.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to Keras's global setting,
            which is `"channels_last"` unless you change it.
        **kwargs: Standard Keras layer arguments: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: The images.

    Input shape:
        `(batch, height, width, channels)` or `(batch, channels, height, width)`. All sizes except the number
        of channels may be unknown.

    Output shape:
        Same as the input.

    Masking:
        Not supported: images have no padding for a mask to mark.

    Raises:
        ValueError: if `ratio` or `kernel_size` is not a positive integer, `data_format` is not recognised, or
            the number of channels is unknown.

    Example:
        ```python
        import keras
        from layerzoo import ConvolutionalBlockAttention

        model = keras.Sequential([keras.Input((None, None, 64)), ConvolutionalBlockAttention(16)])
        print(model.output_shape, model.count_params())
        #> (None, None, None, 64) 679
        ```

    Reference:
        [CBAM](https://arxiv.org/abs/1807.06521), as its equations define it. The authors' code and timm apply
        batch normalisation after the convolution; at inference it folds into the kernel and the bias. timm's
        MLP has no bias. timm rounds the hidden width to the nearest integer; here it is rounded down.
    """

    def __init__(
        self,
        ratio: int = 16,
        kernel_size: int = 7,
        activation="relu",
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        data_format: str | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.ratio = positive_int(ratio=ratio)
        self.kernel_size = positive_int(kernel_size=kernel_size)
        self.activation = known_activation(activation=activation)
        self.use_bias = boolean(use_bias=use_bias)
        self.kernel_initializer = initializer(kernel_initializer=kernel_initializer)
        self.data_format = image_format(data_format=data_format)
        self.input_spec = layers.InputSpec(ndim=4)

    def build(self, input_shape):
        channels = known_channels(input_shape, self.data_format)
        hidden = max(1, channels // self.ratio)
        build_function(self.activation, (None, 2, hidden))
        self.reduce = dense(self, hidden, (None, 2, channels), "reduce")
        self.expand = dense(self, channels, (None, 2, hidden), "expand")
        self.convolution = layers.Conv2D(
            1,
            self.kernel_size,
            padding="same",
            data_format="channels_last",
            use_bias=self.use_bias,
            kernel_initializer=another(self.kernel_initializer),
            dtype=self.dtype_policy,
            name="convolution",
        )
        self.convolution.build((None, None, None, 2))
        self.input_spec = layers.InputSpec(ndim=4, axes={channel_axis(self.data_format): channels})

    def call(self, inputs):
        inputs = floating(inputs, self.compute_dtype)
        pooled = self._mean_and_max(inputs, position_axes(inputs, self.data_format), 1)  # (b, 2, c)
        gates = self.expand(activated(self.activation, self.reduce(pooled)))
        x = scale_channels(inputs, ops.sigmoid(ops.sum(gates, 1)), self.data_format)
        channels = channel_axis(self.data_format)
        pooled = self._mean_and_max(x, channels, -1)  # (b, y, x, 2)
        gate = ops.sigmoid(self.convolution(pooled))  # (b, y, x, 1)
        if self.data_format == "channels_first":
            gate = ops.transpose(gate, (0, 3, 1, 2))
        return x * gate

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        config = super().get_config()
        config.update(
            ratio=self.ratio,
            kernel_size=self.kernel_size,
            activation=serialized(self.activation),
            use_bias=self.use_bias,
            kernel_initializer=initializers.serialize(self.kernel_initializer),
            data_format=self.data_format,
        )
        return config

    def _mean_and_max(self, x, axes, beside):
        """Stack the mean over some axes, computed in float32 or better, and the maximum."""
        mean = ops.mean(ops.cast(x, backend.result_type(x.dtype, "float32")), axes)
        return ops.stack([ops.cast(mean, x.dtype), ops.amax(x, axes)], beside)
