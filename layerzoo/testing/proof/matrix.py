"""Which property detects which broken layer: proof that each is needed, and how much room it leaves."""

import math
from collections.abc import Callable, Collection, Iterable

import keras

from layerzoo.tensors import compat
from layerzoo.testing.engine.comparison import metered
from layerzoo.testing.engine.ledger import due
from layerzoo.testing.engine.register import PROPERTIES, Property
from layerzoo.testing.engine.report import Result
from layerzoo.testing.engine.run import check_property
from layerzoo.testing.proof.broken import BROKEN, SOUND, Broken
from layerzoo_entry.usage import UsageError

PROFILE = "proof"

GAP = 10.0
"""Required ratio between the mildest broken layer's error and the worst sound layer's."""


def measure(told: Callable[[str], object] = print, known: dict | None = None) -> dict:
    """Check every property on every broken and every sound layer, on this backend.

    Args:
        told: Called with the name of each layer before it is checked.
        known: An older matrix. What it tells is kept, and only the properties and the layers whose names it
            lacks are checked. If a layer has changed under its name, only `confirm` notices.

    Returns:
        For each layer, the properties that fail. For each property, the largest error on a sound layer and
        the smallest on a broken layer meant for it, both as a share of the tolerance.

    Raises:
        UsageError: the older matrix is of another backend or another version of Keras.
    """
    here = {"backend": compat.BACKEND, "keras": keras.__version__}
    known = known or {**here, "properties": [], "broken": {}, "sound": {}, "shares": {}}
    if found := {key: known[key] for key in here if known[key] != here[key]}:
        raise UsageError(f"A matrix is completed where it was measured, {here}. Received: {found}")
    new = [each for each in PROPERTIES.values() if each.id not in known["properties"]]
    broken_share = {id: share["broken"] for id, share in known["shares"].items()}
    broken = {}
    for name, entry in named(BROKEN):
        killed_by = known["broken"].get(name, {}).get("killed_by", [])
        for each in _asked(name, new, known["broken"], told):
            result, share = _look(entry.card, each)
            failed = result.status == "failed"
            killed_by = [*killed_by, each.id] if failed else killed_by
            if each.id == entry.kill and failed and 1.0 < share < math.inf:
                broken_share[each.id] = min(share, broken_share.get(each.id, math.inf))
        broken[name] = {"kill": entry.kill, "killed_by": _ordered(killed_by)}
    sound: dict[str, list[str]] = {}
    sound_share = {id: share["sound"] for id, share in known["shares"].items()}
    new += [PROPERTIES[id] for id in broken_share if id not in sound_share]
    for card in SOUND:  # a class may have several cards
        accused = sound.get(card.name, known["sound"].get(card.name, []))
        for each in _asked(card.name, dict.fromkeys(new), known["sound"], told):
            result, share = _look(card, each)
            accused = accused if result.status in FINE else [*accused, each.id]
            sound_share[each.id] = max(share, sound_share.get(each.id, 0.0))
        sound[card.name] = _ordered(accused)
    return {
        **here,
        "properties": list(PROPERTIES),
        "broken": broken,
        "sound": sound,
        "shares": {
            id: {"sound": float(f"{sound_share[id]:.2g}"), "broken": float(f"{share:.2g}")}
            for id, share in broken_share.items()
            if id in PROPERTIES
        },
    }


def without(matrix: dict, ids: Collection[str]) -> dict:
    """A matrix as if it did not know some properties, so that `measure` checks them again."""
    kept = lambda found: [id for id in found if id not in ids]  # noqa: E731
    broken = {
        name: {**each, "killed_by": kept(each["killed_by"])}
        for name, each in matrix["broken"].items()
    }
    return {
        **matrix,
        "properties": kept(matrix["properties"]),
        "broken": broken,
        "sound": {name: kept(found) for name, found in matrix["sound"].items()},
        "shares": {id: share for id, share in matrix["shares"].items() if id not in ids},
    }


def _asked(name: str, new: Iterable[Property], known: dict, told) -> list[Property]:
    """The properties to check on a layer, only the new ones if it is known; its name is told if any is."""
    asked = list(new if name in known else PROPERTIES.values())
    if asked:
        told(name)
    return asked


def _ordered(ids: Iterable[str]) -> list[str]:
    return [id for id in PROPERTIES if id in ids]


def confirm(
    matrix: dict, told: Callable[[str], object] = print, turn: int | None = None
) -> list[str]:
    """Check again every kill in a matrix, and every sound layer, in a fraction of the time.

    Args:
        matrix: What `measure` returned.
        told: Called with the name of each layer before it is checked.
        turn: If it is given, each broken layer is checked by the property meant for it, and of everything
            else a quarter is checked, another one in the next turn.

    Returns:
        A line for each difference from the matrix. This does not notice if a property detects more than
        before: only `measure` does.
    """
    lines = []
    if matrix["properties"] != list(PROPERTIES):
        lines.append(f"the matrix has {matrix['properties']}, but the kit has {list(PROPERTIES)}")
    entries = dict(named(BROKEN))
    if set(matrix["broken"]) != set(entries):
        lines.append(
            f"only in the matrix or only in the zoo: {sorted(set(matrix['broken']) ^ set(entries))}"
        )
    for name in sorted(set(matrix["broken"]) & set(entries)):
        told(name)
        for id in matrix["broken"][name]["killed_by"]:
            if id != entries[name].kill and not _is_due(name, id, turn):
                continue
            result, _ = _look(entries[name].card, PROPERTIES[id])
            raised = bool(result.failure and result.failure.raised)
            if result.status != "failed":
                lines.append(f"{id} detected {name}, but now its status is {result.status}")
            elif id == entries[name].kill and raised != entries[name].raises:
                lines.append(f"{id} detects {name} for another reason: {result.message}")
    for card in SOUND:
        told(card.name)
        for each in PROPERTIES.values():
            if not _is_due(card.name, each.id, turn):
                continue
            result, _ = _look(card, each)
            if result.status not in FINE:
                lines.append(
                    f"{card.name} is sound, but the status of {each.id} is {result.status}"
                )
    return lines


def _is_due(layer: str, id: str, turn: int | None) -> bool:
    return turn is None or due(layer, id, turn)


FINE = ("passed", "not_applicable")


def named(entries: Iterable[Broken]) -> list[tuple[str, Broken]]:
    """Broken layers with a unique name each, because two claims may break the same class."""
    return [(f"{entry.card.name} ({entry.kill})", entry) for entry in entries]


def faults(matrix: dict) -> list[str]:
    """A line for each thing that a matrix fails to prove."""
    backend = matrix["backend"]
    lines = []
    due = {name: entry for name, entry in named(BROKEN) if backend not in entry.sound_on}
    alone: dict[str, list[str]] = {id: [] for id in matrix["properties"]}
    for name, found in matrix["broken"].items():
        if name in due and found["kill"] not in found["killed_by"]:
            lines.append(f"{name} survives on {backend}: {found['kill']} does not detect it")
        if len(found["killed_by"]) == 1:
            alone[found["killed_by"][0]].append(name)
    lines += [
        f"{id}: no broken layer on {backend} is detected by this property alone"
        for id, names in alone.items()
        if not names and any(entry.kill == id for entry in due.values())
    ]
    lines += [
        f"there is no broken layer for {id}"
        for id in matrix["properties"]
        if not any(entry.kill == id for _, entry in named(BROKEN))
    ]
    lines += [
        f"{name} is sound, but {', '.join(ids)} fails on {backend}"
        for name, ids in matrix["sound"].items()
        if ids
    ]
    lines += [
        f"{id}: on {backend} the worst sound layer has an error of {share['sound']:g} tolerances, and the "
        f"mildest broken one {share['broken']:g}; these must differ by a factor of at least {GAP:g}"
        for id, share in matrix["shares"].items()
        if share["broken"] < GAP * share["sound"]
    ]
    return lines


def _look(card, each) -> tuple[Result, float]:
    with metered() as shares:
        result = check_property(card, each, PROFILE, simplify=False)
    known = [share for share in shares if not math.isnan(share)]
    return result, max(known, default=0.0)
