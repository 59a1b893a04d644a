"""The card of `HyperConnections`: what it claims, and the peer it is measured against."""

import keras
from keras import layers

from layerzoo.attention.self_attention import SelfAttention
from layerzoo.card import Card, Peer, Traits
from layerzoo.residual.cards._wrapped import attends
from layerzoo.residual.hyper_connections import HyperConnections


def by_hand(sizes):
    """A plain residual connection, wired by hand in a Functional model."""
    inputs = keras.Input((sizes["t"], sizes["d"]))
    branch = keras.layers.Dense(sizes["d"], activation="relu")(inputs)
    return keras.Model(inputs, keras.layers.Add()([inputs, branch]))


PEER = Peer(
    instead="Dense and Add in a Functional model: one stream",
    work=[dict(b=8, t=128, d=256)],
    layer=lambda sizes: HyperConnections(
        keras.layers.Dense(sizes["d"], activation="relu"), 4, enter=True, leave=True
    ),
    peer=by_hand,
)


CARD = Card(
    layer=HyperConnections,
    inputs=lambda config: "b t d" if config["enter"] else "b t n d",
    configs=lambda pick: dict(
        layer=pick(
            [
                lambda: layers.Dense(6, activation="tanh"),
                lambda: SelfAttention(2),
                lambda: [layers.Dense(8, activation="tanh"), layers.Dense(6)],
            ]
        )(),
        num_streams=pick([2, 3]),
        constrained=pick([True, False]),
        enter=pick([True, False]),
        leave=pick([False, True]),
        epsilon=pick([1e-6, 0.1]),
    ),
    dims=lambda pick, config: dict(n=config["num_streams"], d=6),
    traits=Traits(
        masking="propagates",
        strict_masks=True,
        dynamic="b t",
        causal=lambda config: not attends(config),
        reach=lambda config: None if attends(config) else (0, 0),
    ),
    errors=[
        dict(layer="dense", num_streams=2),
        dict(layer=[], num_streams=2),
        dict(layer=layers.Dense(6), num_streams=1),
        dict(layer=layers.Dense(6), num_streams=2.5),
        dict(layer=layers.Dense(6), num_streams=2, enter="first"),
    ],
    paper="arXiv:2512.24880",
    year=2025,
    paper_title="mHC: Manifold-Constrained Hyper-Connections",
    paper_authors="Zhenda Xie and others",
    tags=["wrapper", "transformer"],
    aliases=[
        "HC",
        "mHC",
        "hyper-connections",
        "manifold-constrained hyper-connections",
        "hyper_connections.HyperConnections",
    ],
    peer=PEER,
    boxes={
        "flat_and_normalized": "norm",
        "mixing": "mixing",
        "project": "W",
        "scales": "s",
        "offsets": "d",
    },
)
