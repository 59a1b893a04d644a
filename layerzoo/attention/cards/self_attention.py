"""The card of `SelfAttention`: what it claims, and the peer it is measured against."""

import keras
import numpy as np

from layerzoo.attention.cards._position import position
from layerzoo.attention.self_attention import SelfAttention
from layerzoo.card import Card, Peer, Traits
from layerzoo.claims import steps_reversed
from layerzoo.positions.alibi_bias import AlibiBias


def _reach(config):
    if config["window"] is None:
        return None
    steps = config["window"] - 1
    return (steps, 0 if config["causal"] else steps)


HEADS = 8


@keras.saving.register_keras_serializable(package="layerzoo.peers")
class KerasSelfAttention(keras.layers.Layer):
    """Keras's attention with a single input, as a Sequential model needs it."""

    def __init__(self, window=None, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        self.window, self.dropout = window, dropout

    def build(self, input_shape):
        """Build the attention with one sequence for all three inputs."""
        width = input_shape[-1] // HEADS
        if self.window is None:
            self.attention = keras.layers.MultiHeadAttention(HEADS, width, dropout=self.dropout)
        else:
            self.attention = keras.layers.GroupQueryAttention(
                width, HEADS, HEADS, dropout=self.dropout, sliding_window=self.window
            )
        self.attention.build(input_shape, input_shape, input_shape)

    def call(self, inputs):
        """Attend to the input itself."""
        return self.attention(inputs, inputs, inputs, use_causal_mask=True)


def operations(b, t, d, window=None, num_key_value_heads=HEADS, **_):
    """Count the multiplications and additions that a training step must do.

    The four projections count three times each: once forwards and twice backwards. Each query and each key
    that it may attend to count six times: two products forwards and four backwards.
    """
    seen = t * (t + 1) // 2
    if window is not None and window < t:
        seen = window * (window + 1) // 2 + (t - window) * window
    widths = 2 * d * d + 2 * d * d * num_key_value_heads // HEADS
    return 3 * 2 * b * t * widths + 6 * 2 * b * seen * d


PEER = Peer(
    instead="keras.layers.MultiHeadAttention, or GroupQueryAttention for a window; causal",
    work=[dict(b=8, t=128, d=256), dict(b=4, t=512, d=256)],
    long=[
        dict(b=8, t=512, d=512),
        dict(b=8, t=512, d=512, jit=True),
        dict(b=2, t=2048, d=512),
        dict(b=2, t=2048, d=512, jit=True),
        dict(b=1, t=8192, d=512),
        dict(b=1, t=8192, d=512, window=256),
        dict(b=1, t=4096, d=512, window=256, alone=True),
        dict(b=1, t=16384, d=512, window=256, alone=True),
        dict(b=2, t=2048, d=512, num_key_value_heads=1, alone=True),
        dict(b=2, t=2048, d=512, dropout=0.1),
    ],
    layer=lambda sizes, **settings: SelfAttention(HEADS, causal=True, **settings),
    peer=lambda sizes, **settings: KerasSelfAttention(**settings),
    operations=operations,
)


def from_transformers(theirs, layer):
    """Copy the weights of a `LlamaAttention`, a `Qwen3Attention` or, with `gate`, a `Qwen3NextAttention`."""
    weights = {name: value.numpy().T for name, value in theirs.state_dict().items()}
    n, g, h = layer.heads

    def by_group(part):  # theirs are ordered by kind, and the gate of each head follows its query
        query, key, value = (weights[f"{kind}_proj.{part}"] for kind in "qkv")
        kinds = [query, key, value]
        if layer.gate:
            heads = query.reshape(*query.shape[:-1], n, 2, h)
            kinds = [heads[..., 0, :], key, value, heads[..., 1, :]]
        kinds = [kind.reshape(*query.shape[:-1], g, -1) for kind in kinds]
        return np.concatenate(kinds, axis=-1).reshape(*query.shape[:-1], -1)

    layer.project_in.kernel.assign(by_group("weight"))
    layer.project_out.kernel.assign(weights["o_proj.weight"])
    if layer.use_bias:
        layer.project_in.bias.assign(by_group("bias"))
    if "o_proj.bias" in weights:
        layer.project_out.bias.assign(weights["o_proj.bias"])
    if layer.qk_norm:
        more = 1 if layer.gate else 0  # the norms of Qwen3-Next add 1 to their weights
        layer.query_norm.scale.assign(more + weights["q_norm.weight"])
        layer.key_norm.scale.assign(more + weights["k_norm.weight"])


CARD = Card(
    layer=SelfAttention,
    inputs="b t d",
    configs=lambda pick: dict(
        num_key_value_heads=(g := pick([None, 1, 2])),
        num_heads=(g or 1) * pick([2, 1, 3]),
        head_dim=pick([None, 4]),
        causal=pick([False, True]),
        window=pick([None, 2]),
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
        masking="propagates",
        strict_masks=True,
        dynamic="b t",
        causal=lambda config: config["causal"],
        continues=lambda config: config["causal"],
        reach=_reach,
        equivariant=lambda config: (
            {"steps reversed": (steps_reversed, steps_reversed)}
            if not config["causal"] and isinstance(config["position"], AlibiBias | None)
            else {}
        ),
        stochastic=lambda config: config["dropout"] > 0,
    ),
    errors=[
        dict(num_heads=0),
        dict(num_heads=2.5),
        dict(num_heads=4, num_key_value_heads=3),
        dict(num_heads=2, head_dim=-1),
        dict(num_heads=2, window=0),
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
        "MHSA",
        "GQA",
        "MQA",
        "SWA",
        "multi-head attention",
        "grouped-query attention",
        "multi-query attention",
        "sliding-window attention",
        "causal attention",
        "gated attention",
        "tfa.layers.MultiHeadAttention",
        "torch.nn.MultiheadAttention",
        "timm.layers.Attention",
        "torchtune.modules.MultiHeadAttention",
        "keras_hub.layers.CachedMultiHeadAttention",
        "flax.linen.SelfAttention",
    ],
    peer=PEER,
    weights_from={"transformers": from_transformers},
    boxes={
        "RotaryEmbedding": "rotary",
        "query_key_value": "query, key, value",
    },
)
