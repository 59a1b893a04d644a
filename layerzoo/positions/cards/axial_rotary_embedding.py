"""The card of `AxialRotaryEmbedding`: what it claims, and the peer it is measured against."""

import keras

from layerzoo.card import Card, Peer, Traits
from layerzoo.claims import longer
from layerzoo.positions.axial_rotary_embedding import AxialRotaryEmbedding


@keras.saving.register_keras_serializable(package="layerzoo.peers")
class LearnedPlace(keras.layers.Layer):
    """One learned vector per place."""

    def build(self, input_shape):
        """Make the table for this grid."""
        self.table = self.add_weight(shape=tuple(input_shape[1:]), name="table")

    def call(self, inputs):
        """Add the table."""
        return inputs + self.table


PEER = Peer(
    instead="a learned table of places, added",
    work=[dict(b=8, t=256, d=256)],
    layer=lambda sizes: AxialRotaryEmbedding((16, 16)),
    peer=lambda sizes: LearnedPlace(),
)


def _width(pick, config):
    """The width that the sections fill, or one that all axes can share."""
    axes, sections = config["axes"], config["sections"]
    return dict(d=2 * sum(sections) if sections else 2 * len(axes) * pick([1, 2]))


CARD = Card(
    layer=AxialRotaryEmbedding,
    inputs="b t d",
    configs=lambda pick: dict(
        **pick(
            [
                dict(axes=[200, 3], sections=None),
                dict(axes=[200, 3], sections=[1, 3]),
                dict(axes=[100, 2, 3], sections=None),
                dict(axes=[None, 2, 2], sections=[1, 2, 2]),
            ]
        ),
        base=pick([10_000.0, 100.0]),
    ),
    dims=_width,
    traits=Traits(
        masking="propagates",
        dynamic="b t",
        causal=True,
        reach=(0, 0),
        conserves={"the norm of each step": longer},
    ),
    errors=[
        dict(axes=[4]),
        dict(axes=[4, 0]),
        dict(axes=4),
        dict(axes=[2, 2], base=0),
        dict(axes=[2, 2], sections=[2]),
        dict(axes=[2, 2], sections=[2, 0]),
    ],
    paper="arXiv:2409.12191",
    year=2024,
    paper_title="Qwen2-VL: Enhancing Vision-Language Model's Perception of the World at Any Resolution",
    paper_authors=(
        "Peng Wang and Shuai Bai and Sinan Tan and Shijie Wang and Zhihao Fan and Jinze Bai and "
        "Keqin Chen and Xuejing Liu and Jialin Wang and Wenbin Ge and Yang Fan and Kai Dang and "
        "Mengfei Du and Xuancheng Ren and Rui Men and Dayiheng Liu and Chang Zhou and Jingren Zhou and "
        "Junyang Lin"
    ),
    tags=["image", "video", "sequence", "position"],
    aliases=[
        "2D RoPE",
        "3D RoPE",
        "M-RoPE",
        "multimodal rotary position embedding",
        "vision rotary embedding",
    ],
    peer=PEER,
    boxes={
        "rotate_by_axes": "turn pairs by place",
    },
)
