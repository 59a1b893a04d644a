"""The cards of the residual family."""

from keras import layers

from layerzoo.attention.self_attention import SelfAttention
from layerzoo.catalogue import Card, Traits
from layerzoo.residual.drop_path import DropPath
from layerzoo.residual.residual import Residual

CARDS = [
    Card(
        layer=DropPath,
        inputs="b t d",
        configs=lambda pick: dict(rate=pick([0.5, 0.2, 0.0, 1.0]), seed=pick([None, 7])),
        traits=Traits(
            masking="propagates",
            dynamic="b t d",
            causal=True,
            reach=(0, 0),
            noise=lambda config: (
                (1, config["rate"] / (1 - config["rate"])) if config["rate"] < 1 else (0, 0)
            ),
            stochastic=lambda config: 0 < config["rate"] < 1,
            train_differs=lambda config: config["rate"] == 1,
        ),
        errors=[dict(rate=-0.1), dict(rate=1.5), dict(rate="half")],
        paper="arXiv:1603.09382",
        year=2016,
        tags=["regularisation"],
    ),
    Card(
        layer=Residual,
        inputs="b t d",
        configs=lambda pick: dict(
            layer=pick(
                [
                    lambda: layers.Dense(6, activation="tanh"),
                    lambda: SelfAttention(2),
                    lambda: [layers.Dense(8, activation="tanh"), layers.Dense(3)],
                ]
            )(),
            norm=pick([None, "pre", "post", "sandwich"]),
            scale=pick([None, 0.5]),
            drop_path=pick([0.0, 0.4]),
            epsilon=pick([1e-5, 1e-2]),
            seed=pick([None, 5]),
        ),
        dims=lambda pick, config: dict(d=pick([6, 4])),
        traits=Traits(
            masking="propagates",
            dynamic="b t",
            causal=lambda config: not isinstance(config["layer"], SelfAttention),
            reach=lambda config: None if isinstance(config["layer"], SelfAttention) else (0, 0),
            stochastic=lambda config: config["drop_path"] > 0,
        ),
        errors=[
            dict(layer="dense"),
            dict(layer=[]),
            dict(layer=layers.Dense, norm="pre"),
        ],
        paper="arXiv:1512.03385",
        year=2015,
        tags=["wrapper"],
    ),
]
