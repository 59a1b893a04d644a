"""The card of `GatedAttentionPooling`: what it claims, and the peer it is measured against."""

import keras

from layerzoo.attention.gated_attention_pooling import GatedAttentionPooling
from layerzoo.card import Card, Peer, Traits
from layerzoo.claims import steps_reversed, unchanged

PEER = Peer(
    instead="keras.layers.GlobalAveragePooling1D",
    work=[dict(b=8, t=128, d=256), dict(b=2, t=4096, d=256)],
    layer=lambda sizes: GatedAttentionPooling(128),
    peer=lambda sizes: keras.layers.GlobalAveragePooling1D(),
)

CARD = Card(
    layer=GatedAttentionPooling,
    inputs="b t d",
    configs=lambda pick: dict(
        units=pick([4, 3]),
        use_bias=pick([True, False]),
        kernel_initializer=pick(["glorot_uniform", "he_normal"]),
    ),
    traits=Traits(
        masking="consumes",
        strict_masks=True,
        dynamic="b t",
        equivariant={"instances reversed": (steps_reversed, unchanged)},
        twice_differentiable=True,
    ),
    errors=[dict(units=0), dict(units=2.5)],
    paper="arXiv:1802.04712",
    year=2018,
    paper_title="Attention-based Deep Multiple Instance Learning",
    paper_authors="Maximilian Ilse and Jakub M. Tomczak and Max Welling",
    tags=["sequence", "pooling"],
    aliases=["ABMIL", "MIL", "attention-based MIL", "multiple-instance learning"],
    peer=PEER,
    boxes={
        "weigh": "softmax",
        "einsum": "weighted sum",
    },
)
