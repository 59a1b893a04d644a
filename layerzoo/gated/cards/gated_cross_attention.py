"""The card of `GatedCrossAttention`: what it claims, and the peer it is measured against."""

import keras
from keras import layers, ops

from layerzoo.card import Card, Peer, Traits
from layerzoo.claims import steps_reversed
from layerzoo.gated.gated_cross_attention import GatedCrossAttention


@keras.saving.register_keras_serializable(package="layerzoo.peers")
class Gate(layers.Layer):
    """Multiplies by the hyperbolic tangent of one number that starts at 0."""

    def build(self, input_shape):
        """Make the number."""
        self.scale = self.add_weight((), "zeros", name="scale")

    def call(self, inputs):
        """Multiply."""
        return inputs * ops.tanh(self.scale)


def block_by_hand(sizes):
    """The same block with `MultiHeadAttention`, in a Functional model, with its input as the context."""
    d = sizes["d"]
    x = inputs = keras.Input((None, d))
    attention = layers.MultiHeadAttention(8, d // 8)(layers.LayerNormalization()(x), x)
    x = layers.Add()([x, Gate()(attention)])
    hidden = layers.Dense(4 * d, activation="gelu")(layers.LayerNormalization()(x))
    return keras.Model(inputs, layers.Add()([x, Gate()(layers.Dense(d)(hidden))]))


PEER = Peer(
    instead="MultiHeadAttention, Dense, LayerNormalization and a gate of one's own in a Functional model",
    work=[
        dict(b=8, t=128, d=256),
        dict(b=4, t=512, d=256),
        dict(b=4, t=512, d=256, jit=True),
    ],
    long=[dict(b=2, t=2048, d=512)],
    layer=lambda sizes: GatedCrossAttention(8),
    peer=block_by_hand,
)

CARD = Card(
    layer=GatedCrossAttention,
    inputs={"inputs": "b t d", "context": "b s c"},
    configs=lambda pick: dict(
        num_key_value_heads=(g := pick([None, 1, 2])),
        num_heads=(g or 1) * pick([2, 1, 3]),
        head_dim=pick([None, 4]),
        hidden_dim=pick([None, 5]),
        qk_norm=pick([False, True]),
        activation=pick(["gelu", "silu"]),
        dropout=pick([0.0, 0.4]),
        epsilon=pick([1e-5, 1e-2]),
        use_bias=pick([True, False]),
        kernel_initializer=pick(["glorot_uniform", "he_normal"]),
        seed=pick([None, 3]),
    ),
    dims=lambda pick, config: dict(d=pick([4, 2]) * config["num_heads"]),
    traits=Traits(
        masking={"inputs": "propagates", "context": "consumes"},
        strict_masks=True,
        dynamic="b t s",
        causal=True,
        continues=True,
        reach=(0, 0),
        equivariant={"steps reversed": (steps_reversed, steps_reversed)},
        identity_at_start=True,
        stochastic=lambda config: config["dropout"] > 0,
    ),
    errors=[
        dict(num_heads=0),
        dict(num_heads=4, num_key_value_heads=3),
        dict(num_heads=2, head_dim=-1),
        dict(num_heads=2, hidden_dim=2.5),
        dict(num_heads=2, dropout=-0.1),
        dict(num_heads=2, epsilon=0),
        dict(num_heads=2, qk_norm="yes"),
    ],
    paper="arXiv:2204.14198",
    year=2022,
    paper_title="Flamingo: a Visual Language Model for Few-Shot Learning",
    paper_authors=(
        "Jean-Baptiste Alayrac and Jeff Donahue and Pauline Luc and Antoine Miech and Iain Barr and "
        "Yana Hasson and Karel Lenc and Arthur Mensch and Katie Millican and Malcolm Reynolds and "
        "Roman Ring and Eliza Rutherford and Serkan Cabi and Tengda Han and Zhitao Gong and "
        "Sina Samangooei and Marianne Monteiro and Jacob Menick and Sebastian Borgeaud and "
        "Andrew Brock and Aida Nematzadeh and Sahand Sharifzadeh and Mikolaj Binkowski and "
        "Ricardo Barreira and Oriol Vinyals and Andrew Zisserman and Karen Simonyan"
    ),
    tags=["sequence", "transformer"],
    aliases=[
        "Flamingo",
        "XATTN-DENSE",
        "tanh gating",
        "multimodal adapter",
        "open_flamingo.src.helpers.GatedCrossAttentionBlock",
        "torchtune.modules.TanhGate",
    ],
    peer=PEER,
    boxes={
        "attention": "cross-attention",
        "attention_norm": "norm",
        "expand_norm": "norm",
    },
)
