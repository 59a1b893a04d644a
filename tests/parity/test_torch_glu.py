"""Parity of `GLU` with PyTorch's `F.glu` behind a linear layer, and with timm's gated MLP."""

import pytest
from arrays import close, random
from parity.upstream import copy, kernel, randomised, run, torch

from layerzoo import GLU


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(3, 6), (2, 5, 6)])
def test_glu(bias, shape):
    theirs = torch.nn.Sequential(torch.nn.Linear(6, 8, bias=bias), torch.nn.GLU(dim=-1))
    randomised(theirs)
    layer = GLU(4, use_bias=bias)
    layer.build((None, 6))
    copy(theirs[0], layer.project)
    x = random(*shape)
    close(layer(x), run(theirs, x))
    close(layer(x), run(lambda z: torch.nn.functional.glu(theirs[0](z)), x))


@pytest.mark.parametrize(("module", "name"), [("Sigmoid", "sigmoid"), ("GELU", "gelu")])
def test_the_first_half_of_timm_s_gated_mlp(module, name):
    timm = pytest.importorskip("timm", reason="this layer is compared with timm's")
    theirs = timm.layers.GluMlp(6, 8, act_layer=getattr(torch.nn, module))
    randomised(theirs)
    layer = GLU(4, name)
    layer.build((None, 6))
    copy(theirs.fc1, layer.project)
    x = random(2, 5, 6)
    projected = layer(x) @ kernel(theirs.fc2) + theirs.fc2.bias.detach().numpy()
    close(projected, run(theirs, x))
