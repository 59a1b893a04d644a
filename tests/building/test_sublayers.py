import keras
import numpy as np
import pytest
from keras import layers, ops

from layerzoo import GatedMLP, SelfAttention
from layerzoo.building.sublayers import build_position, dense, positioned, unbuilt
from layerzoo.building.wrapped import apply_in_turn


def test_dense_takes_after_its_owner():
    owner = GatedMLP(4, use_bias=False, kernel_initializer="he_normal", dtype="mixed_bfloat16")
    first, second = (dense(owner, 3, (None, 5), name) for name in ("first", "second"))
    assert first.name == "first"
    assert first.built
    assert [tuple(weight.shape) for weight in first.weights] == [(5, 3)]
    assert first.dtype_policy == owner.dtype_policy
    assert isinstance(first.kernel_initializer, keras.initializers.HeNormal)
    assert not np.allclose(*(ops.convert_to_numpy(layer.kernel) for layer in (first, second)))


def test_unbuilt_drops_shapes_and_nothing_else():
    layer = layers.Dense(3)
    before = keras.saving.serialize_keras_object(layer)
    layer.build((None, 5))
    after = keras.saving.serialize_keras_object(layer)
    assert "build_config" in after
    assert unbuilt(after) == unbuilt(before)
    assert unbuilt([after, after]) == [unbuilt(before)] * 2
    assert unbuilt(None) is None
    assert unbuilt("silu") == "silu"


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
