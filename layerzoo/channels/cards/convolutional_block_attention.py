"""The card of `ConvolutionalBlockAttention`: what it claims, and the peer it is measured against."""

from layerzoo.card import Card, Peer, Traits
from layerzoo.channels.cards._by_hand import squeeze_and_excite
from layerzoo.channels.convolutional_block_attention import ConvolutionalBlockAttention
from layerzoo.claims import weighed

PEER = Peer(
    instead="GlobalAveragePooling2D, two Dense and Multiply: the channels alone, from the mean alone",
    work=[dict(b=8, y=32, x=32, c=64), dict(b=8, y=14, x=14, c=256)],
    layer=lambda sizes: ConvolutionalBlockAttention(16),
    peer=squeeze_and_excite,
)

CARD = Card(
    layer=ConvolutionalBlockAttention,
    inputs=weighed,
    configs=lambda pick: dict(
        ratio=pick([2, 3]),
        kernel_size=pick([3, 7]),
        activation=pick(["relu", "silu"]),
        use_bias=pick([True, False]),
        kernel_initializer=pick(["glorot_uniform", "he_normal"]),
        data_format=pick(["channels_last", "channels_first"]),
    ),
    dims=lambda pick, config: dict(c=pick([16, 24])),
    traits=Traits(dynamic="b y x", differentiable="kinked"),
    errors=[dict(ratio=0), dict(kernel_size=(3, 3)), dict(data_format="last")],
    expected_failures={
        "S6@tensorflow": "on TensorFlow, Keras's `amax` rejects every empty tensor, whatever the axes",
        "G1@torch": "on a CPU, PyTorch has no float64 gradient for a convolution to one channel",
    },
    paper="arXiv:1807.06521",
    year=2018,
    paper_title="CBAM: Convolutional Block Attention Module",
    paper_authors="Sanghyun Woo and Jongchan Park and Joon-Young Lee and In So Kweon",
    tags=["image", "convolution"],
    aliases=["CBAM", "convolutional block attention module", "timm.layers.CbamModule"],
    peer=PEER,
    boxes={
        "_mean_and_max": "mean and maximum",
        "sum": "+",
    },
)
