"""States: anybody's layer that keeps the protocol is checked, and one that does not is told so."""

import keras
import pytest
from keras import layers, ops

from layerzoo import Card, Traits
from layerzoo.testing import check_layer
from layerzoo.testing.engine.claims import unclaimed
from layerzoo.testing.front.infer import draft
from layerzoo.testing.proof.broken.states import SoundMean, SoundRecent

STATES = ("T1", "T2", "T3", "T5")


@keras.saving.register_keras_serializable("testing")
class LastSum(layers.Layer):
    """The sum of all steps, without an axis of steps; its state is a single tensor."""

    def build(self, input_shape):
        self.width = input_shape[-1]

    def call(self, inputs, initial_state=None, return_state=False):
        start = self.get_initial_state(ops.shape(inputs)[0])
        state = start if initial_state is None else initial_state
        fits = ops.is_tensor(state) and tuple(state.shape) == tuple(start.shape)
        if not fits or state.dtype != start.dtype:
            raise ValueError(
                f"`initial_state` must have the shape {start.shape}. Received: {state}"
            )
        total = state + ops.sum(inputs, axis=1)
        return (total, total) if return_state else total

    def get_initial_state(self, batch_size, length=None):
        return ops.zeros((batch_size, self.width), self.compute_dtype)


@keras.saving.register_keras_serializable("testing")
class Nested(layers.Layer):
    """Two layers in turn, with a dict of their states, of which one is a list and one a dict."""

    def __init__(self, **kwargs):
        super().__init__(autocast=False, **kwargs)  # because one state is float32 in half precision
        self.recent = SoundRecent(dtype=self.dtype_policy)
        self.mean = SoundMean(4, dtype=self.dtype_policy)

    def build(self, input_shape):
        self.recent.build(input_shape)
        self.mean.build(input_shape)

    def call(self, inputs, initial_state=None, return_state=False):
        if initial_state is None:
            initial_state = self.get_initial_state(*ops.shape(inputs)[:2])
        if not isinstance(initial_state, dict) or set(initial_state) != {"mean", "recent"}:
            raise ValueError(f"`initial_state` must have two. Received: {initial_state}")
        (x, _), recent = self.recent(
            inputs, initial_state=initial_state["recent"], return_state=True
        )
        y, mean = self.mean(x, initial_state=initial_state["mean"], return_state=True)
        return (y, dict(mean=mean, recent=recent)) if return_state else y

    def get_initial_state(self, batch_size, length=None):
        parts = dict(mean=self.mean, recent=self.recent)
        return {name: part.get_initial_state(batch_size, length) for name, part in parts.items()}


def check(layer, only=STATES, **claims):
    card = Card(layer, "b t d", traits=Traits(**{"dynamic": "b t", "continues": True, **claims}))
    return check_layer(card, profile="smoke", only=only)


@pytest.mark.parametrize("layer", [LastSum, Nested])
def test_any_structure_of_a_state_is_checked(layer):
    report = check(layer)
    assert report.ok, report
    assert report.counts() == {"passed": 3, "not_applicable": 1}, "no mask is claimed"


def test_a_claim_without_the_protocol_fails_and_says_what_is_missing():
    told = str(check(layers.ReLU, only=["T1"]))
    assert "no `get_initial_state`, `initial_state` of call, `return_state` of call" in told
    assert "Add `get_initial_state(batch_size, length=None)`" in told


def test_a_layer_that_continues_from_no_state_refuses_one():
    assert check(layers.ReLU, only=["T1"], continues=False).ok
    told = str(check(LastSum, only=["T1"], continues=False))
    assert "return_state    accepted" in told
    assert "declare `continues=True`" in told


def test_a_fixed_number_of_steps_cannot_be_cut():
    assert check(LastSum, dynamic="b").counts() == {"not_applicable": 4}


@keras.saving.register_keras_serializable("testing")
class Alone(LastSum):
    """Gives its outputs without the state."""

    def call(self, inputs, initial_state=None, return_state=False):
        return super().call(inputs, initial_state)


def test_a_call_that_gives_no_state_is_told():
    assert "due             a pair, `(outputs, state)`" in str(check(Alone, only=["T1"]))


@keras.saving.register_keras_serializable("testing")
class Causal(LastSum):
    """Refuses a state unless it is causal."""

    def __init__(self, causal=False, **kwargs):
        super().__init__(**kwargs)
        self.causal = causal

    def call(self, inputs, initial_state=None, return_state=False):
        if return_state and not self.causal:
            raise ValueError("`return_state` must be False unless `causal`. Received: True")
        return super().call(inputs, initial_state, return_state)


def test_a_state_is_suggested_by_a_signature_and_found_by_trying():
    assert unclaimed(Card(LastSum, "b t d"))["continues"].startswith("it has `get_initial_state`")
    assert unclaimed(Card(layers.ReLU, "b t d"))["continues"] == ""
    assert (
        unclaimed(Card(layers.GRU, "b t d", configs=lambda pick: dict(units=3)))["continues"] == ""
    )
    assert draft(SoundMean).claims["continues"] is True
    found = draft(Causal).claims["continues"]
    assert (found({"causal": False}), found({"causal": True})) == (False, True)
