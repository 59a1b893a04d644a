"""Parity of the dilated causal blocks with PyTorch's convolutions, padded on the left alone."""

import numpy as np
import pytest
from arrays import close, random
from parity.upstream import copy, randomised, torch

from layerzoo import TemporalBlock, WaveNetBlock

nn, F = torch.nn, torch.nn.functional


def causal(convolution, x):
    """A convolution of `(b, c, t)` that sees no later step."""
    steps = (convolution.kernel_size[0] - 1) * convolution.dilation[0]
    return convolution(F.pad(x, (steps, 0)))


def time_first(x):
    return x.detach().numpy().swapaxes(1, 2)


@pytest.mark.parametrize(("kernel_size", "dilation"), [(2, 1), (3, 4)])
@pytest.mark.parametrize("filters", [6, 8])
def test_temporal_block(filters, kernel_size, dilation):
    one, two, project = (
        randomised(module)
        for module in (
            nn.Conv1d(6, filters, kernel_size, dilation=dilation),
            nn.Conv1d(filters, filters, kernel_size, dilation=dilation),
            nn.Conv1d(6, filters, 1),
        )
    )
    layer = TemporalBlock(filters, kernel_size, dilation)
    x = random(2, 12, 6)
    layer.build(x.shape)
    copy(one, layer.convolve_1)
    copy(two, layer.convolve_2)
    z = torch.tensor(np.swapaxes(x, 1, 2))
    hidden = F.relu(causal(two, F.relu(causal(one, z))))
    shortcut = z
    if filters != 6:
        copy(project, layer.project)
        shortcut = project(z)
    close(layer(x), time_first(F.relu(shortcut + hidden)))


@pytest.mark.parametrize(("kernel_size", "dilation"), [(2, 1), (3, 4)])
def test_wave_net_block(kernel_size, dilation):
    signal, gate = (
        randomised(nn.Conv1d(6, 5, kernel_size, dilation=dilation), seed) for seed in (0, 1)
    )
    residual, skip = randomised(nn.Conv1d(5, 6, 1)), randomised(nn.Conv1d(5, 4, 1))
    layer = WaveNetBlock(5, kernel_size, dilation, skip_filters=4)
    x = random(2, 12, 6)
    layer.build(x.shape)
    copy(signal, layer.filter)
    copy(gate, layer.gate)
    copy(residual, layer.project)
    copy(skip, layer.project_skip)
    z = torch.tensor(np.swapaxes(x, 1, 2))
    gated = torch.tanh(causal(signal, z)) * torch.sigmoid(causal(gate, z))
    outputs, skipped = layer(x)
    close(outputs, time_first(z + residual(gated)))
    close(skipped, time_first(skip(gated)))
