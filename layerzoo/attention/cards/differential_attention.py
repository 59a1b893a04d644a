"""The card of `DifferentialAttention`: what it claims, and the peer it is measured against."""

from layerzoo.attention.cards.self_attention import KerasSelfAttention
from layerzoo.attention.differential_attention import DifferentialAttention
from layerzoo.card import Card, Peer, Traits
from layerzoo.claims import steps_reversed

PEER = Peer(
    instead="keras.layers.MultiHeadAttention, causal",
    work=[dict(b=8, t=128, d=256), dict(b=4, t=512, d=256)],
    layer=lambda sizes: DifferentialAttention(4, causal=True),
    peer=lambda sizes: KerasSelfAttention(),
)

CARD = Card(
    layer=DifferentialAttention,
    inputs="b t d",
    configs=lambda pick: dict(
        num_heads=pick([2, 1, 3]),
        depth=pick([1, 4]),
        head_dim=pick([None, 3]),
        causal=pick([False, True]),
        dropout=pick([0.0, 0.4]),
        use_bias=pick([True, False]),
        kernel_initializer=pick(["glorot_uniform", "he_normal"]),
        seed=pick([None, 3]),
    ),
    dims=lambda pick, config: dict(d=pick([4, 2]) * config["num_heads"]),
    traits=Traits(
        masking="propagates",
        strict_masks=True,
        dynamic="b t",
        causal=lambda config: config["causal"],
        equivariant=lambda config: (
            {} if config["causal"] else {"steps reversed": (steps_reversed, steps_reversed)}
        ),
        stochastic=lambda config: config["dropout"] > 0,
    ),
    errors=[
        dict(num_heads=0),
        dict(num_heads=2, depth=0),
        dict(num_heads=2, head_dim=1.5),
        dict(num_heads=2, dropout=-0.1),
    ],
    paper="arXiv:2410.05258",
    year=2024,
    paper_title="Differential Transformer",
    paper_authors=(
        "Tianzhu Ye and Li Dong and Yuqing Xia and Yutao Sun and Yi Zhu and Gao Huang and Furu Wei"
    ),
    tags=["sequence"],
    aliases=["Diff Transformer", "DiffAttn", "timm.layers.DiffAttention"],
    peer=PEER,
    boxes={
        "query_key_value": "queries, keys, value",
        "_difference": "first − λ second",
        "lambdas": "λ",
        "head_norm": "norm of each head",
    },
)
