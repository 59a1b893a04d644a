"""The card of `LayerScale`: what it claims, and the peer it is measured against."""

import keras

from layerzoo.card import Card, Peer, Traits
from layerzoo.claims import rows_or_steps, weighed
from layerzoo.residual.layer_scale import LayerScale

PEER = Peer(
    instead="keras.layers.EinsumDense with one factor per channel",
    work=[dict(b=8, t=128, d=256), dict(b=8, t=512, d=768), dict(b=8, t=512, d=768, jit=True)],
    layer=lambda sizes: LayerScale(1e-5),
    peer=lambda sizes: keras.layers.EinsumDense(
        "btd,d->btd",
        output_shape=(None, sizes["d"]),
        kernel_initializer=keras.initializers.Constant(1e-5),
    ),
)

CARD = Card(
    layer=LayerScale,
    inputs=weighed,
    configs=lambda pick: dict(
        init_value=pick([1e-5, 0.5, 0.0]),
        **pick([{}, dict(data_format="channels_last"), dict(data_format="channels_first")]),
    ),
    dims=lambda pick, config: dict.fromkeys("cd", pick([6, 4])),
    traits=Traits(
        masking=lambda config: None if config.get("data_format") else "propagates",
        dynamic=lambda config: "b y x" if config.get("data_format") else "b t",
        causal=lambda config: None if config.get("data_format") else True,
        reach=lambda config: None if config.get("data_format") else (0, 0),
        equivariant=rows_or_steps,
    ),
    errors=[dict(init_value=-0.1), dict(init_value="small"), dict(data_format="last")],
    paper="arXiv:2103.17239",
    year=2021,
    paper_title="Going deeper with Image Transformers",
    paper_authors=(
        "Hugo Touvron and Matthieu Cord and Alexandre Sablayrolles and Gabriel Synnaeve "
        "and Herv\\'e J\\'egou"
    ),
    tags=["image", "sequence", "transformer"],
    aliases=[
        "layer scale",
        "CaiT",
        "timm.layers.LayerScale",
        "timm.layers.LayerScale2d",
        "timm.models.vision_transformer.LayerScale",
    ],
    peer=PEER,
)
