import keras
from keras import backend, initializers, layers, ops

from layerzoo.building.arguments import (
    InitializerLike,
    boolean,
    initializer,
    known_heads,
    positive_int,
)
from layerzoo.building.recipe import recipe
from layerzoo.ops.dtypes import floating
from layerzoo.ops.positions import distance_buckets, per_head


@keras.saving.register_keras_serializable(package="layerzoo")
@recipe
class RelativePositionBias(layers.Layer):
    r"""T5 relative position bias: adds a learned bias to each attention score, depending on distance.

    $$
    y^{(n)}_{ts} = x^{(n)}_{ts} + B_{\beta(s - t),\, n}, \qquad
    \beta(d) = \begin{cases}
    d & 0 \le d < e \\
    \min\Big(e + \Big\lfloor l\, \dfrac{\ln (d / e)}{\ln (D / e)} \Big\rfloor,\; e + l - 1\Big)
    & d \ge e
    \end{cases}
    $$

    $x$ are the scores before the softmax. $t$ is the position of a query, $s$ the position of a key, and $n$
    the head. $B$ is the learned table with `num_buckets` rows, and $D$ is `max_distance`. With
    `bidirectional`, later keys ($d > 0$) use one half of the rows. All other keys use the other half, with
    $\beta(|d|)$. Without `bidirectional`, all rows serve the earlier keys, and later keys share the bucket of
    distance 0. Each side has $e + l$ rows, where $e$ is half of them, rounded down.

    Use when:
        - attention should learn how much each distance matters:
          `SelfAttention(position=RelativePositionBias())`.
        - sequences are longer than `max_distance`: all distances beyond it share one bucket.

    Avoid when:
        - sequences become much longer than in training, and distant steps should matter less: use
          `AlibiBias`.

    Args:
        num_buckets: Integer. Number of rows of the table. Must be even and at least 4 if `bidirectional`,
            otherwise at least 2. Defaults to 32.
        max_distance: Integer. This distance and all larger ones share the last bucket. Must exceed
            `num_buckets // 4` if `bidirectional`, otherwise `num_buckets // 2`. Distances below that number
            have a bucket each. Defaults to 128.
        bidirectional: Boolean. Whether later keys have buckets of their own. Defaults to True.
        embeddings_initializer: Initializer for the table. Defaults to `"uniform"`.
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
        ValueError: if `num_buckets` or `max_distance` is too small, `num_buckets` is odd and `bidirectional`
            is set, or the number of heads is unknown.

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
        [T5](https://arxiv.org/abs/1910.10683). The buckets are those of T5's code and of Hugging Face's. They
        are computed in integers, so no bucket edge depends on how a logarithm is rounded. T5 shares one table
        among its layers. To do the same, pass one `RelativePositionBias` to all of them. T5 does not scale
        the scores, whereas `SelfAttention` divides them by $\sqrt h$.
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
        self.num_buckets = positive_int(num_buckets=num_buckets)
        self.max_distance = positive_int(max_distance=max_distance)
        self.bidirectional = boolean(bidirectional=bidirectional)
        if num_buckets < (4 if bidirectional else 2) or (bidirectional and num_buckets % 2):
            raise ValueError(
                "`num_buckets` must be even and at least 4 if `bidirectional`, otherwise at least 2. "
                f"Received: num_buckets={num_buckets}, bidirectional={bidirectional}"
            )
        if max_distance <= num_buckets // (4 if bidirectional else 2):
            raise ValueError(
                "`max_distance` must exceed `num_buckets // 4` if `bidirectional`, otherwise "
                f"`num_buckets // 2`. Received: max_distance={max_distance}, "
                f"num_buckets={num_buckets}, bidirectional={bidirectional}"
            )
        self.embeddings_initializer = initializer(embeddings_initializer=embeddings_initializer)
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
        scores = floating(scores, self.compute_dtype)
        _, _, t, s = ops.shape(scores)
        queries, keys = ops.arange(0, t), ops.arange(0, s)
        queries = queries + ops.cast(offset, queries.dtype)
        bias = self.bias(queries, keys, ops.convert_to_tensor(self.embeddings))
        precise = backend.result_type(scores.dtype, "float32")
        return ops.cast(ops.cast(scores, precise) + ops.cast(bias, precise), scores.dtype)

    def bias(self, query_steps, key_steps, embeddings):
        """Return what to add to the scores of some queries and keys: `(..., heads, queries, keys)`.

        Args:
            query_steps: Integers of shape `(..., queries)`. Positions of the queries.
            key_steps: Integers of shape `(..., keys)`. Positions of the keys.
            embeddings: The table, of shape `(num_buckets, heads)`.
        """
        distance = ops.expand_dims(key_steps, -2) - ops.expand_dims(query_steps, -1)
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
