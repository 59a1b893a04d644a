import keras
from keras import initializers, layers, ops

from layerzoo.building.arguments import (
    InitializerLike,
    boolean,
    initializer,
    known_width,
    optional_positive_int,
    optional_seed,
    positive_int,
    probability,
)
from layerzoo.building.heads import attention_spec, head_width, valid_heads
from layerzoo.building.recipe import recipe
from layerzoo.building.seeds import drawn_dropout
from layerzoo.building.states import first_state, mask_of_inputs, spec_with_state, started
from layerzoo.building.sublayers import dense, rms_norm
from layerzoo.ops.latent_attention import latent_attention
from layerzoo.ops.masks import zero_padding
from layerzoo.ops.norms import normalized
from layerzoo.ops.positions import rotate
from layerzoo.ops.steps import valid_first


@keras.saving.register_keras_serializable(package="layerzoo")
@recipe
class MultiHeadLatentAttention(layers.Layer):
    r"""Multi-head latent attention (MLA, DeepSeek): one short latent per step yields all keys and values.

    $$
    y_t = W_O \Big[ \sum_{s \in S(t)} p^{(n)}_{ts}\, v^{(n)}_s \Big]_n, \qquad
    p^{(n)}_{ts} = \operatorname*{softmax}_{s \in S(t)}
        \frac{\langle q^{(n)}_t,\, k^{(n)}_s \rangle
        + \langle R_t\, \hat q^{(n)}_t,\, R_s\, \hat k_s \rangle}{\sqrt{h + r}}
    $$

    $$
    \big[ k^{(n)}_s, v^{(n)}_s \big]_n = W_{KV}\, \operatorname{RMSNorm}(c_s), \qquad
    \big[ c_s, \hat k_s \big] = W_C\, x_s, \qquad
    \big[ q^{(n)}_t, \hat q^{(n)}_t \big]_n = W_Q\, x_t
    $$

    $c_s$ is the latent of step $s$, of width `latent_dim`. $k$, $v$ and $q$ have width $h$ and carry no
    position. $\hat k$, which all heads share, and $\hat q$ have width $r$, which is `rope_dim`. $R$ rotates
    them by their position (RoPE). With `query_latent_dim`, $W_Q$ is applied to a separate latent,
    $\operatorname{RMSNorm}(W_{CQ}\, x_t)$, instead of $x_t$. $S(t)$ is the set of steps that are not padding
    and, with `causal`, not later than $t$. $[\cdot]_n$ concatenates the heads.

    Use when:
        - a model generates step by step, and its state should be small. It keeps only $c_s$ and
          $R_s \hat k_s$ of step $s$: `latent_dim + rope_dim` numbers, however many heads there are.

    Avoid when:
        - nothing is generated step by step: `SelfAttention` does less work.

    Args:
        num_heads: Positive integer. Number of heads.
        latent_dim: Positive integer. Width of the latent that yields keys and values.
        query_latent_dim: Positive integer. Width of a separate latent for the queries. Defaults to None:
            queries are computed from the inputs.
        head_dim: Positive integer. Width of each value, and of the non-rotary part of each query and key.
            Defaults to the input width divided by `num_heads`.
        rope_dim: Positive even integer. Width of the rotary part of each query and key. Defaults to half the
            width of a head.
        causal: Boolean. Whether each step attends only to itself and to earlier steps. Defaults to False.
        dropout: Float between 0 and 1. Fraction of attention scores to drop during training. Defaults to 0.
        use_bias: Boolean. Whether the projections have a bias. Defaults to True.
        kernel_initializer: Initializer for the kernels of the projections. Defaults to `"glorot_uniform"`.
        seed: Integer. Random seed for the dropout. Defaults to None.
        **kwargs: Standard Keras layer arguments: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: The sequence.
        mask: Boolean tensor of shape `(batch, time)`, false at padding. Defaults to the mask that the inputs
            carry, if any.
        return_attention_scores: Boolean. Whether to return `(outputs, scores)` instead of `outputs`.
        training: Boolean. Whether to apply dropout to the scores.
        initial_state: State to continue from, as an earlier call or `get_initial_state` returned it. Defaults
            to None: a sequence starts.
        inputs_mask: The name by which Keras passes `mask` when there is an `initial_state`.
        return_state: Boolean. Whether to return `(outputs, state)` instead of `outputs`.

    Input shape:
        `(batch, time, width)`. `batch` and `time` may be unknown.

    Output shape:
        Same as the input. The scores have shape `(batch, num_heads, time, time)`.

    Masking:
        The mask is passed on. No step attends to padding, even if the padding holds NaN. Outputs at padded
        steps are zero.

    Raises:
        ValueError: if a size is not a positive integer, `rope_dim` is odd, `dropout` is not between 0 and 1,
            the width is unknown, `num_heads` does not divide it and `head_dim` is not given, or the width of
            a head is not a multiple of 4 and `rope_dim` is not given.
        ValueError: if a mask has another shape than stated, or other values than booleans, 0 and 1.
        ValueError: if `initial_state` is not a state of this layer for as many samples, or has no room for
            the inputs; if a state is wanted without `causal`, or beside the scores.

    Example:
        ```python
        import keras
        from layerzoo import MultiHeadLatentAttention

        model = keras.Sequential([
            keras.Input((None, 16)),
            MultiHeadLatentAttention(4, latent_dim=6, rope_dim=2, causal=True),
        ])
        print(model.output_shape)
        #> (None, None, 16)
        ```

    Reference:
        [DeepSeek-V2](https://arxiv.org/abs/2405.04434). The latents are normalised with an epsilon of 1e-6,
        as in DeepSeek's code and in fla. From a state, the latents serve as keys and values, and are not
        projected again. Rotary feature `i` is paired with `i + rope_dim / 2`, as in fla. DeepSeek's
        checkpoints pair `2 i` with `2 i + 1`, and their projections have no bias.
    """

    def __init__(
        self,
        num_heads: int,
        latent_dim: int,
        query_latent_dim: int | None = None,
        head_dim: int | None = None,
        rope_dim: int | None = None,
        causal: bool = False,
        dropout: float = 0.0,
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)
        self.num_heads, _, self.head_dim = valid_heads(num_heads, head_dim=head_dim)
        self.latent_dim = positive_int(latent_dim=latent_dim)
        self.query_latent_dim = optional_positive_int(query_latent_dim=query_latent_dim)
        self.rope_dim = optional_positive_int(rope_dim=rope_dim)
        if (rope_dim or 0) % 2:
            raise ValueError(f"`rope_dim` must be even. Received: rope_dim={rope_dim}")
        self.causal = boolean(causal=causal)
        self.dropout = probability(dropout=dropout)
        self.use_bias = boolean(use_bias=use_bias)
        self.kernel_initializer = initializer(kernel_initializer=kernel_initializer)
        self.seed = optional_seed(seed=seed)
        self.supports_masking = True
        self.input_spec = layers.InputSpec(ndim=3)

    def build(self, input_shape):
        width = known_width(input_shape)
        n, h = self.num_heads, head_width(self.num_heads, self.head_dim, input_shape)
        r = self.rope_dim or h // 2
        if r % 2 or r == 0:
            raise ValueError(
                "The width of a head must be a multiple of 4 unless `rope_dim` is given. "
                f"Received: head_dim={self.head_dim}, num_heads={n}, input_shape={tuple(input_shape)}"
            )
        time = input_shape[:-1]
        self.project_latent = dense(self, self.latent_dim + r, input_shape, "latent")
        self.project_key_value = dense(self, n * 2 * h, (*time, self.latent_dim), "key_value")
        self.latent_norm = rms_norm(self, (*time, self.latent_dim), "latent_norm")
        query_width = self.query_latent_dim or width
        if self.query_latent_dim:
            self.project_query_latent = dense(self, query_width, input_shape, "query_latent")
            self.query_latent_norm = rms_norm(self, (*time, query_width), "query_latent_norm")
        self.project_query = dense(self, n * (h + r), (*time, query_width), "query")
        self.project_out = dense(self, width, (*time, n * h), "output")
        if self.dropout:
            self.seed_generator = keras.random.SeedGenerator(self.seed)
        self.heads = (n, h, r)
        self.input_spec = layers.InputSpec(ndim=3, axes={-1: width})

    def call(
        self,
        inputs,
        mask=None,
        return_attention_scores=False,
        training=None,
        initial_state=None,
        inputs_mask=None,
        return_state=False,
    ):
        mask = mask_of_inputs(mask, inputs_mask, inputs.shape[:2])
        state = started(self, inputs, initial_state, return_state, return_attention_scores)
        inputs, mask, restored = valid_first(inputs, mask, state)
        b, t, _ = ops.shape(inputs)
        n, h, r = self.heads
        x = zero_padding(ops.cast(inputs, self.compute_dtype), mask)
        together = self.project_latent(x)
        # by slices: the sizes of a split are unknown to PyTorch's exporter
        latent, turned_key = together[..., : self.latent_dim], together[..., self.latent_dim :]
        latent = normalized(self.latent_norm, latent)
        if self.query_latent_dim:
            x = normalized(self.query_latent_norm, self.project_query_latent(x))
        queries = ops.reshape(self.project_query(x), (b, t, n, h + r))
        query, turned_query = queries[..., :h], queries[..., h:]

        place = state and state["place"]
        turned_query = self._turn(turned_query, place)
        turned_key = self._turn(ops.expand_dims(turned_key, 2), place)
        queries, latents = (query, turned_query), (latent, turned_key)
        attended, scores_or_state = latent_attention(
            queries,
            latents,
            self.project_key_value,
            mask,
            state,
            return_attention_scores,
            causal=self.causal,
            dropout=drawn_dropout(self, training),
        )
        outputs = zero_padding(self.project_out(ops.reshape(attended, (b, t, n * h))), mask)
        outputs = restored(outputs)
        return (outputs, scores_or_state) if return_attention_scores or return_state else outputs

    def get_initial_state(self, batch_size, length=None):
        """Return the state at the start. Each of `length` steps takes `latent_dim + rope_dim` numbers."""
        return first_state(self, batch_size, length)

    def state_tensors(self, batch_size, length):
        """The shape and the dtype of each tensor of a state. One slot takes what need not be kept."""
        slots = None if length is None else length + 1
        latent = (batch_size, slots, self.latent_dim + self.heads[2])
        return dict(latent=(latent, self.compute_dtype), place=((batch_size,), "int32"))

    def compute_output_shape(self, input_shape):
        return input_shape

    def compute_output_spec(self, inputs, mask=None, return_attention_scores=False, **given):
        b, t, _ = inputs.shape
        scores = (b, self.num_heads, t, t)
        outputs = attention_spec(self, inputs.shape, scores, return_attention_scores)
        return spec_with_state(self, outputs, inputs, mask, return_attention_scores, **given)

    def get_config(self):
        config = super().get_config()
        config.update(
            num_heads=self.num_heads,
            latent_dim=self.latent_dim,
            query_latent_dim=self.query_latent_dim,
            head_dim=self.head_dim,
            rope_dim=self.rope_dim,
            causal=self.causal,
            dropout=self.dropout,
            use_bias=self.use_bias,
            kernel_initializer=initializers.serialize(self.kernel_initializer),
            seed=self.seed,
        )
        return config

    def _turn(self, x, place=None):
        steps = ops.arange(0, ops.shape(x)[1])
        steps = steps if place is None else ops.expand_dims(place, 1) + steps
        return rotate(x, steps, 10_000.0, "half", 1.0)
