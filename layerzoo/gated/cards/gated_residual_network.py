"""The card of `GatedResidualNetwork`: what it claims, and the peer it is measured against."""

import keras
from keras import layers

from layerzoo.card import Card, Peer, Traits
from layerzoo.gated.gated_residual_network import GatedResidualNetwork


def network_by_hand(sizes):
    """The same network, wired by hand in a Functional model as papers copy it."""
    inputs = keras.Input((sizes["t"], sizes["d"]))
    hidden = layers.Dense(sizes["d"])(layers.Dense(sizes["d"], activation="elu")(inputs))
    gate = layers.Dense(sizes["d"], activation="sigmoid")(hidden)
    gated = layers.Multiply()([layers.Dense(sizes["d"])(hidden), gate])
    return keras.Model(inputs, layers.LayerNormalization()(layers.Add()([inputs, gated])))


PEER = Peer(
    instead="four Dense, Multiply, Add and LayerNormalization in a Functional model",
    work=[
        dict(b=64, t=48, d=64),
        dict(b=16, t=48, d=240),
        dict(b=16, t=48, d=240, jit=True),
    ],
    layer=lambda sizes: GatedResidualNetwork(sizes["d"]),
    peer=network_by_hand,
)


def of_each_step(config):
    """Whether the kit gives a context of each step."""
    return config["hidden_dim"] == 5


def with_context(config):
    """A series, and what is known of each sample or of each step."""
    return {"inputs": "b t d", "context": "b t c" if of_each_step(config) else "b c"}


CARD = Card(
    layer=GatedResidualNetwork,
    inputs=with_context,
    configs=lambda pick: dict(
        units=pick([6, 4]),
        hidden_dim=pick([None, 5, 3]),
        activation=pick(["elu", "silu"]),
        dropout=pick([0.0, 0.4]),
        epsilon=pick([1e-3, 1e-2]),
        kernel_initializer=pick(["glorot_uniform", "he_normal"]),
        seed=pick([None, 3]),
    ),
    dims=lambda pick, config: dict(d=pick([6, 5]), c=pick([3, 2])),
    traits=Traits(
        masking="propagates",
        dynamic="b t",
        causal=lambda config: None if of_each_step(config) else True,
        reach=lambda config: None if of_each_step(config) else (0, 0),
        stochastic=lambda config: config["dropout"] > 0,
    ),
    errors=[
        dict(units=0),
        dict(units=4, hidden_dim=-2),
        dict(units=4, dropout=2),
        dict(units=4, epsilon=0),
    ],
    paper="arXiv:1912.09363",
    year=2019,
    paper_title=(
        "Temporal Fusion Transformers for Interpretable Multi-horizon Time Series Forecasting"
    ),
    paper_authors="Bryan Lim and Sercan O. Arik and Nicolas Loeff and Tomas Pfister",
    tags=["sequence", "tabular", "forecasting"],
    aliases=[
        "GRN",
        "Temporal Fusion Transformer",
        "TFT",
        "gated skip connection",
        "pytorch_forecasting.models.temporal_fusion_transformer.sub_modules.GatedResidualNetwork",
    ],
    peer=PEER,
    boxes={"inputs": "in", "context": "in"},
)
