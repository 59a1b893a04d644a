"""Many steps behind a state are attended to in several blocks, also where their number is unknown."""

import keras
import numpy as np
import pytest
from keras import ops

from layerzoo import AlibiBias, SelfAttention

TIME, PARTS = 300, (150, 1, 149)
MASK = np.arange(TIME) >= np.array([[0], [9]])


def parts(layer, x, call):
    """What a layer gives part by part."""
    state, found, at = layer.get_initial_state(2, TIME), [], 0
    for count in PARTS:
        now = slice(at, at + count)
        given = ops.convert_to_tensor(x[:, now]), ops.convert_to_tensor(MASK[:, now])
        outputs, state = call(layer, *given, state)
        found.append(ops.convert_to_numpy(outputs))
        at += count
    return np.concatenate(found, axis=1)


def call_of(layer, x, mask, state):
    """A call that continues from a state."""
    return layer(x, mask=mask, initial_state=state, return_state=True)


@pytest.mark.parametrize("settings", [{}, {"window": 7}, {"window": 140, "position": AlibiBias()}])
@pytest.mark.parametrize("unknown", [False, True])
def test_parts_of_a_long_sequence_give_what_the_whole_gives(settings, unknown):
    call = call_of
    keras.utils.set_random_seed(0)
    layer = SelfAttention(4, 2, causal=True, **settings)
    layer.build((None, None, 8))
    x = np.random.default_rng(0).normal(size=(2, TIME, 8)).astype("float32")
    if unknown:
        if keras.backend.backend() != "tensorflow":
            pytest.skip("only TensorFlow traces unknown sizes")
        import tensorflow as tf

        free = tf.TensorSpec((None, None, 8)), tf.TensorSpec((None, None), tf.bool)
        state = layer.get_initial_state(2, TIME)
        kept = keras.tree.map_structure(lambda t: tf.TensorSpec(t.shape, t.dtype), state)
        traced = tf.function(lambda *given: call_of(layer, *given), input_signature=[*free, kept])
        call = lambda layer, *given: traced(*given)  # noqa: E731
    elif keras.backend.backend() == "jax":  # which else compiles each operation
        import jax

        jitted = jax.jit(lambda *given: call_of(layer, *given))
        call = lambda layer, *given: jitted(*given)  # noqa: E731
    due = ops.convert_to_numpy(layer(x, mask=MASK))
    np.testing.assert_allclose(parts(layer, x, call), due, atol=1e-5)
