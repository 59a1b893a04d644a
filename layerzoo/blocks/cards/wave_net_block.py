"""The card of `WaveNetBlock`: what it claims, and the peer it is measured against."""

from layerzoo.blocks.cards._dilated import wave_net
from layerzoo.blocks.cards._traits import empty_batches
from layerzoo.blocks.wave_net_block import WaveNetBlock
from layerzoo.card import Card, Peer, Traits

PEER = Peer(
    instead="two Conv1D, Multiply, Dense and Add in a Functional model",
    work=[dict(b=8, t=128, d=64), dict(b=8, t=1024, d=64), dict(b=8, t=1024, d=64, jit=True)],
    layer=lambda sizes: WaveNetBlock(sizes["d"], 2, 4),
    peer=wave_net,
    operations=lambda b, t, d, **_: 3 * 2 * b * t * (2 * 2 * d * d + d * d),
)

CARD = Card(
    layer=WaveNetBlock,
    inputs="b t d",
    configs=lambda pick: dict(
        filters=pick([5, 3]),
        kernel_size=pick([2, 3, 1]),
        dilation=pick([1, 2]),
        skip_filters=pick([None, 6]),
        use_bias=pick([True, False]),
        kernel_initializer=pick(["glorot_uniform", "he_normal"]),
    ),
    dims=lambda pick, config: dict(d=pick([4, 3])),
    traits=Traits(
        masking="propagates",
        strict_masks=True,
        dynamic="b t",
        zero_batch=empty_batches,
        causal=True,
        continues=True,
        reach=lambda config: ((config["kernel_size"] - 1) * config["dilation"], 0),
    ),
    errors=[
        dict(filters=0, kernel_size=2, dilation=1),
        dict(filters=4, kernel_size=-2, dilation=1),
        dict(filters=4, kernel_size=2, dilation=1.5),
        dict(filters=4, kernel_size=2, dilation=1, skip_filters=0),
    ],
    paper="arXiv:1609.03499",
    year=2016,
    paper_title="WaveNet: A Generative Model for Raw Audio",
    paper_authors=(
        "Aaron van den Oord and Sander Dieleman and Heiga Zen and Karen Simonyan and Oriol Vinyals "
        "and Alex Graves and Nal Kalchbrenner and Andrew Senior and Koray Kavukcuoglu"
    ),
    tags=["sequence", "convolution", "audio"],
    aliases=["WaveNet", "gated activation unit", "dilated causal convolution"],
    peer=PEER,
    boxes={"convolve_filter": "filter", "convolve_gate": "gate"},
)
