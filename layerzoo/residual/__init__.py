"""Residual: shortcut connections around layers, and stochastic depth for their branches."""

# Written by `layerzoo docs` from the files beside it.
from layerzoo.residual.drop_path import DropPath
from layerzoo.residual.hyper_connections import HyperConnections
from layerzoo.residual.layer_scale import LayerScale
from layerzoo.residual.re_zero import ReZero
from layerzoo.residual.residual import Residual

__all__ = [
    "DropPath",
    "HyperConnections",
    "LayerScale",
    "ReZero",
    "Residual",
]
