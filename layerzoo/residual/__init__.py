"""Residual: layers that add what they compute to what they were given."""

from layerzoo.residual.drop_path import DropPath
from layerzoo.residual.residual import Residual

__all__ = ["DropPath", "Residual"]
