"""Where a model attends: the scores of its attention layers for given inputs, and pictures of them.

An attention layer is one whose `call` takes `return_attention_scores`: ours, Keras's own, anybody's.
One that is made of another is asked, and its part is not.
The model runs once, as it is, in inference. Each attention layer is asked for its scores on whatever
reaches it there, masks included, and hands on nothing but its outputs.
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

COLUMNS = 4
"""Panels side by side."""

LETTER = 0.07
"""The width of a letter on the axes, in inches."""


def attention_scores(
    model: keras.layers.Layer, inputs, layer: keras.layers.Layer | str | None = None
) -> dict[str, np.ndarray]:
    """The scores that the attention layers of a model use for given inputs, in the order of their calls.

    Afterwards the model is as it was: states, losses and attributes too.

    Args:
        model: A built model, or any built layer.
        inputs: What the model is called with: an array, or a list or dict of them.
        layer: A layer of the model, or its name or path: that attention layer, or those inside it. Where
            several layers bear the name, all of them. Default: every attention layer of the model.

    Returns:
        For each layer, by its path, an array as the layer returns it: `(batch, heads, queries, keys)` from
            most, `(batch, keys)` from a pooling; half precision as float32. What is called again has another
            entry, with `#2` behind its path.

    Raises:
        ValueError: the model is not built, it has no such layer, there is no attention layer in it, or none
            that is called for these inputs.
    """
    if not model.built:
        raise ValueError(
            "A model has scores once it is built: call it on a batch first, or load it. "
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

    # The scope keeps what a model writes in inference, as a stateful layer does, out of its variables.
    with _watched(model._flatten_layers(), asked, keep), keras.StatelessScope():
        model(inputs, training=False)
    if not found:
        raise ValueError(
            "The model must call the layer for these inputs. "
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
    """Draw the scores that attention layers use: a panel for each head, queries down, keys across.

    Each layer has one colour scale for all its heads, from zero to its largest score. Where a layer has
    negative scores, as a difference of two softmaxes has, zero is in the middle.

    Args:
        model: A built model, or any built layer.
        inputs: What the model is called with: an array, or a list or dict of them.
        layer: As in `attention_scores`.
        labels: What the steps are called: one for each query and, unless `key_labels` says otherwise, each
            key. Scores without queries, `(batch, keys)`, have their keys labelled. Default: numbers from 0.
        key_labels: What the keys are called, where they are others than the queries.
        sample: Which sample of the batch is drawn.
        cmap: A colour map of matplotlib. Default: from white to dark blue, which shows in grey print and
            to every eye; where there are negative scores, to dark red on their side.

    Returns:
        A `matplotlib.figure.Figure`: nothing is shown or saved. `savefig` saves it.

    Raises:
        ImportError: matplotlib, of the extra `demo`, is not installed.
        ValueError: as for `attention_scores`; or the labels are not as many as the steps, the sample is not
            in the batch, or the scores have no form that can be drawn.
    """
    if not importlib.util.find_spec("matplotlib"):
        raise ImportError(
            'Drawing needs the extra `demo`: pip install "layerzoo[demo]". '
            "Received: missing=['matplotlib']"
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
    return asked and not isinstance(layer, keras.Model)  # a model hands the question on


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
    found = [each for each in found if each not in made_of]  # whose scores their owner hands on
    if not found:
        raise ValueError(
            "There must be an attention layer, one whose `call` takes `return_attention_scores`. "
            f"Received: {'model' if layer is None else 'layer'}={chosen[0].name!r}, with none in it"
        )
    return found


def _paths(layers: Iterable) -> str:
    return ", ".join(map(_path, layers)) or "none"


def _path(layer) -> str:
    return layer.path or layer.name  # one that `build` never ran for has no path


@contextlib.contextmanager
def _watched(layers, asked, keep) -> Iterator[None]:
    """Let some of a model's layers tell their scores; in the end every layer is what it was."""
    before = [(each, dict(vars(each))) for each in layers]
    try:
        for each in layers:
            # A call drops the losses of the call before; recomputation for gradients hides values on JAX.
            vars(each).update(_losses=[], _loss_ids=set(), _remat_mode=None)
        for each in asked:
            vars(each)["call"] = _telling(each, keep)
        yield
    finally:
        for each, attributes in before:
            vars(each).clear()
            vars(each).update(attributes)


def _telling(layer, keep):
    """The layer's `call`, which also tells its scores."""
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
    """The scores of one sample, `(heads, queries, keys)`; of a pooling `(heads=1, keys)`."""
    if scores.ndim not in (2, 3, 4):
        raise ValueError(
            "Scores are drawn if they are (batch, keys), (batch, queries, keys) or (batch, heads, "
            f"queries, keys). Received: {scores.shape} of {path}"
        )
    if not 0 <= sample < len(scores):
        raise ValueError(
            "`sample` must be the index of a sample in the batch. "
            f"Received: sample={sample}, for a batch of {len(scores)}"
        )
    return scores[sample] if scores.ndim == 4 else scores[sample][None]


def _names(path, heads, labels, key_labels) -> tuple[list[str], list[str]]:
    """What stands at the rows and at the columns."""
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
    """A panel for each head, and one scale and colour bar for all of them."""
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
    """Where cells are small, only every so many have room for a label."""
    return math.ceil((letters + 0.8) * LETTER / cell)


def _size(heads, rows, columns):
    """The width and height in inches of a layer's picture, with room for what is written in it."""
    cell, across = _cell(rows, columns), min(len(heads), COLUMNS)
    wide, high = max(len(columns) * cell, 0.8), max(len(rows) * cell, 0.3)
    left = LETTER * max(map(len, rows))
    below = LETTER * (max(map(len, columns)) if _turned(columns) else 2)
    width = across * (wide + 0.2) + left + 1.2
    return width, math.ceil(len(heads) / COLUMNS) * (high + 0.35 + below) + 0.5
