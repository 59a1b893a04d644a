import keras
from keras import initializers, layers, ops

from layerzoo.building.arguments import (
    InitializerLike,
    boolean,
    initializer,
    known_activation,
    known_width,
    positive_int,
)
from layerzoo.building.recipe import recipe
from layerzoo.building.sublayers import build_function, dense, serialized
from layerzoo.ops.activations import activated
from layerzoo.ops.dtypes import floating


@keras.saving.register_keras_serializable(package="layerzoo")
@recipe
class GLU(layers.Layer):
    r"""Gated linear unit (GLU): a linear layer whose outputs are gated by a second linear layer.

    $$
    y = v \odot \sigma(g), \qquad [v, g] = W x + b
    $$

    $v$ are the values and $g$ the gates, each of `units` features: the first and the second half of one
    projection. $\sigma$ is `activation`, and $\odot$ multiplies feature by feature. No activation stands in
    the way of the gradient of $v$.

    Use when:
        - a dense layer should decide, for each sample, which of its features pass.
        - a convolution should be gated: a GLU after a convolution, or over the last few steps.

    Avoid when:
        - a Transformer needs its feed-forward network: `GatedMLP` also projects down again.
        - the inputs should pass where the gate is closed: use `Highway`.

    Args:
        units: Positive integer. Width of the output. The projection has twice as many columns.
        activation: Name, function or layer. Activation of the gate. With `"relu"`, `"gelu"` or `"silu"`, this
            is the first half of a ReGLU, GEGLU or SwiGLU network. None gives the bilinear form. Defaults to
            `"sigmoid"`.
        use_bias: Boolean. Whether the projection has a bias. Defaults to True.
        kernel_initializer: Initializer for the kernel. Defaults to `"glorot_uniform"`.
        **kwargs: Standard Keras layer arguments: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: Features on the last axis.

    Input shape:
        `(batch, ..., width)`. All sizes except `width` may be unknown.

    Output shape:
        `(batch, ..., units)`.

    Masking:
        The mask is passed on: each step is processed independently.

    Raises:
        ValueError: if `units` is not a positive integer, an argument is not recognised, or the width is
            unknown.

    Example:
        ```python
        import keras
        from layerzoo import GLU

        model = keras.Sequential([
            keras.Input((None, 16)),
            keras.layers.Conv1D(32, 4, padding="causal"),
            GLU(32),
        ])
        print(model.output_shape)
        #> (None, None, 32)
        ```

    Reference:
        [Language Modeling with Gated Convolutional Networks](https://arxiv.org/abs/1612.08083). The paper
        projects by convolutions. The value comes first and the gate second, as in `keras.ops.glu` and
        PyTorch's `F.glu`, which have no weights. timm's `GluMlp` takes the same order, and its `SwiGLUPacked`
        the other one.
    """

    def __init__(
        self,
        units: int,
        activation="sigmoid",
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.units = positive_int(units=units)
        self.activation = known_activation(activation=activation)
        self.use_bias = boolean(use_bias=use_bias)
        self.kernel_initializer = initializer(kernel_initializer=kernel_initializer)
        self.supports_masking = True
        self.input_spec = layers.InputSpec(min_ndim=2)

    def build(self, input_shape):
        width = known_width(input_shape)
        build_function(self.activation, (*input_shape[:-1], self.units))
        self.project = dense(self, 2 * self.units, input_shape, "value_gate")
        self.input_spec = layers.InputSpec(min_ndim=2, axes={-1: width})

    def call(self, inputs):
        inputs = floating(inputs, self.compute_dtype)
        value, gate = ops.split(self.project(inputs), 2, axis=-1)
        return value * activated(self.activation, gate)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def get_config(self):
        config = super().get_config()
        config.update(
            units=self.units,
            activation=serialized(self.activation),
            use_bias=self.use_bias,
            kernel_initializer=initializers.serialize(self.kernel_initializer),
        )
        return config
