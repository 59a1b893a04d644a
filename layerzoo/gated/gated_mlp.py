import keras
from keras import initializers, layers

from layerzoo.building.arguments import (
    InitializerLike,
    boolean,
    initializer,
    known_activation,
    known_width,
    optional_positive_int,
    optional_seed,
    positive_int,
    probability,
)
from layerzoo.building.recipe import recipe
from layerzoo.building.sublayers import build_function, dense, serialized
from layerzoo.ops.activations import activated
from layerzoo.ops.dtypes import floating


@keras.saving.register_keras_serializable(package="layerzoo")
@recipe
class GatedMLP(layers.Layer):
    r"""Gated MLP (SwiGLU, GEGLU, ReGLU): the feed-forward network of today's Transformers.

    $$
    y = W_{\text{down}} \big( \sigma(W_{\text{gate}}\, x) \odot W_{\text{up}}\, x \big)
    $$

    $\sigma$ is `activation`, and $\odot$ multiplies feature by feature. SiLU gives SwiGLU, GELU gives GEGLU,
    ReLU gives ReGLU, and None gives the bilinear form.

    Use when:
        - a Transformer needs its position-wise feed-forward network: Llama, Gemma and Qwen all use this one.
        - tabular features should gate each other.

    Avoid when:
        - parameters are scarce: this layer has three matrices, and a plain MLP has two. With two thirds of
          the plain MLP's `hidden_dim`, both have the same size.

    Args:
        hidden_dim: Positive integer. Width of the gate and up projections.
        units: Positive integer. Width of the output. Defaults to the width of the input.
        activation: Name, function or layer. Activation of the gate. Defaults to `"silu"`.
        dropout: Float between 0 and 1. Fraction of hidden features to drop during training. Defaults to 0.
        use_bias: Boolean. Whether the three projections have a bias. Defaults to True.
        kernel_initializer: Initializer for the three kernels. Defaults to `"glorot_uniform"`.
        seed: Integer. Random seed for the dropout. Defaults to None.
        **kwargs: Standard Keras layer arguments: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: Features on the last axis.
        training: Boolean. Whether to apply dropout.

    Input shape:
        `(batch, ..., width)`. All sizes except `width` may be unknown.

    Output shape:
        `(batch, ..., units)`.

    Masking:
        The mask is passed on: each step is processed independently.

    Raises:
        ValueError: if a size is not a positive integer, `dropout` is not between 0 and 1, or the width is
            unknown.

    Example:
        ```python
        import keras
        from layerzoo import GatedMLP

        model = keras.Sequential([keras.Input((64,)), GatedMLP(128), keras.layers.Dense(10)])
        print(model.output_shape)
        #> (None, 10)
        ```

    Reference:
        [GLU Variants Improve Transformer](https://arxiv.org/abs/2002.05202). The paper uses no biases. Here
        they are on by default, as elsewhere in Keras.
    """

    def __init__(
        self,
        hidden_dim: int,
        units: int | None = None,
        activation="silu",
        dropout: float = 0.0,
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.hidden_dim = positive_int(hidden_dim=hidden_dim)
        self.units = optional_positive_int(units=units)
        self.activation = known_activation(activation=activation)
        self.dropout = probability(dropout=dropout)
        self.use_bias = boolean(use_bias=use_bias)
        self.kernel_initializer = initializer(kernel_initializer=kernel_initializer)
        self.seed = optional_seed(seed=seed)
        self.supports_masking = True
        self.input_spec = layers.InputSpec(min_ndim=2)

    def build(self, input_shape):
        width = known_width(input_shape)
        hidden_shape = (*input_shape[:-1], self.hidden_dim)
        build_function(self.activation, hidden_shape)
        self.gate = dense(self, self.hidden_dim, input_shape, "gate")
        self.up = dense(self, self.hidden_dim, input_shape, "up")
        self.drop = layers.Dropout(
            self.dropout, seed=self.seed, dtype=self.dtype_policy, name="dropout"
        )
        self.down = dense(self, self.units or width, hidden_shape, "down")
        self.input_spec = layers.InputSpec(min_ndim=2, axes={-1: width})

    def call(self, inputs, training=None):
        inputs = floating(inputs, self.compute_dtype)
        hidden = activated(self.activation, self.gate(inputs)) * self.up(inputs)
        return self.down(self.drop(hidden, training=training))

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units or input_shape[-1])

    def get_config(self):
        config = super().get_config()
        config.update(
            hidden_dim=self.hidden_dim,
            units=self.units,
            activation=serialized(self.activation),
            dropout=self.dropout,
            use_bias=self.use_bias,
            kernel_initializer=initializers.serialize(self.kernel_initializer),
            seed=self.seed,
        )
        return config
