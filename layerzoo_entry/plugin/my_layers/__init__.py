"""Layers for Keras 3. Importing the package registers them, so that saved models can be loaded."""

from my_layers.affine import Affine

__all__ = ["Affine"]
