"""Values put before and after a tensor on an axis."""

from keras import ops


def padded(x, axis, before=0, after=0, value=0):
    """`x` with a value that often before and after it on an axis, which is counted from the front.

    This is not `ops.pad`: Keras numbers each of its calls, and PyTorch compiles a step again for each number.
    """
    shape = ops.shape(x)

    def filled(size):
        return ops.full((*shape[:axis], size, *shape[axis + 1 :]), value, x.dtype)

    return ops.concatenate([filled(before), x, filled(after)], axis=axis)
