"""The card of `RelativePositionBias`: what it claims, and the peer it is measured against."""

from layerzoo.card import Card, Peer, Traits
from layerzoo.claims import differs_along_diagonals, differs_by_sample
from layerzoo.positions.cards.alibi_bias import LearnedPairs
from layerzoo.positions.relative_position_bias import RelativePositionBias

PEER = Peer(
    instead="a learned table of all pairs of steps, added",
    work=[dict(b=8, n=8, t=128, s=128), dict(b=4, n=8, t=512, s=512)],
    layer=lambda sizes: RelativePositionBias(),
    peer=lambda sizes: LearnedPairs(),
)

CARD = Card(
    layer=RelativePositionBias,
    inputs={"scores": "b n t s"},
    configs=lambda pick: dict(
        **pick(
            [
                dict(num_buckets=32, max_distance=128),
                dict(num_buckets=8, max_distance=5),
                dict(num_buckets=6, max_distance=7),
            ]
        ),
        bidirectional=pick([True, False]),
        embeddings_initializer=pick(["uniform", "ones"]),
    ),
    dims=lambda pick, config: dict(n=pick([4, 3])),
    traits=Traits(
        masking="propagates",
        dynamic="b t s",
        conserves={
            "one bias for all samples": differs_by_sample,
            "one bias for each distance": differs_along_diagonals,
        },
    ),
    errors=[
        dict(num_buckets=5),
        dict(num_buckets=2),
        dict(num_buckets=1, bidirectional=False),
        dict(max_distance=8),
        dict(num_buckets=16, max_distance=8, bidirectional=False),
    ],
    paper="arXiv:1910.10683",
    year=2019,
    paper_title="Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer",
    paper_authors=(
        "Colin Raffel and Noam Shazeer and Adam Roberts and Katherine Lee and Sharan Narang and "
        "Michael Matena and Yanqi Zhou and Wei Li and Peter J. Liu"
    ),
    tags=["sequence", "position"],
    aliases=[
        "T5 bias",
        "RPE",
        "relative position encoding",
        "x_transformers.x_transformers.RelativePositionBias",
    ],
    peer=PEER,
    boxes={
        "bias": "bias by distance",
    },
)
