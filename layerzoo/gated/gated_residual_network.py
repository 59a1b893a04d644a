import keras
from keras import initializers, layers, ops

from layerzoo.building.arguments import (
    InitializerLike,
    initializer,
    known_activation,
    known_width,
    optional_positive_int,
    optional_seed,
    positive_int,
    positive_number,
    probability,
)
from layerzoo.building.context import for_each_step, must_fit_inputs
from layerzoo.building.recipe import recipe
from layerzoo.building.sublayers import build_function, dense, layer_norm, serialized
from layerzoo.building.transformer import fitting_context
from layerzoo.ops.activations import activated
from layerzoo.ops.dtypes import floating
from layerzoo.ops.norms import normalized


@keras.saving.register_keras_serializable(package="layerzoo")
@recipe
class GatedResidualNetwork(layers.Layer):
    r"""Gated residual network (GRN) of the Temporal Fusion Transformer: an MLP that a gate can switch off.

    $$
    \begin{aligned}
    y &= \mathrm{LayerNorm}\big(a + \sigma(W_4\, \eta_1 + b_4) \odot (W_5\, \eta_1 + b_5)\big) \\
    \eta_1 &= W_1\, \eta_2 + b_1 \\
    \eta_2 &= \mathrm{ELU}(W_2\, a + W_3\, c + b_2)
    \end{aligned}
    $$

    $a$ are the inputs and $c$ is the optional context. $\sigma$ is the sigmoid, and $\odot$ multiplies
    feature by feature. If the width of the inputs is not `units`, the shortcut is $W_P\, a + b_P$ in place of
    $a$.

    Use when:
        - you do not know which inputs need nonlinear processing: the gate can close where the shortcut is
          enough.
        - static features, such as those of a store or a patient, should condition each step of a series.

    Avoid when:
        - many variables compete, and you want to know which ones count: use `VariableSelection`, which has a
          network like this one for each of them.
        - it is the MLP of a Transformer block: use `GatedMLP`, whose gate is in the middle.

    Args:
        units: Positive integer. Width of the output.
        hidden_dim: Positive integer. Width of both hidden layers. Defaults to `units`.
        activation: Name, function or layer. Activation of the first hidden layer. Defaults to `"elu"`.
        dropout: Float between 0 and 1. Fraction of hidden features to drop during training, before the gate.
            Defaults to 0.
        epsilon: Positive float. Added to the variance in the norm. Defaults to 1e-3, as in Keras.
        kernel_initializer: Initializer for all kernels. Defaults to `"glorot_uniform"`.
        seed: Integer. Random seed for the dropout. Defaults to None.
        **kwargs: Standard Keras layer arguments: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: Features on the last axis.
        context: Features that condition the hidden layer. With two axes, each sample's context is repeated
            over all its steps. Whether there is one is fixed by the first call. Defaults to None.
        training: Boolean. Whether to apply dropout.

    Input shape:
        `(batch, ..., width)` for the inputs. `(batch, context width)` for the context, or
        `(batch, ..., context width)` with as many axes as the inputs. All sizes except the two widths may be
        unknown.

    Output shape:
        `(batch, ..., units)`.

    Masking:
        The mask is passed on: each step is processed independently.

    Raises:
        ValueError: if a size is not a positive integer, `dropout` is not between 0 and 1, `epsilon` is not
            positive, or a width is unknown.
        ValueError: if a context is passed and the first call had none, or the other way round; if it has
            neither two axes nor as many as the inputs, or other sizes than the inputs before the last axis.

    Example:
        ```python
        import keras
        from layerzoo import GatedResidualNetwork

        series, store = keras.Input((30, 8)), keras.Input((5,))
        outputs = GatedResidualNetwork(16, dropout=0.1)(series, context=store)
        print(outputs.shape)
        #> (None, 30, 16)
        ```

    Reference:
        [Temporal Fusion Transformers](https://arxiv.org/abs/1912.09363), equations 2 to 5. As in the authors'
        code, dropout comes before the gate, the shortcut is projected if the widths differ, and $W_3$ has no
        bias. The example of this name in the Keras documentation has no context.
    """

    def __init__(
        self,
        units: int,
        hidden_dim: int | None = None,
        activation="elu",
        dropout: float = 0.0,
        epsilon: float = 1e-3,
        kernel_initializer: InitializerLike = "glorot_uniform",
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.units = positive_int(units=units)
        self.hidden_dim = optional_positive_int(hidden_dim=hidden_dim)
        self.activation = known_activation(activation=activation)
        self.dropout = probability(dropout=dropout)
        self.epsilon = positive_number(epsilon=epsilon)
        self.kernel_initializer = initializer(kernel_initializer=kernel_initializer)
        self.seed = optional_seed(seed=seed)
        self.supports_masking = True
        self.input_spec = layers.InputSpec(min_ndim=2)

    def build(self, inputs_shape, context_shape=None):
        width, hidden_dim = known_width(inputs_shape), self.hidden_dim or self.units
        hidden = (*inputs_shape[:-1], hidden_dim)
        if context_shape is not None:
            must_fit_inputs(context_shape, inputs_shape)
        build_function(self.activation, hidden)
        self.project_context = None
        if context_shape is not None:
            self.project_context = dense(self, hidden_dim, context_shape, "context", use_bias=False)
        self.project_inputs = dense(self, hidden_dim, inputs_shape, "inputs", use_bias=True)
        self.project_hidden = dense(self, hidden_dim, hidden, "hidden", use_bias=True)
        self.drop = layers.Dropout(
            self.dropout, seed=self.seed, dtype=self.dtype_policy, name="dropout"
        )
        self.value = dense(self, self.units, hidden, "value", use_bias=True)
        self.gate = dense(self, self.units, hidden, "gate", use_bias=True)
        self.shortcut = None
        if width != self.units:
            self.shortcut = dense(self, self.units, inputs_shape, "shortcut", use_bias=True)
        self.norm = layer_norm(self, (*inputs_shape[:-1], self.units), "norm")
        self.input_spec = layers.InputSpec(min_ndim=2, axes={-1: width})

    def call(self, inputs, context=None, training=None):
        fitting_context(context, self.project_context)
        inputs = floating(inputs, self.compute_dtype)
        hidden = self.project_inputs(inputs)
        if self.project_context is not None:
            must_fit_inputs(context.shape, inputs.shape)
            known = self.project_context(floating(context, self.compute_dtype))
            hidden = hidden + for_each_step(known, hidden)
        hidden = self.project_hidden(activated(self.activation, hidden))
        hidden = self.drop(hidden, training=training)
        gated = self.value(hidden) * ops.sigmoid(self.gate(hidden))
        skipped = inputs if self.shortcut is None else self.shortcut(inputs)
        return normalized(self.norm, skipped + gated)

    def compute_output_shape(self, inputs_shape, context_shape=None):
        if context_shape is not None:
            must_fit_inputs(context_shape, inputs_shape)
        return (*inputs_shape[:-1], self.units)

    def get_config(self):
        config = super().get_config()
        config.update(
            units=self.units,
            hidden_dim=self.hidden_dim,
            activation=serialized(self.activation),
            dropout=self.dropout,
            epsilon=self.epsilon,
            kernel_initializer=initializers.serialize(self.kernel_initializer),
            seed=self.seed,
        )
        return config
