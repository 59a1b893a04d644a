"""The experiment of `GatedCrossAttention`: a trained model before and after it is given new blocks."""

import keras
import numpy as np

from layerzoo.attention.self_attention import SelfAttention
from layerzoo.cookbook.evidence import Evidence
from layerzoo.cookbook.evidence.tasks import (
    TEXT,
    TRANSFORMER,
    cross_entropy,
    trained_on_text,
    transformer,
    windows,
)
from layerzoo.gated.gated_cross_attention import GatedCrossAttention
from layerzoo.positions.rotary_embedding import RotaryEmbedding

BEFORE, GATED, OPEN = "the trained model", "with new blocks", "with new blocks, gates open"
CONTEXT = (8, 48)


def make():
    """A transformer of the text."""
    return transformer(lambda: SelfAttention(4, causal=True, position=RotaryEmbedding()))


def with_blocks(model, blocks):
    """The same layers with a new block before each attention and its MLP."""
    text, context = keras.Input((None,), dtype="int32"), keras.Input(CONTEXT)
    first, *middle, norm, scores = model.layers
    x = first(text)
    for i, layer in enumerate(middle):
        if i % 2 == 0:
            x = blocks[i // 2](x, context=context)
        x = layer(x)
    return keras.Model([text, context], scores(norm(x)))


def run(seed):
    """The loss before, after, and after if nothing gates the new blocks."""
    pieces, following = windows(64, 512, seed, held_out=True)
    context = np.random.default_rng(seed).normal(size=(512, *CONTEXT)).astype("float32")
    model = trained_on_text(make, seed)
    blocks = [GatedCrossAttention(4) for _ in range(2)]
    extended = with_blocks(model, blocks)
    found = {GATED: cross_entropy(extended, [pieces, context], following)}
    found[BEFORE] = cross_entropy(model, pieces, following)
    for block in blocks:
        block.alpha.assign(20.0)  # whose hyperbolic tangent is 1
        block.beta.assign(20.0)
    found[OPEN] = cross_entropy(extended, [pieces, context], following)
    return found


EVIDENCE = Evidence(
    claim="New blocks do not disturb a trained model before they learn, because their gates are closed.",
    source="arXiv:2204.14198, section 2.2",
    task=(
        f"{TEXT} {TRANSFORMER} Then a new block with 4 heads is put before each of the two, as in the paper. "
        "Its context is eight random vectors. An open gate multiplies by one."
    ),
    run=run,
    metric="loss on held-out text, in nats",
    better="lower",
    holds={
        "with new blocks, the loss is exactly the same": lambda found: (
            found[GATED] == found[BEFORE]
        ),
        "with open gates, it is more than 0.3 higher": lambda found: (
            found[OPEN] > found[BEFORE] + 0.3
        ),
    },
    limits="The paper puts its blocks into models of up to 70 billion weights, and compares training runs.",
)
