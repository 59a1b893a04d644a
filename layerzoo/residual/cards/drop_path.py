"""The card of `DropPath`: what it claims, and the peer it is measured against."""

import keras

from layerzoo.card import Card, Peer, Traits
from layerzoo.residual.drop_path import DropPath

PEER = Peer(
    instead="keras.layers.Dropout",
    work=[dict(b=32, t=128, d=256)],
    layer=lambda sizes: DropPath(0.1),
    peer=lambda sizes: keras.layers.Dropout(0.1),
)

CARD = Card(
    layer=DropPath,
    inputs="b t d",
    configs=lambda pick: dict(rate=pick([0.5, 0.2, 0.0, 1.0]), seed=pick([None, 7])),
    traits=Traits(
        masking="propagates",
        dynamic="b t d",
        causal=True,
        reach=(0, 0),
        noise=lambda config: (
            (1, config["rate"] / (1 - config["rate"])) if config["rate"] < 1 else (0, 0)
        ),
        stochastic=lambda config: 0 < config["rate"] < 1,
        train_differs=lambda config: config["rate"] == 1,
        identity_at_start=True,
    ),
    errors=[dict(rate=-0.1), dict(rate=1.5), dict(rate="half")],
    paper="arXiv:1603.09382",
    year=2016,
    paper_title="Deep Networks with Stochastic Depth",
    paper_authors="Gao Huang and Yu Sun and Zhuang Liu and Daniel Sedra and Kilian Weinberger",
    tags=["regularisation"],
    aliases=[
        "stochastic depth",
        "drop connect",
        "tfa.layers.StochasticDepth",
        "timm.layers.DropPath",
        "torchvision.ops.StochasticDepth",
        "keras_cv.layers.DropPath",
        "keras_cv.layers.StochasticDepth",
    ],
    peer=PEER,
    boxes={
        "where": "kept, or 0",
    },
)
