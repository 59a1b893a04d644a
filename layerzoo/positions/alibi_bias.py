import keras
from keras import backend, layers, ops

from layerzoo.building.arguments import known_heads
from layerzoo.ops.positions import alibi_slopes


@keras.saving.register_keras_serializable(package="layerzoo")
class AlibiBias(layers.Layer):
    r"""Lowers each attention score by its distance, more steeply in some heads than in others.

    $$
    y^{(n)}_{ts} = x^{(n)}_{ts} - m_n\, |t - s|, \qquad m_n = 2^{-8n/N}
    $$

    $x$ are the scores before the softmax, $t$ is the position of a query and $s$ of a key, $n = 1, \dots,
    N$ a head. Where $N$ is no power of two, the slopes are those of the next lower power $P$, and after
    them $2^{-8(i - 1/2)/P}$ for $i = 1, 2, \dots$

    Use when:
        - sequences get longer than in training: `SelfAttention(position=AlibiBias())`.
        - nothing about positions should be learned.

    Avoid when:
        - what is far away matters as much as what is near: `RotaryEmbedding` lowers no score by itself.

    Args:
        **kwargs: Keras's own: `name`, `dtype`, `trainable`.

    Call arguments:
        scores: Attention scores before the softmax.
        offset: Integer: the position of the first query, where that of the first key is 0. A query that
            is decoded with a cache of `s` keys, its own the last of them, has `s - 1`. Default 0.

    Input shape:
        `(batch, heads, queries, keys)`. All sizes but that of the heads may be unknown.

    Output shape:
        The input's.

    Masking:
        Passed on. Padding counts as steps.

    Raises:
        ValueError: the number of heads is unknown.

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
        [Train Short, Test Long](https://arxiv.org/abs/2108.12409); its code has the slopes for every
        number of heads. The paper's attention is causal, and $t - s$ is never negative there;
        x-transformers takes $|t - s|$ too, and puts the last query beside the last key. KerasHub adds
        $-m_n (S - 1 - s)$ for $S$ keys, which after a causal softmax is the same.
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
        _, _, t, s = ops.shape(scores)
        queries, keys = ops.arange(0, t), ops.arange(0, s)
        bias = self.bias(queries + ops.cast(offset, queries.dtype), keys)
        return ops.cast(ops.cast(scores, bias.dtype) + bias, scores.dtype)

    def bias(self, query_steps, key_steps):
        """What is added to the scores of some queries and keys: `(heads, queries, keys)`.

        Args:
            query_steps: Integers `(queries,)`: where the queries stand.
            key_steps: Integers `(keys,)`: where the keys stand.
        """
        precise = backend.result_type(self.compute_dtype, "float32")
        distance = ops.cast(ops.abs(query_steps[:, None] - key_steps[None, :]), precise)
        return -ops.convert_to_tensor(self.slopes, precise)[:, None, None] * distance

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return super().get_config()
