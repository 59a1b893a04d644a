"""Linear attention: its cost grows linearly with the sequence length.

Axis letters: `b` batch, `t` query time, `s` key time, `n` heads, `m` features, `h` head width. The causal
form cuts time into `c` chunks of `l` steps.
"""

from keras import backend, ops

from layerzoo.ops.masks import visible
from layerzoo.ops.padding import padded


def elu_plus_one(x):
    """`elu(x) + 1`: `x + 1` above 0 and `exp(x)` below. Adding 1 to `elu(x)` would lose precision there."""
    positive = x > 0
    return ops.where(positive, x + 1, ops.exp(ops.where(positive, 0.0, x)))


def linear_attention(query, key, value, key_mask=None, causal=False, epsilon=1e-6, chunk_size=128):
    r"""The mean of the values, weighted by inner products of features.

    $$
    y_t = \frac{\sum_{s \in S(t)} \langle q_t, k_s \rangle\, v_s}
        {\sum_{s \in S(t)} \langle q_t, k_s \rangle + \epsilon}
        = \frac{q_t^\top \sum_{s \in S(t)} k_s v_s^\top}
        {q_t^\top \sum_{s \in S(t)} k_s + \epsilon}
    $$

    The sums on the right contain no query. Without `causal`, they are computed once for all queries. With
    `causal`, the left side is used inside each chunk of steps, and the right side for all earlier chunks.

    Args:
        query: `(b, t, n, m)`, non-negative features.
        key: `(b, s, n, m)`, non-negative features.
        value: `(b, s, n, h)`.
        key_mask: `(b, s)`, true for keys that may be attended to. None allows all keys.
        causal: whether step `t` attends only to keys at `s <= t`. Queries and keys must then have the same
            length.
        epsilon: added to the sum of the weights.
        chunk_size: number of steps per chunk. A larger chunk takes more time, and less memory for the sums
            of the chunks.

    Returns:
        `(b, t, n, h)`, in the dtype of `value`. A query that may attend to nothing gets zeros. All sums are
        computed in float32 or better.
    """
    kept, precise = value.dtype, backend.result_type(value.dtype, "float32")
    query, key, value = (ops.cast(x, precise) for x in (query, key, value))
    if key_mask is not None:
        key = ops.where(ops.expand_dims(ops.cast(key_mask, "bool"), (-2, -1)), key, 0.0)
    if causal:
        return ops.cast(_causal(query, key, value, epsilon, chunk_size)[0], kept)
    query, value = (ops.transpose(x, (0, 2, 1, 3)) for x in (query, value))  # (b, n, time, m or h)
    key = ops.transpose(key, (0, 2, 3, 1))  # (b, n, m, s)
    total = ops.matmul(query, ops.sum(key, axis=-1, keepdims=True))
    attended = ops.matmul(query, ops.matmul(key, value)) / (total + epsilon)
    return ops.cast(ops.transpose(attended, (0, 2, 1, 3)), kept)


def linear_attention_with_state(query, key, value, state, key_mask=None, epsilon=1e-6):
    """Causal linear attention that continues from the sums of earlier steps.

    Args:
        query: as in `linear_attention`.
        key: as there.
        value: as there.
        state: a dict of `sum`, `(b, n, m, h)`, and `normaliser`, `(b, n, m, 1)`, both in float32 or better.
        key_mask: as there.
        epsilon: as there.

    Returns:
        `(b, t, n, h)` and the new state.
    """
    precise = state["sum"].dtype
    if key_mask is not None:
        key = ops.where(ops.expand_dims(ops.cast(key_mask, "bool"), (-2, -1)), key, 0.0)
    kept = value.dtype
    query, key, value = (ops.cast(x, precise) for x in (query, key, value))
    attended, state = _causal(query, key, value, epsilon, 128, state)
    return ops.cast(attended, kept), state


def _causal(query, key, value, epsilon, chunk_size, before=None):
    t = ops.shape(value)[1]
    size = min(chunk_size, t or 1) if isinstance(t, int) else chunk_size
    query, key, value = (_chunks(x, size) for x in (query, key, value))  # (b, n, c, l, m or h)
    key = ops.swapaxes(key, -1, -2)  # (b, n, c, m, l)

    weights = ops.where(
        visible(ops.arange(size), ops.arange(size), causal=True), ops.matmul(query, key), 0.0
    )
    sums = dict(sum=ops.matmul(key, value), normaliser=ops.sum(key, axis=-1, keepdims=True))
    state, normaliser = (_sum_before(x) for x in sums.values())  # (b, n, c, m, h), (b, n, c, m, 1)
    after = {}
    if before is not None:
        after = {name: before[name] + ops.sum(x, axis=2) for name, x in sums.items()}
        state = state + ops.expand_dims(before["sum"], 2)
        normaliser = normaliser + ops.expand_dims(before["normaliser"], 2)
    total = ops.matmul(query, normaliser) + ops.sum(weights, axis=-1, keepdims=True)
    attended = ops.matmul(query, state) + ops.matmul(weights, value)
    b, n, c, _, h = ops.shape(attended)
    attended = ops.reshape(attended / (total + epsilon), (b, n, c * size, h))[:, :, :t]
    return ops.transpose(attended, (0, 2, 1, 3)), after


def _chunks(x, size):
    """Cut `x: (b, t, n, m)` into `(b, n, c, l, m)`, padded with zeros.

    The heads move first: with one head, tf2onnx writes a transpose of five axes as a wrong reshape.
    """
    b, t, n, m = ops.shape(x)
    count = (t + size - 1) // size
    # if the length is unknown: every exporter can handle a constant amount of padding
    missing = -t % size if isinstance(t, int) else size - 1
    x = ops.transpose(x, (0, 2, 1, 3))
    x = padded(x, 2, after=missing)
    return ops.reshape(x[:, :, : count * size], (b, n, count, size, m))


def _sum_before(x):
    """Replace each chunk of `x: (b, n, c, ...)` by the sum of the chunks before it.

    It does not subtract a chunk from an inclusive sum: later steps must not matter, not even by rounding.
    """
    before = ops.concatenate([ops.zeros_like(x[:, :, :1]), x[:, :, :-1]], axis=2)
    return ops.cumsum(before, axis=2)
