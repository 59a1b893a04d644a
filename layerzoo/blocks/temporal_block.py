import keras
from keras import initializers, layers, ops

from layerzoo.building.arguments import (
    InitializerLike,
    boolean,
    initializer,
    known_activation,
    optional_seed,
    positive_int,
    probability,
)
from layerzoo.building.causal import behind, causal_convolution, past_steps
from layerzoo.building.recipe import recipe
from layerzoo.building.seeds import seed_of_part
from layerzoo.building.states import (
    first_state,
    mask_of_inputs,
    spec_with_state,
    started,
    with_state,
)
from layerzoo.building.sublayers import build_function, dense, serialized
from layerzoo.ops.activations import activated
from layerzoo.ops.channels import known_channels
from layerzoo.ops.masks import zero_padding
from layerzoo.ops.steps import valid_first


@keras.saving.register_keras_serializable(package="layerzoo")
@recipe
class TemporalBlock(layers.Layer):
    r"""Block of a temporal convolutional network (TCN): two dilated causal convolutions and a shortcut.

    $$
    y = \sigma\big(W x + D_2\, \sigma(K_2 * D_1\, \sigma(K_1 * x))\big), \qquad
    (K * x)_t = b + \sum_{i=0}^{k-1} K_i\, x_{t - i\, \mathrm{dilation}}
    $$

    $k$ is `kernel_size`, and $\sigma$ is `activation`. $D_1$ and $D_2$ drop whole channels during training.
    $W$ projects the channels of the shortcut, but only if `filters` changes their number. Output $t$ depends
    on step $t$ and on the $2 (k - 1) \cdot \mathrm{dilation}$ steps before it, and on no other.

    Use when:
        - a sequence model should see far back and train in parallel: stack blocks with dilations 1, 2, 4, 8.
        - no step may see a later one.

    Avoid when:
        - the model must see the whole sequence, however long: use attention.
        - the gate of a WaveNet is wanted: use `WaveNetBlock`.

    Args:
        filters: Positive integer. Number of output channels.
        kernel_size: Positive integer. Number of steps that each convolution reads.
        dilation: Positive integer. Distance between these steps.
        activation: Name, function or layer. Activation after each convolution and after the sum. Defaults to
            `"relu"`.
        dropout: Float between 0 and 1. Fraction of channels to drop during training, for all steps of a
            sample at once. Defaults to 0.
        use_bias: Boolean. Whether convolutions and projection have a bias. Defaults to True.
        kernel_initializer: Initializer for their kernels. Defaults to `"he_normal"`.
        seed: Integer. Random seed for the dropout. Defaults to None.
        **kwargs: Standard Keras layer arguments: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: The sequence.
        mask: Boolean tensor of shape `(batch, time)`, false at padding. Defaults to the mask that the inputs
            carry, if any.
        training: Boolean. Whether to drop channels.
        initial_state: State to continue from, as an earlier call or `get_initial_state` returned it. Defaults
            to None: a sequence starts.
        inputs_mask: The name by which Keras passes `mask` when there is an `initial_state`.
        return_state: Boolean. Whether to return `(outputs, state)` instead of `outputs`.

    Input shape:
        `(batch, time, channels)`. `batch` and `time` may be unknown.

    Output shape:
        `(batch, time, filters)`.

    Masking:
        The mask is passed on. Padding is set to zero before each convolution, and in the outputs, so that
        padding on either side changes no other step.

    Raises:
        ValueError: if a size is not a positive integer, `dropout` is not between 0 and 1, or the number of
            channels is unknown.
        ValueError: if a mask has another shape than stated, or other values than booleans, 0 and 1.
        ValueError: if `initial_state` is not a state of this layer for as many samples.

    Example:
        ```python
        import keras
        from layerzoo import TemporalBlock

        model = keras.Sequential([
            keras.Input((None, 4)),
            TemporalBlock(32, 3, dilation=1),
            TemporalBlock(32, 3, dilation=2),
            TemporalBlock(32, 3, dilation=4),
        ])
        print(model.output_shape)
        #> (None, None, 32)
        ```

    Reference:
        [An Empirical Evaluation of Generic Convolutional and Recurrent Networks for Sequence
        Modeling](https://arxiv.org/abs/1803.01271). The paper normalises the weights, which this layer does
        not, as keras-tcn by default. Otherwise it is keras-tcn's block of two convolutions, without its
        second output. keras-tcn applies the activation to the branch twice, which is the same for ReLU.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        dilation: int,
        activation="relu",
        dropout: float = 0.0,
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "he_normal",
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)
        self.filters = positive_int(filters=filters)
        self.kernel_size = positive_int(kernel_size=kernel_size)
        self.dilation = positive_int(dilation=dilation)
        self.activation = known_activation(activation=activation)
        self.dropout = probability(dropout=dropout)
        self.use_bias = boolean(use_bias=use_bias)
        self.kernel_initializer = initializer(kernel_initializer=kernel_initializer)
        self.seed = optional_seed(seed=seed)
        self.supports_masking = True
        self.input_spec = layers.InputSpec(ndim=3)

    def build(self, input_shape):
        channels = known_channels(input_shape, "channels_last")
        shape = (*input_shape[:-1], self.filters)
        build_function(self.activation, shape)
        self.convolve_1 = causal_convolution(self, self.filters, input_shape, "convolve_1")
        self.convolve_2 = causal_convolution(self, self.filters, shape, "convolve_2")
        self.drop_1, self.drop_2 = self._dropout(1), self._dropout(2)
        self.project = None
        if channels != self.filters:
            self.project = dense(self, self.filters, input_shape, "project")
        self.input_spec = layers.InputSpec(ndim=3, axes={-1: channels})

    def call(
        self,
        inputs,
        mask=None,
        training=None,
        initial_state=None,
        inputs_mask=None,
        return_state=False,
    ):
        mask = mask_of_inputs(mask, inputs_mask, inputs.shape[:2])
        state = started(self, inputs, initial_state, return_state)
        inputs, mask, restored = valid_first(inputs, mask, state)
        x = zero_padding(ops.cast(inputs, self.compute_dtype), mask)
        seen, first = behind(self, x, state and state["first"], mask)
        hidden = self.drop_1(activated(self.activation, self.convolve_1(seen)), training=training)
        hidden = zero_padding(hidden, mask)
        seen, second = behind(self, hidden, state and state["second"], mask)
        hidden = activated(self.activation, self.convolve_2(seen))
        shortcut = x if self.project is None else self.project(x)
        outputs = activated(self.activation, shortcut + self.drop_2(hidden, training=training))
        outputs = restored(zero_padding(outputs, mask))
        return with_state(outputs, dict(first=first, second=second), return_state)

    def get_initial_state(self, batch_size, length=None):
        """Return the state at the start of a sequence: zeros. It has room for any number of steps."""
        return first_state(self, batch_size, length)

    def state_tensors(self, batch_size, length=None):
        """The shape and the dtype of each tensor of a state."""
        channels, steps = self.input_spec.axes[-1], past_steps(self)
        return dict(
            first=((batch_size, steps, channels), self.compute_dtype),
            second=((batch_size, steps, self.filters), self.compute_dtype),
        )

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.filters)

    def compute_output_spec(self, inputs, mask=None, **given):
        shape = self.compute_output_shape(inputs.shape)
        outputs = keras.KerasTensor(shape, dtype=self.compute_dtype)
        return spec_with_state(self, outputs, inputs, mask, **given)

    def get_config(self):
        config = super().get_config()
        config.update(
            filters=self.filters,
            kernel_size=self.kernel_size,
            dilation=self.dilation,
            activation=serialized(self.activation),
            dropout=self.dropout,
            use_bias=self.use_bias,
            kernel_initializer=initializers.serialize(self.kernel_initializer),
            seed=self.seed,
        )
        return config

    def _dropout(self, part):
        return layers.SpatialDropout1D(
            self.dropout,
            seed=seed_of_part(self.seed, part),
            dtype=self.dtype_policy,
            name=f"drop_{part}",
        )
