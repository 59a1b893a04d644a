"""What the cards of the wrappers share: a layer of images to wrap, and what a wrapped layer does."""

from layerzoo.attention.self_attention import SelfAttention
from layerzoo.channels.squeeze_excite import SqueezeExcite


def gate():
    """A layer of channels-first images, which needs no convolution: TensorFlow has none for them on a CPU."""
    return SqueezeExcite(2, data_format="channels_first")


def attends(config):
    """Whether the branch mixes the steps of a sequence."""
    return isinstance(config["layer"], SelfAttention)


def goes_on(config):
    """Whether no output depends on later steps, so that the layer continues from a state; None for images."""
    if config.get("data_format"):
        return None
    return not attends(config) or config["layer"].causal
