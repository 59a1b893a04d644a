"""The card of `AlibiBias`: what it claims, and the peer it is measured against."""

import keras

from layerzoo.card import Card, Peer, Traits
from layerzoo.claims import differs_along_diagonals, differs_by_sample, swapped
from layerzoo.positions.alibi_bias import AlibiBias


@keras.saving.register_keras_serializable(package="layerzoo.peers")
class LearnedPairs(keras.layers.Layer):
    """One learned number per head, query and key."""

    def build(self, input_shape):
        """Make the table for these lengths."""
        self.table = self.add_weight(shape=tuple(input_shape[1:]), name="table")

    def call(self, inputs):
        """Add the table."""
        return inputs + self.table


PEER = Peer(
    instead="a learned table of all pairs of steps, added",
    work=[dict(b=8, n=8, t=128, s=128), dict(b=4, n=8, t=512, s=512)],
    layer=lambda sizes: AlibiBias(),
    peer=lambda sizes: LearnedPairs(),
)

CARD = Card(
    layer=AlibiBias,
    inputs={"scores": "b n t s"},
    dims=lambda pick, config: dict(n=pick([4, 6])),
    traits=Traits(
        masking="propagates",
        dynamic="b t s",
        equivariant={"queries and keys swapped": (swapped, swapped)},
        conserves={
            "one bias for all samples": differs_by_sample,
            "one bias for each distance": differs_along_diagonals,
        },
    ),
    paper="arXiv:2108.12409",
    year=2021,
    paper_title=(
        "Train Short, Test Long: Attention with Linear Biases Enables Input Length Extrapolation"
    ),
    paper_authors="Ofir Press and Noah A. Smith and Mike Lewis",
    tags=["sequence", "position"],
    aliases=[
        "ALiBi",
        "attention with linear biases",
        "keras_hub.layers.AlibiBias",
        "x_transformers.x_transformers.AlibiPositionalBias",
    ],
    peer=PEER,
    boxes={
        "bias": "− slope × distance",
    },
)
