"""The card of `ReZero`: what it claims, and the peer it is measured against."""

import keras
from keras import layers

from layerzoo.attention.self_attention import SelfAttention
from layerzoo.card import Card, Peer, Traits
from layerzoo.claims import weighed
from layerzoo.residual.cards._wrapped import attends, gate, goes_on
from layerzoo.residual.re_zero import ReZero


@keras.saving.register_keras_serializable(package="layerzoo.peers")
class Scaled(keras.layers.Layer):
    """Multiplies by one learned number, as a user would write it."""

    def build(self, input_shape):
        """Make the number."""
        self.alpha = self.add_weight((), "zeros")

    def call(self, inputs):
        """Multiply."""
        return self.alpha * inputs


def by_hand(sizes):
    """A residual connection with a learned factor, wired by hand in a Functional model."""
    inputs = keras.Input((sizes["t"], sizes["d"]))
    branch = Scaled()(keras.layers.Dense(sizes["d"], activation="relu")(inputs))
    return keras.Model(inputs, keras.layers.Add()([inputs, branch]))


PEER = Peer(
    instead="Dense, a layer with one factor, and Add in a Functional model",
    work=[dict(b=8, t=128, d=256), dict(b=8, t=128, d=256, jit=True)],
    layer=lambda sizes: ReZero(keras.layers.Dense(sizes["d"], activation="relu")),
    peer=by_hand,
)


CARD = Card(
    layer=ReZero,
    inputs=weighed,
    configs=lambda pick: dict(
        **pick(
            [
                lambda: dict(layer=layers.Dense(6, activation="tanh")),
                lambda: dict(layer=SelfAttention(2, causal=True)),
                lambda: dict(layer=SelfAttention(2)),
                lambda: dict(layer=[layers.Dense(8, activation="tanh"), layers.Dense(6)]),
                lambda: dict(layer=gate(), data_format="channels_first"),
            ]
        )(),
        init_value=pick([0.0, 0.5]),
    ),
    dims=lambda pick, config: dict.fromkeys("cd", pick([6])),
    traits=Traits(
        masking=lambda config: None if config.get("data_format") else "propagates",
        strict_masks=lambda config: config.get("data_format") != "channels_first" or None,
        dynamic=lambda config: "b y x" if config.get("data_format") else "b t",
        causal=goes_on,
        continues=goes_on,
        reach=lambda config: None if config.get("data_format") or attends(config) else (0, 0),
        identity_at_start=lambda config: config["init_value"] == 0,
    ),
    errors=[
        dict(layer="dense"),
        dict(layer=[]),
        dict(layer=layers.Dense),
        dict(layer=layers.Dense(6), init_value="zero"),
        dict(layer=layers.Dense(6), data_format="last"),
    ],
    paper="arXiv:2003.04887",
    year=2020,
    paper_title="ReZero is All You Need: Fast Convergence at Large Depth",
    paper_authors=(
        "Thomas Bachlechner and Bodhisattwa Prasad Majumder and Huanru Henry Mao "
        "and Garrison W. Cottrell and Julian McAuley"
    ),
    tags=["wrapper"],
    aliases=["ReZero", "SkipInit", "residual with zero initialization"],
    peer=PEER,
)
