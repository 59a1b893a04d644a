"""Former locations of modules. Imports from them keep working."""

import importlib
import sys

MOVED = {
    "layerzoo.attention.alibi_bias": "layerzoo.positions.alibi_bias",
    "layerzoo.attention.relative_position_bias": "layerzoo.positions.relative_position_bias",
    "layerzoo.attention.rotary_embedding": "layerzoo.positions.rotary_embedding",
    "layerzoo.attention.convolutional_block_attention": "layerzoo.channels.convolutional_block_attention",
    "layerzoo.attention.efficient_channel_attention": "layerzoo.channels.efficient_channel_attention",
    "layerzoo.attention.squeeze_excite": "layerzoo.channels.squeeze_excite",
    "layerzoo.ops.arguments": "layerzoo.building.arguments",
    "layerzoo.ops.heads": "layerzoo.building.heads",
    "layerzoo.ops.sublayers": "layerzoo.building.sublayers",
}
"""The former and the current location of each module."""


def keep_old_places() -> None:
    """Make each module, and the classes in it, importable from its former location as well."""
    for old, new in MOVED.items():
        package, name = old.rsplit(".", 1)
        module = sys.modules[old] = importlib.import_module(new)
        holder = importlib.import_module(package)
        setattr(holder, name, module)
        for layer in vars(module).values():
            if isinstance(layer, type) and layer.__module__ == new:
                setattr(holder, layer.__name__, layer)
