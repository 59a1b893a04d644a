r"""The blocks of attention: which keys their queries read, and what their scores meet.

`b` batch, `t` query time, `s` key time, `g` key/value heads, `r` query heads that share one key/value
head, `h` head width, `v` width of a value, `m` queries and `k` keys of a block.
"""

from collections import namedtuple
from functools import reduce

import keras
from keras import backend, ops

from layerzoo.ops.masks import visible, weigh
from layerzoo.ops.randomness import kept

Sight = namedtuple("Sight", ["bias", "allowed", "some", "kept"])
"""What the scores of a block meet: a bias `(g, r, m, k)`; which of them are allowed, `(m, k)` or
`(b, 1, 1, m, k)`; whether a query may see some key, `(b, 1, 1, m, 1)`; what dropout multiplies with,
`(b, g, r, m, k)`. Each of them may be None.
"""


def blocks(t, s, causal=False, window=None):
    """Spans `(q0, q1, k0, k1)`: the queries `q0:q1` may see no other keys than `k0:k1`.

    A length that is unknown when the graph is made gives 8 blocks on TensorFlow, where a slice may have
    any bounds, and one elsewhere.
    """
    if isinstance(t, int):
        size = block_size(t, window)
        edges = [(q0, min(q0 + size, t)) for q0 in range(0, max(t, 1), size)]
    elif backend.backend() == "tensorflow":
        size = (t + 7) // 8
        edges = [(ops.minimum(i * size, t), ops.minimum((i + 1) * size, t)) for i in range(8)]
    else:
        return [(0, t, 0, s)]
    return [(q0, q1, *keys_of(q0, q1, s, causal, window)) for q0, q1 in edges]


def block_size(t, window):
    """Queries of a block, by what is fastest: at most 128 blocks."""
    return max(128 if t <= 1024 or window is not None else 256, -(-t // 128))


def keys_of(q0, q1, s, causal, window):
    """The keys that the queries `q0:q1` may see, as bounds."""
    known = isinstance(q0, int) and isinstance(s, int)
    larger, smaller = (max, min) if known else (ops.maximum, ops.minimum)
    k0 = 0 if window is None else larger(q0 - window + 1, 0)
    reach = q1 if causal else None if window is None else q1 + window - 1
    return k0, s if reach is None else smaller(reach, s)


def sight_of(q, spans, key_mask, causal, window, bias, dropout):
    """A function of a block's number, its span and the `weights` of the bias, which gives its `Sight`.

    Which key a query may see depends on their distance alone: one strip of it serves all blocks, each
    of which takes its part.
    """
    b, g, r, _, _ = ops.shape(q)
    before = largest([q0 - k0 for q0, _, k0, _ in spans])
    behind = largest([k1 - q0 for q0, _, _, k1 in spans])
    rows = largest([q1 - q0 for q0, q1, _, _ in spans])
    strip = visible(ops.arange(0, rows), ops.arange(-before, behind), causal, window)

    def look(i, span, weights, hold=lambda x: x):
        q0, q1, k0, k1 = span
        m, k = q1 - q0, k1 - k0
        added = kept_here = some = allowed = None
        if strip is not None:
            allowed = hold(strip)[:m, k0 - q0 + before : k1 - q0 + before]
        if key_mask is not None:
            seen = hold(ops.cast(key_mask, "bool"))[:, None, None, None, k0:k1]
            allowed = seen if allowed is None else ops.logical_and(seen, allowed)
            some = ops.any(allowed, axis=-1, keepdims=True)
        if bias is not None:
            steps = hold(ops.arange(q0, q1)), hold(ops.arange(k0, k1))
            added = ops.reshape(bias(*steps, *weights), (g, r, m, k))
        if dropout is not None:
            rate, seed = dropout
            kept_here = kept((b, g, r, m, k), rate, seed, part=i)
        return Sight(added, allowed, some, kept_here)

    return look


def largest(numbers):
    """The largest of numbers, of which some may be tensors."""
    return (
        max(numbers) if all(isinstance(x, int) for x in numbers) else reduce(ops.maximum, numbers)
    )


def attend(q, k, v, sight):
    """What one block of queries attends to, `(b, g, r, m, v)`, and its scores, `(b, g, r, m, k)`."""
    b, g, r, m, h = ops.shape(q)
    s = ops.shape(v)[2]
    scores = ops.matmul(ops.reshape(q, (b, g, r * m, h)), ops.swapaxes(k, 2, 3))
    scores = weigh(ops.reshape(scores, (b, g, r, m, s)), sight.bias, sight.allowed)
    if sight.kept is not None:
        scores = scores * ops.cast(sight.kept, scores.dtype)
    if sight.some is not None:
        scores = ops.where(sight.some, scores, 0.0)
    scores = ops.cast(scores, v.dtype)
    attended = ops.matmul(ops.reshape(scores, (b, g, r * m, s)), v)
    return ops.reshape(attended, (b, g, r, m, v.shape[-1])), scores


def attend_in_blocks(q, k, v, weights, spans, look):
    """`(b, g, r, t, v)` by `attend`, which runs again in the gradient where there are several blocks."""

    def block(i, span):
        def attended(q, k, v, *weights):
            return attend(q, k, v, look(i, span, weights))[0]

        again = keras.remat(attended) if len(spans) > 1 else attended
        q0, q1, k0, k1 = span
        return again(q[..., q0:q1, :], k[..., k0:k1, :], v[..., k0:k1, :], *weights)

    return ops.concatenate([block(i, span) for i, span in enumerate(spans)], axis=3)
