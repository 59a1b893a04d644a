"""States: a sequence goes on in the next call from the state that the last one returned."""

import inspect
from collections.abc import Generator, Iterator
from functools import partial
from typing import Any

import keras
import numpy as np

from layerzoo.tensors import compat, tracing
from layerzoo.tensors.outcomes import NotApplicable
from layerzoo.testing.engine.case import Case
from layerzoo.testing.engine.comparison import (
    EXACT,
    SAME,
    SUMS,
    Comparison,
    Evidence,
    Fact,
    Tolerance,
    Yielded,
    allowing,
    differ,
)
from layerzoo.testing.engine.register import declare
from layerzoo.testing.properties.execution import FUSED
from layerzoo.testing.properties.independence import time_axis
from layerzoo.testing.properties.mask import (
    mask_arguments,
    mask_claims,
    refusal,
    refused_by_name,
)
from layerzoo.testing.properties.numerics import PRECISION, near_float32

LONGEST = 40
"""The number of steps up to which a sequence is made longer than what an output depends on."""

Called = Generator[Yielded, None, tuple[list[np.ndarray], Any]]
"""What a call that returns a state yields; in the end it returns the outputs and that state."""


@declare(
    "T1",
    tier="trait",
    cost="fair",
    brief=2,
    hint=(
        "Usually a place that starts anew in each call, a buffer that holds one step too few, or a state "
        "taken before the last step. If only half precision fails, the state comes back in another dtype "
        "than it started in: take `self.compute_dtype`, or make the layer with `autocast=False` to keep "
        "float32."
    ),
)
def continuation(case: Case) -> Evidence:
    """A sequence in parts, each from the state that the last one left, gives what it gives in one call."""
    if case.traits.continues is None:
        raise NotApplicable("the card does not claim `continues`")
    if not case.traits.continues:
        yield from _state_refused(case)
        return
    case = _going_on(case)
    layer, arrays, steps = case.built(), case.arrays(values="normal"), case.sizes["t"]
    lacks = _missing(layer)
    yield Fact(
        not lacks,
        f"the card claims `continues`, but the layer has no {', '.join(lacks)}",
        "Add `get_initial_state(batch_size, length=None)`, and take `initial_state=None` and "
        "`return_state=False` in `call`.",
    )
    whole = case.run(layer, arrays)
    within = allowing(layer, SUMS)
    call = _calls(case, layer)
    outputs, last = yield from _call(case, layer, arrays, None, call)
    yield from _same(outputs, whole, within, "with `return_state`, and without")
    half = steps // 2
    for how, sizes in (
        ("in uneven parts", [1, half, steps - half - 1]),
        ("step by step", [1] * steps),
    ):
        outputs, state = yield from _in_parts(case, layer, call, arrays, sizes, whole)
        yield from _same(outputs, whole, within, f"{how} from a state, and without states")
        yield from _same_state(state, last, within, f"{how} from a state, and of one call")
    for policy in ("mixed_float16", "mixed_bfloat16"):
        yield from _same_in_half(case, layer, arrays, policy, [half, steps - half])


@declare(
    "T2",
    tier="trait",
    cost="fair",
    brief=2,
    claim="continues",
    hint=(
        "Padding is counted as steps, or the state is that of the last step instead of the last valid one. "
        "Count the valid steps of each sample. If only a mask on the tensor fails: beside a state, Keras "
        "passes it as `<argument>_mask`, as in `inputs_mask`, and not as `mask`."
    ),
)
def padded_prompts(case: Case) -> Evidence:
    """Padding takes no place in a state: after prompts of unequal length, each sample goes on as if alone."""
    case = _going_on(case)
    letters = {path: tensor.letters for path, tensor in case.tensors.items()}
    claims = yield from mask_claims(case)
    paths = [p for p, claim in claims.items() if claim == "propagates" and letters[p][1] == "t"]
    if not paths:
        raise NotApplicable("the card claims no mask of the steps that go on")
    case = case.resized(b=4) if "b" in case.traits.dynamic.split() else case
    steps, half = case.sizes["t"], case.sizes["t"] // 2
    layer, arrays = case.built(), case.arrays(values="normal", t=steps + half)
    within = allowing(layer, SUMS)
    mask = _layouts(case.sizes["b"], steps, half)
    lengths = mask.sum(axis=1).tolist()
    call = _calls(case, layer)
    alone = {}
    for n in dict.fromkeys(lengths):
        alone[n] = yield from _alone(case, layer, call, arrays, n)
    padded = _spread(case, arrays, paths, mask)
    following = _following(case, _kept(case, layer, arrays), lengths, half)
    for how, carried, sizes in (
        ("as an argument", False, [steps]),
        ("as the tensors carry it, in parts", True, [half, half, *[1] * (steps - 2 * half)]),
    ):
        state = _start(layer, case, steps + half)
        prompts: list[list[np.ndarray]] = []
        for part, given in _parts(case, layer, padded, sizes):
            masks = dict.fromkeys(paths, mask[:, part])
            outputs, state = yield from _call(case, layer, given, state, call, masks, carried)
            prompts.append(outputs)
        yield from _same_prompts(prompts, sizes, mask, alone, within, f"with a mask {how}")
        outputs, _ = yield from _call(case, layer, following, state, call)
        for i, n in enumerate(lengths):
            found, due = [y[i] for y in outputs], [y[i] for y in alone[n][1]]
            what = (
                f"after sample {i}, {n} steps with a mask {how}, and after these alone\n"
                f"its mask        {mask[i].tolist()}"
            )
            yield from _same(found, due, within, what)


@declare(
    "T3",
    tier="trait",
    cost="fair",
    claim="continues",
    hint=(
        "Usually an operation in place, such as `state += x` on PyTorch, or a variable of the layer that "
        "keeps what the state should hold. A state is made of tensors whose first axis is the batch, so that "
        "it can be saved, and samples be reordered by `keras.ops.take(x, order, axis=0)`."
    ),
)
def plain_states(case: Case) -> Evidence:
    """A state is tensors by sample, which can be reordered, saved, and used again: no call changes them."""
    case = _going_on(case)
    case = case.resized(b=3) if "b" in case.traits.dynamic.split() else case
    batch, steps = case.sizes["b"], case.sizes["t"]
    layer, arrays = case.built(), case.arrays(values="normal")
    half = steps // 2
    prompt, start = _part(case, arrays, 0, half), _start(layer, case, steps)
    _, state = yield from _call(case, layer, prompt, start)
    leaves = keras.tree.flatten(state)
    for place, leaf in enumerate(leaves):
        shape = tuple(getattr(leaf, "shape", ()))
        yield Fact(
            keras.ops.is_tensor(leaf) and shape[:1] == (batch,),
            f"tensor {place} of the state is {type(leaf).__name__} {shape}\n"
            f"due             a tensor whose first axis is the batch, {batch}",
        )
    kept = [keras.ops.convert_to_numpy(leaf).copy() for leaf in leaves]
    rest = _part(case, _kept(case, layer, arrays), half, steps)
    due = case.run(layer, rest, initial_state=state)
    held = keras.tree.pack_sequence_as(state, [leaf.copy() for leaf in kept])
    for form, given in (("tensors", state), ("NumPy arrays", held)):
        outputs, _ = yield from _call(case, layer, rest, given)
        yield from _same(outputs, due, SAME, f"again from the same state, of {form}")
        for place, (leaf, before) in enumerate(zip(keras.tree.flatten(given), kept, strict=True)):
            what = f"tensor {place} of a state of {form} after a call from it, and before"
            yield Comparison(compat.array(leaf), before, EXACT, what)
    order = np.arange(batch)[::-1].copy()
    order[-1] = order[0]
    chosen = keras.tree.map_structure(lambda x: keras.ops.take(x, order, axis=0), state)
    by_sample = {
        path: np.take(x, order, axis=0) if case.tensors[path].letters[0] == "b" else x
        for path, x in rest.items()
    }
    outputs, _ = yield from _call(case, layer, by_sample, chosen)
    what = f"from the state of samples {order.tolist()}, and of all, then taken"
    yield from _same(outputs, [y[order] for y in due], SUMS, what)


@declare(
    "T4",
    tier="trait",
    cost="long" if compat.BACKEND == "torch" else "dear",  # because it takes seconds to trace Keras
    claim="continues",
    hint=(
        "Usually a state whose tensors grow, so that each step has other shapes, a place that is a number of "
        "Python, or a branch on a traced value. Keep buffers of the size that `length` gives, and the place "
        "as a tensor."
    ),
)
def compiled_steps(case: Case) -> Evidence:
    """A compiled step is traced once for all steps, and gives what the eager step gives.

    The second step may be traced again if it goes on without the context that the first one was given, and
    on PyTorch, because a state can lie otherwise in memory than at the start.
    """
    case = _going_on(case)
    layer, arrays, steps = case.built(), case.arrays(values="normal"), case.sizes["t"]
    given = [part for _, part in _parts(case, layer, arrays, [1] * steps)]
    due, state = [], _start(layer, case, steps)
    for each in given:
        outputs, state = yield from _call(case, layer, each, state)
        due.append(outputs)
    found, traces = tracing.traced_steps(layer, given, _start(layer, case, steps), training=False)
    second = compat.BACKEND == "torch" or len(given[-1]) < len(arrays)
    steady = traces[1] if second else traces[0]
    yield Fact(
        traces[-1] == steady,
        f"a step was traced again\ntraces          {traces}, counted after each of {steps} steps",
    )
    within = allowing(layer, FUSED)
    for place, (outputs, expected) in enumerate(zip(found, due, strict=True)):
        yield from _same(outputs, expected, within, f"of step {place}, compiled and eager")


@declare(
    "T5",
    tier="trait",
    cost="fair",
    claim="continues",
    hint=(
        "Compare the structure of `initial_state`, and each tensor's shape and dtype, with what "
        "`get_initial_state` returns, before anything is computed: what is broadcast or cast in silence "
        "gives wrong numbers. If there is no room for a step, raise too, where the place can be seen."
    ),
)
def unfit_states(case: Case) -> Evidence:
    """A state of another form or batch, or without room, raises a `ValueError` that names the argument."""
    case = _going_on(case)
    steps = case.sizes["t"]
    layer, arrays = case.built(), case.arrays(values="normal")
    refused = partial(refusal, case, layer, arrays, return_state=True)
    before = [compat.array(v) for v in layer.variables]
    for kind, wrong in _unfit(case, layer, steps):
        error = refused(initial_state=wrong)
        yield refused_by_name(error, ["initial_state"], f"state           {kind}")
    error = refused(initial_state=_start(layer, case, 1))
    if error is not None:
        what = f"state           with room for 1 step, and {steps} steps follow"
        yield refused_by_name(error, ["initial_state"], what)
    else:
        outputs, _ = yield from _call(case, layer, arrays, _start(layer, case, 1))
        due, _ = yield from _call(case, layer, arrays, _start(layer, case, steps))
        what = f"of {steps} steps from a state with room for 1, and with room for all"
        yield from _same(outputs, due, SUMS, what)
    after = [compat.array(v) for v in layer.variables]
    yield Fact(
        all(map(np.array_equal, after, before)),
        "variables       changed by a call that was refused",
    )


def _going_on(case) -> Case:
    """The case with more steps than one, and more than an output depends on."""
    case = case.roomy()
    time_axis(case)
    if "t" not in case.traits.dynamic.split():
        raise NotApplicable("the number of steps is fixed")
    back = case.traits.reach[0] if case.traits.reach else 0
    return case.resized(t=max(case.sizes["t"], min(back + 3, LONGEST), 3))


def _missing(layer) -> list[str]:
    """What the layer lacks to continue from a state."""
    lacks = [
        f"`{name}` of call"
        for name in ("initial_state", "return_state")
        if not compat.takes(layer, name)
    ]
    return lacks if hasattr(layer, "get_initial_state") else ["`get_initial_state`", *lacks]


def _state_refused(case) -> Evidence:
    """A layer that claims to continue from no state returns none either."""
    layer, error = case.built(), None
    if not _missing(layer):
        error = refusal(case, layer, case.arrays(), return_state=True)
    found = "accepted" if error is None else f"{type(error).__name__}: {error}"
    yield Fact(
        _missing(layer) or isinstance(error, ValueError),
        "the card says that the layer does not continue from a state (`continues=False`)\n"
        f"return_state    {found}\n"
        "due             a ValueError",
        "A layer whose earlier outputs depend on later steps must refuse a state. If it may be continued, "
        "declare `continues=True`.",
    )


def _start(layer, case, length):
    return layer.get_initial_state(batch_size=case.sizes["b"], length=length)


def _calls(case, layer):
    """The call of a layer that asks for a state. On JAX it is compiled, because each shape costs so much."""
    return tracing.calls(layer, list(case.tensors), training=False, return_state=True)


def _call(case, layer, arrays, state, call=None, masks=None, carried=False) -> Called:
    """A call gives a pair: the outputs, here as a flat list of NumPy arrays, and the state that follows.

    Args:
        case: The case.
        layer: The layer.
        arrays: The inputs.
        state: The state to continue from, or None.
        call: What `_calls` returned; the default calls the layer itself.
        masks: A mask by path, or None.
        carried: Whether tensors carry the masks, which otherwise are arguments.
    """
    call = call or partial(compat.call, layer, training=False, return_state=True)
    given, arguments = {path: compat.tensor(x) for path, x in arrays.items()}, {}
    if masks and not carried:
        arguments = mask_arguments(case, layer, masks)
    on_tensors = {path: compat.tensor(m) for path, m in masks.items()} if masks and carried else {}
    arguments |= {} if state is None else {"initial_state": state}
    with case.resting(layer):
        found = call(given, on_tensors, **arguments)
    yield Fact(
        isinstance(found, tuple | list) and len(found) == 2,
        f"return_state    gives {type(found).__name__}\ndue             a pair, `(outputs, state)`",
    )
    return compat.flat(found[0]), found[1]


def _part(case, arrays, start, stop) -> dict[str, np.ndarray]:
    """Some of the steps of each input that has any."""
    letters = {path: case.tensors[path].letters for path in arrays}
    return {
        path: np.take(x, range(start, stop), letters[path].index("t"))
        if "t" in letters[path]
        else x
        for path, x in arrays.items()
    }


def _kept(case, layer, arrays) -> dict[str, np.ndarray]:
    """The inputs of a later call: without those that have no steps, if `call` takes None for them."""
    parameters = inspect.signature(layer.call).parameters
    optional = {name for name, each in parameters.items() if each.default is None}
    return {
        path: x
        for path, x in arrays.items()
        if "t" in case.tensors[path].letters or path.split(".")[0] not in optional
    }


def _parts(case, layer, arrays, sizes) -> Iterator[tuple[slice, dict[str, np.ndarray]]]:
    """The steps of one call after another, each with the inputs."""
    first = 0
    for size in sizes:
        yield slice(first, first + size), _part(case, arrays, first, first + size)
        arrays, first = _kept(case, layer, arrays), first + size


def _in_parts(case, layer, call, arrays, sizes, whole) -> Called:
    """The form of the state never changes. Returns the outputs, joined as the whole, and the last state."""
    axis, steps = time_axis(case), sum(sizes)
    state = _start(layer, case, steps)
    form = _form(state)
    found: list[list[np.ndarray]] = []
    for part, given in _parts(case, layer, arrays, sizes):
        outputs, state = yield from _call(case, layer, given, state, call)
        if not found and len(_kept(case, layer, arrays)) < len(arrays):
            form = _form(state)  # which now keeps what has no steps
        yield Fact(
            _form(state) == form,
            f"state           before {form}\nafter {part.stop:<10}{_form(state)}",
            "Each state must have the structure, shapes and dtypes of the one that `get_initial_state` "
            "returns, so that a compiled step takes it.",
        )
        found.append(outputs)
    joined = []
    for *pieces, e in zip(*found, whole, strict=True):
        stepwise = e.ndim > axis and e.shape[axis] == steps
        sized = all(
            y.ndim > axis and y.shape[axis] == n for y, n in zip(pieces, sizes, strict=True)
        )
        joined.append(np.concatenate(pieces, axis=axis) if stepwise and sized else pieces[-1])
    return joined, state


def _form(state):
    """The structure of a state, with the dtype and shape of each tensor."""

    def told(leaf):
        if not hasattr(leaf, "shape"):
            return type(leaf).__name__
        return f"{keras.backend.standardize_dtype(leaf.dtype)} {tuple(leaf.shape)}"

    return keras.tree.map_structure(told, state)


def _same(outputs, due, within, what) -> Evidence:
    for index, (a, e) in enumerate(zip(outputs, due, strict=True)):
        yield Comparison(a, e, within, f"output {index}        {what}")


def _same_state(state, due, within, what) -> Evidence:
    yield Fact(
        _form(state) == _form(due),
        f"last state      {what}\none             {_form(state)}\nother           {_form(due)}",
        "A call without a state starts as `get_initial_state` does, with room for its own steps.",
    )
    for place, (a, e) in enumerate(zip(compat.flat(state), compat.flat(due), strict=True)):
        yield Comparison(a, e, within, f"tensor {place} of the last state, {what}")


def _same_in_half(case, layer, arrays, policy, sizes) -> Evidence:
    """Parts give what the whole gives; if rounding moves too much, they are near float32."""
    try:
        half = case.make(dtype=policy)
        case.build(half)
    except Exception as error:
        if not compat.raised_by_initializer(error):
            raise
        return  # the backend cannot draw weights in this dtype, which is not the layer's fault
    half.set_weights(layer.get_weights())
    call = _calls(case, half)
    whole, _ = yield from _call(case, half, arrays, None, call)
    outputs, _ = yield from _in_parts(case, half, call, arrays, sizes, whole)
    share = PRECISION[policy]
    within = Tolerance(share, f"{share:g} for the precision of {policy}")
    if differ(outputs, whole, within) or not all(np.isfinite(e).all() for e in whole):
        where = f"in parts        of {sizes} steps\n"
        yield from near_float32(case, layer, arrays, outputs, policy, share, where=where)
    else:
        what = f"in parts of {sizes} steps under {policy}, and in one call"
        yield from _same(outputs, whole, within, what)


def _layouts(batch, steps, valid) -> np.ndarray:
    """A mask for each sample, with as many valid steps: padding right, left, inside; then padding alone."""
    place = np.arange(steps)
    right = place < valid
    inside = np.isin(place, np.r_[: valid - valid // 2, steps - valid // 2 : steps])
    return np.array([(right, right[::-1], inside, place < 0)[i % 4] for i in range(batch)])


def _alone(
    case, layer, call, arrays, length
) -> Generator[Yielded, None, tuple[list[np.ndarray], list[np.ndarray]]]:
    """The outputs of a prompt without padding, and of the steps after it."""
    more = case.sizes["t"] // 2
    state = _start(layer, case, case.sizes["t"] + more)
    prompt: list[np.ndarray] = []
    if length:
        first = _part(case, arrays, 0, length)
        prompt, state = yield from _call(case, layer, first, state, call)
        arrays = _kept(case, layer, arrays)
    rest = _part(case, arrays, length, length + more)
    outputs, _ = yield from _call(case, layer, rest, state, call)
    return prompt, outputs


def _following(case, arrays, lengths, more) -> dict[str, np.ndarray]:
    """The steps that follow the prompt of each sample."""
    parts = [_part(case, arrays, n, n + more) for n in lengths]
    return {
        path: np.stack([parts[i][path][i] for i in range(len(lengths))])
        if case.tensors[path].letters[0] == "b"
        else x
        for path, x in parts[0].items()
    }


def _spread(case, arrays, paths, mask) -> dict[str, np.ndarray]:
    """Prompts: the first steps of each sample where its mask is true, and garbage elsewhere."""
    spread = {}
    for path, x in arrays.items():
        letters = case.tensors[path].letters
        if "t" not in letters:
            spread[path] = x
            continue
        x = np.moveaxis(x, letters.index("t"), 1)
        y = x[:, ::-1][:, : mask.shape[1]].copy()
        if path in paths and case.tensors[path].floating:
            y[:] = np.nan
        for row, valid in zip(range(len(y)), mask, strict=True):
            y[row, valid] = x[row, : valid.sum()]
        spread[path] = np.moveaxis(y, 1, letters.index("t"))
    return spread


def _same_prompts(prompts, sizes, mask, alone, within, told) -> Evidence:
    """The valid outputs of padded prompts are those of the prompts alone."""
    for index, pieces in enumerate(zip(*prompts, strict=True)):
        if any(y.shape[1:2] != (size,) for y, size in zip(pieces, sizes, strict=True)):
            continue  # an output without steps
        y = np.concatenate(pieces, axis=1)
        for i, valid in enumerate(mask):
            n = valid.sum()
            if n and alone[n][0][index].shape[1:2] == (n,):
                what = (
                    f"output {index}        of sample {i}, {n} steps {told}, and alone\n"
                    f"its mask        {valid.tolist()}"
                )
                yield Comparison(y[i][valid], alone[n][0][index][i], within, what)


def _unfit(case, layer, steps) -> Iterator[tuple[str, Any]]:
    """States that do not fit, each with a description."""
    state = _start(layer, case, steps)
    leaves, longer = (keras.tree.flatten(x) for x in (state, _start(layer, case, steps + 1)))
    if leaves:
        batch = case.sizes["b"]
        yield (
            f"of {batch + 1} samples, for {batch}",
            layer.get_initial_state(batch_size=batch + 1, length=steps),
        )
    for place, (leaf, other) in enumerate(zip(leaves, longer, strict=True)):
        shape, dtype = tuple(leaf.shape), keras.backend.standardize_dtype(leaf.dtype)
        for changed, kind in _others(shape, tuple(other.shape), dtype):
            new = [*leaves]
            new[place] = keras.ops.zeros(changed, kind)
            told = f"whose tensor {place} is {kind} {changed} instead of {dtype} {shape}"
            yield told, keras.tree.pack_sequence_as(state, new)
    if isinstance(state, dict) and state:
        yield f"without {next(iter(state))!r}", dict(list(state.items())[1:])
    elif isinstance(state, list | tuple) and state:
        yield "without its last part", type(state)(state[:-1])
    yield "inside a dict", {"state": state}


def _others(shape, longer, dtype) -> Iterator[tuple[tuple[int, ...], str]]:
    """Other shapes and another kind of numbers. Axes that `length` changes, or that are empty, stay."""
    for axis in range(1, len(shape)):
        if shape[axis] == longer[axis] and shape[axis]:
            yield (*shape[:axis], shape[axis] + 1, *shape[axis + 1 :]), dtype
    yield (*shape, 1), dtype
    yield shape, "int32" if "float" in dtype else "float32"
