import keras
import numpy as np
import pytest
from keras import layers, ops

from layerzoo import GatedMLP, RelativePositionBias, Residual, SelfAttention
from layerzoo.building.states import apply_in_turn
from layerzoo.building.sublayers import build_position, dense, positioned, serialized
from layerzoo.building.wrapped import build_by_call


def test_dense_takes_after_its_owner():
    owner = GatedMLP(4, use_bias=False, kernel_initializer="he_normal", dtype="mixed_bfloat16")
    first, second = (dense(owner, 3, (None, 5), name) for name in ("first", "second"))
    assert first.name == "first"
    assert first.built
    assert [tuple(weight.shape) for weight in first.weights] == [(5, 3)]
    assert first.dtype_policy == owner.dtype_policy
    assert isinstance(first.kernel_initializer, keras.initializers.HeNormal)
    assert not np.allclose(*(ops.convert_to_numpy(layer.kernel) for layer in (first, second)))


def test_the_config_of_what_is_handed_in_has_no_shapes():
    layer = layers.Dense(3)
    before = keras.saving.serialize_keras_object(layer)
    layer.build((None, 5))
    assert "build_config" in keras.saving.serialize_keras_object(layer)
    assert serialized(layer) == before
    assert serialized([layer, layer]) == [before] * 2
    assert serialized(None) is None
    assert serialized(keras.activations.silu) == "silu"


def test_a_call_that_builds_leaves_no_trace():
    layer = layers.Dense(3)
    outputs = build_by_call(layer, keras.KerasTensor((None, 5)))
    assert layer.built
    assert outputs.shape == (None, 3)
    inputs = keras.Input((5,))
    assert layer(inputs) is layer.output  # which Keras tells only of a layer that is in one place


def twice(wrap, make):
    """A function that puts one layer into two, one after the other."""

    def chain(inputs):
        shared = make()
        return wrap(shared)(wrap(shared)(inputs))

    return chain


def attend(table):
    return SelfAttention(2, position=table)


def dense_of_8():
    return layers.Dense(8)


def at_the_end(inputs):
    shared = layers.Dense(8)
    return shared(Residual(shared, norm="pre")(inputs))


def at_the_start(inputs):
    shared = layers.Dense(8)
    return Residual(shared, norm="pre")(shared(inputs))


SHARED = {
    "a table of biases": (twice(attend, lambda: RelativePositionBias(8)), 1 + 2 * 4),
    "a layer": (twice(Residual, dense_of_8), 2),
    "twice in a list": (lambda x: Residual([shared := layers.Dense(8), shared])(x), 2),
    "at any depth": (
        twice(lambda x: Residual(Residual(attend(x))), lambda: RelativePositionBias(8)),
        9,
    ),
    "one of ours": (twice(Residual, lambda: GatedMLP(8)), 6),
    "a model": (twice(Residual, lambda: keras.Sequential([dense_of_8(), dense_of_8()])), 4),
    "an activation": (
        twice(lambda x: GatedMLP(6, activation=x), lambda: layers.PReLU(shared_axes=[1])),
        1 + 2 * 6,
    ),
    "in the model before": (at_the_start, 4),
    "in the model behind": (at_the_end, 4),
}


@pytest.mark.parametrize("name", SHARED)
def test_a_layer_that_two_share_is_shared_in_the_file_too(name, tmp_path, randomise):
    chain, weights = SHARED[name]

    def model():
        inputs = keras.Input((6, 8))
        return keras.Model(inputs, chain(inputs))

    saved, x = model(), np.random.default_rng(0).normal(size=(2, 6, 8)).astype("float32")
    assert len(saved.weights) == weights
    randomise(saved)
    saved.save(tmp_path / "model.keras")
    saved.save_weights(tmp_path / "model.weights.h5")
    loaded, fresh = keras.saving.load_model(tmp_path / "model.keras"), model()
    fresh.load_weights(tmp_path / "model.weights.h5")
    due = ops.convert_to_numpy(saved(x))
    for found in (loaded, fresh):
        assert [tuple(w.shape) for w in found.weights] == [tuple(w.shape) for w in saved.weights]
        np.testing.assert_array_equal(ops.convert_to_numpy(found(x)), due)


def test_each_layer_gets_the_mask_that_the_one_before_it_leaves():
    x = np.random.default_rng(0).normal(size=(2, 5, 4)).astype("float32")
    mask = np.array([[1, 1, 1, 0, 0], [1, 1, 0, 1, 1]], bool)
    attention, pool = SelfAttention(2), layers.GlobalAveragePooling1D()
    steps = ops.convert_to_numpy(attention(x, mask=mask))
    expected = [steps[b][mask[b]].mean(axis=0) for b in range(2)]
    chain = [attention, layers.Dropout(0.5), pool, layers.Dense(4, kernel_initializer="identity")]
    result = ops.convert_to_numpy(apply_in_turn(chain, x, mask))
    np.testing.assert_allclose(result, expected, atol=1e-5)


class Reverse(layers.Layer):
    """Turns time round, and the mask with it."""

    def __init__(self, supports_masking):
        super().__init__()
        self.supports_masking = supports_masking

    def call(self, inputs):
        return ops.flip(inputs, axis=1)

    def compute_mask(self, inputs, previous_mask):
        return None if previous_mask is None else ops.flip(previous_mask, axis=1)


@pytest.mark.parametrize("supports_masking", [True, False])
def test_a_layer_may_change_the_mask_or_lose_it(supports_masking):
    x = np.random.default_rng(0).normal(size=(1, 5, 4)).astype("float32")
    mask = np.array([[1, 1, 1, 0, 0]], bool)
    attention = SelfAttention(2)
    result = apply_in_turn([Reverse(supports_masking), attention], x, mask)
    seen = mask[:, ::-1] if supports_masking else None
    expected = ops.convert_to_numpy(attention(x[:, ::-1].copy(), mask=seen))
    np.testing.assert_allclose(ops.convert_to_numpy(result), expected, atol=1e-6)


def test_a_layer_that_makes_a_mask_hands_it_on():
    x = np.random.default_rng(0).normal(size=(2, 5, 4)).astype("float32")
    x[:, 3:] = 0
    result = apply_in_turn([layers.Masking(), layers.GlobalAveragePooling1D()], x)
    np.testing.assert_allclose(ops.convert_to_numpy(result), x[:, :3].mean(axis=1), atol=1e-6)


def test_a_weight_called_bias_is_no_bias_of_scores():
    position = layers.Dense(4)
    build_position(position, (None, 5, 2, 4))
    query = np.ones((1, 5, 2, 4), "float32")
    turned, _, added = positioned(position, query, query)
    assert (tuple(turned.shape), added) == ((1, 5, 2, 4), {})
