"""Recurrence: layers that carry a state from step to step but train in parallel."""

# Written by `layerzoo docs` from the files beside it.
from layerzoo.recurrence.min_gru import MinGRU
from layerzoo.recurrence.min_lstm import MinLSTM
from layerzoo.recurrence.rglru import RGLRU
from layerzoo.recurrence.short_convolution import ShortConvolution

__all__ = [
    "RGLRU",
    "MinGRU",
    "MinLSTM",
    "ShortConvolution",
]
