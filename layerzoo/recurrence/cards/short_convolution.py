"""The card of `ShortConvolution`: what it claims, and the peer it is measured against."""

import keras

from layerzoo.card import Card, Peer, Traits
from layerzoo.recurrence.short_convolution import ShortConvolution

PEER = Peer(
    instead="ZeroPadding1D, DepthwiseConv1D and SiLU",
    work=[dict(b=4, t=512, d=256), dict(b=4, t=512, d=256, jit=True)],
    layer=lambda sizes: ShortConvolution(4),
    peer=lambda sizes: keras.Sequential(
        [
            keras.layers.ZeroPadding1D((3, 0)),
            keras.layers.DepthwiseConv1D(4),
            keras.layers.Activation("silu"),
        ]
    ),
)

CARD = Card(
    layer=ShortConvolution,
    inputs="b t d",
    configs=lambda pick: dict(
        kernel_size=pick([3, 1, 4]),
        activation=pick(["silu", None]),
        gated=pick([False, True]),
        use_bias=pick([True, False]),
        kernel_initializer=pick(["lecun_uniform", "he_normal"]),
    ),
    traits=Traits(
        masking="propagates",
        strict_masks=True,
        dynamic="b t",
        causal=True,
        continues=True,
        reach=lambda config: (config["kernel_size"] - 1, 0),
    ),
    expected_failures={
        "N2": (
            "with `gated`, three projections of the inputs are multiplied, and inputs of size 30 then give "
            "more than the largest number of float16; bfloat16 holds it"
        ),
    },
    errors=[dict(kernel_size=0), dict(kernel_size=2.5), dict(kernel_size=3, gated=1)],
    paper="arXiv:2412.06464",
    year=2024,
    paper_title="Gated Delta Networks: Improving Mamba2 with Delta Rule",
    paper_authors="Songlin Yang and Jan Kautz and Ali Hatamizadeh",
    tags=["sequence", "convolution"],
    aliases=[
        "causal depthwise convolution",
        "causal_conv1d",
        "gated short convolution",
        "LFM2",
        "fla.modules.ShortConvolution",
    ],
    peer=PEER,
)
