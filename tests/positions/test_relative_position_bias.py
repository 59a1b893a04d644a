from fractions import Fraction

import keras
import numpy as np
import pytest
from arrays import random
from keras import layers, ops

from layerzoo import RelativePositionBias, SelfAttention
from layerzoo.ops import attention_blocks

SETTINGS = [
    dict(),
    dict(bidirectional=False),
    dict(num_buckets=8, max_distance=20),
    dict(num_buckets=6, max_distance=7),  # three buckets a side: one is exact, two are not
    dict(num_buckets=64, max_distance=512),
    dict(num_buckets=12, max_distance=20, bidirectional=False),
    dict(num_buckets=2, max_distance=2, bidirectional=False),
]


def bucket_of(distance, num_buckets=32, max_distance=128, bidirectional=True):
    """The bucket of `key - query` in exact arithmetic, by the docstring's equation."""
    side = num_buckets // 2 if bidirectional else num_buckets
    e = side // 2
    left = side - e
    if distance > 0 and not bidirectional:
        return 0
    first = side if distance > 0 else 0
    distance = abs(distance)
    if distance < e:
        return first + distance
    ratio, base = Fraction(distance, e) ** left, Fraction(max_distance, e)
    return first + e + max(i for i in range(left) if ratio >= base**i)


def t5_buckets(distance, num_buckets=32, max_distance=128, bidirectional=True):
    """What Hugging Face's T5 computes, in float32 as there."""
    buckets = 0
    if bidirectional:
        num_buckets //= 2
        buckets = (distance > 0) * num_buckets
        distance = abs(distance)
    else:
        distance = -np.minimum(distance, 0)
    e = num_buckets // 2
    ratio = np.log(np.maximum(distance, 1).astype("float32") / np.float32(e))
    ratio = ratio / np.float32(np.log(max_distance / e)) * np.float32(num_buckets - e)
    large = np.minimum(e + ratio.astype(int), num_buckets - 1)
    return buckets + np.where(distance < e, distance, large)


def built(randomise, heads=3, **config):
    layer = RelativePositionBias(**config)
    layer.build((None, heads, None, None))
    return layer, randomise(layer)["embeddings"]


def reference(table, queries, keys, offset=0, **config):
    bias = np.zeros((table.shape[1], queries, keys))
    for t in range(queries):
        for s in range(keys):
            bias[:, t, s] = table[bucket_of(s - t - offset, **config)]
    return bias


@pytest.mark.parametrize("config", SETTINGS, ids=str)
def test_every_distance_up_to_twice_the_greatest_has_its_bucket(config):
    layer = RelativePositionBias(**config)
    reach = 2 * layer.max_distance
    layer.build((None, 1, None, None))
    rows = np.arange(layer.num_buckets, dtype="float32")
    layer.embeddings.assign(rows[:, None])
    scores = np.zeros((1, 1, 1, 2 * reach + 1), "float32")
    found = ops.convert_to_numpy(layer(scores, offset=reach))[0, 0, 0]
    distances = np.arange(-reach, reach + 1)
    np.testing.assert_array_equal(found, [bucket_of(int(d), **config) for d in distances])
    np.testing.assert_array_equal(found, t5_buckets(distances, **config))


@pytest.mark.parametrize("config", SETTINGS[:3], ids=str)
@pytest.mark.parametrize(("shape", "offset"), [((2, 3, 5, 5), 0), ((1, 3, 2, 30), 27)])
def test_equals_the_reference(randomise, config, shape, offset):
    layer, table = built(randomise, **config)
    scores = random(*shape)
    expected = scores + reference(table, *shape[2:], offset, **config)
    found = ops.convert_to_numpy(layer(scores, offset=offset))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_decoding_with_a_cache_gives_the_rows_of_the_whole(randomise):
    layer, _ = built(randomise, num_buckets=8, max_distance=5, bidirectional=False)
    scores = random(2, 3, 7, 7)
    whole = ops.convert_to_numpy(layer(scores))
    for t in (0, 5):
        row = layer(scores[:, :, t : t + 1, : t + 1], offset=ops.convert_to_tensor(t))
        np.testing.assert_array_equal(ops.convert_to_numpy(row), whole[:, :, t : t + 1, : t + 1])


class Quadratic(layers.Layer):
    """The whole formula of attention at once, from the weights of a `SelfAttention`."""

    def __init__(self, attention):
        super().__init__()
        self.attention = attention
        self.built = self.supports_masking = True

    def call(self, inputs, mask):
        attention = self.attention
        n, g, h = attention.heads
        b, t, _ = inputs.shape
        together = ops.reshape(attention.project_in(inputs), (b, t, g, n // g + 2, h))
        query = ops.reshape(together[:, :, :, :-2], (b, t, n, h))
        key, value = (ops.repeat(together[:, :, :, i], n // g, axis=2) for i in (-2, -1))
        scores = ops.einsum("btnh,bsnh->bnts", query, key) / h**0.5
        scores = attention.position(scores)
        seen = mask[:, None, None, :]
        if attention.causal:
            seen = ops.logical_and(seen, np.tri(t, dtype=bool))
        scores = ops.softmax(ops.where(seen, scores, -1e9))
        attended = ops.einsum("bnts,bsnh->btnh", scores, value)
        outputs = attention.project_out(ops.reshape(attended, (b, t, n * h)))
        return ops.where(mask[..., None], outputs, 0.0)


@pytest.mark.parametrize("causal", [False, True])
def test_the_table_learns_through_attention_what_the_formula_would_teach_it(
    monkeypatch, randomise, gradients, causal
):
    monkeypatch.setattr(attention_blocks, "block_size", lambda *_: 3)
    position = RelativePositionBias(8, 5, bidirectional=not causal)
    layer = SelfAttention(4, num_key_value_heads=2, causal=causal, position=position)
    layer.build((None, None, 8))
    randomise(layer)
    x, mask = random(2, 6, 8), np.arange(6) < [[6], [4]]
    whole = Quadratic(layer)
    found, due = (
        ops.convert_to_numpy(layer(x, mask=mask)),
        ops.convert_to_numpy(whole(x, mask=mask)),
    )
    np.testing.assert_allclose(found, due, atol=1e-5 * np.abs(due).max())
    paths = ["inputs", *(weight.path for weight in layer.trainable_weights)]
    assert any(path.endswith("embeddings") for path in paths)
    both = gradients(layer, x, mask=mask), gradients(whole, x, mask=mask)
    for path, ours, expected in zip(paths, *both, strict=True):
        largest = np.abs(expected).max()
        assert largest > 0, path
        np.testing.assert_allclose(ours, expected, atol=2e-5 * largest, err_msg=path)


def test_two_attention_layers_share_one_table(randomise):
    position = RelativePositionBias(8, 6)
    model = keras.Sequential(
        [
            keras.Input((None, 8)),
            SelfAttention(4, position=position),
            SelfAttention(4, position=position),
        ]
    )
    assert [w.path.split("/")[-1] for w in model.weights].count("embeddings") == 1
    assert position.embeddings.shape == (8, 4)


def test_the_table_is_saved_with_the_attention(randomise, tmp_path):
    position = RelativePositionBias(8, 6, embeddings_initializer="ones")
    model = keras.Sequential([keras.Input((None, 8)), SelfAttention(2, position=position)])
    randomise(model)
    model.save(tmp_path / "model.keras")
    again, x = keras.models.load_model(tmp_path / "model.keras"), random(2, 5, 8)
    y = [ops.convert_to_numpy(each(x)) for each in (again, model)]
    np.testing.assert_array_equal(*y)


def test_sizes_may_be_unknown_in_every_kind_of_model(randomise):
    layer, table = built(randomise, num_buckets=8, max_distance=6)
    inputs = keras.Input((3, None, None))
    functional = keras.Model(inputs, layer(inputs))
    sequential = keras.Sequential([keras.Input((3, None, None)), layer])
    for shape in [(2, 3, 4, 9), (1, 3, 1, 2)]:
        scores = random(*shape)
        expected = scores + reference(table, *shape[2:], num_buckets=8, max_distance=6)
        for model in (functional, sequential):
            np.testing.assert_allclose(model.predict(scores, verbose=0), expected, atol=1e-5)
