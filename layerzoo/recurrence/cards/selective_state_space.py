"""The card of `SelectiveStateSpace`: what it claims, and the peer it is measured against."""

from layerzoo.attention.self_attention import SelfAttention
from layerzoo.card import Card, Peer, Traits
from layerzoo.recurrence.selective_state_space import SelectiveStateSpace

PEER = Peer(
    instead="SelfAttention, causal",
    work=[
        dict(b=1, t=1024, d=256),
        dict(b=1, t=4096, d=256),
        dict(b=1, t=4096, d=256, jit=True),
    ],
    long=[dict(b=1, t=t, d=256, alone=True) for t in (1024, 4096, 16384)],
    layer=lambda sizes: SelectiveStateSpace(64),
    peer=lambda sizes: SelfAttention(4, causal=True),
)

CARD = Card(
    layer=SelectiveStateSpace,
    inputs="b t d",
    configs=lambda pick: dict(
        state_dim=pick([4, 3]),
        num_groups=(g := pick([1, 2])),
        num_heads=4 * g,
        expansion=pick([2, 1]),
        kernel_size=pick([4, 2, 1]),
        use_bias=pick([True, False]),
        kernel_initializer=pick(["glorot_uniform", "he_normal"]),
        epsilon=pick([1e-5, 1e-2]),
    ),
    dims=lambda pick, config: dict(d=pick([1, 2]) * config["num_heads"]),
    traits=Traits(
        masking="propagates",
        strict_masks=True,
        dynamic="b t",
        causal=True,
        continues=True,
    ),
    errors=[
        dict(state_dim=0),
        dict(state_dim=4, num_heads=1.5),
        dict(state_dim=4, num_heads=4, num_groups=3),
        dict(state_dim=4, expansion=0),
        dict(state_dim=4, kernel_size=-1),
        dict(state_dim=4, epsilon=0),
    ],
    paper="arXiv:2405.21060",
    year=2024,
    paper_title=(
        "Transformers are SSMs: Generalized Models and Efficient Algorithms Through Structured State Space "
        "Duality"
    ),
    paper_authors="Tri Dao and Albert Gu",
    tags=["sequence"],
    aliases=[
        "Mamba",
        "Mamba-2",
        "SSD",
        "SSM",
        "state space model",
        "mamba_ssm.modules.mamba2.Mamba2",
        "transformers.models.mamba2.modeling_mamba2.Mamba2Mixer",
    ],
    peer=PEER,
    boxes={
        "inner": "projection",
        "short_convolution": "short convolution",
        "decayed_linear_attention": "state space",
    },
)
