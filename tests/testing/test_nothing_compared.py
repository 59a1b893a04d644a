"""Nothing compared is nothing passed."""

import dataclasses

import keras
import numpy as np
import pytest

from layerzoo import Card, Traits
from layerzoo.tensors.outcomes import counted
from layerzoo.testing import PROPERTIES, check_property, demand_close, demand_finite

CARD = Card(keras.layers.Dense, "b t d", lambda pick: dict(units=2))


def _result(check, id="S1"):
    return check_property(CARD, dataclasses.replace(PROPERTIES["S1"], id=id, check=check), "smoke")


@pytest.mark.parametrize(
    "check",
    [
        lambda case: None,
        lambda case: max((demand_close(0, 1, 0, "", "") for _ in range(0)), default=None),
        lambda case: demand_finite(np.zeros(0), ""),
        lambda case: [demand_close(np.zeros((0, 3)), np.zeros((0, 3)), 0, "", "")].clear(),
    ],
    ids=["nothing", "a loop over nothing", "no entries", "no rows"],
)
def test_a_property_that_compares_nothing_does_not_pass(check):
    result = _result(check)
    assert (result.status, result.samples) == ("not_applicable", 0)
    assert result.message == "at this size there is nothing to compare"


def test_a_property_of_a_plug_in_may_compare_in_its_own_way():
    assert _result(lambda case: None, "acme.own").status == "passed"


def test_one_comparison_is_enough_and_they_are_counted_inside_one_another():
    assert _result(lambda case: demand_finite(np.zeros(1), "")).status == "passed"
    with counted() as outer:
        with counted() as inner:
            demand_finite(np.zeros(1), "")
        demand_finite(np.zeros(1), "")
    assert (outer, inner) == ([2], [1])


def test_causality_compares_at_every_sample():
    card = Card(keras.layers.Dense, "b t d", lambda pick: dict(units=2), traits=Traits(causal=True))
    assert check_property(card, PROPERTIES["I2"], "dev").status == "passed"
    one = dataclasses.replace(card, dims=lambda pick, config: dict(t=1))
    result = check_property(one, PROPERTIES["I2"], "dev")
    assert (result.status, result.message) == ("not_applicable", "a single step has no later one")
