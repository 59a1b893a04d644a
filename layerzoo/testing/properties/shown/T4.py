"""A compiled step is traced once for all steps, and gives what the eager step gives."""

import keras

from layerzoo.testing.shown import inputs

from .close import assert_close
from .steps import go_on, start, x

traces: list[int] = []


def step(given, state):
    traces.append(1)
    return go_on(given, state)


if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

    traced = tf.function(step, autograph=False)
elif keras.backend.backend() == "jax":
    import jax

    traced = jax.jit(step)
else:
    import torch

    def count(graph, _):
        traces.append(1)
        return graph.forward

    traced = torch.no_grad()(torch.compile(go_on, backend=count))
state, expected, counts = start(), start(), []
for t in range(4):
    y, state = traced(keras.ops.convert_to_tensor(x[:, t : t + 1]), state)
    counts.append(len(traces))
    e, expected = go_on(x[:, t : t + 1], expected)
    assert_close(y, e, f"step {t}, compiled and eager")
steady = counts[1] if keras.backend.backend() == "torch" or len(inputs) > 1 else counts[0]
assert counts[-1] == steady, f"the number of traces after each step is {counts}"
