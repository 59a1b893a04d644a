"""What the cards of the wrappers share: a layer of images to wrap, and what a wrapped layer does."""

from layerzoo.attention.self_attention import SelfAttention
from layerzoo.channels.squeeze_excite import SqueezeExcite


def gate():
    """A layer of channels-first images, which needs no convolution: TensorFlow has none for them on a CPU."""
    return SqueezeExcite(2, data_format="channels_first")


def attends(config):
    """Whether the branch mixes the steps of a sequence."""
    return isinstance(config["layer"], SelfAttention)
