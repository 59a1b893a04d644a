"""A state machine that builds, calls, trains, freezes, saves, loads and copies a layer in any order."""

import copy
import itertools
import json
import tempfile
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np
from hypothesis import stateful

from layerzoo.testing import strategies


@dataclass
class Known:
    """A layer, and what must hold of it; a list is None as long as it is not known."""

    layer: keras.layers.Layer
    frozen: bool = False
    weights: list[np.ndarray] | None = None
    outputs: list[np.ndarray] | None = None


@dataclass
class Saved:
    """A file, and what was known of the layer in it."""

    path: Path
    known: Known


def plain(config):
    """A config without what freezing and building change in it."""
    changing = ("trainable", "build_config")
    return json.loads(
        json.dumps(config),
        object_hook=lambda node: {k: v for k, v in node.items() if k not in changing},
    )


def close(found, due):
    """Whether two lists of arrays are equal up to rounding."""
    return len(found) == len(due) and all(
        a.shape == b.shape and np.allclose(a, b, rtol=1e-4, atol=1e-5)
        for a, b in zip(found, due, strict=True)
    )


def machine(card):
    """The state machine for the layer of a card."""

    class AnyOrder(stateful.RuleBasedStateMachine):
        layers = stateful.Bundle("layers")
        files = stateful.Bundle("files")

        @stateful.initialize(target=layers, case=strategies.cases(card, kinds=["normal"]))
        def make(self, case):
            self.case, self.inputs, self.known = case, case.arrays(), []
            self.folder, self.numbers = tempfile.TemporaryDirectory(), itertools.count()
            twin = case.built()
            self.weights, self.trainable = len(twin.weights), len(twin.trainable_weights)
            one = Known(case.make())
            self.config = plain(one.layer.get_config())
            return self.note(one)

        def note(self, one):
            self.known.append(one)
            return one

        @stateful.rule(one=layers)
        def build(self, one):
            if not one.layer.built:
                self.case.build(one.layer)

        @stateful.rule(one=layers)
        def call(self, one):
            outputs = self.case.run(one.layer, self.inputs)
            assert one.outputs is None or close(outputs, one.outputs)
            one.outputs = outputs

        @stateful.rule(one=layers)
        def train(self, one):
            self.call(one)
            rng = np.random.default_rng(0)
            targets = [rng.normal(size=y.shape).astype("float32") for y in one.outputs]
            model = self.case.functional(one.layer)
            sgd = keras.optimizers.SGD(0.1)
            model.compile(sgd, ["mse"] * len(targets), run_eagerly=True)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Keras warns if nothing is there to train
                model.train_on_batch(self.case.feed(self.inputs), targets)
            if not one.frozen:
                one.weights = one.outputs = None

        @stateful.rule(one=layers)
        def freeze(self, one):
            one.layer.trainable = False
            one.frozen = True

        @stateful.rule(one=layers)
        def thaw(self, one):
            one.layer.trainable = True
            one.frozen = False

        @stateful.rule(target=files, one=layers)
        def save(self, one):
            self.call(one)
            path = Path(self.folder.name) / f"{next(self.numbers)}.keras"
            self.case.functional(one.layer).save(path)
            return Saved(path, replace(one, weights=one.layer.get_weights()))

        @stateful.rule(target=layers, file=files)
        def load(self, file):
            layer = keras.saving.load_model(file.path).get_layer(file.known.layer.name)
            return self.note(replace(file.known, layer=layer))

        @stateful.rule(target=layers, one=layers)
        def copy(self, one):
            return self.note(replace(one, layer=copy.deepcopy(one.layer)))

        @stateful.invariant()
        def each_layer_is_as_it_must_be(self):
            for one in self.known:
                assert plain(one.layer.get_config()) == self.config
                assert one.layer.trainable == (not one.frozen)
                if one.layer.built:
                    weights = one.layer.get_weights()
                    assert len(weights) == self.weights
                    assert one.weights is None or close(weights, one.weights)
                    assert len(one.layer.trainable_weights) == (0 if one.frozen else self.trainable)
                    one.weights = weights

        def teardown(self):
            if hasattr(self, "folder"):
                self.folder.cleanup()

    return AnyOrder
