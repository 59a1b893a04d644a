import keras
from keras import initializers, layers, ops

from layerzoo.attention.cross_attention import CrossAttention
from layerzoo.building.arguments import (
    InitializerLike,
    another,
    boolean,
    initializer,
    known_width,
    positive_int,
)
from layerzoo.building.heads import attention_spec, head_width, valid_heads
from layerzoo.building.recipe import recipe
from layerzoo.ops.masks import fitting_mask


@keras.saving.register_keras_serializable(package="layerzoo")
@recipe
class AttentionPooling(layers.Layer):
    r"""Attention pooling (PMA, MAP head): learned queries reduce a sequence to one vector each.

    $$
    y_i = W_O \Big[ \sum_{t \in S} p^{(n)}_{it}\, v^{(n)}_t \Big]_n, \qquad
    p^{(n)}_{it} = \operatorname*{softmax}_{t \in S}
        \frac{\langle q^{(n)}_i,\; k^{(n)}_t \rangle}{\sqrt h}
    $$

    $q_i = W_Q\, z_i$ comes from the learned vector $z_i$ of query $i$, and $k, v = W_{KV}\, x$ come from the
    sequence. All are split into heads of width $h$. $S$ is the set of steps that are not padding.
    $[\cdot]_n$ concatenates the heads.

    Use when:
        - a sequence, or an image cut into patches, becomes one vector, and its content decides which steps
          matter.
        - different heads should look for different things. A plain mean cannot do that.

    Avoid when:
        - you want a single importance weight per step: `GatedAttentionPooling` has one softmax.
        - the learned vectors should read the sequence repeatedly: use `PerceiverResampler`.

    Args:
        num_heads: Positive integer. Number of heads.
        num_queries: Positive integer. Number of learned queries. Defaults to 1.
        head_dim: Positive integer. Width of each head. Defaults to the input width divided by `num_heads`.
        use_bias: Boolean. Whether the three projections have a bias. Defaults to True.
        kernel_initializer: Initializer for the kernels of the three projections. Defaults to
            `"glorot_uniform"`.
        **kwargs: Standard Keras layer arguments: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: The sequence.
        mask: Boolean tensor of shape `(batch, time)`, false at padding. Defaults to the mask that the inputs
            carry, if any.
        return_attention_scores: Boolean. Whether to return `(outputs, scores)` instead of `outputs`.

    Input shape:
        `(batch, time, width)`. `batch` and `time` may be unknown.

    Output shape:
        `(batch, width)` with one query, and `(batch, num_queries, width)` with more. The scores have shape
        `(batch, num_heads, num_queries, time)`.

    Masking:
        The mask is consumed. No query attends to padding, even if the padding holds NaN. If a sample is all
        padding, its output is the bias of the output projection.

    Raises:
        ValueError: if a size is not a positive integer, the width is unknown, or `num_heads` does not divide
            it and `head_dim` is not given.
        ValueError: if a mask has another shape than stated, or other values than booleans, 0 and 1.

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
        [Set Transformer](https://arxiv.org/abs/1810.00825) (PMA) and, for a single query,
        [Scaling Vision Transformers](https://arxiv.org/abs/2106.04560) (MAP head). Set Transformer also adds
        the queries to the result. Both papers append a feed-forward network, as timm's `AttentionPoolLatent`
        does. This layer does neither: add them after it. The learned queries start with a variance of
        `1 / width`.
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
        self.num_heads, _, self.head_dim = valid_heads(num_heads, head_dim=head_dim)
        self.num_queries = positive_int(num_queries=num_queries)
        self.use_bias = boolean(use_bias=use_bias)
        self.kernel_initializer = initializer(kernel_initializer=kernel_initializer)
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
            kernel_initializer=another(self.kernel_initializer),
            dtype=self.dtype_policy,
            name="attention",
        )
        self.attention.build((input_shape[0], self.num_queries, width), input_shape)
        self.input_spec = layers.InputSpec(ndim=3, axes={-1: width})

    def call(self, inputs, mask=None, return_attention_scores=False):
        mask = fitting_mask(mask, inputs.shape[:2])
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
        fitting_mask(mask, inputs.shape[:2])
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
