import keras
from keras import initializers, layers, ops

from layerzoo.building.arguments import (
    InitializerLike,
    another,
    initializer,
    optional_positive_int,
    optional_seed,
    positive_int,
    positive_number,
    probability,
)
from layerzoo.building.context import must_fit_inputs
from layerzoo.building.heads import attention_spec
from layerzoo.building.recipe import recipe
from layerzoo.building.seeds import seed_of_part
from layerzoo.building.sublayers import dropping
from layerzoo.building.variables import (
    dense_each,
    embedded,
    embedding,
    first_mask,
    must_be_variables,
    shapes_of,
    shapes_of_variables,
    spec_of_variables,
    variables_first,
)
from layerzoo.gated.gated_residual_network import GatedResidualNetwork
from layerzoo.ops.dtypes import floating
from layerzoo.ops.masks import weigh
from layerzoo.ops.norms import standardized


@keras.saving.register_keras_serializable(package="layerzoo")
@recipe
class VariableSelection(layers.Layer):
    r"""Variable selection network (VSN, of the TFT): weighs variables at each step, and shows how.

    $$
    y = \sum_{j=1}^{m} w_j\, \mathrm{GRN}_j(\xi_j), \qquad
    w = \operatorname{softmax}\big(\mathrm{GRN}_w([\xi_1, \dots, \xi_m],\, c)\big)
    $$

    $\xi_j$ is variable $j$, mapped linearly to `units` features if it does not have that many. $[\cdot]$
    concatenates. Each $\mathrm{GRN}$ is a network as in `GatedResidualNetwork`: one for each variable, and
    one that computes the weights of all of them and is conditioned by the optional context $c$. At each step,
    all networks are the same and the weights are new.

    Use when:
        - a forecast has many candidate variables, and you want to see which of them count, and when.
        - variables of different widths must become one vector: a price, a weekday's embedding, a location.

    Avoid when:
        - variables decide only together: each is processed alone and then added, as in a generalised additive
          model. The weights alone depend on all of them. Use `GatedResidualNetwork` on all of them side by
          side.

    Args:
        units: Positive integer. Width of the output, and of each variable inside.
        num_variables: Positive integer. Number of variables, which a list or dict then must hold. A single
            tensor then holds them side by side on its last axis: `(batch, time, 7)` are 7 variables of width
            1 with `num_variables=7`. Defaults to None: a single tensor has them on the axis before the last.
        hidden_dim: Positive integer. Width of the hidden layers of all networks. Defaults to `units`.
        dropout: Float between 0 and 1. Fraction of hidden features to drop during training, before the gates.
            Defaults to 0.
        epsilon: Positive float. Added to the variance in the norms. Defaults to 1e-3, as in Keras.
        kernel_initializer: Initializer for all kernels. Defaults to `"glorot_uniform"`.
        seed: Integer. Random seed for the dropout. Defaults to None.
        **kwargs: Standard Keras layer arguments: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: The variables: a list or dict of tensors, or a single tensor. The first call fixes which there
            are, by name in a dict.
        context: Features that condition the weights, such as static ones. With two axes, each sample's
            context is repeated over all its steps. Whether there is one is fixed by the first call. Defaults
            to None.
        training: Boolean. Whether to apply dropout.
        return_attention_scores: Boolean. Whether to return `(outputs, weights)` instead of `outputs`.

    Input shape:
        `(batch, ..., width)` for each variable in a list or dict. Their widths may differ. For a single
        tensor, `(batch, ..., variables, width)`, or with `num_variables`, `(batch, ..., variables * width)`.
        `(batch, context width)` or `(batch, ..., context width)` for the context. The three dots are no axis,
        or the time, or more. Only the widths and the number of variables must be known.

    Output shape:
        `(batch, ..., units)`. The weights have shape `(batch, ..., variables)` and sum to one. Their order is
        that of the list or the axis, or of the sorted names of a dict.

    Masking:
        The mask of the steps is passed on, because each step is processed independently. Of a list or dict,
        it is the mask of the first variable that carries one.

    Raises:
        ValueError: if a size is not a positive integer, `dropout` is not between 0 and 1, `epsilon` is not
            positive, or a width or the number of variables is unknown.
        ValueError: if the inputs hold other variables than in the first call or than `num_variables`, or
            their shapes differ before the last axis.
        ValueError: if a context is passed and the first call had none, or the other way round; if it has
            neither two axes nor as many as a variable, or other sizes than these before the last axis.

    Example:
        ```python
        import keras
        from layerzoo import VariableSelection

        known = {"price": keras.Input((30, 1)), "weekday": keras.Input((30, 4))}
        store = keras.Input((5,))
        selection = VariableSelection(16)
        outputs, weights = selection(known, context=store, return_attention_scores=True)
        print(outputs.shape, weights.shape)
        #> (None, 30, 16) (None, 30, 2)
        ```

        `layerzoo.cookbook.attention_maps` draws the weights of a trained model: steps down, variables across.

        ```python
        import keras
        import numpy as np
        from layerzoo import VariableSelection
        from layerzoo.cookbook.attention_maps import draw_attention

        model = keras.Sequential([
            keras.Input((30, 3)),
            VariableSelection(16, num_variables=3),
            keras.layers.Dense(1),
        ])
        series = np.random.default_rng(0).normal(size=(8, 30, 3))
        figure = draw_attention(model, series, labels=range(30), key_labels=["price", "rain", "day"])
        figure.savefig("weights.png")
        ```

    Reference:
        [Temporal Fusion Transformers](https://arxiv.org/abs/1912.09363), equations 6 to 8. As in the paper, a
        variable that is not `units` wide is first mapped to it, and the weights are computed from what comes
        out. The networks of all variables run as one product.
    """

    def __init__(
        self,
        units: int,
        num_variables: int | None = None,
        hidden_dim: int | None = None,
        dropout: float = 0.0,
        epsilon: float = 1e-3,
        kernel_initializer: InitializerLike = "glorot_uniform",
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.units = positive_int(units=units)
        self.num_variables = optional_positive_int(num_variables=num_variables)
        self.hidden_dim = optional_positive_int(hidden_dim=hidden_dim)
        self.dropout = probability(dropout=dropout)
        self.epsilon = positive_number(epsilon=epsilon)
        self.kernel_initializer = initializer(kernel_initializer=kernel_initializer)
        self.seed = optional_seed(seed=seed)
        self.supports_masking = True

    def build(self, inputs_shape, context_shape=None):
        shapes = shapes_of_variables(inputs_shape, self.num_variables)
        if context_shape is not None:
            must_fit_inputs(context_shape, next(iter(shapes.values())))
        m, u, h = len(shapes), self.units, self.hidden_dim or self.units
        steps = self.compute_output_shape(inputs_shape)[:-1]
        self.embed = embedding(self, u, shapes)
        self.select = GatedResidualNetwork(
            m,
            h,
            dropout=self.dropout,
            epsilon=self.epsilon,
            kernel_initializer=another(self.kernel_initializer),
            seed=seed_of_part(self.seed, 1),
            dtype=self.dtype_policy,
            name="select",
        )
        self.select.build((*steps, m * u), context_shape)
        self.project_inputs = dense_each(self, m, h, u, "each_inputs")
        self.project_hidden = dense_each(self, m, h, h, "each_hidden")
        self.drop = dropping(self, 2)
        self.value = dense_each(self, m, u, h, "each_value")
        self.gate = dense_each(self, m, u, h, "each_gate")
        self.gamma = self.add_weight((m, u), "ones", name="gamma", autocast=False)
        self.beta = self.add_weight((m, u), "zeros", name="beta", autocast=False)
        self.widths = {name: shape[-1] for name, shape in shapes.items()}
        self.input_spec = spec_of_variables(inputs_shape, self.num_variables)

    def call(self, inputs, context=None, training=None, return_attention_scores=False):
        must_be_variables(inputs, self.widths, self.num_variables)
        inputs = keras.tree.map_structure(lambda x: floating(x, self.compute_dtype), inputs)
        x, steps = embedded(self.embed, variables_first(inputs, self.num_variables))  # (v, n, u)
        m, _, u = x.shape
        together = ops.reshape(ops.transpose(x, (1, 0, 2)), (*steps, m * u))
        weights = weigh(self.select(together, context=context, training=training))
        hidden = self.drop(self.project_hidden(ops.elu(self.project_inputs(x))), training=training)
        processed = self._normalized(x + self.value(hidden) * ops.sigmoid(self.gate(hidden)))
        outputs = ops.einsum("nv,vnu->nu", ops.reshape(weights, (-1, m)), processed)
        outputs = ops.reshape(ops.cast(outputs, x.dtype), (*steps, u))
        return (outputs, ops.cast(weights, x.dtype)) if return_attention_scores else outputs

    def compute_mask(self, inputs, previous_mask=None):
        return first_mask(previous_mask, len(self.compute_output_shape(shapes_of(inputs))) - 1)

    def compute_output_shape(self, inputs_shape, context_shape=None):
        shapes = shapes_of_variables(inputs_shape, self.num_variables)
        return (*next(iter(shapes.values()))[:-1], self.units)

    def compute_output_spec(self, inputs, context=None, return_attention_scores=False, **kwargs):
        must_be_variables(inputs, self.widths, self.num_variables)
        *steps, units = self.compute_output_shape(shapes_of(inputs))
        shapes = (*steps, units), (*steps, len(self.widths))
        return attention_spec(self, *shapes, return_attention_scores)

    def get_config(self):
        config = super().get_config()
        config.update(
            units=self.units,
            num_variables=self.num_variables,
            hidden_dim=self.hidden_dim,
            dropout=self.dropout,
            epsilon=self.epsilon,
            kernel_initializer=initializers.serialize(self.kernel_initializer),
            seed=self.seed,
        )
        return config

    def _normalized(self, x):
        """The norm of `GatedResidualNetwork`, with a scale and an offset for each variable, in float32."""
        x = standardized(x, self.epsilon)
        gamma, beta = (ops.expand_dims(ops.cast(w, x.dtype), 1) for w in (self.gamma, self.beta))
        return gamma * x + beta
