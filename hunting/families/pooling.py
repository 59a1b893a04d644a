"""Cards of the layers in `keras.src.layers.pooling`."""

from keras import layers

from hunting.families.common import FORMATS, axes, space
from layerzoo.catalogue import Card, Traits

SIZES = dict(t=9, z=5, y=6, x=7)


def _local(name, rank):
    layer = getattr(layers, f"{name}{rank}D")
    return Card(
        layer=layer,
        inputs=lambda config: axes(config, space(rank)),
        configs=lambda pick: dict(
            pool_size=pick([2, 3, (2, 1, 3)[:rank] if rank > 1 else 2]),
            strides=pick([None, 2 if rank == 1 else (2, 1, 2)[:rank]]),
            padding=pick(["valid", "same"]),
            data_format=pick(FORMATS),
        ),
        dims=lambda pick, config: SIZES,
        traits=Traits(
            dynamic=f"b {space(rank)}", differentiable="kinked" if name[0] == "M" else "smooth"
        ),
        errors=[dict(pool_size=2, padding="full"), dict(pool_size=0)],
    )


def _global(name, rank):
    layer = getattr(layers, f"{name}{rank}D")
    averages = rank == 1 and "Average" in name
    return Card(
        layer=layer,
        inputs=lambda config: axes(config, space(rank)),
        configs=lambda pick: dict(
            data_format=pick([None, "channels_first"]), keepdims=pick([False, True])
        ),
        traits=Traits(
            dynamic=f"b {space(rank)}",
            differentiable="kinked" if "Max" in name else "smooth",
            masking=(
                lambda config: None if config["data_format"] or config["keepdims"] else "consumes"
            )
            if averages
            else None,
        ),
    )


def _adaptive(name, rank):
    layer = getattr(layers, f"{name}{rank}D")
    return Card(
        layer=layer,
        inputs=lambda config: axes(config, space(rank)),
        configs=lambda pick: dict(
            output_size=pick([2, 3 if rank == 1 else (3, 1, 2)[:rank]]),
            data_format=pick([None, "channels_first"]),
        ),
        dims=lambda pick, config: SIZES,
        traits=Traits(dynamic="b", differentiable="kinked" if "Max" in name else "smooth"),
        errors=[dict(output_size="two")],
    )


CARDS = [
    card(name, rank)
    for card, names in (
        (_local, ("AveragePooling", "MaxPooling")),
        (_global, ("GlobalAveragePooling", "GlobalMaxPooling")),
        (_adaptive, ("AdaptiveAveragePooling", "AdaptiveMaxPooling")),
    )
    for name in names
    for rank in (1, 2, 3)
]
