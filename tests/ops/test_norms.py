"""Normalisation: the formula that is exported is what Keras's layer computes."""

import keras
import numpy as np
import pytest
from arrays import close
from keras import layers

from layerzoo.ops import norms
from layerzoo.tensors import compat

MADE = (layers.LayerNormalization, layers.RMSNormalization)


@pytest.fixture(params=MADE)
def norm(request):
    norm = request.param(epsilon=1e-3)
    norm.build((None, None, 6))
    norm.trainable = False  # PyTorch traces no weight that trains and is not handed in
    norm.set_weights([np.linspace(0.5, 2.0, 6)] * len(norm.weights))
    return norm


X = np.random.default_rng(0).normal(size=(2, 3, 6)).astype("float32")


def test_it_is_the_layer(norm):
    close(norms.normalized(norm, X), norm(X), 0)


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="only PyTorch has kernels for it")
def test_a_file_of_pytorch_holds_the_formula_and_no_kernel(norm):
    import torch

    x = torch.from_numpy(X)
    traced = torch.jit.trace(lambda x: norms.normalized(norm, x), x[:1, :1])
    kinds = [node.kind() for node in traced.inlined_graph.nodes()]
    assert "aten::rsqrt" in kinds
    assert not [kind for kind in kinds if kind.endswith("_norm")]
    close(traced(x), norm(X), 1e-6)


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_standardized_has_mean_zero_and_variance_one_in_float32_or_better(dtype):
    with compat.float64():
        found = norms.standardized(keras.ops.cast(100 + X, dtype), 0.0)
        kind = keras.backend.standardize_dtype(found.dtype)
        found = keras.ops.convert_to_numpy(found)
    assert kind == ("float64" if dtype == "float64" else "float32")
    np.testing.assert_allclose(found.mean(-1), 0, atol=1e-5)
    np.testing.assert_allclose(found.var(-1), 1, rtol=1e-5)
