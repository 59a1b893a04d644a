import keras
from keras import ops

from layerzoo.building.arguments import known_width, one_of, positive_number
from layerzoo.ops.positions import rotate


@keras.saving.register_keras_serializable(package="layerzoo")
class RotaryEmbedding(keras.layers.Layer):
    r"""Turns pairs of features by an angle that grows with the position.

    $$
    \begin{pmatrix} y_{i} \\ y_{i + h/2} \end{pmatrix} =
    \begin{pmatrix} \cos t\theta_i & -\sin t\theta_i \\ \sin t\theta_i & \cos t\theta_i \end{pmatrix}
    \begin{pmatrix} x_{i} \\ x_{i + h/2} \end{pmatrix},
    \qquad \theta_i = \mathrm{base}^{-2i/h}
    $$

    $t$ is the step's position, $h$ the width of the last axis, $i < h/2$ the pair. The inner product
    of two turned vectors depends on their positions only through the distance between them.

    Use when:
        - attention needs to know how far apart two steps are: `SelfAttention(position=RotaryEmbedding())`.
        - sequences get longer than in training: raise `base`, or set `scaling`.

    Avoid when:
        - positions are absolute facts (the third field of a record): add a learned embedding.

    Args:
        base: Positive float. The wavelengths run from `2 pi` to nearly `2 pi base` steps. Default 10,000.
        layout: `"half"` pairs feature `i` with `i + h/2`, as Llama does. `"interleaved"` pairs `2 i`
            with `2 i + 1`, as the paper does. Weights trained with one do not fit the other.
        scaling: Positive float. Positions are divided by it (position interpolation). Default 1.
        **kwargs: Keras's own: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: Features, or queries or keys split into heads.
        offset: Integer, or integers of shape `(batch,)`: the position of the first step. Default 0.

    Input shape:
        `(batch, time, ..., width)`, `width` even. `time` may be unknown.

    Output shape:
        The input's.

    Masking:
        Passed on. Padding counts as steps: `offset` takes it out again.

    Raises:
        ValueError: `base` or `scaling` is not positive, `layout` is unknown, `width` is odd or unknown.

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
        The paper's layout is `"interleaved"`; the default is the one of today's checkpoints. `scaling`
        is from [Position Interpolation](https://arxiv.org/abs/2306.15595).
    """

    def __init__(
        self,
        base: float = 10_000.0,
        layout: str = "half",
        scaling: float = 1.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        positive_number(base=base, scaling=scaling)
        one_of(("half", "interleaved"), layout=layout)
        self.base = base
        self.layout = layout
        self.scaling = scaling
        self.supports_masking = True
        self.input_spec = keras.layers.InputSpec(min_ndim=3)

    def build(self, input_shape):
        width = known_width(input_shape)
        if width % 2:
            raise ValueError(
                "The last axis of the inputs must have an even size, to fall into pairs. "
                f"Received: input_shape={tuple(input_shape)}"
            )
        self.input_spec = keras.layers.InputSpec(min_ndim=3, axes={-1: width})

    def call(self, inputs, offset=0):
        steps = ops.arange(0, ops.shape(inputs)[1])
        positions = ops.expand_dims(ops.cast(offset, steps.dtype), -1) + steps
        return rotate(inputs, positions, self.base, self.layout, self.scaling)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        config = super().get_config()
        config.update(base=self.base, layout=self.layout, scaling=self.scaling)
        return config
