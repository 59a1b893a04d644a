"""The card of `GatedMLP`: what it claims, and the peer it is measured against."""

import keras

from layerzoo.card import Card, Peer, Traits
from layerzoo.gated.gated_mlp import GatedMLP


@keras.saving.register_keras_serializable(package="layerzoo.peers")
class ThreeDense(keras.layers.Layer):
    """The same from three `Dense` layers, as it is written by hand."""

    def build(self, input_shape):
        """Build gate, up and down."""
        width = input_shape[-1]
        self.gate = keras.layers.Dense(2 * width, activation="silu")
        self.up, self.down = keras.layers.Dense(2 * width), keras.layers.Dense(width)
        self.gate.build(input_shape)
        self.up.build(input_shape)
        self.down.build((*input_shape[:-1], 2 * width))

    def call(self, inputs):
        """Multiply the two branches."""
        return self.down(self.gate(inputs) * self.up(inputs))


PEER = Peer(
    instead="three Dense layers",
    work=[dict(b=4, t=512, d=256), dict(b=4, t=512, d=1024)],
    long=[dict(b=4, t=256, d=d, jit=jit) for d in (256, 512, 1024, 2048) for jit in (False, True)],
    layer=lambda sizes: GatedMLP(2 * sizes["d"]),
    peer=lambda sizes: ThreeDense(),
    operations=lambda b, t, d, **_: 3 * 2 * b * t * 3 * 2 * d * d,
)


CARD = Card(
    layer=GatedMLP,
    inputs="b t d",
    configs=lambda pick: dict(
        hidden_dim=pick([6, 3]),
        units=pick([None, 5]),
        activation=pick(["silu", "gelu", None]),
        dropout=pick([0.0, 0.4]),
        use_bias=pick([True, False]),
        kernel_initializer=pick(["glorot_uniform", "he_normal"]),
        seed=pick([None, 3]),
    ),
    traits=Traits(
        masking="propagates",
        dynamic="b t",
        causal=True,
        reach=(0, 0),
        stochastic=lambda config: config["dropout"] > 0,
    ),
    errors=[dict(hidden_dim=0), dict(hidden_dim=4, units=-2), dict(hidden_dim=4, dropout=2)],
    paper="arXiv:2002.05202",
    year=2020,
    paper_title="GLU Variants Improve Transformer",
    paper_authors="Noam Shazeer",
    tags=["transformer", "tabular"],
    aliases=[
        "SwiGLU",
        "GEGLU",
        "ReGLU",
        "gated feed-forward network",
        "timm.layers.SwiGLU",
        "timm.layers.SwiGLUPacked",
        "timm.layers.GluMlp",
        "torchtune.modules.FeedForward",
        "fla.modules.GatedMLP",
    ],
    peer=PEER,
)
