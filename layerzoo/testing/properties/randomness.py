"""Randomness and state: none at inference, as declared in training, and reproducible from a seed."""

import inspect
from typing import Any

import numpy as np

from layerzoo.tensors import compat
from layerzoo.tensors.outcomes import NotApplicable
from layerzoo.testing.engine.case import Case
from layerzoo.testing.engine.comparison import (
    EXACT,
    SAME,
    Comparison,
    Evidence,
    Fact,
    Sometimes,
    Tolerance,
    differ,
    varies,
)
from layerzoo.testing.engine.register import declare
from layerzoo.testing.properties.numerics import own_sublayers

TRIES, BATCH = 4, 16
ROWS, CALLS = 10_000, 10
NOISELESS = Tolerance(0.0, "the same bits: `train_differs` without `stochastic`")


@declare(
    "R1",
    hint=(
        "Usually noise or a counter that ignores `training`. In `call(self, inputs, training=None)`, draw "
        "and assign only `if training`."
    ),
)
def inference_deterministic(case: Case) -> Evidence:
    """Two calls at inference give identical bits and change no state."""
    layer = case.built()
    arrays = case.arrays()
    before = [compat.array(v) for v in layer.variables]
    first, second = case.run(layer, arrays), case.run(layer, arrays)
    for index, (a, e) in enumerate(zip(second, first, strict=True)):
        what = f"output {index} of the second call at inference, and of the first call"
        yield Comparison(a, e, EXACT, what)
    if case.traits.state == "always":
        return  # R5 checks what changes then
    for variable, old in zip(layer.variables, before, strict=True):
        yield _unchanged(variable, old, after="after two calls")


@declare(
    "R2",
    brief=2,
    never=(
        "The card says that training draws random numbers or computes something different from inference, "
        "but it differed in no sample."
    ),
    hint=(
        "If the difference is intended, declare it in the card: `stochastic` if it is random, "
        "`train_differs` if it is not. Otherwise look for `if training` in `call`."
    ),
)
def train_equals_inference(case: Case) -> Evidence:
    """A layer trains only if told to, and then gives what inference gives, unless the card says otherwise."""
    layer, arrays, traits = case.built(), _batch(case), case.traits
    expected = case.run(layer, arrays, training=False)
    yield from _no_training_unasked(case, layer, arrays, expected)

    def train():
        return case.run(layer, arrays, training=True)

    if traits.stochastic:
        yield Sometimes(varies(train, expected))
    elif traits.train_differs:
        found = [train() for _ in range(TRIES)]
        if traits.state is None:
            for index, (a, e) in enumerate(zip(found[1], found[0], strict=True)):
                what = f"output {index} of a second call in training, and of the first"
                yield Comparison(a, e, NOISELESS, what)
        yield Sometimes(any(differ(each, expected) for each in found))
    elif traits.couples_batch == "training":
        raise NotApplicable("training uses batch statistics")
    else:
        for index, (a, e) in enumerate(zip(train(), expected, strict=True)):
            what = f"output {index} with training=True, and with training=False"
            yield Comparison(a, e, SAME, what)


def _no_training_unasked(case, layer, arrays, expected) -> Evidence:
    """A call without `training` is one at inference. Keras says that its augmentation is not."""
    if compat.is_of_keras(layer.call):
        return
    with case.resting(layer), compat.kept_state(layer):
        unasked = compat.flat(compat.call(layer, compat.handed(layer, arrays)))
    for index, (a, e) in enumerate(zip(unasked, expected, strict=True)):
        yield Comparison(
            a,
            e,
            SAME,
            f"output {index} called without `training`, and with training=False",
            "Give `training` the default None in `call`: with True the layer trains unasked, in `model(x)` "
            "for example, although `predict` does not.",
        )


@declare(
    "R3",
    tier="trait",
    cost="fair",
    claim="stochastic",
    hint=(
        "Usually a sub-layer that does not get `seed=self.seed`, or random numbers from NumPy, Python or "
        "the backend. Draw with `keras.random`, from one `keras.random.SeedGenerator(seed)` that belongs "
        "to the layer."
    ),
)
def seeded_noise(case: Case) -> Evidence:
    """The same seed gives the same noise under any global seeds, and successive calls differ."""
    model, arrays = case.built(), _batch(case)
    sequences = []
    for start in (1, 2):
        with compat.global_seeds(start):
            layer = _seeded(case, model)
            yield Fact(
                any("seed_generator" in v.path for v in layer.variables),
                "variables       none is the state of a SeedGenerator",
                "Keep `self.seed_generator = keras.random.SeedGenerator(seed)` and draw from it.",
            )
            sequences.append([case.run(layer, arrays, training=True) for _ in range(TRIES)])
    for call, (first, second) in enumerate(zip(*sequences, strict=True)):
        for a, e in zip(second, first, strict=True):
            what = (
                f"call {call} in training of two layers with one seed, under other global seeds "
                "of NumPy, Python and the backend"
            )
            yield Comparison(a, e, EXACT, what)
    yield Fact(
        varies(lambda: case.run(layer, arrays, training=True), sequences[0][0]),
        "successive calls in training always gave the same numbers",
        "The seed is a number, but it should be a SeedGenerator, whose state advances.",
    )


@declare(
    "R4",
    tier="trait",
    cost="fair",
    claim="noise",
    hint=(
        "Usually the outputs that are kept are not scaled up to make up for those that are dropped, or a "
        "variance is used as a standard deviation. Each sample must get its own draw."
    ),
)
def statistics(case: Case) -> Evidence:
    """In training, inputs of ones give outputs with the declared mean and variance."""
    mean, variance = case.traits.noise
    arrays = {
        path: np.ones(shape, case.tensors[path].dtype)
        for path, shape in case.shapes(b=ROWS).items()
    }
    with compat.global_seeds(1):
        layer = _seeded(case, case.built())
        calls = [case.run(layer, arrays, training=True) for _ in range(CALLS)]
    for index, parts in enumerate(zip(*calls, strict=True)):
        y = np.concatenate(parts).astype("float64").reshape(ROWS * CALLS, -1)
        yield _mean(y.mean(axis=1), mean, f"output {index}, mean")
        yield _mean(((y - mean) ** 2).mean(axis=1), variance, f"output {index}, variance")


@declare(
    "R5",
    never=("The card says that calls change the layer's variables, but no call did in any sample."),
    hint=(
        "Usually a statistic that changes without regard to `training`, or a tensor stored on `self`. If "
        'something is meant to change, make it a variable and declare when it changes: `state="training"` '
        'or `"always"`.'
    ),
)
def stateful(case: Case) -> Evidence:
    """A call changes the layer's variables, apart from seeds, if and only if the card says so."""
    claim = case.traits.state
    with compat.recorded_variables(collect=False) as made:
        layer = case.built()
    arrays, other = (case.arrays(salt, "normal") for salt in (0, 1))
    known = {id(v): v for v in [*layer.variables, *made] if "seed_generator" not in v.path}

    def unchanged(training) -> list[Fact]:
        before = [(v, compat.array(v).copy()) for v in known.values()]
        compat.call(layer, {p: a.copy() for p, a in other.items()}, training=training)
        call = f", in a call with training={training}"
        return [_unchanged(v, old, call, "after") for v, old in before]

    if claim is None:
        first = case.run(layer, arrays)
    facts = {training: unchanged(training) for training in (False, True)}
    for training in {None: (False, True), "training": (False,), "always": ()}[claim]:
        yield from facts[training]
    if claim is None:
        for index, (a, e) in enumerate(zip(case.run(layer, arrays), first, strict=True)):
            what = f"output {index} for the same inputs, after two calls with others, and before"
            yield Comparison(a, e, EXACT, what)
    else:
        yield from _returned(layer, other)
        yield Sometimes(not all(fact.holds for fact in facts[claim == "training"]))


def _returned(layer, arrays) -> Evidence:
    """`stateless_call` returns the state that a call stores."""
    first, *others = compat.packed({p: compat.tensor(a) for p, a in arrays.items()}).items()
    arguments: dict[str, Any] = {"training": True} if compat.takes(layer, "training") else {}
    variables = layer.non_trainable_variables
    _, returned = layer.stateless_call(
        layer.trainable_variables, variables, first[1], **dict(others), **arguments
    )
    compat.call(layer, {p: a.copy() for p, a in arrays.items()}, **arguments)
    for variable, value in zip(variables, returned, strict=True):
        if "seed_generator" not in variable.path:
            what = f"{variable.path} as `stateless_call` returns it, and as a call stores it"
            yield Comparison(compat.array(value), compat.array(variable), SAME, what)


def _unchanged(variable, old, where="", after="after") -> Fact:
    """A variable has the bits that it had."""
    new = compat.array(variable)
    return Fact(
        np.array_equal(new, old, equal_nan=old.dtype.kind == "f"),
        f"variable        {variable.path}{where}\n"
        f"before          {_short(old)}\n{after:<15} {_short(new)}",
    )


def _mean(values, due, what) -> Fact:
    """The mean of independent values is `due`, to within six of its standard errors."""
    found = values.mean()
    error = values.std(ddof=1) / len(values) ** 0.5
    allowed = 6 * error + 1e-6 * max(1.0, abs(due))
    return Fact(
        abs(found - due) <= allowed,
        f"{what} in training\n"
        f"found           {found:.6g}, declared {due:.6g}\n"
        f"difference      {abs(found - due):.3g}, tolerance {allowed:.3g} "
        f"(6 standard errors of {len(values)} samples, and 1e-6 for float32)",
    )


def _seeded(case, model):
    """A layer with a model's weights and a fixed seed, even if no constructor argument takes a seed."""
    classes = type(model).__mro__
    by_argument = any("seed" in inspect.signature(c.__init__).parameters for c in classes)  # type: ignore[misc]
    layer = case.twin(model, **({"seed": 1234} if by_argument else {}))
    own = own_sublayers(case, layer) if by_argument else []
    compat.give_seeds([inner for inner in compat.sublayers(layer) if inner not in own], 1234)
    return layer


def _batch(case) -> dict[str, np.ndarray]:
    """Inputs with many samples, if the batch size is free."""
    sizes = {"b": BATCH} if "b" in case.traits.dynamic.split() else {}
    return case.arrays(values="normal", **sizes)


def _short(values) -> str:
    return np.array2string(values.ravel()[:6], precision=6, separator=", ", threshold=6)
