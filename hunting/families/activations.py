"""Cards of the layers in `keras.src.layers.activations`."""

import numpy as np
from keras import layers

from hunting.families.common import weights
from layerzoo.catalogue import Card, Traits


def _softmax(x, axis):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def _elu(layer, inputs):
    x = inputs["inputs"]
    return np.where(x > 0, x, layer.alpha * np.expm1(np.minimum(x, 0)))


def _leaky(layer, inputs):
    x = inputs["inputs"]
    return np.where(x > 0, x, layer.negative_slope * x)


def _relu(layer, inputs):
    x = inputs["inputs"]
    below = layer.negative_slope * (x - layer.threshold)
    y = np.where(x > layer.threshold, x, below)
    return y if layer.max_value is None else np.minimum(y, layer.max_value)


PLAIN = dict(dynamic="b t d", masking="propagates", causal=True, reach=(0, 0))

CARDS = [
    Card(
        layer=layers.Activation,
        inputs="b t d",
        configs=lambda pick: dict(activation=pick(["tanh", "gelu", "silu"])),
        traits=Traits(**PLAIN),
    ),
    Card(
        layer=layers.ELU,
        inputs="b t d",
        configs=lambda pick: dict(alpha=pick([1.0, 0.5])),
        traits=Traits(**PLAIN, differentiable="kinked", reference=_elu),
    ),
    Card(
        layer=layers.LeakyReLU,
        inputs="b t d",
        configs=lambda pick: dict(negative_slope=pick([0.3, 0.1])),
        traits=Traits(**PLAIN, differentiable="kinked", reference=_leaky),
        errors=[dict(negative_slope=None)],
    ),
    Card(
        layer=layers.PReLU,
        inputs="b t d",
        configs=lambda pick: dict(
            shared_axes=pick([None, [1]]), **weights(pick, "alpha", activity=False)
        ),
        traits=Traits(
            dynamic=lambda config: "b t" if config["shared_axes"] else "b",
            differentiable="kinked",
            causal=True,
        ),
    ),
    Card(
        layer=layers.ReLU,
        inputs="b t d",
        configs=lambda pick: dict(
            max_value=pick([None, 1.5]),
            negative_slope=pick([0.0, 0.2]),
            threshold=pick([0.0, 0.1]),
        ),
        traits=Traits(**PLAIN, differentiable="kinked", reference=_relu),
        errors=[dict(max_value=-1.0), dict(negative_slope=-1.0), dict(threshold=-1.0)],
    ),
    Card(
        layer=layers.Softmax,
        inputs="b t d",
        configs=lambda pick: dict(axis=pick([-1, 1, (1, 2)])),
        traits=Traits(
            dynamic="b t d",
            twice_differentiable=True,
            reference=lambda layer, inputs: _softmax(
                inputs["inputs"],
                tuple(layer.axis) if isinstance(layer.axis, list | tuple) else layer.axis,
            ),
        ),
    ),
]
