import keras
from keras import backend, layers, ops

from layerzoo.building.arguments import (
    known_activation,
    known_width,
    optional_positive_int,
    positive_number,
)
from layerzoo.building.conditions import must_have_shape, shape_of
from layerzoo.building.recipe import recipe
from layerzoo.building.sublayers import build_function, serialized
from layerzoo.ops.activations import activated
from layerzoo.ops.dtypes import floating


@keras.saving.register_keras_serializable(package="layerzoo")
@recipe
class GatedNorm(layers.Layer):
    r"""Gated RMS norm (RMSNormGated): RMS normalisation whose output is multiplied by an activated gate.

    $$
    y_i = \gamma_i\, \frac{x_i}{\sqrt{\operatorname{mean}_{j \in G(i)} x_j^2 + \epsilon}}\; \sigma(z_i)
    $$

    $x$ are the inputs, $z$ is the gate, $\sigma$ is `activation`, and $\gamma$ is a learned factor for each
    feature, which starts at 1. $G(i)$ is the group of `group_size` features in which feature $i$ lies, or all
    features. Without a gate, as in a Sequential model, this is the RMS norm: $\sigma(z)$ is left out.

    Use when:
        - a linear attention or a state space model needs the norm and the gate before its output projection.

    Avoid when:
        - there is no gate: `keras.layers.RMSNormalization` has a fused kernel on some backends.
        - a condition should change the norm of each sample: use `AdaptiveLayerNorm`.

    Args:
        activation: Name, function or layer. Activation of the gate. Defaults to `"silu"`.
        group_size: Positive integer that divides the width. Number of neighbouring features that are
            normalised together. Defaults to None: all of the last axis.
        epsilon: Positive float. Added to the mean square. Defaults to 1e-6.
        **kwargs: Standard Keras layer arguments: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: Features on the last axis, which are normalised.
        gate: Tensor of the same shape as the inputs. Defaults to None: nothing is gated.

    Input shape:
        `(batch, ..., width)` for the inputs and for the gate. All sizes except `width` may be unknown.

    Output shape:
        Same as the inputs.

    Masking:
        The mask of the inputs is passed on: each step is processed independently.

    Raises:
        ValueError: if an argument is out of range or not recognised, the width is unknown, or `group_size`
            does not divide it.
        ValueError: if the gate has another shape than the inputs.
        TypeError: if the gate is not a tensor.

    Example:
        ```python
        import keras
        from layerzoo import GatedNorm

        inputs, gate = keras.Input((None, 4, 16)), keras.Input((None, 4, 16))
        outputs = GatedNorm()(inputs, gate=gate)
        print(outputs.shape)
        #> (None, None, 4, 16)
        ```

    Reference:
        [Gated Delta Networks](https://arxiv.org/abs/2412.06464), as in `RMSNormGated` of Qwen3-Next in
        Hugging Face's transformers: the norm comes before the gate, so that the gate sets the scale of the
        output. fla's `FusedRMSNormGated` does the same. [Mamba-2](https://arxiv.org/abs/2405.21060) has the
        gate before the norm, with the `group_size` of this layer: multiply the inputs by the activated gate
        yourself, and pass no gate. mamba_ssm's `RMSNormGated` has both orders. Here everything is computed in
        float32 or better and rounded once, at the end. Qwen3-Next rounds the norm before the gate too.
    """

    def __init__(
        self,
        activation="silu",
        group_size: int | None = None,
        epsilon: float = 1e-6,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.activation = known_activation(activation=activation)
        self.group_size = optional_positive_int(group_size=group_size)
        self.epsilon = positive_number(epsilon=epsilon)
        self.supports_masking = True
        self.input_spec = layers.InputSpec(min_ndim=2)

    def build(self, inputs_shape, gate_shape=None):
        width = known_width(inputs_shape)
        if width % (self.group_size or width):
            raise ValueError(
                "`group_size` must divide the width of the inputs. "
                f"Received: group_size={self.group_size}, input_shape={tuple(inputs_shape)}"
            )
        must_have_shape(gate_shape, inputs_shape, "gate")
        build_function(self.activation, inputs_shape)
        self.scale = self.add_weight((width,), "ones", name="scale", autocast=False)
        self.input_spec = layers.InputSpec(min_ndim=2, axes={-1: width})

    def call(self, inputs, gate=None):
        must_have_shape(shape_of(gate=gate), inputs.shape, "gate")
        inputs = floating(inputs, self.compute_dtype)
        precise = backend.result_type(inputs.dtype, "float32")
        outputs = self._normalized(ops.cast(inputs, precise)) * self.scale
        if gate is not None:
            outputs = outputs * activated(self.activation, ops.cast(gate, precise))
        return ops.cast(outputs, inputs.dtype)

    def compute_output_shape(self, inputs_shape, gate_shape=None):
        return inputs_shape

    def compute_output_spec(self, inputs, gate=None):
        must_have_shape(shape_of(gate=gate), inputs.shape, "gate")
        return keras.KerasTensor(inputs.shape, dtype=self.compute_dtype)

    def get_config(self):
        config = super().get_config()
        config.update(
            activation=serialized(self.activation),
            group_size=self.group_size,
            epsilon=self.epsilon,
        )
        return config

    def _normalized(self, x):
        shape = ops.shape(x)
        if self.group_size:
            *sizes, width = shape
            x = ops.reshape(x, (*sizes, width // self.group_size, self.group_size))
        square = ops.mean(ops.square(x), axis=-1, keepdims=True)
        return ops.reshape(x * ops.rsqrt(square + self.epsilon), shape)
