"""Functions of streams: copies of a residual connection that are mixed. Axis letter: `n` streams."""

import math

import numpy as np
from keras import ops


def plain_start(num_streams, constrained):
    """The offsets with which equal streams stay equal, and each becomes a plain residual connection.

    The branch then reads the mean of the streams, and writes to each of them with factor one.

    Args:
        num_streams: the number of streams, at least 2.
        constrained: whether reading goes through a sigmoid, writing through twice a sigmoid, and mixing
            through `doubly_stochastic`.

    Returns:
        A list of numbers: what reads each stream, what writes to each, and the rows of the matrix that mixes
        them.
    """
    n = num_streams
    read, write, mix = (-math.log(n - 1), 0.0, 4.0) if constrained else (1 / n, 1.0, 1.0)
    matrix = [mix if row == column else 0.0 for row in range(n) for column in range(n)]
    return [read] * n + [write] * n + matrix


def doubly_stochastic(scores, iterations=20):
    """A positive matrix whose rows and columns sum to one, by Sinkhorn's iterations.

    Each of them divides the rows by their sums and then the columns. Columns therefore sum to one exactly,
    and rows as nearly as the iterations reach.

    Args:
        scores: `(..., n, n)`, the logarithms of a matrix of positive numbers, in float32 or better.
        iterations: how often rows and columns are divided.
    """
    # rows and columns come first, because sums over short last axes take twice as long
    rank = len(scores.shape)
    first = (rank - 2, rank - 1, *range(rank - 2))  # no negative numbers, which ONNX does not know
    matrix = ops.transpose(ops.softmax(scores, axis=-1), first)
    matrix = matrix / ops.sum(matrix, axis=0, keepdims=True)
    for _ in range(iterations - 1):
        matrix = matrix / ops.sum(matrix, axis=1, keepdims=True)
        matrix = matrix / ops.sum(matrix, axis=0, keepdims=True)
    return ops.transpose(matrix, (*range(2, rank), 0, 1))


def flat_and_normalized(x, epsilon):
    """The streams of a step side by side, by their root mean square: `(..., n, d)` to `(..., n d)`."""
    *sizes, n, width = ops.shape(x)
    flat = ops.reshape(x, (*sizes, n * width))
    return flat * ops.rsqrt(ops.mean(ops.square(flat), axis=-1, keepdims=True) + epsilon)


def mixing(scores, scales, offsets, num_streams, constrained):
    """How strongly a branch reads each stream and writes to it, and how the streams are mixed.

    Args:
        scores: `(..., n (n + 2))`, computed from the streams: `n` for reading, `n` for writing, and the rows
            of the matrix that mixes.
        scales: `(3,)`, by which the three kinds of scores are multiplied.
        offsets: `(n (n + 2),)`, which are then added.
        num_streams: `n`.
        constrained: whether the matrix becomes doubly stochastic, and the others lie between 0 and 1 or 2.

    Returns:
        `(..., n)`, `(..., n)` and `(..., n, n)`.
    """
    n = num_streams
    scores = scores if constrained else ops.tanh(scores)
    kinds = np.repeat(np.eye(3), [n, n, n * n], axis=1)  # which of the scales each score has
    scales = ops.matmul(ops.cast(scales, scores.dtype), ops.cast(kinds, scores.dtype))
    scores = scales * scores + ops.cast(offsets, scores.dtype)
    read, write, mix = ops.split(scores, [n, 2 * n], axis=-1)
    mix = ops.reshape(mix, (*ops.shape(mix)[:-1], n, n))
    if not constrained:
        return read, write, mix
    return ops.sigmoid(read), 2 * ops.sigmoid(write), doubly_stochastic(mix)
