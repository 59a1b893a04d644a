"""Parity with the wiring of google-research's Temporal Fusion Transformer, in layers of PyTorch.

Its code is for TensorFlow 1. These modules are wired as its `lstm_combine_and_mask` is: a network for each
embedded variable, and one for the weights that also takes the static context.
"""

import keras
import numpy as np
import pytest
from arrays import close, random
from parity.test_tft_gated_residual_network import Network, copy_network
from parity.upstream import kernel, number, randomised, torch

from layerzoo import VariableSelection

nn = torch.nn


class Selection(nn.Module):
    def __init__(self, widths, units, context=None):
        super().__init__()
        self.embed = nn.ModuleList(nn.Linear(width, units) for width in widths)
        self.each = nn.ModuleList(Network(units, units, units) for _ in widths)
        self.weights = Network(len(widths) * units, units, len(widths), context)

    def forward(self, variables, context=None):
        embedded = [embed(x) for embed, x in zip(self.embed, variables, strict=True)]
        weights = torch.softmax(self.weights(torch.cat(embedded, -1), context), -1)
        processed = [network(x) for network, x in zip(self.each, embedded, strict=True)]
        return (torch.stack(processed, -1) * weights[..., None, :]).sum(-1), weights


def stacked(modules, part, layer):
    """Give a map of all variables the weights of a linear map for each."""
    modules = [getattr(module, part) if part else module for module in modules]
    layer.kernel.assign(np.stack([kernel(module) for module in modules]))
    bias = np.stack([number(module.bias) for module in modules])
    layer.bias.assign(bias.reshape(layer.bias.shape))


@pytest.mark.parametrize("widths", [(1, 1, 1), (2, 3, 1)])
@pytest.mark.parametrize("context", [None, 3])
def test_variable_selection(widths, context):
    theirs = randomised(Selection(widths, 6, context))
    layer = VariableSelection(6)
    x = [random(2, 5, width, seed=i) for i, width in enumerate(widths)]
    c = None if context is None else random(2, context, seed=9)
    given = {} if c is None else dict(context=c)
    layer(x, **given)
    if isinstance(layer.embed, list):
        for module, embed in zip(theirs.embed, layer.embed, strict=True):
            embed.set_weights([kernel(module), number(module.bias)])
    else:
        stacked(theirs.embed, None, layer.embed)
    copy_network(theirs.weights, layer.select)
    for part, name in dict(
        hidden="project_inputs", second="project_hidden", value="value", gate="gate"
    ).items():
        stacked(theirs.each, part, getattr(layer, name))
    layer.gamma.assign(np.stack([number(network.norm.weight) for network in theirs.each]))
    layer.beta.assign(np.stack([number(network.norm.bias) for network in theirs.each]))
    with torch.no_grad():
        known = None if c is None else torch.tensor(c)[:, None]
        expected = theirs([torch.tensor(each) for each in x], known)
    found = layer(x, **given, return_attention_scores=True)
    for ours, due in zip(keras.tree.flatten(found), expected, strict=True):
        close(ours, due.numpy())
