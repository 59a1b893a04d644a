import keras
from keras import activations, backend, initializers, layers, ops

from layerzoo.building.arguments import (
    InitializerLike,
    boolean,
    initializer,
    known_activation,
    known_width,
    positive_number,
)
from layerzoo.building.heads import head_width, valid_heads
from layerzoo.building.recipe import recipe
from layerzoo.building.states import (
    first_state,
    mask_of_inputs,
    spec_with_state,
    started,
    with_state,
)
from layerzoo.building.sublayers import build_function, dense, serialized
from layerzoo.ops.attention import split_groups
from layerzoo.ops.linear_attention import (
    elu_plus_one,
    linear_attention,
    linear_attention_with_state,
)
from layerzoo.ops.masks import zero_padding


@keras.saving.register_keras_serializable(package="layerzoo")
@recipe
class LinearAttention(layers.Layer):
    r"""Linear attention: no softmax, so time and memory grow linearly with the sequence length.

    $$
    y_t = W_O \left[ \frac{\phi(q^{(n)}_t)^\top \sum_{s \in S(t)} \phi(k^{(n)}_s)\, v^{(n)\top}_s}
        {\phi(q^{(n)}_t)^\top \sum_{s \in S(t)} \phi(k^{(n)}_s) + \epsilon} \right]_n
    $$

    $q, k, v = W_{QKV}\, x$ are split into heads of width $h$, and $\phi$ is `feature_map`. $S(t)$ is the set
    of steps that are not padding and, with `causal`, not later than $t$. $[\cdot]_n$ concatenates the heads.
    The sums over $s$ contain no query. Queries share them, so no step is compared with every other step.

    Use when:
        - sequences have thousands of steps, and softmax attention takes too much time or memory.

    Avoid when:
        - attention must pick one step out of many: a softmax gives sharper weights.
        - you want to see the scores: this layer never computes the full score matrix, so it cannot return it.

    Args:
        num_heads: Positive integer. Number of heads.
        head_dim: Positive integer. Width of each head. Defaults to the input width divided by `num_heads`.
        causal: Boolean. Whether each step attends only to itself and to earlier steps. Defaults to False.
        feature_map: Name, function or layer. Computes the features of queries and keys, which must not be
            negative. Defaults to `"elu"`, which here means `elu(x) + 1`.
        use_bias: Boolean. Whether the two projections have a bias. Defaults to True.
        kernel_initializer: Initializer for the kernels of the two projections. Defaults to
            `"glorot_uniform"`.
        epsilon: Positive float. Added to the denominator. Defaults to 1e-6.
        **kwargs: Standard Keras layer arguments: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: The sequence.
        mask: Boolean tensor of shape `(batch, time)`, false at padding. Defaults to the mask that the inputs
            carry, if any.
        initial_state: State to continue from, as an earlier call or `get_initial_state` returned it. Defaults
            to None: a sequence starts.
        inputs_mask: The name by which Keras passes `mask` when there is an `initial_state`.
        return_state: Boolean. Whether to return `(outputs, state)` instead of `outputs`.

    Input shape:
        `(batch, time, width)`. `batch` and `time` may be unknown.

    Output shape:
        Same as the input.

    Masking:
        The mask is passed on. No step attends to padding, even if the padding holds NaN. Outputs at padded
        steps are zero.

    Raises:
        ValueError: if a size is not a positive integer, `epsilon` is not positive, `feature_map` is not a
            known activation, the width is unknown, or `num_heads` does not divide it and `head_dim` is not
            given.
        ValueError: if a mask has another shape than stated, or other values than booleans, 0 and 1.
        ValueError: if `initial_state` is not a state of this layer for as many samples; if a state is
            wanted without `causal`.

    Example:
        ```python
        import keras
        from layerzoo import LinearAttention

        model = keras.Sequential([keras.Input((None, 16)), LinearAttention(4, causal=True)])
        print(model.output_shape)
        #> (None, None, 16)
        ```

    Reference:
        [Transformers are RNNs](https://arxiv.org/abs/2006.16236). The causal form works on chunks of steps;
        the paper's goes step by step. Features and sums are computed in float32 or better. A single kernel
        computes queries, keys and values. Its columns are ordered by head: its query, its key, its value. A
        query that may attend to nothing gets zeros.
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
        super().__init__(autocast=False, **kwargs)
        self.num_heads, _, self.head_dim = valid_heads(num_heads, head_dim=head_dim)
        self.causal = boolean(causal=causal)
        self.feature_map = known_activation(feature_map=feature_map)
        self.use_bias = boolean(use_bias=use_bias)
        self.kernel_initializer = initializer(kernel_initializer=kernel_initializer)
        self.epsilon = positive_number(epsilon=epsilon)
        self.supports_masking = True
        self.input_spec = layers.InputSpec(ndim=3)

    def build(self, input_shape):
        width = known_width(input_shape)
        n, h = self.num_heads, head_width(self.num_heads, self.head_dim, input_shape)
        time = input_shape[:-1]

        build_function(self.feature_map, (*time, n, h), "feature_map")
        self.project_in = dense(self, 3 * n * h, input_shape, "query_key_value")
        self.project_out = dense(self, width, (*time, n * h), "output")
        self.heads = (n, h)
        self.input_spec = layers.InputSpec(ndim=3, axes={-1: width})

    def call(self, inputs, mask=None, initial_state=None, inputs_mask=None, return_state=False):
        mask = mask_of_inputs(mask, inputs_mask, inputs.shape[:2])
        state = started(self, inputs, initial_state, return_state)
        inputs = ops.cast(inputs, self.compute_dtype)
        b, t, _ = ops.shape(inputs)
        n, h = self.heads
        together = self.project_in(zero_padding(inputs, mask))
        query, key, value = split_groups(together, n, (1, 1, 1))
        query, key = self._features(query), self._features(key)
        if state is None:
            attended = linear_attention(query, key, value, mask, self.causal, self.epsilon)
        else:
            attended, state = linear_attention_with_state(
                query, key, value, state, mask, self.epsilon
            )
        outputs = zero_padding(self.project_out(ops.reshape(attended, (b, t, n * h))), mask)
        return with_state(outputs, state, return_state)

    def get_initial_state(self, batch_size, length=None):
        """Return the state at the start of a sequence. It has room for any number of steps."""
        return first_state(self, batch_size, length)

    def state_tensors(self, batch_size, length=None):
        """The shape and the dtype of each tensor of a state. Sums are kept in float32 or better."""
        n, h = self.heads
        m = self._features(ops.zeros((1, 1, n, h), self.compute_dtype)).shape[-1]
        precise = backend.result_type(self.compute_dtype, "float32")
        return dict(
            sum=((batch_size, n, m, h), precise),
            normaliser=((batch_size, n, m, 1), precise),
        )

    def compute_output_shape(self, input_shape):
        return input_shape

    def compute_output_spec(self, inputs, mask=None, **given):
        outputs = keras.KerasTensor(inputs.shape, dtype=self.compute_dtype)
        return spec_with_state(self, outputs, inputs, mask, **given)

    def get_config(self):
        config = super().get_config()
        config.update(
            num_heads=self.num_heads,
            head_dim=self.head_dim,
            causal=self.causal,
            feature_map=serialized(self.feature_map),
            use_bias=self.use_bias,
            kernel_initializer=initializers.serialize(self.kernel_initializer),
            epsilon=self.epsilon,
        )
        return config

    def _features(self, x):
        x = ops.cast(x, backend.result_type(x.dtype, "float32"))
        return elu_plus_one(x) if self.feature_map is activations.elu else self.feature_map(x)
