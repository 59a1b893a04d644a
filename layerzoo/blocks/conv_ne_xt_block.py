import keras
from keras import initializers, layers

from layerzoo.building.arguments import (
    InitializerLike,
    boolean,
    image_format,
    initializer,
    known_activation,
    optional_non_negative_number,
    optional_seed,
    positive_int,
    positive_number,
    probability,
)
from layerzoo.building.convolutions import depthwise_convolution, positive_odd_int
from layerzoo.building.recipe import recipe
from layerzoo.building.sublayers import build_function, dense, layer_norm, serialized
from layerzoo.ops.activations import activated
from layerzoo.ops.channels import channel_axis, known_channels
from layerzoo.ops.dtypes import floating
from layerzoo.ops.images import channels_restored, channels_to_end, global_response_norm
from layerzoo.ops.norms import normalized
from layerzoo.residual.drop_path import DropPath
from layerzoo.residual.layer_scale import LayerScale


@keras.saving.register_keras_serializable(package="layerzoo")
@recipe
class ConvNeXtBlock(layers.Layer):
    r"""ConvNeXt block, V1 or V2: a depthwise 7x7 convolution, and an MLP for each pixel.

    $$
    y = x + D\big(\gamma \odot W_2\, R(\sigma(W_1\, N(K \circledast x)))\big), \qquad
    R(h) = h + \gamma_R \odot h \odot \frac{g}{\operatorname{mean}_c g + \epsilon} + \beta_R, \qquad
    g_c = \lVert h_{:,:,c} \rVert_2
    $$

    $K \circledast$ is a depthwise convolution, one kernel for each channel. $N$ is a layer normalisation of
    the channels of each pixel. $W_1$ and $W_2$ map the channels of a pixel, and $W_1$ gives `expansion` times
    as many. $\sigma$ is `activation`. $R$ is the global response normalisation of V2, only with
    `global_response_norm`: $g_c$ is the norm of channel $c$ over height and width. $\gamma$ is one factor
    per channel, only with `layer_scale`, and $D$ is a `DropPath`.

    Use when:
        - you build a ConvNeXt, or want a convolutional block with the habits of a Transformer's: one
          normalisation, one activation, no statistics of the batch.

    Avoid when:
        - the block should change the number of channels or the size: put a normalisation and a convolution
          with strides between two stages, as the paper does.
        - images are smaller than the kernel: most of it then sees padding.

    Args:
        kernel_size: Positive odd integer. Height and width of the depthwise kernels. Defaults to 7.
        expansion: Positive integer. The hidden layer of the MLP has `expansion` times the channels. Defaults
            to 4.
        global_response_norm: Boolean. Whether the channels of the hidden layer compete by global response
            normalisation, as in V2. It starts as the identity. Defaults to False.
        layer_scale: Float of at least 0. Initial value of the factor per channel at the end of the branch.
            With 0, the block starts as the identity. None leaves the factor out, as V2 does. Defaults to
            1e-6.
        drop_path: Float between 0 and 1. Fraction of samples whose branch is dropped during training.
            Defaults to 0.
        activation: Name, function or layer. Defaults to `"gelu"`.
        use_bias: Boolean. Whether the convolution and the two maps have a bias. Defaults to True.
        kernel_initializer: Initializer for the three kernels. Defaults to `"glorot_uniform"`.
        epsilon: Positive float. Added to the variance in the layer normalisation, and to the mean of the
            norms in the global response normalisation. Defaults to 1e-6.
        seed: Integer. Random seed for `drop_path`. Defaults to None.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to Keras's global setting,
            which is `"channels_last"` unless you change it.
        **kwargs: Standard Keras layer arguments: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: The images.
        training: Boolean. Whether to drop branches.

    Input shape:
        `(batch, height, width, channels)` or `(batch, channels, height, width)`. All sizes except the number
        of channels may be unknown.

    Output shape:
        Same as the input.

    Masking:
        Not supported: images have no padding for a mask to mark.

    Raises:
        ValueError: if a size is not a positive integer, `kernel_size` is even, a number is out of range,
            `data_format` is not recognised, or the number of channels is unknown.

    Example:
        ```python
        import keras
        from layerzoo import ConvNeXtBlock

        model = keras.Sequential([
            keras.Input((None, None, 96)),
            ConvNeXtBlock(),
            ConvNeXtBlock(global_response_norm=True, layer_scale=None),
        ])
        print(model.output_shape)
        #> (None, None, None, 96)
        ```

    Reference:
        [A ConvNet for the 2020s](https://arxiv.org/abs/2201.03545), and for `global_response_norm`
        [ConvNeXt V2](https://arxiv.org/abs/2301.00808). The papers draw the kernels from a truncated normal
        distribution: `kernel_initializer=keras.initializers.TruncatedNormal(stddev=0.02)`.
    """

    def __init__(
        self,
        kernel_size: int = 7,
        expansion: int = 4,
        global_response_norm: bool = False,
        layer_scale: float | None = 1e-6,
        drop_path: float = 0.0,
        activation="gelu",
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        epsilon: float = 1e-6,
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.kernel_size = positive_odd_int(kernel_size=kernel_size)
        self.expansion = positive_int(expansion=expansion)
        self.global_response_norm = boolean(global_response_norm=global_response_norm)
        self.layer_scale = optional_non_negative_number(layer_scale=layer_scale)
        self.drop_path = probability(drop_path=drop_path)
        self.activation = known_activation(activation=activation)
        self.use_bias = boolean(use_bias=use_bias)
        self.kernel_initializer = initializer(kernel_initializer=kernel_initializer)
        self.epsilon = positive_number(epsilon=epsilon)
        self.seed = optional_seed(seed=seed)
        self.data_format = image_format(data_format=data_format)
        self.input_spec = layers.InputSpec(ndim=4)

    def build(self, input_shape):
        channels = known_channels(input_shape, self.data_format)
        hidden = self.expansion * channels
        image, hidden_image = (None, None, None, channels), (None, None, None, hidden)
        build_function(self.activation, hidden_image)
        self.depthwise = depthwise_convolution(
            self, channels, self.kernel_size, "depthwise", use_bias=self.use_bias
        )
        self.norm = layer_norm(self, image, "norm")
        self.expand = dense(self, hidden, image, "expand")
        if self.global_response_norm:
            self.response_gamma = self.add_weight((hidden,), "zeros", name="response_gamma")
            self.response_beta = self.add_weight((hidden,), "zeros", name="response_beta")
        self.project = dense(self, channels, hidden_image, "project")
        if self.layer_scale is not None:
            self.scale = LayerScale(
                self.layer_scale, "channels_last", dtype=self.dtype_policy, name="scale"
            )
            self.scale.build(image)
        self.drop = DropPath(self.drop_path, self.seed, dtype=self.dtype_policy, name="drop_path")
        self.drop.build(image)
        self.input_spec = layers.InputSpec(ndim=4, axes={channel_axis(self.data_format): channels})

    def call(self, inputs, training=None):
        x = channels_to_end(floating(inputs, self.compute_dtype), self.data_format)
        branch = normalized(self.norm, self.depthwise(x))
        branch = activated(self.activation, self.expand(branch))
        if self.global_response_norm:
            branch = global_response_norm(
                branch, self.response_gamma, self.response_beta, self.epsilon
            )
        branch = self.project(branch)
        if self.layer_scale is not None:
            branch = self.scale(branch)
        return channels_restored(x + self.drop(branch, training=training), self.data_format)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        config = super().get_config()
        config.update(
            kernel_size=self.kernel_size,
            expansion=self.expansion,
            global_response_norm=self.global_response_norm,
            layer_scale=self.layer_scale,
            drop_path=self.drop_path,
            activation=serialized(self.activation),
            use_bias=self.use_bias,
            kernel_initializer=initializers.serialize(self.kernel_initializer),
            epsilon=self.epsilon,
            seed=self.seed,
            data_format=self.data_format,
        )
        return config
