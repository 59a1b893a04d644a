r"""The element-wise linear recurrence: a step decays what was kept, and adds to it.

Axis letters: `b` batch, `t` steps. Time is cut into `c` chunks of `l` steps.
"""

from keras import ops

from layerzoo.ops.padding import padded

CHUNK = 16
"""Steps in a chunk. Their loop is written out, so more of them make a larger graph."""

LEVELS = 6
"""How often chunks are gathered into chunks where the length is unknown: enough for 16 ** 6 steps."""


def linear_recurrence(log_decay, x, before=None):
    r"""Every step of $h_t = e^{a_t} \odot h_{t-1} + x_t$, in parallel over chunks of steps.

    The steps of a chunk are taken in turn, for all chunks at once, as if nothing came before the chunk. The
    last steps of the chunks are a recurrence too, with fewer steps. Its results go back into the chunks.
    Decays are multiplied inside a chunk, and their logarithms are added beyond. Nothing is divided by a
    product of decays, so decays of 0 and of nearly 1 lose no precision.

    Args:
        log_decay: `(b, t, ...)`, the logarithms of the decays: at most 0, which keeps everything. Its axes
            after the time may be of size 1 where those of `x` are not.
        x: `(b, t, ...)`, what the steps add.
        before: `(b, ...)`, what was kept before the first step. Defaults to None: zeros.

    Returns:
        `(b, t, ...)`, the values of $h$.
    """
    return _gathered(log_decay, x, before, _levels(ops.shape(x)[1]))


def _levels(t):
    """How often `t` steps are gathered into chunks until one chunk is left."""
    if not isinstance(t, int):
        return LEVELS
    levels = 1
    while CHUNK**levels < t:
        levels += 1
    return levels


def _gathered(log_decay, x, before, levels):
    """The recurrence by chunks, which are gathered this often."""
    t = ops.shape(x)[1]
    known = isinstance(t, int)
    size = max(1, min(CHUNK, t)) if known else CHUNK
    count = (t + size - 1) // size
    missing = -t % size if known else size - 1
    log_decay, chunks = (_chunks(y, count, size, missing) for y in (log_decay, x))

    decays = ops.unstack(ops.exp(log_decay), size, axis=2)
    steps = ops.unstack(chunks, size, axis=2)
    kept, products = [steps[0]], [decays[0]]
    for decay, step in zip(decays[1:], steps[1:], strict=True):
        kept.append(decay * kept[-1] + step)
        products.append(decay * products[-1])

    inside = ops.stack(kept, axis=2)
    if levels > 1:
        ends = _gathered(ops.sum(log_decay, axis=2), kept[-1], before, levels - 1)
        first = ops.zeros_like(ends[:, :1]) if before is None else ops.expand_dims(before, 1)
        before = ops.concatenate([first, ends[:, :-1]], axis=1)
    elif before is not None:
        before = ops.expand_dims(before, 1)
    if before is not None:
        inside = inside + ops.stack(products, axis=2) * ops.expand_dims(before, 2)
    b, c, _, *rest = ops.shape(inside)
    return ops.reshape(inside, (b, c * size, *rest))[:, :t]


def last_of(states, before=None):
    """The last of the states `(b, t, ...)`, or what was before them if there are no steps."""
    if before is None:
        b, _, *rest = ops.shape(states)
        before = ops.zeros((b, *rest), states.dtype)
    return ops.concatenate([ops.expand_dims(before, 1), states[:, -1:]], axis=1)[:, -1]


def root_of_complement(log_decay):
    r"""$\sqrt{1 - e^{2 a}}$ for the logarithms $a$ of decays, precise where a decay is nearly 1.

    It is written by the hyperbolic tangent, because ONNX has no $e^x - 1$. The root has no derivative at 0:
    next to it, it is a constant.
    """
    half = ops.tanh(-log_decay)
    return ops.sqrt(ops.maximum(2 * half / (1 + half), 1e-30))


def _chunks(x, count, size, missing):
    """Cut `x: (b, t, ...)` into `(b, c, l, ...)`. Steps that change nothing fill the last chunk."""
    b, _, *rest = ops.shape(x)
    x = padded(x, 1, after=missing)
    return ops.reshape(x[:, : count * size], (b, count, size, *rest))
