"""The experiment of `GatedMLP`: the same number of weights, with and without a gate."""

from keras import layers

from layerzoo.attention.self_attention import SelfAttention
from layerzoo.cookbook.evidence import Evidence
from layerzoo.cookbook.evidence.tasks import (
    TEXT,
    character_model,
    cross_entropy,
    trained_on_text,
    windows,
)
from layerzoo.gated.gated_mlp import GatedMLP
from layerzoo.positions.rotary_embedding import RotaryEmbedding
from layerzoo.residual.residual import Residual

WIDTH, STEPS = 64, 400
SWIGLU, GEGLU, PLAIN = "GatedMLP, SwiGLU", "GatedMLP, GEGLU", "two dense layers, GELU"
MODELS = {
    SWIGLU: lambda: GatedMLP(170, use_bias=False),
    GEGLU: lambda: GatedMLP(170, activation="gelu", use_bias=False),
    PLAIN: lambda: [
        layers.Dense(256, activation="gelu", use_bias=False),
        layers.Dense(WIDTH, use_bias=False),
    ],
}


def run(seed):
    """The loss of each model."""
    pieces, following = windows(64, 1024, seed, held_out=True)

    def loss(mlp):
        def make():
            blocks = []
            for _ in range(2):
                attention = SelfAttention(4, causal=True, position=RotaryEmbedding())
                blocks += [Residual(attention, norm="pre"), Residual(mlp(), norm="pre")]
            return character_model(blocks, WIDTH)

        return cross_entropy(trained_on_text(make, seed, STEPS), pieces, following)

    return {name: loss(mlp) for name, mlp in MODELS.items()}


EVIDENCE = Evidence(
    claim="With as many weights, gated MLPs of a transformer reach a lower loss than a plain one.",
    source="arXiv:2002.05202, table 1",
    task=(
        f"{TEXT} Two pre-norm blocks of causal attention with 4 heads and rotary positions and an MLP, "
        f"width {WIDTH}; {STEPS} steps of Adam at 3e-3 on 32 pieces of 64 characters. An MLP has about "
        "32,700 weights in each model: a gated one has 170 hidden units, a plain one 256."
    ),
    run=run,
    metric="loss on held-out text, in nats",
    better="lower",
    holds={
        "SwiGLU is better than GELU": lambda found: found[SWIGLU] < found[PLAIN],
        "GEGLU is better than GELU": lambda found: found[GEGLU] < found[PLAIN],
    },
    limits="The paper trains T5 for 65,536 steps, and its differences are about as small as here.",
)
