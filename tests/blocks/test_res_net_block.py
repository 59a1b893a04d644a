import keras
import numpy as np
import pytest
from arrays import close, random
from blocks.images import ACTIVATIONS, built, convolve, normalise, turned, turned_back
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops

from layerzoo import ResNetBlock


def reference(x, weights, strides, groups, preactivation, activation, epsilon, training):
    """Figure 2 of the paper, or figure 4e of the one on pre-activation, pixel by pixel in float64."""

    def kernel(name):
        return weights[f"{name}/kernel"]

    def norm(name, z):
        return normalise(z, weights, name, epsilon, training)

    act = ACTIVATIONS[activation]
    projected = "project/kernel" in weights
    if preactivation:
        active = act(norm("norm_1", x.astype("float64")))
        hidden = convolve(active, kernel("convolution_1"), strides, groups)
        branch = convolve(act(norm("norm_2", hidden)), kernel("convolution_2"), 1, groups)
        return branch + (convolve(active, kernel("project"), strides) if projected else x)
    hidden = act(norm("norm_1", convolve(x, kernel("convolution_1"), strides, groups)))
    branch = norm("norm_2", convolve(hidden, kernel("convolution_2"), 1, groups))
    if projected:
        x = norm("project_norm", convolve(x, kernel("project"), strides))
    return act(x + branch)


@settings(max_examples=16, deadline=None, derandomize=True, database=None)
@given(
    shape=st.sampled_from([(2, 5, 4, 4), (1, 6, 6, 6), (3, 1, 2, 4)]),
    filters=st.sampled_from([4, 6]),
    kernel_size=st.sampled_from([1, 3, 5]),
    strides=st.sampled_from([1, 2, 3]),
    groups=st.sampled_from([1, 2]),
    preactivation=st.booleans(),
    activation=st.sampled_from(["relu", "silu"]),
    epsilon=st.sampled_from([1e-5, 0.1]),
    data_format=st.sampled_from(["channels_last", "channels_first"]),
    training=st.booleans(),
    seed=st.integers(0, 99),
)
def test_equals_the_reference(
    randomise, shape, filters, kernel_size, data_format, training, seed, **config
):
    layer = ResNetBlock(filters, kernel_size, data_format=data_format, **config)
    x = random(*shape, seed=seed)
    _, weights = built(randomise, layer, shape[-1], seed)
    kept = config["strides"] == 1 and filters == shape[-1]
    assert len(weights) == (10 if kept else 11 if config["preactivation"] else 15)
    y = turned_back(layer(turned(x, data_format), training=training), data_format)
    close(y, reference(x, weights, training=training, **config), 1e-4 if training else 1e-5)


PLAIN = dict(
    strides=1, groups=1, preactivation=False, activation="relu", epsilon=1e-5, training=False
)


@pytest.mark.parametrize("filters", [4, 6])
@pytest.mark.parametrize("preactivation", [False, True])
def test_a_branch_that_starts_at_zero_leaves_the_shortcut_and_can_be_trained(
    gradients, preactivation, filters
):
    layer = ResNetBlock(filters, preactivation=preactivation, zero_init=True)
    x = random(2, 5, 3, 4)
    layer.build(x.shape)
    shortcut = ops.convert_to_tensor(x)
    if layer.project is not None and preactivation:
        shortcut = layer.project(ops.relu(layer.norm_1(x)))
    elif layer.project is not None:
        shortcut = layer.project_norm(layer.project(x))
    due = shortcut if preactivation else ops.relu(shortcut)
    np.testing.assert_array_equal(*map(ops.convert_to_numpy, (layer(x), due)))
    last = layer.convolution_2.kernel if preactivation else layer.norm_2.gamma
    paths = [weight.path for weight in layer.trainable_weights]
    moved = gradients(layer, x)[1:][paths.index(last.path)]
    assert np.mean(moved != 0) > 0.5


def test_training_moves_the_statistics_by_the_momentum_and_a_frozen_block_keeps_them(randomise):
    x = random(8, 6, 5, 4) + 1
    for frozen in (False, True):
        layer, weights = built(randomise, ResNetBlock(4, momentum=0.75, trainable=not frozen), 4)
        at_rest = ops.convert_to_numpy(layer(x))
        y = ops.convert_to_numpy(layer(x, training=True))
        first = convolve(x, weights["convolution_1/kernel"])
        for weight, batch in (
            (layer.norm_1.moving_mean, first.mean(axis=(0, 1, 2))),
            (layer.norm_1.moving_variance, first.var(axis=(0, 1, 2))),
        ):
            before = weights[weight.path.removeprefix(layer.path + "/")]
            close(weight, before if frozen else 0.75 * before + 0.25 * batch)
        assert np.array_equal(y, at_rest) == frozen


def test_fit_moves_what_trains_and_nothing_of_a_frozen_block():
    frozen, free = ResNetBlock(4), ResNetBlock(4, zero_init=True)
    model = keras.Sequential([keras.Input((None, None, 4)), frozen, free])
    frozen.trainable = False
    model.compile(keras.optimizers.SGD(0.1), "mse")
    before = [layer.get_weights() for layer in (frozen, free)]
    model.fit(random(8, 4, 4, 4), random(8, 4, 4, 4, seed=1), epochs=2, verbose=0)
    for layer, weights in zip((frozen, free), before, strict=True):
        same = [np.array_equal(*pair) for pair in zip(layer.get_weights(), weights, strict=True)]
        assert same == [layer is frozen] * 10


def test_a_dropped_sample_leaves_its_shortcut(randomise):
    layer, _ = built(randomise, ResNetBlock(4, drop_path=1.0), 4)
    x = random(2, 3, 3, 4)
    np.testing.assert_array_equal(ops.convert_to_numpy(layer(x, training=True)), np.maximum(x, 0))


def test_height_and_width_may_be_unknown_in_every_kind_of_model(randomise):
    layer, weights = built(randomise, ResNetBlock(6, strides=2), 4)
    first = ResNetBlock(6, strides=2, data_format="channels_first")
    sequential = keras.Sequential([keras.Input((4, None, None)), first])
    first.set_weights(layer.get_weights())
    inputs = keras.Input((None, None, 4))
    functional = keras.Model(inputs, layer(inputs))
    assert functional.output_shape == (None, None, None, 6)
    assert sequential.output_shape == (None, 6, None, None)
    for shape in [(2, 5, 4, 4), (1, 1, 3, 4)]:
        x = random(*shape)
        expected = reference(x, weights, **{**PLAIN, "strides": 2})
        close(functional.predict(x, verbose=0), expected)
        y = sequential.predict(np.moveaxis(x, -1, 1), verbose=0)
        close(np.moveaxis(y, 1, -1), expected)


def test_groups_that_do_not_divide_the_channels_are_refused():
    layer = ResNetBlock(4, groups=2)
    told = r"^`groups` must divide the number of channels .* Received: groups=2, input_shape=\(2, "
    with pytest.raises(ValueError, match=told):
        layer(random(2, 4, 4, 3))
    assert not layer.built
    assert not layer.variables


def test_an_activation_with_weights_is_shared_trained_and_saved(randomise, tmp_path):
    layer = ResNetBlock(4, activation=layers.PReLU(shared_axes=[1, 2]))
    model = keras.Sequential([keras.Input((None, None, 4)), layer])
    assert len(layer.trainable_weights) == 7
    randomise(layer)
    model.save(tmp_path / "model.keras")
    x = random(2, 5, 4, 4)
    close(keras.models.load_model(tmp_path / "model.keras")(x), model(x), relative=0)


@pytest.mark.parametrize(
    ("policy", "unit"), [("mixed_float16", 2.0**-11), ("mixed_bfloat16", 2.0**-8)]
)
def test_half_precision_stays_near_float32(randomise, policy, unit):
    x = random(4, 6, 6, 4)
    for preactivation in (False, True):
        config = dict(preactivation=preactivation, activation=layers.LeakyReLU(dtype="float32"))
        precise, _ = built(randomise, ResNetBlock(4, **config), 4)
        half, _ = built(randomise, ResNetBlock(4, dtype=policy, **config), 4)
        y = half(x, training=True)
        assert keras.backend.standardize_dtype(y.dtype) == half.compute_dtype
        close(ops.cast(y, "float32"), precise(x, training=True), relative=8 * unit)
