"""The card of `VariableSelection`: what it claims, and the peer it is measured against."""

import keras
from keras import layers, ops

from layerzoo.card import Card, Peer, Traits
from layerzoo.gated.gated_residual_network import GatedResidualNetwork
from layerzoo.gated.variable_selection import VariableSelection


def selection_by_hand(sizes):
    """A network for each variable in a loop, and one for the weights, as forecasters copy it."""
    t, v, d = (sizes[letter] for letter in "tvd")
    inputs = keras.Input((t, v, d))
    variables = [inputs[:, :, j] for j in range(v)]
    processed = ops.stack([GatedResidualNetwork(d)(x) for x in variables], axis=-1)
    weights = GatedResidualNetwork(v)(layers.Concatenate()(variables))
    weights = layers.Softmax()(weights)
    return keras.Model(inputs, ops.sum(processed * ops.expand_dims(weights, 2), axis=-1))


PEER = Peer(
    instead="a GatedResidualNetwork for each variable in a Python loop, and one with a softmax",
    work=[dict(b=64, t=24, v=8, d=16), dict(b=64, t=24, v=20, d=16)],
    layer=lambda sizes: VariableSelection(sizes["d"]),
    peer=selection_by_hand,
)

INPUTS = {
    None: {"inputs": "b t v d", "context": "b c"},
    2: {"inputs": ["b t d", "b t e"], "context": "b t c"},
    3: {"inputs": {"day": "b t e", "price": "b t d", "rain": "b t d"}, "context": "b c"},
    4: {"inputs": "b t f"},
}
"""The forms of the inputs by `num_variables`: stacked, a list, a dict, side by side."""

CARD = Card(
    layer=VariableSelection,
    inputs=lambda config: INPUTS[config["num_variables"]],
    configs=lambda pick: dict(
        units=pick([4, 6]),
        num_variables=pick(list(INPUTS)),
        hidden_dim=pick([None, 3]),
        dropout=pick([0.0, 0.4]),
        epsilon=pick([1e-3, 1e-2]),
        kernel_initializer=pick(["glorot_uniform", "he_normal"]),
        seed=pick([None, 3]),
    ),
    dims=lambda pick, config: dict(v=3, f=4 * pick([1, 4]), d=pick([4, 3]), e=2, c=3),
    traits=Traits(
        masking="propagates",
        dynamic="b t",
        causal=lambda config: True if config["num_variables"] in (None, 4) else None,
        reach=lambda config: (0, 0) if config["num_variables"] in (None, 4) else None,
        stochastic=lambda config: config["dropout"] > 0,
    ),
    errors=[
        dict(units=0),
        dict(units=4, num_variables=0),
        dict(units=4, hidden_dim=2.5),
        dict(units=4, dropout=-1),
        dict(units=4, epsilon=0),
    ],
    paper="arXiv:1912.09363",
    year=2019,
    paper_title=(
        "Temporal Fusion Transformers for Interpretable Multi-horizon Time Series Forecasting"
    ),
    paper_authors="Bryan Lim and Sercan O. Arik and Nicolas Loeff and Tomas Pfister",
    tags=["sequence", "tabular", "forecasting"],
    aliases=[
        "VSN",
        "variable selection network",
        "feature selection",
        "Temporal Fusion Transformer",
        "TFT",
        "pytorch_forecasting.models.temporal_fusion_transformer.sub_modules.VariableSelectionNetwork",
    ],
    peer=PEER,
    boxes={
        "select": "weights",
        "each_inputs": "in",
        "each_hidden": "hidden",
        "each_value": "value",
        "each_gate": "gate",
        "weigh": "softmax",
        "standardized": "normalise",
    },
)
