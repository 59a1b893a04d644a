import keras
import numpy as np
import pytest
from arrays import close, random
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops

from layerzoo import GatedNorm

ACTIVATIONS = {
    "silu": lambda z: z / (1 + np.exp(-z)),
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    None: lambda z: z,
}


def reference(x, weights, gate=None, activation="silu", group_size=None, epsilon=1e-6):
    """The docstring's equation in float64, group by group."""
    x = x.astype("float64")
    y = np.zeros(x.shape)
    size = group_size or x.shape[-1]
    for place in np.ndindex(*x.shape[:-1]):
        for start in range(0, x.shape[-1], size):
            group = slice(start, start + size)
            square = sum(v * v for v in x[place][group]) / size
            y[place][group] = weights["scale"][group] * x[place][group] / np.sqrt(square + epsilon)
    return y if gate is None else y * ACTIVATIONS[activation](gate.astype("float64"))


def built(randomise, width=6, **config):
    layer = GatedNorm(**config)
    layer.build((None, width))
    return layer, randomise(layer)


@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(
    shape=st.sampled_from([(3, 6), (2, 5, 6), (2, 3, 2, 6)]),
    activation=st.sampled_from(list(ACTIVATIONS)),
    group_size=st.sampled_from([None, 1, 2, 6, np.int64(3)]),
    epsilon=st.sampled_from([1e-6, 0.1]),
    gated=st.booleans(),
    seed=st.integers(0, 99),
)
def test_equals_the_reference(randomise, shape, activation, group_size, epsilon, gated, seed):
    layer, weights = built(randomise, activation=activation, group_size=group_size, epsilon=epsilon)
    x, gate = random(*shape, seed=seed), random(*shape, seed=[seed, 1]) if gated else None
    expected = reference(x, weights, gate, activation, group_size, epsilon)
    close(layer(x, gate=gate), expected)


def test_the_gate_sets_the_scale_and_the_inputs_do_not(randomise):
    layer, _ = built(randomise, activation=None, epsilon=1e-12)
    x, gate = random(2, 5, 6), random(2, 5, 6, seed=1)
    y = ops.convert_to_numpy(layer(x, gate=gate))
    close(layer(100 * x, gate=gate), y)
    close(layer(x, gate=3 * gate), 3 * y)


def test_the_norm_comes_first_and_mamba_s_order_is_made_without_a_gate(randomise):
    layer, weights = built(randomise, group_size=2)
    x, gate = random(2, 5, 6), random(2, 5, 6, seed=1)
    silu = gate / (1 + np.exp(-gate))
    first = reference(x, weights, gate, group_size=2)
    second = reference(x * silu, weights, group_size=2)
    assert np.abs(first - second).max() > 0.1
    close(layer(x, gate=gate), first)
    close(layer(x * silu), second)


def test_a_layer_built_without_a_gate_takes_one_later(randomise, tmp_path):
    x, gate = random(2, 5, 6), random(2, 5, 6, seed=1)
    layer = GatedNorm(group_size=3)
    model = keras.Sequential([keras.Input((None, 6)), layer])
    weights = randomise(layer)
    close(model(x), reference(x, weights, group_size=3))
    close(layer(x, gate=gate), reference(x, weights, gate, group_size=3))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras").layers[-1]
    close(loaded(x, gate=gate), layer(x, gate=gate), relative=0)


def test_large_numbers_in_half_precision_stay_finite(randomise):
    layer = GatedNorm(dtype="mixed_float16")
    x = np.full((2, 6), 3e4, "float32")
    y = ops.convert_to_numpy(layer(x, gate=np.full((2, 6), 8.0, "float32")))
    assert layer.scale.dtype == "float32"
    assert y.dtype == "float16"
    np.testing.assert_allclose(y, 8 / (1 + np.exp(-8.0)), rtol=1e-3)


def test_sizes_may_be_unknown_and_the_mask_of_the_inputs_passes(randomise):
    layer, weights = built(randomise, group_size=2)
    inputs, gate = keras.Input((None, 6)), keras.Input((None, 6))
    y = layer(layers.Masking()(inputs), gate=gate)
    model = keras.Model([inputs, gate], layers.GlobalAveragePooling1D()(y))
    x, z = random(2, 5, 6), random(2, 5, 6, seed=1)
    x[:, 3:] = 0
    expected = reference(x, weights, z, group_size=2)[:, :3].mean(axis=1)
    close(model.predict([x, z], verbose=0), expected)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("shape", [(2, 6), (2, 5, 1), (2, 1, 6), (1, 5, 6), (2, 5, 6, 1)])
def test_a_gate_of_another_shape_is_refused(randomise, when, shape):
    layer = built(randomise)[0] if when == "after" else GatedNorm()
    with pytest.raises(ValueError, match=r"`gate` must have the shape .*Received: gate of shape"):
        layer(random(2, 5, 6), gate=random(*shape))
    with pytest.raises(ValueError, match=r"`gate` must have the shape"):
        layer(keras.Input((5, 6)), gate=keras.Input((*shape[1:], 2)))
    assert layer.built == (when == "after")


def test_what_is_no_tensor_is_refused(randomise):
    layer, _ = built(randomise)
    with pytest.raises(TypeError, match=r"`gate` must be a tensor or None\. Received: gate=\[1\]"):
        layer(random(2, 6), gate=[1])


def test_a_group_that_does_not_divide_the_width_is_refused():
    layer = GatedNorm(group_size=4)
    with pytest.raises(ValueError, match=r"must divide .*group_size=4, input_shape=\(2, 6\)"):
        layer(random(2, 6))
    assert not layer.built
    assert not layer.variables
