"""Cards of the layers in `keras.src.layers.attention`."""

from keras import layers

from hunting.families.common import weights
from layerzoo.catalogue import Card, Traits

QUERY_VALUE = {"query": "b t d", "value": "b s d"}
QUERY_VALUE_KEY = ["b t d", "b s d", "b s d"]

CARDS = [
    Card(
        layer=layers.Attention,
        inputs=QUERY_VALUE_KEY,
        configs=lambda pick: dict(
            use_scale=pick([False, True]),
            score_mode=pick(["dot", "concat"]),
            dropout=pick([0.0, 0.4]),
            seed=pick([None, 3]),
        ),
        traits=Traits(dynamic="b t s", stochastic=lambda config: config["dropout"] > 0),
        errors=[dict(score_mode="sum")],
    ),
    Card(
        layer=layers.AdditiveAttention,
        inputs=QUERY_VALUE_KEY,
        configs=lambda pick: dict(use_scale=pick([True, False]), dropout=pick([0.0, 0.4])),
        traits=Traits(dynamic="b t s", stochastic=lambda config: config["dropout"] > 0),
    ),
    Card(
        layer=layers.MultiHeadAttention,
        inputs=QUERY_VALUE,
        configs=lambda pick: dict(
            num_heads=pick([2, 1]),
            key_dim=pick([3, 2]),
            value_dim=pick([None, 5]),
            dropout=pick([0.0, 0.4]),
            use_bias=pick([True, True, False]),
            output_shape=pick([None, 6]),
            attention_axes=pick([None, (1,)]),
            sliding_window=pick([None, 2]),
            flash_attention=pick([None, False]),
            use_gate=pick([False, True]),
            seed=pick([None, 3]),
            **weights(pick, "kernel", "bias"),
        ),
        traits=Traits(
            dynamic="b t s",
            masking={"query": "propagates", "value": "consumes"},
            stochastic=lambda config: config["dropout"] > 0,
            dead=["key/bias"],  # a shift of all scores of a query, which softmax does not see
        ),
        errors=[dict(num_heads=0, key_dim=2), dict(num_heads=2, key_dim=0)],
    ),
    Card(
        layer=layers.GroupQueryAttention,
        inputs=QUERY_VALUE,
        configs=lambda pick: dict(
            head_dim=pick([3, 2]),
            num_key_value_heads=(heads := pick([2, 1])),
            num_query_heads=heads * pick([1, 2]),
            dropout=pick([0.0, 0.4]),
            use_bias=pick([True, True, False]),
            sliding_window=pick([None, 2]),
            flash_attention=pick([None, False]),
            use_gate=pick([False, True]),
            seed=pick([None, 3]),
            **weights(pick, "kernel", "bias"),
        ),
        traits=Traits(
            dynamic="b t s",
            masking={"query": "propagates", "value": "consumes"},
            stochastic=lambda config: config["dropout"] > 0,
            dead=["key/bias"],
        ),
        errors=[dict(head_dim=2, num_query_heads=3, num_key_value_heads=2)],
    ),
]
