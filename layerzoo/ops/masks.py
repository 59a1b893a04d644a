"""Masks: which steps may be attended to.

Axis letters: `b` batch, `t` query time, `s` key time, `d` features.
"""

import warnings

import keras
from keras import backend, ops

LOWEST = -3e38
"""Added to scores that are not allowed. It is finite, so that a row of it does not give `inf - inf`."""


def fitting_mask(mask, sizes, name="mask"):
    """A mask as booleans, or None for None. A mask that does not fit is refused, and none is broadcast.

    Sizes that are unknown while a graph is traced fit any size, and values that are unknown then count as
    true if they are not 0.

    Args:
        mask: tensor, array or nested list of booleans, or of 0 and 1; or None.
        sizes: the shape of what is masked, `(batch, time)` or `(batch, height, width)`, say. Trailing axes
            may be missing from a mask, but not the first after the batch.
        name: the argument that holds the mask, for the error.

    Raises:
        ValueError: the shape, the dtype or a value of the mask does not fit.
    """
    if mask is None:
        return None
    symbolic = keras.utils.is_keras_tensor(mask)
    try:
        tensor = mask if symbolic else ops.convert_to_tensor(mask)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{_mask_rule(name, sizes)} Received: {name}={mask!r}") from error
    shape, dtype = tuple(tensor.shape), backend.standardize_dtype(tensor.dtype)
    fits = min(2, len(sizes)) <= len(shape) <= len(sizes)
    if not fits or _differ(shape, sizes):
        raise ValueError(f"{_mask_rule(name, sizes)} Received: {name} of shape {shape}")
    if dtype == "bool":
        return tensor
    if "int" not in dtype and "float" not in dtype:
        raise ValueError(f"{_mask_rule(name, sizes)} Received: {name} of dtype {dtype}")
    values = None if symbolic else known_values(tensor)
    if values is not None:
        others = values[(values != 0) & (values != 1)]
        if others.size:
            raise ValueError(
                f"{_mask_rule(name, sizes)} Received: {name} with the value {others[0]}"
            )
    return ops.cast(tensor, "bool")


def _differ(sizes, others):
    """Whether two sizes at the same place are known and not equal."""
    pairs = zip(sizes, others, strict=False)
    known = (pair for pair in pairs if all(isinstance(size, int) for size in pair))
    return any(size != other for size, other in known)


def _mask_rule(name, sizes):
    """The rule that a mask must keep, in words."""
    shapes = [tuple(sizes[:rank]) for rank in range(min(2, len(sizes)), len(sizes) + 1)]
    return f"`{name}` must be boolean, or 0 and 1, of shape {' or '.join(map(str, shapes))}."


def known_values(tensor):
    """The values of a tensor as a NumPy array, or None while a graph is traced."""
    if backend.backend() == "torch":
        import torch

        if torch.compiler.is_compiling() or torch.jit.is_tracing():
            return None
    try:
        return ops.convert_to_numpy(tensor)
    except (TypeError, NotImplementedError, RuntimeError):  # what each backend raises for no values
        return None


def with_masks(inputs, context=None, context_mask=None, mask=None, inputs_mask=None):
    """The context, its mask and the mask of the inputs. Without a context, the inputs are their own.

    Args:
        inputs: `(b, t, d)`.
        context: `(b, s, c)` or None.
        context_mask: `(b, s)` or None.
        mask: `(b, t)` or None.
        inputs_mask: `(b, t)` or None: what Keras passes if `mask` is None.

    Raises:
        ValueError: a mask does not fit, there is a `context_mask` and no context, or the context has another
            number of samples.
    """
    if context is None and context_mask is not None:
        raise ValueError("`context_mask` needs a `context`. Received: context=None")
    inputs_mask = fitting_mask(inputs_mask, inputs.shape[:2], "inputs_mask")
    mask = fitting_mask(mask, inputs.shape[:2])
    mask = inputs_mask if mask is None else mask
    if context is None:
        return inputs, mask, mask
    if _differ(inputs.shape[:1], context.shape[:1]):
        raise ValueError(
            "`context` must have as many samples as the inputs. Received: inputs of shape "
            f"{tuple(inputs.shape)}, context of shape {tuple(context.shape)}"
        )
    return context, fitting_mask(context_mask, context.shape[:2], "context_mask"), mask


def zero_padding(x, mask):
    """Set the padded steps of `x: (b, t, d)` to zero, even if they hold NaN. `mask` is `(b, t)` or None."""
    if mask is None:
        return x
    return ops.where(ops.expand_dims(ops.cast(mask, "bool"), -1), x, 0.0)


def visible(queries, keys, causal=False, window=None):
    """`(t, s)`: whether the query at step `queries[t]` may attend to the key at step `keys[s]`.

    None if every query may attend to every key.
    """
    if not causal and window is None:
        return None
    distance = ops.expand_dims(queries, 1) - ops.expand_dims(keys, 0)
    seen = distance >= 0 if causal else ops.ones_like(distance, dtype="bool")
    if window is not None:
        seen = ops.logical_and(seen, ops.abs(distance) < window)
    return seen


def weigh(scores, bias=None, allowed=None):
    """Softmax over the last axis of `scores + bias`, only where `allowed`, in float32 or better.

    `bias` and `allowed` are None or broadcast to `scores`. A row in which nothing is allowed gives finite
    but meaningless numbers.
    """
    dtype = backend.result_type(scores.dtype, "float32")
    scores = ops.cast(scores, dtype)
    if bias is not None:
        scores = scores + ops.cast(bias, dtype)
    if allowed is not None:
        scores = scores + ops.where(allowed, ops.cast(0.0, dtype), ops.cast(LOWEST, dtype))
    return _softmax(scores)


def _softmax(scores):
    """`ops.softmax` without its warning about an axis of one, and without a branch on the size.

    Exporters of PyTorch trace an unknown size at 1, and its compiler cannot trace `catch_warnings`.
    """
    if backend.backend() == "torch" and not keras.utils.is_keras_tensor(scores):
        import torch

        return torch.softmax(scores, -1)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "You are using a softmax over axis")
        return ops.softmax(scores)
