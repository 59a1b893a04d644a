"""Execution: a layer computes the same when compiled, stateless, exported or on another backend."""

import tempfile
from functools import partial
from typing import Any

import keras
import numpy as np

from layerzoo.tensors import backends, compat, tracing
from layerzoo.tensors.outcomes import NotApplicable
from layerzoo.testing.engine.case import Case
from layerzoo.testing.engine.comparison import (
    EXACT,
    Comparison,
    Evidence,
    Fact,
    Note,
    Tolerance,
    allowing,
    varies,
)
from layerzoo.testing.engine.register import declare

BATCH = 16
FUSED = Tolerance(1e-5, "float32, 1e-5 for operations that the compiler fuses")
ELSEWHERE = Tolerance(1e-4, "float32, 1e-4 for each backend's own order and approximations")


@declare(
    "X1",
    brief=2,
    cost="long" if compat.BACKEND == "torch" else "dear",  # because it takes seconds to trace Keras
    hint=(
        "Usually Python code that runs only once, while the call is traced: a number drawn by NumPy, a "
        "test of whether something is traced, or an attribute that changes in `call`."
    ),
)
def jit_equals_eager(case: Case) -> Evidence:
    """Each compiled call computes the same as an eager call, and random noise differs between calls."""
    layer = case.built()
    arrays = case.arrays(values="normal")
    eager = case.run(layer, arrays)
    compiled = tracing.compiled(layer, arrays, training=False)
    always = case.traits.state == "always"
    for turn in ("first",) if always else ("first", "second"):
        for a, e in zip(compat.flat(compiled()), eager, strict=True):
            what = f"the {turn} compiled call, and the eager call"
            yield Comparison(a, e, allowing(layer, FUSED), what)
    if not always:
        for a, e in zip(case.run(layer, arrays), eager, strict=True):
            yield Comparison(a, e, EXACT, "eager, after compiling and before")
    if case.traits.stochastic:
        wide = {"b": BATCH} if _any_batch(case) else {}
        step = tracing.compiled(layer, case.arrays(values="normal", **wide), training=True)
        yield Fact(
            varies(lambda: compat.flat(step())),
            "compiled calls in training always gave the same numbers",
        )


@declare(
    "X2",
    tier="should",
    cost="long",
    hint=(
        "Usually a Python number on the layer or a global setting that `call` changes, or a size taken "
        "from `inputs.shape`. That size is None if it is unknown; use `keras.ops.shape(inputs)`."
    ),
)
def retrace(case: Case) -> Evidence:
    """Similar calls are traced once, and a new batch size is not traced again if the backend allows that.

    On TensorFlow the signature has an unknown batch size, so one trace serves all sizes. PyTorch may trace
    again for a second batch size, but not for a third. JAX traces each size once.
    """
    layer = case.built()
    first = max(case.sizes.get("b", 2), 2)
    free = _any_batch(case) and compat.BACKEND != "jax"
    sizes = [first, first, first, *((first + 1, first + 2, first + 3) if free else ())]
    arrays = [case.arrays(values="normal", **({"b": n} if _any_batch(case) else {})) for n in sizes]
    training = not case.traits.stochastic
    with case.resting(layer), compat.kept_state(layer):
        eager = [compat.flat(compat.call(layer, a, training=training)) for a in arrays]
        if compat.BACKEND == "torch" and layer.losses:
            raise NotApplicable(
                "Keras keeps losses in a list, and PyTorch traces again when its length changes"
            )
    with case.resting(layer), compat.kept_state(layer):
        outputs, traces = tracing.traced_calls(layer, arrays, _any_batch(case), training=training)
    told = f"batches         {sizes}\ntraces          {traces}, counted after each call"
    yield Fact(traces[2] == traces[0], f"a call like the one before was traced again\n{told}")
    if not free:
        return
    steady = traces[0] if compat.BACKEND == "tensorflow" else traces[4]
    yield Fact(traces[5] == steady, f"another batch size was traced again\n{told}")
    if case.traits.state is None:
        for n, found, due in zip(sizes[3:], outputs[3:], eager[3:], strict=True):
            for a, e in zip(found, due, strict=True):
                what = f"a batch of {n} through a trace for any batch size, and eager"
                yield Comparison(a, e, allowing(layer, FUSED), what)


@declare(
    "X3",
    cost="fair",
    hint=(
        "Usually a tensor that `call` stores on `self`. If a later call needs it, `assign` it to a "
        "variable; otherwise return it."
    ),
)
def no_tracer_leak(case: Case) -> Evidence:
    """After a traced call no attribute holds one of its tensors, and the layer still runs and prints."""
    layer = case.built()
    arrays = case.arrays()
    tracing.trace(layer, arrays, training=True)
    for inner in compat.sublayers(layer):
        for name, value in vars(inner).items():
            if name == "_losses":  # Keras keeps the losses of the last call until the next one
                continue
            held = [x for x in _contents(value) if tracing.is_traced(x)]
            yield Fact(not held, f"{inner.name}.{name} holds a tensor from a call that has ended")
    case.call(layer, arrays)
    yield Fact(repr(layer), "repr            is empty after a traced call")


@declare(
    "X4",
    hint=(
        "Usually state that is not a variable, or a variable that is changed without `assign`. `call` must "
        "change variables only with `assign`, and compute with them rather than with copies made in "
        "`build`."
    ),
)
def stateless_pure(case: Case) -> Evidence:
    """`stateless_call` computes the same as a call with those values, returns new state and stores none."""
    layer = case.built()
    tensors = {path: compat.tensor(a) for path, a in case.arrays(values="normal").items()}
    generator = np.random.default_rng([case.sample.seed, 83])
    before = [compat.array(v) for v in layer.variables]
    given = [
        x + np.abs(generator.normal(size=x.shape)).astype(x.dtype) if x.dtype.kind == "f" else x
        for x in before
    ]
    for training in (False, True) if compat.takes(layer, "training") else (None,):
        arguments: dict[str, Any] = {} if training is None else {"training": training}
        _reset(layer, before)
        with compat.global_seeds(case.sample.seed):
            stateless = partial(layer.stateless_call, *_by_trainable(layer, given))
            outputs, state = compat.call(stateless, tensors, **arguments)
        for variable, old in zip(layer.variables, before, strict=True):
            what = f"{variable.path} after a stateless call, and before"
            yield Comparison(compat.array(variable), old, EXACT, what)
        _reset(layer, given)
        with compat.global_seeds(case.sample.seed):
            due = compat.flat(compat.call(layer.call, tensors, **arguments))
        mode = " in training" if training else ""
        for a, e in zip(compat.flat(outputs), due, strict=True):
            yield Comparison(a, e, FUSED, f"`stateless_call` and `call`{mode}")
        variables = layer.non_trainable_variables
        yield Fact(
            len(state) == len(variables),
            f"{len(variables)} non-trainable variables{mode}, but `stateless_call` returned {len(state)}",
        )
        for variable, a in zip(variables, state, strict=True):
            what = f"{variable.path}{mode}, as `stateless_call` returns it and as a call leaves it"
            yield Comparison(compat.array(a), compat.array(variable), FUSED, what)


@declare(
    "X5",
    tier="should",
    cost="long",
    hint=(
        "Usually a branch on the backend, a default that differs between backends (an epsilon, an axis, "
        "rounding), or an operation that only one backend has."
    ),
)
def same_elsewhere(case: Case) -> Evidence:
    """With the same weights and inputs, outputs, masks and gradients agree on every installed backend."""
    if not backends.others():
        raise NotApplicable("no other backend is installed")
    layer = case.built()
    arrays = case.arrays(values="normal")
    masks = _masks(case, arrays)
    answers = backends.elsewhere(backends.job(layer, case.config, arrays, masks, case.sample.seed))
    own = backends.observed(layer, arrays, masks, case.sample.seed)
    for name, found in answers.items():
        if isinstance(found, str):
            yield Fact(False, f"on {name} the layer raised {found}")
            return
        yield Fact(
            list(found) == list(own),
            f"on {compat.BACKEND}, there are {list(own)}\non {name}, there are {list(found)}",
        )
        for what, value in own.items():
            if value.dtype.kind == "U" or found[what].dtype.kind == "U":
                yield Fact(
                    np.array_equal(value, found[what]),
                    f"{what}: on {compat.BACKEND} {value}, on {name} {found[what]}",
                )
            else:
                said = f"{what}, on {name} and on {compat.BACKEND}"
                yield Comparison(found[what], value, allowing(layer, ELSEWHERE), said)
    yield Note(f"compared with {', '.join(answers)}")


@declare(
    "X6",
    tier="should",
    cost="long",
    hint=(
        "Usually a tensor or table that Keras does not track, Python code that needs a tensor's value "
        "while the call is traced, or a print for debugging."
    ),
)
def export(case: Case) -> Evidence:
    """A model with the layer can be exported, and the loaded export computes the same for any batch size."""
    layer = case.built()
    model = case.functional(layer)
    arrays = case.arrays(values="normal")
    with tempfile.TemporaryDirectory() as folder:
        with case.resting(layer):
            loaded = tracing.exported(model, case.feed(arrays), folder, _any_batch(case))
        samples = {"of the size it was built with": arrays}
        if _any_batch(case) and case.traits.state != "always":
            samples["of another size"] = case.arrays(values="normal", b=case.sizes["b"] + 2)
        for size, given in samples.items():
            found = [tracing.foreign_array(y) for y in keras.tree.flatten(loaded(case.feed(given)))]
            for a, e in zip(found, case.run_model(model, given), strict=True):
                what = f"the exported model and the model, a batch {size}"
                yield Comparison(a, e, allowing(layer, FUSED), what)


def _any_batch(case) -> bool:
    return "b" in case.traits.dynamic.split()


def _by_trainable(layer, values) -> tuple[list, list]:
    """The values of the trainable variables, and those of the others."""
    value = {id(variable): each for variable, each in zip(layer.variables, values, strict=True)}
    trained, others = (
        [compat.tensor(value[id(variable)]) for variable in variables]
        for variables in (layer.trainable_variables, layer.non_trainable_variables)
    )
    return trained, others


def _reset(layer, values) -> None:
    for variable, value in zip(layer.variables, values, strict=True):
        variable.assign(value)


def _masks(case, arrays) -> dict[str, np.ndarray]:
    """A mask for each input that may be padded: the last step of each sample but the first."""
    masking = case.traits.masking
    if masking is None:
        return {}
    masks = {}
    for path in masking if isinstance(masking, dict) else [case.first]:
        if path in arrays and arrays[path].ndim > 1:
            masks[path] = np.ones(arrays[path].shape[:2], bool)
            masks[path][1:, -1] = arrays[path].shape[1] == 1
    return masks


def _contents(value):
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple | set):
        return [each for inner in value for each in _contents(inner)]
    return [value]
