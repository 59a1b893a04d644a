import keras
from keras import initializers, layers, ops

from layerzoo.building.arguments import (
    InitializerLike,
    boolean,
    initializer,
    known_width,
    optional_positive_int,
    positive_int,
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
from layerzoo.building.sublayers import dense
from layerzoo.ops.dtypes import at_least_float32
from layerzoo.ops.masks import zero_padding
from layerzoo.ops.matrix_recurrence import decayed_linear_attention
from layerzoo.ops.norms import gated_rms_norm


@keras.saving.register_keras_serializable(package="layerzoo")
@recipe
class GatedLinearAttention(layers.Layer):
    r"""Gated linear attention (GLA): a matrix of memory per head, and the data decide what it forgets.

    $$
    S_t = \operatorname{diag}(a_t)\, S_{t-1} + k_t v_t^\top, \qquad
    y_t = W_O \left[ \operatorname{norm}\big(S^{(n)\top}_t q^{(n)}_t\big)
        \odot \operatorname{silu}\big(z^{(n)}_t\big) \right]_n, \qquad
    a_t = \sigma(B_2 B_1 x_t + c)^{1 / \tau}
    $$

    $q, k, v, z = W x$ are split into heads $n$, and $q$ is divided by the square root of `key_dim`. $\sigma$
    is the sigmoid, $\tau$ is `gate_normalizer`, and the width between $B_1$ and $B_2$ is `gate_rank`. The
    decay $a_t$ lies between 0 and 1, one for each feature of the keys. $\operatorname{norm}$ is the RMS norm
    of a head, and $[\cdot]_n$ concatenates the heads.

    Use when:
        - sequences have thousands of steps, and softmax attention takes too much time or memory.
        - old steps should be forgotten, at once or slowly, by what the sequence says.
        - a model generates step by step: its memory does not grow.

    Avoid when:
        - what is stored must be replaced key by key: use `GatedDeltaNet`.
        - exact copies of many far steps are wanted: use `SelfAttention`.

    Args:
        num_heads: Positive integer. Number of heads.
        head_dim: Positive integer. Width of each value. Defaults to the input width divided by `num_heads`.
        key_dim: Positive integer. Width of each query and key. Defaults to half of `head_dim`, rounded up.
        gate_rank: Positive integer. Width of the bottleneck from which the decays are computed. Defaults to
            16.
        gate_normalizer: Positive float. Larger numbers make the memory longer. Defaults to 16.
        use_bias: Boolean. Whether the projections have a bias. That of the decays always has one. Defaults to
            True.
        kernel_initializer: Initializer for the kernels of the projections. Defaults to `"glorot_uniform"`.
        epsilon: Positive float. Added to the mean square in the norm. Defaults to 1e-5.
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
        The mask is passed on. Padding leaves the memory as it is, even if it holds NaN, so that padding on
        either side and inside changes no other step. Outputs at padded steps are zero.

    Raises:
        ValueError: if a size is not a positive integer, `gate_normalizer` or `epsilon` is not positive, the
            width is unknown, or `num_heads` does not divide it and `head_dim` is not given.
        ValueError: if a mask has another shape than stated, or other values than booleans, 0 and 1.
        ValueError: if `initial_state` is not a state of this layer for as many samples.

    Example:
        ```python
        import keras
        from layerzoo import GatedLinearAttention

        model = keras.Sequential([keras.Input((None, 16)), GatedLinearAttention(4)])
        print(model.output_shape)
        #> (None, None, 16)
        ```

    Reference:
        [Gated Linear Attention Transformers with Hardware-Efficient
        Training](https://arxiv.org/abs/2312.06635). As in fla, there is no feature map, and the norm has one
        factor for each feature of a head, shared by all heads. The paper has no biases but that of the
        decays. Here, a single kernel computes queries, keys, values and gates. Its columns are ordered by
        head. Decays and memory are in float32 or better. The paper's chunks divide by products of decays;
        here, nothing does, so decays near 0 are exact too.
    """

    def __init__(
        self,
        num_heads: int,
        head_dim: int | None = None,
        key_dim: int | None = None,
        gate_rank: int = 16,
        gate_normalizer: float = 16.0,
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        epsilon: float = 1e-5,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)
        self.num_heads, _, self.head_dim = valid_heads(num_heads, head_dim=head_dim)
        self.key_dim = optional_positive_int(key_dim=key_dim)
        self.gate_rank = positive_int(gate_rank=gate_rank)
        self.gate_normalizer = positive_number(gate_normalizer=gate_normalizer)
        self.use_bias = boolean(use_bias=use_bias)
        self.kernel_initializer = initializer(kernel_initializer=kernel_initializer)
        self.epsilon = positive_number(epsilon=epsilon)
        self.supports_masking = True
        self.input_spec = layers.InputSpec(ndim=3)

    def build(self, input_shape):
        width = known_width(input_shape)
        n, h = self.num_heads, head_width(self.num_heads, self.head_dim, input_shape)
        m = self.key_dim or (h + 1) // 2
        time, r = input_shape[:-1], self.gate_rank

        self.project_in = dense(self, n * 2 * (m + h), input_shape, "query_key_value_gate")
        self.decay_down = dense(self, r, input_shape, "decay_down", use_bias=False)
        self.decay_up = dense(self, n * m, (*time, r), "decay_up", use_bias=True)
        self.scale = self.add_weight((h,), "ones", name="scale", autocast=False)
        self.project_out = dense(self, width, (*time, n * h), "output")
        self.heads = (n, m, h)
        self.input_spec = layers.InputSpec(ndim=3, axes={-1: width})

    def call(self, inputs, mask=None, initial_state=None, inputs_mask=None, return_state=False):
        mask = mask_of_inputs(mask, inputs_mask, inputs.shape[:2])
        state = started(self, inputs, initial_state, return_state)
        x = zero_padding(ops.cast(inputs, self.compute_dtype), mask)
        b, t, _ = ops.shape(x)
        n, m, h = self.heads

        together = ops.reshape(self.project_in(x), (b, t, n, 2 * (m + h)))
        query, key, value, gate = ops.split(together, [m, 2 * m, 2 * m + h], axis=-1)
        decay = ops.reshape(self.decay_up(self.decay_down(x)), (b, t, n, m))
        log_decay = ops.log_sigmoid(at_least_float32(decay)) / self.gate_normalizer
        read, memory = decayed_linear_attention(
            query * m**-0.5, key, value, log_decay, state and state["memory"], mask
        )
        read = gated_rms_norm(read, self.scale, gate, self.epsilon)
        outputs = zero_padding(self.project_out(ops.reshape(read, (b, t, n * h))), mask)
        return with_state(outputs, dict(memory=memory), return_state)

    def get_initial_state(self, batch_size, length=None):
        """Return the state at the start of a sequence: zeros. It has room for any number of steps."""
        return first_state(self, batch_size, length)

    def state_tensors(self, batch_size, length=None):
        """The shape and the dtype of each tensor of a state. The memory is in float32 or better."""
        precise = keras.backend.result_type(self.compute_dtype, "float32")
        return dict(memory=((batch_size, *self.heads), precise))

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
            key_dim=self.key_dim,
            gate_rank=self.gate_rank,
            gate_normalizer=self.gate_normalizer,
            use_bias=self.use_bias,
            kernel_initializer=initializers.serialize(self.kernel_initializer),
            epsilon=self.epsilon,
        )
        return config
