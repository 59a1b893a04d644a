"""Residual: wrappers that add what a layer computes to what it was given."""

# Written by `layerzoo docs` from the files beside it.
from layerzoo.residual.drop_path import DropPath
from layerzoo.residual.residual import Residual

__all__ = [
    "DropPath",
    "Residual",
]
