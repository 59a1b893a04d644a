import keras
from keras import initializers, layers, ops

from layerzoo.building.arguments import (
    InitializerLike,
    boolean,
    initializer,
    known_width,
    positive_int,
)
from layerzoo.building.recipe import recipe
from layerzoo.building.recurrent import in_state_dtype, speeds_of_forgetting, state_dtype
from layerzoo.building.states import (
    first_state,
    mask_of_inputs,
    spec_with_state,
    started,
    with_state,
)
from layerzoo.building.sublayers import dense
from layerzoo.ops.masks import zero_padding
from layerzoo.ops.recurrence import last_of, linear_recurrence, root_of_complement


@keras.saving.register_keras_serializable(package="layerzoo")
@recipe
class RGLRU(layers.Layer):
    r"""Real-gated linear recurrent unit (RG-LRU): the recurrence of Griffin and RecurrentGemma.

    $$
    h_t = a_t \odot h_{t-1} + \sqrt{1 - a_t^2} \odot \big( i_t \odot W\, x_t \big), \qquad
    a_t = \exp\big( -8\, r_t \odot \operatorname{softplus}(\Lambda) \big)
    $$

    $$
    r_t = \operatorname{sigmoid}(W_r\, x_t), \qquad i_t = \operatorname{sigmoid}(W_i\, x_t)
    $$

    $r$ is the recurrence gate, $i$ the input gate, and $\Lambda$ a learned speed of forgetting for each
    feature. $\odot$ multiplies feature by feature. The root keeps the state at the scale of the inputs: the
    slower a feature forgets, the less it takes in. $h_0$ is zero, or what `initial_state` holds.

    Use when:
        - a model reads long sequences with a state of fixed size. Griffin alternates it with attention to a
          window.

    Avoid when:
        - single facts from far back must be recalled exactly: use attention, or a state that is a matrix, as
          in `GatedDeltaNet`.

    Args:
        units: Positive integer. Width of the state and of the outputs.
        use_bias: Boolean. Whether the projections have a bias. Defaults to True.
        kernel_initializer: Initializer for the kernel. Defaults to `"glorot_uniform"`.
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
        `(batch, time, units)`.

    Masking:
        The mask is passed on. Padding on either side leaves the state as it is, even if it holds NaN.
        Outputs at padded steps are zero.

    Raises:
        ValueError: if `units` is not a positive integer, `use_bias` is not a boolean, or the width is
            unknown.
        ValueError: if a mask has another shape than stated, or other values than booleans, 0 and 1.
        ValueError: if `initial_state` is not a state of this layer for as many samples.

    Example:
        ```python
        import keras
        from layerzoo import RGLRU, GatedMLP, Residual

        model = keras.Sequential([
            keras.Input((None, 16)),
            Residual(RGLRU(16), norm="pre"),
            Residual(GatedMLP(32), norm="pre"),
        ])
        print(model.output_shape)
        #> (None, None, 16)
        ```

    Reference:
        [Griffin](https://arxiv.org/abs/2402.19427), section 2.4. One kernel computes $W$, $W_r$ and $W_i$;
        the paper's gates read $W x$ through blocks, which is a special case. $\Lambda$ starts so that
        $e^{-8 \operatorname{softplus}(\Lambda)}$ is uniform between 0.9 and 0.999. RecurrentGemma takes the
        first step of a sequence in whole, without the root; the paper and this layer do not. Recurrence and
        state are in float32 or better.
    """

    def __init__(
        self,
        units: int,
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)
        self.units = positive_int(units=units)
        self.use_bias = boolean(use_bias=use_bias)
        self.kernel_initializer = initializer(kernel_initializer=kernel_initializer)
        self.supports_masking = True
        self.input_spec = layers.InputSpec(ndim=3)

    def build(self, input_shape):
        width = known_width(input_shape)
        self.project = dense(self, 3 * self.units, input_shape, "value_gates")
        self.speed = self.add_weight(
            shape=(self.units,), initializer=speeds_of_forgetting, name="speed"
        )
        self.input_spec = layers.InputSpec(ndim=3, axes={-1: width})

    def call(self, inputs, mask=None, initial_state=None, inputs_mask=None, return_state=False):
        mask = mask_of_inputs(mask, inputs_mask, inputs.shape[:2])
        state = started(self, inputs, initial_state, return_state)
        projected = self.project(zero_padding(ops.cast(inputs, self.compute_dtype), mask))
        projected, speed = in_state_dtype(self, projected, self.speed)
        value, forget, admit = ops.split(projected, 3, axis=-1)
        log_decay = -8.0 * ops.sigmoid(forget) * ops.softplus(speed)
        x = root_of_complement(log_decay) * ops.sigmoid(admit) * value

        # a step of padding keeps what is there
        log_decay, x = zero_padding(log_decay, mask), zero_padding(x, mask)
        before = state and state["h"]
        states = linear_recurrence(log_decay, x, before)
        outputs = ops.cast(zero_padding(states, mask), self.compute_dtype)
        return with_state(outputs, dict(h=last_of(states, before)), return_state)

    def get_initial_state(self, batch_size, length=None):
        """Return the state at the start of a sequence: zeros. It has room for any number of steps."""
        return first_state(self, batch_size, length)

    def state_tensors(self, batch_size, length=None):
        """The shape and the dtype of each tensor of a state, which is kept in float32 or better."""
        return dict(h=((batch_size, self.units), state_dtype(self)))

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def compute_output_spec(self, inputs, mask=None, **given):
        shape = self.compute_output_shape(inputs.shape)
        outputs = keras.KerasTensor(shape, dtype=self.compute_dtype)
        return spec_with_state(self, outputs, inputs, mask, **given)

    def get_config(self):
        config = super().get_config()
        config.update(
            units=self.units,
            use_bias=self.use_bias,
            kernel_initializer=initializers.serialize(self.kernel_initializer),
        )
        return config
