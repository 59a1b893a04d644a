import keras
from keras import initializers, layers, ops

from layerzoo.building.arguments import (
    InitializerLike,
    boolean,
    initializer,
    known_width,
    one_of,
    optional_positive_int,
    positive_int,
    positive_number,
)
from layerzoo.building.decays import (
    build_decays,
    build_short_convolution,
    log_decays,
    short_convolution,
    step_sizes,
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
from layerzoo.ops.matrix_recurrence import gated_delta_rule, units
from layerzoo.ops.norms import gated_rms_norm
from layerzoo.ops.steps import valid_first


@keras.saving.register_keras_serializable(package="layerzoo")
@recipe
class GatedDeltaNet(layers.Layer):
    r"""Gated DeltaNet: a matrix of memory per head that replaces what a key held before.

    $$
    S_t = (I - \beta_t k_t k_t^\top)\, a_t\, S_{t-1} + \beta_t k_t v_t^\top, \qquad
    y_t = W_O \left[ \operatorname{norm}\big(S^{(n)\top}_t q^{(n)}_t\big)
        \odot \operatorname{silu}\big(z^{(n)}_t\big) \right]_n
    $$

    $$
    a_t = \exp\big({-A} \operatorname{softplus}(W_a x_t + c)\big), \qquad \beta_t = \sigma(W_\beta x_t)
    $$

    $q, k, v, z = W x$ are split into heads $n$. A causal convolution over `kernel_size` steps and a SiLU come
    before $q$, $k$ and $v$ are used. Then $q$ and $k$ are scaled to length 1, and $q$ is divided by the
    square root of the head width. $\beta_t$ says how far the value of the key is corrected, and $a_t$ how
    much of the whole memory is kept. $A > 0$ and $c$ are learned. $\operatorname{norm}$ is the RMS norm of a
    head, and $[\cdot]_n$ concatenates the heads.

    Use when:
        - sequences have thousands of steps, and softmax attention takes too much time or memory.
        - the memory must be kept up to date: a new value of a key replaces the old one.
        - a model generates step by step: its memory does not grow.

    Avoid when:
        - nothing is ever replaced: `GatedLinearAttention` is cheaper.
        - exact copies of many far steps are wanted: use `SelfAttention`, in every fourth block, say.

    Args:
        num_heads: Positive integer. Number of heads.
        head_dim: Positive integer. Width of each query, key and value. Defaults to the input width divided
            by `num_heads`.
        num_key_heads: Positive integer that divides `num_heads`. Number of heads of queries and keys. Each
            of them serves several heads of values. Defaults to `num_heads`.
        gate: `"head"`, or `"feature"`, as in Kimi Linear. Whether a head has one decay, or one for each
            feature of its keys. Defaults to `"head"`.
        kernel_size: Positive integer. Number of steps that the convolution reads. Defaults to 4.
        use_bias: Boolean. Whether the projections have a bias. Defaults to True.
        kernel_initializer: Initializer for the kernels of the projections. Defaults to `"glorot_uniform"`.
        epsilon: Positive float. Added to the mean square in the norm. Defaults to 1e-6.
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
        The mask is passed on. Padding leaves the memory as it is and counts as zeros in the convolution, even
        if it holds NaN, so that padding on either side changes no other step. Outputs at padded steps are
        zero.

    Raises:
        ValueError: if a size is not a positive integer, `gate` is not recognised, `epsilon` is not positive,
            the width is unknown, `num_key_heads` does not divide `num_heads`, or `num_heads` does not divide
            the width and `head_dim` is not given.
        ValueError: if a mask has another shape than stated, or other values than booleans, 0 and 1.
        ValueError: if `initial_state` is not a state of this layer for as many samples.

    Example:
        ```python
        import keras
        from layerzoo import GatedDeltaNet

        model = keras.Sequential([keras.Input((None, 16)), GatedDeltaNet(4)])
        print(model.output_shape)
        #> (None, None, 16)
        ```

    Reference:
        [Gated Delta Networks: Improving Mamba2 with Delta Rule](https://arxiv.org/abs/2412.06464), as in
        Qwen3-Next. That has no biases. Here, rates and step sizes start at evenly spread numbers instead of
        random ones. A single kernel computes $q$, $k$, $v$ and $z$. Its columns are ordered by key head.
        Decays and memory are in float32 or better. With `gate="feature"`, the decays are those of
        [Kimi Linear](https://arxiv.org/abs/2510.26692), computed from a bottleneck of the width of a head.
        The other differences of that layer, a sigmoid for the output gate and a bottleneck before it, are not
        made here.
    """

    def __init__(
        self,
        num_heads: int,
        head_dim: int | None = None,
        num_key_heads: int | None = None,
        gate: str = "head",
        kernel_size: int = 4,
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        epsilon: float = 1e-6,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)
        self.num_heads, _, self.head_dim = valid_heads(num_heads, head_dim=head_dim)
        self.num_key_heads = optional_positive_int(num_key_heads=num_key_heads)
        if self.num_heads % (self.num_key_heads or 1):
            raise ValueError(
                "`num_key_heads` must divide `num_heads`. "
                f"Received: num_heads={num_heads}, num_key_heads={num_key_heads}"
            )
        self.gate = one_of(("head", "feature"), gate=gate)
        self.kernel_size = positive_int(kernel_size=kernel_size)
        self.use_bias = boolean(use_bias=use_bias)
        self.kernel_initializer = initializer(kernel_initializer=kernel_initializer)
        self.epsilon = positive_number(epsilon=epsilon)
        self.supports_masking = True
        self.input_spec = layers.InputSpec(ndim=3)

    def build(self, input_shape):
        width = known_width(input_shape)
        n, h = self.num_heads, head_width(self.num_heads, self.head_dim, input_shape)
        g, time = self.num_key_heads or n, input_shape[:-1]
        self.project_in = dense(self, 2 * (g + n) * h, input_shape, "query_key_value_gate")
        self.project_beta = dense(self, n, input_shape, "beta")
        if self.gate == "head":
            self.project_decay = [dense(self, n, input_shape, "decay", use_bias=False)]
        else:
            self.project_decay = [
                dense(self, h, input_shape, "decay_down", use_bias=False),
                dense(self, n * h, (*time, h), "decay_up", use_bias=False),
            ]
        build_decays(self, n, 1 if self.gate == "head" else h)
        build_short_convolution(self, (2 * g + n) * h)
        self.scale = self.add_weight((h,), "ones", name="scale", autocast=False)
        self.project_out = dense(self, width, (*time, n * h), "output")
        self.heads = (n, g, h)
        self.input_spec = layers.InputSpec(ndim=3, axes={-1: width})

    def call(self, inputs, mask=None, initial_state=None, inputs_mask=None, return_state=False):
        mask = mask_of_inputs(mask, inputs_mask, inputs.shape[:2])
        state = started(self, inputs, initial_state, return_state)
        inputs, mask, restored = valid_first(inputs, mask, state)
        x = zero_padding(ops.cast(inputs, self.compute_dtype), mask)
        b, t, _ = ops.shape(x)
        n, g, h = self.heads
        each = (2 + n // g) * h  # queries, keys and values that belong to one key head

        together = ops.reshape(self.project_in(x), (b, t, g, each + n // g * h))
        mixed, gate = ops.split(together, [each], axis=-1)
        mixed = ops.reshape(mixed, (b, t, g * each))
        mixed, past = short_convolution(self, mixed, state and state["past"], mask)
        mixed = ops.reshape(ops.silu(mixed), (b, t, g, each))
        query, key, value = ops.split(mixed, [h, 2 * h], axis=-1)
        query, key = (ops.repeat(y, n // g, axis=2) for y in units(query, key))
        value, gate = (ops.reshape(y, (b, t, n, h)) for y in (value, gate))

        beta = ops.sigmoid(at_least_float32(self.project_beta(x)))
        read, memory = gated_delta_rule(
            query * h**-0.5, key, value, self._log_decay(x), beta, state and state["memory"], mask
        )
        read = gated_rms_norm(read, self.scale, gate, self.epsilon)
        outputs = zero_padding(self.project_out(ops.reshape(read, (b, t, n * h))), mask)
        return with_state(restored(outputs), dict(past=past, memory=memory), return_state)

    def get_initial_state(self, batch_size, length=None):
        """Return the state at the start of a sequence: zeros. It has room for any number of steps."""
        return first_state(self, batch_size, length)

    def state_tensors(self, batch_size, length=None):
        """The shape and the dtype of each tensor of a state. The memory is in float32 or better."""
        n, g, h = self.heads
        precise = keras.backend.result_type(self.compute_dtype, "float32")
        past = (batch_size, self.kernel_size - 1, (2 * g + n) * h)
        return dict(past=(past, self.compute_dtype), memory=((batch_size, n, h, h), precise))

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
            num_key_heads=self.num_key_heads,
            gate=self.gate,
            kernel_size=self.kernel_size,
            use_bias=self.use_bias,
            kernel_initializer=initializers.serialize(self.kernel_initializer),
            epsilon=self.epsilon,
        )
        return config

    def _log_decay(self, x):
        for project in self.project_decay:
            x = project(x)
        sizes = step_sizes(self, x)
        if self.gate == "feature":
            b, t, _ = ops.shape(sizes)
            n, _, h = self.heads
            sizes = ops.reshape(sizes, (b, t, n, h))
        return log_decays(self, sizes)
