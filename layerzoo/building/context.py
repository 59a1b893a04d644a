"""A context that conditions each step of the inputs: its own axes, or those of the inputs."""

from keras import ops

from layerzoo.building.arguments import known_width


def must_fit_inputs(context_shape, input_shape) -> None:
    """Raise a `ValueError` unless a context conditions inputs `(batch, ..., width)`.

    It has the shape `(batch, context width)`, or as many axes as the inputs. All sizes except the widths must
    then be those of the inputs, as far as they are known.
    """
    known_width(context_shape)
    rank, sizes = len(context_shape), zip(context_shape[:-1], input_shape[:-1], strict=False)
    known = [(m, n) for m, n in sizes if isinstance(m, int) and isinstance(n, int)]
    if rank not in (2, len(input_shape)) or any(m != n for m, n in known):
        raise ValueError(
            "`context` must have two axes or as many as the inputs, and their sizes before the last axis. "
            f"Received: context of shape {tuple(context_shape)}, inputs of shape {tuple(input_shape)}"
        )


def for_each_step(context, x):
    """A context of the shape `(batch, width)` with the axes that are missing to add it to `x`."""
    return ops.expand_dims(context, tuple(range(1, 1 + len(x.shape) - len(context.shape))))
