import keras
from keras import layers, ops

from layerzoo.building.arguments import boolean, known_activation, known_width, positive_number
from layerzoo.building.conditions import (
    build_modulation,
    known_condition,
    modulation,
    must_fit_condition,
)
from layerzoo.building.recipe import recipe
from layerzoo.building.states import (
    apply_with_states,
    initial_states,
    mask_of_inputs,
    spec_of_states,
    with_state,
)
from layerzoo.building.sublayers import build_function, serialized
from layerzoo.building.wrapped import chain_of, demand_layers, kept, must_keep_shape
from layerzoo.ops.activations import activated
from layerzoo.ops.norms import modulated, normalized


@keras.saving.register_keras_serializable(package="layerzoo")
@recipe
class AdaptiveLayerNorm(layers.Layer):
    r"""Adaptive layer norm (adaLN-Zero): a condition modulates the norm and the gate of a residual branch.

    $$
    y = x + \alpha \odot F(m), \qquad m = (1 + \gamma) \odot N(x) + \beta, \qquad
    [\beta, \gamma, \alpha] = W\, \phi(u) + b
    $$

    $F$ is `layer`, $u$ is the condition, and $\phi$ is `activation`. $N$ is layer normalisation without
    weights. With `zero_init`, $W$ and $b$ start at 0, so that the gate $\alpha$ is closed and a new layer
    returns its inputs exactly. The gradient that opens $\alpha$ is not 0 there.

    Without `layer`, $y = m$: the modulated norm alone, as before the last projection of a diffusion
    Transformer. There is no gate and no sum then, and with `zero_init` it starts as $N(x)$ exactly.

    Alone, as in a Sequential model, the layer has no condition and no $W$. $\beta$, $\gamma$ and $\alpha$ are
    then learned numbers $b$: a pre-norm residual connection with one factor per feature on its branch.

    Use when:
        - a Transformer should depend on a class, a time step or a style: wrap each of its layers.
        - a deep stack should start as the identity.

    Avoid when:
        - the inputs must not be normalised: use `FiLM`.
        - there is no condition: use `Residual` with `norm="pre"` and `scale=0.0`.

    Args:
        layer: Layer, or list of layers applied in turn, with one input and one output of the same shape.
            Defaults to None: the modulated norm alone.
        zero_init: Boolean. Whether the kernel $W$ starts at zero (adaLN-Zero), and not by Glorot's uniform
            distribution. Defaults to True.
        activation: Name, function or layer. Activation of the condition. Defaults to `"silu"`.
        epsilon: Positive float. Added to the variance in the norm. Defaults to 1e-6.
        **kwargs: Standard Keras layer arguments: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: Features on the last axis.
        condition: What the norm and the gate of each sample depend on. Only a layer whose first call gets a
            condition has weights for one. Without it, later calls use $b$ alone. A state does not keep it:
            pass it to each call. Defaults to None: no condition.
        mask: Boolean tensor of shape `(batch, time)`, false at padding. Passed to the wrapped layers that
            accept a mask. It may have more of the axes of the inputs, up to all except the last.
        training: Boolean. Passed to the wrapped layers.
        initial_state: List of a state for each wrapped layer that has one, as an earlier call or
            `get_initial_state` returned it. Defaults to None: a sequence starts.
        inputs_mask: The name by which Keras passes `mask` when there is a condition or an `initial_state`.
        return_state: Boolean. Whether to return `(outputs, state)` instead of `outputs`.

    Input shape:
        `(batch, ..., width)`. All sizes except `width` may be unknown. `(batch, condition width)` for the
        condition, or `(batch, ..., condition width)` for a condition for each step.

    Output shape:
        Same as the inputs.

    Masking:
        The mask of the inputs is passed on, because the sum keeps every step.

    Raises:
        ValueError: if `layer` is not a layer or a list of layers, takes more than one input, gives more than
            one output, or changes the shape; if an argument is not recognised or out of range, or the width
            is unknown.
        ValueError: if the condition has another rank or other sizes than stated, another width than in the
            first call, or was not passed to the first call.
        ValueError: if a mask has another shape than stated, or other values than booleans, 0 and 1.
        ValueError: if `initial_state` is not a list of states of the wrapped layers, or one of these needs a
            state and cannot continue from one.
        TypeError: if the condition is not a tensor.

    Example:
        ```python
        import keras
        from layerzoo import AdaptiveLayerNorm, GatedMLP, SelfAttention

        patches, condition = keras.Input((None, 16)), keras.Input((32,))
        x = AdaptiveLayerNorm(SelfAttention(4))(patches, condition=condition)
        x = AdaptiveLayerNorm(GatedMLP(32))(x, condition=condition)
        x = AdaptiveLayerNorm()(x, condition=condition)
        print(x.shape)
        #> (None, None, 16)
        ```

    Reference:
        [Scalable Diffusion Models with Transformers](https://arxiv.org/abs/2212.09748), adaLN-Zero. There,
        one projection serves both branches of a block. Here each branch has its own half of it, with the
        columns in the same order: shift, scale, gate. The paper's adaLN without zero has no gate: the branch
        is added as it is.
    """

    def __init__(
        self,
        layer: layers.Layer | list[layers.Layer] | None = None,
        zero_init: bool = True,
        activation="silu",
        epsilon: float = 1e-6,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)
        if layer is not None:
            demand_layers(layer)
        self.layer = layer
        self.zero_init = boolean(zero_init=zero_init)
        self.activation = known_activation(activation=activation)
        self.epsilon = positive_number(epsilon=epsilon)
        self.supports_masking = True
        self.input_spec = layers.InputSpec(min_ndim=2)

    def build(self, inputs_shape, condition_shape=None):
        width = known_width(inputs_shape)
        condition_width = known_condition(condition_shape, inputs_shape)
        if condition_width:
            build_function(self.activation, condition_shape)
        must_keep_shape(self, self._chain(), inputs_shape)
        start = "zeros" if self.zero_init else "glorot_uniform"
        build_modulation(self, condition_width, self._kinds() * width, start)
        self.norm = layers.LayerNormalization(
            epsilon=self.epsilon, center=False, scale=False, dtype=self.dtype_policy, name="norm"
        )
        self.norm.build((*inputs_shape[:-1], width))
        self.input_spec = layers.InputSpec(min_ndim=2, axes={-1: width})

    def call(
        self,
        inputs,
        condition=None,
        mask=None,
        training=None,
        initial_state=None,
        inputs_mask=None,
        return_state=False,
    ):
        must_fit_condition(self, condition, inputs.shape)
        mask = mask_of_inputs(mask, inputs_mask, inputs.shape[:-1])
        inputs = ops.cast(inputs, self.compute_dtype)
        if condition is not None:
            condition = activated(self.activation, ops.cast(condition, self.compute_dtype))
        shift, scale, *gate = modulation(self, condition, inputs, self._kinds())
        x = modulated(normalized(self.norm, inputs), scale, shift)
        outputs, state = apply_with_states(self._chain(), x, mask, initial_state, return_state)
        if self.layer is not None:
            outputs = inputs + gate[0] * kept(outputs, inputs)
        return with_state(outputs, state, return_state)

    def get_initial_state(self, batch_size, length=None):
        """Return a list of the states at the start of a sequence, of the wrapped layers that have one.

        Args:
            batch_size: Integer. Number of samples.
            length: Positive integer. Number of steps that there is room for, if a wrapped layer needs it.
        """
        return initial_states(self._chain(), batch_size, length)

    def compute_output_shape(self, inputs_shape, condition_shape=None):
        return inputs_shape

    def compute_output_spec(
        self,
        inputs,
        condition=None,
        mask=None,
        training=None,
        initial_state=None,
        inputs_mask=None,
        return_state=False,
    ):
        must_fit_condition(self, condition, inputs.shape)
        mask_of_inputs(mask, inputs_mask, inputs.shape[:-1])
        state = spec_of_states(self._chain(), inputs, initial_state, return_state)
        outputs = keras.KerasTensor(inputs.shape, dtype=self.compute_dtype)
        return with_state(outputs, state, return_state)

    def get_config(self):
        config = super().get_config()
        config.update(
            layer=serialized(self.layer),
            zero_init=self.zero_init,
            activation=serialized(self.activation),
            epsilon=self.epsilon,
        )
        return config

    @classmethod
    def from_config(cls, config):
        layer = keras.saving.deserialize_keras_object(config.get("layer"))
        return super().from_config({**config, "layer": layer})

    def _chain(self):
        return [] if self.layer is None else chain_of(self.layer)

    def _kinds(self):
        return 2 if self.layer is None else 3
