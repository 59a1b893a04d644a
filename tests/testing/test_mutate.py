from dataclasses import replace

import keras
import numpy as np
import pytest

from layerzoo.catalogue import catalogue
from layerzoo.testing.proof.broken import dense
from layerzoo.testing.proof.mutate import check_mutants, mutants

pytestmark = pytest.mark.proof

DEMANDING = dense.SOUND[0]


def defects(verdicts, alive):
    return [each.mutant.defect for each in verdicts if bool(each.killer) != alive]


def test_no_mutant_of_a_layer_with_a_good_card_lives():
    verdicts = check_mutants(DEMANDING, "smoke")
    assert len(verdicts) >= 15
    assert not defects(verdicts, alive=True)


def test_a_card_that_never_moves_an_argument_lets_its_mutant_live():
    strong = DEMANDING.configs
    card = replace(DEMANDING, configs=lambda pick: {**strong(pick), "gain": 1.0})
    alive = defects(check_mutants(card, "smoke"), alive=True)
    assert alive == ["`gain` is missing from the config"]


@pytest.mark.parametrize("name", sorted(catalogue()))
def test_a_mutant_leaves_the_layer_itself_alone(name):
    card = catalogue()[name]
    before = dict(keras.saving.get_custom_objects())
    found = mutants(card)
    assert len({each.defect for each in found}) == len(found)
    assert all(issubclass(each.layer, card.layer) for each in found)
    assert keras.saving.get_custom_objects() == before


def test_a_mutant_has_the_call_of_the_layer_for_keras():
    found = {each.defect: each.layer for each in mutants(catalogue()["SelfAttention"])}
    layer = found["half of the gradient is stopped"](num_heads=2)
    x = np.ones((2, 3, 4), "float32")
    outputs, scores = layer(x, return_attention_scores=True)
    assert outputs.shape == (2, 3, 4)
    assert scores.shape == (2, 2, 3, 3)
