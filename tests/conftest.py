"""What the tests of the layers share: random weights, and gradients on whichever backend Keras runs."""

import itertools
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # small work, and a process for each core

import keras
import numpy as np
import pytest
from keras import ops


def pytest_configure(config):
    # TensorFlow's variables do not take NumPy 2's `copy` yet, so that every save of a model warns.
    ignored = "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
    config.addinivalue_line("filterwarnings", ignored)


finished = itertools.count(1)


def pytest_runtest_teardown():
    """JAX keeps all that it compiled, which comes to gigabytes; a folder may keep it for the next test."""
    if keras.backend.backend() == "jax" and next(finished) % 100 == 0:
        import jax

        jax.clear_caches()


@pytest.fixture(scope="session")
def randomise():
    """Sets every weight of a built layer to random values, for zeros and ones hide errors.

    Gives them by their paths below the layer.
    """

    def randomise(layer, seed=0):
        rng = np.random.default_rng(seed)
        values = {}
        for weight in layer.weights:
            value = rng.normal(scale=0.5, size=weight.shape)
            weight.assign(value.astype("float32"))
            values[weight.path.removeprefix(layer.path + "/")] = value
        return values

    return randomise


@pytest.fixture(scope="session")
def gradients():
    """Gradients of the sum of the squared outputs: by the inputs first, then by each weight."""

    def gradients(layer, inputs, **kwargs):
        def loss(x):
            return ops.sum(ops.square(layer(x, **kwargs)))

        x = ops.convert_to_tensor(inputs)
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            with tf.GradientTape() as tape:
                tape.watch(x)
                value = loss(x)
            found = tape.gradient(value, [x, *(w.value for w in layer.trainable_weights)])
        elif keras.backend.backend() == "jax":
            import jax

            def stateless_loss(x, weights):
                rest = [v.value for v in layer.non_trainable_variables]
                outputs, _ = layer.stateless_call(weights, rest, x, **kwargs)
                return ops.sum(ops.square(outputs))

            weights = [w.value for w in layer.trainable_variables]
            by_inputs, by_weights = jax.grad(stateless_loss, argnums=(0, 1))(x, weights)
            found = [by_inputs, *by_weights]
        else:
            import torch

            x.requires_grad_()
            leaves = [x, *(w.value for w in layer.trainable_weights)]
            found = torch.autograd.grad(loss(x), leaves)
        return [ops.convert_to_numpy(gradient) for gradient in found]

    return gradients
