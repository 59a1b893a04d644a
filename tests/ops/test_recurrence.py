import keras
import numpy as np
import pytest
from arrays import close, random
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops

from layerzoo.ops.recurrence import CHUNK, linear_recurrence

SLOW, FAST = np.log1p(-1e-6), np.log(1e-6)
"""The logarithms of the slowest and the fastest decay that results must be right for."""


def step_by_step(log_decay, x, before=None):
    """The equation in float64, one step after the other."""
    log_decay, x = (np.asarray(y, "float64") for y in (log_decay, x))
    kept = np.zeros_like(x[:, 0]) if before is None else np.asarray(before, "float64")
    steps = []
    for decay, added in zip(np.exp(log_decay).swapaxes(0, 1), x.swapaxes(0, 1), strict=True):
        kept = decay * kept + added
        steps.append(kept)
    return np.stack(steps, axis=1) if steps else x


def decays(*shape, seed=0):
    """Logarithms of decays of all speeds, some of them 1 and some 0."""
    rng = np.random.default_rng(seed)
    drawn = np.log(rng.uniform(1e-6, 1, shape)) * rng.choice([1, 1e-3, 1e-6, 0], shape)
    with np.errstate(divide="ignore"):
        return np.where(rng.uniform(size=shape) < 0.05, -np.inf, drawn).astype("float32")


@settings(max_examples=20, deadline=None, derandomize=True, database=None)
@given(
    time=st.sampled_from([1, 2, CHUNK - 1, CHUNK, CHUNK + 1, 50, CHUNK**2 + 1]),
    rest=st.sampled_from([(3,), (2, 3), (2, 2, 3)]),
    continued=st.booleans(),
    shared=st.booleans(),
    seed=st.integers(0, 99),
)
def test_equals_the_steps_in_turn(time, rest, continued, shared, seed):
    x = random(2, time, *rest, seed=seed)
    log_decay = decays(2, time, *rest[:-1], 1 if shared else rest[-1], seed=seed)
    before = random(2, *rest, seed=seed + 1) if continued else None
    found = linear_recurrence(log_decay, x, before)
    assert tuple(found.shape) == x.shape
    close(found, step_by_step(log_decay, x, before))


def test_a_long_sequence_with_extreme_decays_is_right_at_every_step():
    rng = np.random.default_rng(0)
    rare = rng.uniform(size=(1, 65536, 3)) < 1e-3
    log_decay = np.where(rare, FAST, SLOW).astype("float32")
    log_decay[..., 1] = SLOW
    log_decay[..., 2] = np.where(rng.uniform(size=65536) < 0.5, FAST, SLOW)
    x = 1 + random(1, 65536, 3)
    due = step_by_step(log_decay, x)
    found = ops.convert_to_numpy(linear_recurrence(log_decay, x))
    assert np.all(np.abs(found - due) <= 1e-4 * np.maximum(np.abs(due), 1))


@pytest.mark.parametrize("cut", [1, CHUNK, 37])
def test_the_rest_continues_from_the_last_of_the_first_part(cut):
    log_decay, x = decays(2, 50, 4), random(2, 50, 4)
    whole = linear_recurrence(log_decay, x)
    before = whole[:, cut - 1]
    close(linear_recurrence(log_decay[:, cut:], x[:, cut:], before), whole[:, cut:])


def test_nothing_comes_of_no_steps():
    empty = ops.zeros((2, 0, 3))
    assert tuple(linear_recurrence(empty, empty).shape) == (2, 0, 3)


class Recur(layers.Layer):
    """One tensor in, of decays and of what is added."""

    def call(self, inputs):
        gate, x = ops.split(inputs, 2, axis=-1)
        return linear_recurrence(-ops.softplus(gate), x)


@pytest.mark.parametrize("time", [1, 5, CHUNK + 3, 3 * CHUNK**2 + 1])
def test_a_length_that_is_unknown_while_the_graph_is_made(time):
    model = keras.Sequential([keras.Input((None, 6)), Recur()])
    x = random(2, time, 6)
    gate, added = np.split(x, 2, axis=-1)
    due = step_by_step(-np.logaddexp(0, gate.astype("float64")), added)
    if keras.backend.backend() == "tensorflow":  # whose graph then has the length open
        import tensorflow as tf

        call = tf.function(model, input_signature=[tf.TensorSpec((None, None, 6))])
        close(call(x), due)
    close(model(x), due)


def test_gradients_are_right_where_a_decay_is_zero_or_one(gradients):
    inputs = np.concatenate([np.zeros((1, 40, 2)), random(1, 40, 2)], axis=-1).astype("float32")
    inputs[:, 20:, 0], inputs[:, 30, 1] = 200, -80
    layer = Recur()
    layer(inputs)
    (found,) = gradients(layer, inputs)

    def total(inputs):
        gate, x = np.split(inputs, 2, axis=-1)
        return np.square(step_by_step(-np.logaddexp(0, gate), x)).sum()

    assert np.isfinite(found).all()
    for place in [(0, 3, 0), (0, 3, 2), (0, 25, 3), (0, 10, 1), (0, 25, 2)]:
        moved = np.zeros(inputs.shape)
        moved[place] = 1e-5
        slope = (total(inputs + moved) - total(inputs - moved)) / 2e-5
        assert found[place] == pytest.approx(slope, rel=1e-3)
