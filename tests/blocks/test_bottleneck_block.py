import keras
import numpy as np
import pytest
from arrays import close, random
from blocks.images import ACTIVATIONS, built, convolve, excite, normalise, turned, turned_back
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from layerzoo import BottleneckBlock, ResNetBlock


def reference(x, weights, strides=1, groups=1, activation="relu", epsilon=1e-5, training=False):
    """Figure 5 of the paper, pixel by pixel in float64; the stride is in the 3×3 convolution."""

    def step(name, z, *moves):
        z = convolve(z, weights[f"{name}/kernel"], *moves)
        return normalise(z, weights, f"{name}_norm", epsilon, training)

    act = ACTIVATIONS[activation]
    hidden = act(step("middle", act(step("reduce", x)), strides, groups))
    branch = step("expand", hidden)
    if "excite/reduce/kernel" in weights:
        branch = excite(branch, weights, act)
    if "project/kernel" in weights:
        x = step("project", x, strides)
    return act(x + branch)


@settings(max_examples=16, deadline=None, derandomize=True, database=None)
@given(
    shape=st.sampled_from([(2, 5, 4, 8), (1, 6, 6, 6), (3, 1, 2, 8)]),
    filters=st.sampled_from([8, 16]),
    strides=st.sampled_from([1, 2, 3]),
    groups=st.sampled_from([1, 2]),
    width=st.sampled_from([None, 6]),
    squeeze_ratio=st.sampled_from([None, 2, 50]),
    activation=st.sampled_from(["relu", "silu"]),
    epsilon=st.sampled_from([1e-5, 0.1]),
    data_format=st.sampled_from(["channels_last", "channels_first"]),
    training=st.booleans(),
    seed=st.integers(0, 99),
)
def test_equals_the_reference(
    randomise, shape, filters, width, squeeze_ratio, data_format, training, seed, **config
):
    layer = BottleneckBlock(
        filters, width=width, squeeze_ratio=squeeze_ratio, data_format=data_format, **config
    )
    x = random(*shape, seed=seed)
    _, weights = built(randomise, layer, shape[-1], seed)
    projected = config["strides"] > 1 or filters != shape[-1]
    assert len(weights) == 15 + 5 * projected + 4 * (squeeze_ratio is not None)
    assert weights["middle/kernel"].shape[-1] == (width or filters // 4)
    y = turned_back(layer(turned(x, data_format), training=training), data_format)
    close(y, reference(x, weights, training=training, **config), 1e-4 if training else 1e-5)


@pytest.mark.parametrize("filters", [8, 16])
def test_a_branch_that_starts_at_zero_leaves_the_shortcut_and_can_be_trained(gradients, filters):
    layer = BottleneckBlock(filters, zero_init=True, squeeze_ratio=4)
    x = random(2, 5, 3, 8)
    layer.build(x.shape)
    shortcut = ops.convert_to_tensor(x)
    if filters != 8:
        shortcut = layer.project_norm(layer.project(x))
    np.testing.assert_array_equal(*map(ops.convert_to_numpy, (layer(x), ops.relu(shortcut))))
    paths = [weight.path for weight in layer.trainable_weights]
    moved = gradients(layer, x)[1:][paths.index(layer.expand_norm.gamma.path)]
    assert np.mean(moved != 0) > 0.5


def test_it_has_a_seventeenth_of_the_weights_of_two_full_convolutions():
    small, large = BottleneckBlock(256), ResNetBlock(256)
    kernels = []
    for layer in (small, large):
        layer.build((None, None, None, 256))
        kernels.append(sum(int(np.prod(w.shape)) for w in layer.weights if w.name == "kernel"))
    assert kernels == [69_632, 1_179_648]


def test_training_moves_the_statistics_and_a_frozen_block_keeps_them(randomise):
    x = random(8, 6, 5, 8) + 1
    for frozen in (False, True):
        layer, weights = built(
            randomise, BottleneckBlock(8, momentum=0.75, trainable=not frozen), 8
        )
        at_rest = ops.convert_to_numpy(layer(x))
        y = ops.convert_to_numpy(layer(x, training=True))
        before = weights["reduce_norm/moving_mean"]
        batch = convolve(x, weights["reduce/kernel"]).mean(axis=(0, 1, 2))
        close(layer.reduce_norm.moving_mean, before if frozen else 0.75 * before + 0.25 * batch)
        assert np.array_equal(y, at_rest) == frozen


def test_a_dropped_sample_leaves_its_shortcut(randomise):
    layer, _ = built(randomise, BottleneckBlock(8, drop_path=1.0), 8)
    x = random(2, 3, 3, 8)
    np.testing.assert_array_equal(ops.convert_to_numpy(layer(x, training=True)), np.maximum(x, 0))


def test_height_and_width_may_be_unknown_and_the_format_may_be_either(randomise):
    layer, weights = built(randomise, BottleneckBlock(16, strides=2, groups=2, squeeze_ratio=4), 8)
    first = BottleneckBlock(16, 2, 2, squeeze_ratio=4, data_format="channels_first")
    sequential = keras.Sequential([keras.Input((8, None, None)), first])
    first.set_weights(layer.get_weights())
    inputs = keras.Input((None, None, 8))
    functional = keras.Model(inputs, layer(inputs))
    assert functional.output_shape == (None, None, None, 16)
    assert sequential.output_shape == (None, 16, None, None)
    x = random(2, 5, 4, 8)
    expected = reference(x, weights, strides=2, groups=2)
    close(functional.predict(x, verbose=0), expected)
    close(np.moveaxis(sequential.predict(np.moveaxis(x, -1, 1), verbose=0), 1, -1), expected)


def test_one_filter_is_enough(randomise):
    layer, weights = built(randomise, BottleneckBlock(1, squeeze_ratio=16), 1)
    x = random(2, 3, 3, 1)
    close(layer(x), reference(x, weights))
