"""What a few calls show of a layer that its card could claim: masks, causality, state, coupling, losses."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from layerzoo.catalogue import Card
from layerzoo.tensors import compat
from layerzoo.testing.engine.case import Case
from layerzoo.testing.engine.samples import Sample
from layerzoo.testing.engine.sources import source


@dataclass(frozen=True)
class Depends:
    """A claim that depends on the config; its text is a function to put into a card.

    Attributes:
        otherwise: What holds for the plain config.
        moved: For each argument that changes it: the argument's value, and what holds then.
    """

    otherwise: Any
    moved: dict[str, tuple[Any, Any]]

    def __call__(self, config):
        """What holds for a config."""
        for name, (value, then) in self.moved.items():
            if config[name] == value:
                return then
        return self.otherwise

    def __repr__(self):
        cases = (
            f'{then!r} if config["{name}"] == {source(value)} else '
            for name, (value, then) in self.moved.items()
        )
        return f"lambda config: {''.join(cases)}{self.otherwise!r}"


def observed(card: Card) -> dict[str, Any]:
    """What calls show of the plain layer of a card: a value for each trait, or None."""
    case = Case(card, Sample())
    layer = case.built()
    probes = dict(
        masking=_masking,
        causal=_causal,
        continues=_continues,
        couples_batch=_coupling,
        state=_state,
        losses=_losses,
    )
    found = {}
    for trait, probe in probes.items():
        try:
            found[trait] = probe(case, layer)
        except Exception:  # it refuses these inputs, or a mask
            found[trait] = None
    return found


def together(plain: dict[str, Any], moved: dict[str, tuple[Any, dict[str, Any]]]) -> dict[str, Any]:
    """The claims that what was observed suggests.

    Args:
        plain: What was observed of the plain layer.
        moved: For each argument that was moved: its value, and what was observed then.
    """
    claims = {}
    for trait, value in plain.items():
        others = {
            name: (to, then[trait]) for name, (to, then) in moved.items() if then[trait] != value
        }
        if others or value is not None:
            claims[trait] = Depends(value, others) if others else value
    return claims


def _masking(case, layer) -> str | None:
    """Whether padding of the first input is ignored, and whether its mask is passed on."""
    path, shape = case.first, case.shapes()[case.first]
    if not (layer.supports_masking and case.sequential and case.floats and len(shape) > 2):
        return None
    mask = np.arange(shape[1]) < np.array([[shape[1] - 1], [1]] * shape[0])[: shape[0]]
    outputs = []
    for filling in (0.0, 50.0):
        x = case.arrays(values="normal")[path]
        x[~mask] = filling
        tensors = {path: compat.tensor(x)}, {path: compat.tensor(mask)}
        with case.still(layer):
            outputs.append(keras.tree.flatten(compat.call(layer, *tensors, training=False)))
    kept = [compat.mask_of(y) is not None for y in outputs[0]]
    pairs = zip(*map(compat.flat, outputs), strict=True)
    if all(kept) and all(y.shape[:2] == mask.shape for y in outputs[0]):
        same = all(np.allclose(a[mask], e[mask], atol=1e-5) for a, e in pairs)
        return "propagates" if same else None
    same = not any(kept) and all(np.allclose(a, e, atol=1e-5) for a, e in pairs)
    return "consumes" if same else None


def _run(case, layer, arrays, training=False):
    """The outputs from the same state and with the same noise each time."""
    with case.still(layer):
        return case.run(layer, arrays, training=training)


def _causal(case, layer) -> bool | None:
    """Whether no output depends on a later step; None if there are no steps."""
    arrays, others = (case.arrays(salt, "normal") for salt in (0, 1))
    if case.tensors[case.first].letters[1:2] != ["t"]:
        return None
    half = case.sizes["t"] // 2
    later = {**arrays, case.first: arrays[case.first].copy()}
    later[case.first][:, half:] = others[case.first][:, half:]
    pairs = list(zip(_run(case, layer, arrays), _run(case, layer, later), strict=True))
    if any(y.shape[:2] != (case.sizes["b"], case.sizes["t"]) for y, _ in pairs):
        return None
    return all(np.allclose(a[:, :half], e[:, :half], atol=1e-6) for a, e in pairs)


def _continues(case, layer) -> bool | None:
    """Whether steps that go on from a state give what they give in one call; None if there are no states."""
    if not hasattr(layer, "get_initial_state") or not compat.takes(layer, "return_state"):
        return None
    arrays, steps, found = case.arrays(values="normal"), case.sizes["t"], []
    try:
        state = layer.get_initial_state(batch_size=case.sizes["b"], length=steps)
        for place in range(steps):
            step = {path: a[:, place : place + 1] for path, a in arrays.items()}
            y, state = case.call(layer, step, initial_state=state, return_state=True)
            found.append(compat.flat(y))
    except ValueError:  # it refuses a state
        return False
    for e, *parts in zip(_run(case, layer, arrays), *found, strict=True):
        a = np.concatenate(parts, axis=1) if e.shape[1:2] == (steps,) else parts[-1]
        if a.shape != e.shape or not np.allclose(a, e, atol=1e-5):
            return None
    return True


def _coupling(case, layer) -> str | None:
    """When the samples of a batch influence each other."""
    arrays, others = (case.arrays(salt, "normal") for salt in (0, 1))
    mixed = {path: np.concatenate([a[:1], others[path][1:]]) for path, a in arrays.items()}
    for when, training in (("always", False), ("training", True)):
        pair = (_run(case, layer, each, training) for each in (arrays, mixed))
        pairs = list(zip(*pair, strict=True))
        if any(y.shape[:1] != (case.sizes["b"],) for y, _ in pairs):
            return None
        if not all(np.allclose(a[0], e[0], atol=1e-6) for a, e in pairs):
            return when
    return None


def _state(case, layer) -> str | None:
    """When a call changes variables that are no seeds."""
    for when, training in (("always", False), ("training", True)):
        with compat.kept_state(layer, seeds=True):
            before = [compat.array(v).copy() for v in layer.variables]
            compat.call(layer, case.arrays(1, "normal"), training=training)
            for v, old in zip(layer.variables, before, strict=True):
                if "seed_generator" not in v.path and not np.array_equal(compat.array(v), old):
                    return when
    return None


def _losses(case, layer) -> int | None:
    """How many losses a call adds, without those of regularizers of weights; None if none."""
    case.call(layer, case.arrays())
    regularized = sum(getattr(w, "regularizer", None) is not None for w in layer.trainable_weights)
    return (len(layer.losses) - regularized) or None
