"""The card of `SqueezeExcite`: what it claims, and the peer it is measured against."""

from layerzoo.card import Card, Peer, Traits
from layerzoo.channels.cards._by_hand import squeeze_and_excite
from layerzoo.channels.squeeze_excite import SqueezeExcite
from layerzoo.claims import rows_or_steps, weighed

PEER = Peer(
    instead="GlobalAveragePooling2D, two Dense and Multiply in a Functional model",
    work=[dict(b=8, y=32, x=32, c=64), dict(b=8, y=14, x=14, c=256)],
    layer=lambda sizes: SqueezeExcite(16),
    peer=squeeze_and_excite,
)

CARD = Card(
    layer=SqueezeExcite,
    inputs=weighed,
    configs=lambda pick: dict(
        ratio=pick([2, 3]),
        activation=pick(["relu", "silu"]),
        gate_activation=pick(["sigmoid", "tanh"]),
        use_bias=pick([True, False]),
        kernel_initializer=pick(["glorot_uniform", "he_normal"]),
        **pick([dict(data_format="channels_last"), {}, dict(data_format="channels_first")]),
    ),
    dims=lambda pick, config: dict.fromkeys("cd", pick([16, 24])),
    traits=Traits(
        masking=lambda config: None if config.get("data_format") else "propagates",
        strict_masks=lambda config: config.get("data_format") != "channels_first" or None,
        dynamic=lambda config: "b y x" if config.get("data_format") else "b t",
        causal=lambda config: None if config.get("data_format") else False,
        equivariant=rows_or_steps,
        differentiable=lambda config: "kinked" if config["activation"] == "relu" else "smooth",
    ),
    errors=[dict(ratio=0), dict(ratio=2.5), dict(data_format="last")],
    paper="arXiv:1709.01507",
    year=2017,
    paper_title="Squeeze-and-Excitation Networks",
    paper_authors="Jie Hu and Li Shen and Samuel Albanie and Gang Sun and Enhua Wu",
    tags=["image", "sequence", "convolution"],
    aliases=[
        "SE",
        "SE block",
        "SENet",
        "squeeze-and-excitation",
        "timm.layers.SEModule",
        "timm.layers.SqueezeExcite",
        "torchvision.ops.SqueezeExcitation",
        "keras_cv.layers.SqueezeAndExcite2D",
    ],
    peer=PEER,
)
