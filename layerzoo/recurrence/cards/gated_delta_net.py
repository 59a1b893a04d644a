"""The card of `GatedDeltaNet`: what it claims, and the peer it is measured against."""

from layerzoo.attention.self_attention import SelfAttention
from layerzoo.card import Card, Peer, Traits
from layerzoo.recurrence.gated_delta_net import GatedDeltaNet

PEER = Peer(
    instead="SelfAttention, causal",
    work=[
        dict(b=1, t=1024, d=256),
        dict(b=1, t=4096, d=256),
        dict(b=1, t=4096, d=256, jit=True),
    ],
    long=[dict(b=1, t=t, d=256, alone=True) for t in (1024, 4096, 16384)],
    layer=lambda sizes: GatedDeltaNet(4),
    peer=lambda sizes: SelfAttention(4, causal=True),
)

CARD = Card(
    layer=GatedDeltaNet,
    inputs="b t d",
    configs=lambda pick: dict(
        num_heads=2 * (g := pick([1, 2])),
        head_dim=pick([None, 3]),
        num_key_heads=pick([None, g]),
        gate=pick(["head", "feature"]),
        kernel_size=pick([4, 2, 1]),
        use_bias=pick([True, False]),
        kernel_initializer=pick(["glorot_uniform", "he_normal"]),
        epsilon=pick([1e-6, 1e-2]),
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
        dict(num_heads=2, head_dim=1.5),
        dict(num_heads=4, num_key_heads=3),
        dict(num_heads=2, gate="row"),
        dict(num_heads=2, kernel_size=0),
        dict(num_heads=2, epsilon=0),
    ],
    paper="arXiv:2412.06464",
    year=2024,
    paper_title="Gated Delta Networks: Improving Mamba2 with Delta Rule",
    paper_authors="Songlin Yang and Jan Kautz and Ali Hatamizadeh",
    tags=["sequence", "transformer"],
    aliases=[
        "gated delta rule",
        "DeltaNet",
        "Kimi Delta Attention",
        "KDA",
        "fla.layers.GatedDeltaNet",
        "transformers.models.qwen3_next.modeling_qwen3_next.Qwen3NextGatedDeltaNet",
    ],
    peer=PEER,
    boxes={
        "query_key_value_gate": "project",
        "short_convolution": "short convolution",
        "units": "length 1",
        "gated_delta_rule": "gated delta rule",
    },
)
