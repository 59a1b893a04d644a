"""Gated: layers in which one branch controls how much of another branch passes."""

# Written by `layerzoo docs` from the files beside it.
from layerzoo.gated.adaptive_layer_norm import AdaptiveLayerNorm
from layerzoo.gated.fi_lm import FiLM
from layerzoo.gated.gated_cross_attention import GatedCrossAttention
from layerzoo.gated.gated_mlp import GatedMLP
from layerzoo.gated.gated_norm import GatedNorm
from layerzoo.gated.gated_residual_network import GatedResidualNetwork
from layerzoo.gated.glu import GLU
from layerzoo.gated.highway import Highway
from layerzoo.gated.mixture_of_experts import MixtureOfExperts
from layerzoo.gated.variable_selection import VariableSelection

__all__ = [
    "GLU",
    "AdaptiveLayerNorm",
    "FiLM",
    "GatedCrossAttention",
    "GatedMLP",
    "GatedNorm",
    "GatedResidualNetwork",
    "Highway",
    "MixtureOfExperts",
    "VariableSelection",
]
