"""Masks: padding does not change valid outputs, and the mask is passed on while there are steps."""

import inspect
from collections.abc import Generator, Mapping
from typing import Any

import keras
import numpy as np

from layerzoo.tensors import compat
from layerzoo.tensors.outcomes import NotApplicable
from layerzoo.tensors.slice import Slice
from layerzoo.testing.engine.case import Case
from layerzoo.testing.engine.comparison import (
    SAME,
    SUMS,
    Comparison,
    Evidence,
    Fact,
    Finite,
    Sometimes,
    Yielded,
)
from layerzoo.testing.engine.register import declare

GARBAGE = (50.0, np.nan)


@keras.saving.register_keras_serializable(package="layerzoo.testing")
class Marked(keras.layers.Layer):
    """Attaches a mask to a tensor, as `Masking` and `Embedding` do."""

    def call(self, inputs):
        """The tensor from a pair of tensor and mask."""
        return keras.ops.copy(inputs[0])

    def compute_output_spec(self, inputs):
        """The spec of the tensor."""
        return keras.KerasTensor(inputs[0].shape, dtype=inputs[0].dtype)

    def compute_mask(self, inputs, previous_mask):
        """The mask from the pair."""
        return inputs[1]


@declare(
    "M1",
    brief=2,
    tier="trait",
    cost="fair",
    claim="masking",
    hint=(
        "Padding takes part in the result. A product with the mask does not remove NaN, because 0 * NaN is "
        "NaN. Apply `where(mask, x, 0)` to the inputs; in attention, apply it to the scores and to the "
        "values. Divide a sum by the number of valid steps, at least 1."
    ),
)
def mask_invariance(case: Case) -> Evidence:
    """The contents of padded steps, even NaN, change no valid output, wherever the padding is."""
    claimed = yield from mask_claims(case)
    claims = {path: claim for path, claim in claimed.items() if claim != "passes"}
    if not claims:
        raise NotApplicable("a wrapped layer decides what padding does")
    layer, stepwise = case.built(), _stepwise(case, claims)
    for where in ("right", "left", "inside", "everywhere"):
        yield from _padding_ignored(case, layer, claims, stepwise, where)
    yield from _padding_ignored(case, layer, claims, stepwise, "inside", GARBAGE[:1], training=True)
    yield from _full_mask_neutral(case, layer, claims)
    long, letters = case.long(), _letters(case, claims)
    if any(long.sizes[letter] > case.sizes[letter] for letter in letters):
        for where in ("right", "left"):
            yield from _padding_ignored(long, layer, claims, stepwise, where, GARBAGE[1:])
    for letter in letters:
        if letter in case.traits.dynamic.split() and case.sizes[letter] > 1:
            yield from _padded_step_like_none(case, layer, claims, stepwise, letter)
    yield from _finite_gradient(case, layer, claims)


def _padding_ignored(
    case, layer, claims, stepwise, where, values=GARBAGE, training=False
) -> Evidence:
    """Garbage in padded steps gives what zeros give; if all of a sample is padded, that is finite."""
    masks = _masks(case, claims, where)
    outputs = _call(case, layer, _padded(case, masks, 0.0), masks, training=training)
    told = f"padding         {where}, of {', '.join(claims)}{', in training' if training else ''}"
    if where == "everywhere":
        for index, clean in enumerate(compat.flat(outputs)):
            yield Finite(clean, f"output {index}        is not finite\n{told}, in sample 0")
    valid = _valid(outputs, masks, claims, stepwise)
    for garbage in values:
        arrays = _padded(case, masks, garbage)
        spoiled = compat.flat(_call(case, layer, arrays, masks, training=training))
        for index, (clean, dirty) in enumerate(zip(compat.flat(outputs), spoiled, strict=True)):
            what = f"output {index}        with {garbage} in padded steps, and with zeros\n{told}"
            clean, dirty = (_blanked(x, valid[index]) for x in (clean, dirty))
            yield Comparison(dirty, clean, SAME, what)


def _full_mask_neutral(case, layer, claims) -> Evidence:
    """A mask that is true everywhere changes nothing."""
    masks = {path: np.ones(case.shapes()[path][:2], bool) for path in claims}
    arrays = case.arrays(values="normal")
    unmasked = case.run(layer, arrays, training=False)  # first, because the last mask was different
    outputs = compat.flat(_call(case, layer, arrays, masks))
    for index, (a, e) in enumerate(zip(outputs, unmasked, strict=True)):
        what = f"output {index}        with a mask that is true everywhere, and without a mask"
        yield Comparison(a, e, SUMS, what)


def _padded_step_like_none(case, layer, claims, stepwise, letter) -> Evidence:
    """A padded last step has the same effect as no such step."""
    size = case.sizes[letter]
    paths = [path for path in claims if case.tensors[path].letters[1] == letter]
    mask = np.broadcast_to(np.arange(size) < size - 1, (case.sizes["b"], size))
    masks = dict.fromkeys(paths, mask)
    arrays = _padded(case, masks, 0.0)
    short = dict(arrays)
    for path, tensor in case.tensors.items():
        for axis in [axis for axis, each in enumerate(tensor.letters) if each == letter]:
            short[path] = np.take(short[path], range(size - 1), axis)
    outputs = _call(case, layer, arrays, masks)
    alone = case.run(layer, short, training=False)
    valid = _valid(outputs, masks, claims, stepwise)
    for index, (padded, due) in enumerate(zip(compat.flat(outputs), alone, strict=True)):
        rank = valid[index].ndim
        if rank > 1:
            padded, due = padded[valid[index]], due.reshape(-1, *due.shape[rank:])
        what = (
            f"output {index}        with the last step padded, and without that step\n"
            f"padding         of {', '.join(paths)}, {size} steps"
        )
        yield Comparison(padded, due, SUMS, what)


def _finite_gradient(case, layer, claims) -> Evidence:
    """No gradient is NaN or infinite if all of a sample is padded."""
    masks = _masks(case, claims, "everywhere")
    carried = {path: compat.tensor(mask) for path, mask in masks.items()}
    arguments = mask_arguments(case, layer, masks)
    arrays = _padded(case, masks, 0.0)
    try:
        subject = Slice(layer, arrays, case.sample.seed, carried=carried, **arguments)
        gradients = subject.gradient(subject.leaves) if subject.leaves else []
    except NotApplicable:  # no output is a float
        return
    for name, gradient in zip(subject.names, gradients, strict=bool(gradients)):
        what = f"gradient        of {name} is not finite if all of sample 0 is padded"
        yield Finite(gradient, what)


@declare(
    "M2",
    tier="trait",
    cost="fair",
    claim="masking",
    hint=(
        "`supports_masking = True` alone passes the mask of the first input on to the first output, "
        "whatever the shapes. Override `compute_mask`: return None if the steps are gone, and one mask for "
        "each output if there are several."
    ),
)
def mask_propagation(case: Case) -> Evidence:
    """The layer passes on the declared mask, eager and symbolic, and the mask fits the output's shape."""
    claims = yield from mask_claims(case)
    layer, stepwise = case.make(), _stepwise(case, claims)
    first = yield from _as_declared(case, layer, claims, stepwise, "right")
    second = yield from _as_declared(case, layer, claims, stepwise, "left", training=True)
    if case.sequential and first[0] is not None:
        x = compat.tensor(case.arrays()[case.first])
        for mask in (first[0], second[0]):  # both, for the layer must not answer with the last one
            said = keras.tree.flatten(layer.compute_mask(x, mask))[0]
            said, due = None if said is None else compat.array(said), compat.array(mask)
            yield Fact(
                said is not None and np.array_equal(said, due),
                f"mask            {due.tolist()}, as an output carries it\n"
                f"compute_mask    {said if said is None else said.tolist()}, given that mask",
                "`compute_mask` must follow from its arguments alone, not from the last call.",
            )
    yield from _symbolic_like_eager(case, claims, first)


def _as_declared(
    case, layer, claims, stepwise, where, training=False
) -> Generator[Yielded, None, list]:
    """Outputs that keep the padded steps have their mask, and no others have one. Returns the masks."""
    masks = _masks(case, claims, where)
    arrays = _padded(case, masks, 0.0)
    outputs = _call(case, layer, arrays, masks, by_argument=False, training=training)
    leaves = keras.tree.flatten(outputs)
    found = [compat.mask_of(leaf) for leaf in leaves]
    path = next((path for path, claim in claims.items() if claim != "consumes"), "")
    gone = f"the steps of {path} are gone" if path else "the card says that the layer consumes it"
    for index, (leaf, mask, keeps) in enumerate(zip(leaves, found, stepwise, strict=True)):
        shape = tuple(leaf.shape)
        if not keeps:
            yield Fact(
                mask is None,
                f"output {index}        {shape}, with a mask\n"
                f"due             no mask, because {gone}",
            )
            continue
        due = masks[path]
        yield Fact(
            mask is not None,
            f"output {index}        {shape}, without a mask\n"
            f"due             the mask of {path} {due.shape}, because it keeps those steps",
        )
        yield Fact(
            tuple(mask.shape) == shape[: len(mask.shape)],
            f"output {index}        {shape}\nits mask        {tuple(mask.shape)}",
        )
        if tuple(mask.shape) == due.shape:
            yield Fact(
                np.array_equal(compat.array(mask), due),
                f"mask of {path:<8}{due.tolist()}\n"
                f"of output {index}     {compat.array(mask).tolist()}",
            )
    return found


def _symbolic_like_eager(case, claims, found) -> Evidence:
    """A symbolic output has a mask if the eager one has."""
    unknown = {"b": None} if "b" in case.traits.dynamic.split() else {}
    symbols = case.symbols(**unknown)
    carried = {
        path: keras.KerasTensor(symbols[path].shape[:2], dtype="bool", name="mask")
        for path in claims
    }
    symbolic = keras.tree.flatten(compat.call(case.make(), symbols, carried))
    for index, (leaf, mask) in enumerate(zip(symbolic, found, strict=True)):
        said = compat.mask_of(leaf) is not None
        yield Fact(
            said == (mask is not None),
            f"output {index}        symbolic {'with' if said else 'without'} a mask, "
            f"eager {'without' if said else 'with'} one",
        )


@declare(
    "M3",
    brief=2,
    tier="should",
    cost="fair",
    claim="masking",
    hint=(
        "Keras fills the argument `mask` from a tensor only if the call takes a single tensor. If it takes "
        "several, Keras fills `<argument>_mask` for each, so use those names. `cast(mask, 'bool')` also "
        "accepts masks of 0 and 1."
    ),
)
def mask_input_forms(case: Case) -> Evidence:
    """A mask has the same effect as an argument, on a tensor and in a model, as bool, int or float."""
    claims = yield from mask_claims(case)
    masks = _masks(case, claims, ("right", "left", "inside")[case.sample.seed % 3])
    layer = case.built()
    arrays = _padded(case, masks, 0.0)
    forms = {}
    if not mask_arguments(case, layer, masks):
        reference, due = "on the tensor", _call(case, layer, arrays, masks)
    else:
        reference = "by argument"
        due = _call(case, layer, arrays, masks, carried=False)
        for dtype in ("int32", "float32"):
            numbers = {path: mask.astype(dtype) for path, mask in masks.items()}
            forms[f"as {dtype} by argument"] = _call(case, layer, arrays, numbers, carried=False)
    forms["on the tensor"] = _call(case, layer, arrays, masks, by_argument=False)
    forms["on a tensor in a Functional model"] = _in_a_model(case, layer, arrays, masks)
    valid = _valid(due, masks, claims, _stepwise(case, claims))
    for form, outputs in forms.items():
        for index, (a, e) in enumerate(zip(compat.flat(outputs), compat.flat(due), strict=True)):
            what = f"output {index}        with the mask {form}, and {reference}"
            yield Comparison(_blanked(a, valid[index]), _blanked(e, valid[index]), SUMS, what)


@declare(
    "M4",
    tier="trait",
    cost="fair",
    claim="strict_masks",
    never=(
        "The card says that masks that do not fit are accepted (`strict_masks=False`), but each that was "
        "tried was refused."
    ),
    hint=(
        "An operation on a mask of another shape broadcasts it where a size is 1, and gives a backend's own "
        "message elsewhere. At the start of `call`, compare `mask.shape` with the first axes of the inputs, "
        "and if the mask is not boolean, its values with 0 and 1, as `layerzoo.ops.masks.fitting_mask` does."
    ),
)
def mask_fits(case: Case) -> Evidence:
    """A mask of another shape, or of other numbers than 0 and 1, raises a `ValueError` that names it."""
    strict = case.traits.strict_masks
    case = case.roomy()
    layer, arrays = case.built(), case.arrays()
    masked = dict(_masked(case, layer))
    yield Fact(
        masked, "the card claims `strict_masks`, but the call takes no `mask` or `<input>_mask`"
    )
    for name, path in masked.items():
        shape = arrays[path].shape
        for mask in _unfit(shape):
            error = refusal(case, layer, arrays, **{name: mask})
            if not strict:
                yield Sometimes(error is None)
                continue
            what = f"{name:<15} {mask.dtype} {mask.shape}, values {np.unique(mask)}, for inputs {shape}"
            due = [name, *([str(mask.shape)] if mask.shape != shape[:2] else [])]
            yield refused_by_name(error, due, what)


def _masked(case, layer):
    """The mask arguments of a layer, each with the path of the tensor that it is for."""
    for name in inspect.signature(layer.call).parameters:
        path = case.first if name == "mask" else name.removesuffix("_mask")
        if name.endswith("mask") and path in case.tensors:
            yield name, path


def _unfit(shape) -> list[np.ndarray]:
    """Masks that do not fit an input of this shape: of other shapes, and of other numbers than 0 and 1."""
    b, t = shape[:2]
    shapes: list[tuple] = [(b, t + 1), (b, t - 1), (b, 1), (1, t), (1, 1), (b + 1, t)]
    shapes += [(t,), (b,), (), (b, t, 1), (*shape, 1)]
    valid = np.arange(t) < np.arange(t, t - b, -1)[:, None]
    return [
        *(np.ones(each, bool) for each in shapes if len(each) < 2 or each != shape[: len(each)]),
        np.where(valid, 1, 0.3).astype("float32"),
        np.where(valid, 0, -1e9).astype("float32"),
        np.where(valid, 1, np.nan).astype("float32"),
        np.where(valid, 2, 0),
    ]


def refusal(
    case: Case, layer: keras.layers.Layer, arrays: dict, **arguments: Any
) -> Exception | None:
    """The error that a call raises, even one of the backend's own, or None."""
    try:
        case.call(layer, arrays, **arguments)
    except Exception as error:  # a layer can raise anything
        return error
    return None


def refused_by_name(error: Exception | None, due: list[str], what: str) -> Fact:
    """What was passed is refused by a `ValueError` that has the due words in it."""
    found = "accepted in silence" if error is None else f"{type(error).__name__}: {error}"
    return Fact(
        isinstance(error, ValueError) and all(word in str(error) for word in due),
        f"{what}\n"
        f"due             a ValueError that has {' and '.join(map(repr, due))} in it\n"
        f"found           {found}",
    )


def mask_claims(case: Case) -> Generator[Yielded, None, dict[str, str]]:
    """What the card claims about padding, by the path of each input tensor that may be padded.

    In a list or dict, the padded tensors are those that share the steps of the first one.
    """
    masking = case.traits.masking or {}
    if not isinstance(masking, Mapping):
        masking = {case.first.split(".")[0]: masking}
    claims: dict[str, str] = {}
    for name, claim in masking.items():
        inside = [p for p in case.tensors if p == name or p.startswith(f"{name}.")]
        yield Fact(
            inside, f"the trait `masking` names {name!r}, but the inputs are {list(case.tensors)}"
        )
        steps = case.tensors[inside[0]].letters[1:2]
        same = [p for p in inside if steps and case.tensors[p].letters[1:2] == steps]
        claims |= {path: claim for path in same if claim}
    return claims


def _letters(case, paths) -> list[str]:
    return list(dict.fromkeys(case.tensors[path].letters[1] for path in paths))


def _masks(case, paths, where: str) -> dict[str, np.ndarray]:
    """A mask for each path, the same for inputs that share an axis. The samples have different lengths."""
    masks = {}
    for place, letter in enumerate(_letters(case, paths)):
        batch, time = case.sizes["b"], case.sizes[letter]
        lengths = 1 + (np.arange(batch) + time // 2 + place) % time
        right = np.arange(time) < lengths[:, None]
        inside = np.ones((batch, time), bool)
        inside[:, time // 2] = time == 1
        everywhere = right.copy()
        everywhere[0] = False
        kinds = dict(right=right, left=right[:, ::-1], inside=inside, everywhere=everywhere)
        masks[letter] = kinds[where].copy()
    return {path: masks[case.tensors[path].letters[1]] for path in paths}


def _padded(case, masks, value: float) -> dict[str, np.ndarray]:
    """The inputs with a value in padded steps. Integers become different there, or zero only there.

    With zeros, only padded steps are all zero, so that `Masking` and `Embedding` find the same mask.
    """
    arrays, others = case.arrays(values="normal"), case.arrays(1, "normal")
    for path, mask in masks.items():
        tensor, x = case.tensors[path], arrays[path]
        if tensor.floating:
            filling = np.full_like(x, value)
        elif tensor.dtype == "bool":
            filling = ~x if value else np.zeros_like(x)
        else:
            x = np.clip(x, min(1, int(tensor.high) - 1), None)
            filling = others[path] if value else np.full_like(x, int(tensor.low or 0))
        arrays[path] = np.where(_wide(mask, x), x, filling)
    return arrays


def _wide(mask, x):
    return mask.reshape(*mask.shape, *(1,) * (x.ndim - mask.ndim))


def _blanked(x, valid):
    """An output with zeros for what is not valid, so that everything else stays in place."""
    return np.where(_wide(valid, x), x, np.zeros_like(x))


def mask_arguments(
    case: Case, layer: keras.layers.Layer, masks: dict[str, np.ndarray]
) -> dict[str, Any]:
    """The masks, in the structure of the inputs, by the names of the layer's mask arguments."""
    places = dict.fromkeys(case.tensors)
    found = {}
    for name, given in compat.packed({**places, **masks}).items():
        first = case.first.split(".")[0] == name
        for argument in (f"{name}_mask", "mask"):
            taken = compat.takes(layer, argument) and (first or argument != "mask")
            if taken and any(path.split(".")[0] == name for path in masks):
                found[argument] = given
                break
    return found


def _call(case, layer, arrays, masks, carried=True, by_argument=True, training=False):
    """The raw outputs with masks on the tensors, in the mask arguments, or both.

    In training the noise is always the same, and the state stays as it was.
    """
    tensors = {path: compat.tensor(x) for path, x in arrays.items()}
    on_tensors = {path: compat.tensor(mask) for path, mask in masks.items()} if carried else {}
    arguments = mask_arguments(case, layer, masks) if by_argument else {}
    with case.still(layer) if training else case.resting(layer):
        return compat.call(layer, tensors, on_tensors, training=training, **arguments)


def _in_a_model(case, layer, arrays, masks):
    inputs = {
        path: keras.Input(batch_shape=x.shape, dtype=case.tensors[path].dtype, name=path)
        for path, x in arrays.items()
    }
    marks = {
        path: keras.Input(batch_shape=mask.shape, dtype="bool", name=f"mask_of.{path}")
        for path, mask in masks.items()
    }
    marked = {path: Marked()([inputs[path], mark]) for path, mark in marks.items()}
    model = keras.Model(
        {**inputs, **{f"mask_of.{path}": mark for path, mark in marks.items()}},
        compat.call(layer, {**inputs, **marked}),
    )
    with case.resting(model):
        marks = {f"mask_of.{path}": mask for path, mask in masks.items()}
        return model({**arrays, **marks}, training=False)


def _valid(outputs, masks, claims, stepwise) -> list[np.ndarray]:
    """The valid entries of each output; if an output has no steps, all of it.

    M2 checks whether an output carries the right mask. Here its mask decides only if its steps are not the
    input's, as after `Concatenate`.
    """
    steps = next((mask for path, mask in masks.items() if claims[path] != "consumes"), None)
    valid = []
    for leaf, keeps in zip(keras.tree.flatten(outputs), stepwise, strict=True):
        mask = steps if keeps else None
        if mask is not None and mask.shape != tuple(leaf.shape[:2]):
            carried = compat.mask_of(leaf)
            mask = None if carried is None else compat.array(carried).astype(bool)
        valid.append(np.ones(leaf.shape[:1], bool) if mask is None else mask)
    return valid


def _stepwise(case, claims) -> list[bool]:
    """Whether each output keeps the padded steps, that is, whether its second axis grows with them."""
    outputs = keras.tree.flatten(case.call(case.make(), case.arrays()))
    kept = [path for path, claim in claims.items() if claim != "consumes"]
    if not kept:
        return [False] * len(outputs)
    letter = case.tensors[kept[0]].letters[1]
    try:
        longer = case.arrays(**{letter: case.sizes[letter] + 2})
    except NotApplicable:  # the size is fixed, so compare shapes instead
        return [tuple(y.shape[:2]) == case.shapes()[kept[0]][:2] for y in outputs]
    grown = keras.tree.flatten(case.call(case.make(), longer))
    return [tuple(a.shape[1:2]) != tuple(e.shape[1:2]) for a, e in zip(grown, outputs, strict=True)]
