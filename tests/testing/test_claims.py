"""What is not claimed is told, with what suggests the claim."""

import keras
import pytest
from keras import layers

from layerzoo import Card, Traits
from layerzoo.catalogue import catalogue
from layerzoo.testing import check_layer
from layerzoo.testing.engine.claims import unclaimed


@keras.saving.register_keras_serializable("testing")
class Window(layers.Layer):
    def __init__(self, window=2, causal=False, **kwargs):
        super().__init__(**kwargs)
        self.window, self.causal, self.supports_masking = window, causal, True

    def call(self, inputs, mask=None):
        return inputs


def test_a_report_tells_what_was_not_claimed_and_what_suggests_it():
    report = check_layer(Window(), inputs=(2, 5, 4), profile="smoke", only=["S1"])
    assert report.ok
    assert report.unclaimed["masking"] == "`call` takes `mask`"
    assert report.unclaimed["causal"] == "it takes `causal`"
    assert report.unclaimed["reach"] == "it takes `window`"
    assert report.unclaimed["equivariant"] == ""
    assert "not claimed, so not tested: masking (`call` takes `mask`), causal" in str(report)


def test_what_is_claimed_is_not_told():
    traits = Traits(masking="propagates", causal=False, losses=0, reach=lambda config: (0, 0))
    assert unclaimed(Card(Window, "b t d", traits=traits)) == dict.fromkeys(
        (
            *("equivariant", "conserves", "reference", "noise"),
            *("strict_masks", "identity_at_start", "continues"),
        ),
        "",
    )


def test_a_layer_that_cannot_be_made_is_left_to_the_properties():
    assert "masking" in unclaimed(Card(Window, "b t d", configs=lambda pick: dict(depth=2)))


@pytest.mark.parametrize("name", ["SelfAttention", "GatedMLP"])
def test_our_layers_claim_what_their_signatures_suggest(name):
    told = unclaimed(catalogue()[name])
    assert not {trait: why for trait, why in told.items() if why}
