"""What a layer does not claim, which therefore nobody tests, and what suggests that it should."""

import inspect
from collections.abc import Iterator

from layerzoo.catalogue import Card
from layerzoo.tensors import compat
from layerzoo.testing.engine.case import Case
from layerzoo.testing.engine.samples import Sample

OPEN = (
    *("masking", "causal", "reach", "equivariant", "conserves"),
    *("reference", "noise", "losses", "strict_masks", "identity_at_start", "continues"),
)
"""The traits that are tested only if they are claimed. Each of the others says something if left out."""

NAMES = {
    "causal": ("causal",),
    "reach": ("window", "kernel_size"),
    "losses": ("activity_regularizer",),
}
"""Words in the names of arguments that suggest a trait."""


def unclaimed(card: Card) -> dict[str, str]:
    """Each trait that a card does not claim, with what suggests it; an empty text if nothing does."""
    missing = {name: "" for name in OPEN if getattr(card.traits, name) in (None, {})}
    try:
        suggested = dict(_suggested(card, Case(card, Sample()).make()))
    except Exception:  # a layer that cannot be made is a finding of the properties
        suggested = {}
    return {name: suggested.get(name, "") for name in missing}


def _suggested(card, layer) -> Iterator[tuple[str, str]]:
    call, own = inspect.signature(layer.call).parameters, compat.own_parameters(card.layer)
    if layer.supports_masking:
        yield "masking", "`supports_masking` is True"
    for name in call:
        if name.split("_")[-1] == "mask":
            yield "masking", f"`call` takes `{name}`"
    if hasattr(layer, "get_initial_state") and {"initial_state", "return_state"} <= set(call):
        yield "continues", "it has `get_initial_state`, and `call` takes `return_state`"
    for trait, words in NAMES.items():
        for name in (*own, *call):
            if any(word in name for word in words):
                yield trait, f"it takes `{name}`"
