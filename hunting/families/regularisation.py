"""Cards of the layers in `keras.src.layers.regularization`."""

from keras import layers

from layerzoo.catalogue import Card, Traits

NOISY = dict(dynamic="b t d", masking="propagates", causal=True, stochastic=True)


def _dropped(config):
    return (1.0, config["rate"] / (1 - config["rate"]))


SPATIAL = [
    (layers.SpatialDropout2D, "y x"),
    (layers.SpatialDropout3D, "z y x"),
]

CARDS = [
    Card(
        layer=layers.Dropout,
        inputs="b t d",
        configs=lambda pick: dict(
            rate=pick([0.5, 0.3]),
            noise_shape=pick([None, (None, 1, None)]),
            seed=pick([None, 3]),
        ),
        traits=Traits(**NOISY, noise=_dropped),
        errors=[dict(rate=-0.1), dict(rate=1.5)],
    ),
    Card(
        layer=layers.AlphaDropout,
        inputs="b t d",
        configs=lambda pick: dict(
            rate=pick([0.5, 0.3]),
            noise_shape=pick([None, (None, 1, None)]),
            seed=pick([None, 3]),
        ),
        traits=Traits(**NOISY),
        errors=[dict(rate=-0.1), dict(rate=1.5)],
    ),
    Card(
        layer=layers.GaussianDropout,
        inputs="b t d",
        configs=lambda pick: dict(rate=pick([0.5, 0.3]), seed=pick([None, 3])),
        traits=Traits(**NOISY, noise=_dropped),
        errors=[dict(rate=-0.1), dict(rate=1.5)],
    ),
    Card(
        layer=layers.GaussianNoise,
        inputs="b t d",
        configs=lambda pick: dict(stddev=pick([0.5, 0.3]), seed=pick([None, 3])),
        traits=Traits(**NOISY, noise=lambda config: (1.0, config["stddev"] ** 2)),
        errors=[dict(stddev=-0.1)],
    ),
    Card(
        layer=layers.ActivityRegularization,
        inputs="b t d",
        configs=lambda pick: dict(l1=pick([0.0, 0.1]), l2=pick([0.0, 0.2])),
        traits=Traits(dynamic="b t d", masking="propagates", causal=True, reach=(0, 0)),
    ),
    Card(
        layer=layers.SpatialDropout1D,
        inputs="b t c",
        configs=lambda pick: dict(rate=pick([0.5, 0.3]), seed=pick([None, 3])),
        traits=Traits(dynamic="b t c", masking="propagates", stochastic=True, noise=_dropped),
        errors=[dict(rate=-0.1), dict(rate=1.5)],
    ),
    *(
        Card(
            layer=layer,
            inputs=f"b {space} c",
            configs=lambda pick: dict(
                rate=pick([0.5, 0.3]),
                data_format=pick([None, "channels_first"]),
                seed=pick([None, 3]),
            ),
            traits=Traits(dynamic=f"b {space} c", stochastic=True, noise=_dropped),
            errors=[dict(rate=-0.1), dict(rate=0.5, data_format="channels_middle")],
        )
        for layer, space in SPATIAL
    ),
]
