"""What is handed to the process of another backend, and what cannot be."""

import pickle
import sys

import keras
import numpy as np
import pytest

from layerzoo.catalogue import Card
from layerzoo.tensors import backends, compat
from layerzoo.testing import Case, NotApplicable, Sample
from layerzoo.testing.engine.case import card_of
from layerzoo.testing.proof.broken.recurrent import SOUND


class Applies(keras.layers.Layer):
    """A function of the inputs."""

    def __init__(self, function, **kwargs):
        super().__init__(**kwargs)
        self.function = function

    def call(self, inputs):
        return self.function(inputs)


def job(case, layer):
    return backends.job(layer, case.config, case.arrays(), {}, case.sample.seed)


def _job(layer):
    case = Case(card_of(layer, (2, 5, 4)), Sample())
    return job(case, case.built())


def test_the_others_are_not_this_one():
    assert compat.BACKEND not in backends.others()
    assert set(backends.others()) < set(backends.BACKENDS)


def test_a_job_comes_out_as_it_would_here():
    case = Case(SOUND[0], Sample())
    layer, arrays = case.built(), case.arrays()
    kind, found = backends._served(job(case, layer))
    assert kind == "found"
    own = backends.observed(layer, arrays, {}, 0)
    assert list(found) == list(own)
    for name, value in own.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def test_what_a_layer_raises_there_is_the_answer():
    modules, made, weights, *rest = pickle.loads(_job(keras.layers.Dense(3)))
    kind, said = backends._served(pickle.dumps((modules, made, weights[:1], *rest)))
    assert (kind, said.split(":")[0]) == ("raised", "ValueError")


def test_a_module_that_is_not_there_is_the_answer():
    job = pickle.loads(_job(keras.layers.Dense(3)))
    kind, said = backends._served(pickle.dumps((["no_such_module"], *job[1:])))
    assert (kind, said) == ("unknown", "ModuleNotFoundError: No module named 'no_such_module'")


def test_an_argument_that_cannot_be_handed_over_is_no_finding():
    case = Case(
        Card(Applies, "b t d", configs=lambda pick: {"function": lambda x: 2 * x}), Sample()
    )
    with pytest.raises(NotApplicable, match="cannot be sent to another process"):
        job(case, case.built())


def test_a_class_typed_in_is_no_finding(monkeypatch):
    class Typed(keras.layers.Layer):
        def call(self, inputs):
            return inputs

    Typed.__module__ = "__main__"
    monkeypatch.setattr(sys.modules["__main__"], "Typed", Typed, raising=False)
    with pytest.raises(NotApplicable, match="`__main__`"):
        _job(Typed())
