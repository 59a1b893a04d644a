"""Which property sees which broken layer: the proof that each is needed, and how far its tolerance is."""

import math
from collections.abc import Callable, Iterable

import keras

from layerzoo.testing import compat
from layerzoo.testing.broken import BROKEN, SOUND, Broken
from layerzoo.testing.closeness import metered
from layerzoo.testing.properties import PROPERTIES
from layerzoo.testing.run import check_property

PROFILE = "proof"

GAP = 10.0
"""A tolerance must lie so far, together, above the worst sound layer and below the mildest broken one."""


def measure(told: Callable[[str], object] = print) -> dict:
    """Check every broken and every sound layer for every property on this backend.

    Args:
        told: Is given the name of each layer when its turn comes.

    Returns:
        By layer, the properties that fail; and by property, the largest error as a share of the
        tolerance among sound layers, and the least among the layers that it is there to see.
    """
    broken = {}
    sound: dict[str, list[str]] = {}
    sound_share: dict[str, float] = {}
    broken_share: dict[str, float] = {}
    for name, entry in named(BROKEN):
        told(name)
        killed_by = []
        for each in PROPERTIES.values():
            status, share = _look(entry.card, each)
            killed_by += [each.id] if status == "failed" else []
            if each.id == entry.kill and status == "failed" and 1.0 < share < math.inf:
                broken_share[each.id] = min(share, broken_share.get(each.id, math.inf))
        broken[name] = {"kill": entry.kill, "killed_by": killed_by}
    for card in SOUND:
        told(card.name)
        found = {each.id: _look(card, each) for each in PROPERTIES.values()}
        accused = [id for id, (status, _) in found.items() if status not in FINE]
        sound[card.name] = sound.get(card.name, []) + accused  # a class may have several cards
        for id, (_, share) in found.items():
            sound_share[id] = max(share, sound_share.get(id, 0.0))
    return {
        "backend": compat.BACKEND,
        "keras": keras.__version__,
        "properties": list(PROPERTIES),
        "broken": broken,
        "sound": sound,
        "shares": {
            id: {"sound": float(f"{sound_share[id]:.2g}"), "broken": float(f"{share:.2g}")}
            for id, share in broken_share.items()
        },
    }


def confirm(matrix: dict, told: Callable[[str], object] = print) -> list[str]:
    """Look again at every kill that a matrix has, and at every sound layer, in a fraction of the time.

    Returns:
        What is no longer as the matrix says, in a line each. A property that sees more than it did is not
        found so: that takes `measure`.
    """
    lines = []
    if matrix["properties"] != list(PROPERTIES):
        lines.append(f"the matrix has {matrix['properties']}, and there are {list(PROPERTIES)}")
    entries = dict(named(BROKEN))
    if set(matrix["broken"]) != set(entries):
        lines.append(f"not in both: {sorted(set(matrix['broken']) ^ set(entries))}")
    for name in sorted(set(matrix["broken"]) & set(entries)):
        told(name)
        for id in matrix["broken"][name]["killed_by"]:
            status, _ = _look(entries[name].card, PROPERTIES[id])
            if status != "failed":
                lines.append(f"{id} saw {name}, and now it comes out as {status}")
    for card in SOUND:
        told(card.name)
        for each in PROPERTIES.values():
            status, _ = _look(card, each)
            if status not in FINE:
                lines.append(f"{card.name} is sound, and {each.id} comes out as {status}")
    return lines


FINE = ("passed", "not_applicable")


def named(entries: Iterable[Broken]) -> list[tuple[str, Broken]]:
    """Broken layers by a name of their own: the same class may be broken by two claims."""
    return [(f"{entry.card.name} ({entry.kill})", entry) for entry in entries]


def faults(matrix: dict) -> list[str]:
    """What a matrix fails to prove, in a line each."""
    backend = matrix["backend"]
    lines = []
    due = {name: entry for name, entry in named(BROKEN) if backend not in entry.sound_on}
    alone: dict[str, list[str]] = {id: [] for id in matrix["properties"]}
    for name, found in matrix["broken"].items():
        if name in due and found["kill"] not in found["killed_by"]:
            lines.append(f"{name} lives on {backend}: {found['kill']} does not see it")
        if len(found["killed_by"]) == 1:
            alone[found["killed_by"][0]].append(name)
    lines += [
        f"{id} is nowhere the only one that sees a broken layer on {backend}"
        for id, names in alone.items()
        if not names and any(entry.kill == id for entry in due.values())
    ]
    lines += [
        f"no broken layer is there for {id}"
        for id in matrix["properties"]
        if not any(entry.kill == id for _, entry in named(BROKEN))
    ]
    lines += [
        f"{name} is sound, and {', '.join(ids)} accuses it on {backend}"
        for name, ids in matrix["sound"].items()
        if ids
    ]
    lines += [
        f"{id}: the tolerance is {share['sound']:g} of the way to the worst sound layer and "
        f"{share['broken']:g} to the mildest broken one on {backend}; a factor of {GAP:g} must lie between"
        for id, share in matrix["shares"].items()
        if share["broken"] < GAP * share["sound"]
    ]
    return lines


def _look(card, each) -> tuple[str, float]:
    with metered() as shares:
        result = check_property(card, each, PROFILE, simplify=False)
    known = [share for share in shares if not math.isnan(share)]
    return result.status, max(known, default=0.0)
