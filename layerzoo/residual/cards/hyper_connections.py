"""The card of `HyperConnections`: what it claims, and the peer it is measured against."""

import keras
from keras import layers, ops

from layerzoo.attention.self_attention import SelfAttention
from layerzoo.card import Card, Peer, Traits
from layerzoo.residual.cards._wrapped import attends, goes_on
from layerzoo.residual.hyper_connections import HyperConnections

STREAMS = 4
BY_HAND = "the same streams, wired by hand from `keras.ops`"


def by_hand(sizes, instead=None):
    """A plain residual connection, wired by hand in a Functional model, or one of several streams."""
    inputs = keras.Input((sizes["t"], sizes["d"]))
    wired = _streams if instead else _plain
    return keras.Model(inputs, wired(inputs, layers.Dense(sizes["d"], activation="relu")))


def _plain(x, branch):
    return layers.Add()([x, branch(x)])


def _streams(x, branch):
    """The constrained connection as its equations have it, with entry and exit."""
    n, (_, time, width) = STREAMS, x.shape
    streams = ops.repeat(ops.expand_dims(x, 2), n, axis=2)
    flat = layers.RMSNormalization()(layers.Reshape((time, n * width))(streams))
    scores = layers.Dense(n * (n + 2))(flat)
    read = ops.sigmoid(scores[..., :n])
    write = 2 * ops.sigmoid(scores[..., n : 2 * n])
    mix = ops.exp(layers.Reshape((time, n, n))(scores[..., 2 * n :]))
    for _ in range(20):
        mix = mix / ops.sum(mix, axis=-1, keepdims=True)
        mix = mix / ops.sum(mix, axis=-2, keepdims=True)
    outputs = branch(ops.einsum("btj,btjd->btd", read, streams))
    mixed = ops.einsum("btjk,btjd->btkd", mix, streams)
    return ops.mean(mixed + ops.einsum("btk,btd->btkd", write, outputs), axis=2)


PEER = Peer(
    instead="Dense and Add in a Functional model: one stream",
    work=[
        dict(b=8, t=128, d=256),
        dict(b=8, t=128, d=256, instead=BY_HAND),
        dict(b=8, t=128, d=256, jit=True, instead=BY_HAND),
    ],
    layer=lambda sizes: HyperConnections(
        keras.layers.Dense(sizes["d"], activation="relu"), STREAMS, enter=True, leave=True
    ),
    peer=by_hand,
)


CARD = Card(
    layer=HyperConnections,
    inputs=lambda config: "b t d" if config["enter"] else "b t n d",
    configs=lambda pick: dict(
        layer=pick(
            [
                lambda: layers.Dense(6, activation="tanh"),
                lambda: SelfAttention(2, causal=True),
                lambda: SelfAttention(2),
                lambda: [layers.Dense(8, activation="tanh"), layers.Dense(6)],
            ]
        )(),
        num_streams=pick([2, 3]),
        constrained=pick([True, False]),
        enter=pick([True, False]),
        leave=pick([False, True]),
        epsilon=pick([1e-6, 0.1]),
    ),
    dims=lambda pick, config: dict(n=config["num_streams"], d=6),
    traits=Traits(
        masking="propagates",
        strict_masks=True,
        dynamic="b t",
        causal=goes_on,
        continues=goes_on,
        reach=lambda config: None if attends(config) else (0, 0),
    ),
    errors=[
        dict(layer="dense", num_streams=2),
        dict(layer=[], num_streams=2),
        dict(layer=layers.Dense(6), num_streams=1),
        dict(layer=layers.Dense(6), num_streams=2.5),
        dict(layer=layers.Dense(6), num_streams=2, enter="first"),
    ],
    paper="arXiv:2512.24880",
    year=2025,
    paper_title="mHC: Manifold-Constrained Hyper-Connections",
    paper_authors=(
        "Zhenda Xie and Yixuan Wei and Huanqi Cao and Chenggang Zhao and Chengqi Deng and Jiashi Li "
        "and Damai Dai and Huazuo Gao and Jiang Chang and Liang Zhao and Shangyan Zhou and Zhean Xu "
        "and Zhengyan Zhang and Wangding Zeng and Shengding Hu and Yuqing Wang and Jingyang Yuan "
        "and Lean Wang and Wenfeng Liang"
    ),
    tags=["wrapper", "transformer"],
    aliases=[
        "HC",
        "mHC",
        "hyper-connections",
        "manifold-constrained hyper-connections",
        "hyper_connections.HyperConnections",
    ],
    peer=PEER,
    boxes={
        "flat_and_normalized": "norm",
        "mixing": "mixing",
        "project": "W",
        "scales": "s",
        "offsets": "d",
    },
)
