"""Recurrence: layers that carry a state from step to step but train in parallel."""

# Written by `layerzoo docs` from the files beside it.
from layerzoo.recurrence.gated_delta_net import GatedDeltaNet
from layerzoo.recurrence.gated_linear_attention import GatedLinearAttention
from layerzoo.recurrence.min_gru import MinGRU
from layerzoo.recurrence.min_lstm import MinLSTM
from layerzoo.recurrence.rglru import RGLRU
from layerzoo.recurrence.selective_state_space import SelectiveStateSpace
from layerzoo.recurrence.short_convolution import ShortConvolution

__all__ = [
    "RGLRU",
    "GatedDeltaNet",
    "GatedLinearAttention",
    "MinGRU",
    "MinLSTM",
    "SelectiveStateSpace",
    "ShortConvolution",
]
