"""Similar calls are traced once, and a new batch size is not traced again if the backend allows that."""

import keras
import numpy as np

from layerzoo.testing.shown import built, claimed, inputs

from .close import assert_close

layer = built()
if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

    free = "b" in claimed["dynamic"].split()
    spec = lambda x: tf.TensorSpec((None, *x.shape[1:]) if free else x.shape, x.dtype)
    signature = [keras.tree.map_structure(spec, inputs)]
    traced = tf.function(lambda given: layer(**given, training=True), input_signature=signature)
    for n in (2, 1, 1) if free else (1, 1):
        some = keras.tree.map_structure(lambda x: tf.constant(np.concatenate([x] * n)), inputs)
        found = traced(some)
        if free and not claimed["state"] and not claimed["stochastic"]:
            assert_close(found, layer(**some, training=True), f"the batch {n} times")
    count = traced.experimental_get_tracing_count()
elif keras.backend.backend() == "jax":
    import jax

    traces: list[int] = []

    def call(t, n, given):
        traces.append(1)
        return layer.stateless_call(t, n, **given)

    traced = jax.jit(call)
    for _ in range(3):
        trained, others = layer.trainable_variables, layer.non_trainable_variables
        traced([v.value for v in trained], [v.value for v in others], inputs)
    count = len(traces)
else:
    import torch

    graphs: list = []

    def keep(graph, _):
        graphs.append(graph)
        return graph.forward

    traced = torch.compile(layer, backend=keep)
    tensors = keras.tree.map_structure(torch.tensor, inputs)
    traced(**tensors)
    once = len(graphs)
    for _ in range(2):
        traced(**tensors)
    count = 1 + len(graphs) - once
assert count == 1, f"similar calls took {count} traces"
