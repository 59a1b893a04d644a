"""The card of `GatedMLP`: what it claims, and the peer it is measured against."""

import keras

from layerzoo.card import Card, Peer, Traits
from layerzoo.gated.gated_mlp import GatedMLP

PEER = Peer(
    instead="Dense, SiLU, Dense with 3/2 of the hidden width",
    work=[dict(b=8, t=128, d=256), dict(b=4, t=512, d=256)],
    layer=lambda sizes: GatedMLP(2 * sizes["d"]),
    peer=lambda sizes: keras.Sequential(
        [keras.layers.Dense(3 * sizes["d"], activation="silu"), keras.layers.Dense(sizes["d"])]
    ),
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
