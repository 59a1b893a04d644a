"""Parity of `AdaptiveLayerNorm` with the block of DiT, written with timm's attention and MLP in PyTorch."""

import keras
import numpy as np
import pytest
from arrays import close, random
from keras import layers
from parity.upstream import copy, copy_fused, kernel, randomised, run, torch

from layerzoo import AdaptiveLayerNorm, SelfAttention

timm = pytest.importorskip("timm", reason="the block of DiT is made of timm's layers")
from timm.models import vision_transformer  # noqa: E402

WIDTH, HEADS, HIDDEN, CONDITION = 12, 3, 20, 7


def modulate(x, shift, scale):
    """Equation of DiT: one shift and one scale for all steps of a sample."""
    return x * (1 + scale.unsqueeze(1)) + shift.unsqueeze(1)


class Block(torch.nn.Module):
    """adaLN-Zero: six kinds of numbers from one projection, three for each branch."""

    def __init__(self):
        super().__init__()
        self.norm1 = torch.nn.LayerNorm(WIDTH, elementwise_affine=False, eps=1e-6)
        self.attn = vision_transformer.Attention(WIDTH, num_heads=HEADS, qkv_bias=True)
        self.norm2 = torch.nn.LayerNorm(WIDTH, elementwise_affine=False, eps=1e-6)
        self.mlp = timm.layers.Mlp(
            WIDTH, HIDDEN, act_layer=lambda: torch.nn.GELU(approximate="tanh")
        )
        self.adaLN = torch.nn.Sequential(torch.nn.SiLU(), torch.nn.Linear(CONDITION, 6 * WIDTH))

    def forward(self, x, c):
        shift1, scale1, gate1, shift2, scale2, gate2 = self.adaLN(c).chunk(6, dim=1)
        x = x + gate1.unsqueeze(1) * self.attn(modulate(self.norm1(x), shift1, scale1))
        return x + gate2.unsqueeze(1) * self.mlp(modulate(self.norm2(x), shift2, scale2))


class Last(torch.nn.Module):
    """The end of DiT: the modulated norm, and a projection."""

    def __init__(self):
        super().__init__()
        self.norm = torch.nn.LayerNorm(WIDTH, elementwise_affine=False, eps=1e-6)
        self.linear = torch.nn.Linear(WIDTH, 5)
        self.adaLN = torch.nn.Sequential(torch.nn.SiLU(), torch.nn.Linear(CONDITION, 2 * WIDTH))

    def forward(self, x, c):
        shift, scale = self.adaLN(c).chunk(2, dim=1)
        return self.linear(modulate(self.norm(x), shift, scale))


def give(theirs, layer, half):
    """Give a layer a part of the projection."""
    weight, bias = kernel(theirs), theirs.bias.detach().numpy()
    layer.project.kernel.assign(weight[:, half])
    layer.bias.assign(bias[half])


def test_block():
    theirs = randomised(Block())
    attention = AdaptiveLayerNorm(SelfAttention(HEADS))
    gelu = lambda x: keras.ops.gelu(x, approximate=True)  # noqa: E731
    mlp = AdaptiveLayerNorm([layers.Dense(HIDDEN, activation=gelu), layers.Dense(WIDTH)])
    x, c = random(2, 5, WIDTH), random(2, CONDITION, seed=1)
    mlp(attention(x, condition=c), condition=c)
    give(theirs.adaLN[1], attention, np.s_[: 3 * WIDTH])
    give(theirs.adaLN[1], mlp, np.s_[3 * WIDTH :])
    copy_fused(theirs.attn.qkv, attention.layer.project_in, HEADS, 3)
    copy(theirs.attn.proj, attention.layer.project_out)
    copy(theirs.mlp.fc1, mlp.layer[0])
    copy(theirs.mlp.fc2, mlp.layer[1])
    close(mlp(attention(x, condition=c), condition=c), run(theirs, x, c))


def test_last_layer():
    theirs = randomised(Last())
    layer, linear = AdaptiveLayerNorm(), layers.Dense(5)
    x, c = random(2, 5, WIDTH), random(2, CONDITION, seed=1)
    linear(layer(x, condition=c))
    give(theirs.adaLN[1], layer, np.s_[:])
    copy(theirs.linear, linear)
    close(linear(layer(x, condition=c)), run(theirs, x, c))
