"""Blocks: the units that are stacked in Transformers and convolutional networks."""
