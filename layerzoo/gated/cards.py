"""The cards of the gated family."""

from layerzoo.catalogue import Card, Traits
from layerzoo.gated.gated_mlp import GatedMLP

CARDS = [
    Card(
        layer=GatedMLP,
        inputs="b t d",
        configs=lambda pick: dict(
            hidden_dim=pick([6, 3]),
            units=pick([None, 5]),
            activation=pick(["silu", "gelu", None]),
            dropout=pick([0.0, 0.4]),
            use_bias=pick([True, False]),
            kernel_initializer=pick(["glorot_uniform", "he_normal"]),
            seed=pick([None, 3]),
        ),
        traits=Traits(
            masking="propagates",
            dynamic="b t",
            causal=True,
            reach=(0, 0),
            stochastic=lambda config: config["dropout"] > 0,
        ),
        errors=[dict(hidden_dim=0), dict(hidden_dim=4, units=-2), dict(hidden_dim=4, dropout=2)],
        paper="arXiv:2002.05202",
        year=2020,
        tags=["transformer", "tabular"],
    ),
]
