import keras
from keras import initializers, layers, ops

from layerzoo.building.arguments import InitializerLike, known_width, optional_layer, probability
from layerzoo.building.heads import attention_spec, head_width, valid_heads
from layerzoo.building.seeds import drawn_dropout
from layerzoo.building.sublayers import build_position, dense, positioned, rms_norm, unbuilt
from layerzoo.ops.attention import attention_with_scores
from layerzoo.ops.masks import zero_padding


@keras.saving.register_keras_serializable(package="layerzoo")
class CrossAttention(layers.Layer):
    r"""Every step of a sequence takes a weighted mean of the steps of another, its context.

    $$
    y_t = W_O \Big[ \sum_{s \in S} p^{(n)}_{ts}\, v^{(g)}_s \Big]_n, \qquad
    p^{(n)}_{ts} = \operatorname*{softmax}_{s \in S}
        \frac{\langle R_t\, q^{(n)}_t,\; R_s\, k^{(g)}_s \rangle}{\sqrt h} + B^{(n)}_{ts}
    $$

    $q = W_Q\, x$ comes from the inputs, $k, v = W_{KV}\, c$ from the context; all are split into heads
    of width $h$, and query head $n$ reads the key/value head $g$ of its group. $S$ holds the steps of
    the context that are no padding; `position` gives the turns $R$ or the biases $B$. $[\cdot]_n$ puts
    the heads side by side.

    Use when:
        - a sequence should read from another one: a decoder from an encoder, text from an image.
        - the two differ in length or in width.

    Avoid when:
        - there is one sequence only: `SelfAttention` has one projection for it, and can be causal.

    Args:
        num_heads: Positive integer. Query heads.
        num_key_value_heads: Divisor of `num_heads`. Heads of keys and values. Default: `num_heads`.
        head_dim: Positive integer. Width of a head. Default: the inputs' width over `num_heads`.
        position: Layer that turns queries and keys `(batch, time, heads, head_dim)`: `RotaryEmbedding`.
            Or one with a method `bias`, which gives what is added to scores: `AlibiBias`,
            `RelativePositionBias`. The steps of both sequences count from 0.
        qk_norm: Boolean. Whether queries and keys are RMS-normalised, before `position`.
        dropout: Float from 0 to 1. Share of attention scores dropped in training.
        use_bias: Boolean. Whether the three projections have a bias.
        kernel_initializer: Initializer of the three projections' kernels.
        seed: Integer. Seed of the dropout.
        **kwargs: Keras's own: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: The sequence that reads.
        context: The sequence that is read. Without it the inputs read themselves.
        context_mask: Boolean `(batch, context time)`, false at padding. Taken from the context where it
            carries one.
        mask: Boolean `(batch, time)`, false at padding. Taken from the inputs where they carry one.
        inputs_mask: The name under which Keras hands over `mask` when there is a context.
        return_attention_scores: Whether to return `(outputs, scores)`.
        training: Whether to drop scores.

    Input shape:
        `(batch, time, width)`, and `(batch, context time, context width)`. `batch` and both times may be
        unknown. The first call decides the widths.

    Output shape:
        The inputs'; the scores are `(batch, num_heads, time, context time)`.

    Masking:
        The inputs' is passed on, the context's is consumed. No step sees padding, whatever it holds, NaN
        included. Outputs at padding are zero. Where the whole context is padding, the output projection
        gets zeros, and gives its bias.

    Raises:
        ValueError: a size is no positive integer, `dropout` is not between 0 and 1,
            `num_key_value_heads` does not divide `num_heads`, or `num_heads` not the width; the context
            has not three axes, or a `context_mask` comes without one.
        TypeError: `position` is no layer.

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
        [Attention Is All You Need](https://arxiv.org/abs/1706.03762) and, for the groups,
        [GQA](https://arxiv.org/abs/2305.13245). Keys and values come from one kernel, side by side in
        this order. A query that may see nothing gets zeros, not the mean of the padding.
    """

    def __init__(
        self,
        num_heads: int,
        num_key_value_heads: int | None = None,
        head_dim: int | None = None,
        position: layers.Layer | None = None,
        qk_norm: bool = False,
        dropout: float = 0.0,
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        valid_heads(num_heads, num_key_value_heads, head_dim)
        optional_layer(position=position)
        probability(dropout=dropout)
        self.num_heads = num_heads
        self.num_key_value_heads = num_key_value_heads
        self.head_dim = head_dim
        self.position = position
        self.qk_norm = qk_norm
        self.dropout = dropout
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.seed = seed
        self.supports_masking = True
        self.input_spec = layers.InputSpec(ndim=3)

    def build(self, inputs_shape, context_shape=None):
        context_shape = inputs_shape if context_shape is None else context_shape
        known_width(context_shape)
        if len(context_shape) != 3:
            raise ValueError(
                f"`context` must have three axes. Received: context_shape={tuple(context_shape)}"
            )
        n, g = self.num_heads, self.num_key_value_heads or self.num_heads
        h = head_width(n, self.head_dim, inputs_shape)
        width, query_shape = inputs_shape[-1], (*inputs_shape[:-1], n, h)

        self.project_query = dense(self, n * h, inputs_shape, "query")
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
    ):
        mask = inputs_mask if mask is None else mask
        if context is None:
            if context_mask is not None:
                raise ValueError("`context_mask` needs a `context`. Received: context=None")
            context, context_mask = inputs, mask
        n, g, h = self.heads
        b, t, _ = ops.shape(inputs)
        s = ops.shape(context)[1]
        query = ops.reshape(self.project_query(zero_padding(inputs, mask)), (b, t, n, h))
        together = self.project_context(zero_padding(context, context_mask))
        key, value = ops.split(ops.reshape(together, (b, s, 2 * g, h)), 2, axis=2)
        if self.qk_norm:
            query, key = self.query_norm(query), self.key_norm(key)
        query, key, bias = positioned(self.position, query, key)
        sees = dict(dropout=drawn_dropout(self, training), **bias)
        attended, scores = attention_with_scores(
            query, key, value, context_mask, return_attention_scores, **sees
        )
        outputs = self.project_out(ops.reshape(attended, (b, t, n * h)))
        outputs = zero_padding(outputs, mask)
        return (outputs, scores) if return_attention_scores else outputs

    def compute_output_shape(self, inputs_shape, context_shape=None):
        return inputs_shape

    def compute_output_spec(self, inputs, context=None, *_, return_attention_scores=False, **__):
        b, t, _ = inputs.shape
        scores = (b, self.num_heads, t, (inputs if context is None else context).shape[1])
        return attention_spec(self, inputs.shape, scores, return_attention_scores)

    def get_config(self):
        config = super().get_config()
        config.update(
            num_heads=self.num_heads,
            num_key_value_heads=self.num_key_value_heads,
            head_dim=self.head_dim,
            position=unbuilt(keras.saving.serialize_keras_object(self.position)),
            qk_norm=self.qk_norm,
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
