"""Recurrence: layers that carry a state from step to step but train in parallel."""

# Written by `layerzoo docs` from the files beside it.
from layerzoo.recurrence.gated_delta_net import GatedDeltaNet
from layerzoo.recurrence.gated_linear_attention import GatedLinearAttention
from layerzoo.recurrence.selective_state_space import SelectiveStateSpace

__all__ = [
    "GatedDeltaNet",
    "GatedLinearAttention",
    "SelectiveStateSpace",
]
