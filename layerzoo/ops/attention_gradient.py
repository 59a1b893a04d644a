"""The gradient of a block of attention, written by hand: five matrix products per block."""

from keras import ops

from layerzoo.ops.masks import weigh


def gradient_of_block(q, k, v, u, sight, matmul):
    """The gradient with respect to the queries, keys, values and bias of a block.

    With the scores `p`, the output `y` and its gradient `u`, the gradient of the scores before the softmax
    is `p (u v' - u y')`.

    Args:
        q: `(b, g, r, m, h)`.
        k: `(b, g, k, h)`.
        v: `(b, g, k, v)`.
        u: a pair: the gradient of the output, `(b, g, r, m, v)`, and its inner product with the output,
            `(b, g, r, m, 1)`.
        sight: what is applied to the scores.
        matmul: the matrix product. It takes `transpose_a` and `transpose_b`, as `tf.matmul` does.
    """
    u, uy = u
    b, g, r, m, h = ops.shape(q)
    scores_shape = (b, g, r, m, ops.shape(k)[2])
    if sight.some is not None:
        u = ops.where(sight.some, u, 0.0)
        uy = ops.where(sight.some, uy, 0.0)
    q = ops.reshape(q, (b, g, r * m, h))
    u, uy = ops.reshape(u, (b, g, r * m, u.shape[-1])), ops.reshape(uy, (b, g, r * m, 1))

    p = weigh(ops.reshape(matmul(q, k, transpose_b=True), scores_shape), sight.bias, sight.allowed)
    if sight.kept is None:  # the matrix product also subtracts, which saves a pass over the scores
        u_uy = ops.concatenate([u, -uy], axis=-1)
        v_1 = ops.concatenate([v, ops.ones_like(v[..., :1])], axis=-1)
        dp_uy = ops.reshape(matmul(u_uy, v_1, transpose_b=True), scores_shape)
        used, ds = p, p * ops.cast(dp_uy, p.dtype)
    else:
        dp = ops.cast(ops.reshape(matmul(u, v, transpose_b=True), scores_shape), p.dtype)
        used = ops.where(sight.kept, p, 0.0)
        ds = used * dp - p * ops.cast(ops.reshape(uy, (b, g, r, m, 1)), p.dtype)
    by_bias = None if sight.bias is None else ops.cast(ops.sum(ds, axis=0), sight.bias.dtype)

    flat = (b, g, r * m, scores_shape[-1])
    ds, used = (ops.cast(ops.reshape(x, flat), q.dtype) for x in (ds, used))
    by_q = ops.reshape(matmul(ds, k), (b, g, r, m, h))
    by_k, by_v = (matmul(x, y, transpose_a=True) for x, y in ((ds, q), (used, u)))
    return by_q, by_k, by_v, by_bias


class SumOverSpans:
    """A sum of tensors `(b, g, k, d)`, each at a span of a longer axis.

    Spans must be added in order: none may begin or end before the previous one. Only the part that later
    spans can still reach stays open for additions.
    """

    def __init__(self):
        self.done = []
        self.open, self.start, self.end = None, 0, 0

    def add(self, part, start, end):
        """Add a tensor at the span `start:end`."""
        if self.open is None:
            self.open = part
        else:
            self.done.append(self.open[..., : start - self.start, :])
            rest = self.open[..., start - self.start :, :]
            self.open = ops.pad(rest, [[0, 0], [0, 0], [0, end - self.end], [0, 0]]) + part
        self.start, self.end = start, end

    def whole(self, length):
        """The sum, on an axis of the given length."""
        last = ops.pad(self.open, [[0, 0], [0, 0], [0, length - self.end], [0, 0]])
        return ops.concatenate([*self.done, last], axis=-2)
