import numpy as np
from keras import ops

from layerzoo.ops.attention import attention


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def test_keys_and_values_may_come_from_another_sequence():
    query, key, value = random(2, 3, 4, 6), random(2, 5, 2, 6, seed=1), random(2, 5, 2, 6, seed=2)
    attended, scores = attention(query, key, value)
    assert (attended.shape, scores.shape) == ((2, 3, 4, 6), (2, 4, 3, 5))
    for n in range(4):
        logits = np.einsum("bth,bsh->bts", query[:, :, n], key[:, :, n // 2]) / np.sqrt(6)
        weights = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
        expected = weights @ value[:, :, n // 2]
        np.testing.assert_allclose(ops.convert_to_numpy(attended)[:, :, n], expected, atol=1e-5)
        np.testing.assert_allclose(ops.convert_to_numpy(scores)[:, n], weights, atol=1e-6)


def test_dropout_gets_the_scores_before_they_are_used():
    query, value = random(1, 3, 2, 4), random(1, 3, 2, 4, seed=1)
    attended, scores = attention(query, query, value, dropout=lambda scores: scores * 0)
    assert not ops.convert_to_numpy(attended).any()
    assert not ops.convert_to_numpy(scores).any()


def test_a_query_that_may_see_nothing_gets_zeros():
    x = random(1, 4, 2, 4)
    attended, _ = attention(x, x, x, key_mask=np.array([[0, 0, 1, 1]]), causal=True)
    attended = ops.convert_to_numpy(attended)
    assert not attended[:, :2].any()
    np.testing.assert_allclose(attended[:, 2], x[:, 2], atol=1e-6)
