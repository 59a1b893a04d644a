"""Gated: layers in which one half of the computation decides how much of the other passes."""

from layerzoo.gated.gated_mlp import GatedMLP

__all__ = ["GatedMLP"]
