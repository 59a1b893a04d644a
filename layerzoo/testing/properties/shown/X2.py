"""Similar calls are traced once, and a new batch size is not traced again if the backend allows that."""

import keras
import numpy as np

from layerzoo.testing.shown import built, claimed, inputs

from .close import demand_close

layer = built()
if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

    unknown_batch = lambda x: tf.TensorSpec((None, *x.shape[1:]), x.dtype)
    size = (
        unknown_batch
        if "b" in claimed["dynamic"].split()
        else lambda x: tf.TensorSpec(x.shape, x.dtype)
    )
    signature = [keras.tree.map_structure(size, inputs)]
    traced = tf.function(lambda given: layer(**given, training=True), input_signature=signature)
    for n in (2, 1, 1) if size is unknown_batch else (1, 1):
        some = keras.tree.map_structure(lambda x: tf.constant(np.concatenate([x] * n)), inputs)
        found = traced(some)
        if size is unknown_batch and not claimed["state"] and not claimed["stochastic"]:
            demand_close(found, layer(**some, training=True), f"the batch {n} times")
    count = traced.experimental_get_tracing_count()
elif keras.backend.backend() == "jax":
    import jax

    traces = []

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

    graphs = []
    traced = torch.compile(layer, backend=lambda graph, _: graphs.append(graph) or graph.forward)
    tensors = keras.tree.map_structure(torch.tensor, inputs)
    traced(**tensors)
    once = len(graphs)
    for _ in range(2):
        traced(**tensors)
    count = 1 + len(graphs) - once
assert count == 1, f"similar calls took {count} traces"
