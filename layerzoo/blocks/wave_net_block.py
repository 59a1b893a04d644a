import keras
from keras import initializers, layers, ops

from layerzoo.building.arguments import (
    InitializerLike,
    boolean,
    initializer,
    optional_positive_int,
    positive_int,
)
from layerzoo.building.causal import behind, causal_convolution, past_steps
from layerzoo.building.recipe import recipe
from layerzoo.building.states import (
    first_state,
    mask_of_inputs,
    spec_with_state,
    started,
    with_state,
)
from layerzoo.building.sublayers import dense
from layerzoo.ops.channels import known_channels
from layerzoo.ops.masks import zero_padding
from layerzoo.ops.steps import valid_first


@keras.saving.register_keras_serializable(package="layerzoo")
@recipe
class WaveNetBlock(layers.Layer):
    r"""Block of a WaveNet: a gated dilated causal convolution, a shortcut, and a skip output if asked for.

    $$
    y = x + W_r z, \qquad s = W_s z, \qquad z = \tanh(K_f * x) \odot \sigma(K_g * x), \qquad
    (K * x)_t = b + \sum_{i=0}^{k-1} K_i\, x_{t - i\, \mathrm{dilation}}
    $$

    $k$ is `kernel_size`, and $\sigma$ is the sigmoid. $s$ is the skip output, which exists only with
    `skip_filters`. Output $t$ depends on step $t$ and on the $(k - 1) \cdot \mathrm{dilation}$ steps before
    it.

    Use when:
        - a sequence is predicted step by step from a long past: stack blocks with dilations 1, 2, 4, 8.
        - the head of the network should read every block: set `skip_filters` and add the skip outputs.

    Avoid when:
        - no gate is wanted: use `TemporalBlock`.

    Args:
        filters: Positive integer. Number of channels inside the gate. The output has the channels of the
            input.
        kernel_size: Positive integer. Number of steps that the convolution reads. The paper takes 2.
        dilation: Positive integer. Distance between these steps.
        skip_filters: Positive integer. Number of channels of the skip output. Defaults to None: there is
            none, and the block stands in a Sequential model.
        use_bias: Boolean. Whether convolutions have a bias. Defaults to True.
        kernel_initializer: Initializer for their kernels. Defaults to `"glorot_uniform"`.
        **kwargs: Standard Keras layer arguments: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: The sequence.
        mask: Boolean tensor of shape `(batch, time)`, false at padding. Defaults to the mask that the inputs
            carry, if any.
        initial_state: State to continue from, as an earlier call or `get_initial_state` returned it. Defaults
            to None: a sequence starts.
        inputs_mask: The name by which Keras passes `mask` when there is an `initial_state`.
        return_state: Boolean. Whether to return `(outputs, state)` instead of `outputs`,
            where `outputs` may be the tuple of both.

    Input shape:
        `(batch, time, channels)`. `batch` and `time` may be unknown.

    Output shape:
        Same as the input. With `skip_filters`, a tuple of that and `(batch, time, skip_filters)`.

    Masking:
        The mask is passed on, with both outputs. Padding is set to zero before the convolution, and in the
        outputs, so that padding on either side changes no other step.

    Raises:
        ValueError: if a size is not a positive integer, or the number of channels is unknown.
        ValueError: if a mask has another shape than stated, or other values than booleans, 0 and 1.
        ValueError: if `initial_state` is not a state of this layer for as many samples.

    Example:
        ```python
        import keras
        from layerzoo import WaveNetBlock

        model = keras.Sequential([
            keras.Input((None, 16)),
            WaveNetBlock(32, 2, dilation=1),
            WaveNetBlock(32, 2, dilation=2),
        ])
        print(model.output_shape)
        #> (None, None, 16)

        x, skips = keras.Input((None, 16)), []
        for dilation in (1, 2, 4, 8):
            x, skip = WaveNetBlock(32, 2, dilation, skip_filters=64)(x)
            skips.append(skip)
        outputs = keras.layers.Dense(256)(keras.layers.ReLU()(keras.layers.Add()(skips)))
        print(outputs.shape)
        #> (None, None, 256)
        ```

    Reference:
        [WaveNet](https://arxiv.org/abs/1609.03499), its Figure 4, without conditioning.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        dilation: int,
        skip_filters: int | None = None,
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)
        self.filters = positive_int(filters=filters)
        self.kernel_size = positive_int(kernel_size=kernel_size)
        self.dilation = positive_int(dilation=dilation)
        self.skip_filters = optional_positive_int(skip_filters=skip_filters)
        self.use_bias = boolean(use_bias=use_bias)
        self.kernel_initializer = initializer(kernel_initializer=kernel_initializer)
        self.supports_masking = True
        self.input_spec = layers.InputSpec(ndim=3)

    def build(self, input_shape):
        channels = known_channels(input_shape, "channels_last")
        shape = (*input_shape[:-1], self.filters)
        self.filter = causal_convolution(self, self.filters, input_shape, "convolve_filter")
        self.gate = causal_convolution(self, self.filters, input_shape, "convolve_gate")
        self.project = dense(self, channels, shape, "residual")
        if self.skip_filters is not None:
            self.project_skip = dense(self, self.skip_filters, shape, "skip")
        self.input_spec = layers.InputSpec(ndim=3, axes={-1: channels})

    def call(self, inputs, mask=None, initial_state=None, inputs_mask=None, return_state=False):
        mask = mask_of_inputs(mask, inputs_mask, inputs.shape[:2])
        state = started(self, inputs, initial_state, return_state)
        inputs, mask, restored = valid_first(inputs, mask, state)
        x = zero_padding(ops.cast(inputs, self.compute_dtype), mask)
        seen, past = behind(self, x, state and state["past"], mask)
        z = ops.tanh(self.filter(seen)) * ops.sigmoid(self.gate(seen))
        outputs = restored(zero_padding(x + self.project(z), mask))
        if self.skip_filters is not None:
            outputs = outputs, restored(zero_padding(self.project_skip(z), mask))
        return with_state(outputs, dict(past=past), return_state)

    def get_initial_state(self, batch_size, length=None):
        """Return the state at the start of a sequence: zeros. It has room for any number of steps."""
        return first_state(self, batch_size, length)

    def state_tensors(self, batch_size, length=None):
        """The shape and the dtype of each tensor of a state."""
        shape = (batch_size, past_steps(self), self.input_spec.axes[-1])
        return dict(past=(shape, self.compute_dtype))

    def compute_mask(self, inputs, previous_mask=None):
        return previous_mask if self.skip_filters is None else (previous_mask, previous_mask)

    def compute_output_shape(self, input_shape):
        if self.skip_filters is None:
            return input_shape
        return input_shape, (*input_shape[:-1], self.skip_filters)

    def compute_output_spec(self, inputs, mask=None, **given):
        outputs = keras.KerasTensor(inputs.shape, dtype=self.compute_dtype)
        if self.skip_filters is not None:
            skip = (*inputs.shape[:-1], self.skip_filters)
            outputs = outputs, keras.KerasTensor(skip, dtype=self.compute_dtype)
        return spec_with_state(self, outputs, inputs, mask, **given)

    def get_config(self):
        config = super().get_config()
        config.update(
            filters=self.filters,
            kernel_size=self.kernel_size,
            dilation=self.dilation,
            skip_filters=self.skip_filters,
            use_bias=self.use_bias,
            kernel_initializer=initializers.serialize(self.kernel_initializer),
        )
        return config
