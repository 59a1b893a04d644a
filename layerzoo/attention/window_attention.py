import keras
from keras import initializers, layers, ops

from layerzoo.building.arguments import InitializerLike, known_width, positive_int, probability
from layerzoo.building.heads import attention_spec, head_width
from layerzoo.building.seeds import drawn_dropout
from layerzoo.building.sublayers import dense
from layerzoo.ops.masks import zero_padding
from layerzoo.ops.windows import (
    attend_in_windows,
    cut_into_windows,
    join_windows,
    offset_bias,
    parts_of_windows,
    windows_along,
)


@keras.saving.register_keras_serializable(package="layerzoo")
class WindowAttention(layers.Layer):
    r"""Each pixel of an image takes a weighted mean of the pixels of its window.

    $$
    y_p = W_O \Big[ \sum_{r \in S(p)} a^{(n)}_{pr}\, v^{(n)}_r \Big]_n, \qquad
    a^{(n)}_{pr} = \operatorname*{softmax}_{r \in S(p)} \Big(
        \frac{\langle q^{(n)}_p,\; k^{(n)}_r \rangle}{\sqrt h} + B_{p - r,\, n} \Big)
    $$

    $p$ and $r$ are pixels; $q, k, v = W_{QKV}\, x$ are split into heads of width $h$. The image is cut into
    windows of `window_size` rows and columns, the first cuts `shift` pixels below its upper edge and to the
    right of its left one; $S(p)$ holds the pixels in the window of $p$ that are no padding. $B$ is a learned
    number for each head and each offset, down and to the right, between two pixels of a window.
    $[\cdot]_n$ puts the heads side by side.

    Use when:
        - an image has too many pixels for each to see all others: the cost grows with their number.
        - in turns with `shift=0` and `shift=window_size // 2`, so that windows exchange what they know.

    Avoid when:
        - the image has few pixels: as a sequence, `SelfAttention` lets each see all.

    Args:
        num_heads: Divisor of the channels. Heads.
        window_size: Positive integer. Height and width of a window.
        shift: Integer from 0 to `window_size - 1`. Where the first cuts are. Default 0.
        use_bias: Boolean. Whether queries, keys and values have a bias; the output has one in any case, as in
            Swin. Default True.
        dropout: Float from 0 to 1. Share of attention scores dropped in training.
        kernel_initializer: Initializer of the two projections' kernels.
        seed: Integer. Seed of the dropout.
        **kwargs: Keras's own: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: The images.
        mask: Boolean `(batch, height, width)` or `(batch, height)`, false at padding.
        return_attention_scores: Whether to return `(outputs, scores)`.
        training: Whether to drop scores.

    Input shape:
        `(batch, height, width, channels)`. All but `channels` may be unknown, and need be no multiple of
        `window_size`.

    Output shape:
        The input's; the scores are `(batch, rows, columns, num_heads, pixels, pixels)`, with the windows'
        rows and columns, and their `window_size ** 2` pixels, row by row. With `shift`, the windows in the
        last row and column hold what the shift moved round.

    Masking:
        Passed on. No pixel sees padding, whatever it holds, NaN included. Outputs at padding are zero.

    Raises:
        ValueError: a size is no positive integer, `shift` is not below `window_size`, `dropout` is not
            between 0 and 1, or `num_heads` does not divide the channels.

    Example:
        ```python
        import keras
        from layerzoo import WindowAttention

        model = keras.Sequential([
            keras.Input((None, None, 64)),
            WindowAttention(4, window_size=7),
            WindowAttention(4, window_size=7, shift=3),
        ])
        print(model.output_shape)
        #> (None, None, None, 64)
        ```

    Reference:
        [Swin Transformer](https://arxiv.org/abs/2103.14030), the attention alone, without norm and MLP. As
        there, a shift moves the image round, so that windows hold parts of opposite edges, and masks these
        parts from each other. Where the windows do not fit, timm lets pixels see the zeros that fill them,
        and moves the image before it fills them; here it is filled first, and zeros are masked. In an image
        of one window, timm takes `shift` for 0: do so too, or the shift cuts the window in four.
    """

    def __init__(
        self,
        num_heads: int,
        window_size: int,
        shift: int = 0,
        use_bias: bool = True,
        dropout: float = 0.0,
        kernel_initializer: InitializerLike = "glorot_uniform",
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        positive_int(num_heads=num_heads, window_size=window_size)
        if type(shift) is not int or not 0 <= shift < window_size:
            raise ValueError(
                "`shift` must be an integer from 0 to `window_size - 1`. "
                f"Received: shift={shift!r}, window_size={window_size}"
            )
        probability(dropout=dropout)
        self.num_heads = num_heads
        self.window_size = window_size
        self.shift = shift
        self.use_bias = use_bias
        self.dropout = dropout
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.seed = seed
        self.supports_masking = True
        self.input_spec = layers.InputSpec(ndim=4)

    def build(self, input_shape):
        channels = known_width(input_shape)
        self.head_width = head_width(self.num_heads, None, input_shape)
        self.project_in = dense(
            self, 3 * channels, input_shape, "query_key_value", use_bias=self.use_bias
        )
        self.project_out = dense(self, channels, input_shape, "output", use_bias=True)
        self.table = self.add_weight(
            shape=((2 * self.window_size - 1) ** 2, self.num_heads),
            initializer=initializers.TruncatedNormal(stddev=0.02),
            name="offset_bias",
        )
        if self.dropout:
            self.seed_generator = keras.random.SeedGenerator(self.seed)
        self.input_spec = layers.InputSpec(ndim=4, axes={-1: channels})

    def call(self, inputs, mask=None, return_attention_scores=False, training=None):
        b, y, x, c = ops.shape(inputs)
        cuts = self.window_size, self.shift
        if mask is not None and len(mask.shape) == 2:
            mask = mask[:, :, None]
        together = self.project_in(zero_padding(inputs, mask))
        together = cut_into_windows(together, *cuts)
        _, rows, columns, p, _ = ops.shape(together)
        n, windows = self.num_heads, b * rows * columns
        together = ops.reshape(together, (windows, p, 3 * n, self.head_width))
        query, key, value = ops.split(together, 3, axis=2)

        parts = parts_of_windows(b, y, x, *cuts, mask)
        if parts is not None:
            parts = ops.reshape(parts, (windows, p))
        bias = offset_bias(ops.convert_to_tensor(self.table), self.window_size)
        dropout = drawn_dropout(self, training)
        attended, scores = attend_in_windows(query, key, value, parts, bias, dropout)
        outputs = join_windows(ops.reshape(attended, (b, rows, columns, p, c)), *cuts, y, x)
        outputs = zero_padding(self.project_out(outputs), mask)
        if not return_attention_scores:
            return outputs
        return outputs, ops.reshape(scores, (b, rows, columns, n, p, p))

    def compute_output_shape(self, input_shape):
        return input_shape

    def compute_output_spec(self, inputs, mask=None, return_attention_scores=False, training=None):
        b, *sides, _ = inputs.shape
        sides = [windows_along(side, self.window_size) for side in sides]
        pixels = self.window_size**2
        scores = (b, *sides, self.num_heads, pixels, pixels)
        return attention_spec(self, inputs.shape, scores, return_attention_scores)

    def get_config(self):
        config = super().get_config()
        config.update(
            num_heads=self.num_heads,
            window_size=self.window_size,
            shift=self.shift,
            use_bias=self.use_bias,
            dropout=self.dropout,
            kernel_initializer=initializers.serialize(self.kernel_initializer),
            seed=self.seed,
        )
        return config

    @classmethod
    def from_config(cls, config):
        if "qkv_bias" in config:  # the argument's first name, in files saved before 0.1.0
            config = dict(config)
            config["use_bias"] = config.pop("qkv_bias")
        return super().from_config(config)
