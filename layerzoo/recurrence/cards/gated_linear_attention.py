"""The card of `GatedLinearAttention`: what it claims, and the peer it is measured against."""

from layerzoo.attention.self_attention import SelfAttention
from layerzoo.card import Card, Peer, Traits
from layerzoo.recurrence.gated_linear_attention import GatedLinearAttention

PEER = Peer(
    instead="SelfAttention, causal",
    work=[
        dict(b=1, t=1024, d=256),
        dict(b=1, t=4096, d=256),
        dict(b=1, t=4096, d=256, jit=True),
    ],
    long=[dict(b=1, t=t, d=256, alone=True) for t in (1024, 4096, 16384)],
    layer=lambda sizes: GatedLinearAttention(4),
    peer=lambda sizes: SelfAttention(4, causal=True),
)

CARD = Card(
    layer=GatedLinearAttention,
    inputs="b t d",
    configs=lambda pick: dict(
        num_heads=pick([2, 1, 3]),
        head_dim=pick([None, 4]),
        key_dim=pick([None, 3]),
        gate_rank=pick([4, 2]),
        gate_normalizer=pick([16.0, 1.0]),
        use_bias=pick([True, False]),
        kernel_initializer=pick(["glorot_uniform", "he_normal"]),
        epsilon=pick([1e-5, 1e-2]),
    ),
    dims=lambda pick, config: dict(d=pick([4, 2]) * config["num_heads"]),
    traits=Traits(
        masking="propagates",
        strict_masks=True,
        dynamic="b t",
        causal=True,
        continues=True,
    ),
    errors=[
        dict(num_heads=0),
        dict(num_heads=2, key_dim=1.5),
        dict(num_heads=2, gate_rank=0),
        dict(num_heads=2, gate_normalizer=0),
        dict(num_heads=2, epsilon=-1),
    ],
    paper="arXiv:2312.06635",
    year=2023,
    paper_title="Gated Linear Attention Transformers with Hardware-Efficient Training",
    paper_authors="Songlin Yang and Bailin Wang and Yikang Shen and Rameswar Panda and Yoon Kim",
    tags=["sequence"],
    aliases=["GLA", "linear attention with decay", "fla.layers.GatedLinearAttention"],
    peer=PEER,
    boxes={
        "query_key_value_gate": "project",
        "decay_down": "narrow",
        "decay_up": "decay",
        "decayed_linear_attention": "decayed linear attention",
    },
)
