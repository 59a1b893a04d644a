import numpy as np
from keras import ops

from layerzoo.ops.activations import gelu


def test_gelu_is_that_of_keras():
    x = np.linspace(-6, 6, 97).astype("float32")
    due = ops.convert_to_numpy(ops.gelu(x, approximate=False))
    found = ops.convert_to_numpy(gelu(ops.convert_to_tensor(x)))
    np.testing.assert_allclose(found, due, rtol=1e-6, atol=1e-6)
