import keras
from keras import initializers, layers, ops

from layerzoo.building.arguments import (
    InitializerLike,
    known_width,
    optional_layer,
    optional_positive_int,
    probability,
)
from layerzoo.building.heads import attention_spec, head_width, valid_heads
from layerzoo.building.seeds import drawn_dropout
from layerzoo.building.sublayers import build_position, dense, positioned, rms_norm, unbuilt
from layerzoo.ops.attention import attention_with_scores
from layerzoo.ops.masks import zero_padding


@keras.saving.register_keras_serializable(package="layerzoo")
class SelfAttention(layers.Layer):
    r"""Every step of a sequence takes a weighted mean of the steps that it may see.

    $$
    y_t = W_O \Big[ \sum_{s \in S(t)} p^{(n)}_{ts}\, v^{(g)}_s \Big]_n, \qquad
    p^{(n)}_{ts} = \operatorname*{softmax}_{s \in S(t)}
        \frac{\langle R_t\, q^{(n)}_t,\; R_s\, k^{(g)}_s \rangle}{\sqrt h} + B^{(n)}_{ts}
    $$

    $q, k, v = W_{QKV}\, x$ are split into heads of width $h$; query head $n$ reads the key/value head
    $g$ of its group. $S(t)$ holds the steps that are no padding and lie within `causal` and `window`;
    `position` gives the turns $R$ or the biases $B$. $[\cdot]_n$ puts the heads side by side.

    Use when:
        - a sequence goes in and one of the same length comes out, in a Sequential model too.
        - the key/value heads should be fewer than the query heads (grouped- or multi-query attention).

    Avoid when:
        - queries and keys come from two sequences: `CrossAttention` takes both.

    Args:
        num_heads: Positive integer. Query heads.
        num_key_value_heads: Divisor of `num_heads`. Heads of keys and values. Default: `num_heads`.
        head_dim: Positive integer. Width of a head. Default: the input's width over `num_heads`.
        causal: Boolean. Whether a step sees only itself and earlier ones.
        window: Positive integer. A step sees only steps nearer than this, itself counted.
        position: Layer that turns queries and keys `(batch, time, heads, head_dim)`: `RotaryEmbedding`.
            Or one with a method `bias`, which gives what is added to scores: `AlibiBias`,
            `RelativePositionBias`.
        qk_norm: Boolean. Whether queries and keys are RMS-normalised, before `position`.
        dropout: Float from 0 to 1. Share of attention scores dropped in training.
        use_bias: Boolean. Whether the two projections have a bias.
        kernel_initializer: Initializer of the two projections' kernels.
        seed: Integer. Seed of the dropout.
        **kwargs: Keras's own: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: The sequence.
        mask: Boolean `(batch, time)`, false at padding. Taken from the inputs where they carry one.
        return_attention_scores: Whether to return `(outputs, scores)`.
        training: Whether to drop scores.

    Input shape:
        `(batch, time, width)`. `batch` and `time` may be unknown.

    Output shape:
        The input's; the scores are `(batch, num_heads, time, time)`.

    Masking:
        Passed on. No step sees padding, whatever it holds, NaN included. Outputs at padding are zero.

    Raises:
        ValueError: a size is no positive integer, `dropout` is not between 0 and 1,
            `num_key_value_heads` does not divide `num_heads`, or `num_heads` not the width.
        TypeError: `position` is no layer.

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
        [Attention Is All You Need](https://arxiv.org/abs/1706.03762) and, for the groups,
        [GQA](https://arxiv.org/abs/2305.13245). Queries, keys and values come from one kernel, side by
        side in this order. A query that may see nothing gets zeros, not the mean of the padding.
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
        dropout: float = 0.0,
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        valid_heads(num_heads, num_key_value_heads, head_dim)
        optional_positive_int(window=window)
        optional_layer(position=position)
        probability(dropout=dropout)
        self.num_heads = num_heads
        self.num_key_value_heads = num_key_value_heads
        self.head_dim = head_dim
        self.causal = causal
        self.window = window
        self.position = position
        self.qk_norm = qk_norm
        self.dropout = dropout
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.seed = seed
        self.supports_masking = True
        self.input_spec = layers.InputSpec(ndim=3)

    def build(self, input_shape):
        width = known_width(input_shape)
        n, g = self.num_heads, self.num_key_value_heads or self.num_heads
        h = head_width(n, self.head_dim, input_shape)
        time = input_shape[:-1]

        self.project_in = dense(self, (n + 2 * g) * h, input_shape, "query_key_value")
        self.project_out = dense(self, width, (*time, n * h), "output")
        if self.qk_norm:
            self.query_norm = rms_norm(self, (*time, n, h), "query_norm")
            self.key_norm = rms_norm(self, (*time, g, h), "key_norm")
        build_position(self.position, (*time, n, h))
        if self.dropout:
            self.seed_generator = keras.random.SeedGenerator(self.seed)
        self.heads = (n, g, h)
        self.input_spec = layers.InputSpec(ndim=3, axes={-1: width})

    def call(self, inputs, mask=None, return_attention_scores=False, training=None):
        b, t, _ = ops.shape(inputs)
        n, g, h = self.heads
        together = self.project_in(zero_padding(inputs, mask))
        together = ops.reshape(together, (b, t, n + 2 * g, h))
        query, key, value = ops.split(together, [n, n + g], axis=2)
        if self.qk_norm:
            query, key = self.query_norm(query), self.key_norm(key)
        query, key, bias = positioned(self.position, query, key)
        dropout = drawn_dropout(self, training)
        sees = dict(causal=self.causal, window=self.window, dropout=dropout, **bias)
        attended, scores = attention_with_scores(
            query, key, value, mask, return_attention_scores, **sees
        )
        outputs = self.project_out(ops.reshape(attended, (b, t, n * h)))
        outputs = zero_padding(outputs, mask)
        return (outputs, scores) if return_attention_scores else outputs

    def compute_output_shape(self, input_shape):
        return input_shape

    def compute_output_spec(self, inputs, mask=None, return_attention_scores=False, training=None):
        b, t, _ = inputs.shape
        scores = (b, self.num_heads, t, t)
        return attention_spec(self, inputs.shape, scores, return_attention_scores)

    def get_config(self):
        config = super().get_config()
        config.update(
            num_heads=self.num_heads,
            num_key_value_heads=self.num_key_value_heads,
            head_dim=self.head_dim,
            causal=self.causal,
            window=self.window,
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
