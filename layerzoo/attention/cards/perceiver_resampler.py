"""The card of `PerceiverResampler`: what it claims, and the peer it is measured against."""

import keras

from layerzoo.attention.perceiver_resampler import PerceiverResampler
from layerzoo.card import Card, Peer, Traits
from layerzoo.claims import steps_reversed, unchanged


@keras.saving.register_keras_serializable(package="layerzoo.peers")
class KerasResampler(keras.layers.Layer):
    """64 latents that read the sequence twice."""

    def build(self, input_shape):
        """Make the latents and the parts of both readings."""
        width = input_shape[-1]
        read = (None, None, width)
        self.latents = self.add_weight(shape=(64, width), name="latents")
        self.norms = [keras.layers.LayerNormalization() for _ in range(7)]
        self.attentions = [keras.layers.MultiHeadAttention(8, width // 8) for _ in range(2)]
        self.wide = [keras.layers.Dense(4 * width, activation="gelu") for _ in range(2)]
        self.narrow = [keras.layers.Dense(width) for _ in range(2)]
        for layer in [*self.norms, *self.wide]:
            layer.build(read)
        for layer in self.attentions:
            layer.build(read, read)
        for layer in self.narrow:
            layer.build((None, None, 4 * width))

    def call(self, inputs):
        """Attend and apply the feed-forward network, twice."""
        batch = keras.ops.shape(inputs)[0]
        z = keras.ops.broadcast_to(self.latents, (batch, *self.latents.shape))
        for i in range(2):
            query = self.norms[3 * i](z)
            read = keras.ops.concatenate([self.norms[3 * i + 1](inputs), query], axis=1)
            z = z + self.attentions[i](query, read)
            z = z + self.narrow[i](self.wide[i](self.norms[3 * i + 2](z)))
        return self.norms[6](z)


PEER = Peer(
    instead="keras.layers.MultiHeadAttention, norms and dense layers by hand",
    work=[dict(b=4, t=256, d=256), dict(b=2, t=2048, d=256)],
    layer=lambda sizes: PerceiverResampler(64, num_heads=8, depth=2),
    peer=lambda sizes: KerasResampler(),
)

CARD = Card(
    layer=PerceiverResampler,
    inputs="b t d",
    configs=lambda pick: dict(
        num_latents=pick([2, 3]),
        num_heads=pick([2, 1, 3]),
        depth=pick([1, 2]),
        head_dim=pick([None, 4]),
        hidden_dim=pick([None, 5]),
        use_bias=pick([True, False]),
        kernel_initializer=pick(["glorot_uniform", "he_normal"]),
        epsilon=pick([1e-5, 1e-2]),
    ),
    dims=lambda pick, config: dict(d=pick([4, 2]) * config["num_heads"]),
    traits=Traits(
        masking="consumes",
        strict_masks=True,
        dynamic="b t",
        equivariant={"steps reversed": (steps_reversed, unchanged)},
    ),
    errors=[
        dict(num_latents=0, num_heads=2),
        dict(num_latents=2, num_heads=0),
        dict(num_latents=2, num_heads=2, depth=0),
        dict(num_latents=2, num_heads=2, head_dim=1.5),
        dict(num_latents=2, num_heads=2, hidden_dim=-1),
        dict(num_latents=2, num_heads=2, epsilon=0),
    ],
    paper="arXiv:2204.14198",
    year=2022,
    paper_title="Flamingo: a Visual Language Model for Few-Shot Learning",
    paper_authors=(
        "Jean-Baptiste Alayrac and Jeff Donahue and Pauline Luc and Antoine Miech and Iain Barr "
        "and Yana Hasson and Karel Lenc and Arthur Mensch and Katie Millican and Malcolm "
        "Reynolds and Roman Ring and Eliza Rutherford and Serkan Cabi and Tengda Han and Zhitao "
        "Gong and Sina Samangooei and Marianne Monteiro and Jacob Menick and Sebastian Borgeaud "
        "and Andrew Brock and Aida Nematzadeh and Sahand Sharifzadeh and Mikolaj Binkowski and "
        "Ricardo Barreira and Oriol Vinyals and Andrew Zisserman and Karen Simonyan"
    ),
    tags=["sequence", "pooling"],
    aliases=["Flamingo resampler", "Perceiver", "resampler", "flamingo_pytorch.PerceiverResampler"],
    peer=PEER,
    boxes={
        "input_norm": "LayerNorm",
        "latent_norm": "LayerNorm",
        "hidden_norm": "LayerNorm",
        "output_norm": "LayerNorm",
    },
)
