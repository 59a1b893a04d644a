import keras
from keras import backend, initializers, layers, ops

from layerzoo.building.arguments import (
    InitializerLike,
    boolean,
    initializer,
    known_width,
    optional_seed,
    positive_int,
    probability,
)
from layerzoo.building.heads import attention_spec, head_width, valid_heads
from layerzoo.building.recipe import recipe
from layerzoo.building.seeds import drawn_dropout
from layerzoo.building.sublayers import dense
from layerzoo.ops.attention import attention, attention_and_scores, split_groups
from layerzoo.ops.dtypes import floating
from layerzoo.ops.masks import fitting_mask, zero_padding
from layerzoo.ops.norms import normalized


@keras.saving.register_keras_serializable(package="layerzoo")
@recipe
class DifferentialAttention(layers.Layer):
    r"""Differential attention (Diff Transformer): each head subtracts one softmax map from another.

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

    $q, k, v = W_{QKV}\, x$. Each head has two queries and two keys of width $h$, and one value of width $2h$.
    The subtraction cancels what the two softmax maps have in common. $S(t)$ is the set of steps that are not
    padding and, with `causal`, not later than $t$. The four vectors in $\lambda$ are trained, and $l$ is
    `depth`. $[\cdot]_n$ concatenates the heads.

    Use when:
        - only a few of many steps matter: a single softmax leaves some weight on all the others.

    Avoid when:
        - you need the scores to be weights: these can be negative, and they do not sum to one.
        - speed matters: for the same number of weights, applying the scores to the values costs twice as much
          as in plain attention.

    Args:
        num_heads: Positive integer. Number of heads. Plain attention of the same size has twice as many.
        depth: Positive integer. Index of this layer's block in the model, counted from 1. Defaults to 1.
        head_dim: Positive integer. Width of each query and key; each value is twice as wide. Defaults to the
            input width divided by `2 * num_heads`.
        causal: Boolean. Whether each step attends only to itself and to earlier steps. Defaults to False.
        dropout: Float between 0 and 1. Fraction of the weights of each softmax to drop during training.
            Defaults to 0.
        use_bias: Boolean. Whether the two projections have a bias. Defaults to True.
        kernel_initializer: Initializer for the kernels of the two projections. Defaults to
            `"glorot_uniform"`.
        seed: Integer. Random seed for the dropout. Defaults to None.
        **kwargs: Standard Keras layer arguments: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: The sequence.
        mask: Boolean tensor of shape `(batch, time)`, false at padding. Defaults to the mask that the inputs
            carry, if any.
        return_attention_scores: Boolean. Whether to return `(outputs, scores)` instead of `outputs`. The
            scores are the differences that weight the values.
        training: Boolean. Whether to apply dropout to the scores.

    Input shape:
        `(batch, time, width)`. `batch` and `time` may be unknown.

    Output shape:
        Same as the input. The scores have shape `(batch, num_heads, time, time)`.

    Masking:
        The mask is passed on. No step attends to padding, even if the padding holds NaN. Outputs at padded
        steps are zero.

    Raises:
        ValueError: if a size is not a positive integer, `dropout` is not between 0 and 1, the width is
            unknown, or `2 * num_heads` does not divide it and `head_dim` is not given.
        ValueError: if a mask has another shape than stated, or other values than booleans, 0 and 1.

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
        [Differential Transformer](https://arxiv.org/abs/2410.05258). `depth` counts from 1, as in the paper;
        timm and the authors' code count from 0. The paper rotates queries and keys by their positions; this
        layer does not, like timm. The heads share the scale of the norm, whose epsilon is 1e-5. A single
        kernel computes queries, keys and values. Its columns are ordered by head: its two queries, its two
        keys, its value.
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
        self.num_heads, _, self.head_dim = valid_heads(num_heads, head_dim=head_dim)
        self.depth = positive_int(depth=depth)
        self.causal = boolean(causal=causal)
        self.dropout = probability(dropout=dropout)
        self.use_bias = boolean(use_bias=use_bias)
        self.kernel_initializer = initializer(kernel_initializer=kernel_initializer)
        self.seed = optional_seed(seed=seed)
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
            autocast=False,  # it goes through an exponential, so it stays in full precision
            name="lambdas",
        )
        if self.dropout:
            self.seed_generator = keras.random.SeedGenerator(self.seed)
        self.heads = (n, h)
        self.input_spec = layers.InputSpec(ndim=3, axes={-1: width})

    def call(self, inputs, mask=None, return_attention_scores=False, training=None):
        mask = fitting_mask(mask, inputs.shape[:2])
        inputs = floating(inputs, self.compute_dtype)
        b, t, _ = ops.shape(inputs)
        n, h = self.heads
        together = self.project_in(zero_padding(inputs, mask))
        queries, keys, value = split_groups(together, n, (2, 2, 2))
        value = ops.reshape(value, (b, t, n, 2 * h))

        attend = attention_and_scores if return_attention_scores else attention
        maps = []
        for i in range(2):
            sees = dict(causal=self.causal, dropout=drawn_dropout(self, training))
            maps.append(attend(queries[:, :, i::2], keys[:, :, i::2], value, mask, **sees))
        if return_attention_scores:
            maps, scores = map(list, zip(*maps, strict=True))
        attended = normalized(self.head_norm, self._difference(*maps))
        attended = attended * ops.cast(self._kept(), value.dtype)
        outputs = self.project_out(ops.reshape(attended, (b, t, n * 2 * h)))
        outputs = zero_padding(outputs, mask)
        if not return_attention_scores:
            return outputs
        return outputs, ops.cast(self._difference(*scores), value.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def compute_output_spec(self, inputs, mask=None, return_attention_scores=False, training=None):
        fitting_mask(mask, inputs.shape[:2])
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
        """`first - lambda * second`, in float32 or better."""
        kept = self._kept()
        q1, k1, q2, k2 = ops.unstack(ops.cast(self.lambdas, kept.dtype), 4)
        factor = ops.exp(ops.sum(q1 * k1)) - ops.exp(ops.sum(q2 * k2)) + 1.0 - kept
        return ops.cast(first, kept.dtype) - ops.cast(second, kept.dtype) * factor

    def _kept(self):
        """`1 - lambda_0`, which scales each head, in float32 or better."""
        dtype = backend.result_type(self.compute_dtype, "float32")
        return 0.2 + 0.6 * ops.exp(ops.convert_to_tensor(-0.3 * (self.depth - 1), dtype=dtype))
