"""Parity of `GatedNorm` with the gated norms of Qwen3-Next and, in the other order, of Mamba-2."""

import pytest
from arrays import close, random
from parity.upstream import number, randomised, run, torch

from layerzoo import GatedNorm

qwen3_next = pytest.importorskip(
    "transformers.models.qwen3_next.modeling_qwen3_next",
    reason="this layer is compared with that of transformers",
)
mamba2 = pytest.importorskip(
    "transformers.models.mamba2.modeling_mamba2",
    reason="this layer is compared with that of transformers",
)


def made_like(theirs, **config):
    """A layer with the weights of a module."""
    randomised(theirs)
    layer = GatedNorm(**config)
    layer.build((None, 12))
    layer.scale.assign(number(theirs.weight))
    return layer


@pytest.mark.parametrize("epsilon", [1e-6, 1e-2])
@pytest.mark.parametrize("shape", [(2, 5, 12), (2, 5, 3, 12)])
def test_norm_before_gate_of_qwen3_next(shape, epsilon):
    theirs = qwen3_next.Qwen3NextRMSNormGated(12, eps=epsilon)
    layer = made_like(theirs, epsilon=epsilon)
    x, gate = random(*shape), random(*shape, seed=1)
    close(layer(x, gate=gate), run(theirs, x, gate))


@pytest.mark.parametrize("group_size", [12, 4])
def test_gate_before_norm_of_mamba2(group_size):
    theirs = mamba2.MambaRMSNormGated(12, group_size)
    layer = made_like(theirs, group_size=group_size)
    x, gate = random(2, 5, 12), random(2, 5, 12, seed=1)
    close(layer(x * run(torch.nn.functional.silu, gate)), run(theirs, x, gate))
    close(layer(x), run(theirs, x))
