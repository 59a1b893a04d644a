import keras
import numpy as np
import pytest
from arrays import close, random
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops

from layerzoo import FiLM


def reference(x, weights, condition=None):
    """The docstring's equation in float64, position by position, channels last."""
    y = np.zeros(x.shape)
    channels = x.shape[-1]
    for b, *place in np.ndindex(*x.shape[:-1]):
        numbers = weights["bias"].copy()
        if condition is not None:
            u = condition[b] if condition.ndim == 2 else condition[(b, *place)]
            numbers += u.astype("float64") @ weights["condition/kernel"]
        for c in range(channels):
            y[(b, *place, c)] = (1 + numbers[c]) * x[(b, *place, c)] + numbers[channels + c]
    return y


def first(x):
    """Channels first."""
    return np.moveaxis(ops.convert_to_numpy(x), -1, 1).copy()


def built(randomise, inputs=(None, None, 4), condition=(None, 3), **config):
    layer = FiLM(**config)
    layer.build(inputs, condition)
    return layer, randomise(layer)


@settings(max_examples=30, deadline=None, derandomize=True, database=None)
@given(
    shape=st.sampled_from([(3, 4), (2, 5, 4), (2, 3, 2, 4), (2, 3, 1, 2, 4)]),
    condition=st.sampled_from(["none", "sample", "position"]),
    data_format=st.sampled_from(["channels_last", "channels_first"]),
    seed=st.integers(0, 99),
)
def test_equals_the_reference(randomise, shape, condition, data_format, seed):
    x = random(*shape, seed=seed)
    sizes = {"none": None, "sample": (shape[0], 3), "position": (*shape[:-1], 3)}[condition]
    u = None if sizes is None else random(*sizes, seed=[seed, 1])
    given_x, given_u = x, u
    if data_format == "channels_first":
        given_x = first(x)
        given_u = first(u) if condition == "position" else u
    layer = FiLM(data_format=data_format)
    layer.build(given_x.shape, None if u is None else given_u.shape)
    expected = reference(x, randomise(layer, seed), u)
    y = layer(given_x, condition=given_u)
    close(y, expected if data_format == "channels_last" else first(expected))


@pytest.mark.parametrize("shape", [None, (2, 3), (2, 5, 3)])
def test_it_starts_as_the_identity_and_every_weight_moves_off(gradients, shape):
    layer = FiLM()
    x, condition = random(2, 5, 4), None if shape is None else random(*shape, seed=1)
    np.testing.assert_array_equal(ops.convert_to_numpy(layer(x, condition=condition)), x)
    _, *by_weights = gradients(layer, x, condition=condition)
    assert len(by_weights) == (1 if shape is None else 2)
    assert all((gradient != 0).all() for gradient in by_weights)


def test_without_a_condition_it_is_a_learned_scale_and_shift(randomise):
    layer = FiLM()
    model = keras.Sequential([keras.Input((None, None, 4)), layer])
    assert list(randomise(layer)) == ["bias"]
    assert model.count_params() == 8
    scale, shift = np.split(ops.convert_to_numpy(layer.bias), 2)
    x = random(2, 3, 2, 4)
    close(model(x), (1 + scale) * x + shift)


def test_a_call_without_a_condition_is_one_with_zeros(randomise):
    layer, _ = built(randomise)
    x = random(2, 5, 4)
    close(layer(x), layer(x, condition=np.zeros((2, 3), "float32")), relative=0)


@pytest.mark.parametrize("shape", [(3,), (None, 3)])
def test_it_is_saved_and_loaded_with_its_condition(randomise, tmp_path, shape):
    inputs, condition = keras.Input((None, 4)), keras.Input(shape)
    layer = FiLM("glorot_uniform")
    model = keras.Model([inputs, condition], layer(inputs, condition=condition))
    weights = randomise(layer)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    x, u = random(2, 5, 4), random(2, *(size or 5 for size in shape), seed=1)
    close(loaded([x, u]), model([x, u]), relative=0)
    close(model.predict([x, u], verbose=0), reference(x, weights, u))


def test_integers_condition_too(randomise):
    layer, weights = built(randomise)
    x, u = random(2, 5, 4), np.array([[1, 0, 0], [0, 0, 1]])
    close(layer(x, condition=u.astype("int32")), reference(x, weights, u))


def test_the_mask_of_the_inputs_passes(randomise):
    layer, weights = built(randomise)
    inputs, condition = keras.Input((None, 4)), keras.Input((3,))
    y = layer(layers.Masking()(inputs), condition=condition)
    model = keras.Model([inputs, condition], layers.GlobalAveragePooling1D()(y))
    x, u = random(2, 5, 4), random(2, 3, seed=1)
    x[:, 3:] = 0
    close(model.predict([x, u], verbose=0), reference(x, weights, u)[:, :3].mean(axis=1))


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    "shape", [(), (2,), (3, 3), (1, 3), (2, 4, 3), (2, 1, 3), (3, 5, 3), (2, 5, 4, 3)]
)
def test_a_condition_of_another_batch_or_rank_is_refused(randomise, when, shape):
    layer = built(randomise)[0] if when == "after" else FiLM()
    told = r"`condition` must have shape \(batch, width\).*Received: condition of shape \(.*, inputs of"
    with pytest.raises(ValueError, match=told):
        layer(random(2, 5, 4), condition=random(*shape))
    assert layer.built == (when == "after")
    assert len(layer.variables) == (2 if when == "after" else 0)


@pytest.mark.parametrize("width", [None, 0])
def test_a_width_of_the_condition_that_is_unknown_or_empty_is_refused(width):
    layer = FiLM()
    with pytest.raises(ValueError, match=r"^`condition` must have a width .*\(None, (None|0)\)"):
        layer(keras.Input((5, 4)), condition=keras.Input((width,)))
    assert not layer.built


def test_a_sample_of_features_has_one_condition():
    layer = FiLM(data_format="channels_first")
    for shape in [(2,), (2, 4, 3), (2, 3, 4)]:
        with pytest.raises(ValueError, match=r"^`condition` must have shape \(batch, width\)"):
            layer(random(2, 4), condition=random(*shape))
    assert not layer.built


@pytest.mark.parametrize("symbolic", [False, True])
def test_what_the_layer_was_not_built_for_is_refused(randomise, symbolic):
    def called(layer, width):
        if symbolic:
            return layer(keras.Input((5, 4)), condition=keras.Input((width,)))
        return layer(random(2, 5, 4), condition=random(2, width))

    alone, _ = built(randomise, condition=None)
    with pytest.raises(ValueError, match=r"`condition` must be passed to the first call.*without"):
        called(alone, 3)
    layer, _ = built(randomise)
    with pytest.raises(ValueError, match=r"`condition` must have the width .*built for 3"):
        called(layer, 2)


def test_what_is_no_tensor_is_refused(randomise):
    layer, _ = built(randomise)
    with pytest.raises(TypeError, match=r"`condition` must be a tensor or None\. Received: cond"):
        layer(random(2, 5, 4), condition="blue")
