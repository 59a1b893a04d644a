"""Gradients, compared with numerical derivatives in float64 if a probe finds float64."""

import warnings
from collections.abc import Generator
from fnmatch import fnmatchcase

import keras
import numpy as np

from layerzoo.tensors import autodiff, compat
from layerzoo.tensors.outcomes import NotApplicable
from layerzoo.tensors.slice import Slice
from layerzoo.testing.engine.case import Case
from layerzoo.testing.engine.comparison import (
    EXACT,
    SUMS,
    Comparison,
    Evidence,
    Fact,
    Finite,
    Note,
    Sometimes,
    Tolerance,
    allowing,
)
from layerzoo.testing.engine.derivative import demand_derivative, right_derivative
from layerzoo.testing.engine.register import declare
from layerzoo.testing.properties.independence import rows

FUSED = Tolerance(1e-4, "float32, 1e-4 for operations that the compiler fuses")
MODES = Tolerance(1e-4, "float32")


@declare(
    "G1",
    cost="fair",
    hint=(
        "Usually a `stop_gradient` on something that the output depends on, or a custom gradient whose "
        "formula is wrong."
    ),
)
def gradient_fd(case: Case) -> Evidence:
    """The gradient from autodiff equals the numerical derivative, for each input and weight."""
    if case.traits.surrogate is not None:
        raise NotApplicable("the card declares the gradient of another function, in `surrogate`")
    if not case.floats and not case.built().trainable_weights:  # built in its own dtype
        raise NotApplicable("no input is a float, and no weight trains")
    rough: set[str] = set()
    with compat.float64():
        layer = _precise(case)
        for training in _modes(case):
            subject = Slice(layer, case.arrays(), case.sample.seed, "float64", training)
            blind = case.traits.differentiable == "none"  # a gradient that is stopped on purpose
            leaves = range(len(subject.inputs) if blind else 0, len(subject.leaves))
            if not leaves:
                raise NotApplicable("no gradient reaches the inputs, and no weight trains")
            smooth = case.traits.differentiable == "smooth"
            rough |= yield from right_derivative(subject, case.sample.seed, smooth, leaves)
    if rough:
        yield Note(f"at float32 precision only: {', '.join(sorted(rough))}")


@declare(
    "G2",
    cost="fair",
    hint=(
        "Usually a weight that `call` does not use, a `stop_gradient`, or a step through NumPy or an "
        "integer type. If a gradient is zero by design, name the weight or input in the card's `dead`."
    ),
)
def gradient_flow(case: Case) -> Evidence:
    """Each trainable weight and float input gets a finite, nonzero gradient, or zero if declared dead."""
    case = case.roomy()
    layer = case.built()
    largest = yield from _finite_gradients(case, layer)
    if case.traits.differentiable == "none":  # G8 looks at the inputs
        largest = {name: size for name, size in largest.items() if name not in case.tensors}
    dead = {name for name in largest if any(fnmatchcase(name, each) for each in case.traits.dead)}
    for name in dead:
        size = largest[name]
        yield Fact(size <= 1e-5, f"{name} is declared dead but has a gradient of {size:.3g}")
    quiet = [name for name in largest if name not in dead and largest[name] <= 1e-7]
    if not quiet:
        return
    how = dict(training=_modes(case)[-1], losses=True)
    largest = yield from _finite_gradients(case, layer, **how)
    for name in quiet:
        size = largest[name]
        yield Fact(size > 1e-7, f"the largest gradient of {name} over 3 samples is {size:.3g}")


@declare(
    "G3",
    cost="fair",
    hint=(
        "Usually a root, a norm, a logarithm or a division at zero. Replace its argument there with "
        "`where` before the operation. A `where` after it fixes the value but leaves the gradient NaN."
    ),
)
def gradient_finite_at_special(case: Case) -> Evidence:
    """Outputs and gradients are finite for zeros, for equal values, for ties, and if every step is masked."""
    layer = case.built()
    for kind in ("zeros", "ones", "ties"):
        yield from _finite_at(case, layer, case.arrays(values=kind), f"inputs all {kind}")
    if case.traits.masking and compat.takes(layer, "mask"):
        arrays = case.arrays()
        mask = np.zeros(next(iter(arrays.values())).shape[:2], bool)
        yield from _finite_at(case, layer, arrays, "every step masked", mask=mask)


@declare(
    "G4",
    cost="dear",
    hint=(
        "A trainable weight that does not move has no gradient in training, or a constraint undoes the "
        "step. A weight that moves although it is not trainable is assigned to in `call`: declare that in "
        "the card, with `state`. On PyTorch, copy a state that you read if the same call assigns to it "
        "later."
    ),
)
def training_step(case: Case) -> Evidence:
    """One `fit` step moves every trainable weight and no other, and leaves all of them finite."""
    layer = case.built()
    if not layer.trainable_weights:
        raise NotApplicable("the layer has no weight to train")
    model = case.functional(layer)
    before = [compat.array(weight) for weight in layer.weights]
    arrays = case.arrays(values="normal")
    with case.resting(layer):
        outputs = model(case.feed(arrays))
    generator = np.random.default_rng([case.sample.seed, 53])
    target = keras.tree.map_structure(
        lambda y: generator.normal(size=y.shape).astype("float32"), outputs
    )
    model.compile(optimizer=keras.optimizers.SGD(0.5), loss="mse")
    with warnings.catch_warnings():  # about weights without a gradient, which G2 checks
        warnings.filterwarnings("ignore", "Gradients do not exist")
        history = model.fit(
            case.feed(arrays),
            target,
            batch_size=len(arrays[case.first]),
            shuffle=False,
            verbose=0,
        )
    yield Finite(history.history["loss"], "the loss is not finite")
    alive = _alive(case, layer)
    moves = case.traits.couples_batch is not None or case.traits.state is not None
    for weight, old in zip(layer.weights, before, strict=True):
        new = compat.array(weight)
        yield Finite(new, f"{weight.path} is not finite after a step")
        moved = not np.array_equal(new, old)
        if weight.trainable and weight.path.split("/", 1)[-1] in alive:
            yield Fact(moved, f"{weight.path} is trainable but did not move")
        elif not weight.trainable and not moves:
            yield Fact(not moved, f"{weight.path} is not trainable but moved")


@declare(
    "G5",
    tier="should",
    cost="long",
    hint=(
        "Usually Python code that runs only once, while the call is traced: an `if` on a tensor's value, a "
        "number drawn by NumPy, or a custom gradient that reads values other than its arguments."
    ),
)
def grad_jit_equal(case: Case) -> Evidence:
    """The compiled gradient equals the eager one."""
    layer = case.built()
    training = not case.traits.stochastic
    subject = Slice(layer, case.arrays(values="normal"), case.sample.seed, training=training)
    tensors = [compat.tensor(leaf) for leaf in subject.leaves]
    with case.resting(layer):
        eager = autodiff.eager_gradient(subject.scalar, tensors)
        compiled = autodiff.compiled_gradient(subject.scalar, tensors)
    within = allowing(layer, FUSED)
    for name, c, e in zip(subject.names, compiled, eager, strict=True):
        yield Comparison(c, e, within, f"the gradient of {name}, compiled and eager")


@declare(
    "G6",
    tier="should",
    cost="dear",
    hint=(
        "The backend has one rule for forward mode and another for reverse mode, and one of them is wrong. "
        "Usually the culprit is a custom gradient: forward mode ignores it or uses a different rule for "
        "it."
    ),
)
def dot_test(case: Case) -> Evidence:
    """Forward and reverse mode agree, <u, J v> = <J' u, v>, on a backend that has both."""
    layer = case.built()
    subject = Slice(layer, case.arrays(values="normal"), case.sample.seed)
    generator = np.random.default_rng([case.sample.seed, 73])
    directions = [generator.normal(size=leaf.shape).astype("float32") for leaf in subject.leaves]
    tensors = [compat.tensor(leaf) for leaf in subject.leaves]
    forward = autodiff.forward(subject.scalar, tensors, [compat.tensor(d) for d in directions])
    gradients = [g.astype("float64") for g in subject.gradient(subject.leaves)]
    backward = float(sum(np.sum(g * d) for g, d in zip(gradients, directions, strict=True)))
    size = float(np.sqrt(sum(np.sum(g * g) for g in gradients)))  # the expected size of the sums
    within = allowing(layer, MODES)
    difference = abs(forward - backward)
    allowed = within.relative * max(1.0, abs(backward), size)
    yield Fact(
        difference <= allowed,
        f"<u, J v>        {forward:.8g}, forwards\n<J' u, v>       {backward:.8g}, backwards\n"
        f"difference      {difference:.3g}, tolerance {allowed:.3g} ({within.origin})",
    )


@declare(
    "G7",
    tier="trait",
    cost="dear",
    claim="twice_differentiable",
    never=(
        "The card says that the gradient has no derivative (`twice_differentiable=False`), but autodiff "
        "found the right one at every sample."
    ),
    hint=(
        "Usually a `stop_gradient` inside a formula for the first derivative, or a custom gradient whose "
        "own rule cannot be differentiated."
    ),
)
def gradient_of_gradient(case: Case) -> Evidence:
    """Autodiff finds the right second derivative, unless the card says that there is none."""
    with compat.float64():
        layer = _precise(case)
        first = Slice(layer, case.arrays(), case.sample.seed, "float64")
        generator = np.random.default_rng([case.sample.seed, 79])
        subject = first.slope([generator.normal(size=leaf.shape) for leaf in first.leaves])
        smooth = case.traits.differentiable == "smooth"
        if case.traits.twice_differentiable:
            yield from right_derivative(subject, case.sample.seed, smooth)
            return
        try:
            demand_derivative(subject, case.sample.seed, smooth)
            refuted = False
        except Exception:  # a wrong number, a kink, or a backend without a rule for it
            refuted = True
        yield Sometimes(refuted)


@declare(
    "G8",
    tier="trait",
    cost="fair",
    hint=(
        "The card names a function whose gradient this layer returns (`surrogate`), or says that no "
        "gradient reaches the inputs (`differentiable='none'`). Either the layer or the card is wrong."
    ),
)
def surrogate(case: Case) -> Evidence:
    """The gradient is that of the card's surrogate, or zero if the card says that inputs get none."""
    if case.traits.surrogate is not None:
        with compat.float64():
            layer = _precise(case)
            subject, declared = (
                Slice(layer, case.arrays(), case.sample.seed, "float64", function=function)
                for function in (None, lambda given: case.traits.surrogate(layer, given))
            )
            yield _same_shapes(subject, declared)
            smooth = case.traits.differentiable == "smooth"
            yield from right_derivative(subject, case.sample.seed, smooth, of=declared)
    elif case.traits.differentiable == "none":
        layer = case.built()
        subject = Slice(layer, case.arrays(), case.sample.seed)
        if not subject.inputs:
            raise NotApplicable("no input is a float")
        for name, found in zip(subject.inputs, subject.gradient(subject.leaves), strict=False):
            size = np.abs(found).max(initial=0)
            yield Fact(
                not np.any(found),
                f"no gradient should reach {name}, but its largest is {size:.3g}",
            )
    else:
        raise NotApplicable("the card names no surrogate, and a gradient may reach the inputs")


@declare(
    "G9",
    tier="should",
    cost="dear",
    hint=(
        "Usually a loss that `call` adds as a sum over the batch, where a model takes the mean: divide "
        "it by the number of samples, as Keras does with that of an `activity_regularizer`. Otherwise a "
        "custom gradient that depends on the size of the batch."
    ),
)
def accumulated_gradient(case: Case) -> Evidence:
    """The gradient of a batch is the mean over its parts, also of added losses, unless samples interact."""
    if case.traits.couples_batch is not None:
        raise NotApplicable("the samples of a batch influence each other")
    layer, size = case.built(), 4
    if not layer.trainable_weights:
        raise NotApplicable("no weight trains")
    arrays = case.arrays(values="normal", b=size)
    # with noise or a state, training is never the same twice
    still = not case.traits.stochastic and case.traits.state is None
    how = dict(training=still, losses=True)
    whole = Slice(layer, arrays, case.sample.seed, **how)
    weights = slice(len(whole.inputs), None)
    due = whole.gradient(whole.leaves)[weights]
    if any(u.shape[:1] != (size,) for u in whole.cotangents):
        raise NotApplicable("an output has no axis of samples")
    found = []
    for part in (slice(0, size // 2), slice(size // 2, None)):
        subject = Slice(layer, rows(case, arrays, part), case.sample.seed, **how)
        subject.cotangents = [2 * u[part] for u in whole.cotangents]
        found.append(subject.gradient(subject.leaves)[weights])
    within = allowing(layer, SUMS)
    for name, e, *parts in zip(whole.names[weights], due, *found, strict=True):
        what = f"the gradient of {name}, mean of two halves of a batch of {size}, and of the whole"
        yield Comparison(sum(parts) / 2, e, within, what)


@declare(
    "G10",
    tier="trait",
    brief=2,
    claim="identity_at_start",
    never=(
        "The card says that the layer does not start as the identity (`identity_at_start=False`), but a new "
        "layer returned its input at every sample."
    ),
    hint=(
        "A branch that starts at zero needs one factor of zero: its last gamma, gain or kernel. If two "
        "factors of a product start at zero, neither gets a gradient."
    ),
)
def identity_at_start(case: Case) -> Evidence:
    """A new layer returns its input exactly, and a gradient moves it off that."""
    layer, arrays = case.make(), case.arrays(values="normal")
    found = case.run(layer, arrays)[0]
    due = arrays[case.first].astype(found.dtype)
    yield Comparison(found, due, EXACT, "the output of a new layer, and its input")
    if not case.traits.identity_at_start or not layer.trainable_weights:
        return
    subject = Slice(layer, arrays, case.sample.seed)
    gradients = subject.gradient(subject.leaves)[len(subject.inputs) :]
    yield Fact(
        any(np.any(each) for each in gradients),
        "the gradients   zero by every weight, so that no training moves the layer",
    )


def _finite_gradients(case, layer, **how) -> Generator[Finite, None, dict[str, float]]:
    """Each gradient is finite over three samples. Returns the largest entry of each."""
    subject = Slice(layer, case.arrays(values="normal"), case.sample.seed, **how)
    largest = dict.fromkeys(subject.names, 0.0)
    for salt in range(3):
        leaves = subject.leaves_at(case.arrays(salt, "normal"))
        for name, found in zip(subject.names, subject.gradient(leaves), strict=True):
            yield Finite(found, f"the gradient of {name} is not finite")
            largest[name] = max(largest[name], float(np.abs(found).max(initial=0)))
    return largest


def _precise(case) -> keras.layers.Layer:
    """The layer in float64, which differences need."""
    layer = case.built(dtype="float64")
    half = compat.half_inside(layer)
    if half:
        raise NotApplicable(f"a layer inside computes in {half}, too coarse for differences")
    return layer


def _modes(case) -> tuple[bool, ...]:
    """Inference, and also training if the layer computes something different there."""
    traits = case.traits
    differs = traits.stochastic or traits.train_differs or traits.couples_batch == "training"
    return (False, True) if differs else (False,)


def _same_shapes(subject, declared) -> Fact:
    """The surrogate gives outputs of the same shapes as the layer."""
    tensors = [compat.tensor(leaf) for leaf in subject.leaves]
    for each in (subject, declared):
        each.scalar(tensors)
    own, other = ([u.shape for u in each.cotangents] for each in (subject, declared))
    return Fact(own == other, f"outputs         {own}\nsurrogate gives {other}")


def _alive(case, layer) -> set[str]:
    """The weights whose gradient is clearly nonzero at this sample, in training."""
    if case.traits.stochastic:
        return set()  # noise decides which weights get a gradient; G2 checks those
    subject = Slice(layer, case.arrays(values="normal"), case.sample.seed, training=True)
    found = zip(subject.names, subject.gradient(subject.leaves), strict=True)
    return {name for name, g in found if np.abs(g).max(initial=0) > 1e-4}


def _finite_at(case, layer, arrays, where, **arguments) -> Evidence:
    """Outputs and gradients are finite for these inputs."""
    for output in case.run(layer, arrays, **arguments):
        yield Finite(output, f"{where}: the output is not finite")
    subject = Slice(layer, arrays, case.sample.seed, **arguments)
    for name, found in zip(subject.names, subject.gradient(subject.leaves), strict=True):
        yield Finite(found, f"{where}: the gradient of {name} is not finite")
