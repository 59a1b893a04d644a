import keras
from keras import ops

from layerzoo.building.arguments import known_width, one_of, positive_number
from layerzoo.building.recipe import recipe
from layerzoo.building.rotary import rotary_fraction, rotary_scaling
from layerzoo.ops.dtypes import floating
from layerzoo.ops.positions import rotate


@keras.saving.register_keras_serializable(package="layerzoo")
@recipe
class RotaryEmbedding(keras.layers.Layer):
    r"""Rotary position embedding (RoPE): rotates feature pairs by angles proportional to the position.

    $$
    \begin{pmatrix} y_{i} \\ y_{i + r/2} \end{pmatrix} =
    \begin{pmatrix} \cos t\theta_i & -\sin t\theta_i \\ \sin t\theta_i & \cos t\theta_i \end{pmatrix}
    \begin{pmatrix} x_{i} \\ x_{i + r/2} \end{pmatrix},
    \qquad \theta_i = \mathrm{base}^{-2i/r}
    $$

    $t$ is the position of the step, $r$ is the number of rotated features, and $i < r/2$ is the pair. $r$ is
    the width of the last axis, unless `fraction` is less than 1. `scaling` makes $\theta_i$ smaller. The
    inner product of two rotated vectors depends on their positions only through the distance between them.

    Use when:
        - attention needs to know how far apart two steps are: `SelfAttention(position=RotaryEmbedding())`.
        - sequences become longer than in training: raise `base`, or set `scaling`.
        - you load a checkpoint whose config has `rope_parameters`: its `rope_theta` is `base`, its
          `partial_rotary_factor` is `fraction`, and its other entries are `scaling`.

    Avoid when:
        - absolute positions carry meaning (the third field of a record): add a learned embedding.
        - steps are places of an image or a video: use `AxialRotaryEmbedding`.

    Args:
        base: Positive float. The wavelengths range from `2 pi` to nearly `2 pi base` steps. Defaults to
            10,000.
        layout: `"half"` or `"interleaved"`. `"half"` pairs feature `i` with `i + r/2`, as Llama does.
            `"interleaved"` pairs `2 i` with `2 i + 1`, as the paper does. Weights trained with one layout do
            not work with the other. Defaults to `"half"`.
        scaling: Positive float, or dict. Positions are divided by the float (position interpolation). A dict
            with `"rope_type": "llama3"` or `"rope_type": "yarn"` divides only the frequencies that turn
            rarely over `original_max_position_embeddings` steps by `factor`; see below. Defaults to 1.
        fraction: Float above 0 and at most 1. Only the first `int(fraction * width)` features are rotated
            (partial rotary). Defaults to 1.
        **kwargs: Standard Keras layer arguments: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: Features, or queries or keys split into heads.
        offset: Integer, or integers of shape `(batch,)`. Position of the first step. Defaults to 0.

    Input shape:
        `(batch, time, ..., width)` with an even number of rotated features. `time` may be unknown.

    Output shape:
        Same as the input.

    Masking:
        The mask is passed on. Padded steps count as positions; `offset` can correct for them.

    Raises:
        ValueError: if `base` or `scaling` is not positive, `layout` is not recognised, `fraction` is not
            above 0 and at most 1, `width` is unknown, or the number of rotated features is odd or 0.
        ValueError: if a dict of `scaling` has another type, lacks a key, has an unknown key, or has a value
            that its key does not allow.

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
        The paper uses the `"interleaved"` layout; the default is the layout of today's checkpoints. A float
        as `scaling` comes from [Position Interpolation](https://arxiv.org/abs/2306.15595). The dicts have the
        keys and defaults of transformers. `"llama3"` needs `factor`, `low_freq_factor`, `high_freq_factor`
        and `original_max_position_embeddings`. `"yarn"` ([YaRN](https://arxiv.org/abs/2309.00071)) needs
        `factor` and `original_max_position_embeddings`, and takes `beta_fast` (32), `beta_slow` (1),
        `truncate` (True), `attention_factor`, `mscale` and `mscale_all_dim`. YaRN multiplies the rotated
        features by `attention_factor`, which defaults to `0.1 ln(factor) + 1`.
    """

    def __init__(
        self,
        base: float = 10_000.0,
        layout: str = "half",
        scaling: float | dict = 1.0,
        fraction: float = 1.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.base = positive_number(base=base)
        self.layout = one_of(("half", "interleaved"), layout=layout)
        self.scaling = rotary_scaling(self.base, scaling=scaling)
        self.fraction = rotary_fraction(fraction=fraction)
        self.supports_masking = True
        self.input_spec = keras.layers.InputSpec(min_ndim=3)

    def build(self, input_shape):
        width = known_width(input_shape)
        rotated = int(width * self.fraction)
        if rotated % 2 or rotated == 0:
            raise ValueError(
                "The rotated part of the last axis must have an even size above 0, because features form "
                f"pairs. Received: input_shape={tuple(input_shape)}, fraction={self.fraction}"
            )
        self.input_spec = keras.layers.InputSpec(min_ndim=3, axes={-1: width})

    def call(self, inputs, offset=0):
        inputs = floating(inputs, self.compute_dtype)
        steps = ops.arange(0, ops.shape(inputs)[1])
        positions = ops.expand_dims(ops.cast(offset, steps.dtype), -1) + steps
        return rotate(inputs, positions, self.base, self.layout, self.scaling, self.fraction)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        config = super().get_config()
        config.update(
            base=self.base,
            layout=self.layout,
            scaling=dict(self.scaling) if isinstance(self.scaling, dict) else self.scaling,
            fraction=self.fraction,
        )
        return config
