"""The card of `TemporalBlock`: what it claims, and the peer it is measured against."""

import keras

from layerzoo.blocks.cards._dilated import temporal
from layerzoo.blocks.cards._traits import empty_batches
from layerzoo.blocks.temporal_block import TemporalBlock
from layerzoo.card import Card, Peer, Traits

PEER = Peer(
    instead="Conv1D, SpatialDropout1D, ReLU and Add in a Functional model",
    work=[dict(b=8, t=128, d=64), dict(b=8, t=1024, d=64), dict(b=8, t=1024, d=64, jit=True)],
    layer=lambda sizes: TemporalBlock(sizes["d"], 3, 4, dropout=0.1),
    peer=temporal,
    operations=lambda b, t, d, **_: 3 * 2 * b * t * 2 * 3 * d * d,
)

CARD = Card(
    layer=TemporalBlock,
    inputs="b t d",
    configs=lambda pick: dict(
        filters=pick([4, 6]),
        kernel_size=pick([2, 3, 1]),
        dilation=pick([1, 2]),
        activation=pick(["relu", keras.activations.tanh]),
        dropout=pick([0.0, 0.4]),
        use_bias=pick([True, False]),
        kernel_initializer=pick(["he_normal", "glorot_uniform"]),
        seed=pick([None, 3]),
    ),
    dims=lambda pick, config: dict(d=pick([4, 3])),
    traits=Traits(
        masking="propagates",
        strict_masks=True,
        dynamic="b t",
        zero_batch=empty_batches,
        causal=True,
        continues=True,
        reach=lambda config: (2 * (config["kernel_size"] - 1) * config["dilation"], 0),
        stochastic=lambda config: config["dropout"] > 0,
        differentiable=lambda config: "kinked" if config["activation"] == "relu" else "smooth",
    ),
    errors=[
        dict(filters=0, kernel_size=2, dilation=1),
        dict(filters=4, kernel_size=2.5, dilation=1),
        dict(filters=4, kernel_size=2, dilation=-1),
        dict(filters=4, kernel_size=2, dilation=1, dropout=2),
    ],
    paper="arXiv:1803.01271",
    year=2018,
    paper_title=(
        "An Empirical Evaluation of Generic Convolutional and Recurrent Networks for Sequence Modeling"
    ),
    paper_authors="Shaojie Bai and J. Zico Kolter and Vladlen Koltun",
    tags=["sequence", "convolution"],
    aliases=["TCN", "temporal convolutional network", "dilated causal convolution", "tcn.TCN"],
    peer=PEER,
)
