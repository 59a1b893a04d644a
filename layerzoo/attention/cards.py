"""The cards of the attention family."""

from layerzoo.attention.rotary_embedding import RotaryEmbedding
from layerzoo.attention.self_attention import SelfAttention
from layerzoo.catalogue import Card, Traits


def longer(x, y):
    """By how much the square of each step's norm grew."""
    return (y * y).sum(axis=-1) - (x * x).sum(axis=-1)


def steps_reversed(x):
    """The steps in reverse."""
    return x[:, ::-1]


def _reach(config):
    if config["window"] is None:
        return None
    steps = config["window"] - 1
    return (steps, 0 if config["causal"] else steps)


CARDS = [
    Card(
        layer=RotaryEmbedding,
        inputs="b t d",
        configs=lambda pick: dict(
            base=pick([10_000.0, 100.0]),
            layout=pick(["half", "interleaved"]),
            scaling=pick([1.0, 4.0]),
        ),
        dims=lambda pick, config: dict(d=pick([4, 6])),
        traits=Traits(
            masking="propagates",
            dynamic="b t",
            causal=True,
            reach=(0, 0),
            conserves={"the norm of each step": longer},
        ),
        errors=[dict(base=-1.0), dict(layout="quarter"), dict(scaling=0)],
        paper="arXiv:2104.09864",
        year=2021,
        tags=["sequence", "position"],
    ),
    Card(
        layer=SelfAttention,
        inputs="b t d",
        configs=lambda pick: dict(
            num_key_value_heads=(g := pick([None, 1, 2])),
            num_heads=(g or 1) * pick([2, 1, 3]),
            head_dim=pick([None, 4]),
            causal=pick([False, True]),
            window=pick([None, 2]),
            position=RotaryEmbedding() if pick([False, True]) else None,
            qk_norm=pick([False, True]),
            dropout=pick([0.0, 0.4]),
            use_bias=pick([True, False]),
            kernel_initializer=pick(["glorot_uniform", "he_normal"]),
            seed=pick([None, 3]),
        ),
        dims=lambda pick, config: dict(d=pick([4, 2]) * config["num_heads"]),
        traits=Traits(
            masking="propagates",
            dynamic="b t",
            causal=lambda config: config["causal"],
            reach=_reach,
            equivariant=lambda config: (
                {}
                if config["causal"] or config["position"]
                else {"steps reversed": (steps_reversed, steps_reversed)}
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
        ],
        paper="arXiv:1706.03762",
        year=2017,
        tags=["sequence"],
    ),
]
