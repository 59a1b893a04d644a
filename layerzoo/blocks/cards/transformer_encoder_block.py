"""The card of `TransformerEncoderBlock`: what it claims, and the peer it is measured against."""

import keras

from layerzoo.attention.cards._position import position
from layerzoo.attention.self_attention import SelfAttention
from layerzoo.blocks.cards._by_hand import encoder, operations
from layerzoo.blocks.transformer_encoder_block import TransformerEncoderBlock
from layerzoo.card import Card, Peer, Traits
from layerzoo.claims import steps_reversed
from layerzoo.gated.gated_mlp import GatedMLP

HUB = "keras_hub.layers.TransformerEncoder"

PEER = Peer(
    instead="MultiHeadAttention, Dense, LayerNormalization and Add in a Functional model; pre-norm",
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
    layer=lambda sizes: TransformerEncoderBlock(8, 4 * sizes["d"], norm_first=True),
    peer=encoder,
    operations=operations,
)


def from_torch(theirs, layer):
    """Copy the weights of `torch.nn.TransformerEncoderLayer`, which has biases."""
    weights = {name: value.numpy().T for name, value in theirs.state_dict().items()}
    attention, (expand, _, contract, _) = layer.attend.layer[0], layer.feed.layer
    norm = "norm_in" if layer.norm_first else "norm_out"

    def of(name):
        return [weights[name + part] for part in ("weight", "bias")]

    def by_head(fused):  # PyTorch orders the columns by kind, then by head
        parts = fused.reshape(*fused.shape[:-1], 3, layer.num_heads, -1)
        return parts.swapaxes(-3, -2).reshape(fused.shape)

    attention.project_in.set_weights([by_head(fused) for fused in of("self_attn.in_proj_")])
    attention.project_out.set_weights(of("self_attn.out_proj."))
    expand.set_weights(of("linear1."))
    contract.set_weights(of("linear2."))
    getattr(layer.attend, norm).set_weights(of("norm1."))
    getattr(layer.feed, norm).set_weights(of("norm2."))


def branches(pick):
    """What the block makes by its sizes, or layers that take its place."""
    attention = pick(
        [
            lambda: dict(num_heads=2, attention=None),
            lambda: dict(num_heads=4, attention=None),
            lambda: dict(
                attention=SelfAttention(2, num_key_value_heads=1, position=position(pick))
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


def in_any_order(config):
    """Without positions, a block does not care for the order of the steps."""
    if getattr(config["attention"], "position", None) is not None:
        return {}
    return {"steps reversed": (steps_reversed, steps_reversed)}


CARD = Card(
    layer=TransformerEncoderBlock,
    inputs="b t d",
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
        masking="propagates",
        strict_masks=True,
        dynamic="b t",
        causal=False,
        equivariant=in_any_order,
        stochastic=lambda config: config["dropout"] > 0 or config["drop_path"] > 0,
        differentiable=lambda config: (
            "kinked" if config["activation"] == "relu" and config["mlp"] is None else "smooth"
        ),
    ),
    errors=[
        dict(num_heads=0, hidden_dim=8),
        dict(num_heads=2, hidden_dim=2.5),
        dict(num_heads=2, hidden_dim=8, mlp=GatedMLP(4)),
        dict(num_heads=2, hidden_dim=8, attention="self"),
        dict(num_heads=2, hidden_dim=8, dropout=2),
        dict(num_heads=2, hidden_dim=8, epsilon=0),
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
        "encoder layer",
        "BERT layer",
        "ViT block",
        "pre-norm",
        "post-norm",
        "torch.nn.TransformerEncoderLayer",
        "keras_hub.layers.TransformerEncoder",
        "timm.models.vision_transformer.Block",
    ],
    peer=PEER,
    boxes={
        "attend": "self-attention",
        "feed": "feed-forward",
    },
    weights_from={"torch": from_torch},
)
