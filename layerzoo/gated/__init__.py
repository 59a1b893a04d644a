"""Gated: layers in which one part of the computation decides how much of another part passes."""

# Written by `layerzoo docs` from the files beside it.
from layerzoo.gated.gated_mlp import GatedMLP

__all__ = [
    "GatedMLP",
]
