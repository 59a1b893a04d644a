"""Gradients, held against numerical derivatives in probed float64."""

from collections.abc import Callable
from fnmatch import fnmatchcase

import keras
import numpy as np

from layerzoo.testing import compat
from layerzoo.testing.closeness import demand_finite
from layerzoo.testing.outcomes import Inconclusive, NotApplicable, Violation, demand
from layerzoo.testing.properties import declare


class Slice:
    """A layer as a scalar function of its float inputs and trainable weights.

    The outputs meet fixed random cotangents; other inputs and other variables, random seeds among them,
    stay as they are.
    """

    def __init__(self, layer, arrays, seed, dtype="float32", training=False, **arguments):
        self.inputs = [path for path, a in arrays.items() if np.issubdtype(a.dtype, np.floating)]
        self.names = [*self.inputs, *(w.path.split("/", 1)[-1] for w in layer.trainable_weights)]
        weights = [compat.array(w).astype(dtype) for w in layer.trainable_weights]
        self.leaves = [*(arrays[path].astype(dtype) for path in self.inputs), *weights]
        index = {id(variable): i for i, variable in enumerate(layer.variables)}
        places = [index[id(weight)] for weight in layer.trainable_weights]
        rest = compat.values(layer)
        inputs = len(self.inputs)
        cotangents = None

        def scalar(leaves):
            nonlocal cotangents
            values = list(rest)
            for place, leaf in zip(places, leaves[inputs:], strict=True):
                values[place] = leaf
            moved = dict(zip(self.inputs, leaves[:inputs], strict=True))
            given = {path: moved.get(path, compat.tensor(a)) for path, a in arrays.items()}
            outputs = compat.evaluate(layer, values, given, training=training, **arguments)
            outputs = [y for y in keras.tree.flatten(outputs) if "float" in str(y.dtype)]
            if not outputs:
                raise NotApplicable("no output is a float")
            if cotangents is None:
                generator = np.random.default_rng([seed, 31])
                cotangents = [
                    (generator.normal(size=y.shape) / max(1, np.prod(y.shape)) ** 0.5).astype(dtype)
                    for y in outputs
                ]
            terms = [
                keras.ops.sum(keras.ops.cast(y, dtype) * compat.tensor(u))
                for y, u in zip(outputs, cotangents, strict=True)
            ]
            return sum(terms[1:], terms[0])

        self.scalar = scalar
        self._value = compat.quick(scalar)
        self._gradient = compat.gradient(scalar)

    def value(self, leaves) -> float:
        """The scalar at some leaves."""
        return float(compat.array(self._value([compat.tensor(leaf) for leaf in leaves])))

    def gradient(self, leaves) -> list[np.ndarray]:
        """Its gradient with respect to each leaf, zeros where it does not reach."""
        return self._gradient([compat.tensor(leaf) for leaf in leaves])

    def training_step(self) -> Callable[[], object]:
        """A traced step that computes the gradient at the leaves and waits for it, to be timed."""
        return compat.training_step(self.scalar, self.leaves)

    def leaves_at(self, arrays) -> list[np.ndarray]:
        """The leaves with other inputs of the same shapes."""
        return [*(arrays[path] for path in self.inputs), *self.leaves[len(self.inputs) :]]


@declare("G1", cost="fair")
def gradient_fd(case):
    """The gradient returned by autodiff is the numerical derivative, leaf by leaf."""
    with compat.float64():
        layer = case.built(dtype="float64")
        for training in (False, True) if case.traits.stochastic else (False,):
            subject = Slice(layer, case.arrays(), case.sample.seed, "float64", training)
            _demand_derivative(case, subject)


@declare("G2", cost="fair")
def gradient_flow(case):
    """Every trainable weight and input gets a finite gradient, not zero; dead weights stay dead."""
    layer = case.built()
    largest: dict[str, float] = {}
    roomy = {letter: max(size, 3) for letter, size in case.longer().items()}
    subject = Slice(layer, case.arrays(0, "normal", **roomy), case.sample.seed)
    for salt in range(3):
        leaves = subject.leaves_at(case.arrays(salt, "normal", **roomy))
        for name, found in zip(subject.names, subject.gradient(leaves), strict=True):
            demand_finite(found, f"  the gradient of {name} is not finite")
            largest[name] = max(largest.get(name, 0.0), float(np.abs(found).max(initial=0)))
    for name, size in largest.items():
        dead = any(fnmatchcase(name, pattern) for pattern in case.traits.dead)
        if dead:
            demand(size <= 1e-5, f"  {name} is declared dead and has a gradient of {size:.3g}")
        else:
            demand(size > 1e-7, f"  the gradient of {name} is {size:.3g} at each of 3 samples")


@declare("G3", cost="fair")
def gradient_finite_at_special(case):
    """Outputs and gradients are finite at zeros, at equal values, at ties, and where all is masked."""
    layer = case.built()
    for kind in ("zeros", "ones", "ties"):
        _demand_finite_gradient(case, layer, case.arrays(values=kind), f"inputs all {kind}")
    if case.traits.masking and compat.takes(layer, "mask"):
        arrays = case.arrays()
        mask = np.zeros(next(iter(arrays.values())).shape[:2], bool)
        _demand_finite_gradient(case, layer, arrays, "every step masked", mask=mask)


@declare("G4", cost="dear")
def training_step(case):
    """One `fit` step leaves finite weights, moves each that trains and none that does not."""
    layer = case.built()
    if not layer.trainable_weights:
        raise NotApplicable("the layer has no weight to train")
    model = case.functional(layer)
    arrays = case.arrays(values="normal")
    outputs = model(case.feed(arrays))
    generator = np.random.default_rng([case.sample.seed, 53])
    target = keras.tree.map_structure(
        lambda y: generator.normal(size=y.shape).astype("float32"), outputs
    )
    model.compile(optimizer=keras.optimizers.SGD(0.5), loss="mse")
    before = [compat.array(weight) for weight in layer.weights]
    history = model.fit(case.feed(arrays), target, batch_size=len(arrays[case.first]), verbose=0)
    demand_finite(np.array(history.history["loss"]), "  the loss is not finite")
    alive = _alive(case, layer)
    for weight, old in zip(layer.weights, before, strict=True):
        new = compat.array(weight)
        demand_finite(new, f"  {weight.path} is not finite after a step")
        moved = not np.array_equal(new, old)
        if weight.trainable and weight.path.split("/", 1)[-1] in alive:
            demand(moved, f"  {weight.path} is trainable and did not move")
        elif not weight.trainable and case.traits.couples_batch is None:
            demand(not moved, f"  {weight.path} is not trainable and moved")


def _alive(case, layer) -> set[str]:
    """The weights whose gradient is not zero at this very sample, in training."""
    if case.traits.stochastic:
        return set()  # which weights the noise spares is chance, and G2 has seen to them
    subject = Slice(layer, case.arrays(values="normal"), case.sample.seed, training=True)
    found = zip(subject.names, subject.gradient(subject.leaves), strict=True)
    return {name for name, g in found if np.abs(g).max(initial=0) > 1e-4}


def _demand_finite_gradient(case, layer, arrays, where, **arguments):
    for output in case.run(layer, arrays, **arguments):
        demand_finite(output, f"  {where}: the output is not finite")
    subject = Slice(layer, arrays, case.sample.seed, **arguments)
    for name, found in zip(subject.names, subject.gradient(subject.leaves), strict=True):
        demand_finite(found, f"  {where}: the gradient of {name} is not finite")


def _demand_derivative(case, subject):
    generator = np.random.default_rng([case.sample.seed, 71])
    leaves = subject.leaves
    attempts = 4
    for _ in range(attempts):
        mismatch = _first_mismatch(
            subject, leaves, generator, *_precision(subject, leaves, generator)
        )
        if mismatch is not None and mismatch[2]:
            mismatch = _first_mismatch(subject, leaves, generator, *FLOAT32)
        if mismatch is None:
            return
        message, kinked, _ = mismatch
        if case.traits.differentiable == "smooth" or not kinked:
            raise Violation(message)
        leaves = [leaf + 0.1 * generator.normal(size=leaf.shape) for leaf in leaves]
    raise Inconclusive(f"every one of {attempts} points has a kink\n{message}")


FLOAT32 = ((2.0**-8,), 2e-2, "float32 only")
"""Steps, tolerance and name of the precision of a layer that computes in float32, be it only in a part."""


def _precision(subject, leaves, generator) -> tuple[tuple[float, ...], float, str]:
    """Steps, tolerance and name of the precision that the layer works in, measured, not asked.

    Three difference quotients that agree can only come from float64: 1e-11 is lost in float32.
    """
    direction = [generator.normal(size=leaf.shape) for leaf in leaves]
    origin = subject.value(leaves)
    quotients = [
        (subject.value(_moved(leaves, direction, e)) - origin) / e for e in (1e-11, 1e-10, 1e-9)
    ]
    spread = max(quotients) - min(quotients)
    if spread <= 1e-3 * max(1.0, *map(abs, quotients)) and any(quotients):
        return (2.0**-17, 2.0**-21, 2.0**-25), 1e-6, "float64, probed"
    return FLOAT32


def _first_mismatch(subject, leaves, generator, steps, tolerance, precision):
    gradients = subject.gradient(leaves)
    for index, name in enumerate(subject.names):
        found = gradients[index].astype("float64")
        for sparse in (False, False, True):
            direction = generator.normal(size=found.shape)
            if sparse:
                direction = direction * (generator.random(found.shape) < 1.5 / max(found.size, 1))
            exact = float(np.sum(found * direction))
            quotients = []
            for (
                step
            ) in steps:  # where the function bends sharply the larger step is off, by its square
                ahead, behind = (
                    subject.value(_moved_one(leaves, index, direction, s)) for s in (step, -step)
                )
                numeric = (ahead - behind) / (2 * step)
                quotients.append(numeric)
                allowed = tolerance * max(1.0, abs(numeric), abs(exact))
                if abs(numeric - exact) <= allowed:
                    break
            else:
                here = subject.value(leaves)
                right, left = (ahead - here) / step, (here - behind) / step
                kinked = abs(right - left) > 1e-3 * max(1.0, abs(numeric))
                ratio = exact / numeric if numeric else float("nan")
                message = (
                    f"  leaf            {name} {found.shape}\n"
                    f"  autodiff        {exact:.8g}   central difference {numeric:.8g} "
                    f"(h=2^{int(np.log2(step))})   ratio {ratio:.4f}\n"
                    f"  difference      {abs(numeric - exact):.3g}, tolerance {allowed:.3g} "
                    f"({precision})"
                )
                # numbers that a part of the layer rounds to float32 move in jumps
                rounded = max(quotients) - min(quotients) > 1e-2 * max(1.0, abs(numeric))
                return message, kinked, rounded
    return None


def _moved(leaves, direction, step):
    return [leaf + step * d for leaf, d in zip(leaves, direction, strict=True)]


def _moved_one(leaves, index, direction, step):
    return [leaf + step * direction if i == index else leaf for i, leaf in enumerate(leaves)]
