import keras
import numpy as np
import pytest
from arrays import close, random
from blocks.images import (
    ACTIVATIONS,
    built,
    convolve,
    convolve_each,
    excite,
    normalise,
    turned,
    turned_back,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from layerzoo import InvertedResidual


def reference(x, weights, strides=1, activation="relu6", epsilon=1e-5, training=False):
    """Table 1 of the paper, pixel by pixel in float64."""

    def norm(name, z):
        return normalise(z, weights, f"{name}_norm", epsilon, training)

    act, branch = ACTIVATIONS[activation], x
    if "expand/kernel" in weights:
        branch = act(norm("expand", convolve(x, weights["expand/kernel"])))
    branch = convolve_each(branch, weights["depthwise/kernel"], strides)
    branch = act(norm("depthwise", branch))
    if "excite/reduce/kernel" in weights:
        branch = excite(branch, weights, act)
    branch = norm("project", convolve(branch, weights["project/kernel"]))
    return x + branch if x.shape == branch.shape else branch


@settings(max_examples=16, deadline=None, derandomize=True, database=None)
@given(
    shape=st.sampled_from([(2, 5, 4, 4), (1, 6, 6, 3), (3, 2, 2, 4)]),
    filters=st.sampled_from([4, 3]),
    expansion=st.sampled_from([1, 2, 3]),
    kernel_size=st.sampled_from([1, 3, 5]),
    strides=st.sampled_from([1, 2, 3]),
    squeeze_ratio=st.sampled_from([None, 2, 50]),
    activation=st.sampled_from(["relu6", "silu"]),
    epsilon=st.sampled_from([1e-5, 0.1]),
    data_format=st.sampled_from(["channels_last", "channels_first"]),
    training=st.booleans(),
    seed=st.integers(0, 99),
)
def test_equals_the_reference(
    randomise,
    shape,
    filters,
    expansion,
    kernel_size,
    squeeze_ratio,
    data_format,
    training,
    seed,
    **config,
):
    layer = InvertedResidual(
        filters,
        expansion,
        kernel_size,
        squeeze_ratio=squeeze_ratio,
        data_format=data_format,
        **config,
    )
    x = random(*shape, seed=seed)
    _, weights = built(randomise, layer, shape[-1], seed)
    assert len(weights) == 10 + 5 * (expansion > 1) + 4 * (squeeze_ratio is not None)
    y = turned_back(layer(turned(x, data_format), training=training), data_format)
    close(y, reference(x, weights, training=training, **config), 1e-4 if training else 1e-5)


@pytest.mark.parametrize(
    ("channels", "strides", "skips"), [(4, 1, True), (3, 1, False), (4, 2, False)]
)
def test_there_is_a_shortcut_only_if_the_shape_is_kept(randomise, channels, strides, skips):
    layer, _ = built(randomise, InvertedResidual(4, strides=strides, drop_path=1.0), channels)
    layer.project_norm.gamma.assign([0.0] * 4)
    layer.project_norm.beta.assign([0.0] * 4)
    x = random(2, 3, 3, channels)
    y = ops.convert_to_numpy(layer(x))
    np.testing.assert_array_equal(y, x if skips else np.zeros(y.shape))
    layer.project_norm.beta.assign([1.0] * 4)
    y = ops.convert_to_numpy(layer(x, training=True))  # a branch is dropped beside a shortcut only
    np.testing.assert_array_equal(y, x if skips else np.ones(y.shape))


def test_the_last_convolution_is_linear(randomise):
    layer, _ = built(randomise, InvertedResidual(4), 3)
    layer.project_norm.gamma.assign([9.0] * 4)
    y = ops.convert_to_numpy(layer(random(2, 5, 5, 3)))
    assert y.min() < -6 < 6 < y.max()


def test_training_moves_the_statistics_and_a_frozen_block_keeps_them(randomise):
    x = random(8, 6, 5, 4) + 1
    for frozen in (False, True):
        layer, weights = built(
            randomise, InvertedResidual(4, momentum=0.75, trainable=not frozen), 4
        )
        at_rest = ops.convert_to_numpy(layer(x))
        y = ops.convert_to_numpy(layer(x, training=True))
        before = weights["expand_norm/moving_mean"]
        batch = convolve(x, weights["expand/kernel"]).mean(axis=(0, 1, 2))
        close(layer.expand_norm.moving_mean, before if frozen else 0.75 * before + 0.25 * batch)
        assert np.array_equal(y, at_rest) == frozen


def test_height_and_width_may_be_unknown_and_the_format_may_be_either(randomise):
    layer, weights = built(randomise, InvertedResidual(6, 2, strides=2, squeeze_ratio=4), 4)
    first = InvertedResidual(6, 2, strides=2, squeeze_ratio=4, data_format="channels_first")
    sequential = keras.Sequential([keras.Input((4, None, None)), first])
    first.set_weights(layer.get_weights())
    inputs = keras.Input((None, None, 4))
    functional = keras.Model(inputs, layer(inputs))
    assert functional.output_shape == (None, None, None, 6)
    assert sequential.output_shape == (None, 6, None, None)
    x = random(2, 5, 4, 4)
    expected = reference(x, weights, strides=2)
    close(functional.predict(x, verbose=0), expected)
    close(np.moveaxis(sequential.predict(np.moveaxis(x, -1, 1), verbose=0), 1, -1), expected)


def test_a_quarter_of_the_channels_before_the_expansion():
    layer = InvertedResidual(24, squeeze_ratio=24)
    layer.build((None, None, None, 24))
    assert tuple(layer.excite.reduce.kernel.shape) == (144, 6)
