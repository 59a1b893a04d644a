import math

import keras
import numpy as np
import pytest
from arrays import random
from keras import layers, ops

from layerzoo import AlibiBias, SelfAttention


def slopes_of(heads):
    """The recursion of the paper's code."""
    if math.log2(heads).is_integer():
        first = 2 ** (-(2 ** -(math.log2(heads) - 3)))
        return [first * first**i for i in range(heads)]
    power = 2 ** math.floor(math.log2(heads))
    return slopes_of(power) + slopes_of(2 * power)[::2][: heads - power]


def reference(heads, queries, keys, offset=0):
    bias = np.zeros((heads, queries, keys))
    for n, slope in enumerate(slopes_of(heads)):
        for t in range(queries):
            for s in range(keys):
                bias[n, t, s] = -slope * abs(offset + t - s)
    return bias


def biased(scores, layer=None, **arguments):
    return ops.convert_to_numpy((layer or AlibiBias())(scores, **arguments))


def softmax(scores, seen=True):
    weights = np.where(seen, np.exp(scores - scores.max(-1, keepdims=True)), 0)
    return weights / weights.sum(-1, keepdims=True)


@pytest.mark.parametrize("heads", [*range(1, 18), 24, 96])
def test_the_slopes_are_those_of_the_paper_for_every_number_of_heads(heads):
    found = biased(np.zeros((1, heads, 1, 2), "float32"))[0, :, 0, 1]
    np.testing.assert_allclose(found, np.negative(slopes_of(heads)), rtol=1e-6)


@pytest.mark.parametrize(
    ("shape", "offset"), [((2, 6, 5, 5), 0), ((1, 8, 3, 7), 4), ((2, 3, 4, 2), -1)]
)
def test_equals_the_reference(shape, offset):
    scores = random(*shape)
    expected = scores + reference(*shape[1:], offset)
    np.testing.assert_allclose(biased(scores, offset=offset), expected, rtol=0, atol=1e-5)


def test_equals_x_transformers_in_torch_where_the_last_query_stands_at_the_last_key():
    torch = pytest.importorskip("torch", reason="the other side of the comparison is PyTorch")
    i, j, heads = 3, 7, 12
    queries, keys = torch.arange(j - i, j), torch.arange(j)
    slopes = torch.tensor(slopes_of(heads))[:, None, None]
    expected = -(keys[None, None, :] - queries[None, :, None]).abs() * slopes
    found = biased(np.zeros((1, heads, i, j), "float32"), offset=j - i)[0]
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)


def test_equals_keras_hub_after_a_causal_softmax():
    scores, seen = random(2, 6, 5, 5), np.tri(5, dtype=bool)
    by_key = np.array(slopes_of(6))[:, None, None] * (np.arange(5) - 4)
    expected = softmax(scores + by_key, seen)
    np.testing.assert_allclose(softmax(biased(scores), seen), expected, atol=1e-6)


def test_decoding_with_a_cache_gives_the_rows_of_the_whole():
    scores = random(2, 6, 7, 7)
    whole = biased(scores)
    for t in (0, 5):
        row = biased(scores[:, :, t : t + 1, : t + 1], offset=ops.convert_to_tensor(t))
        np.testing.assert_array_equal(row, whole[:, :, t : t + 1, : t + 1])


@pytest.mark.parametrize("causal", [False, True])
def test_attention_adds_it_block_by_block(monkeypatch, randomise, causal):
    from layerzoo.ops import attention_blocks

    monkeypatch.setattr(attention_blocks, "block_size", lambda *_: 2)
    layer = SelfAttention(3, head_dim=4, causal=causal, position=AlibiBias())
    layer.build((None, None, 6))
    weights = randomise(layer)
    x, mask = random(2, 4, 6), np.array([[1, 1, 1, 0], [1, 0, 1, 1]], bool)
    projected = x @ weights["query_key_value/kernel"] + weights["query_key_value/bias"]
    query, key, value = np.moveaxis(projected.reshape(2, 4, 3, 3, 4), 3, 0)
    scores = np.einsum("btnh,bsnh->bnts", query, key) / 2 + reference(3, 4, 4)
    seen = mask[:, None, None, :] & (np.tri(4, dtype=bool) if causal else True)
    attended = np.einsum("bnts,bsnh->btnh", softmax(scores, seen), value).reshape(2, 4, 12)
    expected = attended @ weights["output/kernel"] + weights["output/bias"]
    found = ops.convert_to_numpy(layer(x, mask=mask))
    np.testing.assert_allclose(found[mask], expected[mask], atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize(("dtype", "unit"), [("float16", 2.0**-11), ("bfloat16", 2.0**-8)])
def test_far_away_half_precision_rounds_once(dtype, unit):
    # Half precision tells 5000 from 5001 neither as a position nor as their difference's operand.
    scores = np.zeros((1, 6, 1, 5003), "float32")
    y = AlibiBias(dtype=dtype)(ops.cast(scores, dtype), offset=5001)
    assert keras.backend.standardize_dtype(y.dtype) == dtype
    expected = reference(6, 1, 5003, 5001)
    np.testing.assert_allclose(
        ops.convert_to_numpy(ops.cast(y, "float32"))[0], expected, rtol=unit, atol=0
    )


def test_sizes_may_be_unknown_in_every_kind_of_model():
    layer = AlibiBias()
    inputs = keras.Input((3, None, None))
    functional = keras.Model(inputs, layer(inputs))
    sequential = keras.Sequential([keras.Input((3, None, None)), layer, layers.Softmax()])
    for shape in [(2, 3, 4, 6), (1, 3, 1, 2)]:
        scores = random(*shape)
        expected = scores + reference(*shape[1:])
        np.testing.assert_allclose(functional.predict(scores, verbose=0), expected, atol=1e-5)
        found = sequential.predict(scores, verbose=0)
        np.testing.assert_allclose(found, softmax(expected), atol=1e-5)
