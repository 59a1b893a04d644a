"""Cards of the layers in `keras.src.layers.normalization`."""

import keras
import numpy as np
from keras import layers

from hunting.families.common import weights
from layerzoo.catalogue import Card, Traits


def _affine(pick):
    return dict(
        center=pick([True, True, False]),
        scale=pick([True, True, False]),
        epsilon=pick([1e-3, 1e-2]),
    )


def _rms(layer, inputs):
    x = inputs["x"] if "x" in inputs else inputs["inputs"]
    mean = np.mean(x**2, axis=-1, keepdims=True)
    scale = np.asarray(layer.scale, "float64") if getattr(layer, "scale", None) is not None else 1.0
    return x / np.sqrt(mean + layer.epsilon) * scale


CARDS = [
    Card(
        layer=layers.BatchNormalization,
        inputs="b t d",
        configs=lambda pick: dict(
            **_affine(pick),
            axis=pick([-1, 1]),
            momentum=pick([0.99, 0.9]),
            renorm=(renorm := pick([False, True])),
            renorm_clipping=dict(rmax=3.0, rmin=0.3, dmax=5.0) if renorm else None,
            renorm_momentum=0.8 if renorm else 0.99,
            **(
                dict(
                    moving_mean_initializer="ones",
                    moving_variance_initializer=keras.initializers.Constant(2.0),
                )
                if pick([False, True])
                else {}
            ),
            **weights(pick, "beta", "gamma", activity=False),
        ),
        traits=Traits(
            dynamic=lambda config: "b t" if config["axis"] == -1 else "b",
            couples_batch="training",
            state="training",
            train_differs=True,
            differentiable="kinked",
        ),
        errors=[dict(renorm_clipping=dict(largest=2.0))],
    ),
    Card(
        layer=layers.GroupNormalization,
        inputs="b t d",
        configs=lambda pick: dict(
            groups=pick([2, 1, -1]),
            **_affine(pick),
            axis=pick([-1, 1]),
            **weights(pick, "beta", "gamma", activity=False),
        ),
        dims=lambda pick, config: dict(t=6, d=4),
        traits=Traits(dynamic=lambda config: "b t" if config["axis"] == -1 else "b"),
    ),
    Card(
        layer=layers.LayerNormalization,
        inputs="b t d",
        configs=lambda pick: dict(
            axis=pick([-1, (1, 2)]),
            **_affine(pick),
            **weights(pick, "beta", "gamma", activity=False),
        ),
        traits=Traits(dynamic=lambda config: "b t" if config["axis"] == -1 else "b"),
        errors=[dict(axis="last")],
    ),
    Card(
        layer=layers.RMSNormalization,
        inputs="b t d",
        configs=lambda pick: dict(axis=pick([-1, (1, 2)]), epsilon=pick([1e-6, 1e-2])),
        traits=Traits(dynamic=lambda config: "b t" if config["axis"] == -1 else "b"),
    ),
    Card(
        layer=layers.UnitNormalization,
        inputs="b t d",
        configs=lambda pick: dict(axis=pick([-1, (1, 2)])),
        traits=Traits(
            dynamic="b t d",
            conserves={
                "squares sum to one": lambda x, y: np.minimum(
                    np.abs((y**2).sum(-1) - 1), np.abs((y**2).sum((1, 2)) - 1)[:, None]
                )
            },
        ),
    ),
    Card(
        layer=layers.SpectralNormalization,
        inputs="b t d",
        configs=lambda pick: dict(layer=layers.Dense(pick([3, 5])), power_iterations=pick([1, 2])),
        traits=Traits(dynamic="b t", state="training", train_differs=True),
        errors=[dict(layer=layers.Dense(2), power_iterations=0)],
    ),
]
