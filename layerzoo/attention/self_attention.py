import keras
from keras import initializers, layers, ops

from layerzoo.building.arguments import (
    InitializerLike,
    boolean,
    initializer,
    known_width,
    optional_layer,
    optional_positive_int,
    optional_seed,
    probability,
)
from layerzoo.building.heads import attention_spec, head_width, valid_heads
from layerzoo.building.recipe import recipe
from layerzoo.building.seeds import drawn_dropout
from layerzoo.building.states import first_state, mask_of_inputs, spec_with_state, started
from layerzoo.building.sublayers import build_position, dense, positioned, rms_norm, serialized
from layerzoo.ops.attention import gated, split_groups
from layerzoo.ops.masks import zero_padding
from layerzoo.ops.norms import normalized
from layerzoo.ops.steps import attention_from, valid_first


@keras.saving.register_keras_serializable(package="layerzoo")
@recipe
class SelfAttention(layers.Layer):
    r"""Multi-head self-attention (MHA), with grouped-query (GQA) and multi-query (MQA) variants.

    $$
    y_t = W_O \Big[ z^{(n)}_t \odot \sum_{s \in S(t)} p^{(n)}_{ts}\, v^{(g)}_s \Big]_n, \qquad
    p^{(n)}_{ts} = \operatorname*{softmax}_{s \in S(t)} \Big(
        \frac{\langle R_t\, q^{(n)}_t,\; R_s\, k^{(g)}_s \rangle}{\sqrt h} + B^{(n)}_{ts} \Big)
    $$

    $q, k, v = W_{QKV}\, x$ are split into heads of width $h$. Query head $n$ uses the key/value head $g$ of
    its group. $S(t)$ is the set of steps that step $t$ may attend to: those that are not padding and that
    `causal` and `window` allow. `position` provides the rotations $R$ or the biases $B$. $[\cdot]_n$
    concatenates the heads. $z^{(n)}_t = \sigma(W_Z\, x_t)^{(n)}$ with `gate`, and 1 without.

    Use when:
        - you map a sequence to a sequence of the same length, also in a Sequential model.
        - you want fewer key/value heads than query heads (GQA, or MQA with `num_key_value_heads=1`).
        - a model generates step by step: with `causal`, the keys and values go from call to call as a state
          (KV cache).

    Avoid when:
        - queries and keys come from two different sequences: use `CrossAttention`.

    Args:
        num_heads: Positive integer. Number of query heads.
        num_key_value_heads: Positive integer that divides `num_heads`. Number of key/value heads. Defaults to
            `num_heads`.
        head_dim: Positive integer. Width of each head. Defaults to the input width divided by `num_heads`.
        causal: Boolean. Whether each step attends only to itself and to earlier steps. Defaults to False.
        window: Positive integer. Each step attends only to steps less than `window` away, so `window=1`
            leaves only the step itself. Defaults to None: no limit.
        position: Layer that encodes positions. Either it rotates queries and keys of shape
            `(batch, time, heads, head_dim)`, as `RotaryEmbedding` does, or it has a method `bias` that
            returns what to add to the scores, as `AlibiBias` and `RelativePositionBias` have. Defaults to
            None.
        qk_norm: Boolean. Whether to RMS-normalise queries and keys, before `position`. Defaults to False.
        gate: Boolean. Whether to multiply what each head attended to by a sigmoid gate, which is computed
            from the inputs and has a value for each feature of each head. Defaults to False.
        dropout: Float between 0 and 1. Fraction of attention scores to drop during training. Defaults to 0.
        use_bias: Boolean. Whether the two projections have a bias. Defaults to True.
        kernel_initializer: Initializer for the kernels of the two projections. Defaults to
            `"glorot_uniform"`.
        seed: Integer. Random seed for the dropout. Defaults to None.
        **kwargs: Standard Keras layer arguments: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: The sequence.
        mask: Boolean tensor of shape `(batch, time)`, false at padding. Defaults to the mask that the inputs
            carry, if any.
        return_attention_scores: Boolean. Whether to return `(outputs, scores)` instead of `outputs`.
        training: Boolean. Whether to apply dropout to the scores.
        initial_state: State to continue from, as an earlier call or `get_initial_state` returned it. Defaults
            to None: a sequence starts.
        inputs_mask: The name by which Keras passes `mask` when there is an `initial_state`.
        return_state: Boolean. Whether to return `(outputs, state)` instead of `outputs`.

    Input shape:
        `(batch, time, width)`. `batch` and `time` may be unknown.

    Output shape:
        Same as the input. The scores have shape `(batch, num_heads, time, time)`.

    Masking:
        The mask is passed on. No step attends to padding, even if the padding holds NaN. Outputs at padded
        steps are zero.

    Raises:
        ValueError: if a size is not a positive integer, `dropout` is not between 0 and 1,
            `num_key_value_heads` does not divide `num_heads`, the width is unknown, or `num_heads` does not
            divide it and `head_dim` is not given.
        ValueError: if a mask has another shape than stated, or other values than booleans, 0 and 1.
        ValueError: if `initial_state` is not a state of this layer for as many samples, or has no room for
            the inputs; if a state is wanted without `causal`, or beside the scores.
        TypeError: if `position` is not a Keras layer.

    Example:
        ```python
        import keras
        from layerzoo import RotaryEmbedding, SelfAttention

        model = keras.Sequential([
            keras.Input((None, 16)),
            SelfAttention(4, num_key_value_heads=2, causal=True, position=RotaryEmbedding()),
        ])
        print(model.output_shape)
        #> (None, None, 16)
        ```

    Reference:
        [Attention Is All You Need](https://arxiv.org/abs/1706.03762). Grouped heads follow
        [GQA](https://arxiv.org/abs/2305.13245). A single kernel computes queries, keys and values. Its
        columns are ordered by key/value head: the query heads of its group, its key, its value, and then the
        gates of its query heads. The gate is the one of [Gated Attention](https://arxiv.org/abs/2505.06708),
        as in Qwen3-Next and in Keras's `use_gate`; it is neither `GatedAttentionPooling` nor Flamingo's gated
        cross-attention. A query that may attend to nothing gets zeros, not the mean of the padding.
    """

    def __init__(
        self,
        num_heads: int,
        num_key_value_heads: int | None = None,
        head_dim: int | None = None,
        causal: bool = False,
        window: int | None = None,
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
        self.causal = boolean(causal=causal)
        self.window = optional_positive_int(window=window)
        self.position = optional_layer(position=position)
        self.qk_norm = boolean(qk_norm=qk_norm)
        self.gate = boolean(gate=gate)
        self.dropout = probability(dropout=dropout)
        self.use_bias = boolean(use_bias=use_bias)
        self.kernel_initializer = initializer(kernel_initializer=kernel_initializer)
        self.seed = optional_seed(seed=seed)
        self.supports_masking = True
        self.input_spec = layers.InputSpec(ndim=3)

    def build(self, input_shape):
        width = known_width(input_shape)
        n, g = self.num_heads, self.num_key_value_heads or self.num_heads
        h = head_width(n, self.head_dim, input_shape)
        time = input_shape[:-1]

        self.counts = (n // g, 1, 1, n // g) if self.gate else (n // g, 1, 1)
        self.project_in = dense(self, g * sum(self.counts) * h, input_shape, "query_key_value")
        self.project_out = dense(self, width, (*time, n * h), "output")
        if self.qk_norm:
            self.query_norm = rms_norm(self, (*time, n, h), "query_norm")
            self.key_norm = rms_norm(self, (*time, g, h), "key_norm")
        build_position(self.position, (*time, n, h))
        if self.dropout:
            self.seed_generator = keras.random.SeedGenerator(self.seed)
        self.heads = (n, g, h)
        self.input_spec = layers.InputSpec(ndim=3, axes={-1: width})

    def call(
        self,
        inputs,
        mask=None,
        return_attention_scores=False,
        training=None,
        initial_state=None,
        inputs_mask=None,
        return_state=False,
    ):
        mask = mask_of_inputs(mask, inputs_mask, inputs.shape[:2])
        state = started(self, inputs, initial_state, return_state, return_attention_scores)
        inputs, mask, restored = valid_first(inputs, mask, state)
        inputs = ops.cast(inputs, self.compute_dtype)
        b, t, _ = ops.shape(inputs)
        n, g, h = self.heads
        together = self.project_in(zero_padding(inputs, mask))
        query, key, value, *gate = split_groups(together, g, self.counts)
        if self.qk_norm:
            query, key = normalized(self.query_norm, query), normalized(self.key_norm, key)
        query, key, bias = positioned(self.position, query, key, state and state["place"])
        sees = dict(causal=self.causal, window=self.window, **bias)
        dropout = drawn_dropout(self, training)
        attended, scores_or_state = attention_from(
            state, query, key, value, mask, return_attention_scores, dropout=dropout, **sees
        )
        outputs = self.project_out(ops.reshape(gated(attended, *gate), (b, t, n * h)))
        outputs = restored(zero_padding(outputs, mask))
        return (outputs, scores_or_state) if return_attention_scores or return_state else outputs

    def get_initial_state(self, batch_size, length=None):
        """Return the state at the start of a sequence, with room for `length` steps, or for one window."""
        return first_state(self, batch_size, length)

    def state_tensors(self, batch_size, length):
        """The shape and the dtype of each tensor of a state. One slot takes what need not be kept."""
        _, g, h = self.heads
        length = self.window or length
        shape = (batch_size, g, None if length is None else length + 1, h)
        key = value = (shape, self.compute_dtype)
        return dict(key=key, value=value, place=((batch_size,), "int32"))

    def compute_output_shape(self, input_shape):
        return input_shape

    def compute_output_spec(self, inputs, mask=None, return_attention_scores=False, **given):
        b, t, _ = inputs.shape
        scores = (b, self.num_heads, t, t)
        outputs = attention_spec(self, inputs.shape, scores, return_attention_scores)
        return spec_with_state(self, outputs, inputs, mask, return_attention_scores, **given)

    def get_config(self):
        config = super().get_config()
        config.update(
            num_heads=self.num_heads,
            num_key_value_heads=self.num_key_value_heads,
            head_dim=self.head_dim,
            causal=self.causal,
            window=self.window,
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
