import keras
from keras import ops

from layerzoo.building.arguments import known_width, one_of, positive_number
from layerzoo.building.recipe import recipe
from layerzoo.ops.dtypes import floating
from layerzoo.ops.positions import rotate


@keras.saving.register_keras_serializable(package="layerzoo")
@recipe
class RotaryEmbedding(keras.layers.Layer):
    r"""Rotary position embedding (RoPE): rotates feature pairs by angles proportional to the position.

    $$
    \begin{pmatrix} y_{i} \\ y_{i + h/2} \end{pmatrix} =
    \begin{pmatrix} \cos t\theta_i & -\sin t\theta_i \\ \sin t\theta_i & \cos t\theta_i \end{pmatrix}
    \begin{pmatrix} x_{i} \\ x_{i + h/2} \end{pmatrix},
    \qquad \theta_i = \mathrm{base}^{-2i/h}
    $$

    $t$ is the position of the step, $h$ is the width of the last axis, and $i < h/2$ is the pair. The inner
    product of two rotated vectors depends on their positions only through the distance between them.

    Use when:
        - attention needs to know how far apart two steps are: `SelfAttention(position=RotaryEmbedding())`.
        - sequences become longer than in training: raise `base`, or set `scaling`.

    Avoid when:
        - absolute positions carry meaning (the third field of a record): add a learned embedding.

    Args:
        base: Positive float. The wavelengths range from `2 pi` to nearly `2 pi base` steps. Defaults to
            10,000.
        layout: `"half"` or `"interleaved"`. `"half"` pairs feature `i` with `i + h/2`, as Llama does.
            `"interleaved"` pairs `2 i` with `2 i + 1`, as the paper does. Weights trained with one layout do
            not work with the other. Defaults to `"half"`.
        scaling: Positive float. Positions are divided by it (position interpolation). Defaults to 1.
        **kwargs: Standard Keras layer arguments: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: Features, or queries or keys split into heads.
        offset: Integer, or integers of shape `(batch,)`. Position of the first step. Defaults to 0.

    Input shape:
        `(batch, time, ..., width)` with an even `width`. `time` may be unknown.

    Output shape:
        Same as the input.

    Masking:
        The mask is passed on. Padded steps count as positions; `offset` can correct for them.

    Raises:
        ValueError: if `base` or `scaling` is not positive, `layout` is not recognised, or `width` is odd or
            unknown.

    Example:
        ```python
        import numpy as np
        from layerzoo import RotaryEmbedding

        x = np.random.default_rng(0).normal(size=(1, 6, 8)).astype("float32")
        turned = RotaryEmbedding()(x)
        print(tuple(turned.shape))
        #> (1, 6, 8)
        ```

    Reference:
        [RoFormer: Enhanced Transformer with Rotary Position Embedding](https://arxiv.org/abs/2104.09864).
        The paper uses the `"interleaved"` layout; the default is the layout of today's checkpoints. `scaling`
        comes from [Position Interpolation](https://arxiv.org/abs/2306.15595).
    """

    def __init__(
        self,
        base: float = 10_000.0,
        layout: str = "half",
        scaling: float = 1.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.base = positive_number(base=base)
        self.layout = one_of(("half", "interleaved"), layout=layout)
        self.scaling = positive_number(scaling=scaling)
        self.supports_masking = True
        self.input_spec = keras.layers.InputSpec(min_ndim=3)

    def build(self, input_shape):
        width = known_width(input_shape)
        if width % 2:
            raise ValueError(
                "The last axis of the inputs must have an even size, because features form pairs. "
                f"Received: input_shape={tuple(input_shape)}"
            )
        self.input_spec = keras.layers.InputSpec(min_ndim=3, axes={-1: width})

    def call(self, inputs, offset=0):
        inputs = floating(inputs, self.compute_dtype)
        steps = ops.arange(0, ops.shape(inputs)[1])
        positions = ops.expand_dims(ops.cast(offset, steps.dtype), -1) + steps
        return rotate(inputs, positions, self.base, self.layout, self.scaling)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        config = super().get_config()
        config.update(base=self.base, layout=self.layout, scaling=self.scaling)
        return config
