import keras
from keras import initializers, layers, ops

from layerzoo.attention.cross_attention import CrossAttention
from layerzoo.building.arguments import (
    InitializerLike,
    another,
    boolean,
    initializer,
    known_width,
    optional_positive_int,
    positive_int,
    positive_number,
)
from layerzoo.building.heads import head_width, valid_heads
from layerzoo.building.recipe import recipe
from layerzoo.building.sublayers import dense, layer_norm
from layerzoo.ops.activations import gelu
from layerzoo.ops.dtypes import floating
from layerzoo.ops.masks import fitting_mask, zero_padding
from layerzoo.ops.norms import normalized
from layerzoo.ops.padding import padded


@keras.saving.register_keras_serializable(package="layerzoo")
@recipe
class PerceiverResampler(layers.Layer):
    r"""Perceiver resampler (Flamingo): a fixed number of latents reads a sequence of any length.

    $$
    \begin{aligned}
    z' &= z + A\big(N_1(z),\; [N_2(x),\, N_1(z)]\big) \\
    z'' &= z' + W_2\, \mathrm{GELU}\big(W_1\, N_3(z')\big)
    \end{aligned}
    $$

    These two lines are repeated `depth` times, each time with new weights. $z$ starts as learned latents, and
    the last $z''$ goes through one more norm. $A(q, c)$ is `CrossAttention` from $q$ to the context $c$,
    which here is the sequence $x$ followed by the latents. Each $N$ is a layer normalisation.

    Use when:
        - inputs of varying length must become a short sequence of fixed length: video frames or image patches
          for a language model.

    Avoid when:
        - a single pass of attention is enough: `AttentionPooling` with `num_queries` costs a fraction of
          this.
        - the order of the steps matters: this layer ignores it. Add positions to the inputs first.

    Args:
        num_latents: Positive integer. Number of latent vectors.
        num_heads: Positive integer. Number of heads.
        depth: Positive integer. How many times the latents read the sequence. Defaults to 6.
        head_dim: Positive integer. Width of each head. Defaults to the input width divided by `num_heads`.
        hidden_dim: Positive integer. Width of the hidden layer of each feed-forward network. Defaults to four
            times the input width.
        use_bias: Boolean. Whether the projections have a bias. Defaults to True.
        kernel_initializer: Initializer for the kernels of the projections. Defaults to `"glorot_uniform"`.
        epsilon: Positive float. Added to the variance in the norms. Defaults to 1e-5.
        **kwargs: Standard Keras layer arguments: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: The sequence.
        mask: Boolean tensor of shape `(batch, time)`, false at padding. Defaults to the mask that the inputs
            carry, if any.

    Input shape:
        `(batch, time, width)`. `batch` and `time` may be unknown.

    Output shape:
        `(batch, num_latents, width)`.

    Masking:
        The mask is consumed. No latent attends to padding, even if the padding holds NaN. If a sample is all
        padding, the latents attend only to themselves.

    Raises:
        ValueError: if a size is not a positive integer, `epsilon` is not positive, the width is unknown, or
            `num_heads` does not divide it and `head_dim` is not given.
        ValueError: if a mask has another shape than stated, or other values than booleans, 0 and 1.

    Example:
        ```python
        import keras
        from layerzoo import PerceiverResampler

        model = keras.Sequential([
            keras.Input((None, 64)),
            PerceiverResampler(8, num_heads=4, depth=2),
        ])
        print(model.output_shape)
        #> (None, 8, 64)
        ```

    Reference:
        [Flamingo](https://arxiv.org/abs/2204.14198), based on [Perceiver](https://arxiv.org/abs/2103.03206).
        Like OpenFlamingo, this layer uses the exact GELU and unit-variance latents. OpenFlamingo has no
        biases, and it adds embeddings of frames and media first. If you need those embeddings, add them in a
        layer before this one.
    """

    def __init__(
        self,
        num_latents: int,
        num_heads: int,
        depth: int = 6,
        head_dim: int | None = None,
        hidden_dim: int | None = None,
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        epsilon: float = 1e-5,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_latents = positive_int(num_latents=num_latents)
        self.num_heads, _, self.head_dim = valid_heads(num_heads, head_dim=head_dim)
        self.depth = positive_int(depth=depth)
        self.hidden_dim = optional_positive_int(hidden_dim=hidden_dim)
        self.use_bias = boolean(use_bias=use_bias)
        self.kernel_initializer = initializer(kernel_initializer=kernel_initializer)
        self.epsilon = positive_number(epsilon=epsilon)
        self.supports_masking = True
        self.input_spec = layers.InputSpec(ndim=3)

    def build(self, input_shape):
        width = known_width(input_shape)
        head_width(self.num_heads, self.head_dim, input_shape)
        batch, hidden = input_shape[0], self.hidden_dim or 4 * width
        shape = (batch, self.num_latents, width)
        self.latents = self.add_weight(
            shape=shape[1:], initializer=initializers.RandomNormal(stddev=1.0), name="latents"
        )
        self.input_norms, self.latent_norms, self.attentions = [], [], []
        self.hidden_norms, self.expansions, self.contractions = [], [], []
        for i in range(self.depth):
            self.input_norms.append(layer_norm(self, input_shape, f"input_norm_{i}"))
            self.latent_norms.append(layer_norm(self, shape, f"latent_norm_{i}"))
            attention = CrossAttention(
                self.num_heads,
                head_dim=self.head_dim,
                use_bias=self.use_bias,
                kernel_initializer=another(self.kernel_initializer),
                dtype=self.dtype_policy,
                name=f"attention_{i}",
            )
            attention.build(shape, (batch, None, width))
            self.attentions.append(attention)
            self.hidden_norms.append(layer_norm(self, shape, f"hidden_norm_{i}"))
            self.expansions.append(dense(self, hidden, shape, f"expansion_{i}"))
            self.contractions.append(dense(self, width, (*shape[:-1], hidden), f"contraction_{i}"))
        self.output_norm = layer_norm(self, shape, "output_norm")
        self.input_spec = layers.InputSpec(ndim=3, axes={-1: width})

    def call(self, inputs, mask=None):
        mask = fitting_mask(mask, inputs.shape[:2])
        x = zero_padding(floating(inputs, self.compute_dtype), mask)
        z = ops.broadcast_to(self.latents, (ops.shape(inputs)[0], *self.latents.shape))
        seen = None
        if mask is not None:  # latents are never padding
            seen = padded(mask, 1, after=self.num_latents, value=True)
        for i in range(self.depth):
            query = normalized(self.latent_norms[i], z)
            context = ops.concatenate([normalized(self.input_norms[i], x), query], axis=1)
            z = self.attentions[i](query, context=context, context_mask=seen) + z
            hidden = gelu(self.expansions[i](normalized(self.hidden_norms[i], z)))
            z = self.contractions[i](hidden) + z
        return normalized(self.output_norm, z)

    def compute_mask(self, inputs, previous_mask=None):
        return None

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.num_latents, input_shape[-1])

    def compute_output_spec(self, inputs, mask=None):
        fitting_mask(mask, inputs.shape[:2])
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), dtype=self.compute_dtype)

    def get_config(self):
        config = super().get_config()
        config.update(
            num_latents=self.num_latents,
            num_heads=self.num_heads,
            depth=self.depth,
            head_dim=self.head_dim,
            hidden_dim=self.hidden_dim,
            use_bias=self.use_bias,
            kernel_initializer=initializers.serialize(self.kernel_initializer),
            epsilon=self.epsilon,
        )
        return config
