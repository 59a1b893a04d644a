"""Blocks: the units that people stack, in Transformers and in convolutional networks."""
