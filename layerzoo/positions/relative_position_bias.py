import keras
from keras import backend, initializers, layers, ops

from layerzoo.building.arguments import InitializerLike, known_heads, positive_int
from layerzoo.ops.positions import distance_buckets, per_head


@keras.saving.register_keras_serializable(package="layerzoo")
class RelativePositionBias(layers.Layer):
    r"""Adds to each attention score a learned number, which depends on how far apart its steps are.

    $$
    y^{(n)}_{ts} = x^{(n)}_{ts} + B_{\beta(s - t),\, n}, \qquad
    \beta(d) = \begin{cases}
    d & 0 \le d < e \\
    \min\Big(e + \Big\lfloor l\, \dfrac{\ln (d / e)}{\ln (D / e)} \Big\rfloor,\; e + l - 1\Big)
    & d \ge e
    \end{cases}
    $$

    $x$ are the scores before the softmax, $t$ is the position of a query and $s$ of a key, $n$ a head,
    $B$ the table of `num_buckets` rows, $D$ is `max_distance`. Later keys ($d > 0$) have one half of the
    rows, earlier ones the other, with $\beta(|d|)$; without `bidirectional` earlier ones have all rows,
    and later ones the bucket of distance 0. Of the $e + l$ rows of a side, $e$ is half, rounded down.

    Use when:
        - attention should learn what each distance is worth: `SelfAttention(position=
          RelativePositionBias())`.
        - the sequences are longer than `max_distance`: what is farther away shares one bucket.

    Avoid when:
        - sequences get much longer than in training, and what is far should matter less: `AlibiBias`.

    Args:
        num_buckets: Integer of at least 2, with `bidirectional` even and at least 4. Rows of the table.
        max_distance: Integer above the distances that have a bucket each. All distances from here on
            share the last bucket.
        bidirectional: Boolean. Whether later keys have buckets of their own.
        embeddings_initializer: Initializer of the table.
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
        ValueError: `num_buckets` or `max_distance` is too small, `num_buckets` is odd with
            `bidirectional`, or the number of heads is unknown.

    Example:
        ```python
        import keras
        from layerzoo import RelativePositionBias, SelfAttention

        model = keras.Sequential([
            keras.Input((None, 16)),
            SelfAttention(4, position=RelativePositionBias(32, max_distance=128)),
        ])
        print(model.output_shape)
        #> (None, None, 16)
        ```

    Reference:
        [T5](https://arxiv.org/abs/1910.10683). The buckets are those of its code and of Hugging Face's,
        found in integers, so that no edge hangs on how a logarithm is rounded. T5 shares one table
        among its layers: give them one `RelativePositionBias`. It also leaves the scores as they are
        where `SelfAttention` divides them by $\sqrt h$.
    """

    def __init__(
        self,
        num_buckets: int = 32,
        max_distance: int = 128,
        bidirectional: bool = True,
        embeddings_initializer: InitializerLike = "uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        positive_int(num_buckets=num_buckets, max_distance=max_distance)
        if num_buckets < (4 if bidirectional else 2) or (bidirectional and num_buckets % 2):
            raise ValueError(
                "`num_buckets` must be at least 2, and with `bidirectional` even and at least 4. "
                f"Received: num_buckets={num_buckets}, bidirectional={bidirectional}"
            )
        if max_distance <= num_buckets // (4 if bidirectional else 2):
            raise ValueError(
                "`max_distance` must be more than a fourth of `num_buckets` with `bidirectional`, and "
                f"else than half of it. Received: max_distance={max_distance}, "
                f"num_buckets={num_buckets}, bidirectional={bidirectional}"
            )
        self.num_buckets = num_buckets
        self.max_distance = max_distance
        self.bidirectional = bidirectional
        self.embeddings_initializer = initializers.get(embeddings_initializer)
        self.supports_masking = True
        self.input_spec = layers.InputSpec(ndim=4)

    def build(self, input_shape):
        heads = known_heads(input_shape)
        count = self.num_buckets // 2 if self.bidirectional else self.num_buckets
        earlier = distance_buckets(count, self.max_distance)
        later = [count + bucket if self.bidirectional else 0 for bucket in earlier]
        self.buckets = (*reversed(earlier), *later[1:])  # from -max_distance to max_distance
        self.embeddings = self.add_weight(
            shape=(self.num_buckets, heads),
            initializer=self.embeddings_initializer,
            name="embeddings",
        )
        self.input_spec = layers.InputSpec(ndim=4, axes={1: heads})

    def call(self, scores, offset=0):
        _, _, t, s = ops.shape(scores)
        queries, keys = ops.arange(0, t), ops.arange(0, s)
        queries = queries + ops.cast(offset, queries.dtype)
        bias = self.bias(queries, keys, ops.convert_to_tensor(self.embeddings))
        precise = backend.result_type(scores.dtype, "float32")
        return ops.cast(ops.cast(scores, precise) + ops.cast(bias, precise), scores.dtype)

    def bias(self, query_steps, key_steps, embeddings):
        """What is added to the scores of some queries and keys: `(heads, queries, keys)`.

        Args:
            query_steps: Integers `(queries,)`: where the queries stand.
            key_steps: Integers `(keys,)`: where the keys stand.
            embeddings: The table `(num_buckets, heads)`.
        """
        distance = key_steps[None, :] - query_steps[:, None]
        distance = ops.clip(distance, -self.max_distance, self.max_distance)
        by_distance = ops.take(embeddings, ops.convert_to_tensor(self.buckets, "int32"), axis=0)
        return per_head(by_distance, distance + self.max_distance)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        config = super().get_config()
        config.update(
            num_buckets=self.num_buckets,
            max_distance=self.max_distance,
            bidirectional=self.bidirectional,
            embeddings_initializer=initializers.serialize(self.embeddings_initializer),
        )
        return config
