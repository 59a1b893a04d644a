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
from layerzoo.building.recurrent import (
    flipped,
    in_state_dtype,
    outputs_shape,
    recurrent,
    recurrent_spec,
    state_dtype,
)
from layerzoo.building.sublayers import build_function, dense, serialized
from layerzoo.ops.activations import activated


@keras.saving.register_keras_serializable(package="layerzoo")
@recipe
class MinLSTM(layers.Layer):
    r"""Minimal LSTM (minLSTM): an LSTM whose gates do not see the previous step, so it trains in parallel.

    $$
    h_t = \frac{f_t}{f_t + i_t} \odot h_{t-1} + \frac{i_t}{f_t + i_t} \odot \tilde h_t
    $$

    $$
    f_t = \operatorname{sigmoid}(W_f\, x_t), \qquad i_t = \operatorname{sigmoid}(W_i\, x_t), \qquad
    \tilde h_t = \sigma(W_h\, x_t)
    $$

    $f$ is the forget gate, $i$ the input gate, $\tilde h$ the candidate, and $\sigma$ is `activation`.
    $\odot$ multiplies feature by feature. The two shares sum to one, so that the state keeps its scale at any
    length. $h_0$ is zero, or `initial_state`. The arguments about sequences, states and direction are those
    of `keras.layers.LSTM`, and the layer works in `keras.layers.Bidirectional`. Its state is one tensor:
    there is no cell beside $h$.

    Use when:
        - an LSTM takes too long to train: no step waits for the one before it.
        - sequences are long, or a model runs step by step: the state is one vector.

    Avoid when:
        - a step's gate must depend on the state, as in counting or parity: use `keras.layers.LSTM`, or stack
          several layers.
        - two gates are not needed: `MinGRU` has a third fewer weights.
        - single facts from far back must be recalled exactly: use attention.

    Args:
        units: Positive integer. Width of the state and of the outputs.
        activation: Name, function or layer. Activation of the candidate. Defaults to None, as in the paper.
        use_bias: Boolean. Whether gates and candidate have a bias. Defaults to True.
        kernel_initializer: Initializer for the kernel. Defaults to `"glorot_uniform"`.
        return_sequences: Boolean. Whether to return the output of each step, instead of the last valid one.
            Defaults to False.
        return_state: Boolean. Whether to return `(outputs, state)` instead of `outputs`. Defaults to False.
        go_backwards: Boolean. Whether to go from the last step to the first, and to return the steps in that
            order. Defaults to False.
        **kwargs: Standard Keras layer arguments: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: The sequence.
        initial_state: State to continue from, as an earlier call or `get_initial_state` returned it: a tensor
            of shape `(batch, units)`, in float32 or better. Defaults to None: zeros.
        mask: Boolean tensor of shape `(batch, time)`, false at padding. Defaults to the mask that the inputs
            carry, if any.
        inputs_mask: The name by which Keras passes `mask` when there is an `initial_state`.
        return_state: Boolean. Replaces the argument of the layer for this call. Defaults to None: as the
            layer was made.

    Input shape:
        `(batch, time, width)`. `batch` and `time` may be unknown.

    Output shape:
        `(batch, units)`, or `(batch, time, units)` with `return_sequences`. A state is `(batch, units)`.

    Masking:
        Padding on either side leaves the state as it is, even if it holds NaN. With `return_sequences`, the
        mask is passed on, and outputs at padded steps are zero.

    Raises:
        ValueError: if `units` is not a positive integer, a flag is not a boolean, or the width is unknown.
        ValueError: if a mask has another shape than stated, or other values than booleans, 0 and 1.
        ValueError: if `initial_state` has another shape or dtype than stated.

    Example:
        ```python
        import keras
        from layerzoo import MinLSTM

        model = keras.Sequential([
            keras.Input((None, 8)),
            MinLSTM(32, return_sequences=True),
            MinLSTM(32),
            keras.layers.Dense(1),
        ])
        print(model.output_shape)
        #> (None, 1)
        ```

    Reference:
        [Were RNNs All We Needed?](https://arxiv.org/abs/2410.01201), section 3.2. For its appendix B and for
        lucidrains/minGRU-pytorch, `activation` is `x + 0.5` where `x` is positive and `sigmoid(x)` elsewhere.
        They compute in logarithms of the state, which must then be positive. Here, only decays are
        logarithms. Recurrence and state are in float32 or better. One kernel computes gates and candidate.
    """

    stateful, states = False, None  # `Bidirectional` asks for them

    def __init__(
        self,
        units: int,
        activation=None,
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)
        self.units = positive_int(units=units)
        self.activation = known_activation(activation=activation)
        self.use_bias = boolean(use_bias=use_bias)
        self.kernel_initializer = initializer(kernel_initializer=kernel_initializer)
        self.return_sequences = boolean(return_sequences=return_sequences)
        self.return_state = boolean(return_state=return_state)
        self.go_backwards = boolean(go_backwards=go_backwards)
        self.supports_masking = True
        self.input_spec = layers.InputSpec(ndim=3)

    def build(self, input_shape):
        width = known_width(input_shape)
        build_function(self.activation, (*input_shape[:-1], self.units))
        self.project = dense(self, 3 * self.units, input_shape, "forget_input_candidate")
        self.input_spec = layers.InputSpec(ndim=3, axes={-1: width})

    def call(self, inputs, initial_state=None, mask=None, inputs_mask=None, return_state=None):
        def gates(x):
            forget, admit, candidate = ops.split(self.project(x), 3, axis=-1)
            candidate = activated(self.activation, candidate)
            forget, admit, candidate = in_state_dtype(self, forget, admit, candidate)
            more = ops.softplus(-forget) - ops.softplus(
                -admit
            )  # the logarithm of input over forget
            return -ops.softplus(more), ops.sigmoid(more) * candidate

        return recurrent(self, gates, inputs, mask, inputs_mask, initial_state, return_state)

    def get_initial_state(self, batch_size, length=None):
        """Return the state at the start of a sequence: zeros. It has room for any number of steps."""
        return ops.zeros((batch_size, self.units), state_dtype(self))

    def compute_mask(self, inputs, previous_mask=None):
        return flipped(self, previous_mask) if self.return_sequences else None

    def compute_output_shape(self, input_shape):
        shape = outputs_shape(self, input_shape)
        return (shape, (input_shape[0], self.units)) if self.return_state else shape

    def compute_output_spec(
        self, inputs, initial_state=None, mask=None, inputs_mask=None, return_state=None
    ):
        return recurrent_spec(self, inputs, initial_state, mask, inputs_mask, return_state)

    def get_config(self):
        config = super().get_config()
        config.update(
            units=self.units,
            activation=serialized(self.activation),
            use_bias=self.use_bias,
            kernel_initializer=initializers.serialize(self.kernel_initializer),
            return_sequences=self.return_sequences,
            return_state=self.return_state,
            go_backwards=self.go_backwards,
        )
        return config
