"""The arguments of rotary positions: scaling to longer sequences, grids, and coordinates of steps."""

import math
from typing import Any, NoReturn

import numpy as np
from keras import ops

from layerzoo.building.arguments import is_integer, is_number
from layerzoo.ops.positions import BETA_FAST, BETA_SLOW

KEYS = {
    "yarn": (
        ("factor", "original_max_position_embeddings"),
        ("attention_factor", "beta_fast", "beta_slow", "mscale", "mscale_all_dim", "truncate"),
    ),
    "llama3": (
        ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"),
        (),
    ),
}
"""The keys that each type of scaling must have, and those that it may have."""


def rotary_scaling(base, **argument) -> float | dict:
    """The argument must be a positive number, or a dict of numbers for `"yarn"` or `"llama3"`.

    Args:
        base: the base of the frequencies. YaRN divides by its logarithm.
        **argument: the argument by its name. A dict has the keys of transformers' `rope_parameters`.
    """
    ((name, value),) = argument.items()

    def refuse(rule: str) -> NoReturn:
        raise ValueError(f"`{name}` must {rule}. Received: {name}={value!r}")

    if not isinstance(value, dict):
        if not is_number(value) or not value > 0:
            refuse("be a positive number or a dict")
        return float(value)
    kind = value.get("rope_type")
    if not isinstance(kind, str) or kind not in KEYS:
        refuse(f"have one of {tuple(KEYS)} as its 'rope_type'")
    needed, optional = KEYS[kind]
    if set(needed) - set(value) or set(value) - {"rope_type", *needed, *optional}:
        refuse(f"have the keys {needed} and may have the keys {optional} if it is {kind!r}")
    checked: dict[str, Any] = {"rope_type": kind}
    for key in [key for key in value if key != "rope_type"]:
        one = value[key]
        if key == "truncate":
            if not isinstance(one, bool | np.bool_):
                refuse("have True or False as its 'truncate'")
            checked[key] = bool(one)
        else:
            if not is_number(one) or not one > 0:
                refuse(f"have a positive number as its {key!r}")
            checked[key] = float(one)
    yarn = kind == "yarn"
    low, high = ("beta_slow", "beta_fast") if yarn else ("low_freq_factor", "high_freq_factor")
    if checked.get(low, BETA_SLOW) >= checked.get(high, BETA_FAST):
        refuse(f"have a lower number as its {low!r} than as its {high!r}")
    if yarn and base <= 1:
        raise ValueError(
            f"`base` must be greater than 1 if `{name}` is 'yarn'. Received: base={base}"
        )
    return checked


def rotary_fraction(**argument) -> float:
    """The argument must be a number above 0 and at most 1."""
    ((name, value),) = argument.items()
    if not is_number(value) or not 0 < value <= 1:
        raise ValueError(f"`{name}` must be above 0 and at most 1. Received: {name}={value!r}")
    return float(value)


def grid_sizes(**argument) -> tuple:
    """The argument must be a list or tuple of at least two positive integers or None."""
    ((name, value),) = argument.items()
    several = isinstance(value, list | tuple) and len(value) >= 2
    if not several or not all(each is None or (is_integer(each) and each >= 1) for each in value):
        raise ValueError(
            f"`{name}` must be two or more positive integers or None. Received: {name}={value!r}"
        )
    return tuple(each if each is None else int(each) for each in value)


def optional_sections(number, **argument) -> tuple | None:
    """The argument must be None or a list or tuple of that many positive integers."""
    ((name, value),) = argument.items()
    if value is None:
        return None
    fits = isinstance(value, list | tuple) and len(value) == number
    if not fits or not all(is_integer(each) and each >= 1 for each in value):
        raise ValueError(
            f"`{name}` must be None or one positive integer for each of the {number} axes. "
            f"Received: {name}={value!r}"
        )
    return tuple(int(each) for each in value)


def pairs_by_axis(number, sections, input_shape) -> tuple:
    """The number of feature pairs of each axis: its section, or an equal share."""
    width = input_shape[-1]
    if sections is not None and 2 * sum(sections) != width:
        raise ValueError(
            "The last axis of the inputs must have twice the sum of `sections`. "
            f"Received: input_shape={tuple(input_shape)}, sections={sections}"
        )
    if sections is None and width % (2 * number):
        raise ValueError(
            f"The last axis of the inputs must be a multiple of {2 * number}, because features form pairs "
            f"for each of the {number} axes. Received: input_shape={tuple(input_shape)}"
        )
    return sections or (width // (2 * number),) * number


def within_grid(sizes, input_shape) -> None:
    """The steps must fit into a grid, of which only the first size may be None."""
    if None in sizes[1:]:
        raise ValueError(
            "`positions` must be given if a size of `axes` other than the first is None. "
            f"Received: positions=None, axes={sizes}"
        )
    time, first = input_shape[1], sizes[0]
    if isinstance(time, int) and first is not None and time > math.prod(sizes):
        raise ValueError(
            "There may not be more steps than places in the grid. "
            f"Received: input_shape={tuple(input_shape)}, axes={sizes}"
        )


def coordinates(number, positions, input_shape, offset) -> list:
    """The coordinates of the steps along each axis, `(time,)` or `(batch, time)`, of given `positions`."""
    positions = ops.convert_to_tensor(positions)
    shape, due = tuple(positions.shape), (*input_shape[:2], number)
    known = zip(shape[::-1], due[::-1], strict=False)
    if len(shape) not in (2, 3) or any(
        a != b for a, b in known if isinstance(a, int) and isinstance(b, int)
    ):
        raise ValueError(
            f"`positions` must have the shape {due[1:]} or {due}. Received: positions of shape {shape}"
        )
    if not (is_integer(offset) and offset == 0):
        raise ValueError(
            "`offset` must be 0 if `positions` are given, which say where each step is. "
            f"Received: offset={offset!r}"
        )
    return ops.unstack(positions, number, axis=-1)
