"""Attention within the windows of an image.

Axis letters: `b` batch, `y x` image, `c` channels, `w` height and width of a window, `p = w * w` pixels of
a window in row-major order, `rows` and `columns` of windows, `n` heads, `h` head width.
"""

from keras import ops

from layerzoo.ops.attention import heads_first, time_first
from layerzoo.ops.attention_blocks import Sight, attend
from layerzoo.ops.padding import padded
from layerzoo.ops.positions import per_head
from layerzoo.ops.randomness import kept, made_up


def windows_along(size, window):
    """How many windows cover a side of an image, or None if its size is None."""
    return None if size is None else (size + window - 1) // window


def cut_into_windows(image, window, shift):
    """Cut `(b, y, x, c)` into `(b, rows, columns, p, c)`, after rolling the image up and left by `shift`.

    First, zeros at the bottom and right fill the last windows. Then the image is rolled.
    """
    b, y, x, c = ops.shape(image)
    rows, columns = windows_along(y, window), windows_along(x, window)
    for axis, size in (1, y), (2, x):
        # if the size is unknown: every exporter can handle a constant amount of padding
        missing = -size % window if isinstance(size, int) else window - 1
        image = padded(image, axis, after=missing)
    image = image[:, : rows * window, : columns * window]
    if shift:
        image = rolled(image, shift)
    image = ops.reshape(image, (b, rows, window, columns, window, c))
    image = ops.transpose(image, (0, 1, 3, 2, 4, 5))
    return ops.reshape(image, (b, rows, columns, window * window, c))


def rolled(image, shift):
    """Roll `(b, y, x, c)` up and left by `shift`: not by `ops.roll`, for LiteRT has no such operation."""
    image = ops.concatenate([image[:, shift:], image[:, :shift]], axis=1)
    return ops.concatenate([image[:, :, shift:], image[:, :, :shift]], axis=2)


def join_windows(windows, window, shift, y, x):
    """Join `(b, rows, columns, p, c)` back into `(b, y, x, c)`."""
    b, rows, columns, _, c = ops.shape(windows)
    image = ops.reshape(windows, (b, rows, columns, window, window, c))
    image = ops.transpose(image, (0, 1, 3, 2, 4, 5))
    image = ops.reshape(image, (b, rows * window, columns * window, c))
    if shift:
        image = rolled(image, -shift)
    return image[:, :y, :x]


def parts_of_windows(b, y, x, window, shift, mask=None):
    """`(b, rows, columns, p)` integers. Pixels of a window attend to each other if theirs are equal.

    A shift brings pixels of opposite edges into one window. Each edge then has its own number. The number
    0 marks zeros that fill a window and pixels that are padding by `mask: (b, y, x or 1)`; nothing attends
    to them. The result is None if no pair of pixels in a window is kept apart.
    """
    fits = all(isinstance(size, int) and size % window == 0 for size in (y, x))
    if fits and not shift and mask is None:
        return None
    row, column = ((ops.arange(0, size) - shift) // window for size in (y, x))  # from -1 if shifted
    parts = (ops.expand_dims(row, 1) + 1) * (x + 2) + column + 2
    parts = ops.broadcast_to(parts, (b, y, x))
    if mask is not None:
        parts = ops.where(ops.cast(mask, "bool"), parts, 0)
    return ops.squeeze(cut_into_windows(ops.expand_dims(parts, -1), window, shift), -1)


def attend_in_windows(query, key, value, parts, bias, dropout=None):
    """Attention inside each window: the outputs, `(b, p, n, h)`, and the scores, `(b, n, p, p)`.

    Here `b` counts all windows of all images.

    Args:
        query: `(b, p, n, h)`.
        key: `(b, p, n, h)`.
        value: `(b, p, n, h)`. Padding must be finite.
        parts: `(b, p)` from `parts_of_windows`, or None.
        bias: `(n, p, p)`, added to the scores.
        dropout: `(rate, seed)`: the fraction of scores to drop, and a seed tensor drawn from a
            `SeedGenerator`. None drops nothing.
    """
    allowed = some = used = None
    if parts is not None:
        seen = ops.expand_dims(parts, (1, 2, 3))
        allowed = ops.logical_and(ops.expand_dims(parts, (1, 2, 4)) == seen, seen > 0)
        some = ops.any(allowed, axis=-1, keepdims=True)
    b, p, n, _ = ops.shape(query)
    if dropout is not None:
        used = kept((b, n, 1, p, p), *dropout)
    sight = Sight(ops.expand_dims(bias, 1), allowed, some, used)
    q, k, v = heads_first(query, key, value, dropout)
    attended, scores = attend(q, k, v, sight)
    scores = scores if dropout is None else made_up(scores, dropout[0])
    return time_first(attended), scores[:, :, 0]


def offset_bias(table, window):
    """`(n, p, p)`: one bias per head and pair of pixels, which depends on the offset between the pixels.

    `table: ((2 w - 1) ** 2, n)` has one row per offset, ordered by the offset down and then to the right.
    """
    row, column = (
        ops.arange(0, window * window) // window,
        ops.arange(0, window * window) % window,
    )
    down, right = (ops.expand_dims(x, 1) - x + window - 1 for x in (row, column))
    return per_head(table, down * (2 * window - 1) + right)
