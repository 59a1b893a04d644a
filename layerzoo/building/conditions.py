"""The second input of a layer: a gate beside the inputs, or a condition from which each sample is modulated.

Axis letters: `b` batch, `c` channels, `w` width of the condition.
"""

from keras import layers, ops

from layerzoo.building.wrapped import over_channels
from layerzoo.ops.channels import channel_axis, position_axes
from layerzoo.ops.dtypes import floating


def shape_of(**argument) -> tuple | None:
    """The shape of an optional tensor, given by its name, or None for None."""
    ((name, value),) = argument.items()
    if value is None:
        return None
    if not hasattr(value, "shape"):
        raise TypeError(f"`{name}` must be a tensor or None. Received: {name}={value!r}")
    return tuple(value.shape)


def must_have_shape(shape, inputs_shape, name) -> None:
    """Raise a `ValueError` unless a second input has the shape of the inputs, as far as both are known.

    Args:
        shape: its shape, or None if there is none.
        inputs_shape: the shape of the inputs.
        name: its name.
    """
    if shape is not None and (len(shape) != len(inputs_shape) or _unlike(shape, inputs_shape)):
        raise ValueError(
            f"`{name}` must have the shape of the inputs. Received: {name} of shape {tuple(shape)}, "
            f"inputs of shape {tuple(inputs_shape)}"
        )


def known_condition(shape, inputs_shape, data_format="channels_last") -> int | None:
    """The width of a condition, or None if there is none. A layer with weights must know it to build.

    Args:
        shape: `(b, w)`, or the shape of the inputs except for the channels; or None.
        inputs_shape: the shape of the inputs.
        data_format: where the channels of both are, unless the condition has two axes.

    Raises:
        ValueError: the condition has another rank, other sizes, or an unknown or empty width.
    """
    if shape is None:
        return None
    axis, due = 1, (inputs_shape[0], None)
    if len(shape) > 2:
        axis = channel_axis(data_format) % len(inputs_shape)
        due = (*inputs_shape[:axis], None, *inputs_shape[axis + 1 :])
    if len(shape) != len(due) or _unlike(shape, due):
        raise ValueError(
            "`condition` must have shape (batch, width), or the shape of the inputs with another number of "
            f"channels. Received: condition of shape {tuple(shape)}, inputs of shape {tuple(inputs_shape)}"
        )
    if not shape[axis]:
        raise ValueError(
            "`condition` must have a width that is known and not empty. "
            f"Received: condition of shape {tuple(shape)}"
        )
    return shape[axis]


def must_fit_condition(owner, condition, inputs_shape, data_format="channels_last") -> None:
    """Raise an error unless the condition of a call is None, or one that its owner was built for."""
    shape = shape_of(condition=condition)
    width = known_condition(shape, inputs_shape, data_format)
    if width in (None, owner.condition_width):
        return
    if owner.condition_width is None:
        raise ValueError(
            "`condition` must be passed to the first call of a layer that gets one, because that call makes "
            f"its weights. Received: condition of shape {shape}, and {owner.name} was built without one"
        )
    raise ValueError(
        "`condition` must have the width that the layer was built for. "
        f"Received: condition of shape {shape}, and {owner.name} was built for {owner.condition_width}"
    )


def _unlike(shape, other):
    """Whether two sizes at the same place are known and not equal."""
    return any(m != n and None not in (m, n) for m, n in zip(shape, other, strict=True))


def build_modulation(owner, width, count, kernel_initializer) -> None:
    """Give an owner the weights behind numbers for each channel: a bias, and a kernel for a condition.

    Args:
        owner: the layer. It gets `bias`, `project` and `condition_width`.
        width: width of the condition, or None if there is none.
        count: how many numbers: those of each kind stand side by side.
        kernel_initializer: for the kernel. The bias starts at 0.
    """
    owner.condition_width, owner.project = width, None
    owner.bias = owner.add_weight((count,), "zeros", name="bias")
    if width is not None:
        owner.project = layers.Dense(
            count,
            use_bias=False,
            kernel_initializer=kernel_initializer,
            dtype=owner.dtype_policy,
            name="condition",
        )
        owner.project.build((None, width))


def modulation(owner, condition, x, kinds, data_format="channels_last") -> list:
    """The numbers of each kind, which broadcast to `x`. Without a condition, they are the bias.

    Args:
        owner: the layer, after `build_modulation`.
        condition: a tensor that `must_fit_condition` has let pass, or None.
        x: the inputs, for their rank.
        kinds: how many kinds of numbers there are.
        data_format: where the channels are.
    """
    bias = ops.cast(owner.bias, owner.compute_dtype)

    def numbers(condition):
        return owner.project(floating(condition, owner.compute_dtype)) + bias

    if condition is None:
        together = ops.expand_dims(bias, 0)
    elif len(condition.shape) == 2:
        together = numbers(condition)
    else:
        together = over_channels(numbers, condition, data_format)
    if len(together.shape) < len(x.shape):
        together = ops.expand_dims(together, position_axes(x, data_format))
    return ops.split(together, kinds, axis=channel_axis(data_format))
