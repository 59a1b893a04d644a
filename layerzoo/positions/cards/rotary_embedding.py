"""The card of `RotaryEmbedding`: what it claims, and the peer it is measured against."""

import keras

from layerzoo.card import Card, Peer, Traits
from layerzoo.claims import longer
from layerzoo.positions.rotary_embedding import RotaryEmbedding


@keras.saving.register_keras_serializable(package="layerzoo.peers")
class LearnedPosition(keras.layers.Layer):
    """One learned vector per step."""

    def build(self, input_shape):
        """Make the table for this length."""
        self.table = self.add_weight(shape=tuple(input_shape[1:]), name="table")

    def call(self, inputs):
        """Add the table."""
        return inputs + self.table


LLAMA3 = dict(
    rope_type="llama3",
    factor=8.0,
    low_freq_factor=1.0,
    high_freq_factor=4.0,
    original_max_position_embeddings=16.0,
)
YARN = dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=200.0)

PEER = Peer(
    instead="a learned table of positions, added",
    work=[dict(b=8, t=512, d=256)],
    layer=lambda sizes: RotaryEmbedding(),
    peer=lambda sizes: LearnedPosition(),
)

CARD = Card(
    layer=RotaryEmbedding,
    inputs="b t d",
    configs=lambda pick: dict(
        base=pick([10_000.0, 100.0]),
        layout=pick(["half", "interleaved"]),
        scaling=pick([1.0, 4.0, LLAMA3, YARN]),
        fraction=pick([1.0, 0.5]),
    ),
    dims=lambda pick, config: dict(d=pick([4, 6] if config["fraction"] == 1 else [4, 8])),
    traits=Traits(
        masking="propagates",
        dynamic="b t",
        causal=True,
        reach=(0, 0),
        conserves=lambda config: (
            {} if config["scaling"] == YARN else {"the norm of each step": longer}
        ),
    ),
    errors=[
        dict(base=-1.0),
        dict(layout="quarter"),
        dict(scaling=0),
        dict(scaling=dict(YARN, rope_type="ntk")),
        dict(scaling=dict(YARN, factor=0)),
        dict(scaling=dict(LLAMA3, low_freq_factor=4.0)),
        dict(fraction=0.0),
        dict(fraction=1.5),
    ],
    paper="arXiv:2104.09864",
    year=2021,
    paper_title="RoFormer: Enhanced Transformer with Rotary Position Embedding",
    paper_authors=(
        "Jianlin Su and Yu Lu and Shengfeng Pan and Ahmed Murtadha and Bo Wen and Yunfeng Liu"
    ),
    tags=["sequence", "position"],
    aliases=[
        "RoPE",
        "rotary position embedding",
        "rotary positional encoding",
        "partial rotary",
        "YaRN",
        "position interpolation",
        "keras_hub.layers.RotaryEmbedding",
        "timm.layers.RotaryEmbedding",
        "torchtune.modules.RotaryPositionalEmbeddings",
    ],
    peer=PEER,
    boxes={
        "rotate": "turn pairs by position",
    },
)
