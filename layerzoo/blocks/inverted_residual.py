import keras
from keras import initializers, layers

from layerzoo.building.arguments import (
    InitializerLike,
    image_format,
    initializer,
    known_activation,
    optional_positive_int,
    optional_seed,
    positive_int,
    positive_number,
    probability,
)
from layerzoo.building.convolutions import (
    batch_norm,
    convolution,
    depthwise_convolution,
    excitation,
    image_shape,
    positive_odd_int,
)
from layerzoo.building.recipe import recipe
from layerzoo.building.sublayers import build_function, serialized
from layerzoo.channels.squeeze_excite import SqueezeExcite
from layerzoo.ops.activations import activated
from layerzoo.ops.channels import channel_axis, known_channels
from layerzoo.ops.dtypes import floating
from layerzoo.ops.images import channels_restored, channels_to_end, convolved
from layerzoo.residual.drop_path import DropPath


@keras.saving.register_keras_serializable(package="layerzoo")
@recipe
class InvertedResidual(layers.Layer):
    r"""Inverted residual (MBConv): expand the channels, filter each by itself, and project back.

    $$
    y = S(x) + D(N_3(K_3 * E(h_2))), \qquad
    h_2 = \sigma(N_2(K_2 \circledast h_1)), \qquad h_1 = \sigma(N_1(K_1 * x))
    $$

    $K_1$ is a 1x1 convolution to `expansion` times as many channels. $K_2 \circledast$ is a depthwise
    convolution, one kernel for each channel, that moves by `strides`. $K_3$ is a 1x1 convolution to `filters`
    channels, and no activation follows it. None has a bias. $N_1$, $N_2$ and $N_3$ are batch normalisations,
    $\sigma$ is `activation`, and $D$ is a `DropPath`. $E$ is a `SqueezeExcite`, only with `squeeze_ratio`.
    $S(x) = x$ if the block keeps the shape. Otherwise there is no shortcut, and $S(x) = 0$ and $D$ drops
    nothing. With `expansion=1`, $h_1 = x$.

    Use when:
        - multiplications are scarce, as on a phone: MobileNetV2 and V3 and EfficientNet are stacks of this
          block.

    Avoid when:
        - speed on a large GPU matters: depthwise convolutions do little work for each byte that they move.
          Try `BottleneckBlock`.
        - batches hold few images: batch normalisation needs their statistics.

    Args:
        filters: Positive integer. Number of channels of the output.
        expansion: Positive integer. The depthwise convolution has `expansion` times the channels of the
            input. With 1, the first convolution is left out. Defaults to 6.
        kernel_size: Positive odd integer. Height and width of the depthwise kernels. Defaults to 3.
        strides: Positive integer. Height and width are divided by it and rounded up. Defaults to 1.
        squeeze_ratio: Positive integer. `ratio` of a `SqueezeExcite` of the expanded channels. Defaults to
            None: no `SqueezeExcite`.
        drop_path: Float between 0 and 1. Fraction of samples whose branch is dropped during training, where
            there is a shortcut. Defaults to 0.
        activation: Name, function or layer. Also the activation inside the `SqueezeExcite`. Defaults to
            `"relu6"`.
        kernel_initializer: Initializer for the kernels. Defaults to `"he_normal"`.
        momentum: Float between 0 and 1. Share of the old value when a batch normalisation updates its moving
            statistics. Defaults to 0.9.
        epsilon: Positive float. Added to the variance in the batch normalisations. Defaults to 1e-5.
        seed: Integer. Random seed for `drop_path`. Defaults to None.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to Keras's global setting,
            which is `"channels_last"` unless you change it.
        **kwargs: Standard Keras layer arguments: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: The images.
        training: Boolean. Whether to normalise with the statistics of the batch and to drop branches. A
            frozen block always normalises with its moving statistics.

    Input shape:
        `(batch, height, width, channels)` or `(batch, channels, height, width)`. All sizes except the number
        of channels may be unknown.

    Output shape:
        `(batch, ceil(height / strides), ceil(width / strides), filters)`, or the same with channels first.

    Masking:
        Not supported: images have no padding for a mask to mark.

    Raises:
        ValueError: if a size is not a positive integer, `kernel_size` is even, a number is out of range,
            `data_format` is not recognised, or the number of channels is unknown.

    Example:
        ```python
        import keras
        from layerzoo import InvertedResidual

        model = keras.Sequential([
            keras.Input((None, None, 64)),
            InvertedResidual(64),
            InvertedResidual(96, strides=2, squeeze_ratio=24, activation="silu"),
        ])
        print(model.output_shape)
        #> (None, None, None, 96)
        ```

    Reference:
        [MobileNetV2](https://arxiv.org/abs/1801.04381). `squeeze_ratio` is from
        [MnasNet](https://arxiv.org/abs/1807.11626). EfficientNet squeezes to a quarter of the channels before
        the expansion: with `expansion=6`, that is `squeeze_ratio=24`. timm rounds the expanded channels to a
        multiple of 8; this block does not round. The depthwise convolution is padded as Keras's `"same"`.
        With `strides=2` and an even height or width, it pads one row less at the start than PyTorch does.
        timm's models whose names begin with `tf_` are padded as this block, and have `epsilon=1e-3`.
        `momentum=0.9` is PyTorch's `momentum=0.1`.
    """

    def __init__(
        self,
        filters: int,
        expansion: int = 6,
        kernel_size: int = 3,
        strides: int = 1,
        squeeze_ratio: int | None = None,
        drop_path: float = 0.0,
        activation="relu6",
        kernel_initializer: InitializerLike = "he_normal",
        momentum: float = 0.9,
        epsilon: float = 1e-5,
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.filters = positive_int(filters=filters)
        self.expansion = positive_int(expansion=expansion)
        self.kernel_size = positive_odd_int(kernel_size=kernel_size)
        self.strides = positive_int(strides=strides)
        self.squeeze_ratio = optional_positive_int(squeeze_ratio=squeeze_ratio)
        self.drop_path = probability(drop_path=drop_path)
        self.activation = known_activation(activation=activation)
        self.kernel_initializer = initializer(kernel_initializer=kernel_initializer)
        self.momentum = probability(momentum=momentum)
        self.epsilon = positive_number(epsilon=epsilon)
        self.seed = optional_seed(seed=seed)
        self.data_format = image_format(data_format=data_format)
        self.input_spec = layers.InputSpec(ndim=4)

    def build(self, input_shape):
        channels = known_channels(input_shape, self.data_format)
        width, size = self.expansion * channels, self.kernel_size
        build_function(self.activation, (None, None, None, width))
        self.expand = None
        if self.expansion > 1:
            self.expand = convolution(self, channels, width, 1, "expand")
            self.expand_norm = batch_norm(self, width, "expand_norm")
        self.depthwise = depthwise_convolution(self, width, size, "depthwise", self.strides)
        self.depthwise_norm = batch_norm(self, width, "depthwise_norm")
        self.excite = excitation(self, SqueezeExcite, width)
        self.project = convolution(self, width, self.filters, 1, "project")
        self.project_norm = batch_norm(self, self.filters, "project_norm")
        self.drop = None
        if self.strides == 1 and channels == self.filters:
            self.drop = DropPath(
                self.drop_path, self.seed, dtype=self.dtype_policy, name="drop_path"
            )
            self.drop.build((None, None, None, self.filters))
        self.input_spec = layers.InputSpec(ndim=4, axes={channel_axis(self.data_format): channels})

    def call(self, inputs, training=None):
        x = branch = channels_to_end(floating(inputs, self.compute_dtype), self.data_format)
        if self.expand is not None:
            branch = activated(self.activation, self.expand_norm(self.expand(x), training=training))
        branch = self.depthwise_norm(convolved(self.depthwise, branch), training=training)
        branch = activated(self.activation, branch)
        if self.excite is not None:
            branch = self.excite(branch)
        branch = self.project_norm(self.project(branch), training=training)
        y = branch if self.drop is None else x + self.drop(branch, training=training)
        return channels_restored(y, self.data_format)

    def compute_output_shape(self, input_shape):
        return image_shape(input_shape, self.filters, self.strides, self.data_format)

    def get_config(self):
        config = super().get_config()
        config.update(
            filters=self.filters,
            expansion=self.expansion,
            kernel_size=self.kernel_size,
            strides=self.strides,
            squeeze_ratio=self.squeeze_ratio,
            drop_path=self.drop_path,
            activation=serialized(self.activation),
            kernel_initializer=initializers.serialize(self.kernel_initializer),
            momentum=self.momentum,
            epsilon=self.epsilon,
            seed=self.seed,
            data_format=self.data_format,
        )
        return config
