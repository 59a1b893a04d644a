import keras
from keras import initializers, layers, ops

from layerzoo.building.arguments import (
    one_of,
    optional_non_negative_number,
    optional_seed,
    positive_number,
    probability,
)
from layerzoo.building.recipe import recipe
from layerzoo.building.states import (
    apply_with_states,
    initial_states,
    mask_of_inputs,
    spec_of_states,
    with_state,
)
from layerzoo.building.sublayers import layer_norm, serialized
from layerzoo.building.wrapped import (
    add_branch,
    branch_shape_of,
    chain_of,
    data_format_of,
    demand_layers,
    over_channels,
    scaled,
)
from layerzoo.ops.channels import channel_axis, known_channels, position_sizes
from layerzoo.ops.norms import normalized
from layerzoo.residual.drop_path import DropPath


@keras.saving.register_keras_serializable(package="layerzoo")
@recipe
class Residual(layers.Layer):
    r"""Residual connection around any layer, with optional pre-norm, post-norm or sandwich norm.

    $$
    \begin{aligned}
    \text{None:} \quad & y = W x + D(\gamma \odot F(x)) \\
    \text{pre:} \quad & y = W x + D(\gamma \odot F(N_1(x))) \\
    \text{post:} \quad & y = N_2(W x + D(\gamma \odot F(x))) \\
    \text{sandwich:} \quad & y = W x + D(\gamma \odot N_2(F(N_1(x))))
    \end{aligned}
    $$

    $F$ is `layer`. $N_1$ and $N_2$ are layer normalisations over the channels, placed by `norm`. $\gamma$ is
    one learned factor per channel, present only with `scale`. $D$ is a `DropPath`. $W$ projects the channels
    of the shortcut, but only if $F$ changes their number; otherwise $W x = x$.

    Use when:
        - a Sequential model needs residual connections: `Residual(Dense(64))` is a single entry.
        - you want to turn a layer, or a list of layers, into a residual block.

    Avoid when:
        - the branch changes the time or image axes (strides): use a block with its own shortcut.

    Args:
        layer: Layer, or list of layers applied in turn, with one input and one output.
        norm: None, `"pre"`, `"post"` or `"sandwich"`. Where to apply layer normalisation. Defaults to None.
        scale: Float of at least 0. Initial value of a learned factor per channel on the branch. With 0, the
            block starts as its shortcut. Defaults to None: no factor.
        drop_path: Float between 0 and 1. Fraction of samples whose branch is dropped during training.
            Defaults to 0.
        epsilon: Positive float. Added to the variance in the norms. Defaults to 1e-5.
        seed: Integer. Random seed for `drop_path`. Defaults to None.
        data_format: `"channels_last"` or `"channels_first"`. Where the channels are: the last axis, or the
            axis after the batch. Defaults to the `data_format` of the wrapped layers, or to
            `"channels_last"` if none has one.
        **kwargs: Standard Keras layer arguments: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: The input of the branch, which is also added to the branch's output.
        mask: Boolean tensor of shape `(batch, time)`, false at padding. Passed to the wrapped layers that
            accept a mask. It may have more of the axes of the inputs, up to all except that of the channels.
        training: Boolean. Whether to drop branches. The wrapped layers receive it too.
        initial_state: List of a state for each wrapped layer that has one, as an earlier call or
            `get_initial_state` returned it. Defaults to None: a sequence starts.
        inputs_mask: The name by which Keras passes `mask` when there is an `initial_state`.
        return_state: Boolean. Whether to return `(outputs, state)` instead of `outputs`.

    Input shape:
        Any shape that `layer` accepts. The number of channels must be known.

    Output shape:
        Same as the output of `layer`. All axes except that of the channels must match the input.

    Masking:
        The mask is passed on, because the shortcut keeps every step.

    Raises:
        ValueError: if `layer` is not a layer or a list of layers, takes more than one input, gives more than
            one output, mixes data formats, or changes an axis other than that of the channels; if `norm` or
            `data_format` is not recognised, a number is out of range, or the number of channels is unknown.
        ValueError: if a mask has another shape than stated, or other values than booleans, 0 and 1.
        ValueError: if `initial_state` is not a list of states of the wrapped layers, or one of these needs a
            state and cannot continue from one.

    Example:
        ```python
        import keras
        from layerzoo import GatedMLP, Residual, SelfAttention

        model = keras.Sequential([
            keras.Input((None, 16)),
            Residual(SelfAttention(4), norm="pre"),
            Residual(GatedMLP(32), norm="pre"),
        ])
        print(model.output_shape)
        #> (None, None, 16)
        ```

    Reference:
        [Deep Residual Learning](https://arxiv.org/abs/1512.03385). Pre-activation is from
        [Identity Mappings](https://arxiv.org/abs/1603.05027), and the sandwich norm from
        [Peri-LN](https://arxiv.org/abs/2502.02732). Papers on convolutional networks project the
        shortcut with a convolution. Here the projection is a matrix on the channels, without bias.
    """

    def __init__(
        self,
        layer: layers.Layer | list[layers.Layer],
        norm: str | None = None,
        scale: float | None = None,
        drop_path: float = 0.0,
        epsilon: float = 1e-5,
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)
        demand_layers(layer)
        self.layer = layer
        self.norm = one_of((None, "pre", "post", "sandwich"), norm=norm)
        self.scale = optional_non_negative_number(scale=scale)
        self.drop_path = probability(drop_path=drop_path)
        self.epsilon = positive_number(epsilon=epsilon)
        self.seed = optional_seed(seed=seed)
        self.data_format = data_format_of(chain_of(layer), data_format)
        self.supports_masking = True

    def build(self, input_shape):
        channels = known_channels(input_shape, self.data_format)
        branch_shape = branch_shape_of(self, chain_of(self.layer), input_shape)
        width = known_channels(branch_shape, self.data_format)

        if self.norm in ("pre", "sandwich"):
            self.norm_in = layer_norm(self, (None, channels), "norm_in")
        if self.norm in ("post", "sandwich"):
            self.norm_out = layer_norm(self, (None, width), "norm_out")
        if self.scale is not None:
            start = initializers.Constant(self.scale)
            self.gamma = self.add_weight((width,), start, name="gamma", autocast=False)
        self.project = None
        if width != channels:
            self.project = layers.Dense(
                width, use_bias=False, dtype=self.dtype_policy, name="project"
            )
            self.project.build((None, channels))
        self.drop = DropPath(self.drop_path, self.seed, dtype=self.dtype_policy, name="drop_path")
        self.drop.build(branch_shape)
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
        inputs = branch = ops.cast(inputs, self.compute_dtype)
        if self.norm in ("pre", "sandwich"):
            branch = self._normalized(self.norm_in, inputs)
        branch, state = apply_with_states(
            chain_of(self.layer), branch, mask, initial_state, return_state
        )
        if self.norm == "sandwich":
            branch = self._normalized(self.norm_out, branch)
        if self.scale is not None:
            branch = scaled(branch, self.gamma, self.data_format)
        shortcut = inputs
        if self.project is not None:
            shortcut = over_channels(self.project, inputs, self.data_format)
        branch = self.drop(branch, training=training)
        outputs = add_branch(shortcut, branch, self.data_format)
        if self.norm == "post":
            outputs = self._normalized(self.norm_out, outputs)
        return with_state(outputs, state, return_state)

    def get_initial_state(self, batch_size, length=None):
        """Return a list of the states at the start of a sequence, of the wrapped layers that have one.

        Args:
            batch_size: Integer. Number of samples.
            length: Positive integer. Number of steps that there is room for, if a wrapped layer needs it.
        """
        return initial_states(chain_of(self.layer), batch_size, length)

    def compute_output_shape(self, input_shape):
        shape, axis = list(input_shape), channel_axis(self.data_format)
        if not self.built:
            branch_shape = input_shape
            for layer in chain_of(self.layer):
                branch_shape = layer.compute_output_shape(branch_shape)
            shape[axis] = branch_shape[axis]
        elif self.project is not None:
            shape[axis] = self.project.units
        return tuple(shape)

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
        shape = self.compute_output_shape(inputs.shape)
        return with_state(keras.KerasTensor(shape, dtype=self.compute_dtype), state, return_state)

    def get_config(self):
        config = super().get_config()
        config.update(
            layer=serialized(self.layer),
            norm=self.norm,
            scale=self.scale,
            drop_path=self.drop_path,
            epsilon=self.epsilon,
            seed=self.seed,
            data_format=self.data_format,
        )
        return config

    @classmethod
    def from_config(cls, config):
        layer = keras.saving.deserialize_keras_object(config["layer"])
        return super().from_config({**config, "layer": layer})

    def _normalized(self, norm, x):
        return over_channels(lambda x: normalized(norm, x), x, self.data_format)
