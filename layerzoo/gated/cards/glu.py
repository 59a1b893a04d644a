"""The card of `GLU`: what it claims, and the peer it is measured against."""

import keras

from layerzoo.card import Card, Peer, Traits
from layerzoo.gated.glu import GLU


def by_hand(sizes):
    """The same unit of two Dense layers, wired by hand in a Functional model."""
    inputs = keras.Input((sizes["t"], sizes["d"]))
    value = keras.layers.Dense(sizes["d"])(inputs)
    gate = keras.layers.Dense(sizes["d"], activation="sigmoid")(inputs)
    return keras.Model(inputs, keras.layers.Multiply()([value, gate]))


PEER = Peer(
    instead="two Dense, one with a sigmoid, and Multiply in a Functional model",
    work=[dict(b=8, t=128, d=256), dict(b=4, t=512, d=256), dict(b=8, t=128, d=256, jit=True)],
    layer=lambda sizes: GLU(sizes["d"]),
    peer=by_hand,
)


CARD = Card(
    layer=GLU,
    inputs="b t d",
    configs=lambda pick: dict(
        units=pick([6, 3]),
        activation=pick(["sigmoid", "gelu", "tanh", None]),
        use_bias=pick([True, False]),
        kernel_initializer=pick(["glorot_uniform", "he_normal"]),
    ),
    traits=Traits(
        masking="propagates",
        dynamic="b t",
        causal=True,
        reach=(0, 0),
    ),
    errors=[dict(units=0), dict(units=2.5), dict(units=4, use_bias="yes")],
    paper="arXiv:1612.08083",
    year=2016,
    paper_title="Language Modeling with Gated Convolutional Networks",
    paper_authors="Yann N. Dauphin and Angela Fan and Michael Auli and David Grangier",
    tags=["tabular", "sequence"],
    aliases=[
        "gated linear unit",
        "gated convolution",
        "bilinear layer",
        "torch.nn.GLU",
        "torch.nn.functional.glu",
        "keras.ops.glu",
        "flax.linen.glu",
    ],
    peer=PEER,
    boxes={"value_gate": "value, gate"},
)
