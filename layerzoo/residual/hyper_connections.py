import keras
from keras import backend, initializers, layers, ops

from layerzoo.building.arguments import boolean, positive_number, several
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
    demand_layers,
    kept,
    known_streams,
    must_keep_shape,
)
from layerzoo.ops.channels import known_channels
from layerzoo.ops.streams import flat_and_normalized, mixing, plain_start


@keras.saving.register_keras_serializable(package="layerzoo")
@recipe
class HyperConnections(layers.Layer):
    r"""Hyper-connections (HC, mHC): a residual connection of several streams that learn how they mix.

    $$
    y_k = \sum_j C_{jk}\, x_j + \beta_k\, F\Big(\sum_j \alpha_j\, x_j\Big)
    $$

    $$
    \begin{aligned}
    \text{constrained:} \quad & \alpha = \sigma(a), && \beta = 2 \sigma(b), && C = \mathrm{Sinkhorn}(e^c) \\
    \text{otherwise:} \quad & \alpha = a, && \beta = b, && C = c
    \end{aligned}
    $$

    $F$ is `layer`, and $x_j$ is stream $j$. $a, b, c = s \odot \phi(W \hat x) + d$ are computed from all
    streams of a step, where $\hat x$ are their numbers divided by their root mean square. $\phi$ is the
    identity if `constrained`, and otherwise $\tanh$. Sinkhorn divides the rows and the columns of a matrix by
    their sums, in turn, so that $C$ is doubly stochastic. $s$ starts at 0, and $d$ starts such that equal
    streams stay equal and each becomes $x + F(x)$: a plain residual connection.

    Use when:
        - a deep stack should learn how strongly each block reads from and writes to the residual connection.

    Avoid when:
        - the stack has a few blocks only: `Residual` needs one stream, and a fraction of the memory.

    Args:
        layer: Layer, or list of layers applied in turn, with one input and one output of the same shape.
        num_streams: Integer of at least 2. Number of streams.
        constrained: Boolean. Whether the streams are mixed by a doubly stochastic matrix (mHC), which
            cannot make them grow over many blocks, or by any matrix (HC). Defaults to True.
        enter: Boolean. Whether this is the first block: its input has no streams, and each stream starts as a
            copy of it. Defaults to False.
        leave: Boolean. Whether this is the last block: its output is the mean of the streams. Defaults to
            False.
        epsilon: Positive float. Added to the mean square of the streams. Defaults to 1e-6.
        **kwargs: Standard Keras layer arguments: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: The streams, or a single input if `enter`.
        mask: Boolean tensor of shape `(batch, time)`, false at padding. Passed to the wrapped layers that
            accept a mask. It may have more of the axes before the streams.
        training: Boolean. Passed to the wrapped layers.
        initial_state: List of a state for each wrapped layer that has one, as an earlier call or
            `get_initial_state` returned it. Defaults to None: a sequence starts.
        inputs_mask: The name by which Keras passes `mask` when there is an `initial_state`.
        return_state: Boolean. Whether to return `(outputs, state)` instead of `outputs`.

    Input shape:
        `(batch, ..., num_streams, width)`, or `(batch, ..., width)` if `enter`. `layer` gets the shape
        without streams, and has to keep it.

    Output shape:
        `(batch, ..., num_streams, width)`, or `(batch, ..., width)` if `leave`.

    Masking:
        The mask is passed on. The streams stand behind time, so that it fits with streams and without.

    Raises:
        ValueError: if `layer` is not a layer or a list of layers, takes more than one input, gives more than
            one output, or changes the shape; if `num_streams` is not an integer of at least 2, the inputs
            have another number of streams, or the width is unknown.
        ValueError: if a mask has another shape than stated, or other values than booleans, 0 and 1.
        ValueError: if `initial_state` is not a list of states of the wrapped layers, or one of these needs a
            state and cannot continue from one.

    Example:
        ```python
        import keras
        from layerzoo import GatedMLP, HyperConnections, SelfAttention

        model = keras.Sequential([
            keras.Input((None, 16)),
            HyperConnections(SelfAttention(4), 4, enter=True),
            HyperConnections([keras.layers.RMSNormalization(), GatedMLP(32)], 4),
            HyperConnections([keras.layers.RMSNormalization(), GatedMLP(32)], 4, leave=True),
        ])
        print(model.output_shape)
        #> (None, None, 16)
        ```

    Reference:
        [mHC](https://arxiv.org/abs/2512.24880), and [Hyper-Connections](https://arxiv.org/abs/2409.19606) for
        the unconstrained form, which here reads all streams of a step at once, as mHC does. The constrained
        form is that of DeepSeek-V4 in Hugging Face's transformers, with 20 iterations. The mean of the
        streams is the exit, so that a stack starts as a stack of plain residual connections. Entry and exit
        are arguments because Keras's layers that add an axis drop the mask.
    """

    def __init__(
        self,
        layer: layers.Layer | list[layers.Layer],
        num_streams: int,
        constrained: bool = True,
        enter: bool = False,
        leave: bool = False,
        epsilon: float = 1e-6,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)
        demand_layers(layer)
        self.layer = layer
        self.num_streams = several(num_streams=num_streams)
        self.constrained = boolean(constrained=constrained)
        self.enter = boolean(enter=enter)
        self.leave = boolean(leave=leave)
        self.epsilon = positive_number(epsilon=epsilon)
        self.supports_masking = True

    def build(self, input_shape):
        n, width = self.num_streams, known_channels(input_shape, "channels_last")
        axes, shape = {-1: width}, tuple(input_shape)
        if not self.enter:
            known_streams(n, input_shape)
            axes, shape = {-1: width, -2: n}, (*input_shape[:-2], width)
        must_keep_shape(self, chain_of(self.layer), shape)
        self.project = layers.Dense(
            n * (n + 2),
            use_bias=False,
            kernel_initializer=initializers.RandomNormal(stddev=0.02),
            dtype=self.dtype_policy,
            name="project",
        )
        self.project.build((*shape[:-1], n * width))
        self.scales = self.add_weight((3,), "zeros", name="scales", autocast=False)
        start = plain_start(n, self.constrained)
        self.offsets = self.add_weight(
            (n * (n + 2),),
            lambda shape, dtype: ops.convert_to_tensor(start, dtype),
            name="offsets",
            autocast=False,
        )
        self.input_spec = layers.InputSpec(min_ndim=len(axes) + 1, axes=axes)

    def call(
        self,
        inputs,
        mask=None,
        training=None,
        initial_state=None,
        inputs_mask=None,
        return_state=False,
    ):
        mask = mask_of_inputs(mask, inputs_mask, inputs.shape[: -1 if self.enter else -2])
        x = ops.cast(inputs, self.compute_dtype)
        x = ops.cast(x, backend.result_type(x.dtype, "float32"))
        if self.enter:
            x = ops.stack([x] * self.num_streams, axis=-2)
        scores = ops.cast(self.project(flat_and_normalized(x, self.epsilon)), x.dtype)
        read, write, mix = mixing(
            scores, self.scales, self.offsets, self.num_streams, self.constrained
        )
        inside = ops.cast(ops.sum(ops.expand_dims(read, -1) * x, axis=-2), self.compute_dtype)
        branch, state = apply_with_states(
            chain_of(self.layer), inside, mask, initial_state, return_state
        )
        branch = ops.expand_dims(ops.cast(kept(branch, inside), x.dtype), -2)
        y = ops.matmul(ops.swapaxes(mix, -1, -2), x) + ops.expand_dims(write, -1) * branch
        y = ops.cast(ops.mean(y, axis=-2) if self.leave else y, self.compute_dtype)
        return with_state(y, state, return_state)

    def get_initial_state(self, batch_size, length=None):
        """Return a list of the states at the start of a sequence, of the wrapped layers that have one.

        Args:
            batch_size: Integer. Number of samples.
            length: Positive integer. Number of steps that there is room for, if a wrapped layer needs it.
        """
        return initial_states(chain_of(self.layer), batch_size, length)

    def compute_output_shape(self, input_shape):
        shape = tuple(input_shape) if self.enter else (*input_shape[:-2], input_shape[-1])
        return shape if self.leave else (*shape[:-1], self.num_streams, shape[-1])

    def compute_output_spec(
        self,
        inputs,
        mask=None,
        training=None,
        initial_state=None,
        inputs_mask=None,
        return_state=False,
    ):
        sizes = inputs.shape[: -1 if self.enter else -2]
        mask_of_inputs(mask, inputs_mask, sizes)
        inside = keras.KerasTensor((*sizes, inputs.shape[-1]), dtype=self.compute_dtype)
        state = spec_of_states(chain_of(self.layer), inside, initial_state, return_state)
        shape = self.compute_output_shape(inputs.shape)
        return with_state(keras.KerasTensor(shape, dtype=self.compute_dtype), state, return_state)

    def get_config(self):
        config = super().get_config()
        config.update(
            layer=serialized(self.layer),
            num_streams=self.num_streams,
            constrained=self.constrained,
            enter=self.enter,
            leave=self.leave,
            epsilon=self.epsilon,
        )
        return config

    @classmethod
    def from_config(cls, config):
        layer = keras.saving.deserialize_keras_object(config["layer"])
        return super().from_config({**config, "layer": layer})
