"""The card of `AttentionPooling`: what it claims, and the peer it is measured against."""

import keras

from layerzoo.attention.attention_pooling import AttentionPooling
from layerzoo.card import Card, Peer, Traits
from layerzoo.claims import steps_reversed, unchanged

PEER = Peer(
    instead="keras.layers.GlobalAveragePooling1D",
    work=[dict(b=8, t=128, d=256), dict(b=2, t=4096, d=256)],
    layer=lambda sizes: AttentionPooling(8),
    peer=lambda sizes: keras.layers.GlobalAveragePooling1D(),
)

CARD = Card(
    layer=AttentionPooling,
    inputs="b t d",
    configs=lambda pick: dict(
        num_heads=pick([2, 1, 3]),
        num_queries=pick([1, 2]),
        head_dim=pick([None, 4]),
        use_bias=pick([True, False]),
        kernel_initializer=pick(["glorot_uniform", "he_normal"]),
    ),
    dims=lambda pick, config: dict(d=pick([4, 2]) * config["num_heads"]),
    traits=Traits(
        masking="consumes",
        strict_masks=True,
        dynamic="b t",
        equivariant={"steps reversed": (steps_reversed, unchanged)},
    ),
    errors=[
        dict(num_heads=0),
        dict(num_heads=2, num_queries=0),
        dict(num_heads=2, head_dim=1.5),
    ],
    paper="arXiv:1810.00825",
    year=2018,
    paper_title=(
        "Set Transformer: A Framework for Attention-based Permutation-Invariant Neural Networks"
    ),
    paper_authors=(
        "Juho Lee and Yoonho Lee and Jungtaek Kim and Adam R. Kosiorek and Seungjin Choi and "
        "Yee Whye Teh"
    ),
    tags=["sequence", "pooling"],
    aliases=[
        "PMA",
        "MAP head",
        "attention pool",
        "pooling by multi-head attention",
        "timm.layers.AttentionPoolLatent",
    ],
    peer=PEER,
)
