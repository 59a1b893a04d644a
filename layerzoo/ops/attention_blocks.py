r"""The blocks of attention: which keys a block of queries reads, and what is applied to its scores.

Axis letters: `b` batch, `t` query time, `s` key time, `g` key/value heads, `r` query heads per key/value
head, `h` head width, `v` width of a value, `m` queries and `k` keys of a block.
"""

from collections import namedtuple
from functools import reduce

import keras
from keras import backend, ops

from layerzoo.ops.masks import visible, weigh
from layerzoo.ops.randomness import kept

Sight = namedtuple("Sight", ["bias", "allowed", "some", "kept"])
"""What is applied to the scores of a block. Each field may be None.

`bias`: added to the scores, `(g, r, m, k)`. `allowed`: which scores count, `(m, k)` or `(b, 1, 1, m, k)`.
`some`: whether a query may attend to any key, `(b, 1, 1, m, 1)`. `kept`: which scores dropout keeps,
`(b, g, r, m, k)`. The values make up for the others.
"""


def blocks(t, s, causal=False, window=None, in_kernel=False):
    """Spans `(q0, q1, k0, k1)`: the queries `q0:q1` attend only to the keys `k0:k1`.

    If the length is unknown when the graph is built, there are 8 blocks of one size on TensorFlow, where
    slice bounds may be tensors, and one block on other backends. The last of the 8 may reach beyond `t`: no
    block is empty, of which exporters can make nothing. Blocks for a fused kernel, `in_kernel`, are longer.
    """
    if isinstance(t, int):
        size = block_size(t, window, in_kernel)
        edges = [(q0, min(q0 + size, t)) for q0 in range(0, max(t, 1), size)]
    elif backend.backend() == "tensorflow":
        size = (t + 7) // 8
        edges = [(i * size, (i + 1) * size) for i in range(8)]
    else:
        return [(0, t, 0, s)]
    return [(q0, q1, *keys_of(q0, q1, s, causal, window)) for q0, q1 in edges]


def block_size(t, window, in_kernel):
    """The number of queries per block that is fastest, with at most 128 blocks."""
    if window is not None:
        size = 128
    elif in_kernel:
        size = 1024
    else:
        size = 128 if t <= 1024 else 256
    return max(size, -(-t // 128))


def keys_of(q0, q1, s, causal, window):
    """The bounds of the keys that the queries `q0:q1` may attend to."""
    known = isinstance(q0, int) and isinstance(s, int)
    larger, smaller = (max, min) if known else (ops.maximum, ops.minimum)
    k0 = 0
    if window is not None:
        first = q0 - window + 1
        k0 = larger(first if known else smaller(first, s - 1), 0)
    reach = q1 if causal else None if window is None else q1 + window - 1
    return k0, s if reach is None else smaller(reach, s)


def sight_of(q, spans, key_mask, causal, window, bias, dropout):
    """A function that returns the `Sight` of a block, given its number, its span and the bias `weights`.

    Whether a query may attend to a key depends only on the distance between them. One strip of booleans
    therefore serves all blocks, and each block slices its part out of it.
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
            seen = ops.expand_dims(hold(ops.cast(key_mask, "bool"))[:, k0:k1], (1, 2, 3))
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
    """The largest of some numbers. Any of them may be tensors."""
    return (
        max(numbers) if all(isinstance(x, int) for x in numbers) else reduce(ops.maximum, numbers)
    )


def attend(q, k, v, sight):
    """The attention output of one block of queries, `(b, g, r, m, v)`, and its scores, `(b, g, r, m, k)`."""
    b, g, r, m, h = ops.shape(q)
    s = ops.shape(v)[2]
    scores = ops.matmul(ops.reshape(q, (b, g, r * m, h)), ops.swapaxes(k, 2, 3))
    scores = weigh(ops.reshape(scores, (b, g, r, m, s)), sight.bias, sight.allowed)
    if sight.kept is not None:
        scores = ops.where(sight.kept, scores, 0.0)
    if sight.some is not None:
        scores = ops.where(sight.some, scores, 0.0)
    scores = ops.cast(scores, v.dtype)
    attended = ops.matmul(ops.reshape(scores, (b, g, r * m, s)), v)
    return ops.reshape(attended, (b, g, r, m, v.shape[-1])), scores


def attend_in_blocks(q, k, v, weights, spans, look):
    """Run `attend` on each block, to `(b, g, r, t, v)`. With several blocks, the gradient reruns it."""

    def block(i, span):
        def attended(q, k, v, *weights):
            return attend(q, k, v, look(i, span, weights))[0]

        again = keras.remat(attended) if len(spans) > 1 else attended
        q0, q1, k0, k1 = span
        return again(q[..., q0:q1, :], k[..., k0:k1, :], v[..., k0:k1, :], *weights)

    return ops.concatenate([block(i, span) for i, span in enumerate(spans)], axis=3)
