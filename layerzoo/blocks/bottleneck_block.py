import keras
from keras import initializers, layers

from layerzoo.building.arguments import (
    InitializerLike,
    boolean,
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
    excitation,
    image_shape,
    must_divide,
    shortcut_projection,
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
class BottleneckBlock(layers.Layer):
    r"""Bottleneck block of a ResNet, ResNeXt or SE-ResNet: 1x1, 3x3 and 1x1 convolutions, and a shortcut.

    $$
    y = \sigma\big(S(x) + D(E(N_3(K_3 * h_2)))\big), \qquad
    h_2 = \sigma(N_2(K_2 * h_1)), \qquad h_1 = \sigma(N_1(K_1 * x))
    $$

    $K_1$ is a 1x1 convolution to `width` channels, $K_2$ a 3x3 convolution that moves by `strides`, in
    `groups` groups of channels, and $K_3$ a 1x1 convolution to `filters` channels. None has a bias. $N_1$,
    $N_2$ and $N_3$ are batch normalisations, $\sigma$ is `activation`, and $D$ is a `DropPath`. $E$ is a
    `SqueezeExcite`, only with `squeeze_ratio`. $S(x) = x$ if the shape is kept. Otherwise
    $S(x) = N_S(K_S * x)$, where $K_S$ is a 1x1 convolution that moves by `strides`.

    Use when:
        - you build a ResNet of 50 layers or more: at the same number of channels, the block has a seventeenth
          of the weights of a `ResNetBlock`.
        - you build a ResNeXt (`groups=32`) or an SE-ResNet (`squeeze_ratio=16`).

    Avoid when:
        - there are few channels: `ResNetBlock` has two full convolutions.
        - batches hold few images: batch normalisation needs their statistics.

    Args:
        filters: Positive integer. Number of channels of the output: four times what the paper calls the
            planes.
        strides: Positive integer. Height and width are divided by it and rounded up. Defaults to 1.
        groups: Positive integer. The 3x3 convolution works in as many separate groups of channels. It must
            divide `width`. Defaults to 1.
        width: Positive integer. Number of channels of the 3x3 convolution. Defaults to `filters // 4`.
        squeeze_ratio: Positive integer. `ratio` of a `SqueezeExcite` at the end of the branch. Defaults to
            None: no `SqueezeExcite`.
        zero_init: Boolean. Whether the last gamma starts at 0, so that the block starts as its shortcut,
            followed by the activation. Defaults to False.
        drop_path: Float between 0 and 1. Fraction of samples whose branch is dropped during training.
            Defaults to 0.
        activation: Name, function or layer. Also the activation inside the `SqueezeExcite`. A layer with
            weights must fit `width` and `filters` channels alike. Defaults to `"relu"`.
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
        ValueError: if a size is not a positive integer, `groups` does not divide `width`, a number is out of
            range, `data_format` is not recognised, or the number of channels is unknown.

    Example:
        ```python
        import keras
        from layerzoo import BottleneckBlock

        model = keras.Sequential([
            keras.Input((None, None, 64)),
            BottleneckBlock(256),
            BottleneckBlock(512, strides=2),
        ])
        print(model.output_shape)
        #> (None, None, None, 512)
        ```

    Reference:
        [Deep Residual Learning](https://arxiv.org/abs/1512.03385). `groups` is from
        [ResNeXt](https://arxiv.org/abs/1611.05431), `squeeze_ratio` from
        [Squeeze-and-Excitation Networks](https://arxiv.org/abs/1709.01507). The first paper has the stride in
        the first convolution. Here it is in the 3x3 convolution, as in torchvision, timm and ResNeXt. The
        convolutions are padded as Keras's `"same"`. With `strides=2` and an even height or width, it pads one
        row less at the start than PyTorch does: its windows are centred at rows 1, 3, ... and PyTorch's at
        rows 0, 2, .... For odd sizes both are the same. `momentum=0.9` is PyTorch's `momentum=0.1`.
    """

    def __init__(
        self,
        filters: int,
        strides: int = 1,
        groups: int = 1,
        width: int | None = None,
        squeeze_ratio: int | None = None,
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
        self.strides = positive_int(strides=strides)
        self.groups = positive_int(groups=groups)
        self.width = optional_positive_int(width=width)
        must_divide(self.groups, width=self.width or max(1, self.filters // 4))
        self.squeeze_ratio = optional_positive_int(squeeze_ratio=squeeze_ratio)
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
        width = self.width or max(1, filters // 4)
        for size in (width, filters):
            build_function(self.activation, (None, None, None, size))
        self.reduce = convolution(self, channels, width, 1, "reduce")
        self.reduce_norm = batch_norm(self, width, "reduce_norm")
        self.middle = convolution(self, width, width, 3, "middle", self.strides, self.groups)
        self.middle_norm = batch_norm(self, width, "middle_norm")
        self.expand = convolution(self, width, filters, 1, "expand")
        self.expand_norm = batch_norm(self, filters, "expand_norm", self.zero_init)
        self.project, self.project_norm = shortcut_projection(self, channels)
        self.excite = excitation(self, SqueezeExcite, filters)
        self.drop = DropPath(self.drop_path, self.seed, dtype=self.dtype_policy, name="drop_path")
        self.drop.build((None, None, None, filters))
        self.input_spec = layers.InputSpec(ndim=4, axes={channel_axis(self.data_format): channels})

    def call(self, inputs, training=None):
        x = channels_to_end(floating(inputs, self.compute_dtype), self.data_format)
        branch = self.reduce_norm(self.reduce(x), training=training)
        branch = convolved(self.middle, activated(self.activation, branch))
        branch = activated(self.activation, self.middle_norm(branch, training=training))
        branch = self.expand_norm(self.expand(branch), training=training)
        if self.excite is not None:
            branch = self.excite(branch)
        if self.project is not None:
            x = self.project_norm(self.project(x), training=training)
        y = activated(self.activation, x + self.drop(branch, training=training))
        return channels_restored(y, self.data_format)

    def compute_output_shape(self, input_shape):
        return image_shape(input_shape, self.filters, self.strides, self.data_format)

    def get_config(self):
        config = super().get_config()
        config.update(
            filters=self.filters,
            strides=self.strides,
            groups=self.groups,
            width=self.width,
            squeeze_ratio=self.squeeze_ratio,
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
