import keras
from keras import initializers, layers

from layerzoo.attention.cross_attention import CrossAttention
from layerzoo.attention.self_attention import SelfAttention
from layerzoo.building.arguments import InitializerLike
from layerzoo.building.recipe import recipe
from layerzoo.building.seeds import seed_of_part
from layerzoo.building.states import parts_with_states, with_state
from layerzoo.building.sublayers import dropping, layer_norm, serialized
from layerzoo.building.transformer import (
    attention_branch,
    attention_of,
    fitting_context,
    keep_parts,
    keep_settings,
    mlp_branch,
    parts_may_fit,
    shortcut,
)
from layerzoo.ops.channels import known_channels
from layerzoo.ops.masks import with_masks
from layerzoo.ops.norms import normalized
from layerzoo.residual.drop_path import DropPath
from layerzoo.residual.residual import Residual


@keras.saving.register_keras_serializable(package="layerzoo")
@recipe
class TransformerDecoderBlock(layers.Layer):
    r"""Transformer decoder block: causal self-attention, cross-attention to a context if any, and an MLP.

    $$
    \begin{aligned}
    \text{post-norm:} \quad & z = N_1(x + A(x)), && u = N_2(z + C(z, c)), && y = N_3(u + F(u)) \\
    \text{pre-norm:} \quad & z = x + A(N_1(x)), && u = z + C(N_2(z), c), && y = u + F(N_3(u))
    \end{aligned}
    $$

    $A$ is causal self-attention. $C$ is cross-attention to the context $c$. Without a context, there is no
    $C$, and $u = z$. $F(u) = W_2\, \sigma(W_1 u + b_1) + b_2$ is the feed-forward network, applied to each
    step. $N_1$ to $N_3$ are layer normalisations, and $\sigma$ is `activation`. `norm_first` selects
    pre-norm.

    Use when:
        - a language model predicts the next step: stack these blocks in a Sequential model.
        - a sequence is generated from another one, such as a translation: pass the encoder's output as
          `context`.

    Avoid when:
        - steps may see later steps: use `TransformerEncoderBlock`.
        - steps are generated one at a time and speed matters: this block keeps no keys and values between
          calls.

    Args:
        num_heads: Positive integer. Number of heads of the self-attention and of the cross-attention. May be
            None if `attention` is given and there is no context.
        hidden_dim: Positive integer. Width of the hidden layer of the feed-forward network. Leave it None if
            `mlp` is given.
        norm_first: Boolean. Whether the norms come before the branches (pre-norm) or after the sums
            (post-norm). Deep stacks train more easily with pre-norm. Defaults to False, as in the paper.
        activation: Name, function or layer. Activation of the feed-forward network. `"gelu"` is the exact
            GELU, not the tanh approximation. Defaults to `"relu"`.
        dropout: Float between 0 and 1. Fraction to drop during training of the attention scores, the hidden
            features, and the outputs of all branches. Defaults to 0.
        drop_path: Float between 0 and 1. Fraction of samples whose branch is dropped during training.
            Defaults to 0.
        attention: Layer to take in place of the causal self-attention. It maps `(batch, time, width)` to the
            same shape, and has to be causal itself, as in `SelfAttention(4, causal=True)`. Defaults to None.
        mlp: Layer to take in place of the feed-forward network, such as a `GatedMLP`. It maps
            `(batch, time, width)` to the same shape. Defaults to None.
        epsilon: Positive float. Added to the variance in the norms. Defaults to 1e-5.
        use_bias: Boolean. Whether the projections have a bias. Defaults to True.
        kernel_initializer: Initializer for the kernels of the projections. Defaults to `"glorot_uniform"`.
        seed: Integer. Random seed for `dropout` and `drop_path`. Defaults to None.
        **kwargs: Standard Keras layer arguments: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: The sequence.
        context: The sequence that the cross-attention reads from. Whether there is one is fixed by the first
            call. Defaults to None: the block is one of a decoder without an encoder.
        context_mask: Boolean tensor of shape `(batch, context time)`, false at padding. Defaults to the mask
            that the context carries, if any.
        mask: Boolean tensor of shape `(batch, time)`, false at padding. Defaults to the mask that the inputs
            carry, if any.
        inputs_mask: The name by which Keras passes `mask` when there is a context or an `initial_state`.
        training: Boolean. Whether to drop features and branches.
        initial_state: State to continue from, as an earlier call or `get_initial_state` returned it. It keeps
            the projected context, which then need not be passed again. Defaults to None: a sequence starts.
        return_state: Boolean. Whether to return `(outputs, state)` instead of `outputs`.

    Input shape:
        `(batch, time, width)` for the inputs and `(batch, context time, context width)` for the context.
        `batch` and both times may be unknown. The first call fixes the two widths.

    Output shape:
        Same as the inputs.

    Masking:
        The mask of the inputs is passed on, and the mask of the context is consumed. No step attends to
        padding. Outputs at padded steps are meaningless.

    Raises:
        ValueError: if `num_heads` is not a positive integer that divides the width, or `hidden_dim` is not a
            positive integer; if `hidden_dim` is given beside `mlp`; if a rate is not between 0 and 1, a width
            is unknown, or `attention` or `mlp` changes the shape.
        ValueError: if a context is passed and the first call had none, or the other way round, if it has
            another number of samples, or a `context_mask` is passed without a `context`.
        ValueError: if a mask has another shape than stated, or other values than booleans, 0 and 1.
        ValueError: if `initial_state` is not a state of this block for as many samples, or has no room for
            the inputs; if `attention` or `mlp` needs a state and cannot continue from one.
        TypeError: if `attention` or `mlp` is not a Keras layer.

    Example:
        ```python
        import keras
        from layerzoo import TransformerDecoderBlock

        language_model = keras.Sequential([
            keras.Input((None,)),
            keras.layers.Embedding(1000, 16),
            TransformerDecoderBlock(4, 64, norm_first=True),
            TransformerDecoderBlock(4, 64, norm_first=True),
            keras.layers.LayerNormalization(),
            keras.layers.Dense(1000),
        ])
        print(language_model.output_shape)
        #> (None, None, 1000)

        target, source = keras.Input((None, 16)), keras.Input((None, 32))
        outputs = TransformerDecoderBlock(4, 64)(target, context=source)
        print(outputs.shape)
        #> (None, None, 16)
        ```

    Reference:
        [Attention Is All You Need](https://arxiv.org/abs/1706.03762). Pre-norm is from
        [On Layer Normalization in the Transformer Architecture](https://arxiv.org/abs/2002.04745). Dropout is
        where `torch.nn.TransformerDecoderLayer` has it. The paper does not drop hidden features. A stack of
        pre-norm blocks needs one more norm at its end.
    """

    def __init__(
        self,
        num_heads: int | None = None,
        hidden_dim: int | None = None,
        norm_first: bool = False,
        activation="relu",
        dropout: float = 0.0,
        drop_path: float = 0.0,
        attention: layers.Layer | None = None,
        mlp: layers.Layer | None = None,
        epsilon: float = 1e-5,
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)
        keep_parts(self, num_heads, hidden_dim, attention, mlp)
        keep_settings(
            self,
            norm_first,
            activation,
            dropout,
            drop_path,
            epsilon,
            use_bias,
            kernel_initializer,
            seed,
        )
        self.supports_masking = True
        self.input_spec = layers.InputSpec(ndim=3)

    def build(self, inputs_shape, context_shape=None):
        width = known_channels(inputs_shape, "channels_last")
        parts_may_fit(self, inputs_shape)
        self.cross = None
        if context_shape is not None:
            cross = attention_of(self, CrossAttention, inputs_shape, "cross", 6)
            cross.build(inputs_shape, context_shape)
            self.cross = cross
            self.cross_norm = layer_norm(self, inputs_shape, "cross_norm")
            self.cross_dropout = dropping(self, 7)
            seed = seed_of_part(self.seed, 8)
            self.cross_path = DropPath(
                self.drop_path, seed, dtype=self.dtype_policy, name="cross_path"
            )
            self.cross_path.build(inputs_shape)
        attention = attention_branch(self, SelfAttention, inputs_shape, causal=True)
        mlp = mlp_branch(self, inputs_shape)
        self.attend = Residual(
            attention, **shortcut(self, 4), dtype=self.dtype_policy, name="attend"
        )
        self.feed = Residual(mlp, **shortcut(self, 5), dtype=self.dtype_policy, name="feed")
        self.attend.build(inputs_shape)
        self.feed.build(inputs_shape)
        self.input_spec = layers.InputSpec(ndim=3, axes={-1: width})

    def call(
        self,
        inputs,
        context=None,
        context_mask=None,
        mask=None,
        inputs_mask=None,
        training=None,
        initial_state=None,
        return_state=False,
    ):
        fitting_context(context, self.cross, initial_state)
        run, states = parts_with_states(self, self._parts(), initial_state, return_state)
        _, masked, mask = with_masks(inputs, context, context_mask, mask, inputs_mask)
        x = run("attend", inputs, mask=mask, training=training)
        if self.cross is not None:
            branch = normalized(self.cross_norm, x) if self.norm_first else x
            context_mask = None if context is None else masked
            branch = run("cross", branch, context=context, context_mask=context_mask, mask=mask)
            x = x + self.cross_path(self.cross_dropout(branch))
            x = x if self.norm_first else normalized(self.cross_norm, x)
        x = run("feed", x, mask=mask, training=training)
        return with_state(x, states, return_state)

    def get_initial_state(self, batch_size, length=None):
        """Return the state at the start: a dict of `attend`, `feed` and, with a context, `cross`.

        Args:
            batch_size: Integer. Number of samples.
            length: Positive integer. Number of steps that there is room for.
        """
        parts = {name: getattr(self, name) for name in self._parts()}
        return {name: part.get_initial_state(batch_size, length) for name, part in parts.items()}

    def compute_output_shape(self, inputs_shape, context_shape=None):
        return inputs_shape

    def compute_output_spec(
        self,
        inputs,
        context=None,
        *masks,
        training=None,
        initial_state=None,
        return_state=False,
        **kw,
    ):
        fitting_context(context, self.cross, initial_state)
        with_masks(inputs, context, *masks, **kw)
        outputs = keras.KerasTensor(inputs.shape, dtype=self.compute_dtype)
        states = {}
        for name in self._parts() if return_state else []:
            past = initial_state and initial_state[name]
            given = dict(context=context) if name == "cross" else {}
            _, states[name] = getattr(self, name).compute_output_spec(
                outputs, initial_state=past, return_state=True, **given
            )
        return with_state(outputs, states, return_state)

    def get_config(self):
        config = super().get_config()
        config.update(
            num_heads=self.num_heads,
            hidden_dim=self.hidden_dim,
            norm_first=self.norm_first,
            activation=serialized(self.activation),
            dropout=self.dropout,
            drop_path=self.drop_path,
            attention=serialized(self.attention),
            mlp=serialized(self.mlp),
            epsilon=self.epsilon,
            use_bias=self.use_bias,
            kernel_initializer=initializers.serialize(self.kernel_initializer),
            seed=self.seed,
        )
        return config

    @classmethod
    def from_config(cls, config):
        parts = {name: config.get(name) for name in ("attention", "mlp")}
        return super().from_config({**config, **keras.saving.deserialize_keras_object(parts)})

    def _parts(self):
        return ["attend", "feed"] + ["cross"] * (self.cross is not None)
