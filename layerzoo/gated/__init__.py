"""Gated: layers in which one branch controls how much of another branch passes."""

# Written by `layerzoo docs` from the files beside it.
from layerzoo.gated.adaptive_layer_norm import AdaptiveLayerNorm
from layerzoo.gated.fi_lm import FiLM
from layerzoo.gated.gated_mlp import GatedMLP
from layerzoo.gated.gated_norm import GatedNorm
from layerzoo.gated.glu import GLU
from layerzoo.gated.highway import Highway

__all__ = [
    "GLU",
    "AdaptiveLayerNorm",
    "FiLM",
    "GatedMLP",
    "GatedNorm",
    "Highway",
]
