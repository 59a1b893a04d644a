"""The hunting ground: the kit run over every layer that Keras ships, and what it found there."""
