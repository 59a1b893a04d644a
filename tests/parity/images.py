"""What the comparisons of blocks of images share: moving statistics, and both formats of images."""

import numpy as np
from arrays import close, random
from keras import ops
from parity.upstream import randomised, run, torch


def with_statistics(module):
    """A module at inference with random weights and random moving statistics."""
    randomised(module)
    for i, norm in enumerate(m for m in module.modules() if isinstance(m, torch.nn.BatchNorm2d)):
        norm.running_mean.copy_(torch.tensor(random(norm.num_features, seed=(1, i))))
        norm.running_var.copy_(torch.tensor(random(norm.num_features, seed=(2, i)) ** 2 + 0.5))
    return module


def outputs(layer, x):
    """What a layer of either data format makes of images with the channels first, in that format."""
    if layer.data_format == "channels_first":
        return ops.convert_to_numpy(layer(x))
    return np.moveaxis(ops.convert_to_numpy(layer(np.moveaxis(x, 1, -1))), -1, 1)


def both(theirs, layer, channels, copy):
    """Carry the weights by `copy`, and compare the outputs for images of odd height and width.

    With a stride of 2, PyTorch pads even sizes elsewhere: there the outputs differ, as the page says.
    """
    last = layer.data_format == "channels_last"
    layer.build((None, None, None, channels) if last else (None, channels, None, None))
    copy(theirs, layer)
    x = random(2, channels, 9, 7)
    close(outputs(layer, x), run(theirs, x.copy()))
    if getattr(layer, "strides", 1) == 2:
        x = random(2, channels, 8, 6)
        assert np.abs(outputs(layer, x) - run(theirs, x.copy())).max() > 0.1
