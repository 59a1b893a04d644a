import numpy as np
import pytest
from keras import ops
from layerzoo.testing import parametrize_with_checks

from my_layers import Affine
from my_layers.cards import CARDS


@parametrize_with_checks(CARDS)
def test_every_property(check):
    check()


def affine(x, gain, bias):
    """The docstring's equation in float64, one feature at a time."""
    y = np.zeros(x.shape)
    for d in range(x.shape[-1]):
        y[..., d] = gain[d] * x[..., d] + bias[d]
    return y


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("shape", [(4, 3), (2, 5, 3), (2, 4, 6, 3)])
def test_affine_is_its_equation(shape, use_bias):
    generator = np.random.default_rng(0)
    x = generator.normal(size=shape).astype("float32")
    gain, bias = generator.normal(size=(2, 3)).astype("float32")
    layer = Affine(use_bias=use_bias)
    layer.build(shape)
    layer.set_weights([gain, bias][: len(layer.weights)])
    expected = affine(x.astype("float64"), gain, bias * use_bias)
    np.testing.assert_allclose(ops.convert_to_numpy(layer(x)), expected, rtol=1e-6, atol=1e-6)


def test_an_affine_layer_starts_with_its_initial_values():
    layer = Affine(init_value=0.1, bias_initializer="ones")
    layer.build((None, 3))
    gain, bias = layer.get_weights()
    np.testing.assert_array_equal(gain, np.full(3, 0.1, "float32"))
    np.testing.assert_array_equal(bias, np.ones(3))


@pytest.mark.parametrize("init_value", ["one", None, True, float("nan"), float("inf")])
def test_affine_refuses_anything_but_a_finite_number(init_value):
    with pytest.raises(ValueError, match=r"must be a finite number\. Received: init_value="):
        Affine(init_value=init_value)
