"""Gated: layers in which one branch controls how much of another branch passes."""

# Written by `layerzoo docs` from the files beside it.
from layerzoo.gated.gated_cross_attention import GatedCrossAttention
from layerzoo.gated.gated_mlp import GatedMLP
from layerzoo.gated.gated_residual_network import GatedResidualNetwork
from layerzoo.gated.variable_selection import VariableSelection

__all__ = [
    "GatedCrossAttention",
    "GatedMLP",
    "GatedResidualNetwork",
    "VariableSelection",
]
