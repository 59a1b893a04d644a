"""Parity with the wiring of google-research's Temporal Fusion Transformer, in layers of PyTorch.

Its code is for TensorFlow 1. These modules are wired as its `gated_residual_network` is.
"""

import pytest
from arrays import close, random
from parity.upstream import copy, number, randomised, run, torch

from layerzoo import GatedResidualNetwork

nn = torch.nn


class Network(nn.Module):
    def __init__(self, width, hidden, units, context=None):
        super().__init__()
        self.hidden, self.second = nn.Linear(width, hidden), nn.Linear(hidden, hidden)
        self.context = nn.Linear(context, hidden, bias=False) if context else None
        self.skip = nn.Linear(width, units) if width != units else nn.Identity()
        self.value, self.gate = nn.Linear(hidden, units), nn.Linear(hidden, units)
        self.norm = nn.LayerNorm(units, eps=1e-3)

    def forward(self, x, context=None):
        hidden = self.hidden(x)
        if context is not None:
            hidden = hidden + self.context(context)
        hidden = self.second(nn.functional.elu(hidden))
        glu = self.value(hidden) * torch.sigmoid(self.gate(hidden))
        return self.norm(self.skip(x) + glu)


def copy_network(theirs, layer):
    copy(theirs.hidden, layer.project_inputs)
    copy(theirs.second, layer.project_hidden)
    copy(theirs.value, layer.value)
    copy(theirs.gate, layer.gate)
    layer.norm.set_weights([number(theirs.norm.weight), number(theirs.norm.bias)])
    if theirs.context is not None:
        copy(theirs.context, layer.project_context)
    if isinstance(theirs.skip, nn.Linear):
        copy(theirs.skip, layer.shortcut)


@pytest.mark.parametrize(("width", "hidden", "units"), [(8, 8, 8), (5, 12, 8)])
def test_without_context(width, hidden, units):
    theirs = randomised(Network(width, hidden, units))
    layer = GatedResidualNetwork(units, hidden)
    layer.build((None, None, width))
    copy_network(theirs, layer)
    x = random(3, 7, width)
    close(layer(x), run(theirs, x))


def test_with_a_static_context_at_every_step():
    theirs = randomised(Network(8, 8, 8, context=3))
    layer = GatedResidualNetwork(8)
    layer.build((None, None, 8), (None, 3))
    copy_network(theirs, layer)
    x, c = random(2, 7, 8), random(2, 3, seed=1)
    close(layer(x, context=c), run(theirs, x, c[:, None]))
