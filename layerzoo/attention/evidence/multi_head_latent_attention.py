"""The experiment of `MultiHeadLatentAttention`: numbers to keep for each token, and loss."""

from layerzoo.attention.multi_head_latent_attention import MultiHeadLatentAttention
from layerzoo.attention.self_attention import SelfAttention
from layerzoo.cookbook.evidence import Evidence
from layerzoo.cookbook.evidence.tasks import (
    TEXT,
    cross_entropy,
    trained_on_text,
    transformer,
    windows,
)
from layerzoo.positions.rotary_embedding import RotaryEmbedding

HEADS, GROUPS, HEAD_DIM, LATENT, ROPE = 8, 2, 16, 64, 8


def rotary(heads):
    """Attention with some key/value heads."""
    return SelfAttention(HEADS, heads, HEAD_DIM, causal=True, position=RotaryEmbedding())


OURS = f"MultiHeadLatentAttention, {LATENT + ROPE} numbers"
MODELS = {
    OURS: lambda: MultiHeadLatentAttention(
        HEADS, LATENT, head_dim=HEAD_DIM, rope_dim=ROPE, causal=True
    ),
    f"SelfAttention, {2 * HEADS * HEAD_DIM} numbers": lambda: rotary(HEADS),
    f"SelfAttention, {GROUPS} key/value heads, {2 * GROUPS * HEAD_DIM} numbers": lambda: rotary(
        GROUPS
    ),
}
FULL = list(MODELS)[1]


def run(seed):
    """The loss of each model."""
    pieces, following = windows(64, 1024, seed, held_out=True)

    def loss(attention):
        model = trained_on_text(lambda: transformer(attention), seed)
        return cross_entropy(model, pieces, following)

    return {name: loss(attention) for name, attention in MODELS.items()}


EVIDENCE = Evidence(
    claim="It keeps a fraction of the numbers for each token, and a model with it is no worse.",
    source="arXiv:2405.04434, section 2.1 and table 9",
    task=(
        f"{TEXT} Two pre-norm blocks of causal attention with {HEADS} heads of {HEAD_DIM} and a gated MLP, "
        "width 64; 300 steps of Adam at 3e-3 on 32 pieces of 64 characters. As in the paper, the latent "
        "vector has 4 times the width of a head, and the rotary key half of it. The numbers are those that "
        "one attention keeps for each token while a text is generated."
    ),
    run=run,
    metric="loss on held-out text, in nats",
    better="lower",
    holds={
        "its loss is at most 0.03 higher than that of attention in full": lambda found: (
            found[OURS] <= found[FULL] + 0.03
        ),
    },
    limits=(
        "The numbers are counted, not stored: the layer computes keys and values anew, as in training. The "
        "paper's models have billions of weights. With 4 heads and a latent vector of only 24, the loss was "
        "higher than in full by 0.05 to 0.12."
    ),
)
