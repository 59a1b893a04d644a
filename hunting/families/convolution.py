"""Cards of the layers in `keras.src.layers.convolutional`."""

from keras import layers

from hunting.families.common import FORMATS, axes, space, weights
from layerzoo.catalogue import Card, Traits

SIZES = dict(t=9, z=5, y=6, x=7, c=2)


def _steps(pick, rank):
    """Strides and dilation, of which Keras allows one at a time."""
    mixed = (1, 2, 1)[:rank]
    return pick(
        [
            {},
            dict(strides=2),
            dict(dilation_rate=2 if rank == 1 else mixed),
            dict(strides=2 if rank == 1 else mixed[::-1]),
        ]
    )


def _plain(rank):
    paddings = ["valid", "same", *(["causal"] if rank == 1 else [])]
    return Card(
        layer=getattr(layers, f"Conv{rank}D"),
        inputs=lambda config: axes(config, space(rank)),
        configs=lambda pick: dict(
            filters=pick([3, 4]) * (groups := pick([1, 2])),
            groups=groups,
            kernel_size=pick([2, 3, (2, 1, 3)[:rank] if rank > 1 else 1]),
            **_steps(pick, rank),
            padding=pick(paddings),
            data_format=pick(FORMATS),
            activation=pick([None, "tanh"]),
            use_bias=pick([True, True, False]),
            **weights(pick, "kernel", "bias"),
        ),
        dims=lambda pick, config: SIZES,
        traits=Traits(
            dynamic=f"b {space(rank)}",
            causal=lambda config: True if config["padding"] == "causal" else None,
            reach=_reach if rank == 1 else None,
        ),
        errors=[
            dict(filters=0, kernel_size=1),
            dict(filters=2, kernel_size=0),
            dict(filters=2, kernel_size=2, strides=2, dilation_rate=2),
            dict(filters=3, kernel_size=2, groups=2),
            dict(filters=2, kernel_size=2, padding="full"),
        ],
    )


def _reach(config):
    if config["padding"] != "causal" or config.get("strides") or config["data_format"]:
        return None
    return (config["kernel_size"] - 1) * config.get("dilation_rate", 1), 0


def _transpose(rank):
    return Card(
        layer=getattr(layers, f"Conv{rank}DTranspose"),
        inputs=lambda config: axes(config, space(rank)),
        configs=lambda pick: dict(
            filters=pick([3, 4]),
            kernel_size=pick([2, 3]),
            **pick(
                [
                    {},
                    dict(strides=2, output_padding=1),
                    dict(strides=2),
                    dict(dilation_rate=2),
                ]
            ),
            padding=pick(["valid", "same"]),
            data_format=pick(FORMATS),
            activation=pick([None, "tanh"]),
            use_bias=pick([True, True, False]),
            **weights(pick, "kernel", "bias"),
        ),
        dims=lambda pick, config: {**SIZES, "z": 3, "y": 4, "x": 5},
        traits=Traits(dynamic=f"b {space(rank)}"),
        errors=[
            dict(filters=0, kernel_size=1),
            dict(filters=2, kernel_size=0),
            dict(filters=2, kernel_size=2, strides=2, dilation_rate=2),
            dict(filters=2, kernel_size=2, padding="causal"),
        ],
    )


def _depthwise(rank):
    return Card(
        layer=getattr(layers, f"DepthwiseConv{rank}D"),
        inputs=lambda config: axes(config, space(rank)),
        configs=lambda pick: dict(
            kernel_size=pick([2, 3]),
            depth_multiplier=pick([1, 2]),
            **pick([{}, dict(strides=2), dict(dilation_rate=2)]),
            padding=pick(["valid", "same"]),
            data_format=pick(FORMATS),
            activation=pick([None, "tanh"]),
            use_bias=pick([True, True, False]),
            **weights(pick, "depthwise", "bias"),
        ),
        dims=lambda pick, config: SIZES,
        traits=Traits(dynamic=f"b {space(rank)}"),
        errors=[dict(kernel_size=0), dict(kernel_size=2, depth_multiplier=0)],
    )


def _separable(rank):
    return Card(
        layer=getattr(layers, f"SeparableConv{rank}D"),
        inputs=lambda config: axes(config, space(rank)),
        configs=lambda pick: dict(
            filters=pick([3, 4]),
            kernel_size=pick([2, 3]),
            depth_multiplier=pick([1, 2]),
            **pick([{}, dict(strides=2), dict(dilation_rate=2)]),
            padding=pick(["valid", "same"]),
            data_format=pick(FORMATS),
            activation=pick([None, "tanh"]),
            use_bias=pick([True, True, False]),
            **weights(pick, "depthwise", "pointwise", "bias"),
        ),
        dims=lambda pick, config: SIZES,
        traits=Traits(dynamic=f"b {space(rank)}"),
        errors=[dict(filters=0, kernel_size=2), dict(filters=2, kernel_size=0)],
    )


CARDS = [
    *(_plain(rank) for rank in (1, 2, 3)),
    *(_transpose(rank) for rank in (1, 2, 3)),
    *(_depthwise(rank) for rank in (1, 2)),
    *(_separable(rank) for rank in (1, 2)),
]
