import keras
from keras import initializers, layers, ops

from layerzoo.attention.cross_attention import CrossAttention
from layerzoo.building.arguments import (
    InitializerLike,
    another,
    boolean,
    initializer,
    known_activation,
    optional_positive_int,
    optional_seed,
    positive_number,
    probability,
)
from layerzoo.building.heads import valid_heads
from layerzoo.building.recipe import recipe
from layerzoo.building.states import parts_with_states, with_state
from layerzoo.building.sublayers import build_function, dense, layer_norm, serialized
from layerzoo.ops.activations import activated
from layerzoo.ops.masks import with_masks
from layerzoo.ops.norms import normalized


@keras.saving.register_keras_serializable(package="layerzoo")
@recipe
class GatedCrossAttention(layers.Layer):
    r"""Gated cross-attention block (Flamingo, XATTN-DENSE): lets a trained model read a new context.

    $$
    \begin{aligned}
    z &= x + \tanh(\alpha)\; A\big(N_1(x),\, c\big) \\
    y &= z + \tanh(\beta)\; W_2\, \sigma\big(W_1\, N_2(z)\big)
    \end{aligned}
    $$

    $A(q, c)$ is `CrossAttention` from $q$ to the context $c$, $N$ is a layer normalisation, and $\sigma$ is
    `activation`. The gates $\alpha$ and $\beta$ are two learned numbers that start at 0. The block is then
    exactly the identity, and a gradient reaches both gates.

    Use when:
        - a trained model must not be disturbed while it learns to read from images, sound or retrieved text:
          put this block between its frozen layers.
        - a deep stack with cross-attention is hard to train from its start.

    Avoid when:
        - the model is trained from scratch and reads a context in each block: use `TransformerDecoderBlock`.
        - each head's output should be gated by the inputs: use `CrossAttention(gate=True)`.

    Args:
        num_heads: Positive integer. Number of query heads.
        num_key_value_heads: Positive integer that divides `num_heads`. Number of key/value heads. Defaults to
            `num_heads`.
        head_dim: Positive integer. Width of each head. Defaults to the input width divided by `num_heads`.
        hidden_dim: Positive integer. Width of the hidden layer of the feed-forward network. Defaults to four
            times the input width.
        qk_norm: Boolean. Whether to RMS-normalise queries and keys. Defaults to False.
        activation: Name, function or layer. Activation of the feed-forward network. `"gelu"` is the exact
            GELU, not the tanh approximation. Defaults to `"gelu"`.
        dropout: Float between 0 and 1. Fraction of attention scores to drop during training. Defaults to 0.
        epsilon: Positive float. Added to the variance in the norms. Defaults to 1e-5.
        use_bias: Boolean. Whether the projections have a bias. Defaults to True.
        kernel_initializer: Initializer for the kernels of the projections. Defaults to `"glorot_uniform"`.
        seed: Integer. Random seed for the dropout. Defaults to None.
        **kwargs: Standard Keras layer arguments: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: The sequence of the trained model.
        context: The sequence to read from. Defaults to the context that the `initial_state` keeps, or without
            a state to the normalised inputs themselves, as in a Sequential model.
        context_mask: Boolean tensor of shape `(batch, context time)`, false at padding. Defaults to the mask
            that the context carries, if any.
        mask: Boolean tensor of shape `(batch, time)`, false at padding. Defaults to the mask that the inputs
            carry, if any.
        inputs_mask: The name by which Keras passes `mask` when there is a context or an `initial_state`.
        training: Boolean. Whether to apply dropout to the scores.
        initial_state: State to continue from, as an earlier call or `get_initial_state` returned it. It keeps
            the projected context, which then need not be passed again. Defaults to None: a sequence starts.
        return_state: Boolean. Whether to return `(outputs, state)` instead of `outputs`.

    Input shape:
        `(batch, time, width)` for the inputs and `(batch, context time, context width)` for the context.
        `batch` and both times may be unknown. The first call fixes the two widths.

    Output shape:
        Same as the inputs.

    Masking:
        The mask of the inputs is passed on, and the mask of the context is consumed. No step attends to
        padding, even if the padding holds NaN. Outputs at padded steps are meaningless.

    Raises:
        ValueError: if a size is not a positive integer, `dropout` is not between 0 and 1, `epsilon` is not
            positive, `num_key_value_heads` does not divide `num_heads`, a width is unknown, `num_heads` does
            not divide the input width and `head_dim` is not given, the context does not have three axes or
            has another number of samples, or a `context_mask` is passed without a `context`.
        ValueError: if a mask has another shape than stated, or other values than booleans, 0 and 1.
        ValueError: if `initial_state` is not a state of this layer for as many samples, or comes with neither
            a context of its own nor a `context`.

    Example:
        ```python
        import keras
        from layerzoo import GatedCrossAttention

        text, image = keras.Input((None, 16)), keras.Input((49, 32))
        outputs = GatedCrossAttention(4)(text, context=image)
        print(outputs.shape)
        #> (None, None, 16)
        ```

    Reference:
        [Flamingo](https://arxiv.org/abs/2204.14198). It is OpenFlamingo's `GatedCrossAttentionBlock`, which
        has no biases, for one image or clip: there, each token reads only the last image before it. Images go
        through a `PerceiverResampler` first. The gates are kept and applied in float32 or better. Two other
        things are called gated attention: an output gate for each feature, which is `gate` of
        `CrossAttention`, and the pooling of `GatedAttentionPooling`.
    """

    def __init__(
        self,
        num_heads: int,
        num_key_value_heads: int | None = None,
        head_dim: int | None = None,
        hidden_dim: int | None = None,
        qk_norm: bool = False,
        activation="gelu",
        dropout: float = 0.0,
        epsilon: float = 1e-5,
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)
        heads = valid_heads(num_heads, num_key_value_heads, head_dim)
        self.num_heads, self.num_key_value_heads, self.head_dim = heads
        self.hidden_dim = optional_positive_int(hidden_dim=hidden_dim)
        self.qk_norm = boolean(qk_norm=qk_norm)
        self.activation = known_activation(activation=activation)
        self.dropout = probability(dropout=dropout)
        self.epsilon = positive_number(epsilon=epsilon)
        self.use_bias = boolean(use_bias=use_bias)
        self.kernel_initializer = initializer(kernel_initializer=kernel_initializer)
        self.seed = optional_seed(seed=seed)
        self.supports_masking = True
        self.input_spec = layers.InputSpec(ndim=3)

    def build(self, inputs_shape, context_shape=None):
        attention = CrossAttention(
            self.num_heads,
            self.num_key_value_heads,
            self.head_dim,
            qk_norm=self.qk_norm,
            dropout=self.dropout,
            use_bias=self.use_bias,
            kernel_initializer=another(self.kernel_initializer),
            seed=self.seed,
            dtype=self.dtype_policy,
            name="attention",
        )
        attention.build(inputs_shape, context_shape)
        width = inputs_shape[-1]
        hidden_shape = (*inputs_shape[:-1], self.hidden_dim or 4 * width)
        build_function(self.activation, hidden_shape)
        self.attention = attention
        self.attention_norm = layer_norm(self, inputs_shape, "attention_norm")
        self.expand_norm = layer_norm(self, inputs_shape, "expand_norm")
        self.expand = dense(self, hidden_shape[-1], inputs_shape, "expand")
        self.contract = dense(self, width, hidden_shape, "contract")
        self.alpha = self.add_weight((), "zeros", name="alpha", autocast=False)
        self.beta = self.add_weight((), "zeros", name="beta", autocast=False)
        self.input_spec = layers.InputSpec(ndim=3, axes={-1: width})

    def call(
        self,
        inputs,
        context=None,
        context_mask=None,
        mask=None,
        inputs_mask=None,
        training=None,
        initial_state=None,
        return_state=False,
    ):
        run, states = parts_with_states(self, ["attention"], initial_state, return_state)
        _, masked, mask = with_masks(inputs, context, context_mask, mask, inputs_mask)
        given = dict(context=context, context_mask=None if context is None else masked, mask=mask)
        x = ops.cast(inputs, self.compute_dtype)
        branch = run("attention", normalized(self.attention_norm, x), training=training, **given)
        x = x + self._gated(self.alpha, branch)
        hidden = activated(self.activation, self.expand(normalized(self.expand_norm, x)))
        x = x + self._gated(self.beta, self.contract(hidden))
        return with_state(x, states, return_state)

    def get_initial_state(self, batch_size, length=None):
        """Return the state before the first call. It keeps no context yet, so that this call needs one."""
        return dict(attention=self.attention.get_initial_state(batch_size, length))

    def compute_output_shape(self, inputs_shape, context_shape=None):
        return inputs_shape

    def compute_output_spec(
        self,
        inputs,
        context=None,
        *masks,
        training=None,
        initial_state=None,
        return_state=False,
        **kw,
    ):
        with_masks(inputs, context, *masks, **kw)
        outputs = keras.KerasTensor(inputs.shape, dtype=self.compute_dtype)
        if initial_state is None and not return_state:
            return outputs
        _, states = parts_with_states(self, ["attention"], initial_state, return_state)
        past = initial_state and initial_state["attention"]
        _, states["attention"] = self.attention.compute_output_spec(
            outputs, context, initial_state=past, return_state=True
        )
        return with_state(outputs, states, return_state)

    def get_config(self):
        config = super().get_config()
        config.update(
            num_heads=self.num_heads,
            num_key_value_heads=self.num_key_value_heads,
            head_dim=self.head_dim,
            hidden_dim=self.hidden_dim,
            qk_norm=self.qk_norm,
            activation=serialized(self.activation),
            dropout=self.dropout,
            epsilon=self.epsilon,
            use_bias=self.use_bias,
            kernel_initializer=initializers.serialize(self.kernel_initializer),
            seed=self.seed,
        )
        return config

    def _gated(self, gate, branch):
        branch = ops.cast(branch, gate.dtype) * ops.tanh(gate)
        return ops.cast(branch, self.compute_dtype)
