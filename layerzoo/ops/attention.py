r"""Scaled dot-product attention: exact, computed in blocks of queries to save memory.

A block of queries reads only the keys that `causal` and `window` allow. If there are several blocks, the
scores of each are freed after use, and the gradient recomputes them.

Axis letters: `b` batch, `t` query time, `s` key time, `n` heads, `g` key/value heads, `r` query heads per
key/value head (`n = g r`), `h` head width, `v` width of a value.
"""

from itertools import accumulate

import keras
from keras import backend, ops

from layerzoo.ops.attention_blocks import attend, attend_in_blocks, blocks, sight_of
from layerzoo.ops.attention_jax import attend_on_jax
from layerzoo.ops.attention_tensorflow import attend_on_tensorflow
from layerzoo.ops.attention_torch import attend_in_kernels, attend_on_torch, has_kernel
from layerzoo.ops.randomness import made_up


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
        key_mask: `(b, s)`, true for keys that may be attended to. None allows all keys.
        causal: whether the query at step `t` attends only to keys at `s <= t`.
        window: the query at step `t` attends only to keys less than this many steps away.
        bias: a function that returns what to add to the scores of a block, `(n, m, k)`. It is called once
            per block with the steps of the queries, `(m,)`, the steps of the keys, `(k,)`, and `weights`.
        weights: the tensors that `bias` depends on. Gradients reach only tensors that are passed here.
        dropout: `(rate, seed)`: the fraction of scores to drop, and a seed tensor drawn from a
            `SeedGenerator`. None drops nothing.

    Returns:
        `(b, t, n, v)`. A query that may attend to nothing gets zeros, and its gradient is zero.
    """
    if keras.utils.is_keras_tensor(query):  # for drawings: the formula, operation by operation
        return attention_and_scores(query, key, value, key_mask, causal, window, bias, weights)[0]
    fused = bias is window is dropout is None and not (causal and key_mask is not None)
    if backend.backend() == "torch" and fused:
        return attend_on_torch(query, key, value, key_mask, causal)
    q, k, v = heads_first(query, key, value, dropout)
    in_kernel = dropout is None and not weights and has_kernel(q, v)
    spans = blocks(ops.shape(q)[3], ops.shape(v)[2], causal, window, in_kernel)
    rate, seed = dropout or (None, None)

    def look(given):
        key_mask, seed = given
        dropout = None if seed is None else (rate, seed)
        return sight_of(q, spans, key_mask, causal, window, bias, dropout)

    return time_first(attend_all(q, k, v, weights, (key_mask, seed), spans, look, in_kernel))


def attend_all(q, k, v, weights, given, spans, look, in_kernel=False):
    """Attention in blocks, to `(b, g, r, t, v)`, as each backend does it best.

    Args:
        q: `(b, g, r, t, h)`, scaled.
        k: `(b, g, s, h)`.
        v: `(b, g, s, v)`.
        weights: the tensors that the bias depends on.
        given: what else may be traced. It gets no gradient.
        spans: the blocks.
        look: a function of `given` that returns the function that `sight_of` returns.
        in_kernel: whether PyTorch's fused kernel takes the blocks.
    """
    if backend.backend() == "jax":
        return attend_on_jax(q, k, v, weights, given, spans, look)
    if in_kernel:
        return attend_in_kernels(q, k, v, spans, look(given))
    attend_each = attend_on_tensorflow if backend.backend() == "tensorflow" else attend_in_blocks
    return attend_each(q, k, v, weights, spans, look(given))


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
    """Like `attention`, but also return the scores, `(b, n, t, s)`, which are all kept in memory."""
    q, k, v = heads_first(query, key, value, dropout)
    span = (0, ops.shape(q)[3], 0, ops.shape(v)[2])
    sight = sight_of(q, [span], key_mask, causal, window, bias, dropout)(0, span, weights)
    attended, scores = attend(q, k, v, sight)
    b, t, n, _ = ops.shape(query)
    scores = scores if dropout is None else made_up(scores, dropout[0])
    return time_first(attended), ops.reshape(scores, (b, n, t, ops.shape(key)[1]))


def attention_with_scores(query, key, value, key_mask, return_scores, **sees):
    """The results of `attention` and its scores, or None for the scores unless `return_scores`.

    The memory for scores grows with the square of the length, so they are kept only on request.
    """
    if return_scores:
        return attention_and_scores(query, key, value, key_mask, **sees)
    return attention(query, key, value, key_mask, **sees), None


def split_groups(together, groups, counts):
    """Split a fused projection `(b, t, d)` into one `(b, t, groups * count, h)` for each of `counts`.

    Its features are ordered by group, each with `sum(counts)` heads of width `h`: first `counts[0]` heads of
    the first part, and so on. Whoever has the features of a group, as one device of several, has all that
    its attention needs.
    """
    b, t, d = ops.shape(together)
    heads = sum(counts)
    h = d // (groups * heads)
    together = ops.reshape(together, (b, t, groups, heads, h))
    starts = list(accumulate(counts[:-1]))
    parts = ops.split(together, starts, axis=3) if starts else [together]
    parts = zip(parts, counts, strict=True)
    return [ops.reshape(part, (b, t, groups * count, h)) for part, count in parts]


def gated(attended, gate=None):
    """`attended: (b, t, n, h)` times the sigmoid of `gate`, which has the same shape or is None."""
    return attended if gate is None else attended * ops.sigmoid(gate)


def heads_first(query, key, value, dropout=None):
    """The scaled queries `(b, g, r, t, h)`, the keys `(b, g, s, h)` and the values `(b, g, s, v)`.

    The values make up for the scores that dropout takes away.
    """
    query = grouped(query, key.shape[2])
    value = value if dropout is None else made_up(value, dropout[0])
    return query, ops.transpose(key, (0, 2, 1, 3)), ops.transpose(value, (0, 2, 1, 3))


def grouped(query, groups):
    """The scaled queries by key/value head: `(b, t, n, h)` as `(b, g, r, t, h)`."""
    b, t, n, h = ops.shape(query)
    query = ops.reshape(query * h**-0.5, (b, t, groups, n // groups, h))
    return ops.transpose(query, (0, 2, 3, 1, 4))


def time_first(attended):
    """Rearrange `(b, g, r, t, v)` to `(b, t, n, v)`."""
    b, g, r, t, v = ops.shape(attended)
    return ops.reshape(ops.transpose(attended, (0, 3, 1, 2, 4)), (b, t, g * r, v))
