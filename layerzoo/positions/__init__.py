"""Positions: layers that give attention the position of each step."""

# Written by `layerzoo docs` from the files beside it.
from layerzoo.positions.alibi_bias import AlibiBias
from layerzoo.positions.axial_rotary_embedding import AxialRotaryEmbedding
from layerzoo.positions.relative_position_bias import RelativePositionBias
from layerzoo.positions.rotary_embedding import RotaryEmbedding

__all__ = [
    "AlibiBias",
    "AxialRotaryEmbedding",
    "RelativePositionBias",
    "RotaryEmbedding",
]
