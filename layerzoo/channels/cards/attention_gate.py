"""The card of `AttentionGate`: what it claims, and the peer it is measured against."""

import keras

from layerzoo.card import Card, Peer, Traits
from layerzoo.channels.attention_gate import AttentionGate


def gated_by_hand(sizes):
    """The same gate, wired by hand in a Functional model."""
    inputs = keras.Input((sizes["y"], sizes["x"], sizes["c"]))
    features = keras.layers.Conv2D(sizes["c"] // 2, 1, use_bias=False)(inputs)
    gate = keras.layers.Conv2D(sizes["c"] // 2, 1)(inputs)
    features = keras.layers.Activation("relu")(keras.layers.Add()([features, gate]))
    weight = keras.layers.Conv2D(1, 1, activation="sigmoid")(features)
    return keras.Model(inputs, keras.layers.Multiply()([inputs, weight]))


PEER = Peer(
    instead="three Conv2D, Add and Multiply in a Functional model, gated by its own inputs",
    work=[dict(b=8, y=32, x=32, c=64), dict(b=8, y=14, x=14, c=256)],
    layer=lambda sizes: AttentionGate(sizes["c"] // 2),
    peer=gated_by_hand,
)

AXES = {
    "channels_last": {"inputs": "b y x c", "gate": "b v u d"},
    "channels_first": {"inputs": "b c y x", "gate": "b d v u"},
}

CARD = Card(
    layer=AttentionGate,
    inputs=lambda config: AXES[config["data_format"]],
    configs=lambda pick: dict(
        units=pick([3, 5]),
        activation=pick(["relu", "silu"]),
        use_bias=pick([True, False]),
        kernel_initializer=pick(["glorot_uniform", "he_normal"]),
        data_format=pick(["channels_last", "channels_first"]),
    ),
    dims=lambda pick, config: dict(c=pick([4, 6]), d=pick([6, 3]), v=pick([2, 3]), u=pick([3, 1])),
    traits=Traits(
        dynamic="b y x v u",
        differentiable=lambda config: "kinked" if config["activation"] == "relu" else "smooth",
    ),
    errors=[dict(units=0), dict(units=2.5), dict(units=4, data_format="last")],
    paper="arXiv:1804.03999",
    year=2018,
    paper_title="Attention U-Net: Learning Where to Look for the Pancreas",
    paper_authors=(
        "Ozan Oktay and Jo Schlemper and Loic Le Folgoc and Matthew Lee and Mattias Heinrich and "
        "Kazunari Misawa and Kensaku Mori and Steven McDonagh and Nils Y. Hammerla and Bernhard Kainz and "
        "Ben Glocker and Daniel Rueckert"
    ),
    tags=["image", "convolution", "segmentation"],
    aliases=[
        "Attention U-Net",
        "grid attention",
        "additive attention gate",
        "monai.networks.nets.attentionunet.AttentionBlock",
    ],
    peer=PEER,
    boxes={
        "resized": "resize",
    },
)
