"""The card of `CrossAttention`: what it claims, and the peer it is measured against."""

import keras

from layerzoo.attention.cards._position import position
from layerzoo.attention.cross_attention import CrossAttention
from layerzoo.card import Card, Peer, Traits
from layerzoo.claims import steps_reversed
from layerzoo.positions.rotary_embedding import RotaryEmbedding


def with_context(config):
    """A sequence and its context. With `head_dim`, the context has a different width."""
    return {"inputs": "b t d", "context": "b s c" if config["head_dim"] else "b s d"}


def queries_without_bias(config):
    """Exports that fail where nothing stands between the projection of the queries and their heads."""
    rotates = isinstance(config["position"], RotaryEmbedding)
    heads = config["num_key_value_heads"] or config["num_heads"]
    if heads > 1 or config["use_bias"] or config["qk_norm"] or rotates:
        return {}
    reason = "tf2onnx merges two reshapes, and copies sizes from an axis that it removed"
    return {"onnx@tensorflow, free sizes": reason}


@keras.saving.register_keras_serializable(package="layerzoo.peers")
class KerasCrossAttention(keras.layers.Layer):
    """`MultiHeadAttention` with its input as the context."""

    def __init__(self, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        self.dropout = dropout

    def build(self, input_shape):
        """Build the attention with one sequence for both inputs."""
        self.attention = keras.layers.MultiHeadAttention(
            8, input_shape[-1] // 8, dropout=self.dropout
        )
        self.attention.build(input_shape, input_shape)

    def call(self, inputs):
        """Attend to the input itself."""
        return self.attention(inputs, inputs)


PEER = Peer(
    instead="keras.layers.MultiHeadAttention",
    work=[dict(b=8, t=128, d=256), dict(b=4, t=512, d=256)],
    long=[dict(b=2, t=2048, d=512), dict(b=2, t=2048, d=512, dropout=0.1)],
    layer=lambda sizes, **settings: CrossAttention(8, **settings),
    peer=lambda sizes, **settings: KerasCrossAttention(**settings),
)

CARD = Card(
    layer=CrossAttention,
    inputs=with_context,
    configs=lambda pick: dict(
        num_key_value_heads=(g := pick([None, 1, 2])),
        num_heads=(g or 1) * pick([2, 1, 3]),
        head_dim=pick([None, 4]),
        position=position(pick),
        qk_norm=pick([False, True]),
        gate=pick([False, True]),
        dropout=pick([0.0, 0.4]),
        use_bias=pick([True, False]),
        kernel_initializer=pick(["glorot_uniform", "he_normal"]),
        seed=pick([None, 3]),
    ),
    dims=lambda pick, config: dict(d=pick([4, 2]) * config["num_heads"]),
    traits=Traits(
        masking={"inputs": "propagates", "context": "consumes"},
        strict_masks=True,
        dynamic="b t s",
        causal=True,
        continues=True,
        reach=(0, 0),
        equivariant=lambda config: (
            {} if config["position"] else {"steps reversed": (steps_reversed, steps_reversed)}
        ),
        stochastic=lambda config: config["dropout"] > 0,
    ),
    errors=[
        dict(num_heads=0),
        dict(num_heads=2.5),
        dict(num_heads=4, num_key_value_heads=3),
        dict(num_heads=2, head_dim=-1),
        dict(num_heads=2, dropout=-0.1),
        dict(num_heads=2, position="rotary"),
        dict(num_heads=2, gate="sigmoid"),
    ],
    paper="arXiv:1706.03762",
    year=2017,
    paper_title="Attention Is All You Need",
    paper_authors=(
        "Ashish Vaswani and Noam Shazeer and Niki Parmar and Jakob Uszkoreit and Llion Jones "
        "and Aidan N. Gomez and Lukasz Kaiser and Illia Polosukhin"
    ),
    tags=["sequence"],
    aliases=[
        "MHA",
        "GQA",
        "MQA",
        "multi-head attention",
        "encoder-decoder attention",
        "tfa.layers.MultiHeadAttention",
        "torch.nn.MultiheadAttention",
        "torchtune.modules.MultiHeadAttention",
        "keras_hub.layers.CachedMultiHeadAttention",
    ],
    peer=PEER,
    failing_exports=queries_without_bias,
    boxes={
        "key_value": "key, value",
    },
)
