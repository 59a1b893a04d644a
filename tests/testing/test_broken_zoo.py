"""The kit can fail: each broken layer is killed by the property that names its defect."""

import pytest

from layerzoo.tensors import backends, compat
from layerzoo.testing import PROPERTIES, check_layer, check_property
from layerzoo.testing.proof.broken import BROKEN, SOUND
from layerzoo.testing.proof.selftest import profile_of

pytestmark = pytest.mark.proof


def _name(broken):
    return f"{broken.kill}-{broken.card.name}"


@pytest.mark.parametrize("broken", BROKEN, ids=_name)
def test_killed_by_the_property_that_names_it(broken):
    if compat.BACKEND in broken.sound_on:
        pytest.skip(f"no defect on {compat.BACKEND}")
    if broken.kill == "X5" and not backends.others():
        pytest.skip("the other side of the comparison is another backend, and none is installed")
    each = PROPERTIES[broken.kill]
    result = check_property(broken.card, each, profile_of(each))
    assert result.status == "failed", result
    assert ("\n  raised " in result.message) == broken.raises, result.message
    assert broken.card.name in result.message


@pytest.mark.parametrize("card", SOUND, ids=lambda card: card.name)
def test_no_property_accuses_a_sound_layer(card):
    report = check_layer(card)
    assert report.ok, str(report)


def test_every_property_kills_some_layer():
    assert {broken.kill for broken in BROKEN} == set(PROPERTIES)


def test_the_zoo_is_large_enough():
    assert len(BROKEN) >= 25
