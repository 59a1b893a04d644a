"""The card of `MinLSTM`: what it claims, and the peer it is measured against."""

import keras

from layerzoo.card import Card, Peer
from layerzoo.recurrence.cards._recurrent import configs, traits
from layerzoo.recurrence.min_lstm import MinLSTM

PEER = Peer(
    instead="keras.layers.LSTM",
    work=[dict(b=4, t=256, d=256), dict(b=4, t=256, d=256, jit=True), dict(b=4, t=4096, d=256)],
    long=[
        *(dict(b=4, t=t, d=256) for t in (256, 1024, 4096)),
        *(dict(b=4, t=t, d=256, jit=True) for t in (256, 1024)),
        *(dict(b=4, t=t, d=256, alone=True) for t in (8192, 16384)),
        *(dict(b=4, t=t, d=256, alone=True, jit=True) for t in (4096, 16384)),
    ],
    layer=lambda sizes: MinLSTM(sizes["d"], return_sequences=True),
    peer=lambda sizes: keras.layers.LSTM(sizes["d"], return_sequences=True),
)

CARD = Card(
    layer=MinLSTM,
    inputs="b t d",
    configs=configs,
    traits=traits(),
    errors=[dict(units=0), dict(units=2.5), dict(units=4, return_sequences=1)],
    paper="arXiv:2410.01201",
    year=2024,
    paper_title="Were RNNs All We Needed?",
    paper_authors=(
        "Leo Feng and Frederick Tung and Mohamed Osama Ahmed and Yoshua Bengio and Hossein Hajimirsadeghi"
    ),
    tags=["sequence", "time series"],
    aliases=["minLSTM", "minimal long short-term memory", "parallel LSTM"],
    peer=PEER,
)
