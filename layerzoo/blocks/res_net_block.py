import keras
from keras import initializers, layers

from layerzoo.building.arguments import (
    InitializerLike,
    boolean,
    image_format,
    initializer,
    known_activation,
    optional_seed,
    positive_int,
    positive_number,
    probability,
)
from layerzoo.building.convolutions import (
    batch_norm,
    convolution,
    image_shape,
    must_divide,
    must_divide_channels,
    positive_odd_int,
    shortcut_projection,
)
from layerzoo.building.recipe import recipe
from layerzoo.building.sublayers import build_function, serialized
from layerzoo.ops.activations import activated
from layerzoo.ops.channels import channel_axis, known_channels
from layerzoo.ops.dtypes import floating
from layerzoo.ops.images import channels_restored, channels_to_end, convolved
from layerzoo.residual.drop_path import DropPath


@keras.saving.register_keras_serializable(package="layerzoo")
@recipe
class ResNetBlock(layers.Layer):
    r"""Basic block of a ResNet: two convolutions with batch normalisation, and a shortcut.

    $$
    \begin{aligned}
    \text{default:} \quad & y = \sigma\big(S(x) + D(N_2(K_2 * \sigma(N_1(K_1 * x))))\big) \\
    \text{preactivation:} \quad & y = S(x) + D(K_2 * \sigma(N_2(K_1 * a))), \qquad a = \sigma(N_1(x))
    \end{aligned}
    $$

    $K_1$ and $K_2$ are convolutions without bias; $K_1$ moves by `strides`. $N_1$ and $N_2$ are batch
    normalisations, $\sigma$ is `activation`, and $D$ is a `DropPath`. $S(x) = x$ if the shape is kept.
    Otherwise $S$ is a 1x1 convolution that moves by `strides`: $S(x) = N_S(K_S * x)$, or $K_S * a$ with
    `preactivation`.

    Use when:
        - you build a ResNet of up to about 34 layers, or need a sound baseline for images.
        - `preactivation=True`: the network is very deep. The shortcuts of all blocks then form one path
          that no activation interrupts.

    Avoid when:
        - there are many channels: `BottleneckBlock` has a fraction of the weights.
        - batches hold few images: batch normalisation needs their statistics.

    Args:
        filters: Positive integer. Number of channels of the output.
        kernel_size: Positive odd integer. Height and width of the two kernels. Defaults to 3.
        strides: Positive integer. Height and width are divided by it and rounded up. Defaults to 1.
        groups: Positive integer. Both convolutions work in as many separate groups of channels. It must
            divide `filters` and the number of channels of the inputs. Defaults to 1.
        preactivation: Boolean. Whether normalisation and activation come before each convolution. Defaults
            to False.
        zero_init: Boolean. Whether the branch starts at zero, so that the block starts as its shortcut,
            followed by the activation. The last gamma starts at 0, or with `preactivation` the last kernel.
            Defaults to False.
        drop_path: Float between 0 and 1. Fraction of samples whose branch is dropped during training.
            Defaults to 0.
        activation: Name, function or layer. A layer with weights is shared by both places. Defaults to
            `"relu"`.
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
        ValueError: if a size is not a positive integer, `kernel_size` is even, `groups` does not divide
            `filters` or the number of channels, a number is out of range, `data_format` is not recognised,
            or the number of channels is unknown.

    Example:
        ```python
        import keras
        from layerzoo import ResNetBlock

        model = keras.Sequential([
            keras.Input((None, None, 32)),
            ResNetBlock(32),
            ResNetBlock(64, strides=2),
        ])
        print(model.output_shape)
        #> (None, None, None, 64)
        ```

    Reference:
        [Deep Residual Learning](https://arxiv.org/abs/1512.03385), and for `preactivation`
        [Identity Mappings](https://arxiv.org/abs/1603.05027). The convolutions are padded as Keras's
        `"same"`. With `strides=2` and an even height or width, it pads one row less at the start than
        PyTorch does: its windows are centred at rows 1, 3, ... and PyTorch's at rows 0, 2, .... For odd sizes
        both are the same. `momentum=0.9` is PyTorch's `momentum=0.1`.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int = 3,
        strides: int = 1,
        groups: int = 1,
        preactivation: bool = False,
        zero_init: bool = False,
        drop_path: float = 0.0,
        activation="relu",
        kernel_initializer: InitializerLike = "he_normal",
        momentum: float = 0.9,
        epsilon: float = 1e-5,
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.filters = positive_int(filters=filters)
        self.kernel_size = positive_odd_int(kernel_size=kernel_size)
        self.strides = positive_int(strides=strides)
        self.groups = positive_int(groups=groups)
        must_divide(self.groups, filters=self.filters)
        self.preactivation = boolean(preactivation=preactivation)
        self.zero_init = boolean(zero_init=zero_init)
        self.drop_path = probability(drop_path=drop_path)
        self.activation = known_activation(activation=activation)
        self.kernel_initializer = initializer(kernel_initializer=kernel_initializer)
        self.momentum = probability(momentum=momentum)
        self.epsilon = positive_number(epsilon=epsilon)
        self.seed = optional_seed(seed=seed)
        self.data_format = image_format(data_format=data_format)
        self.input_spec = layers.InputSpec(ndim=4)

    def build(self, input_shape):
        channels, filters = known_channels(input_shape, self.data_format), self.filters
        must_divide_channels(self.groups, channels, input_shape)
        size, groups, early = self.kernel_size, self.groups, self.preactivation
        build_function(self.activation, (None, None, None, filters))
        self.convolution_1 = convolution(
            self, channels, filters, size, "convolution_1", self.strides, groups
        )
        self.convolution_2 = convolution(
            self, filters, filters, size, "convolution_2", 1, groups, self.zero_init and early
        )
        self.norm_1 = batch_norm(self, channels if early else filters, "norm_1")
        self.norm_2 = batch_norm(self, filters, "norm_2", self.zero_init and not early)
        self.project, self.project_norm = shortcut_projection(self, channels, not early)
        self.drop = DropPath(self.drop_path, self.seed, dtype=self.dtype_policy, name="drop_path")
        self.drop.build((None, None, None, filters))
        self.input_spec = layers.InputSpec(ndim=4, axes={channel_axis(self.data_format): channels})

    def call(self, inputs, training=None):
        x = channels_to_end(floating(inputs, self.compute_dtype), self.data_format)
        block = self._preactivated if self.preactivation else self._activated
        return channels_restored(block(x, training), self.data_format)

    def compute_output_shape(self, input_shape):
        return image_shape(input_shape, self.filters, self.strides, self.data_format)

    def get_config(self):
        config = super().get_config()
        config.update(
            filters=self.filters,
            kernel_size=self.kernel_size,
            strides=self.strides,
            groups=self.groups,
            preactivation=self.preactivation,
            zero_init=self.zero_init,
            drop_path=self.drop_path,
            activation=serialized(self.activation),
            kernel_initializer=initializers.serialize(self.kernel_initializer),
            momentum=self.momentum,
            epsilon=self.epsilon,
            seed=self.seed,
            data_format=self.data_format,
        )
        return config

    def _activated(self, x, training):
        branch = self.norm_1(convolved(self.convolution_1, x), training=training)
        branch = convolved(self.convolution_2, activated(self.activation, branch))
        branch = self.drop(self.norm_2(branch, training=training), training=training)
        if self.project is not None:
            x = self.project_norm(self.project(x), training=training)
        return activated(self.activation, x + branch)

    def _preactivated(self, x, training):
        active = activated(self.activation, self.norm_1(x, training=training))
        branch = self.norm_2(convolved(self.convolution_1, active), training=training)
        branch = convolved(self.convolution_2, activated(self.activation, branch))
        if self.project is not None:
            x = self.project(active)
        return x + self.drop(branch, training=training)
