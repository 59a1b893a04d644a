"""The card of `RGLRU`: what it claims, and the peer it is measured against."""

import keras

from layerzoo.card import Card, Peer, Traits
from layerzoo.recurrence.rglru import RGLRU

PEER = Peer(
    instead="keras.layers.GRU",
    work=[dict(b=4, t=256, d=256), dict(b=4, t=256, d=256, jit=True), dict(b=4, t=4096, d=256)],
    long=[
        *(dict(b=4, t=t, d=256) for t in (256, 1024, 4096)),
        *(dict(b=4, t=t, d=256, alone=True) for t in (8192, 16384)),
    ],
    layer=lambda sizes: RGLRU(sizes["d"]),
    peer=lambda sizes: keras.layers.GRU(sizes["d"], return_sequences=True),
)

CARD = Card(
    layer=RGLRU,
    inputs="b t d",
    configs=lambda pick: dict(
        units=pick([4, 3]),
        use_bias=pick([True, False]),
        kernel_initializer=pick(["glorot_uniform", "he_normal"]),
    ),
    traits=Traits(
        masking="propagates",
        strict_masks=True,
        dynamic="b t",
        causal=True,
        continues=True,
    ),
    errors=[dict(units=0), dict(units=2.5), dict(units=4, use_bias=1)],
    paper="arXiv:2402.19427",
    year=2024,
    paper_title=(
        "Griffin: Mixing Gated Linear Recurrences with Local Attention for Efficient Language Models"
    ),
    paper_authors=(
        "Soham De and Samuel L. Smith and Anushan Fernando and Aleksandar Botev and George "
        "Cristian-Muraru and Albert Gu and Ruba Haroun and Leonard Berrada and Yutian Chen and Srivatsan "
        "Srinivasan and Guillaume Desjardins and Arnaud Doucet and David Budden and Yee Whye Teh and Razvan "
        "Pascanu and Nando De Freitas and Caglar Gulcehre"
    ),
    tags=["sequence", "time series"],
    aliases=["RG-LRU", "real-gated linear recurrent unit", "Griffin", "Hawk", "RecurrentGemma"],
    peer=PEER,
)
