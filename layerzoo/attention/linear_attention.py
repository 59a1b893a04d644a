import keras
from keras import activations, backend, initializers, layers, ops

from layerzoo.building.arguments import InitializerLike, known_width, positive_number
from layerzoo.building.heads import head_width, valid_heads
from layerzoo.building.sublayers import build_function, dense, unbuilt
from layerzoo.ops.linear_attention import elu_plus_one, linear_attention
from layerzoo.ops.masks import zero_padding


@keras.saving.register_keras_serializable(package="layerzoo")
class LinearAttention(layers.Layer):
    r"""Attention without a softmax, whose time and memory grow with the length and not its square.

    $$
    y_t = W_O \left[ \frac{\phi(q^{(n)}_t)^\top \sum_{s \in S(t)} \phi(k^{(n)}_s)\, v^{(n)\top}_s}
        {\phi(q^{(n)}_t)^\top \sum_{s \in S(t)} \phi(k^{(n)}_s) + \epsilon} \right]_n
    $$

    $q, k, v = W_{QKV}\, x$ are split into heads of width $h$; $\phi$ is `feature_map`. $S(t)$ holds the
    steps that are no padding and, with `causal`, no later than $t$. $[\cdot]_n$ puts the heads side by
    side. The sums over $s$ are shared by the queries: no step is compared with every other.

    Use when:
        - sequences have thousands of steps, and softmax attention takes too long or too much memory.

    Avoid when:
        - one step must be picked out among many: a mean with such weights is softer than a softmax's.
        - you want to see the scores: there are none, so that none can be returned.

    Args:
        num_heads: Positive integer. Heads.
        head_dim: Positive integer. Width of a head. Default: the input's width over `num_heads`.
        causal: Boolean. Whether a step sees only itself and earlier ones.
        feature_map: Name, function or layer: gives the features of queries and keys, none of which may
            be negative. Default `"elu"`, which here stands for `elu(x) + 1`.
        use_bias: Boolean. Whether the two projections have a bias.
        kernel_initializer: Initializer of the two projections' kernels.
        epsilon: Positive float. Is added to the sum of the weights. Default 1e-6.
        **kwargs: Keras's own: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: The sequence.
        mask: Boolean `(batch, time)`, false at padding. Taken from the inputs where they carry one.

    Input shape:
        `(batch, time, width)`. `batch` and `time` may be unknown.

    Output shape:
        The input's.

    Masking:
        Passed on. No step sees padding, whatever it holds, NaN included. Outputs at padding are zero.

    Raises:
        ValueError: a size is no positive integer, `epsilon` is not positive, `feature_map` is no
            activation, or `num_heads` does not divide the width.

    Example:
        ```python
        import keras
        from layerzoo import LinearAttention

        model = keras.Sequential([keras.Input((None, 16)), LinearAttention(4, causal=True)])
        print(model.output_shape)
        #> (None, None, 16)
        ```

    Reference:
        [Transformers are RNNs](https://arxiv.org/abs/2006.16236). The causal form goes by chunks of
        steps, not step by step as the paper's does. Features and sums are at least float32. Queries, keys
        and values come from one kernel, side by side in this order. A query that may see nothing gets
        zeros.
    """

    def __init__(
        self,
        num_heads: int,
        head_dim: int | None = None,
        causal: bool = False,
        feature_map="elu",
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        epsilon: float = 1e-6,
        **kwargs,
    ):
        super().__init__(**kwargs)
        valid_heads(num_heads, head_dim=head_dim)
        positive_number(epsilon=epsilon)
        self.num_heads = num_heads
        self.head_dim = head_dim
        self.causal = causal
        self.feature_map = activations.get(feature_map)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.epsilon = epsilon
        self.supports_masking = True
        self.input_spec = layers.InputSpec(ndim=3)

    def build(self, input_shape):
        width = known_width(input_shape)
        n, h = self.num_heads, head_width(self.num_heads, self.head_dim, input_shape)
        time = input_shape[:-1]

        self.project_in = dense(self, 3 * n * h, input_shape, "query_key_value")
        self.project_out = dense(self, width, (*time, n * h), "output")
        build_function(self.feature_map, (*time, n, h))
        self.heads = (n, h)
        self.input_spec = layers.InputSpec(ndim=3, axes={-1: width})

    def call(self, inputs, mask=None):
        b, t, _ = ops.shape(inputs)
        n, h = self.heads
        together = self.project_in(zero_padding(inputs, mask))
        together = ops.reshape(together, (b, t, 3 * n, h))
        query, key, value = ops.split(together, 3, axis=2)
        query, key = self._features(query), self._features(key)
        attended = linear_attention(query, key, value, mask, self.causal, self.epsilon)
        return zero_padding(self.project_out(ops.reshape(attended, (b, t, n * h))), mask)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        config = super().get_config()
        config.update(
            num_heads=self.num_heads,
            head_dim=self.head_dim,
            causal=self.causal,
            feature_map=unbuilt(activations.serialize(self.feature_map)),
            use_bias=self.use_bias,
            kernel_initializer=initializers.serialize(self.kernel_initializer),
            epsilon=self.epsilon,
        )
        return config

    def _features(self, x):
        x = ops.cast(x, backend.result_type(x.dtype, "float32"))
        return elu_plus_one(x) if self.feature_map is activations.elu else self.feature_map(x)
