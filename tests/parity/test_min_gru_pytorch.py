"""Parity with lucidrains/minGRU-pytorch, which computes in logarithms of the state."""

import keras
import pytest
from arrays import close, random
from keras import ops
from parity.upstream import kernel, randomised, run

from layerzoo import MinGRU, MinLSTM

min_gru = pytest.importorskip(
    "minGRU_pytorch.minGRU", reason="minGRU is compared with minGRU-pytorch"
)
min_lstm = pytest.importorskip("minGRU_pytorch.minLSTM")


@keras.saving.register_keras_serializable(package="tests")
def positive(x):
    """The activation of the paper's appendix B."""
    return ops.where(x >= 0, x + 0.5, ops.sigmoid(x))


@pytest.mark.parametrize(
    ("kind", "upstream"), [(MinGRU, min_gru.minGRU), (MinLSTM, min_lstm.minLSTM)]
)
@pytest.mark.parametrize("time", [1, 50])
def test_parallel_form(kind, upstream, time):
    theirs = randomised(upstream(8))
    layer = kind(8, activation=positive, use_bias=False, return_sequences=True)
    layer.build((None, None, 8))
    name = "to_hidden_and_gate" if kind is MinGRU else "to_hidden_and_f_i_gate"
    hidden, *gates = ops.split(kernel(getattr(theirs, name)), 2 if kind is MinGRU else 3, axis=-1)
    layer.project.kernel.assign(ops.concatenate([*gates, hidden], axis=-1))
    x = random(2, time, 8)
    close(layer(x), run(theirs, x))
