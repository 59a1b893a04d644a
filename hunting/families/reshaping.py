"""Cards of the layers in `keras.src.layers.reshaping`."""

import numpy as np
from keras import layers

from hunting.families.common import axes
from layerzoo.catalogue import Card, Traits

BOTH = [None, "channels_first"]
"""Nothing is convolved here, so that TensorFlow has both."""


def _spatial(layer, rank, argument, values, errors=(), **others):
    """A card of a layer that crops, pads or repeats axes of space."""
    letters = " ".join("zyx"[3 - rank :])
    formats = "data_format" in layer.__init__.__code__.co_varnames
    return Card(
        layer=layer,
        inputs=lambda config: axes(config, letters),
        configs=lambda pick: {
            argument: pick(values),
            **({"data_format": pick(BOTH)} if formats else {}),
            **{name: pick(options) for name, options in others.items()},
        },
        traits=Traits(dynamic=f"b {letters}"),
        errors=[{argument: wrong} for wrong in errors],
    )


CARDS = [
    Card(
        layer=layers.Flatten,
        inputs=lambda config: axes(config, "y x"),
        configs=lambda pick: dict(data_format=pick(BOTH)),
        traits=Traits(dynamic="b"),
    ),
    Card(
        layer=layers.Permute,
        inputs="b t d",
        configs=lambda pick: dict(dims=pick([(2, 1), (1, 2)])),
        traits=Traits(
            dynamic="b t d",
            reference=lambda layer, inputs: np.transpose(inputs["inputs"], (0, *layer.dims)),
        ),
        errors=[dict(dims=(0, 1)), dict(dims=(1, 3))],
    ),
    Card(
        layer=layers.RepeatVector,
        inputs="b d",
        configs=lambda pick: dict(n=pick([3, 2])),
        traits=Traits(
            dynamic="b d",
            reference=lambda layer, inputs: np.repeat(inputs["inputs"][:, None], layer.n, 1),
        ),
        errors=[dict(n=2.5)],
    ),
    Card(
        layer=layers.Reshape,
        inputs="b t d",
        configs=lambda pick: dict(target_shape=pick([(-1,), (3, -1), (4, 6)])),
        dims=lambda pick, config: dict(t=6, d=4),
        traits=Traits(
            dynamic="b",
            reference=lambda layer, inputs: (
                inputs["inputs"].reshape(-1, *layer.target_shape)
                if -1 not in layer.target_shape
                else inputs["inputs"].reshape(len(inputs["inputs"]), *layer.target_shape)
            ),
        ),
    ),
    Card(
        layer=layers.Cropping1D,
        inputs="b t c",
        configs=lambda pick: dict(cropping=pick([(1, 1), 2, (0, 3)])),
        dims=lambda pick, config: dict(t=pick([7, 9])),
        traits=Traits(dynamic="b t"),
        errors=[dict(cropping=(1, 2, 3))],
    ),
    Card(
        layer=layers.Cropping2D,
        inputs=lambda config: axes(config, "y x"),
        configs=lambda pick: dict(
            cropping=pick([((0, 0), (0, 0)), ((1, 0), (0, 2)), 1]), data_format=pick(BOTH)
        ),
        dims=lambda pick, config: dict(y=5, x=6),
        traits=Traits(dynamic="b y x"),
        errors=[dict(cropping=(1, 2, 3))],
    ),
    Card(
        layer=layers.Cropping3D,
        inputs=lambda config: axes(config, "z y x"),
        configs=lambda pick: dict(
            cropping=pick([((1, 1), (1, 1), (1, 1)), ((1, 0), (0, 2), (0, 0)), 1]),
            data_format=pick(BOTH),
        ),
        dims=lambda pick, config: dict(z=4, y=5, x=6),
        traits=Traits(dynamic="b z y x"),
        errors=[dict(cropping=(1, 2))],
    ),
    Card(
        layer=layers.ZeroPadding1D,
        inputs=lambda config: axes(config, "t"),
        configs=lambda pick: dict(padding=pick([1, (0, 2)]), data_format=pick(BOTH)),
        traits=Traits(dynamic="b t"),
        errors=[dict(padding=(1, 2, 3))],
    ),
    _spatial(layers.ZeroPadding2D, 2, "padding", [(1, 1), ((1, 0), (0, 2)), 2], [(1, 2, 3)]),
    _spatial(layers.ZeroPadding3D, 3, "padding", [1, ((1, 0), (0, 2), (0, 0)), 2], [(1, 2)]),
    Card(
        layer=layers.UpSampling1D,
        inputs="b t c",
        configs=lambda pick: dict(size=pick([2, 3])),
        traits=Traits(
            dynamic="b t",
            reference=lambda layer, inputs: np.repeat(inputs["inputs"], layer.size, 1),
        ),
    ),
    _spatial(
        layers.UpSampling2D,
        2,
        "size",
        [(2, 2), (3, 1)],
        [(1, 2, 3)],
        interpolation=["nearest", "bilinear"],
    ),
    _spatial(layers.UpSampling3D, 3, "size", [(2, 2, 2), (3, 1, 2)], [(1, 2)]),
]
