import keras
from keras import initializers, layers, ops

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
from layerzoo.ops.channels import channel_axis, known_channels
from layerzoo.ops.dtypes import floating
from layerzoo.ops.images import resized


@keras.saving.register_keras_serializable(package="layerzoo")
@recipe
class AttentionGate(layers.Layer):
    r"""Attention gate (Attention U-Net): weighs each pixel of a skip connection by a coarser signal.

    $$
    y_{pc} = \alpha_p\, x_{pc}, \qquad
    \alpha_p = \sigma\big(\psi^\top \delta(W_x\, x_p + \tilde g_p) + b_\psi\big), \qquad
    \tilde g = \mathrm{resize}(W_g\, g + b_g)
    $$

    $p$ is a pixel and $c$ a channel. $x$ are the inputs and $g$ is the gating signal, whose height and width
    may differ from those of $x$. $W_x$ and $W_g$ map each pixel to `units` features. Linear interpolation
    resizes the features of $g$ to the size of $x$. $\delta$ is `activation`, and $\sigma$ is the sigmoid. All
    channels of a pixel share one weight $\alpha_p$.

    Use when:
        - a skip connection of a U-Net should pass on only what a deeper, coarser layer asks for.

    Avoid when:
        - channels should be weighed, not pixels: use `SqueezeExcite`.
        - each pixel should look at other pixels: use `CrossAttention` or `WindowAttention`.

    Args:
        units: Positive integer. Number of features in which the inputs and the gate are compared. The paper's
            code takes half of the channels of the inputs.
        activation: Name, function or layer. Activation of these features. Defaults to `"relu"`.
        use_bias: Boolean. Whether the maps of the gate and of the weight have a bias. Defaults to True.
        kernel_initializer: Initializer for the three kernels. Defaults to `"glorot_uniform"`.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to Keras's global setting,
            which is `"channels_last"` unless you change it.
        **kwargs: Standard Keras layer arguments: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: Images or volumes, such as the features of a skip connection.
        gate: The gating signal. Defaults to the inputs themselves.

    Input shape:
        `(batch, height, width, channels)` or `(batch, channels, height, width)` for the inputs, or the same
        with one more axis for volumes. The gate has as many axes, and may have other sizes, except for the
        batch. All sizes except the numbers of channels may be unknown.

    Output shape:
        Same as the inputs.

    Masking:
        Not supported: images have no padding for a mask to mark.

    Raises:
        ValueError: if `units` is not a positive integer, `data_format` is not recognised, or a number of
            channels is unknown.
        ValueError: if the gate does not have as many axes as the inputs.

    Example:
        ```python
        import keras
        from layerzoo import AttentionGate

        skip, deeper = keras.Input((64, 64, 32)), keras.Input((32, 32, 128))
        outputs = AttentionGate(16)(skip, gate=deeper)
        print(outputs.shape)
        #> (None, 64, 64, 32)
        ```

    Reference:
        [Attention U-Net](https://arxiv.org/abs/1804.03999). The weights are computed at the size of the
        inputs, as in the authors' code with `sub_sample_factor=1`. By default, that code halves the size by
        a convolution with strides, and resizes the weights. It also adds a map and a batch normalisation
        after the gate: add a `Conv2D` and a `BatchNormalization` if you need them. Pixels are resized as
        areas, so corners are not aligned, also where one size does not divide the other.
    """

    def __init__(
        self,
        units: int,
        activation="relu",
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        data_format: str | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.units = positive_int(units=units)
        self.activation = known_activation(activation=activation)
        self.use_bias = boolean(use_bias=use_bias)
        self.kernel_initializer = initializer(kernel_initializer=kernel_initializer)
        self.data_format = image_format(data_format=data_format)
        self.input_spec = layers.InputSpec(min_ndim=4)

    def build(self, inputs_shape, gate_shape=None):
        gate_shape = inputs_shape if gate_shape is None else gate_shape
        channels = known_channels(inputs_shape, self.data_format)
        gate_channels = known_channels(gate_shape, self.data_format)
        self._demand_axes(len(inputs_shape), gate_shape)
        features = (*[None] * (len(inputs_shape) - 1), self.units)
        build_function(self.activation, features)
        self.project_inputs = dense(self, self.units, (None, channels), "inputs", use_bias=False)
        self.project_gate = dense(self, self.units, (None, gate_channels), "gate")
        self.project_weight = dense(self, 1, features, "weight")
        self.input_spec = layers.InputSpec(
            ndim=len(inputs_shape), axes={channel_axis(self.data_format): channels}
        )

    def call(self, inputs, gate=None):
        gate = inputs if gate is None else gate
        self._demand_axes(len(inputs.shape), gate.shape)
        inputs, gate = (floating(x, self.compute_dtype) for x in (inputs, gate))
        x, gate = self._channels_last(inputs), self._channels_last(gate)
        features = self.project_inputs(x) + resized(self.project_gate(gate), x)
        weight = ops.sigmoid(
            self.project_weight(activated(self.activation, features))
        )  # (b, ..., 1)
        if self.data_format == "channels_first":
            weight = ops.moveaxis(weight, len(weight.shape) - 1, 1)
        return inputs * weight

    def compute_output_shape(self, inputs_shape, gate_shape=None):
        return inputs_shape

    def get_config(self):
        config = super().get_config()
        config.update(
            units=self.units,
            activation=serialized(self.activation),
            use_bias=self.use_bias,
            kernel_initializer=initializers.serialize(self.kernel_initializer),
            data_format=self.data_format,
        )
        return config

    def _channels_last(self, x):
        return x if self.data_format == "channels_last" else ops.moveaxis(x, 1, len(x.shape) - 1)

    def _demand_axes(self, rank, gate_shape):
        if len(gate_shape) != rank:
            raise ValueError(
                "`gate` must have as many axes as the inputs. "
                f"Received: gate of shape {tuple(gate_shape)}, and inputs with {rank} axes"
            )
