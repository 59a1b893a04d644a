"""The card of `Highway`: what it claims, and the peer it is measured against."""

import keras

from layerzoo.card import Card, Peer, Traits
from layerzoo.gated.highway import Highway


def by_hand(sizes):
    """The same layer of two Dense layers, wired by hand in a Functional model."""
    inputs = keras.Input((sizes["t"], sizes["d"]))
    transform = keras.layers.Dense(sizes["d"], activation="relu")(inputs)
    gate = keras.layers.Dense(
        sizes["d"], activation="sigmoid", bias_initializer=keras.initializers.Constant(-2.0)
    )(inputs)
    return keras.Model(inputs, gate * transform + (1 - gate) * inputs)


PEER = Peer(
    instead="two Dense, one with a sigmoid, and a weighted sum in a Functional model",
    work=[dict(b=8, t=128, d=256), dict(b=4, t=512, d=256), dict(b=8, t=128, d=256, jit=True)],
    layer=lambda sizes: Highway(),
    peer=by_hand,
)


CARD = Card(
    layer=Highway,
    inputs="b t d",
    configs=lambda pick: dict(
        activation=pick(["relu", "tanh", "gelu"]),
        gate_bias=pick([-2.0, 0.5]),
        kernel_initializer=pick(["glorot_uniform", "he_normal"]),
    ),
    dims=lambda pick, config: dict(d=pick([6, 4])),
    traits=Traits(
        masking="propagates",
        dynamic="b t",
        causal=True,
        reach=(0, 0),
        differentiable=lambda config: "kinked" if config["activation"] == "relu" else "smooth",
    ),
    errors=[dict(gate_bias="low"), dict(gate_bias=None), dict(kernel_initializer="small")],
    paper="arXiv:1505.00387",
    year=2015,
    paper_title="Highway Networks",
    paper_authors='Rupesh Kumar Srivastava and Klaus Greff and J\\"urgen Schmidhuber',
    tags=["tabular", "sequence", "block"],
    aliases=["highway network", "carry gate", "transform gate", "allennlp.modules.Highway"],
    peer=PEER,
    boxes={"transform_gate": "transform, gate"},
)
