"""The engine judges what a property yields. Nothing compared is nothing passed."""

import dataclasses

import keras
import numpy as np
import pytest

from layerzoo import Card, Traits
from layerzoo.testing import (
    EXACT,
    PROPERTIES,
    SUMS,
    Comparison,
    Fact,
    Finite,
    Note,
    Sometimes,
    check_property,
    declare,
)

CARD = Card(keras.layers.Dense, "b t d", lambda pick: dict(units=2))


def _result(*yielded, card=CARD, **settings):
    """The result of a property that yields these things at each sample."""

    def check(case):
        yield from yielded

    each = dataclasses.replace(PROPERTIES["S1"], check=check, **settings)
    return check_property(card, each, "smoke")


EQUAL = Comparison([1.0], [1.0], EXACT, "one, and one")
OFF = Comparison([1.0, 2.0], [1.0, 2.1], SUMS, "what was found, and what is due", "look here")


@pytest.mark.parametrize("id", ["S1", "acme.own"])
@pytest.mark.parametrize(
    "yielded",
    [
        [],
        [Note("nothing was looked at")],
        [Finite(np.zeros(0), "no entries")],
        [Comparison(np.zeros((0, 3)), np.zeros((0, 3)), EXACT, "no rows")],
    ],
    ids=["nothing", "a note", "no entries", "no rows"],
)
def test_a_property_that_compares_nothing_does_not_pass(id, yielded):
    result = _result(*yielded, id=id)
    assert (result.status, result.samples) == ("not_applicable", 0)
    assert result.message == "at this size there is nothing to compare"


@pytest.mark.parametrize(
    "sound", [EQUAL, Fact(True, "true"), Finite([1.0], "one"), Sometimes(True)]
)
def test_one_comparison_is_enough(sound):
    result = _result(sound, Note("in float32 only"))
    assert (result.status, result.samples, result.message) == ("passed", 2, "in float32 only")


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (OFF, "worst entry     [1]: 2 and 2.1"),
        (Fact(False, "found 3, due 4"), "found 3, due 4"),
        (Finite([0.0, np.nan], "the output"), "entry           [1]: nan of (2,)"),
    ],
)
def test_the_first_violation_fails(broken, says):
    result = _result(EQUAL, broken, Fact(False, "not reached"))
    assert result.status == "failed"
    assert says in result.failure.detail
    assert result.failure.raised == ""


def test_a_failure_is_data():
    failure = _result(OFF).failure
    assert failure.hint == "look here"
    assert failure.statement == PROPERTIES["S1"].statement
    found = failure.finding
    assert (found.what, found.entry, found.found, found.due) == (OFF.what, [1], 2.0, 2.1)
    assert (found.tolerance, found.origin) == (SUMS.relative * 2.1, SUMS.origin)
    assert failure.command in str(failure)


def test_what_must_show_sometimes_fails_if_it_never_does():
    never = _result(EQUAL, Sometimes(False), never="It never showed.")
    assert (never.status, never.failure.detail) == ("failed", "It never showed.")
    shows = iter([False, True])

    def check(case):
        yield Sometimes(next(shows))

    each = dataclasses.replace(PROPERTIES["S1"], check=check, never="It never showed.")
    assert check_property(CARD, each, "smoke").status == "passed"


@pytest.mark.parametrize(
    ("claimed", "yielded", "status"),
    [
        (None, OFF, "not_applicable"),
        (True, EQUAL, "passed"),
        (True, OFF, "failed"),
        (False, OFF, "passed"),
        (False, EQUAL, "failed"),
        (False, Fact(False, "a fact must hold whatever is claimed"), "failed"),
    ],
)
def test_a_claim_is_checked_in_both_directions(claimed, yielded, status):
    card = dataclasses.replace(CARD, traits=Traits(causal=claimed))
    result = _result(yielded, card=card, claim="causal", never="Nothing refuted it.")
    assert result.status == status
    if claimed is None:
        assert result.message == "the card does not claim `causal`"


def test_only_evidence_may_be_yielded():
    result = _result(3)
    assert (result.status, result.failure.raised) == ("failed", "TypeError")
    assert "A property must yield comparisons. Received: 3 from S1" in result.message


def test_a_function_that_yields_nothing_is_no_property():
    def check(case):
        """It returns."""
        return True

    with pytest.raises(TypeError, match="must yield what it compares"):
        declare("acme.returns")(check)
    assert "acme.returns" not in PROPERTIES


def test_causality_compares_at_every_sample():
    card = Card(keras.layers.Dense, "b t d", lambda pick: dict(units=2), traits=Traits(causal=True))
    assert check_property(card, PROPERTIES["I2"], "dev").status == "passed"
    one = dataclasses.replace(card, dims=lambda pick, config: dict(t=1))
    result = check_property(one, PROPERTIES["I2"], "dev")
    assert (result.status, result.message) == ("not_applicable", "a single step has no later one")
