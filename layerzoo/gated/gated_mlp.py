import keras
from keras import activations, initializers, layers

from layerzoo.building.arguments import (
    InitializerLike,
    known_width,
    optional_positive_int,
    positive_int,
    probability,
)
from layerzoo.building.sublayers import build_function, dense, unbuilt


@keras.saving.register_keras_serializable(package="layerzoo")
class GatedMLP(layers.Layer):
    r"""Two linear maps whose product, one of them through an activation, is mapped back.

    $$
    y = W_{\text{down}} \big( \sigma(W_{\text{gate}}\, x) \odot W_{\text{up}}\, x \big)
    $$

    $\sigma$ is `activation`, $\odot$ the product feature by feature. SiLU makes it SwiGLU, GELU GEGLU,
    ReLU ReGLU, and None the bilinear form.

    Use when:
        - a Transformer needs its position-wise half: Llama, Gemma and Qwen all take this one.
        - tabular features should gate each other.

    Avoid when:
        - parameters are scarce: it has three matrices where a plain MLP has two. A `hidden_dim` of two
          thirds of the plain one's makes them equal.

    Args:
        hidden_dim: Positive integer. Width of gate and up.
        units: Positive integer. Width of the output. Default: that of the input.
        activation: Name, function or layer: what the gate goes through. Default `"silu"`.
        dropout: Float from 0 to 1. Share of hidden features dropped in training.
        use_bias: Boolean. Whether the three maps have a bias.
        kernel_initializer: Initializer of the three kernels.
        seed: Integer. Seed of the dropout.
        **kwargs: Keras's own: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: Features on the last axis.
        training: Whether to drop hidden features.

    Input shape:
        `(batch, ..., width)`. Every axis but the last may be unknown.

    Output shape:
        `(batch, ..., units)`.

    Masking:
        Passed on: each step is treated alone.

    Raises:
        ValueError: a size is no positive integer, or `dropout` is not between 0 and 1.

    Example:
        ```python
        import keras
        from layerzoo import GatedMLP

        model = keras.Sequential([keras.Input((64,)), GatedMLP(128), keras.layers.Dense(10)])
        print(model.output_shape)
        #> (None, 10)
        ```

    Reference:
        [GLU Variants Improve Transformer](https://arxiv.org/abs/2002.05202). The paper has no biases;
        here they are on by default, as everywhere in Keras.
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
        positive_int(hidden_dim=hidden_dim)
        optional_positive_int(units=units)
        probability(dropout=dropout)
        self.hidden_dim = hidden_dim
        self.units = units
        self.activation = activations.get(activation)
        self.dropout = dropout
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.seed = seed
        self.supports_masking = True
        self.input_spec = layers.InputSpec(min_ndim=2)

    def build(self, input_shape):
        width = known_width(input_shape)
        hidden_shape = (*input_shape[:-1], self.hidden_dim)
        self.gate = dense(self, self.hidden_dim, input_shape, "gate")
        self.up = dense(self, self.hidden_dim, input_shape, "up")
        build_function(self.activation, hidden_shape)
        self.drop = layers.Dropout(
            self.dropout, seed=self.seed, dtype=self.dtype_policy, name="dropout"
        )
        self.down = dense(self, self.units or width, hidden_shape, "down")
        self.input_spec = layers.InputSpec(min_ndim=2, axes={-1: width})

    def call(self, inputs, training=None):
        hidden = self.activation(self.gate(inputs)) * self.up(inputs)
        return self.down(self.drop(hidden, training=training))

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units or input_shape[-1])

    def get_config(self):
        config = super().get_config()
        config.update(
            hidden_dim=self.hidden_dim,
            units=self.units,
            activation=unbuilt(activations.serialize(self.activation)),
            dropout=self.dropout,
            use_bias=self.use_bias,
            kernel_initializer=initializers.serialize(self.kernel_initializer),
            seed=self.seed,
        )
        return config
