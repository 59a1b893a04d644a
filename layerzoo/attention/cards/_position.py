"""What the cards of attention try as `position`."""

from layerzoo.positions.alibi_bias import AlibiBias
from layerzoo.positions.relative_position_bias import RelativePositionBias
from layerzoo.positions.rotary_embedding import RotaryEmbedding


def position(pick):
    """No position, or one of the layers that stand for one, made anew."""
    kind = pick([None, RotaryEmbedding, AlibiBias, RelativePositionBias])
    if kind is RelativePositionBias:
        return RelativePositionBias(num_buckets=8, max_distance=5)
    return kind and kind()
