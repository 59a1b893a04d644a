"""The card of `EfficientChannelAttention`: what it claims, and the peer it is measured against."""

from layerzoo.card import Card, Peer, Traits
from layerzoo.channels.cards._by_hand import squeeze_and_excite
from layerzoo.channels.efficient_channel_attention import EfficientChannelAttention
from layerzoo.claims import rows_or_steps, weighed

PEER = Peer(
    instead="GlobalAveragePooling2D, two Dense and Multiply in a Functional model",
    work=[dict(b=8, y=32, x=32, c=64), dict(b=8, y=14, x=14, c=256)],
    layer=lambda sizes: EfficientChannelAttention(),
    peer=squeeze_and_excite,
)

CARD = Card(
    layer=EfficientChannelAttention,
    inputs=weighed,
    configs=lambda pick: dict(
        gamma=pick([2.0, 0.8]),
        beta=pick([1.0, 3.0]),
        kernel_initializer=pick(["glorot_uniform", "he_normal"]),
        **pick([dict(data_format="channels_last"), {}, dict(data_format="channels_first")]),
    ),
    dims=lambda pick, config: dict.fromkeys("cd", pick([8, 12])),
    traits=Traits(
        masking=lambda config: None if config.get("data_format") else "propagates",
        strict_masks=lambda config: config.get("data_format") != "channels_first" or None,
        dynamic=lambda config: "b y x" if config.get("data_format") else "b t",
        causal=lambda config: None if config.get("data_format") else False,
        equivariant=rows_or_steps,
        twice_differentiable=True,
    ),
    errors=[dict(gamma=0), dict(beta=-1.0), dict(data_format="last")],
    paper="arXiv:1910.03151",
    year=2019,
    paper_title="ECA-Net: Efficient Channel Attention for Deep Convolutional Neural Networks",
    paper_authors=(
        "Qilong Wang and Banggu Wu and Pengfei Zhu and Peihua Li and Wangmeng Zuo and Qinghua Hu"
    ),
    tags=["image", "sequence", "convolution"],
    aliases=["ECA", "ECA-Net", "timm.layers.EcaModule"],
    peer=PEER,
)
