import keras
from keras import initializers, layers, ops

from layerzoo.building.arguments import (
    InitializerLike,
    boolean,
    initializer,
    optional_layer,
    optional_seed,
    probability,
)
from layerzoo.building.heads import attention_spec, head_width, known_context, valid_heads
from layerzoo.building.recipe import recipe
from layerzoo.building.seeds import drawn_dropout
from layerzoo.building.states import empty, must_keep_a_context, started, symbols, with_state
from layerzoo.building.sublayers import (
    build_position,
    dense,
    position_bias,
    rms_norm,
    serialized,
    turned,
)
from layerzoo.ops.attention import gated, split_groups
from layerzoo.ops.masks import with_masks, zero_padding
from layerzoo.ops.norms import normalized
from layerzoo.ops.steps import cross_attention_from, valid_first


@keras.saving.register_keras_serializable(package="layerzoo")
@recipe
class CrossAttention(layers.Layer):
    r"""Multi-head cross-attention (MHA, GQA, MQA): each step of a sequence attends to another sequence.

    $$
    y_t = W_O \Big[ z^{(n)}_t \odot \sum_{s \in S} p^{(n)}_{ts}\, v^{(g)}_s \Big]_n, \qquad
    p^{(n)}_{ts} = \operatorname*{softmax}_{s \in S} \Big(
        \frac{\langle R_t\, q^{(n)}_t,\; R_s\, k^{(g)}_s \rangle}{\sqrt h} + B^{(n)}_{ts} \Big)
    $$

    $q = W_Q\, x$ comes from the inputs and $k, v = W_{KV}\, c$ from the context. All are split into heads of
    width $h$. Query head $n$ uses the key/value head $g$ of its group. $S$ is the set of context steps that
    are not padding. `position` provides the rotations $R$ or the biases $B$. $[\cdot]_n$ concatenates the
    heads. $z^{(n)}_t = \sigma(W_Z\, x_t)^{(n)}$ with `gate`, and 1 without.

    Use when:
        - one sequence reads from another: a decoder from an encoder, text from an image.
        - the two sequences differ in length or in width.

    Avoid when:
        - there is only one sequence: `SelfAttention` needs a single input projection and can be causal.

    Args:
        num_heads: Positive integer. Number of query heads.
        num_key_value_heads: Positive integer that divides `num_heads`. Number of key/value heads. Defaults to
            `num_heads`.
        head_dim: Positive integer. Width of each head. Defaults to the input width divided by `num_heads`.
        position: Layer that encodes positions. Either it rotates queries and keys of shape
            `(batch, time, heads, head_dim)`, as `RotaryEmbedding` does, or it has a method `bias` that
            returns what to add to the scores, as `AlibiBias` and `RelativePositionBias` have. Positions start
            at 0 in both sequences. Defaults to None.
        qk_norm: Boolean. Whether to RMS-normalise queries and keys, before `position`. Defaults to False.
        gate: Boolean. Whether to multiply what each head attended to by a sigmoid gate, which is computed
            from the inputs and has a value for each feature of each head. Defaults to False.
        dropout: Float between 0 and 1. Fraction of attention scores to drop during training. Defaults to 0.
        use_bias: Boolean. Whether the three projections have a bias. Defaults to True.
        kernel_initializer: Initializer for the kernels of the three projections. Defaults to
            `"glorot_uniform"`.
        seed: Integer. Random seed for the dropout. Defaults to None.
        **kwargs: Standard Keras layer arguments: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: The sequence that provides the queries.
        context: The sequence that provides the keys and values. Defaults to the context that the
            `initial_state` keeps, or without a state to the inputs themselves.
        context_mask: Boolean tensor of shape `(batch, context time)`, false at padding. Defaults to the mask
            that the context carries, if any.
        mask: Boolean tensor of shape `(batch, time)`, false at padding. Defaults to the mask that the inputs
            carry, if any.
        inputs_mask: The name by which Keras passes `mask` when there is a context or an `initial_state`.
        return_attention_scores: Boolean. Whether to return `(outputs, scores)` instead of `outputs`.
        training: Boolean. Whether to apply dropout to the scores.
        initial_state: State to continue from, as an earlier call or `get_initial_state` returned it. It keeps
            the projected context. Defaults to None: a sequence starts.
        return_state: Boolean. Whether to return `(outputs, state)` instead of `outputs`.

    Input shape:
        `(batch, time, width)` for the inputs and `(batch, context time, context width)` for the context.
        `batch` and both times may be unknown. The first call fixes the two widths.

    Output shape:
        Same as the inputs. The scores have shape `(batch, num_heads, time, context time)`.

    Masking:
        The mask of the inputs is passed on, and the mask of the context is consumed. No step attends to
        padding, even if the padding holds NaN. Outputs at padded steps are zero. If the whole context is
        padding, the output is the bias of the output projection.

    Raises:
        ValueError: if a size is not a positive integer, `dropout` is not between 0 and 1,
            `num_key_value_heads` does not divide `num_heads`, a width is unknown, `num_heads` does not divide
            the input width and `head_dim` is not given, the context does not have three axes or
            has another number of samples, or a `context_mask` is passed without a `context`.
        ValueError: if a mask has another shape than stated, or other values than booleans, 0 and 1.
        ValueError: if `initial_state` is not a state of this layer for as many samples, or comes with neither
            a context of its own nor a `context`; if a state is wanted beside the scores.
        TypeError: if `position` is not a Keras layer.

    Example:
        ```python
        import keras
        from layerzoo import CrossAttention

        text, image = keras.Input((None, 16)), keras.Input((49, 32))
        outputs = CrossAttention(4)(text, context=image)
        print(outputs.shape)
        #> (None, None, 16)
        ```

    Reference:
        [Attention Is All You Need](https://arxiv.org/abs/1706.03762). Grouped heads follow
        [GQA](https://arxiv.org/abs/2305.13245). A single kernel computes keys and values. Its columns are
        ordered by key/value head: its key, its value. With `gate`, a single kernel computes queries and
        gates: the query heads of a group, and then their gates. The gate is the one of
        [Gated Attention](https://arxiv.org/abs/2505.06708), as in Keras's `use_gate`, and not Flamingo's
        gated cross-attention. A query that may attend to nothing gets zeros, not the mean of the padding.
    """

    def __init__(
        self,
        num_heads: int,
        num_key_value_heads: int | None = None,
        head_dim: int | None = None,
        position: layers.Layer | None = None,
        qk_norm: bool = False,
        gate: bool = False,
        dropout: float = 0.0,
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)
        heads = valid_heads(num_heads, num_key_value_heads, head_dim)
        self.num_heads, self.num_key_value_heads, self.head_dim = heads
        self.position = optional_layer(position=position)
        self.qk_norm = boolean(qk_norm=qk_norm)
        self.gate = boolean(gate=gate)
        self.dropout = probability(dropout=dropout)
        self.use_bias = boolean(use_bias=use_bias)
        self.kernel_initializer = initializer(kernel_initializer=kernel_initializer)
        self.seed = optional_seed(seed=seed)
        self.supports_masking = True
        self.input_spec = layers.InputSpec(ndim=3)

    def build(self, inputs_shape, context_shape=None):
        context_shape = inputs_shape if context_shape is None else context_shape
        known_context(context_shape)
        n, g = self.num_heads, self.num_key_value_heads or self.num_heads
        h = head_width(n, self.head_dim, inputs_shape)
        width, query_shape = inputs_shape[-1], (*inputs_shape[:-1], n, h)

        self.project_query = dense(self, (1 + self.gate) * n * h, inputs_shape, "query")
        self.project_context = dense(self, 2 * g * h, context_shape, "key_value")
        self.project_out = dense(self, width, (*inputs_shape[:-1], n * h), "output")
        if self.qk_norm:
            self.query_norm = rms_norm(self, query_shape, "query_norm")
            self.key_norm = rms_norm(self, (*context_shape[:-1], g, h), "key_norm")
        build_position(self.position, query_shape)
        if self.dropout:
            self.seed_generator = keras.random.SeedGenerator(self.seed)
        self.heads = (n, g, h)
        self.input_spec = layers.InputSpec(ndim=3, axes={-1: width})

    def call(
        self,
        inputs,
        context=None,
        context_mask=None,
        mask=None,
        inputs_mask=None,
        return_attention_scores=False,
        training=None,
        initial_state=None,
        return_state=False,
    ):
        state = started(self, inputs, initial_state, return_state, return_attention_scores)
        new_context = context is not None or initial_state is None
        if not new_context:
            must_keep_a_context(state)
        context, context_mask, mask = with_masks(inputs, context, context_mask, mask, inputs_mask)
        inputs, mask, restored = valid_first(inputs, mask, state)
        inputs, context = (ops.cast(x, self.compute_dtype) for x in (inputs, context))
        n, g, h = self.heads
        b, t, _ = ops.shape(inputs)
        together = self.project_query(zero_padding(inputs, mask))
        query, *gate = split_groups(together, g, (n // g,) * (1 + self.gate))
        if self.qk_norm:
            query = normalized(self.query_norm, query)
        query = turned(self.position, query, state and state["place"])
        given = self._keys_and_values(context, context_mask) if new_context else None
        sees = dict(dropout=drawn_dropout(self, training), **position_bias(self.position))
        attended, scores_or_state = cross_attention_from(
            state, query, given, context_mask, mask, return_attention_scores, **sees
        )
        attended = ops.reshape(gated(attended, *gate), (b, t, n * h))
        outputs = restored(zero_padding(self.project_out(attended), mask))
        return (outputs, scores_or_state) if return_attention_scores or return_state else outputs

    def get_initial_state(self, batch_size, length=None):
        """Return the state before the first call. It keeps no context yet, so that this call needs one."""
        return empty(self.state_tensors(batch_size, 0))

    def state_tensors(self, batch_size, length):
        """The shape and the dtype of each tensor of a state."""
        _, g, h = self.heads
        key = value = ((batch_size, g, length, h), self.compute_dtype)
        mask, place = ((batch_size, length), "bool"), ((batch_size,), "int32")
        return dict(key=key, value=value, mask=mask, place=place)

    def compute_output_shape(self, inputs_shape, context_shape=None):
        return inputs_shape

    def compute_output_spec(
        self,
        inputs,
        context=None,
        *masks,
        return_attention_scores=False,
        training=None,
        initial_state=None,
        return_state=False,
        **kw,
    ):
        state = started(self, inputs, initial_state, return_state, return_attention_scores)
        new_context = context is not None or initial_state is None
        context, _, _ = with_masks(inputs, context, *masks, **kw)
        b, t, _ = inputs.shape
        scores = (b, self.num_heads, t, context.shape[1])
        outputs = attention_spec(self, inputs.shape, scores, return_attention_scores)
        if state is not None and new_context:
            state = symbols(self.state_tensors(b, context.shape[1]))
        return with_state(outputs, state, return_state)

    def get_config(self):
        config = super().get_config()
        config.update(
            num_heads=self.num_heads,
            num_key_value_heads=self.num_key_value_heads,
            head_dim=self.head_dim,
            position=serialized(self.position),
            qk_norm=self.qk_norm,
            gate=self.gate,
            dropout=self.dropout,
            use_bias=self.use_bias,
            kernel_initializer=initializers.serialize(self.kernel_initializer),
            seed=self.seed,
        )
        return config

    @classmethod
    def from_config(cls, config):
        position = keras.saving.deserialize_keras_object(config.get("position"))
        return super().from_config({**config, "position": position})

    def _keys_and_values(self, context, context_mask):
        together = self.project_context(zero_padding(context, context_mask))
        key, value = split_groups(together, self.heads[1], (1, 1))
        if self.qk_norm:
            key = normalized(self.key_norm, key)
        return turned(self.position, key), value
