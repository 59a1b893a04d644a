r"""Recurrences whose state is a matrix, in parallel over time: decayed sums, and the delta rule.

Time is cut into chunks. Inside a chunk, every step meets every earlier one in matrix products. Between
chunks, only the states go on, by a scan that takes a few steps in each of its levels.

Decays are given as logarithms. They are only added, and their exponentials only multiplied: nothing is
divided by a product of decays, so that the smallest of them underflow to zero and do no harm.

Axis letters: `b` batch, `t` time, `n` heads, `m` features of queries and keys, `h` of values. Time is `c`
chunks of `l` steps. `g` stands for `b * n`.
"""

from collections import namedtuple

from keras import ops

from layerzoo.ops.dtypes import at_least_float32
from layerzoo.ops.padding import padded

CHUNK = 64
"""How many steps are a chunk. A power of two."""
GROUP = 4
"""How many chunks the scan takes at once. A power of two."""
LEVELS = 10
"""How often the scan takes `GROUP` at once if the length is unknown: enough for 64 million steps."""


def decayed_linear_attention(query, key, value, log_decay, state=None, mask=None):
    r"""Linear attention whose state decays.

    $$
    S_t = \operatorname{diag}(a_t)\, S_{t-1} + k_t v_t^\top, \qquad y_t = S_t^\top q_t
    $$

    Args:
        query: `(b, t, n, m)`.
        key: `(b, t, n, m)`.
        value: `(b, t, n, h)`.
        log_decay: the logarithm of $a_t$, at most 0: `(b, t, n, m)`, or `(b, t, n)` for one decay per head.
        state: the state before the first step, `(b, n, m, h)`. Defaults to zeros.
        mask: `(b, t)`, false at steps that leave the state as it is. Defaults to none.

    Returns:
        `(b, t, n, h)` and the state after the last step, both in float32 or better.
    """
    shared = len(log_decay.shape) == 3
    cut = _Chunks(value)
    query, key, value, log_decay = _prepared(cut, mask, query, key, value, log_decay)
    inside = _inside_of_one_decay if shared else _inside
    (scores,), (read,), write, total = inside([query], key, log_decay, cut.size)
    written = ops.matmul(_turned(write), value)
    before, state = _between(DIAGONAL, cut, _turned(total), written, state)
    attended = ops.matmul(scores, value) + ops.matmul(read, before)
    return cut.back(attended), state


def gated_delta_rule(query, key, value, log_decay, beta, state=None, mask=None):
    r"""The gated delta rule: what a key is found to hold is corrected, in part, towards its new value.

    $$
    S_t = (I - \beta_t k_t k_t^\top) \operatorname{diag}(a_t)\, S_{t-1} + \beta_t k_t v_t^\top,
    \qquad y_t = S_t^\top q_t
    $$

    Inside a chunk, the corrections $u_t = \beta_t (v_t - S_{t-1}^\top \operatorname{diag}(a_t)\, k_t)$ depend
    on each other by a triangular matrix, which is inverted. With them, it is a decayed sum of $k_t u_t^\top$.

    Args:
        query: `(b, t, n, m)`.
        key: `(b, t, n, m)`, of length 1 at most: otherwise the state may grow without bounds.
        value: `(b, t, n, h)`.
        log_decay: the logarithm of $a_t$, at most 0: `(b, t, n, m)`, or `(b, t, n)` for one decay per head.
        beta: `(b, t, n)`, how far a value is corrected: 0 not at all, 1 fully.
        state: the state before the first step, `(b, n, m, h)`. Defaults to zeros.
        mask: `(b, t)`, false at steps that leave the state as it is. Defaults to none.

    Returns:
        `(b, t, n, h)` and the state after the last step, both in float32 or better.
    """
    m, shared = key.shape[-1], len(log_decay.shape) == 3
    cut = _Chunks(value)
    query, key, value, log_decay = _prepared(cut, mask, query, key, value, log_decay)
    beta = cut(ops.expand_dims(at_least_float32(beta), -1))
    inside = _inside_of_one_decay if shared else _inside
    (scores, alike), (read, seen), write, total = inside([query, key], key, log_decay, cut.size)

    # the corrections are `new - found @ state`, with the state before the chunk
    solved = _inverse(beta * alike, cut.size)
    solved = ops.matmul(solved, beta * ops.concatenate([value, seen], axis=-1))
    new, found = solved[..., :-m], solved[..., -m:]
    write = _turned(write)
    kept = ops.eye(m, dtype=key.dtype) * ops.exp(total) - ops.matmul(write, found)
    before, state = _between(FULL, cut, kept, ops.matmul(write, new), state)
    attended = ops.matmul(scores, new - ops.matmul(found, before)) + ops.matmul(read, before)
    return cut.back(attended), state


def units(*vectors, epsilon=1e-6):
    """Each of the vectors divided by its length, over the last axis, in float32 or better."""
    precise = [at_least_float32(x) for x in vectors]
    return [
        x * ops.rsqrt(ops.sum(ops.square(x), axis=-1, keepdims=True) + epsilon) for x in precise
    ]


def _prepared(cut, mask, query, key, value, log_decay):
    """The four in chunks, `(g * c, l, d)`. Padding writes nothing and lets nothing decay."""
    if len(log_decay.shape) == 3:
        log_decay = ops.expand_dims(log_decay, -1)
    query, key, value, log_decay = (at_least_float32(x) for x in (query, key, value, log_decay))
    if mask is not None:
        mask = ops.expand_dims(mask, (2, 3))
        key, log_decay = (ops.where(mask, x, 0.0) for x in (key, log_decay))
    return [cut(x) for x in (query, key, value, log_decay)]


def _turned(x):
    return ops.swapaxes(x, -1, -2)


class _Chunks:
    """Cuts `(b, t, n, d)` into `(g * c, l, d)`, padded with zeros, and puts it together again."""

    def __init__(self, x):
        self.b, self.t, self.n, _ = ops.shape(x)
        known = isinstance(self.t, int)
        self.size = min(CHUNK, 1 << (max(self.t, 1) - 1).bit_length()) if known else CHUNK
        self.count = (self.t + self.size - 1) // self.size
        # if the length is unknown: every exporter can handle a constant amount of padding
        self.missing = self.size - 1
        if known:  # no steps at all are a chunk of padding
            self.count = max(self.count, 1)
            self.missing = self.count * self.size - self.t

    def __call__(self, x):
        x = ops.transpose(x, (0, 2, 1, 3))
        d = x.shape[-1]
        x = padded(x, 2, after=self.missing)[:, :, : self.count * self.size]
        return ops.reshape(x, (-1, self.size, d))

    def apart(self, x):
        """`(g * c, ...)` as `(g, c, ...)`."""
        return ops.reshape(x, (self.b * self.n, self.count, *x.shape[1:]))

    def back(self, x):
        d = x.shape[-1]
        x = ops.reshape(x, (self.b, self.n, self.count * self.size, d))[:, :, : self.t]
        return ops.transpose(x, (0, 2, 1, 3))


def _inside(queries, key, log_decay, size):
    """What the steps of a chunk are to each other, and to what is before and behind it.

    It takes blocks of 1, 2, 4, ... steps. A step in the second half of a block and one in the first meet at
    the border between the halves: the one decays since then, and the other until then.

    Args:
        queries: a list of queries, each `(g, l, m)`.
        key: `(g, l, m)`.
        log_decay: `(g, l, m)`.
        size: the number of steps `l`, a power of two.

    Returns:
        For each of the queries, its products with the decayed keys of its own and all earlier steps,
        `(g, l, l)`, and the query, decayed since the start of the chunk. The keys, decayed until its end. The
        logarithm of the decay of the whole chunk, `(g, 1, m)`.
    """
    half = 1
    scores = [ops.sum(query * key, axis=-1, keepdims=True) for query in queries]
    decay = ops.exp(log_decay)
    queries, total = [query * decay for query in queries], log_decay
    while half < size:
        first, second = _pair(key, half)
        total_first, total_second = _pair(total, 1)
        turned, decay = _turned(first), ops.exp(total_first)
        for i, query in enumerate(queries):
            early, late = _pair(query, half)
            upper, lower = _pair(scores[i], half)
            scores[i] = _blocks(upper, lower, ops.matmul(late, turned))
            queries[i] = ops.concatenate([early, late * decay], axis=1)
        key = ops.concatenate([first * ops.exp(total_second), second], axis=1)
        total = total_first + total_second
        half *= 2
    return scores, queries, key, total


def _inside_of_one_decay(queries, key, log_decay, size):
    """As `_inside`, with one decay for all features, `(g, l, 1)`: what decays is then the products."""
    one = ops.ones_like(log_decay)
    (decay,), (since,), until, total = _inside([one], one, log_decay, size)
    scores = [ops.matmul(query, _turned(key)) * decay for query in queries]
    return scores, [query * since for query in queries], key * until, total


def _pair(x, size):
    """The first and the second half of each block of `2 * size` rows: `(..., 2 * size, d)`."""
    x = ops.reshape(x, (-1, 2, size, x.shape[-1]))
    return x[:, 0], x[:, 1]


def _blocks(first, second, below):
    """The lower triangular matrix with these blocks."""
    upper = ops.concatenate([first, ops.zeros_like(below)], axis=-1)
    return ops.concatenate([upper, ops.concatenate([below, second], axis=-1)], axis=-2)


def _inverse(x, size):
    """The inverse of the triangular matrices with ones on the diagonal and `x: (g, l, l)` below it.

    It is put together from the inverses of its blocks. It takes no powers of `x`: they grow large where
    their sum, with alternating signs, does not.
    """
    if size <= 2:
        return ops.eye(size, dtype=x.dtype) - x * ops.eye(size, k=-1, dtype=x.dtype)
    half = size // 2
    blocks = ops.stack([x[:, :half, :half], x[:, half:, half:]], axis=1)
    first, second = _pair(_inverse(ops.reshape(blocks, (-1, half, half)), half), half)
    below = ops.matmul(ops.matmul(second, x[:, half:, :half]), first)
    return _blocks(first, second, -below)


_Transition = namedtuple("_Transition", "identity apply join last")
"""How states go on: the identity for `m` features, what a transition makes of a state, a later transition
after an earlier one, and what the last transition makes of a state that is passed on."""

DIAGONAL = _Transition(
    identity=lambda m, dtype: ops.zeros((m, 1), dtype),
    apply=lambda log_decay, state: ops.exp(log_decay) * state,
    join=lambda later, earlier: later + earlier,
    last=lambda log_decay, state: _decayed(log_decay, state),
)
FULL = _Transition(
    identity=lambda m, dtype: ops.eye(m, dtype=dtype),
    apply=ops.matmul,
    join=ops.matmul,
    last=ops.matmul,
)


def _decayed(log_decay, state):
    """`exp(log_decay) * state`. Of a decay near 1, it is the loss that is multiplied.

    Such a decay is rounded to one of few numbers, and step by step the error would add up.
    """
    near, half = log_decay > -0.5, ops.tanh(0.5 * log_decay)
    factor = ops.where(near, 2 * half / (1 - half), ops.exp(log_decay))  # `exp(x) - 1`, or `exp(x)`
    return ops.where(near, state, 0.0) + factor * state


def _between(kind, cut, transition, written, state):
    """The state before each chunk, `(g * c, m, h)`, and after the last one, `(b, n, m, h)`.

    Args:
        kind: `DIAGONAL` or `FULL`.
        cut: what cut time into chunks.
        transition: what becomes of a state over each chunk: the logarithms of decays, `(g * c, m or 1, 1)`,
            or matrices, `(g * c, m, m)`.
        written: what each chunk adds to it, `(g * c, m, h)`.
        state: the state before the first chunk, or None for zeros.
    """
    m, h = written.shape[1:]
    g = cut.b * cut.n
    start = ops.zeros((g, m, h), written.dtype)
    if state is not None:
        start = ops.reshape(ops.cast(state, written.dtype), (g, m, h))
    before, end = _scan(kind, cut.apart(transition), cut.apart(written), start, _levels(cut.count))
    return ops.reshape(before, (-1, m, h)), ops.reshape(end, (cut.b, cut.n, m, h))


def _levels(count):
    """How often groups are made of `count` chunks until one is left."""
    if not isinstance(count, int):
        return LEVELS
    levels = 0
    while GROUP**levels < count:
        levels += 1
    return levels


def _scan(kind, transition, written, start, levels):
    """The state before each of the chunks on the second axis, and after the last."""
    if levels == 0:  # a single one is left
        end = kind.last(transition[:, 0], start) + written[:, 0]
        # with as many as there are chunks, for JAX cannot see that a size that is unknown has become 1
        return ops.expand_dims(start, 1) + ops.zeros_like(written), end
    g, c, m, h = ops.shape(written)
    known = isinstance(c, int)
    size = min(GROUP, c) if known else GROUP
    groups = (c + size - 1) // size
    missing = -c % size if known else size - 1
    idle = kind.identity(transition.shape[2], transition.dtype)
    idle = ops.broadcast_to(idle, (g, missing, *transition.shape[2:]))
    transition = ops.concatenate([transition, idle], axis=1)[:, : groups * size]
    transition = ops.reshape(transition, (g, groups, size, *transition.shape[2:]))
    written = padded(written, 1, after=missing)[:, : groups * size]
    written = ops.reshape(written, (g, groups, size, m, h))
    steps = [(transition[:, :, i], written[:, :, i]) for i in range(size)]

    joined, added = steps[0]
    for later, new in steps[1:]:
        joined, added = kind.join(later, joined), kind.apply(later, added) + new
    before, end = _scan(kind, joined, added, start, levels - 1)
    each = [before]
    for step, new in steps[:-1]:
        each.append(kind.apply(step, each[-1]) + new)
    each = ops.reshape(ops.stack(each, axis=2), (g, groups * size, m, h))
    return each[:, :c], end
