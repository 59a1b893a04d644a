"""The properties: a module for each group. Importing a group registers its properties."""

from layerzoo.testing.properties import (  # noqa: F401
    build,
    caller,
    config,
    dropin,
    execution,
    files,
    gradient,
    independence,
    mask,
    numerics,
    randomness,
    shape,
    states,
)
