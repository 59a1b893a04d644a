import keras
from keras import initializers, layers, ops

from layerzoo.building.arguments import (
    InitializerLike,
    boolean,
    initializer,
    is_integer,
    known_width,
    optional_seed,
    positive_int,
    probability,
)
from layerzoo.building.heads import attention_spec, head_width
from layerzoo.building.recipe import recipe
from layerzoo.building.seeds import drawn_dropout
from layerzoo.building.sublayers import dense
from layerzoo.ops.attention import split_groups
from layerzoo.ops.dtypes import floating
from layerzoo.ops.masks import fitting_mask, zero_padding
from layerzoo.ops.windows import (
    attend_in_windows,
    cut_into_windows,
    join_windows,
    offset_bias,
    parts_of_windows,
    windows_along,
)


@keras.saving.register_keras_serializable(package="layerzoo")
@recipe
class WindowAttention(layers.Layer):
    r"""Window attention (Swin): each pixel of an image attends to the pixels of its window.

    $$
    y_p = W_O \Big[ \sum_{r \in S(p)} a^{(n)}_{pr}\, v^{(n)}_r \Big]_n, \qquad
    a^{(n)}_{pr} = \operatorname*{softmax}_{r \in S(p)} \Big(
        \frac{\langle q^{(n)}_p,\; k^{(n)}_r \rangle}{\sqrt h} + B_{p - r,\, n} \Big)
    $$

    $p$ and $r$ are pixels. $q, k, v = W_{QKV}\, x$ are split into heads of width $h$. The image is cut into
    windows of `window_size` by `window_size` pixels. The first cuts lie `shift` pixels from the top edge and
    from the left edge. $S(p)$ is the set of pixels in the window of $p$ that are not padding. $B$ holds one
    learned bias per head and per offset (rows, columns) between two pixels of a window. $[\cdot]_n$
    concatenates the heads.

    Use when:
        - the image has too many pixels for each to attend to all others: here the cost is linear in their
          number.
        - you stack several: alternate `shift=0` and `shift=window_size // 2`, so that information crosses the
          window borders.

    Avoid when:
        - the image has few pixels: flatten it into a sequence, and `SelfAttention` lets each pixel attend to
          all others.

    Args:
        num_heads: Positive integer that divides the channels. Number of heads.
        window_size: Positive integer. Height and width of each window.
        shift: Integer from 0 to `window_size - 1`. Distance in pixels from the top and left edges to the
            first cuts. Defaults to 0.
        use_bias: Boolean. Whether queries, keys and values have a bias. The output projection always has one,
            as in Swin. Defaults to True.
        dropout: Float between 0 and 1. Fraction of attention scores to drop during training. Defaults to 0.
        kernel_initializer: Initializer for the kernels of the two projections. Defaults to
            `"glorot_uniform"`.
        seed: Integer. Random seed for the dropout. Defaults to None.
        **kwargs: Standard Keras layer arguments: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: The images.
        mask: Boolean tensor of shape `(batch, height, width)` or `(batch, height)`, false at padding.
        return_attention_scores: Boolean. Whether to return `(outputs, scores)` instead of `outputs`.
        training: Boolean. Whether to apply dropout to the scores.

    Input shape:
        `(batch, height, width, channels)`. All sizes except `channels` may be unknown. Height and width need
        not be multiples of `window_size`.

    Output shape:
        Same as the input. The scores have shape `(batch, rows, columns, num_heads, pixels, pixels)`: one
        entry per row and column of windows, with the `window_size ** 2` pixels of each window in row-major
        order. With `shift`, the windows in the last row and column hold the pixels that wrapped around.

    Masking:
        The mask is passed on. No pixel attends to padding, even if the padding holds NaN. Outputs at padded
        pixels are zero.

    Raises:
        ValueError: if a size is not a positive integer, `shift` is not below `window_size`, `dropout` is not
            between 0 and 1, the number of channels is unknown, or `num_heads` does not divide it.
        ValueError: if a mask has another shape than stated, or other values than booleans, 0 and 1.

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
        [Swin Transformer](https://arxiv.org/abs/2103.14030): the attention alone, without norm and MLP. As
        in Swin, a shift rolls the image, so that some windows hold parts of opposite edges. These parts are
        masked from each other. If the windows do not fit the image, timm rolls it before padding it, and
        pixels attend to the zero padding. Here the image is padded first, and the padding is masked. If the
        image is a single window, timm replaces `shift` by 0. This layer does not, so pass 0 yourself, or the
        shift cuts the window into four. A single kernel computes queries, keys and values. Its columns are
        ordered by head: its query, its key, its value.
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
        self.num_heads = positive_int(num_heads=num_heads)
        self.window_size = positive_int(window_size=window_size)
        if not is_integer(shift) or not 0 <= shift < self.window_size:
            raise ValueError(
                "`shift` must be an integer from 0 to `window_size - 1`. "
                f"Received: shift={shift!r}, window_size={window_size}"
            )
        self.shift = int(shift)
        self.use_bias = boolean(use_bias=use_bias)
        self.dropout = probability(dropout=dropout)
        self.kernel_initializer = initializer(kernel_initializer=kernel_initializer)
        self.seed = optional_seed(seed=seed)
        self.supports_masking = True
        self.input_spec = layers.InputSpec(ndim=4)

    def build(self, input_shape):
        channels = known_width(input_shape)
        self.head_width = head_width(self.num_heads, None, input_shape)
        self.project_in = dense(self, 3 * channels, input_shape, "query_key_value")
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
        inputs = floating(inputs, self.compute_dtype)
        b, y, x, c = ops.shape(inputs)
        cuts = self.window_size, self.shift
        mask = fitting_mask(mask, inputs.shape[:-1])
        if mask is not None and len(mask.shape) == 2:
            mask = ops.expand_dims(mask, 2)
        together = cut_into_windows(self.project_in(zero_padding(inputs, mask)), *cuts)
        _, rows, columns, p, _ = ops.shape(together)
        n, windows = self.num_heads, b * rows * columns
        together = ops.reshape(together, (windows, p, 3 * c))
        query, key, value = split_groups(together, n, (1, 1, 1))

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
        fitting_mask(mask, inputs.shape[:-1])
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
        if "qkv_bias" in config:  # the argument's former name, in files saved before 0.1.0
            config = dict(config)
            config["use_bias"] = config.pop("qkv_bias")
        return super().from_config(config)
