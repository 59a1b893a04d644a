"""Randomness and state: none at inference, as declared in training, and reproducible from a seed."""

import inspect
from typing import Any

import numpy as np

from layerzoo.tensors import compat
from layerzoo.tensors.outcomes import NotApplicable, Violation, demand
from layerzoo.testing.engine.case import flat
from layerzoo.testing.engine.comparison import demand_close, varies
from layerzoo.testing.engine.register import declare
from layerzoo.testing.properties.numerics import own_sublayers

TRIES, BATCH = 4, 16
ROWS, CALLS = 10_000, 10


@declare(
    "R1",
    hint=(
        "Usually noise or a counter that ignores `training`. In `call(self, inputs, training=None)`, draw "
        "and assign only `if training`."
    ),
)
def inference_deterministic(case):
    """Two calls at inference give identical bits and change no state."""
    layer = case.built()
    arrays = case.arrays()
    before = [compat.array(v) for v in layer.variables]
    first, second = case.run(layer, arrays), case.run(layer, arrays)
    for index, (a, e) in enumerate(zip(second, first, strict=True)):
        what = f"  output {index} of the second call at inference, and of the first call"
        demand_close(a, e, 0, what, "equal bits")
    if case.traits.state == "always":
        return  # R5 checks what changes then
    for variable, old in zip(layer.variables, before, strict=True):
        new = compat.array(variable)
        demand(
            np.array_equal(new, old, equal_nan=old.dtype.kind == "f"),
            f"  variable        {variable.path}\n"
            f"  before          {_short(old)}\n  after two calls {_short(new)}",
        )


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
def train_equals_inference(case):
    """A layer trains only if told to, and then gives what inference gives, unless the card says otherwise."""
    layer = case.built()
    arrays = _batch(case)
    expected = case.run(layer, arrays, training=False)
    _demand_no_training_unasked(case, layer, arrays, expected)
    if case.traits.stochastic or case.traits.train_differs:
        found = [case.run(layer, arrays, training=True) for _ in range(TRIES)]
        if not case.traits.stochastic and case.traits.state is None:
            for index, (a, e) in enumerate(zip(found[1], found[0], strict=True)):
                what = f"  output {index} of a second call in training, and of the first"
                demand_close(a, e, 0, what, "equal bits: `train_differs` without `stochastic`")
        if case.traits.stochastic:
            return varies(lambda: case.run(layer, arrays, training=True), expected)
        return any(not all(map(np.array_equal, each, expected)) for each in found)
    if case.traits.couples_batch == "training":
        raise NotApplicable("training uses batch statistics")
    found = case.run(layer, arrays, training=True)
    for index, (a, e) in enumerate(zip(found, expected, strict=True)):
        what = f"  output {index} with training=True, and with training=False"
        demand_close(a, e, 1e-6, what, "float32, 1e-6: the same sums, compiled or not")
    return None


def _demand_no_training_unasked(case, layer, arrays, expected):
    """Demand that a call without `training` is one at inference. Keras says that its augmentation is not."""
    if compat.is_of_keras(layer.call):
        return
    with case.resting(layer), compat.kept_state(layer):
        unasked = flat(compat.call(layer, compat.handed(layer, arrays)))
    for index, (a, e) in enumerate(zip(unasked, expected, strict=True)):
        demand_close(
            a,
            e,
            1e-6,
            f"  output {index} called without `training`, and with training=False",
            "float32, 1e-6: the same sums, compiled or not",
            "Give `training` the default None in `call`: with True the layer trains unasked, in `model(x)` "
            "for example, although `predict` does not.",
        )


@declare(
    "R3",
    tier="trait",
    cost="fair",
    hint=(
        "Usually a sub-layer that does not get `seed=self.seed`, or random numbers from NumPy, Python or "
        "the backend. Draw with `keras.random`, from one `keras.random.SeedGenerator(seed)` that belongs "
        "to the layer."
    ),
)
def seeded_noise(case):
    """The same seed gives the same noise under any global seeds, and successive calls differ."""
    if not case.traits.stochastic:
        raise NotApplicable("the card claims no randomness under this config")
    arrays = _batch(case)
    model = case.built()
    sequences = []
    for start in (1, 2):
        with compat.global_seeds(start):
            layer = _seeded(case, model)
            demand(
                any("seed_generator" in v.path for v in layer.variables),
                "  variables       none is the state of a SeedGenerator",
                "Keep `self.seed_generator = keras.random.SeedGenerator(seed)` and draw from it.",
            )
            sequences.append([case.run(layer, arrays, training=True) for _ in range(TRIES)])
    for call, (first, second) in enumerate(zip(*sequences, strict=True)):
        for a, e in zip(second, first, strict=True):
            what = (
                f"  call {call} in training of two layers with one seed, under other global seeds "
                "of NumPy, Python and the backend"
            )
            demand_close(a, e, 0, what, "equal bits")
    demand(
        varies(lambda: case.run(layer, arrays, training=True), sequences[0][0]),
        "  successive calls in training always gave the same numbers",
        "The seed is a number, but it should be a SeedGenerator, whose state advances.",
    )


@declare(
    "R4",
    tier="trait",
    cost="fair",
    hint=(
        "Usually the outputs that are kept are not scaled up to make up for those that are dropped, or a "
        "variance is used as a standard deviation. Each sample must get its own draw."
    ),
)
def statistics(case):
    """In training, inputs of ones give outputs with the declared mean and variance."""
    if case.traits.noise is None:
        raise NotApplicable("the card declares no mean and variance")
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
        _demand_mean(y.mean(axis=1), mean, f"  output {index}, mean")
        _demand_mean(((y - mean) ** 2).mean(axis=1), variance, f"  output {index}, variance")


@declare(
    "R5",
    never=("The card says that calls change the layer's variables, but no call did in any sample."),
    hint=(
        "Usually a statistic that changes without regard to `training`, or a tensor stored on `self`. If "
        'something is meant to change, make it a variable and declare when it changes: `state="training"` '
        'or `"always"`.'
    ),
)
def stateful(case):
    """A call changes the layer's variables, apart from seeds, if and only if the card says so."""
    claim = case.traits.state
    with compat.recorded_variables(collect=False) as made:
        layer = case.built()
    arrays, other = (case.arrays(salt, "normal") for salt in (0, 1))
    known = {id(v): v for v in [*layer.variables, *made] if "seed_generator" not in v.path}

    def changed(training):
        before = [compat.array(v).copy() for v in known.values()]
        compat.call(layer, {p: a.copy() for p, a in other.items()}, training=training)
        return [
            (v, old, new)
            for v, old in zip(known.values(), before, strict=True)
            if not np.array_equal(new := compat.array(v), old, equal_nan=old.dtype.kind == "f")
        ]

    if claim is None:
        first = case.run(layer, arrays)
    moved = {training: changed(training) for training in (False, True)}
    for training in {None: (False, True), "training": (False,), "always": ()}[claim]:
        for variable, old, new in moved[training]:
            raise Violation(
                f"  variable        {variable.path}, in a call with training={training}\n"
                f"  before          {_short(old)}\n  after           {_short(new)}"
            )
    if claim is None:
        for index, (a, e) in enumerate(zip(case.run(layer, arrays), first, strict=True)):
            what = f"  output {index} for the same inputs, after two calls with others, and before"
            demand_close(a, e, 0, what, "equal bits")
        return None
    _demand_returned(layer, other)
    return bool(moved[claim == "training"])


def _demand_returned(layer, arrays):
    """Demand that `stateless_call` returns the state that a call stores."""
    first, *others = compat.packed({p: compat.tensor(a) for p, a in arrays.items()}).items()
    arguments: dict[str, Any] = {"training": True} if compat.takes(layer, "training") else {}
    variables = layer.non_trainable_variables
    _, returned = layer.stateless_call(
        layer.trainable_variables, variables, first[1], **dict(others), **arguments
    )
    compat.call(layer, {p: a.copy() for p, a in arrays.items()}, **arguments)
    for variable, value in zip(variables, returned, strict=True):
        if "seed_generator" not in variable.path:
            what = f"  {variable.path} as `stateless_call` returns it, and as a call stores it"
            demand_close(
                compat.array(value), compat.array(variable), 1e-6, what, "float32, the same sums"
            )


def _demand_mean(values, due, what):
    """Demand that the mean of independent values is `due`, to within six of its standard errors."""
    found = values.mean()
    error = values.std(ddof=1) / len(values) ** 0.5
    allowed = 6 * error + 1e-6 * max(1.0, abs(due))
    demand(
        abs(found - due) <= allowed,
        f"{what} in training\n"
        f"  found           {found:.6g}, declared {due:.6g}\n"
        f"  difference      {abs(found - due):.3g}, tolerance {allowed:.3g} "
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
