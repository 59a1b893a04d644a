import keras
from keras import initializers, layers, ops

from layerzoo.building.arguments import (
    InitializerLike,
    boolean,
    initializer,
    known_activation,
    known_width,
    positive_int,
)
from layerzoo.building.recipe import recipe
from layerzoo.building.states import (
    first_state,
    mask_of_inputs,
    spec_with_state,
    started,
    with_state,
)
from layerzoo.building.sublayers import build_function, dense, serialized
from layerzoo.ops.activations import activated
from layerzoo.ops.convolution import depthwise
from layerzoo.ops.masks import zero_padding
from layerzoo.ops.steps import after, valid_first


@keras.saving.register_keras_serializable(package="layerzoo")
@recipe
class ShortConvolution(layers.Layer):
    r"""Short causal convolution (causal_conv1d): each feature sees its own last few steps.

    $$
    y_t = \sigma\Big(b + \sum_{i=0}^{k-1} K_i \odot x_{t-i}\Big)
    $$

    With `gated`, as in LFM2:

    $$
    y = W_{\text{out}} \big( C \odot \sigma(K * (B \odot v)) \big), \qquad [B, C, v] = W_{\text{in}}\, x
    $$

    $k$ is `kernel_size`, $\sigma$ is `activation`, and $\odot$ multiplies feature by feature. The convolution
    $*$ is the sum above. $B$ gates what goes in, and $C$ what comes out.

    Use when:
        - a recurrence or a linear attention follows: it needs the neighbours of a step, to form a pair or a
          word, and finds them hard to pick out.
        - a cheap mixer of neighbouring steps is wanted between attention layers: use `gated`.

    Avoid when:
        - features must mix over time: use `keras.layers.Conv1D`, or `TemporalBlock`.
        - steps see later ones: this layer is causal.

    Args:
        kernel_size: Positive integer. Number of steps that an output sees: its own and those before it.
        activation: Name, function or layer. Activation after the convolution. Defaults to `"silu"`.
        gated: Boolean. Whether to project the inputs to two gates and a value, and the result back. Defaults
            to False.
        use_bias: Boolean. Whether convolution and projections have a bias. Defaults to True.
        kernel_initializer: Initializer for all kernels. Defaults to `"lecun_uniform"`.
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
        The mask is passed on. Padding counts as zeros, and outputs at padded steps are zero. With a state,
        padding is left out: a valid step sees the valid steps before it.

    Raises:
        ValueError: if `kernel_size` is not a positive integer, a flag is not a boolean, or the width is
            unknown.
        ValueError: if a mask has another shape than stated, or other values than booleans, 0 and 1.
        ValueError: if `initial_state` is not a state of this layer for as many samples.

    Example:
        ```python
        import keras
        from layerzoo import LinearAttention, ShortConvolution

        model = keras.Sequential([
            keras.Input((None, 16)),
            ShortConvolution(4),
            LinearAttention(4, causal=True),
        ])
        print(model.output_shape)
        #> (None, None, 16)
        ```

    Reference:
        [Gated Delta Networks](https://arxiv.org/abs/2412.06464) and Mamba put it in front of a recurrence;
        `fla.modules.ShortConvolution` is the same with `use_bias=False`. LFM2 has `gated=True`,
        `activation=None` and `use_bias=False`, with the columns of `project_in` in the same order.
    """

    def __init__(
        self,
        kernel_size: int,
        activation="silu",
        gated: bool = False,
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "lecun_uniform",
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)
        self.kernel_size = positive_int(kernel_size=kernel_size)
        self.activation = known_activation(activation=activation)
        self.gated = boolean(gated=gated)
        self.use_bias = boolean(use_bias=use_bias)
        self.kernel_initializer = initializer(kernel_initializer=kernel_initializer)
        self.supports_masking = True
        self.input_spec = layers.InputSpec(ndim=3)

    def build(self, input_shape):
        width = known_width(input_shape)
        build_function(self.activation, tuple(input_shape))
        if self.gated:
            self.project_in = dense(self, 3 * width, input_shape, "gates_value")
            self.project_out = dense(self, width, input_shape, "output")
        self.kernel = self.add_weight(
            shape=(self.kernel_size, 1, width), initializer=self.kernel_initializer, name="kernel"
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(shape=(width,), initializer="zeros", name="bias")
        self.input_spec = layers.InputSpec(ndim=3, axes={-1: width})

    def call(self, inputs, mask=None, initial_state=None, inputs_mask=None, return_state=False):
        mask = mask_of_inputs(mask, inputs_mask, inputs.shape[:2])
        state = started(self, inputs, initial_state, return_state)
        inputs, mask, restored = valid_first(inputs, mask, state)
        x = zero_padding(ops.cast(inputs, self.compute_dtype), mask)
        if not self.gated:
            y, state = self._convolved(x, state, mask)
        else:
            into, out, value = ops.split(self.project_in(x), 3, axis=-1)
            y, state = self._convolved(zero_padding(into * value, mask), state, mask)
            y = self.project_out(out * y)
        return with_state(restored(zero_padding(y, mask)), state, return_state)

    def get_initial_state(self, batch_size, length=None):
        """Return the state at the start of a sequence: zeros. It has room for any number of steps."""
        return first_state(self, batch_size, length)

    def state_tensors(self, batch_size, length=None):
        """The shape and the dtype of each tensor of a state: the last steps that the kernel reads."""
        steps = (batch_size, self.kernel_size - 1, self.input_spec.axes[-1])
        return dict(past=(steps, self.compute_dtype))

    def compute_output_shape(self, input_shape):
        return input_shape

    def compute_output_spec(self, inputs, mask=None, **given):
        outputs = keras.KerasTensor(inputs.shape, dtype=self.compute_dtype)
        return spec_with_state(self, outputs, inputs, mask, **given)

    def get_config(self):
        config = super().get_config()
        config.update(
            kernel_size=self.kernel_size,
            activation=serialized(self.activation),
            gated=self.gated,
            use_bias=self.use_bias,
            kernel_initializer=initializers.serialize(self.kernel_initializer),
        )
        return config

    def _convolved(self, x, state, mask):
        """The activation of the convolution, and the steps that the next one reads."""
        kernel = ops.cast(self.kernel[:, 0], x.dtype)
        if state is None:
            y, past = depthwise(x, kernel, before=self.kernel_size - 1), None
        else:
            seen, past = after(state["past"], x, mask)
            y = depthwise(seen, kernel)
        y = y if self.bias is None else y + ops.cast(self.bias, x.dtype)
        return activated(self.activation, y), dict(past=past)
