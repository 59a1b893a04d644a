import keras
from keras import initializers, layers, ops

from layerzoo.attention.cross_attention import CrossAttention
from layerzoo.building.arguments import (
    InitializerLike,
    known_width,
    optional_positive_int,
    positive_int,
    positive_number,
)
from layerzoo.building.heads import head_width, valid_heads
from layerzoo.building.sublayers import dense
from layerzoo.ops.masks import zero_padding


@keras.saving.register_keras_serializable(package="layerzoo")
class PerceiverResampler(layers.Layer):
    r"""A fixed number of latent vectors reads a sequence of any length, several times over.

    $$
    \begin{aligned}
    z' &= z + A\big(N_1(z),\; [N_2(x),\, N_1(z)]\big) \\
    z'' &= z' + W_2\, \mathrm{GELU}\big(W_1\, N_3(z')\big)
    \end{aligned}
    $$

    The two lines are repeated `depth` times, each time with weights of their own, from $z$ learned; the
    last $z''$ goes through one more norm. $A(q, c)$ is `CrossAttention` of $q$ to the context $c$: here
    the sequence $x$ and the latents side by side. Each $N$ is a layer normalisation.

    Use when:
        - inputs of any length should become a short sequence of one length: the frames of a film, the
          patches of an image, for a model that reads text.

    Avoid when:
        - one look is enough: `AttentionPooling` with `num_queries` is a fraction of this.
        - the order of the steps matters: this is blind to it. Add positions to the inputs first.

    Args:
        num_latents: Positive integer. Latent vectors.
        num_heads: Positive integer. Heads.
        depth: Positive integer. How often the latents read. Default 6.
        head_dim: Positive integer. Width of a head. Default: the input's width over `num_heads`.
        hidden_dim: Positive integer. Width of the hidden layer after each reading. Default: four times
            the input's width.
        use_bias: Boolean. Whether the projections have a bias.
        kernel_initializer: Initializer of the projections' kernels.
        epsilon: Positive float. Added to the variance in the norms. Default 1e-5.
        **kwargs: Keras's own: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: The sequence.
        mask: Boolean `(batch, time)`, false at padding. Taken from the inputs where they carry one.

    Input shape:
        `(batch, time, width)`. `batch` and `time` may be unknown.

    Output shape:
        `(batch, num_latents, width)`.

    Masking:
        Consumed. No latent sees padding, whatever it holds, NaN included. Where a sample is all padding,
        the latents read themselves alone.

    Raises:
        ValueError: a size is no positive integer, `epsilon` is not positive, or `num_heads` does not
            divide the width.

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
        [Flamingo](https://arxiv.org/abs/2204.14198), after
        [Perceiver](https://arxiv.org/abs/2103.03206). OpenFlamingo has no biases, and adds embeddings of
        frames and media first: here that is the work of a layer before. Its GELU is exact, as this one,
        and its latents begin with a variance of one, as these.
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
        positive_int(num_latents=num_latents, depth=depth)
        valid_heads(num_heads, head_dim=head_dim)
        optional_positive_int(hidden_dim=hidden_dim)
        positive_number(epsilon=epsilon)
        self.num_latents = num_latents
        self.num_heads = num_heads
        self.depth = depth
        self.head_dim = head_dim
        self.hidden_dim = hidden_dim
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.epsilon = epsilon
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
            self.input_norms.append(self._norm(input_shape, f"input_norm_{i}"))
            self.latent_norms.append(self._norm(shape, f"latent_norm_{i}"))
            attention = CrossAttention(
                self.num_heads,
                head_dim=self.head_dim,
                use_bias=self.use_bias,
                kernel_initializer=self.kernel_initializer.clone(),
                dtype=self.dtype_policy,
                name=f"attention_{i}",
            )
            attention.build(shape, (batch, None, width))
            self.attentions.append(attention)
            self.hidden_norms.append(self._norm(shape, f"hidden_norm_{i}"))
            self.expansions.append(dense(self, hidden, shape, f"expansion_{i}"))
            self.contractions.append(dense(self, width, (*shape[:-1], hidden), f"contraction_{i}"))
        self.output_norm = self._norm(shape, "output_norm")
        self.input_spec = layers.InputSpec(ndim=3, axes={-1: width})

    def call(self, inputs, mask=None):
        x = zero_padding(inputs, mask)
        z = ops.broadcast_to(self.latents, (ops.shape(inputs)[0], *self.latents.shape))
        seen = None
        if mask is not None:  # the latents are no padding
            seen = ops.pad(
                ops.cast(mask, "int32"), ((0, 0), (0, self.num_latents)), constant_values=1
            )
        for i in range(self.depth):
            query = self.latent_norms[i](z)
            context = ops.concatenate([self.input_norms[i](x), query], axis=1)
            z = self.attentions[i](query, context=context, context_mask=seen) + z
            hidden = ops.gelu(self.expansions[i](self.hidden_norms[i](z)), approximate=False)
            z = self.contractions[i](hidden) + z
        return self.output_norm(z)

    def compute_mask(self, inputs, previous_mask=None):
        return None

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.num_latents, input_shape[-1])

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

    def _norm(self, shape, name):
        norm = layers.LayerNormalization(epsilon=self.epsilon, dtype=self.dtype_policy, name=name)
        norm.build(shape)
        return norm
