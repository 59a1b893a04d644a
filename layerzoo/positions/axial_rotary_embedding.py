import keras
from keras import ops

from layerzoo.building.arguments import known_width, positive_number
from layerzoo.building.recipe import recipe
from layerzoo.building.rotary import (
    coordinates,
    grid_sizes,
    optional_sections,
    pairs_by_axis,
    within_grid,
)
from layerzoo.ops.dtypes import floating
from layerzoo.ops.positions import axial_frequencies, places_in_grid, rotate_by_axes


@keras.saving.register_keras_serializable(package="layerzoo")
@recipe
class AxialRotaryEmbedding(keras.layers.Layer):
    r"""Axial rotary position embedding (2-D and 3-D RoPE): rotates feature pairs by the place in a grid.

    $$
    \begin{pmatrix} y_{i} \\ y_{i + h/2} \end{pmatrix} =
    \begin{pmatrix} \cos p_{a(i)}\theta_i & -\sin p_{a(i)}\theta_i \\
        \sin p_{a(i)}\theta_i & \cos p_{a(i)}\theta_i \end{pmatrix}
    \begin{pmatrix} x_{i} \\ x_{i + h/2} \end{pmatrix},
    \qquad \theta_i = \begin{cases}
    \mathrm{base}^{-2 j(i) A / h} & \text{without sections} \\
    \mathrm{base}^{-2 i / h} & \text{with sections}
    \end{cases}
    $$

    $p$ is the place of the step: one coordinate for each of the $A$ axes, such as row and column. $h$ is the
    width of the last axis, and $i < h/2$ is the pair. The pairs are shared out among the axes in order:
    $a(i)$ is the axis of pair $i$, and $j(i)$ counts the pairs of that axis. Without `sections`, each axis
    has the same number of pairs, and all axes have the same frequencies. With `sections`, axis $a$ has
    `sections[a]` pairs, and the frequencies fall over all pairs together, as in Qwen2-VL (M-RoPE).

    Use when:
        - the steps of attention are the patches of an image or a video:
          `SelfAttention(position=AxialRotaryEmbedding((14, 14)))`.
        - text and images share a sequence, and each step has its own coordinates: pass `positions`.

    Avoid when:
        - steps have one position: use `RotaryEmbedding`.
        - some steps have no place in the grid, such as a class token: rotate the others alone.

    Args:
        axes: Two or more positive integers. Sizes of the grid, such as `(height, width)` or
            `(frames, height, width)`. Steps go through the last axis first, row by row. If the first size is
            None, there are as many rows as the steps fill. If another size is None, each call must pass
            `positions`.
        base: Positive float. The wavelengths of an axis range from `2 pi` to nearly `2 pi base` places.
            Defaults to 10,000.
        sections: One positive integer for each axis: its number of feature pairs. They sum up to half the
            width. Defaults to None: the same number for each axis, which has all frequencies.
        **kwargs: Standard Keras layer arguments: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: Features, or queries or keys split into heads.
        positions: Numbers of shape `(time, axes)` or `(batch, time, axes)`. Coordinates of each step.
            Defaults to None: the places of the grid.
        offset: Integer, or integers of shape `(batch,)`. Number of steps before the first one, row by row.
            Only without `positions`. Defaults to 0.

    Input shape:
        `(batch, time, ..., width)`. `time` may be unknown, and may be less than the number of places.

    Output shape:
        Same as the input.

    Masking:
        The mask is passed on. Padded steps count as places; `positions` can correct for them.

    Raises:
        ValueError: if `axes` is not two or more positive integers or None, `base` is not positive, or
            `sections` is not one positive integer for each axis.
        ValueError: if `width` is unknown, or is not a multiple of twice the number of axes or, with
            `sections`, not twice their sum.
        ValueError: if there are more steps than places, `positions` has another shape than stated or comes
            with an `offset`, or a size other than the first is None and `positions` is not given.

    Example:
        ```python
        import keras
        from layerzoo import AxialRotaryEmbedding, SelfAttention

        model = keras.Sequential([
            keras.Input((12, 12, 64)),
            keras.layers.Reshape((144, 64)),
            SelfAttention(4, position=AxialRotaryEmbedding((12, 12))),
        ])
        print(model.output_shape)
        #> (None, 144, 64)
        ```

    Reference:
        [Qwen2-VL](https://arxiv.org/abs/2409.12191). Its vision tower is `axes=(height, width)` without
        `sections`. Its text model, where the axes are time, height and width, is `sections=(16, 24, 24)`.
        transformers has the axes of `positions` first; here they are last. Qwen3-VL deals the pairs out to
        the axes in turn, which is not offered.
    """

    def __init__(
        self,
        axes,
        base: float = 10_000.0,
        sections=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.axes = grid_sizes(axes=axes)
        self.base = positive_number(base=base)
        self.sections = optional_sections(len(self.axes), sections=sections)
        self.supports_masking = True
        self.input_spec = keras.layers.InputSpec(min_ndim=3)

    def build(self, input_shape):
        width = known_width(input_shape)
        self.pairs = pairs_by_axis(len(self.axes), self.sections, input_shape)
        self.input_spec = keras.layers.InputSpec(min_ndim=3, axes={-1: width})

    def call(self, inputs, positions=None, offset=0):
        inputs = floating(inputs, self.compute_dtype)
        if positions is None:
            within_grid(self.axes, inputs.shape)
            steps = ops.arange(0, ops.shape(inputs)[1])
            steps = ops.expand_dims(ops.cast(offset, steps.dtype), -1) + steps
            places = places_in_grid(steps, self.axes)
        else:
            places = coordinates(len(self.axes), positions, inputs.shape, offset)
        frequencies = axial_frequencies(self.pairs, self.base, together=self.sections is not None)
        return rotate_by_axes(inputs, places, frequencies)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        config = super().get_config()
        config.update(
            axes=list(self.axes),
            base=self.base,
            sections=self.sections and list(self.sections),
        )
        return config
