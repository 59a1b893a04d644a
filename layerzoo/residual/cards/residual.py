"""The card of `Residual`: what it claims, and the peer it is measured against."""

import keras
from keras import layers

from layerzoo.attention.self_attention import SelfAttention
from layerzoo.card import Card, Peer, Traits
from layerzoo.claims import weighed
from layerzoo.residual.cards._wrapped import attends, gate, goes_on
from layerzoo.residual.residual import Residual


def by_hand(sizes):
    """A pre-norm residual connection, wired by hand in a Functional model."""
    inputs = keras.Input((sizes["t"], sizes["d"]))
    x = keras.layers.LayerNormalization(epsilon=1e-5)(inputs)
    x = keras.layers.Dense(sizes["d"], activation="relu")(x)
    return keras.Model(inputs, keras.layers.Add()([inputs, x]))


PEER = Peer(
    instead="LayerNormalization, Dense and Add in a Functional model",
    work=[dict(b=8, t=128, d=256)],
    layer=lambda sizes: Residual(keras.layers.Dense(sizes["d"], activation="relu"), norm="pre"),
    peer=by_hand,
)


CARD = Card(
    layer=Residual,
    inputs=weighed,
    configs=lambda pick: dict(
        **pick(
            [
                lambda: dict(layer=layers.Dense(6, activation="tanh")),
                lambda: dict(layer=SelfAttention(2, causal=True)),
                lambda: dict(layer=SelfAttention(2)),
                lambda: dict(layer=[layers.Dense(8, activation="tanh"), layers.Dense(3)]),
                lambda: dict(layer=gate(), data_format="channels_first"),
            ]
        )(),
        norm=pick([None, "pre", "post", "sandwich"]),
        scale=pick([None, 0.5, 0.0]),
        drop_path=pick([0.0, 0.4]),
        epsilon=pick([1e-5, 1e-2]),
        seed=pick([None, 5]),
    ),
    dims=lambda pick, config: dict.fromkeys("cd", pick([6, 4])),
    traits=Traits(
        masking=lambda config: None if config.get("data_format") else "propagates",
        strict_masks=lambda config: config.get("data_format") != "channels_first" or None,
        dynamic=lambda config: "b y x" if config.get("data_format") else "b t",
        causal=goes_on,
        continues=goes_on,
        reach=lambda config: None if config.get("data_format") or attends(config) else (0, 0),
        stochastic=lambda config: config["drop_path"] > 0,
        identity_at_start=lambda config: (
            config["scale"] == 0 and config["norm"] != "post" if attends(config) else None
        ),
    ),
    errors=[
        dict(layer="dense"),
        dict(layer=[]),
        dict(layer=layers.Dense, norm="pre"),
    ],
    paper="arXiv:1512.03385",
    year=2015,
    paper_title="Deep Residual Learning for Image Recognition",
    paper_authors="Kaiming He and Xiangyu Zhang and Shaoqing Ren and Jian Sun",
    tags=["wrapper"],
    aliases=[
        "skip connection",
        "shortcut",
        "stochastic depth",
        "pre-norm",
        "post-norm",
        "sandwich norm",
        "tfa.layers.StochasticDepth",
        "keras_cv.layers.StochasticDepth",
    ],
    peer=PEER,
    boxes={
        "norm_in": "LayerNorm",
    },
)
