import keras
from keras import backend, layers, ops

from layerzoo.building.arguments import known_heads
from layerzoo.building.recipe import recipe
from layerzoo.ops.dtypes import floating
from layerzoo.ops.positions import alibi_slopes


@keras.saving.register_keras_serializable(package="layerzoo")
@recipe
class AlibiBias(layers.Layer):
    r"""ALiBi: lowers each attention score in proportion to distance, with one slope per head.

    $$
    y^{(n)}_{ts} = x^{(n)}_{ts} - m_n\, |t - s|, \qquad m_n = 2^{-8n/N}
    $$

    $x$ are the scores before the softmax. $t$ is the position of a query, $s$ the position of a key, and
    $n = 1, \dots, N$ the head. If $N$ is not a power of two, the slopes are those of the next lower power
    $P$, followed by $2^{-8(i - 1/2)/P}$ for $i = 1, 2, \dots$

    Use when:
        - sequences become longer than in training: `SelfAttention(position=AlibiBias())`.
        - you want positions without any learned weights.

    Avoid when:
        - distant steps matter as much as near ones: `RotaryEmbedding` does not itself lower any score.

    Args:
        **kwargs: Standard Keras layer arguments: `name`, `dtype`, `trainable`.

    Call arguments:
        scores: Attention scores before the softmax.
        offset: Integer. Position of the first query, where the first key has position 0. To decode one step
            with a cache of `s` keys, the current one included, pass `s - 1`. Defaults to 0.

    Input shape:
        `(batch, heads, queries, keys)`. All sizes except the number of heads may be unknown.

    Output shape:
        Same as the input.

    Masking:
        The mask is passed on. Padded steps count as positions.

    Raises:
        ValueError: if the number of heads is unknown.

    Example:
        ```python
        import numpy as np
        from layerzoo import AlibiBias

        biased = AlibiBias()(np.zeros((1, 8, 3, 3), "float32"))
        print(np.asarray(biased)[0, 0])
        #> [[ 0.  -0.5 -1. ]
        #>  [-0.5  0.  -0.5]
        #>  [-1.  -0.5  0. ]]
        ```

    Reference:
        [Train Short, Test Long](https://arxiv.org/abs/2108.12409). The slopes for any number of heads follow
        the authors' code. Attention in the paper is causal, so $t - s$ is never negative there. Like
        x-transformers, this layer uses $|t - s|$; x-transformers also aligns the last query with the last
        key. KerasHub adds $-m_n (S - 1 - s)$ for $S$ keys, which is the same after a causal softmax.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.input_spec = layers.InputSpec(ndim=4)

    def build(self, input_shape):
        heads = known_heads(input_shape)
        self.slopes = tuple(alibi_slopes(heads))
        self.input_spec = layers.InputSpec(ndim=4, axes={1: heads})

    def call(self, scores, offset=0):
        scores = floating(scores, self.compute_dtype)
        _, _, t, s = ops.shape(scores)
        queries, keys = ops.arange(0, t), ops.arange(0, s)
        bias = self.bias(queries + ops.cast(offset, queries.dtype), keys)
        return ops.cast(ops.cast(scores, bias.dtype) + bias, scores.dtype)

    def bias(self, query_steps, key_steps):
        """Return what to add to the scores of some queries and keys: `(..., heads, queries, keys)`.

        Args:
            query_steps: Integers of shape `(..., queries)`. Positions of the queries.
            key_steps: Integers of shape `(..., keys)`. Positions of the keys.
        """
        precise = backend.result_type(self.compute_dtype, "float32")
        distance = ops.expand_dims(query_steps, -1) - ops.expand_dims(key_steps, -2)
        distance = ops.expand_dims(ops.cast(ops.abs(distance), precise), -3)
        return -ops.expand_dims(ops.convert_to_tensor(self.slopes, precise), (1, 2)) * distance

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return super().get_config()
