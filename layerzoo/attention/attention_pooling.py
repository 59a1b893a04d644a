import keras
from keras import initializers, layers, ops

from layerzoo.attention.cross_attention import CrossAttention
from layerzoo.building.arguments import InitializerLike, known_width, positive_int
from layerzoo.building.heads import attention_spec, head_width, valid_heads


@keras.saving.register_keras_serializable(package="layerzoo")
class AttentionPooling(layers.Layer):
    r"""A few learned queries read a sequence of any length, and what each reads becomes one vector.

    $$
    y_i = W_O \Big[ \sum_{t \in S} p^{(n)}_{it}\, v^{(n)}_t \Big]_n, \qquad
    p^{(n)}_{it} = \operatorname*{softmax}_{t \in S}
        \frac{\langle q^{(n)}_i,\; k^{(n)}_t \rangle}{\sqrt h}
    $$

    $q_i = W_Q\, z_i$ comes from the learned vector $z_i$ of query $i$, and $k, v = W_{KV}\, x$ from the
    sequence; all are split into heads of width $h$. $S$ holds the steps that are no padding, and
    $[\cdot]_n$ puts the heads side by side.

    Use when:
        - a sequence, or an image cut into patches, becomes one vector, and which steps count depends on
          what they hold.
        - several heads should look for several things, which one mean cannot.

    Avoid when:
        - one weight a step should say how much it counts: `GatedAttentionPooling` has one softmax.
        - a few vectors should read the sequence again and again: `PerceiverResampler` does.

    Args:
        num_heads: Positive integer. Heads.
        num_queries: Positive integer. Learned queries.
        head_dim: Positive integer. Width of a head. Default: the input's width over `num_heads`.
        use_bias: Boolean. Whether the three projections have a bias.
        kernel_initializer: Initializer of the three projections' kernels.
        **kwargs: Keras's own: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: The sequence.
        mask: Boolean `(batch, time)`, false at padding. Taken from the inputs where they carry one.
        return_attention_scores: Whether to return `(outputs, scores)`.

    Input shape:
        `(batch, time, width)`. `batch` and `time` may be unknown.

    Output shape:
        `(batch, width)` with one query, and `(batch, num_queries, width)` with more; the scores are
        `(batch, num_heads, num_queries, time)`.

    Masking:
        Consumed. No query sees padding, whatever it holds, NaN included. Where a sample is all padding,
        the output projection gets zeros, and gives its bias.

    Raises:
        ValueError: a size is no positive integer, or `num_heads` does not divide the width.

    Example:
        ```python
        import keras
        from layerzoo import AttentionPooling

        model = keras.Sequential([
            keras.Input((None, 64)),
            AttentionPooling(4),
            keras.layers.Dense(10),
        ])
        print(model.output_shape)
        #> (None, 10)
        ```

    Reference:
        [Set Transformer](https://arxiv.org/abs/1810.00825), and
        [Scaling Vision Transformers](https://arxiv.org/abs/2106.04560) for a single query. The first
        adds the queries to what they read, and both go on with a feed-forward network, as timm's
        `AttentionPoolLatent` does: here that is the next layer's work. The learned vectors begin with a
        variance of one over the width.
    """

    def __init__(
        self,
        num_heads: int,
        num_queries: int = 1,
        head_dim: int | None = None,
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        valid_heads(num_heads, head_dim=head_dim)
        positive_int(num_queries=num_queries)
        self.num_heads = num_heads
        self.num_queries = num_queries
        self.head_dim = head_dim
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.supports_masking = True
        self.input_spec = layers.InputSpec(ndim=3)

    def build(self, input_shape):
        width = known_width(input_shape)
        head_width(self.num_heads, self.head_dim, input_shape)
        self.queries = self.add_weight(
            shape=(self.num_queries, width),
            initializer=initializers.RandomNormal(stddev=width**-0.5),
            name="queries",
        )
        self.attention = CrossAttention(
            self.num_heads,
            head_dim=self.head_dim,
            use_bias=self.use_bias,
            kernel_initializer=self.kernel_initializer.clone(),
            dtype=self.dtype_policy,
            name="attention",
        )
        self.attention.build((input_shape[0], self.num_queries, width), input_shape)
        self.input_spec = layers.InputSpec(ndim=3, axes={-1: width})

    def call(self, inputs, mask=None, return_attention_scores=False):
        queries = ops.broadcast_to(self.queries, (ops.shape(inputs)[0], *self.queries.shape))
        outputs = self.attention(
            queries,
            context=inputs,
            context_mask=mask,
            return_attention_scores=return_attention_scores,
        )
        outputs, scores = outputs if return_attention_scores else (outputs, None)
        if self.num_queries == 1:
            outputs = ops.squeeze(outputs, 1)
        return (outputs, scores) if return_attention_scores else outputs

    def compute_mask(self, inputs, previous_mask=None):
        return None

    def compute_output_shape(self, input_shape):
        queries = () if self.num_queries == 1 else (self.num_queries,)
        return (input_shape[0], *queries, input_shape[-1])

    def compute_output_spec(self, inputs, mask=None, return_attention_scores=False):
        shape = self.compute_output_shape(inputs.shape)
        scores = (inputs.shape[0], self.num_heads, self.num_queries, inputs.shape[1])
        return attention_spec(self, shape, scores, return_attention_scores)

    def get_config(self):
        config = super().get_config()
        config.update(
            num_heads=self.num_heads,
            num_queries=self.num_queries,
            head_dim=self.head_dim,
            use_bias=self.use_bias,
            kernel_initializer=initializers.serialize(self.kernel_initializer),
        )
        return config
