"""The card of `LinearAttention`: what it claims, and the peer it is measured against."""

from layerzoo.attention.cards.self_attention import KerasSelfAttention
from layerzoo.attention.linear_attention import LinearAttention
from layerzoo.card import Card, Peer, Traits
from layerzoo.claims import steps_reversed

PEER = Peer(
    instead="keras.layers.MultiHeadAttention, causal",
    work=[dict(b=1, t=1024, d=512), dict(b=1, t=2048, d=512), dict(b=1, t=4096, d=512)],
    long=[dict(b=1, t=t, d=512, alone=True) for t in (1024, 2048, 4096, 8192, 16384)],
    layer=lambda sizes: LinearAttention(8, causal=True),
    peer=lambda sizes: KerasSelfAttention(),
)

CARD = Card(
    layer=LinearAttention,
    inputs="b t d",
    configs=lambda pick: dict(
        num_heads=pick([2, 1, 3]),
        head_dim=pick([None, 4]),
        causal=pick([False, True]),
        feature_map=pick(["elu", "softplus", "relu"]),
        use_bias=pick([True, False]),
        kernel_initializer=pick(["glorot_uniform", "he_normal"]),
        epsilon=pick([1e-6, 1e-3]),
    ),
    dims=lambda pick, config: dict(d=pick([4, 2]) * config["num_heads"]),
    traits=Traits(
        masking="propagates",
        strict_masks=True,
        dynamic="b t",
        causal=lambda config: config["causal"],
        continues=lambda config: config["causal"],
        equivariant=lambda config: (
            {} if config["causal"] else {"steps reversed": (steps_reversed, steps_reversed)}
        ),
        differentiable=lambda config: "kinked" if config["feature_map"] == "relu" else "smooth",
        twice_differentiable=lambda config: None if config["feature_map"] == "relu" else True,
    ),
    errors=[
        dict(num_heads=0),
        dict(num_heads=2, head_dim=1.5),
        dict(num_heads=2, epsilon=0),
    ],
    paper="arXiv:2006.16236",
    year=2020,
    paper_title="Transformers are RNNs: Fast Autoregressive Transformers with Linear Attention",
    paper_authors="Angelos Katharopoulos and Apoorv Vyas and Nikolaos Pappas and François Fleuret",
    tags=["sequence"],
    aliases=["linear Transformer", "fla.layers.LinearAttention"],
    peer=PEER,
    boxes={
        "query_key_value": "query, key, value",
        "elu_plus_one": "ELU + 1",
    },
)
