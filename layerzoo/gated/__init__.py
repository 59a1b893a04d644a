"""Gated: layers in which one branch controls how much of another branch passes."""

# Written by `layerzoo docs` from the files beside it.
from layerzoo.gated.gated_mlp import GatedMLP
from layerzoo.gated.mixture_of_experts import MixtureOfExperts

__all__ = [
    "GatedMLP",
    "MixtureOfExperts",
]
