"""States: a sequence goes on in the next call from the state that the last one returned."""

import inspect
from collections.abc import Iterator
from functools import partial
from typing import Any

import keras
import numpy as np

from layerzoo.tensors import compat, tracing
from layerzoo.tensors.outcomes import NotApplicable, demand
from layerzoo.testing.engine.case import flat
from layerzoo.testing.engine.comparison import allowing, demand_close
from layerzoo.testing.engine.register import declare
from layerzoo.testing.properties.independence import SAME, SUMS, time_axis
from layerzoo.testing.properties.mask import mask_arguments, mask_claims
from layerzoo.testing.properties.numerics import PRECISION, demand_near

LONGEST = 40
"""The number of steps up to which a sequence is made longer than what an output depends on."""


STEPS = """
layer = built()
name, x = next(iter(inputs.items()))
x = np.concatenate([x, x[:, ::-1]] * 4, axis=1)  # more steps
n, half = x.shape[1], x.shape[1] // 2
def start(length=n):
    return layer.get_initial_state(batch_size=len(x), length=length)
def go_on(steps, state, **how):
    return layer(**{**inputs, name: steps}, initial_state=state, return_state=True, **how)
def demand_close(found, expected, what, share=1e-4):
    for y, e in zip(numbers(found), numbers(expected)):
        assert y.shape == e.shape, f"{what}: {y.shape} and {e.shape}"
        y, e = y.astype("float32"), e.astype("float32")
        close = np.abs(y - e).max(initial=0) <= share * max(1, np.abs(e).max(initial=0))
        assert close, f"{what}: {y.ravel()[:4]} and {e.ravel()[:4]}"
"""


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
def continuation(case):
    """A sequence in parts, each from the state that the last one left, gives what it gives in one call."""
    if case.traits.continues is False:
        _demand_refused(case)
        return
    case = _going_on(case)
    layer, arrays, steps = case.built(), case.arrays(values="normal"), case.sizes["t"]
    _demand_protocol(layer)
    whole = case.run(layer, arrays)
    share, origin = allowing(layer, 1e-5, SUMS)
    call = _calls(case, layer)
    outputs, last = _call(case, layer, arrays, None, call)
    _demand_same(outputs, whole, share, "with `return_state`, and without", origin)
    half = steps // 2
    for how, sizes in (
        ("in uneven parts", [1, half, steps - half - 1]),
        ("step by step", [1] * steps),
    ):
        outputs, state = _in_parts(case, layer, call, arrays, sizes, whole)
        _demand_same(outputs, whole, share, f"{how} from a state, and without states", origin)
        _demand_same_state(state, last, share, f"{how} from a state, and of one call", origin)
    for policy in ("mixed_float16", "mixed_bfloat16"):
        _demand_in_half(case, layer, arrays, policy, [half, steps - half])


@declare(
    "T2",
    tier="trait",
    cost="fair",
    brief=2,
    hint=(
        "Padding is counted as steps, or the state is that of the last step instead of the last valid one. "
        "Count the valid steps of each sample. If only a mask on the tensor fails: beside a state, Keras "
        "passes it as `<argument>_mask`, as in `inputs_mask`, and not as `mask`."
    ),
)
def padded_prompts(case):
    """Padding takes no place in a state: after prompts of unequal length, each sample goes on as if alone."""
    case = _going_on(case)
    letters = {path: tensor.letters for path, tensor in case.tensors.items()}
    claims = mask_claims(case)
    paths = [p for p, claim in claims.items() if claim == "propagates" and letters[p][1] == "t"]
    if not paths:
        raise NotApplicable("the card claims no mask of the steps that go on")
    case = case.resized(b=4) if "b" in case.traits.dynamic.split() else case
    steps, half = case.sizes["t"], case.sizes["t"] // 2
    layer, arrays = case.built(), case.arrays(values="normal", t=steps + half)
    share, origin = allowing(layer, 1e-5, SUMS)
    mask = _layouts(case.sizes["b"], steps, half)
    lengths = mask.sum(axis=1).tolist()
    call = _calls(case, layer)
    alone = {n: _prompted(case, layer, call, arrays, n) for n in dict.fromkeys(lengths)}
    padded = _spread(case, arrays, paths, mask)
    following = _following(case, _kept(case, layer, arrays), lengths, half)
    for how, carried, sizes in (
        ("as an argument", False, [steps]),
        ("as the tensors carry it, in parts", True, [half, half, *[1] * (steps - 2 * half)]),
    ):
        state, first, prompts = _start(layer, case, steps + half), 0, []
        for size in sizes:
            masks = dict.fromkeys(paths, mask[:, first : first + size])
            given = _kept(case, layer, padded) if first else padded
            given = _part(case, given, first, first + size)
            outputs, state = _call(case, layer, given, state, call, masks, carried)
            prompts.append(outputs)
            first += size
        _demand_prompts(prompts, sizes, mask, alone, f"with a mask {how}", share, origin)
        outputs, _ = _call(case, layer, following, state, call)
        for i, n in enumerate(lengths):
            found, due = [y[i] for y in outputs], [y[i] for y in alone[n][1]]
            told = f"after sample {i}, {n} steps with a mask {how}, and after these alone"
            _demand_same(found, due, share, f"{told}\n  its mask        {mask[i].tolist()}", origin)


@declare(
    "T3",
    tier="trait",
    cost="fair",
    hint=(
        "Usually an operation in place, such as `state += x` on PyTorch, or a variable of the layer that "
        "keeps what the state should hold. A state is made of tensors whose first axis is the batch, so that "
        "it can be saved, and samples be reordered by `keras.ops.take(x, order, axis=0)`."
    ),
)
def plain_states(case):
    """A state is tensors by sample, which can be reordered, saved, and used again: no call changes them."""
    case = _going_on(case)
    case = case.resized(b=3) if "b" in case.traits.dynamic.split() else case
    batch, steps = case.sizes["b"], case.sizes["t"]
    layer, arrays = case.built(), case.arrays(values="normal")
    half = steps // 2
    _, state = _call(case, layer, _part(case, arrays, 0, half), _start(layer, case, steps))
    arrays = _kept(case, layer, arrays)
    leaves = keras.tree.flatten(state)
    for place, leaf in enumerate(leaves):
        shape = tuple(getattr(leaf, "shape", ()))
        demand(
            keras.ops.is_tensor(leaf) and shape[:1] == (batch,),
            f"  tensor {place} of the state is {type(leaf).__name__} {shape}\n"
            f"  due             a tensor whose first axis is the batch, {batch}",
        )
    kept = [keras.ops.convert_to_numpy(leaf).copy() for leaf in leaves]
    rest = _part(case, arrays, half, steps)
    due = case.run(layer, rest, initial_state=state)
    held = keras.tree.pack_sequence_as(state, [leaf.copy() for leaf in kept])
    for form, given in (("tensors", state), ("NumPy arrays", held)):
        outputs, _ = _call(case, layer, rest, given)
        _demand_same(outputs, due, 1e-6, f"again from the same state, of {form}", SAME)
        for place, (leaf, before) in enumerate(zip(keras.tree.flatten(given), kept, strict=True)):
            what = f"  tensor {place} of a state of {form} after a call from it, and before"
            demand_close(compat.array(leaf), before, 0, what, "equal bits")
    order = np.arange(batch)[::-1].copy()
    order[-1] = order[0]
    chosen = keras.tree.map_structure(lambda x: keras.ops.take(x, order, axis=0), state)
    by_sample = {
        path: np.take(x, order, axis=0) if case.tensors[path].letters[0] == "b" else x
        for path, x in rest.items()
    }
    outputs, _ = _call(case, layer, by_sample, chosen)
    what = f"from the state of samples {order.tolist()}, and of all, then taken"
    _demand_same(outputs, [y[order] for y in due], 1e-5, what, SUMS)


@declare(
    "T4",
    tier="trait",
    cost="long" if compat.BACKEND == "torch" else "dear",  # because it takes seconds to trace Keras
    hint=(
        "Usually a state whose tensors grow, so that each step has other shapes, a place that is a number of "
        "Python, or a branch on a traced value. Keep buffers of the size that `length` gives, and the place "
        "as a tensor."
    ),
)
def compiled_steps(case):
    """A compiled step is traced once for all steps, and gives what the eager step gives.

    The second step may be traced again if it goes on without the context that the first one was given, and
    on PyTorch, because a state can lie otherwise in memory than at the start.
    """
    case = _going_on(case)
    layer, arrays, steps = case.built(), case.arrays(values="normal"), case.sizes["t"]
    kept = _kept(case, layer, arrays)
    given = [_part(case, kept if place else arrays, place, place + 1) for place in range(steps)]
    due, state = [], _start(layer, case, steps)
    for each in given:
        outputs, state = _call(case, layer, each, state)
        due.append(outputs)
    found, traces = tracing.traced_steps(layer, given, _start(layer, case, steps), training=False)
    told = f"  traces          {traces}, counted after each of {steps} steps"
    second = compat.BACKEND == "torch" or len(kept) < len(arrays)
    steady = traces[1] if second else traces[0]
    demand(traces[-1] == steady, f"  a step was traced again\n{told}")
    share, origin = allowing(layer, 1e-5, "float32, 1e-5 for operations that the compiler fuses")
    for place, (outputs, expected) in enumerate(zip(found, due, strict=True)):
        _demand_same(outputs, expected, share, f"of step {place}, compiled and eager", origin)


@declare(
    "T5",
    tier="trait",
    cost="fair",
    hint=(
        "Compare the structure of `initial_state`, and each tensor's shape and dtype, with what "
        "`get_initial_state` returns, before anything is computed: what is broadcast or cast in silence "
        "gives wrong numbers. If there is no room for a step, raise too, where the place can be seen."
    ),
)
def unfit_states(case):
    """A state of another form or batch, or without room, raises a `ValueError` that names the argument."""
    case = _going_on(case)
    steps = case.sizes["t"]
    layer, arrays = case.built(), case.arrays(values="normal")
    before = [compat.array(v) for v in layer.variables]
    for what, wrong in _unfit(case, layer, steps):
        error = _refusal(case, layer, arrays, wrong)
        _demand_named(error, f"  state           {what}")
    error = _refusal(case, layer, arrays, _start(layer, case, 1))
    if error is not None:
        _demand_named(error, f"  state           with room for 1 step, and {steps} steps follow")
    else:
        outputs, _ = _call(case, layer, arrays, _start(layer, case, 1))
        due, _ = _call(case, layer, arrays, _start(layer, case, steps))
        what = f"of {steps} steps from a state with room for 1, and with room for all"
        _demand_same(outputs, due, 1e-5, what, SUMS)
    after = [compat.array(v) for v in layer.variables]
    demand(
        all(map(np.array_equal, after, before)),
        "  variables       changed by a call that was refused",
    )


def _going_on(case):
    """The case with more steps than one, and more than an output depends on, if its layer claims a state."""
    claim = case.traits.continues
    if not claim:
        told = "nothing about states" if claim is None else "that the layer continues from no state"
        raise NotApplicable(f"the card claims {told}")
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


def _demand_protocol(layer):
    lacks = _missing(layer)
    demand(
        not lacks,
        f"  the card claims `continues`, but the layer has no {', '.join(lacks)}",
        "Add `get_initial_state(batch_size, length=None)`, and take `initial_state=None` and "
        "`return_state=False` in `call`.",
    )


def _demand_refused(case):
    layer, arrays = case.built(), case.arrays()
    if _missing(layer):
        demand(True, "")
        return
    error = None
    try:
        case.call(layer, arrays, return_state=True)
    except Exception as raised:  # a backend's own errors too
        error = raised
    told = "accepted" if error is None else f"{type(error).__name__}: {error}"
    demand(
        isinstance(error, ValueError),
        "  the card says that the layer does not continue from a state (`continues=False`)\n"
        f"  return_state    {told}\n  due             a ValueError",
        "A layer whose earlier outputs depend on later steps must refuse a state. If it may be continued, "
        "declare `continues=True`.",
    )


def _start(layer, case, length):
    return layer.get_initial_state(batch_size=case.sizes["b"], length=length)


def _calls(case, layer):
    """The call of a layer that asks for a state. On JAX it is compiled, because each shape costs so much."""
    return tracing.calls(layer, list(case.tensors), training=False, return_state=True)


def _call(case, layer, arrays, state, call=None, masks=None, carried=False):
    """The outputs as a flat list of NumPy arrays, and the state that follows.

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
    demand(
        isinstance(found, tuple | list) and len(found) == 2,
        f"  return_state    gives {type(found).__name__}\n  due             a pair, `(outputs, state)`",
    )
    return flat(found[0]), found[1]


def _cut(letters, x, start, stop):
    return np.take(x, range(start, stop), axis=letters.index("t"))


def _part(case, arrays, start, stop) -> dict[str, np.ndarray]:
    """Some of the steps of each input that has any."""
    letters = {path: case.tensors[path].letters for path in arrays}
    return {
        path: _cut(letters[path], x, start, stop) if "t" in letters[path] else x
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


def _in_parts(case, layer, call, arrays, sizes, whole):
    """The outputs of parts, joined as those of the whole, and the last state, whose form never changes."""
    axis, steps = time_axis(case), sum(sizes)
    state = _start(layer, case, steps)
    kept = _kept(case, layer, arrays)
    form, found, first = _form(state), [], 0
    for size in sizes:
        given = _part(case, kept if first else arrays, first, first + size)
        outputs, state = _call(case, layer, given, state, call)
        if not first and len(kept) < len(arrays):  # the state now keeps what has no steps
            form = _form(state)
        demand(
            _form(state) == form,
            f"  state           before {form}\n  after {first + size:<10}{_form(state)}",
            "Each state must have the structure, shapes and dtypes of the one that `get_initial_state` "
            "returns, so that a compiled step takes it.",
        )
        found.append(outputs)
        first += size
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


def _demand_same(outputs, due, share, what, origin):
    for index, (a, e) in enumerate(zip(outputs, due, strict=True)):
        demand_close(a, e, share, f"  output {index}        {what}", origin)


def _demand_same_state(state, due, share, what, origin):
    demand(
        _form(state) == _form(due),
        f"  last state      {what}\n  one             {_form(state)}\n  other           {_form(due)}",
        "A call without a state starts as `get_initial_state` does, with room for its own steps.",
    )
    for place, (a, e) in enumerate(zip(flat(state), flat(due), strict=True)):
        demand_close(a, e, share, f"  tensor {place} of the last state, {what}", origin)


def _demand_in_half(case, layer, arrays, policy, sizes):
    """Demand that parts give what the whole gives; if rounding moves too much, that they are near float32."""
    try:
        half = case.make(dtype=policy)
        case.build(half)
    except Exception as error:
        if not compat.raised_by_initializer(error):
            raise
        return  # the backend cannot draw weights in this dtype, which is not the layer's fault
    half.set_weights(layer.get_weights())
    call = _calls(case, half)
    whole, _ = _call(case, half, arrays, None, call)
    outputs, _ = _in_parts(case, half, call, arrays, sizes, whole)
    share = PRECISION[policy]
    for index, (a, e) in enumerate(zip(outputs, whole, strict=True)):
        if not np.all(np.abs(a - e) <= share * max(1.0, np.abs(e).max(initial=0.0))):
            where = f"  in parts        of {sizes} steps\n"
            demand_near(case, layer, arrays, outputs, policy, share, where=where)
            return
        what = f"  output {index}        in parts of {sizes} steps under {policy}, and in one call"
        demand_close(a, e, share, what, f"{share:g} for the precision of {policy}")


def _layouts(batch, steps, valid) -> np.ndarray:
    """A mask for each sample, with as many valid steps: padding right, left, inside; then padding alone."""
    place = np.arange(steps)
    right = place < valid
    inside = np.isin(place, np.r_[: valid - valid // 2, steps - valid // 2 : steps])
    return np.array([(right, right[::-1], inside, place < 0)[i % 4] for i in range(batch)])


def _prompted(case, layer, call, arrays, length):
    """The outputs of a prompt without padding, and of the steps after it."""
    more = case.sizes["t"] // 2
    state = _start(layer, case, case.sizes["t"] + more)
    prompt: list[np.ndarray] = []
    if length:
        prompt, state = _call(case, layer, _part(case, arrays, 0, length), state, call)
        arrays = _kept(case, layer, arrays)
    return prompt, _call(case, layer, _part(case, arrays, length, length + more), state, call)[0]


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


def _demand_prompts(prompts, sizes, mask, alone, told, share, origin):
    """Demand that the valid outputs of padded prompts are those of the prompts alone."""
    for index, pieces in enumerate(zip(*prompts, strict=True)):
        if any(y.shape[1:2] != (size,) for y, size in zip(pieces, sizes, strict=True)):
            continue  # an output without steps
        y = np.concatenate(pieces, axis=1)
        for i, valid in enumerate(mask):
            n = valid.sum()
            if n and alone[n][0][index].shape[1:2] == (n,):
                what = f"  output {index}        of sample {i}, {n} steps {told}, and alone"
                what = f"{what}\n  its mask        {valid.tolist()}"
                demand_close(y[i][valid], alone[n][0][index][i], share, what, origin)


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


def _refusal(case, layer, arrays, state) -> Exception | None:
    try:
        case.call(layer, arrays, initial_state=state, return_state=True)
    except Exception as error:  # the backend's own errors too
        return error
    return None


def _demand_named(error, told):
    found = "accepted in silence" if error is None else f"{type(error).__name__}: {error}"
    demand(
        isinstance(error, ValueError) and "initial_state" in str(error),
        f"{told}\n  due             a ValueError that has 'initial_state' in it\n  found           {found}",
    )
