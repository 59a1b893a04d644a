"""Scaled dot-product attention.

`b` batch, `t` query time, `s` key time, `n` heads, `g` key/value heads, `r` query heads that share
one key/value head (`n = g r`), `h` head width.
"""

from keras import ops

from layerzoo.ops.masks import masked_softmax, visible


def attention(query, key, value, key_mask=None, causal=False, window=None, dropout=None):
    r"""`softmax(q k' / sqrt(h)) v` for grouped heads, without repeating keys or values.

    Args:
        query: `(b, t, n, h)`.
        key: `(b, s, g, h)`, with `n` a multiple of `g`.
        value: `(b, s, g, h)`.
        key_mask: `(b, s)`, true where a key may be seen, or None for everywhere.
        causal: step `t` sees only keys at `s <= t`.
        window: step `t` sees only keys nearer than this many steps, itself counted.
        dropout: a function applied to the attention scores, or None.

    Returns:
        `(b, t, n, h)` and the scores that were used, `(b, n, t, s)`. A query that may see nothing
        gets zeros.
    """
    b, t, n, h = ops.shape(query)
    s, g = ops.shape(key)[1], key.shape[2]
    r = n // g
    query = ops.reshape(query * h**-0.5, (b, t, g, r, h))
    query = ops.reshape(ops.transpose(query, (0, 2, 3, 1, 4)), (b, g, r * t, h))
    key = ops.transpose(key, (0, 2, 3, 1))  # (b, g, h, s)
    value = ops.transpose(value, (0, 2, 1, 3))  # (b, g, s, h)
    scores = ops.reshape(ops.matmul(query, key), (b, g, r, t, s))

    allowed = visible(t, causal, window)  # (t, s)
    if key_mask is not None:
        seen = ops.cast(key_mask, "bool")[:, None, None, None, :]
        allowed = seen if allowed is None else ops.logical_and(seen, allowed)

    scores = ops.cast(masked_softmax(scores, allowed), value.dtype)
    if dropout is not None:
        scores = dropout(scores)
    attended = ops.matmul(ops.reshape(scores, (b, g, r * t, s)), value)
    attended = ops.transpose(ops.reshape(attended, (b, g, r, t, h)), (0, 3, 1, 2, 4))
    return ops.reshape(attended, (b, t, n, h)), ops.reshape(scores, (b, n, t, s))
