import keras
from keras import initializers, layers, ops

from layerzoo.building.arguments import number
from layerzoo.building.recipe import recipe
from layerzoo.building.states import (
    apply_with_states,
    initial_states,
    mask_of_inputs,
    spec_of_states,
    with_state,
)
from layerzoo.building.sublayers import serialized
from layerzoo.building.wrapped import (
    chain_of,
    data_format_of,
    demand_layers,
    kept,
    must_keep_shape,
)
from layerzoo.ops.channels import channel_axis, known_channels, position_sizes


@keras.saving.register_keras_serializable(package="layerzoo")
@recipe
class ReZero(layers.Layer):
    r"""ReZero: residual connection around any layer, with a learned factor on the branch that starts at 0.

    $$
    y = x + \alpha\, F(x)
    $$

    $F$ is `layer`, and $\alpha$ is one learned number. With $\alpha = 0$ the block is exactly the identity,
    and the gradient of $\alpha$ is not zero, so that the first step of training moves it.

    Use when:
        - you stack many blocks and want neither norms nor a warm-up of the learning rate.

    Avoid when:
        - the branch changes the number of channels: `Residual(layer, scale=0.0)` projects the shortcut.
        - each channel should have its own factor: use `Residual(layer, scale=...)` or `LayerScale`.

    Args:
        layer: Layer, or list of layers applied in turn, with one input and one output of the same shape.
        init_value: Float. Initial value of the factor. Defaults to 0.
        data_format: `"channels_last"` or `"channels_first"`. Where the channels are: the last axis, or the
            axis after the batch. The shape of a mask depends on it. Defaults to the `data_format` of the
            wrapped layers, or to `"channels_last"` if none has one.
        **kwargs: Standard Keras layer arguments: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: The input of the branch, to which the branch's output is added.
        mask: Boolean tensor of shape `(batch, time)`, false at padding. Passed to the wrapped layers that
            accept a mask. It may have more of the axes of the inputs, up to all except that of the channels.
        training: Boolean. Passed to the wrapped layers.
        initial_state: List of a state for each wrapped layer that has one, as an earlier call or
            `get_initial_state` returned it. Defaults to None: a sequence starts.
        inputs_mask: The name by which Keras passes `mask` when there is an `initial_state`.
        return_state: Boolean. Whether to return `(outputs, state)` instead of `outputs`.

    Input shape:
        Any shape that `layer` accepts and keeps. The number of channels must be known.

    Output shape:
        Same as the input.

    Masking:
        The mask is passed on, because the shortcut keeps every step.

    Raises:
        ValueError: if `layer` is not a layer or a list of layers, takes more than one input, gives more than
            one output, changes the shape, or mixes data formats; if `init_value` is not a number,
            `data_format` is not recognised, or the number of channels is unknown.
        ValueError: if a mask has another shape than stated, or other values than booleans, 0 and 1.
        ValueError: if `initial_state` is not a list of states of the wrapped layers, or one of these needs a
            state and cannot continue from one.

    Example:
        ```python
        import keras
        from layerzoo import ReZero, SelfAttention

        blocks = [ReZero(SelfAttention(4)), ReZero(keras.layers.Dense(16, activation="relu"))]
        model = keras.Sequential([keras.Input((None, 16)), *blocks])
        x = keras.random.normal((2, 5, 16))
        print(bool(keras.ops.all(model(x) == x)))
        #> True
        ```

    Reference:
        [ReZero is All You Need](https://arxiv.org/abs/2003.04887). The factor is kept and applied in float32
        or better. [SkipInit](https://arxiv.org/abs/2002.10444) is the same for branches with batch norm.
    """

    def __init__(
        self,
        layer: layers.Layer | list[layers.Layer],
        init_value: float = 0.0,
        data_format: str | None = None,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)
        demand_layers(layer)
        self.layer = layer
        self.init_value = number(init_value=init_value)
        self.data_format = data_format_of(chain_of(layer), data_format)
        self.supports_masking = True

    def build(self, input_shape):
        channels = known_channels(input_shape, self.data_format)
        must_keep_shape(self, chain_of(self.layer), input_shape)
        self.alpha = self.add_weight(
            (), initializers.Constant(self.init_value), name="alpha", autocast=False
        )
        axes = {channel_axis(self.data_format): channels}
        self.input_spec = layers.InputSpec(min_ndim=2, axes=axes)

    def call(
        self,
        inputs,
        mask=None,
        training=None,
        initial_state=None,
        inputs_mask=None,
        return_state=False,
    ):
        mask = mask_of_inputs(mask, inputs_mask, position_sizes(inputs, self.data_format))
        inputs = ops.cast(inputs, self.compute_dtype)
        branch, state = apply_with_states(
            chain_of(self.layer), inputs, mask, initial_state, return_state
        )
        precise = ops.cast(kept(branch, inputs), self.alpha.dtype) * self.alpha
        return with_state(inputs + ops.cast(precise, self.compute_dtype), state, return_state)

    def get_initial_state(self, batch_size, length=None):
        """Return a list of the states at the start of a sequence, of the wrapped layers that have one.

        Args:
            batch_size: Integer. Number of samples.
            length: Positive integer. Number of steps that there is room for, if a wrapped layer needs it.
        """
        return initial_states(chain_of(self.layer), batch_size, length)

    def compute_output_shape(self, input_shape):
        return input_shape

    def compute_output_spec(
        self,
        inputs,
        mask=None,
        training=None,
        initial_state=None,
        inputs_mask=None,
        return_state=False,
    ):
        mask_of_inputs(mask, inputs_mask, position_sizes(inputs, self.data_format))
        state = spec_of_states(chain_of(self.layer), inputs, initial_state, return_state)
        return with_state(
            keras.KerasTensor(inputs.shape, dtype=self.compute_dtype), state, return_state
        )

    def get_config(self):
        config = super().get_config()
        config.update(
            layer=serialized(self.layer),
            init_value=self.init_value,
            data_format=self.data_format,
        )
        return config

    @classmethod
    def from_config(cls, config):
        layer = keras.saving.deserialize_keras_object(config["layer"])
        return super().from_config({**config, "layer": layer})
