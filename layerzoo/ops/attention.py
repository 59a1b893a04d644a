r"""Scaled dot-product attention: exact, in blocks of queries, flat in memory.

A block of queries reads only the keys that `causal` and `window` leave it, and nothing of the size of
its scores outlives it: the gradient computes them again.

`b` batch, `t` query time, `s` key time, `n` heads, `g` key/value heads, `r` query heads that share one
key/value head (`n = g r`), `h` head width, `v` width of a value.
"""

import keras
from keras import backend, ops

from layerzoo.ops.attention_blocks import attend, attend_in_blocks, blocks, sight_of
from layerzoo.ops.attention_tensorflow import attend_on_tensorflow
from layerzoo.ops.attention_torch import attend_on_torch


def attention(
    query,
    key,
    value,
    key_mask=None,
    causal=False,
    window=None,
    bias=None,
    weights=(),
    dropout=None,
):
    r"""`softmax(q k' / sqrt(h) + bias) v` for grouped heads, without repeating keys or values.

    Args:
        query: `(b, t, n, h)`.
        key: `(b, s, g, h)`, with `n` a multiple of `g`.
        value: `(b, s, g, v)`. Padded keys and values are finite.
        key_mask: `(b, s)`, true where a key may be seen, or None for everywhere.
        causal: the query at step `t` sees only keys at `s <= t`.
        window: the query at step `t` sees only keys nearer than this many steps, itself counted.
        bias: a function of the steps of some queries, `(m,)`, of those of some keys, `(k,)`, and of
            `weights`. It gives what is added to their scores, `(n, m, k)`, and is asked block by block.
        weights: the tensors that `bias` depends on; gradients reach them as arguments only.
        dropout: `(rate, seed)`: the share of the scores to drop, and a tensor that a `SeedGenerator`
            drew. None drops nothing.

    Returns:
        `(b, t, n, v)`. A query that may see nothing gets zeros, and its gradient is zero.
    """
    if keras.utils.is_keras_tensor(query):  # for a picture: the formula, operation by operation
        return attention_and_scores(query, key, value, key_mask, causal, window, bias, weights)[0]
    fused = bias is window is dropout is None and not (causal and key_mask is not None)
    if backend.backend() == "torch" and fused:
        return attend_on_torch(query, key, value, key_mask, causal)
    q, k, v = heads_first(query, key, value)
    spans = blocks(ops.shape(q)[3], ops.shape(v)[2], causal, window)
    look = sight_of(q, spans, key_mask, causal, window, bias, dropout)
    attend_all = attend_on_tensorflow if backend.backend() == "tensorflow" else attend_in_blocks
    return time_first(attend_all(q, k, v, weights, spans, look))


def attention_and_scores(
    query,
    key,
    value,
    key_mask=None,
    causal=False,
    window=None,
    bias=None,
    weights=(),
    dropout=None,
):
    """`attention`, and the scores that were used, `(b, n, t, s)`, which are held as a whole."""
    q, k, v = heads_first(query, key, value)
    span = (0, ops.shape(q)[3], 0, ops.shape(v)[2])
    sight = sight_of(q, [span], key_mask, causal, window, bias, dropout)(0, span, weights)
    attended, scores = attend(q, k, v, sight)
    b, t, n, _ = ops.shape(query)
    return time_first(attended), ops.reshape(scores, (b, n, t, ops.shape(key)[1]))


def attention_with_scores(query, key, value, key_mask, return_scores, **sees):
    """`attention` and the scores that it used, or None in their place if they are not to be returned.

    Scores take memory that grows with the square of the length, so they are held only on request.
    """
    if return_scores:
        return attention_and_scores(query, key, value, key_mask, **sees)
    return attention(query, key, value, key_mask, **sees), None


def heads_first(query, key, value):
    """The queries `(b, g, r, t, h)`, scaled; the keys `(b, g, s, h)` and the values `(b, g, s, v)`."""
    b, t, n, h = ops.shape(query)
    g = key.shape[2]
    query = ops.reshape(query * h**-0.5, (b, t, g, n // g, h))
    query = ops.transpose(query, (0, 2, 3, 1, 4))
    return query, ops.transpose(key, (0, 2, 1, 3)), ops.transpose(value, (0, 2, 1, 3))


def time_first(attended):
    """`(b, g, r, t, v)` to `(b, t, n, v)`."""
    b, g, r, t, v = ops.shape(attended)
    return ops.reshape(ops.transpose(attended, (0, 3, 1, 2, 4)), (b, t, g * r, v))
