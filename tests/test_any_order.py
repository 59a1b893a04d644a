"""Built, called, trained, frozen, saved, loaded and copied in any order, each layer stays what it was.

The state machine is the one that the guide shows.
"""

import importlib.util
from pathlib import Path

import keras
import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from recipes import each_card

from layerzoo import Card, Traits

PROGRAM = Path(__file__).parents[1] / "docs" / "guide" / "any_order.py"
COMMON = settings(
    max_examples=8, stateful_step_count=10, derandomize=True, deadline=None, print_blob=True
)

pytestmark = pytest.mark.proof


@pytest.fixture(scope="module")
def machine():
    specification = importlib.util.spec_from_file_location("any_order", PROGRAM)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module.machine


@each_card
def test_in_any_order_a_layer_stays_what_it_is(card, machine):
    run_state_machine_as_test(machine(card), settings=COMMON)


@keras.saving.register_keras_serializable(package="layerzoo.tests.any_order")
class MadeLate(keras.layers.Layer):
    """Does not freeze what it makes in `build`: frozen before that, it trains all the same."""

    def build(self, input_shape):
        self.inner = keras.layers.Dense(input_shape[-1])
        self.inner.build(input_shape)

    def call(self, inputs):
        return self.inner(inputs)


@keras.saving.register_keras_serializable(package="layerzoo.tests.any_order")
class Shares(keras.layers.Dense):
    """Its copy is itself, and trains along."""

    def __deepcopy__(self, memo):
        return self


@keras.saving.register_keras_serializable(package="layerzoo.tests.any_order")
class Thaws(keras.layers.Dense):
    """Is not frozen any more when it is loaded."""

    def get_config(self):
        return {**super().get_config(), "trainable": True}


@keras.saving.register_keras_serializable(package="layerzoo.tests.any_order")
class Counts(keras.layers.Dense):
    """Its config changes with every call."""

    def call(self, inputs):
        self.units += 1
        return super().call(inputs)


@keras.saving.register_keras_serializable(package="layerzoo.tests.any_order")
class Fresh(keras.layers.Dense):
    """Its weights are not in the file."""

    def save_own_variables(self, store):
        store["nothing"] = [0.0]

    def load_own_variables(self, store):
        pass


@pytest.mark.parametrize("layer", [MadeLate, Shares, Thaws, Counts, Fresh])
def test_an_order_is_found_in_which_a_broken_layer_shows(layer, machine):
    units = {} if layer is MadeLate else {"units": 3}
    card = Card(
        layer=layer, inputs="b d", configs=lambda pick: dict(units), traits=Traits(dynamic="b")
    )
    found = settings(COMMON, max_examples=50, phases=[Phase.generate])
    with pytest.raises(AssertionError):
        run_state_machine_as_test(machine(card), settings=found)
