"""The card of `MultiHeadLatentAttention`: what it claims, and the peer it is measured against."""

from layerzoo.attention.cards.self_attention import KerasSelfAttention
from layerzoo.attention.multi_head_latent_attention import MultiHeadLatentAttention
from layerzoo.card import Card, Peer, Traits

PEER = Peer(
    instead="keras.layers.MultiHeadAttention, causal",
    work=[dict(b=8, t=128, d=256), dict(b=4, t=512, d=256)],
    layer=lambda sizes: MultiHeadLatentAttention(8, latent_dim=sizes["d"] // 4, causal=True),
    peer=lambda sizes: KerasSelfAttention(),
)

CARD = Card(
    layer=MultiHeadLatentAttention,
    inputs="b t d",
    configs=lambda pick: dict(
        num_heads=pick([2, 1, 3]),
        latent_dim=pick([6, 3]),
        query_latent_dim=pick([None, 5]),
        head_dim=pick([None, 8]),
        rope_dim=pick([None, 2]),
        causal=pick([False, True]),
        dropout=pick([0.0, 0.4]),
        use_bias=pick([True, False]),
        kernel_initializer=pick(["glorot_uniform", "he_normal"]),
        seed=pick([None, 3]),
    ),
    dims=lambda pick, config: dict(d=pick([4, 8]) * config["num_heads"]),
    traits=Traits(
        masking="propagates",
        strict_masks=True,
        dynamic="b t",
        causal=lambda config: config["causal"],
        continues=lambda config: config["causal"],
        stochastic=lambda config: config["dropout"] > 0,
    ),
    errors=[
        dict(num_heads=0, latent_dim=4),
        dict(num_heads=2, latent_dim=0),
        dict(num_heads=2, latent_dim=4, query_latent_dim=1.5),
        dict(num_heads=2, latent_dim=4, head_dim=-1),
        dict(num_heads=2, latent_dim=4, rope_dim=3),
        dict(num_heads=2, latent_dim=4, dropout=-0.1),
    ],
    paper="arXiv:2405.04434",
    year=2024,
    paper_title=(
        "DeepSeek-V2: A Strong, Economical, and Efficient Mixture-of-Experts Language Model"
    ),
    paper_authors="DeepSeek-AI",
    tags=["sequence"],
    aliases=[
        "MLA",
        "DeepSeek attention",
        "latent attention",
        "fla.layers.MultiheadLatentAttention",
    ],
    peer=PEER,
    boxes={
        "key_value": "key, value",
        "rotate": "rotary",
        "latent_norm": "RMSNorm",
    },
)
