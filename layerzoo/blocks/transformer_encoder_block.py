import keras
from keras import initializers, layers

from layerzoo.attention.self_attention import SelfAttention
from layerzoo.building.arguments import InitializerLike
from layerzoo.building.recipe import recipe
from layerzoo.building.sublayers import serialized
from layerzoo.building.transformer import (
    attention_branch,
    keep_parts,
    keep_settings,
    mlp_branch,
    parts_may_fit,
    shortcut,
)
from layerzoo.ops.channels import known_channels
from layerzoo.ops.masks import fitting_mask
from layerzoo.residual.residual import Residual


@keras.saving.register_keras_serializable(package="layerzoo")
@recipe
class TransformerEncoderBlock(layers.Layer):
    r"""Transformer encoder block: self-attention and a feed-forward network, each with a shortcut.

    $$
    \begin{aligned}
    \text{post-norm:} \quad & z = N_1(x + A(x)), && y = N_2(z + F(z)) \\
    \text{pre-norm:} \quad & z = x + A(N_1(x)), && y = z + F(N_2(z))
    \end{aligned}
    $$

    $A$ is self-attention. $F(z) = W_2\, \sigma(W_1 z + b_1) + b_2$ is the feed-forward network, applied to
    each step. $N_1$ and $N_2$ are layer normalisations, and $\sigma$ is `activation`. `norm_first` selects
    pre-norm.

    Use when:
        - you stack blocks that map a sequence to a sequence: an encoder of text, of image patches, of events.
        - the attention or the feed-forward network should be another layer: hand it in as `attention` or
          `mlp`.

    Avoid when:
        - steps must not see later steps, or read from a second sequence: use `TransformerDecoderBlock`.

    Args:
        num_heads: Positive integer. Number of attention heads. Leave it None if `attention` is given.
        hidden_dim: Positive integer. Width of the hidden layer of the feed-forward network. Leave it None if
            `mlp` is given.
        norm_first: Boolean. Whether the norms come before the branches (pre-norm) or after the sums
            (post-norm). Deep stacks train more easily with pre-norm. Defaults to False, as in the paper.
        activation: Name, function or layer. Activation of the feed-forward network. `"gelu"` is the exact
            GELU, not the tanh approximation. Defaults to `"relu"`.
        dropout: Float between 0 and 1. Fraction to drop during training of the attention scores, the hidden
            features, and the outputs of both branches. Defaults to 0.
        drop_path: Float between 0 and 1. Fraction of samples whose branch is dropped during training.
            Defaults to 0.
        attention: Layer to take in place of the self-attention, such as a `SelfAttention` with rotary
            positions. It maps `(batch, time, width)` to the same shape. Defaults to None.
        mlp: Layer to take in place of the feed-forward network, such as a `GatedMLP`. It maps
            `(batch, time, width)` to the same shape. Defaults to None.
        epsilon: Positive float. Added to the variance in the norms. Defaults to 1e-5.
        use_bias: Boolean. Whether the projections have a bias. Defaults to True.
        kernel_initializer: Initializer for the kernels of the projections. Defaults to `"glorot_uniform"`.
        seed: Integer. Random seed for `dropout` and `drop_path`. Defaults to None.
        **kwargs: Standard Keras layer arguments: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: The sequence.
        mask: Boolean tensor of shape `(batch, time)`, false at padding. Defaults to the mask that the inputs
            carry, if any.
        training: Boolean. Whether to drop features and branches.

    Input shape:
        `(batch, time, width)`. `batch` and `time` may be unknown.

    Output shape:
        Same as the input.

    Masking:
        The mask is passed on. No step attends to padding. Outputs at padded steps are meaningless.

    Raises:
        ValueError: if `num_heads` is not a positive integer that divides the width, or `hidden_dim` is not a
            positive integer; if one of them is given beside the layer that takes its place; if a rate is not
            between 0 and 1, the width is unknown, or `attention` or `mlp` changes the shape.
        ValueError: if a mask has another shape than stated, or other values than booleans, 0 and 1.
        TypeError: if `attention` or `mlp` is not a Keras layer.

    Example:
        ```python
        import keras
        from layerzoo import GatedMLP, RotaryEmbedding, SelfAttention, TransformerEncoderBlock

        modern = SelfAttention(4, num_key_value_heads=2, position=RotaryEmbedding())
        model = keras.Sequential([
            keras.Input((None, 16)),
            TransformerEncoderBlock(4, 64),
            TransformerEncoderBlock(attention=modern, mlp=GatedMLP(32), norm_first=True),
        ])
        print(model.output_shape)
        #> (None, None, 16)
        ```

    Reference:
        [Attention Is All You Need](https://arxiv.org/abs/1706.03762). Pre-norm is from
        [On Layer Normalization in the Transformer Architecture](https://arxiv.org/abs/2002.04745). Dropout is
        where `torch.nn.TransformerEncoderLayer` has it. The paper does not drop hidden features. A stack of
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
        super().__init__(**kwargs)
        keep_parts(self, num_heads, hidden_dim, attention, mlp)
        if attention is not None and num_heads is not None:
            raise ValueError(
                "`num_heads` must be None if `attention` is given, which has heads of its own. "
                f"Received: num_heads={num_heads!r}, attention={attention}"
            )
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

    def build(self, input_shape):
        width = known_channels(input_shape, "channels_last")
        parts_may_fit(self, input_shape)
        attention = attention_branch(self, SelfAttention, input_shape)
        mlp = mlp_branch(self, input_shape)
        self.attend = Residual(
            attention, **shortcut(self, 4), dtype=self.dtype_policy, name="attend"
        )
        self.feed = Residual(mlp, **shortcut(self, 5), dtype=self.dtype_policy, name="feed")
        self.attend.build(input_shape)
        self.feed.build(input_shape)
        self.input_spec = layers.InputSpec(ndim=3, axes={-1: width})

    def call(self, inputs, mask=None, training=None):
        attended = self.attend(inputs, mask=mask, training=training)
        return self.feed(attended, mask=mask, training=training)

    def compute_output_shape(self, input_shape):
        return input_shape

    def compute_output_spec(self, inputs, mask=None, training=None):
        fitting_mask(mask, inputs.shape[:2])
        return keras.KerasTensor(inputs.shape, dtype=self.compute_dtype)

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
