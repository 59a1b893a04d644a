import keras
from keras import initializers, layers, ops

from layerzoo.building.arguments import (
    InitializerLike,
    boolean,
    initializer,
    known_width,
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
from layerzoo.building.recipe import recipe
from layerzoo.building.states import (
    first_state,
    mask_of_inputs,
    spec_with_state,
    started,
    with_state,
)
from layerzoo.building.sublayers import dense
from layerzoo.ops.masks import zero_padding
from layerzoo.ops.matrix_recurrence import decayed_linear_attention
from layerzoo.ops.norms import rms_normed
from layerzoo.ops.steps import valid_first


@keras.saving.register_keras_serializable(package="layerzoo")
@recipe
class SelectiveStateSpace(layers.Layer):
    r"""Selective state space model (Mamba-2, SSD): a linear system whose dynamics the inputs choose.

    $$
    S_t = e^{-A \Delta_t}\, S_{t-1} + \Delta_t B_t u_t^\top, \qquad y_t = S_t^\top C_t + D u_t, \qquad
    \Delta_t = \operatorname{softplus}(W_\Delta x_t + c)
    $$

    $$
    o_t = W_O \operatorname{norm}\big([y^{(n)}_t]_n \odot \operatorname{silu}(z_t)\big)
    $$

    $u, z, B, C = W x$. $u$ and $z$ are `expansion` times as wide as the inputs. A causal convolution over
    `kernel_size` steps and a SiLU come before $u$, $B$ and $C$ are used. Each of the heads $n$ has its own
    part of $u$, its own step size $\Delta$ and learned numbers $A > 0$, $c$ and $D$. $B$ and $C$ have the
    width `state_dim`, and heads of a group share them. $\operatorname{norm}$ is the RMS norm of each group,
    and $[\cdot]_n$ concatenates the heads.

    Use when:
        - sequences have thousands of steps, and softmax attention takes too much time or memory.
        - most steps do not matter, and the inputs tell which do: a small $\Delta$ passes a step by.
        - a model generates step by step: its memory does not grow.

    Avoid when:
        - a memory must be looked up by key and kept up to date: use `GatedDeltaNet`.
        - exact copies of many far steps are wanted: use `SelfAttention`.

    Args:
        state_dim: Positive integer. Width of $B$ and $C$: numbers that are kept for each feature of $u$.
        num_heads: Positive integer that divides the inner width. Number of heads. Defaults to 8.
        expansion: Positive integer. Inner width divided by the width of the inputs. Defaults to 2.
        num_groups: Positive integer that divides `num_heads`. Number of groups of heads. Defaults to 1.
        kernel_size: Positive integer. Number of steps that the convolution reads. Defaults to 4.
        use_bias: Boolean. Whether the two projections have a bias. The convolution has one. Defaults to True.
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
        The mask is passed on. Padding leaves the memory as it is and counts as zeros in the convolution, even
        if it holds NaN, so that padding on either side changes no other step. Outputs at padded steps are
        zero.

    Raises:
        ValueError: if a size is not a positive integer, `epsilon` is not positive, the width is unknown,
            `num_groups` does not divide `num_heads`, or `num_heads` does not divide the inner width.
        ValueError: if a mask has another shape than stated, or other values than booleans, 0 and 1.
        ValueError: if `initial_state` is not a state of this layer for as many samples.

    Example:
        ```python
        import keras
        from layerzoo import SelectiveStateSpace

        model = keras.Sequential([keras.Input((None, 16)), SelectiveStateSpace(32, num_heads=4)])
        print(model.output_shape)
        #> (None, None, 16)
        ```

    Reference:
        [Transformers are SSMs](https://arxiv.org/abs/2405.21060), which has no biases in the projections.
        This is its Mamba-2; the selection is that of [Mamba](https://arxiv.org/abs/2312.00752). Here, rates
        and step sizes start at evenly spread numbers instead of random ones. The columns of the first kernel
        are ordered by group. Decays and memory are in float32 or better. Step sizes have no limits, as by
        default in the paper's code.
    """

    def __init__(
        self,
        state_dim: int,
        num_heads: int = 8,
        expansion: int = 2,
        num_groups: int = 1,
        kernel_size: int = 4,
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        epsilon: float = 1e-5,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)
        self.state_dim = positive_int(state_dim=state_dim)
        self.num_heads = positive_int(num_heads=num_heads)
        self.expansion = positive_int(expansion=expansion)
        self.num_groups = positive_int(num_groups=num_groups)
        if self.num_heads % self.num_groups:
            raise ValueError(
                "`num_groups` must divide `num_heads`. "
                f"Received: num_heads={num_heads}, num_groups={num_groups}"
            )
        self.kernel_size = positive_int(kernel_size=kernel_size)
        self.use_bias = boolean(use_bias=use_bias)
        self.kernel_initializer = initializer(kernel_initializer=kernel_initializer)
        self.epsilon = positive_number(epsilon=epsilon)
        self.supports_masking = True
        self.input_spec = layers.InputSpec(ndim=3)

    def build(self, input_shape):
        width, n, g = known_width(input_shape), self.num_heads, self.num_groups
        inner = self.expansion * width
        if inner % n:
            raise ValueError(
                "`num_heads` must divide `expansion` times the width of the inputs. Received: "
                f"expansion={self.expansion}, num_heads={n}, input_shape={tuple(input_shape)}"
            )
        m = g * self.state_dim
        self.project_in = dense(self, 2 * (inner + m) + n, input_shape, "inner")
        build_decays(self, n)
        build_short_convolution(self, inner + 2 * m)
        self.taps_bias = self.add_weight(
            (inner + 2 * m,), "zeros", name="taps_bias", autocast=False
        )
        self.skip = self.add_weight((n,), "ones", name="skip", autocast=False)
        self.scale = self.add_weight((inner,), "ones", name="scale", autocast=False)
        self.project_out = dense(self, width, (*input_shape[:-1], inner), "output")
        self.heads = (n, self.state_dim, inner // n)
        self.input_spec = layers.InputSpec(ndim=3, axes={-1: width})

    def call(self, inputs, mask=None, initial_state=None, inputs_mask=None, return_state=False):
        mask = mask_of_inputs(mask, inputs_mask, inputs.shape[:2])
        state = started(self, inputs, initial_state, return_state)
        inputs, mask, restored = valid_first(inputs, mask, state)
        x = zero_padding(ops.cast(inputs, self.compute_dtype), mask)
        b, t, _ = ops.shape(x)
        (n, m, h), g = self.heads, self.num_groups
        p = n // g * h  # features of a group

        together = ops.reshape(self.project_in(x), (b, t, g, 2 * (p + m) + n // g))
        gate, mixed, sizes = ops.split(together, [p, 2 * (p + m)], axis=-1)
        mixed, past = short_convolution(
            self, ops.reshape(mixed, (b, t, g * (p + 2 * m))), state and state["past"], mask
        )
        mixed = ops.silu(mixed + ops.cast(self.taps_bias, mixed.dtype))
        mixed = ops.reshape(mixed, (b, t, g, p + 2 * m))
        inner, key, query = ops.split(mixed, [p, p + m], axis=-1)
        key, query = (ops.repeat(y, n // g, axis=2) for y in (key, query))

        sizes = step_sizes(self, ops.reshape(sizes, (b, t, n)))
        inner = ops.cast(ops.reshape(inner, (b, t, n, h)), sizes.dtype)
        value = inner * ops.expand_dims(sizes, -1)
        read, memory = decayed_linear_attention(
            query, key, value, log_decays(self, sizes), state and state["memory"], mask
        )
        read = read + ops.cast(ops.expand_dims(self.skip, -1), read.dtype) * inner
        read = ops.reshape(read, (b, t, g, p)) * ops.silu(ops.cast(gate, read.dtype))
        read = ops.reshape(rms_normed(read, self.epsilon), (b, t, g * p))
        read = ops.cast(read * ops.cast(self.scale, read.dtype), self.compute_dtype)
        outputs = restored(zero_padding(self.project_out(read), mask))
        return with_state(outputs, dict(past=past, memory=memory), return_state)

    def get_initial_state(self, batch_size, length=None):
        """Return the state at the start of a sequence: zeros. It has room for any number of steps."""
        return first_state(self, batch_size, length)

    def state_tensors(self, batch_size, length=None):
        """The shape and the dtype of each tensor of a state. The memory is in float32 or better."""
        precise = keras.backend.result_type(self.compute_dtype, "float32")
        past = (batch_size, self.kernel_size - 1, self.taps.shape[-1])
        return dict(past=(past, self.compute_dtype), memory=((batch_size, *self.heads), precise))

    def compute_output_shape(self, input_shape):
        return input_shape

    def compute_output_spec(self, inputs, mask=None, **given):
        outputs = keras.KerasTensor(inputs.shape, dtype=self.compute_dtype)
        return spec_with_state(self, outputs, inputs, mask, **given)

    def get_config(self):
        config = super().get_config()
        config.update(
            state_dim=self.state_dim,
            num_heads=self.num_heads,
            expansion=self.expansion,
            num_groups=self.num_groups,
            kernel_size=self.kernel_size,
            use_bias=self.use_bias,
            kernel_initializer=initializers.serialize(self.kernel_initializer),
            epsilon=self.epsilon,
        )
        return config
