import keras
from keras import backend, initializers, layers, ops

from layerzoo.building.arguments import InitializerLike, known_width, positive_int, probability
from layerzoo.building.heads import attention_spec, head_width, valid_heads
from layerzoo.building.seeds import drawn_dropout
from layerzoo.building.sublayers import dense
from layerzoo.ops.attention import attention, attention_and_scores
from layerzoo.ops.masks import zero_padding


@keras.saving.register_keras_serializable(package="layerzoo")
class DifferentialAttention(layers.Layer):
    r"""Each head weighs the steps twice and subtracts, so that what both weighings share cancels.

    $$
    y_t = W_O \Big[ (1 - \lambda_0)\, \operatorname{RMSNorm}\Big( \sum_{s \in S(t)}
        \big( p^{(n,1)}_{ts} - \lambda\, p^{(n,2)}_{ts} \big)\, v^{(n)}_s \Big) \Big]_n
    $$

    $$
    p^{(n,i)}_{ts} = \operatorname*{softmax}_{s \in S(t)}
        \frac{\langle q^{(n,i)}_t,\, k^{(n,i)}_s \rangle}{\sqrt h}, \qquad
    \lambda = e^{\langle \lambda_{q1}, \lambda_{k1} \rangle}
        - e^{\langle \lambda_{q2}, \lambda_{k2} \rangle} + \lambda_0, \qquad
    \lambda_0 = 0.8 - 0.6\, e^{-0.3 (l - 1)}
    $$

    $q, k, v = W_{QKV}\, x$; a head has two queries and two keys of width $h$, and one value of width
    $2h$. $S(t)$ holds the steps that are no padding and, with `causal`, no later than $t$. The four
    vectors in $\lambda$ are trained, and $l$ is `depth`. $[\cdot]_n$ puts the heads side by side.

    Use when:
        - few of many steps matter: a single softmax leaves some weight on all the others.

    Avoid when:
        - scores must be weights: here they may be negative, and they do not sum to one.
        - time is short: for as many weights, weighing the values is twice the work of plain attention.

    Args:
        num_heads: Positive integer. Heads; half as many as a plain attention of the same size has.
        depth: Positive integer. The place of the layer in its model: the first block has 1. Default 1.
        head_dim: Positive integer. Width of a query and a key; a value has twice as much. Default: the
            input's width over twice `num_heads`.
        causal: Boolean. Whether a step sees only itself and earlier ones.
        dropout: Float from 0 to 1. Share of the weights of either softmax dropped in training.
        use_bias: Boolean. Whether the two projections have a bias.
        kernel_initializer: Initializer of the two projections' kernels.
        seed: Integer. Seed of the dropout.
        **kwargs: Keras's own: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: The sequence.
        mask: Boolean `(batch, time)`, false at padding. Taken from the inputs where they carry one.
        return_attention_scores: Whether to return `(outputs, scores)`, where the scores are the
            differences that weigh the values.
        training: Whether to drop scores.

    Input shape:
        `(batch, time, width)`. `batch` and `time` may be unknown.

    Output shape:
        The input's; the scores are `(batch, num_heads, time, time)`.

    Masking:
        Passed on. No step sees padding, whatever it holds, NaN included. Outputs at padding are zero.

    Raises:
        ValueError: a size is no positive integer, `dropout` is not between 0 and 1, or twice
            `num_heads` does not divide the width.

    Example:
        ```python
        import keras
        from layerzoo import DifferentialAttention

        model = keras.Sequential([
            keras.Input((None, 16)),
            DifferentialAttention(2, depth=1, causal=True),
            DifferentialAttention(2, depth=2, causal=True),
        ])
        print(model.output_shape)
        #> (None, None, 16)
        ```

    Reference:
        [Differential Transformer](https://arxiv.org/abs/2410.05258). `depth` counts from 1, as in the
        paper; timm's and the authors' code count from 0. The paper turns queries and keys by their
        positions; here nothing does, as in timm. The norm's scale is shared by the heads and its
        epsilon is 1e-5. Queries, keys and values come from one kernel, side by side in this order, the
        two queries and keys of a head next to each other.
    """

    def __init__(
        self,
        num_heads: int,
        depth: int = 1,
        head_dim: int | None = None,
        causal: bool = False,
        dropout: float = 0.0,
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        valid_heads(num_heads, head_dim=head_dim)
        positive_int(depth=depth)
        probability(dropout=dropout)
        self.num_heads = num_heads
        self.depth = depth
        self.head_dim = head_dim
        self.causal = causal
        self.dropout = dropout
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.seed = seed
        self.supports_masking = True
        self.input_spec = layers.InputSpec(ndim=3)

    def build(self, input_shape):
        width = known_width(input_shape)
        n, h = self.num_heads, head_width(self.num_heads, self.head_dim, input_shape, per_head=2)
        time = input_shape[:-1]

        self.project_in = dense(self, 3 * n * 2 * h, input_shape, "query_key_value")
        self.project_out = dense(self, width, (*time, n * 2 * h), "output")
        self.head_norm = layers.RMSNormalization(
            epsilon=1e-5, dtype=self.dtype_policy, name="head_norm"
        )
        self.head_norm.build((*time, n, 2 * h))
        self.lambdas = self.add_weight(
            shape=(4, h),
            initializer=initializers.RandomNormal(stddev=0.1),
            autocast=False,  # it grows in an exponential
            name="lambdas",
        )
        if self.dropout:
            self.seed_generator = keras.random.SeedGenerator(self.seed)
        self.heads = (n, h)
        self.input_spec = layers.InputSpec(ndim=3, axes={-1: width})

    def call(self, inputs, mask=None, return_attention_scores=False, training=None):
        b, t, _ = ops.shape(inputs)
        n, h = self.heads
        together = self.project_in(zero_padding(inputs, mask))
        queries, keys, value = ops.split(together, 3, axis=-1)
        queries, keys = (ops.reshape(x, (b, t, n, 2, h)) for x in (queries, keys))
        value = ops.reshape(value, (b, t, n, 2 * h))

        attend = attention_and_scores if return_attention_scores else attention
        maps = []
        for i in range(2):
            sees = dict(causal=self.causal, dropout=drawn_dropout(self, training))
            maps.append(attend(queries[:, :, :, i], keys[:, :, :, i], value, mask, **sees))
        if return_attention_scores:
            maps, scores = map(list, zip(*maps, strict=True))
        attended = self.head_norm(self._difference(*maps)) * ops.cast(self._kept(), value.dtype)
        outputs = self.project_out(ops.reshape(attended, (b, t, n * 2 * h)))
        outputs = zero_padding(outputs, mask)
        if not return_attention_scores:
            return outputs
        return outputs, ops.cast(self._difference(*scores), value.dtype)

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
            depth=self.depth,
            head_dim=self.head_dim,
            causal=self.causal,
            dropout=self.dropout,
            use_bias=self.use_bias,
            kernel_initializer=initializers.serialize(self.kernel_initializer),
            seed=self.seed,
        )
        return config

    def _difference(self, first, second):
        """`first - lambda second`, at least in float32."""
        kept = self._kept()
        q1, k1, q2, k2 = ops.unstack(ops.cast(self.lambdas, kept.dtype), 4)
        factor = ops.exp(ops.sum(q1 * k1)) - ops.exp(ops.sum(q2 * k2)) + 1.0 - kept
        return ops.cast(first, kept.dtype) - ops.cast(second, kept.dtype) * factor

    def _kept(self):
        """`1 - lambda_0`, which each head is multiplied with, at least in float32."""
        dtype = backend.result_type(self.compute_dtype, "float32")
        return 0.2 + 0.6 * ops.exp(ops.convert_to_tensor(-0.3 * (self.depth - 1), dtype=dtype))
