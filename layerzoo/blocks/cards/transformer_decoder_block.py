"""The card of `TransformerDecoderBlock`: what it claims, and the peer it is measured against."""

import keras

from layerzoo.attention.cards._position import position
from layerzoo.attention.self_attention import SelfAttention
from layerzoo.blocks.cards._by_hand import decoder, operations
from layerzoo.blocks.transformer_decoder_block import TransformerDecoderBlock
from layerzoo.card import Card, Peer, Traits
from layerzoo.gated.gated_mlp import GatedMLP

HUB = "keras_hub.layers.TransformerDecoder"

PEER = Peer(
    instead="MultiHeadAttention, Dense, LayerNormalization and Add in a Functional model; pre-norm, "
    "without a context",
    work=[
        dict(b=8, t=128, d=256),
        dict(b=4, t=512, d=256),
        dict(b=4, t=512, d=256, jit=True),
        dict(b=4, t=512, d=256, instead=HUB),
        dict(b=4, t=512, d=256, jit=True, instead=HUB),
    ],
    long=[
        dict(b=2, t=2048, d=512),
        dict(b=2, t=2048, d=512, jit=True),
        dict(b=2, t=2048, d=512, instead=HUB),
        dict(b=2, t=2048, d=512, jit=True, instead=HUB),
    ],
    layer=lambda sizes: TransformerDecoderBlock(8, 4 * sizes["d"], norm_first=True),
    peer=decoder,
    operations=lambda **work: operations(causal=True, **work),
)


def alone(config):
    """Whether the kit gives the block no context."""
    return config["attention"] is not None and config["mlp"] is None


def given(config):
    """A sequence, and its context unless the block is one of a decoder without an encoder."""
    return "b t d" if alone(config) else {"inputs": "b t d", "context": "b s c"}


def from_torch(theirs, layer):
    """Copy the weights of `torch.nn.TransformerDecoderLayer`, which has biases and a context."""
    weights = {name: value.numpy().T for name, value in theirs.state_dict().items()}
    attention, (expand, _, contract, _) = layer.attend.layer[0], layer.feed.layer
    norm = "norm_in" if layer.norm_first else "norm_out"

    def of(name):
        return [weights[name + part] for part in ("weight", "bias")]

    def by_head(fused, kinds):  # PyTorch orders the columns by kind, then by head
        parts = fused.reshape(*fused.shape[:-1], kinds, layer.num_heads, -1)
        return parts.swapaxes(-3, -2).reshape(fused.shape)

    attention.project_in.set_weights([by_head(fused, 3) for fused in of("self_attn.in_proj_")])
    attention.project_out.set_weights(of("self_attn.out_proj."))
    cross, width = of("multihead_attn.in_proj_"), layer.cross.project_query.units
    layer.cross.project_query.set_weights([each[..., :width] for each in cross])
    layer.cross.project_context.set_weights([by_head(each[..., width:], 2) for each in cross])
    layer.cross.project_out.set_weights(of("multihead_attn.out_proj."))
    expand.set_weights(of("linear1."))
    contract.set_weights(of("linear2."))
    getattr(layer.attend, norm).set_weights(of("norm1."))
    layer.cross_norm.set_weights(of("norm2."))
    getattr(layer.feed, norm).set_weights(of("norm3."))


def branches(pick):
    """What the block makes by its sizes, or layers that take its place."""
    attention = pick(
        [
            lambda: dict(num_heads=2, attention=None),
            lambda: dict(num_heads=4, attention=None),
            lambda: dict(
                num_heads=2, attention=SelfAttention(2, causal=True, position=position(pick))
            ),
        ]
    )()
    mlp = pick(
        [
            lambda: dict(hidden_dim=6, mlp=None),
            lambda: dict(hidden_dim=3, mlp=None),
            lambda: dict(mlp=GatedMLP(5)),
        ]
    )()
    return attention | mlp


CARD = Card(
    layer=TransformerDecoderBlock,
    inputs=given,
    configs=lambda pick: dict(
        **branches(pick),
        norm_first=pick([False, True]),
        activation=pick(["relu", "gelu", keras.activations.tanh]),
        dropout=pick([0.0, 0.4]),
        drop_path=pick([0.0, 0.3]),
        epsilon=pick([1e-5, 1e-2]),
        use_bias=pick([True, False]),
        kernel_initializer=pick(["glorot_uniform", "he_normal"]),
        seed=pick([None, 3]),
    ),
    dims=lambda pick, config: dict(d=pick([8, 12])),
    traits=Traits(
        masking=lambda config: (
            "propagates" if alone(config) else {"inputs": "propagates", "context": "consumes"}
        ),
        strict_masks=True,
        dynamic=lambda config: "b t" if alone(config) else "b t s",
        causal=True,
        continues=True,
        stochastic=lambda config: config["dropout"] > 0 or config["drop_path"] > 0,
        differentiable=lambda config: (
            "kinked" if config["activation"] == "relu" and config["mlp"] is None else "smooth"
        ),
    ),
    errors=[
        dict(num_heads=0, hidden_dim=8),
        dict(num_heads=2.5, attention=SelfAttention(2), hidden_dim=8),
        dict(num_heads=2, hidden_dim=2.5),
        dict(num_heads=2, hidden_dim=8, mlp=GatedMLP(4)),
        dict(num_heads=2, hidden_dim=8, attention="self"),
        dict(num_heads=2, hidden_dim=8, drop_path=-1),
        dict(num_heads=2, hidden_dim=8, norm_first="yes"),
    ],
    paper="arXiv:1706.03762",
    year=2017,
    paper_title="Attention Is All You Need",
    paper_authors=(
        "Ashish Vaswani and Noam Shazeer and Niki Parmar and Jakob Uszkoreit and Llion Jones "
        "and Aidan N. Gomez and Lukasz Kaiser and Illia Polosukhin"
    ),
    tags=["sequence", "transformer"],
    aliases=[
        "Transformer block",
        "decoder layer",
        "GPT block",
        "causal block",
        "pre-norm",
        "post-norm",
        "torch.nn.TransformerDecoderLayer",
        "keras_hub.layers.TransformerDecoder",
    ],
    peer=PEER,
    boxes={
        "attend": "self-attention",
        "cross": "cross-attention",
        "cross_norm": "norm",
        "feed": "feed-forward",
    },
    weights_from={"torch": from_torch},
)
