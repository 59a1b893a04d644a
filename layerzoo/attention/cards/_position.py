"""The values of `position` that the cards of attention layers try."""

from layerzoo.positions.alibi_bias import AlibiBias
from layerzoo.positions.relative_position_bias import RelativePositionBias
from layerzoo.positions.rotary_embedding import RotaryEmbedding


def position(pick):
    """None, or a new layer that encodes positions."""
    kind = pick([None, RotaryEmbedding, AlibiBias, RelativePositionBias])
    if kind is RelativePositionBias:
        return RelativePositionBias(num_buckets=8, max_distance=5)
    return kind and kind()
