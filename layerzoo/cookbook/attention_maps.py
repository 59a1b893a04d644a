"""Where a model attends: the scores of its attention layers for given inputs, and pictures of them.

An attention layer is any layer whose `call` takes `return_attention_scores`: ours, Keras's or yours.
If an attention layer wraps another, only the outer one is recorded.
The model runs once, unchanged, at inference. Each attention layer also returns its scores for what
reaches it, masks included. The rest of the model sees only its usual outputs.
"""

import contextlib
import importlib.util
import inspect
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import keras
import numpy as np
from keras import ops

from layerzoo._backend import install

COLUMNS = 4
"""Panels side by side."""

LETTER = 0.07
"""The width of a letter on an axis, in inches."""


def attention_scores(
    model: keras.layers.Layer, inputs, layer: keras.layers.Layer | str | None = None
) -> dict[str, np.ndarray]:
    """The scores of a model's attention layers for given inputs, in the order in which they are called.

    This leaves the model unchanged, including its states, losses and attributes.

    Args:
        model: A built model, or any built layer.
        inputs: What the model is called with: an array, or a list or dict of them.
        layer: A layer of the model, or its name or path. This selects that attention layer, or those inside
            it. If several layers share the name, it selects all of them. Default: every attention layer.

    Returns:
        A dict from each layer's path to the array that the layer returns: `(batch, heads, queries, keys)`
            from most layers, `(batch, keys)` from a pooling. Half precision becomes float32. If a layer is
            called twice, the second entry has `#2` after its path.

    Raises:
        ValueError: the model is not built, has no such layer, has no attention layer, or calls none of them
            for these inputs.
    """
    if not model.built:
        raise ValueError(
            "A model must be built before it has scores: call it on a batch first, or load it. "
            f"Received: model={model.name!r}, which is not built"
        )
    asked = _attention_layers(model, layer)
    found: dict[str, np.ndarray] = {}
    calls: Counter[str] = Counter()

    def keep(path, scores):
        calls[path] += 1
        name = path if calls[path] == 1 else f"{path}#{calls[path]}"
        double = keras.backend.standardize_dtype(scores.dtype) == "float64"
        found[name] = ops.convert_to_numpy(scores if double else ops.cast(scores, "float32"))

    # The scope keeps inference from changing variables, as a stateful layer would.
    with _watched(model._flatten_layers(), asked, keep), keras.StatelessScope():
        model(inputs, training=False)
    if not found:
        raise ValueError(
            "The model must call the attention layer for these inputs. "
            f"Received: layers that it does not call, {_paths(asked)}"
        )
    return found


def draw_attention(
    model: keras.layers.Layer,
    inputs,
    layer: keras.layers.Layer | str | None = None,
    labels: Sequence | None = None,
    key_labels: Sequence | None = None,
    sample: int = 0,
    cmap: str | None = None,
):
    """Draw the scores of attention layers: a panel for each head, with queries down and keys across.

    Each layer has one colour scale for all its heads, from zero to its largest score. If a layer has
    negative scores, as a difference of two softmaxes does, zero is in the middle.

    Args:
        model: A built model, or any built layer.
        inputs: What the model is called with: an array, or a list or dict of them.
        layer: As in `attention_scores`.
        labels: One label for each query and, unless `key_labels` is given, for each key. For scores without
            queries, `(batch, keys)`, they label the keys. Default: numbers from 0.
        key_labels: One label for each key, if the keys are not the queries.
        sample: The index of the sample to draw.
        cmap: A matplotlib colour map. Default: white to dark blue, which also works in grey print and for
            colour-blind readers, with dark red for negative scores.

    Returns:
        A `matplotlib.figure.Figure`, neither shown nor saved. Use its `savefig` to save it.

    Raises:
        ImportError: matplotlib is not installed; the extra `demo` installs it.
        ValueError: as for `attention_scores`. Also if the number of labels is not the number of steps, the
            sample is not in the batch, or the scores have a shape that cannot be drawn.
    """
    if not importlib.util.find_spec("matplotlib"):
        raise ImportError(
            f"Drawing needs the extra `demo`: {install('demo')}. Received: missing=['matplotlib']"
        )
    from matplotlib.figure import Figure

    maps = {
        path: _of_sample(path, scores, sample)
        for path, scores in attention_scores(model, inputs, layer).items()
    }
    named = {path: _names(path, heads, labels, key_labels) for path, heads in maps.items()}
    sizes = [_size(heads, *named[path]) for path, heads in maps.items()]
    width, heights = max(wide for wide, _ in sizes), [high for _, high in sizes]
    figure = Figure(figsize=(width, sum(heights)), layout="constrained")
    areas = figure.subfigures(len(maps), 1, squeeze=False, height_ratios=heights)[:, 0]
    for area, (path, heads) in zip(areas, maps.items(), strict=True):
        area.suptitle(path, fontsize=11)
        _draw_heads(area, heads, *named[path], cmap)
    return figure


def _takes_scores(layer) -> bool:
    asked = "return_attention_scores" in inspect.signature(layer.call).parameters
    return asked and not isinstance(layer, keras.Model)  # a model only passes the argument on


def _attention_layers(model, layer):
    everything = model._flatten_layers()
    chosen = [each for each in everything if layer is None or layer in (each, each.name, each.path)]
    if not chosen:
        raise ValueError(
            f"`layer` must be a layer of the model, or the name or path of one. Received: layer={layer!r}. "
            f"Its attention layers are {_paths(filter(_takes_scores, everything))}"
        )
    inside = [each for outer in chosen for each in outer._flatten_layers()]
    found = [each for each in dict.fromkeys(inside) if _takes_scores(each)]
    made_of = {part for each in found for part in each._flatten_layers(include_self=False)}
    found = [each for each in found if each not in made_of]  # the outer layer returns their scores
    if not found:
        raise ValueError(
            "There must be an attention layer, a layer whose `call` takes `return_attention_scores`. "
            f"Received: {'model' if layer is None else 'layer'}={chosen[0].name!r}, which has none"
        )
    return found


def _paths(layers: Iterable) -> str:
    return ", ".join(map(_path, layers)) or "none"


def _path(layer) -> str:
    return layer.path or layer.name  # a layer without `build` has no path


@contextlib.contextmanager
def _watched(layers, asked, keep) -> Iterator[None]:
    """Record the scores of some of a model's layers while inside, then restore every layer."""
    before = [(each, dict(vars(each))) for each in layers]
    try:
        for each in layers:
            # A call clears earlier losses. On JAX, recomputation for gradients hides the values.
            vars(each).update(_losses=[], _loss_ids=set(), _remat_mode=None)
        for each in asked:
            vars(each)["call"] = _telling(each, keep)
        yield
    finally:
        for each, attributes in before:
            vars(each).clear()
            vars(each).update(attributes)


def _telling(layer, keep):
    """The layer's `call`, which also passes its scores to `keep`."""
    call = layer.call
    signature = inspect.signature(call)

    def telling(*args, **kwargs):
        bound = signature.bind(*args, **kwargs)
        returned = bound.arguments.get("return_attention_scores", False)
        bound.arguments["return_attention_scores"] = True
        outputs, scores = call(*bound.args, **bound.kwargs)
        keep(_path(layer), scores)
        return (outputs, scores) if returned else outputs

    return telling


def _of_sample(path, scores, sample):
    """The scores of one sample, `(heads, queries, keys)`, or `(1, keys)` from a pooling."""
    if scores.ndim not in (2, 3, 4):
        raise ValueError(
            "Scores must have the shape (batch, keys), (batch, queries, keys) or (batch, heads, "
            f"queries, keys). Received: {scores.shape} from {path}"
        )
    if not 0 <= sample < len(scores):
        raise ValueError(
            "`sample` must be the index of a sample in the batch. "
            f"Received: sample={sample}, for a batch of {len(scores)}"
        )
    return scores[sample] if scores.ndim == 4 else scores[sample][None]


def _names(path, heads, labels, key_labels) -> tuple[list[str], list[str]]:
    """The labels of the rows and of the columns."""
    rows = [""] if heads.ndim == 2 else _fitting(path, heads.shape[1], labels=labels)
    columns = dict(labels=labels) if key_labels is None else dict(key_labels=key_labels)
    return rows, _fitting(path, heads.shape[-1], **columns)


def _fitting(path, steps, **given):
    ((argument, names),) = given.items()
    if names is None:
        return [str(number) for number in range(steps)]
    if len(names) != steps:
        raise ValueError(
            f"`{argument}` must have one entry for each step. "
            f"Received: {len(names)} entries, for the {steps} steps of {path}"
        )
    return [str(name) for name in names]


def _draw_heads(area, heads, rows, columns, cmap):
    """Draw a panel for each head, with one scale and one colour bar for all of them."""
    largest = float(np.abs(heads).max()) or 1.0
    smallest = -largest if heads.min() < 0 else 0.0
    cmap = cmap or ("RdBu" if smallest else "Blues")
    across = min(len(heads), COLUMNS)
    panels = []
    for number, scores in enumerate(heads):
        panel = area.add_subplot(math.ceil(len(heads) / across), across, number + 1)
        shown = panel.imshow(
            np.atleast_2d(scores),
            cmap=cmap,
            vmin=smallest,
            vmax=largest,
            interpolation="none",
            aspect="auto",
        )
        panel.set_title(f"head {number + 1}" if len(heads) > 1 else "", fontsize=10)
        cell = _cell(rows, columns)
        turned = _turned(columns)
        every = _every(cell, 1 if turned else max(map(len, columns)))
        panel.set_xticks(range(0, len(columns), every), columns[::every], rotation=90 * turned)
        every = _every(cell, 1)
        panel.set_yticks(range(0, len(rows), every), rows[::every])
        panel.tick_params(length=0, labelsize=8, labelleft=number % across == 0)
        panels.append(panel)
    area.supxlabel("key", fontsize=10)
    area.supylabel("query" if heads.ndim == 3 else "", fontsize=10)
    area.colorbar(shown, ax=panels, label="score", aspect=min(5 * len(rows), 20))


def _cell(rows, columns) -> float:
    """The side of a cell in inches."""
    return min(max(4 / max(len(rows), len(columns)), 0.03), 0.3)


def _turned(columns) -> bool:
    return max(map(len, columns)) > 2


def _every(cell, letters) -> int:
    """Label every how many cells: small cells do not all have room for a label."""
    return math.ceil((letters + 0.8) * LETTER / cell)


def _size(heads, rows, columns):
    """The width and height of a layer's picture in inches, with room for its labels."""
    cell, across = _cell(rows, columns), min(len(heads), COLUMNS)
    wide, high = max(len(columns) * cell, 0.8), max(len(rows) * cell, 0.3)
    left = LETTER * max(map(len, rows))
    below = LETTER * (max(map(len, columns)) if _turned(columns) else 2)
    width = across * (wide + 0.2) + left + 1.2
    return width, math.ceil(len(heads) / COLUMNS) * (high + 0.35 + below) + 0.5
