import keras
from keras import initializers, layers, ops

from layerzoo.building.arguments import (
    InitializerLike,
    initializer,
    known_activation,
    known_width,
    number,
)
from layerzoo.building.recipe import recipe
from layerzoo.building.sublayers import build_function, dense, serialized
from layerzoo.ops.activations import activated
from layerzoo.ops.dtypes import floating


@keras.saving.register_keras_serializable(package="layerzoo")
@recipe
class Highway(layers.Layer):
    r"""Highway layer: a dense layer, and a gate that carries the inputs past it where it is closed.

    $$
    y = T \odot H + (1 - T) \odot x, \qquad H = \phi(W_H\, x + b_H), \qquad T = \sigma(W_T\, x + b_T)
    $$

    $\phi$ is `activation`, $\sigma$ is the sigmoid, and $\odot$ multiplies feature by feature. $b_T$ starts
    as `gate_bias`. It is negative, so that a new layer carries most of its inputs, and a deep stack of them
    trains.

    Use when:
        - a deep stack of dense layers should learn how much each of them changes.

    Avoid when:
        - the stack has norms, or anything else than dense layers: use `Residual`, which any layer fits in.
        - the width should change: use `GLU`.

    Args:
        activation: Name, function or layer. Activation of the dense layer. Defaults to `"relu"`.
        gate_bias: Float. Initial value of the bias of the gate. A new gate is open by about its sigmoid: 0.27
            for -1, and 0.12 for -2. A deeper stack needs a lower one. Defaults to -2.
        kernel_initializer: Initializer for the kernel, which holds $W_H$ and $W_T$ side by side. Defaults to
            `"glorot_uniform"`.
        **kwargs: Standard Keras layer arguments: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: Features on the last axis.

    Input shape:
        `(batch, ..., width)`. All sizes except `width` may be unknown.

    Output shape:
        Same as the input.

    Masking:
        The mask is passed on: each step is processed independently.

    Raises:
        ValueError: if `gate_bias` is not a finite number, an argument is not recognised, or the width is
            unknown.

    Example:
        ```python
        import keras
        from layerzoo import Highway

        model = keras.Sequential([keras.Input((32,)), *[Highway() for _ in range(20)]])
        print(model.output_shape)
        #> (None, 32)
        ```

    Reference:
        [Highway Networks](https://arxiv.org/abs/1505.00387). The paper starts the bias of the gate between -1
        and -10. One projection gives $H$ and $T$, in this order. AllenNLP's `Highway` gates the inputs
        instead, with a bias that starts at 1, and has its columns in the same order.
    """

    def __init__(
        self,
        activation="relu",
        gate_bias: float = -2.0,
        kernel_initializer: InitializerLike = "glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.activation = known_activation(activation=activation)
        self.gate_bias = number(gate_bias=gate_bias)
        self.kernel_initializer = initializer(kernel_initializer=kernel_initializer)
        self.supports_masking = True
        self.input_spec = layers.InputSpec(min_ndim=2)

    def build(self, input_shape):
        width = known_width(input_shape)
        build_function(self.activation, input_shape)
        self.project = dense(
            self,
            2 * width,
            input_shape,
            "transform_gate",
            use_bias=True,
            bias_initializer=self._start_of_bias,
        )
        self.input_spec = layers.InputSpec(min_ndim=2, axes={-1: width})

    def call(self, inputs):
        inputs = floating(inputs, self.compute_dtype)
        transform, gate = ops.split(self.project(inputs), 2, axis=-1)
        transform = activated(self.activation, transform)
        return inputs + ops.sigmoid(gate) * (transform - inputs)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        config = super().get_config()
        config.update(
            activation=serialized(self.activation),
            gate_bias=self.gate_bias,
            kernel_initializer=initializers.serialize(self.kernel_initializer),
        )
        return config

    def _start_of_bias(self, shape, dtype):
        start = ops.full((shape[0] // 2,), self.gate_bias, dtype)
        return ops.concatenate([ops.zeros_like(start), start])
