import keras
import numpy as np
import pytest
from arrays import random
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops

from layerzoo import DropPath


def reference(x, kept, rate):
    """The docstring's equation in float64, one sample at a time."""
    return np.stack([x[b].astype("float64") * kept[b] / (1 - rate) for b in range(len(x))])


@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(
    shape=st.sampled_from([(7,), (5, 3), (4, 5, 3), (3, 2, 2, 2)]),
    rate=st.sampled_from([0.0, 0.1, 0.5, 0.9]),
    seed=st.integers(0, 99),
)
def test_each_sample_is_dropped_or_scaled_as_a_whole(shape, rate, seed):
    x = random(*shape, seed=seed)
    y = ops.convert_to_numpy(DropPath(rate, seed=seed)(x, training=True))
    kept = [bool(sample.any()) for sample in y]
    np.testing.assert_allclose(y, reference(x, kept, rate), rtol=1e-6)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_the_expectation_is_the_input(rate):
    samples = 20_000
    y = ops.convert_to_numpy(DropPath(rate, seed=3)(np.ones((samples, 1)), training=True))
    sigma = np.sqrt(rate / (1 - rate) / samples)
    assert abs(y.mean() - 1) < 6 * sigma
    assert set(np.unique(y)) == {0, np.float32(1 / (1 - rate))}


def test_samples_are_drawn_independently():
    layer = DropPath(0.5, seed=4)
    kept = [ops.convert_to_numpy(layer(np.ones((8, 1)), training=True)) for _ in range(400)]
    correlation = np.corrcoef(np.stack(kept)[..., 0].T)
    assert np.abs(correlation - np.eye(8)).max() < 6 / np.sqrt(400)


def test_rates_zero_and_one():
    x = random(4, 3)
    np.testing.assert_array_equal(ops.convert_to_numpy(DropPath(0.0)(x, training=True)), x)
    assert not ops.convert_to_numpy(DropPath(1.0)(x * np.inf, training=True)).any()


@pytest.mark.parametrize("training", [None, False])
def test_inference_is_the_identity(training):
    x = random(4, 3)
    np.testing.assert_array_equal(ops.convert_to_numpy(DropPath(0.5)(x, training=training)), x)


@pytest.mark.parametrize("rate", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float32"])
def test_the_compute_dtype_is_kept(policy, rate):
    layer = DropPath(rate, dtype=policy)
    y = layer(random(4, 3), training=True)
    assert keras.backend.standardize_dtype(y.dtype) == layer.compute_dtype


def test_compiled_steps_draw_anew_and_a_seed_repeats_them():
    x = random(16, 1)  # each choice of samples has a mean of its own

    def losses(seed):
        # The rate of learning is 0, so that two steps differ by their draws alone.
        last = layers.Dense(1, use_bias=False, kernel_initializer="ones")
        model = keras.Sequential([keras.Input((1,)), DropPath(0.5, seed=seed), last])
        model.compile(keras.optimizers.SGD(0.0), loss=lambda y, output: ops.mean(output))
        drawn = [float(model.train_on_batch(x, x)) for _ in range(4)]
        np.testing.assert_allclose(model.predict(x, verbose=0), x, rtol=1e-6)
        return drawn

    drawn = losses(seed=5)
    assert len(set(drawn)) == 4
    assert losses(seed=5) == drawn


def test_every_axis_may_be_unknown_and_the_mask_passes():
    assert DropPath(0.5)(keras.Input((None, None))).shape == (None, None, None)
    model = keras.Sequential(
        [
            keras.Input((None, 4)),
            layers.Masking(),
            DropPath(0.5),
            layers.GlobalAveragePooling1D(),
        ]
    )
    x = random(2, 5, 4)
    x[:, 3:] = 0
    np.testing.assert_allclose(model.predict(x, verbose=0), x[:, :3].mean(axis=1), atol=1e-6)


def test_a_scalar_is_refused():
    layer = DropPath(0.5)
    with pytest.raises(ValueError, match=r"min_ndim=1, found ndim=0"):
        layer(np.float32(1))
    assert not layer.built
