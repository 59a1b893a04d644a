"""A part that is handed in with another dtype policy than its owner's fits in, whatever meets."""

import inspect

import keras
import numpy as np
import pytest
from keras import layers, ops

from layerzoo import (
    AlibiBias,
    ConvolutionalBlockAttention,
    CrossAttention,
    GatedMLP,
    HyperConnections,
    LinearAttention,
    RelativePositionBias,
    Residual,
    ReZero,
    RotaryEmbedding,
    SelfAttention,
    SqueezeExcite,
    TransformerEncoderBlock,
)


def kind(x):
    return keras.backend.standardize_dtype(x.dtype)


def values(x):
    return ops.convert_to_numpy(ops.cast(x, "float32"))


PARTS = {
    "rotary": lambda p: SelfAttention(2, position=RotaryEmbedding(), dtype=p),
    "rotary, causal, normalised": lambda p: SelfAttention(
        2, position=RotaryEmbedding(), qk_norm=True, causal=True, dtype=p
    ),
    "rotary, grouped, window": lambda p: SelfAttention(
        2, num_key_value_heads=1, position=RotaryEmbedding(), window=3, dtype=p
    ),
    "rotary, dropout": lambda p: SelfAttention(2, position=RotaryEmbedding(), dropout=0.1, dtype=p),
    "ALiBi": lambda p: SelfAttention(2, position=AlibiBias(), qk_norm=True, dtype=p),
    "relative": lambda p: SelfAttention(2, position=RelativePositionBias(8, 5), dtype=p),
    "cross, rotary": lambda p: CrossAttention(2, position=RotaryEmbedding(), qk_norm=True, dtype=p),
    "gate": lambda p: GatedMLP(6, activation=layers.LeakyReLU(), dtype=p),
    "features": lambda p: LinearAttention(2, feature_map=layers.Activation("softplus"), dtype=p),
    "excitation": lambda p: SqueezeExcite(
        2, layers.LeakyReLU(), gate_activation=layers.Activation("sigmoid"), dtype=p
    ),
    "branch": lambda p: Residual(layers.Dense(8), norm="pre", scale=0.5, dtype=p),
    "branch of another width": lambda p: Residual(layers.Dense(4), norm="sandwich", dtype=p),
    "branches": lambda p: Residual(
        [SelfAttention(2, position=RotaryEmbedding()), layers.Dense(8)], norm="post", dtype=p
    ),
    "ReZero": lambda p: ReZero([layers.Dense(4), layers.Dense(8)], init_value=0.5, dtype=p),
    "hyper-connections": lambda p: HyperConnections(
        layers.Dense(8), 2, enter=True, leave=True, dtype=p
    ),
    "parts of a block": lambda p: TransformerEncoderBlock(
        attention=SelfAttention(2), mlp=GatedMLP(6), dtype=p
    ),
    "gate of channels": lambda p: ConvolutionalBlockAttention(2, activation=layers.ReLU(), dtype=p),
}
POLICIES = ["float16", "bfloat16", "mixed_float16", "mixed_bfloat16", "float64"]
if keras.backend.backend() == "jax":
    POLICIES = POLICIES[2:4]  # it has no float64 here, and promotes the rest in the same way
OFTEN = ("mixed_bfloat16", "float64")
"""The policies of a default run."""


@pytest.mark.parametrize(
    "policy",
    [pytest.param(p, marks=[] if p in OFTEN else pytest.mark.proof) for p in POLICIES],
)
@pytest.mark.parametrize("make", PARTS.values(), ids=PARTS)
def test_a_part_of_another_policy_fits_in(make, policy):
    keras.utils.set_random_seed(0)
    layer, reference = make(policy), make("float32")
    channels = isinstance(layer, ConvolutionalBlockAttention)
    x = np.random.default_rng(0).normal(size=(2, 5, 5, 8) if channels else (2, 5, 8))
    reference(x)
    layer.build(x.shape)
    layer.set_weights(reference.get_weights())
    takes = inspect.signature(layer.call).parameters
    mask = np.arange(5) < [[5], [3]]
    for training in (False, True):
        for given in ({}, {"mask": mask}):
            how = {name: each for name, each in given.items() if name in takes}
            outputs = layer(x, **how, **({"training": True} if training else {}))
            assert kind(outputs) == layer.compute_dtype
            assert np.isfinite(values(outputs)).all()
            if not training:
                near = 1e-4 if policy == "float64" else 0.1
                due = values(reference(x, **how))
                np.testing.assert_allclose(values(outputs), due, atol=near * max(1, abs(due).max()))
