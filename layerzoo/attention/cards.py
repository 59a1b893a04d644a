"""The cards of the attention family."""

from layerzoo.attention.alibi_bias import AlibiBias
from layerzoo.attention.attention_pooling import AttentionPooling
from layerzoo.attention.convolutional_block_attention import ConvolutionalBlockAttention
from layerzoo.attention.cross_attention import CrossAttention
from layerzoo.attention.differential_attention import DifferentialAttention
from layerzoo.attention.efficient_channel_attention import EfficientChannelAttention
from layerzoo.attention.gated_attention_pooling import GatedAttentionPooling
from layerzoo.attention.linear_attention import LinearAttention
from layerzoo.attention.multi_head_latent_attention import MultiHeadLatentAttention
from layerzoo.attention.perceiver_resampler import PerceiverResampler
from layerzoo.attention.relative_position_bias import RelativePositionBias
from layerzoo.attention.rotary_embedding import RotaryEmbedding
from layerzoo.attention.self_attention import SelfAttention
from layerzoo.attention.squeeze_excite import SqueezeExcite
from layerzoo.attention.window_attention import WindowAttention
from layerzoo.catalogue import Card, Traits


def longer(x, y):
    """By how much the square of each step's norm grew."""
    return (y * y).sum(axis=-1) - (x * x).sum(axis=-1)


def steps_reversed(x):
    """The steps in reverse."""
    return x[:, ::-1]


def unchanged(y):
    """What no reordering of the steps may change."""
    return y


def rows_reversed(x):
    """The rows of images with their channels first in reverse."""
    return x[:, :, ::-1]


def swapped(x):
    """Queries and keys in each other's place, where scores are `(b, n, t, s)`."""
    return x.swapaxes(2, 3)


def differs_by_sample(x, y):
    """What is added to scores beyond what is added in the first sample."""
    return (y - x) - (y - x)[:1]


def differs_along_diagonals(x, y):
    """What is added to scores beyond what the query and the key one step before get."""
    bias = y - x
    residue = 0 * bias
    residue[..., 1:, 1:] = bias[..., 1:, 1:] - bias[..., :-1, :-1]
    return residue


def weighed(config):
    """The inputs of a layer that weighs channels: images where a format is named, or else sequences."""
    images = {"channels_last": "b y x c", "channels_first": "b c y x"}
    return images.get(config.get("data_format"), "b t d")


def rows_or_steps(config):
    """Positions stand anywhere for a layer that weighs channels by their means alone."""
    if config.get("data_format") == "channels_first":
        return {"rows reversed": (rows_reversed, rows_reversed)}
    return {"rows or steps reversed": (steps_reversed, steps_reversed)}


def with_context(config):
    """A sequence and its context, whose width is another one where heads have a width of their own."""
    return {"inputs": "b t d", "context": "b s c" if config["head_dim"] else "b s d"}


def _reach(config):
    if config["window"] is None:
        return None
    steps = config["window"] - 1
    return (steps, 0 if config["causal"] else steps)


def _position(pick):
    """No position, or one of the layers that stand for one, made anew."""
    kind = pick([None, RotaryEmbedding, AlibiBias, RelativePositionBias])
    if kind is RelativePositionBias:
        return RelativePositionBias(num_buckets=8, max_distance=5)
    return kind and kind()


CARDS = [
    Card(
        layer=AlibiBias,
        inputs={"scores": "b n t s"},
        dims=lambda pick, config: dict(n=pick([4, 6])),
        traits=Traits(
            masking="propagates",
            dynamic="b t s",
            equivariant={"queries and keys swapped": (swapped, swapped)},
            conserves={
                "one bias for all samples": differs_by_sample,
                "one bias for each distance": differs_along_diagonals,
            },
        ),
        paper="arXiv:2108.12409",
        year=2021,
        tags=["sequence", "position"],
    ),
    Card(
        layer=AttentionPooling,
        inputs="b t d",
        configs=lambda pick: dict(
            num_heads=pick([2, 1, 3]),
            num_queries=pick([1, 2]),
            head_dim=pick([None, 4]),
            use_bias=pick([True, False]),
            kernel_initializer=pick(["glorot_uniform", "he_normal"]),
        ),
        dims=lambda pick, config: dict(d=pick([4, 2]) * config["num_heads"]),
        traits=Traits(
            masking="consumes",
            dynamic="b t",
            equivariant={"steps reversed": (steps_reversed, unchanged)},
        ),
        errors=[
            dict(num_heads=0),
            dict(num_heads=2, num_queries=0),
            dict(num_heads=2, head_dim=1.5),
        ],
        paper="arXiv:1810.00825",
        year=2018,
        tags=["sequence", "pooling"],
    ),
    Card(
        layer=ConvolutionalBlockAttention,
        inputs=weighed,
        configs=lambda pick: dict(
            ratio=pick([2, 3]),
            kernel_size=pick([3, 7]),
            activation=pick(["relu", "silu"]),
            use_bias=pick([True, False]),
            kernel_initializer=pick(["glorot_uniform", "he_normal"]),
            data_format=pick(["channels_last", "channels_first"]),
        ),
        dims=lambda pick, config: dict(c=pick([16, 24])),
        traits=Traits(dynamic="b y x", differentiable="kinked"),
        errors=[dict(ratio=0), dict(kernel_size=(3, 3)), dict(data_format="last")],
        expected_failures={
            "S6@tensorflow": "Keras's maximum refuses a tensor without entries there, whatever the axes",
            "G1@torch": "PyTorch's convolution to one channel has no gradient in float64 on a CPU",
        },
        paper="arXiv:1807.06521",
        year=2018,
        tags=["image", "convolution"],
    ),
    Card(
        layer=CrossAttention,
        inputs=with_context,
        configs=lambda pick: dict(
            num_key_value_heads=(g := pick([None, 1, 2])),
            num_heads=(g or 1) * pick([2, 1, 3]),
            head_dim=pick([None, 4]),
            position=_position(pick),
            qk_norm=pick([False, True]),
            dropout=pick([0.0, 0.4]),
            use_bias=pick([True, False]),
            kernel_initializer=pick(["glorot_uniform", "he_normal"]),
            seed=pick([None, 3]),
        ),
        dims=lambda pick, config: dict(d=pick([4, 2]) * config["num_heads"]),
        traits=Traits(
            masking={"inputs": "propagates", "context": "consumes"},
            dynamic="b t s",
            causal=True,
            reach=(0, 0),
            equivariant=lambda config: (
                {} if config["position"] else {"steps reversed": (steps_reversed, steps_reversed)}
            ),
            stochastic=lambda config: config["dropout"] > 0,
        ),
        errors=[
            dict(num_heads=0),
            dict(num_heads=2.5),
            dict(num_heads=4, num_key_value_heads=3),
            dict(num_heads=2, head_dim=-1),
            dict(num_heads=2, dropout=-0.1),
            dict(num_heads=2, position="rotary"),
        ],
        paper="arXiv:1706.03762",
        year=2017,
        tags=["sequence"],
    ),
    Card(
        layer=DifferentialAttention,
        inputs="b t d",
        configs=lambda pick: dict(
            num_heads=pick([2, 1, 3]),
            depth=pick([1, 4]),
            head_dim=pick([None, 3]),
            causal=pick([False, True]),
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
            equivariant=lambda config: (
                {} if config["causal"] else {"steps reversed": (steps_reversed, steps_reversed)}
            ),
            stochastic=lambda config: config["dropout"] > 0,
        ),
        errors=[
            dict(num_heads=0),
            dict(num_heads=2, depth=0),
            dict(num_heads=2, head_dim=1.5),
            dict(num_heads=2, dropout=-0.1),
        ],
        paper="arXiv:2410.05258",
        year=2024,
        tags=["sequence"],
    ),
    Card(
        layer=EfficientChannelAttention,
        inputs=weighed,
        configs=lambda pick: dict(
            gamma=pick([2.0, 0.8]),
            beta=pick([1.0, 3.0]),
            kernel_initializer=pick(["glorot_uniform", "he_normal"]),
            **pick([dict(data_format="channels_last"), {}, dict(data_format="channels_first")]),
        ),
        dims=lambda pick, config: dict.fromkeys("cd", pick([8, 12])),
        traits=Traits(
            masking=lambda config: None if config.get("data_format") else "propagates",
            dynamic=lambda config: "b y x" if config.get("data_format") else "b t",
            causal=lambda config: None if config.get("data_format") else False,
            equivariant=rows_or_steps,
            twice_differentiable=True,
        ),
        errors=[dict(gamma=0), dict(beta=-1.0), dict(data_format="last")],
        paper="arXiv:1910.03151",
        year=2019,
        tags=["image", "sequence", "convolution"],
    ),
    Card(
        layer=GatedAttentionPooling,
        inputs="b t d",
        configs=lambda pick: dict(
            units=pick([4, 3]),
            gated=pick([True, False]),
            use_bias=pick([True, False]),
            kernel_initializer=pick(["glorot_uniform", "he_normal"]),
        ),
        traits=Traits(
            masking="consumes",
            dynamic="b t",
            equivariant={"instances reversed": (steps_reversed, unchanged)},
            twice_differentiable=True,
        ),
        errors=[dict(units=0), dict(units=2.5)],
        paper="arXiv:1802.04712",
        year=2018,
        tags=["sequence", "pooling"],
    ),
    Card(
        layer=LinearAttention,
        inputs="b t d",
        configs=lambda pick: dict(
            num_heads=pick([2, 1, 3]),
            head_dim=pick([None, 4]),
            causal=pick([False, True]),
            feature_map=pick(["elu", "softplus", "relu"]),
            use_bias=pick([True, False]),
            kernel_initializer=pick(["glorot_uniform", "he_normal"]),
            epsilon=pick([1e-6, 1e-3]),
        ),
        dims=lambda pick, config: dict(d=pick([4, 2]) * config["num_heads"]),
        traits=Traits(
            masking="propagates",
            dynamic="b t",
            causal=lambda config: config["causal"],
            equivariant=lambda config: (
                {} if config["causal"] else {"steps reversed": (steps_reversed, steps_reversed)}
            ),
            differentiable=lambda config: "kinked" if config["feature_map"] == "relu" else "smooth",
            twice_differentiable=lambda config: None if config["feature_map"] == "relu" else True,
        ),
        errors=[
            dict(num_heads=0),
            dict(num_heads=2, head_dim=1.5),
            dict(num_heads=2, epsilon=0),
        ],
        paper="arXiv:2006.16236",
        year=2020,
        tags=["sequence"],
    ),
    Card(
        layer=PerceiverResampler,
        inputs="b t d",
        configs=lambda pick: dict(
            num_latents=pick([2, 3]),
            num_heads=pick([2, 1, 3]),
            depth=pick([1, 2]),
            head_dim=pick([None, 4]),
            hidden_dim=pick([None, 5]),
            use_bias=pick([True, False]),
            kernel_initializer=pick(["glorot_uniform", "he_normal"]),
            epsilon=pick([1e-5, 1e-2]),
        ),
        dims=lambda pick, config: dict(d=pick([4, 2]) * config["num_heads"]),
        traits=Traits(
            masking="consumes",
            dynamic="b t",
            equivariant={"steps reversed": (steps_reversed, unchanged)},
        ),
        errors=[
            dict(num_latents=0, num_heads=2),
            dict(num_latents=2, num_heads=0),
            dict(num_latents=2, num_heads=2, depth=0),
            dict(num_latents=2, num_heads=2, head_dim=1.5),
            dict(num_latents=2, num_heads=2, hidden_dim=-1),
            dict(num_latents=2, num_heads=2, epsilon=0),
        ],
        paper="arXiv:2204.14198",
        year=2022,
        tags=["sequence", "pooling"],
    ),
    Card(
        layer=RelativePositionBias,
        inputs={"scores": "b n t s"},
        configs=lambda pick: dict(
            **pick(
                [
                    dict(num_buckets=32, max_distance=128),
                    dict(num_buckets=8, max_distance=5),
                    dict(num_buckets=6, max_distance=7),
                ]
            ),
            bidirectional=pick([True, False]),
            embeddings_initializer=pick(["uniform", "ones"]),
        ),
        dims=lambda pick, config: dict(n=pick([4, 3])),
        traits=Traits(
            masking="propagates",
            dynamic="b t s",
            conserves={
                "one bias for all samples": differs_by_sample,
                "one bias for each distance": differs_along_diagonals,
            },
        ),
        errors=[
            dict(num_buckets=5),
            dict(num_buckets=2),
            dict(num_buckets=1, bidirectional=False),
            dict(max_distance=8),
            dict(num_buckets=16, max_distance=8, bidirectional=False),
        ],
        paper="arXiv:1910.10683",
        year=2019,
        tags=["sequence", "position"],
    ),
    Card(
        layer=MultiHeadLatentAttention,
        inputs="b t d",
        configs=lambda pick: dict(
            num_heads=pick([2, 1, 3]),
            latent_dim=pick([6, 3]),
            query_latent_dim=pick([None, 5]),
            head_dim=pick([None, 8]),
            rope_dim=pick([None, 2]),
            causal=pick([False, True]),
            dropout=pick([0.0, 0.4]),
            use_bias=pick([True, False]),
            kernel_initializer=pick(["glorot_uniform", "he_normal"]),
            seed=pick([None, 3]),
        ),
        dims=lambda pick, config: dict(d=pick([4, 8]) * config["num_heads"]),
        traits=Traits(
            masking="propagates",
            dynamic="b t",
            causal=lambda config: config["causal"],
            stochastic=lambda config: config["dropout"] > 0,
        ),
        errors=[
            dict(num_heads=0, latent_dim=4),
            dict(num_heads=2, latent_dim=0),
            dict(num_heads=2, latent_dim=4, query_latent_dim=1.5),
            dict(num_heads=2, latent_dim=4, head_dim=-1),
            dict(num_heads=2, latent_dim=4, rope_dim=3),
            dict(num_heads=2, latent_dim=4, dropout=-0.1),
        ],
        paper="arXiv:2405.04434",
        year=2024,
        tags=["sequence"],
    ),
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
            position=_position(pick),
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
        ],
        paper="arXiv:1706.03762",
        year=2017,
        tags=["sequence"],
    ),
    Card(
        layer=SqueezeExcite,
        inputs=weighed,
        configs=lambda pick: dict(
            ratio=pick([2, 3]),
            activation=pick(["relu", "silu"]),
            gate_activation=pick(["sigmoid", "tanh"]),
            use_bias=pick([True, False]),
            kernel_initializer=pick(["glorot_uniform", "he_normal"]),
            **pick([dict(data_format="channels_last"), {}, dict(data_format="channels_first")]),
        ),
        dims=lambda pick, config: dict.fromkeys("cd", pick([16, 24])),
        traits=Traits(
            masking=lambda config: None if config.get("data_format") else "propagates",
            dynamic=lambda config: "b y x" if config.get("data_format") else "b t",
            causal=lambda config: None if config.get("data_format") else False,
            equivariant=rows_or_steps,
            differentiable=lambda config: "kinked" if config["activation"] == "relu" else "smooth",
        ),
        errors=[dict(ratio=0), dict(ratio=2.5), dict(data_format="last")],
        paper="arXiv:1709.01507",
        year=2017,
        tags=["image", "sequence", "convolution"],
    ),
    Card(
        layer=WindowAttention,
        inputs="b y x c",
        configs=lambda pick: dict(
            num_heads=pick([2, 1, 3]),
            window_size=(w := pick([3, 4, 2])),
            shift=pick([0, w // 2, w - 1]),
            qkv_bias=pick([True, False]),
            dropout=pick([0.0, 0.4]),
            kernel_initializer=pick(["glorot_uniform", "he_normal"]),
            seed=pick([None, 3]),
        ),
        dims=lambda pick, config: dict(c=pick([4, 2]) * config["num_heads"]),
        traits=Traits(
            masking="propagates",
            dynamic="b y x",
            stochastic=lambda config: config["dropout"] > 0,
            twice_differentiable=True,
        ),
        errors=[
            dict(num_heads=0, window_size=3),
            dict(num_heads=2, window_size=2.5),
            dict(num_heads=2, window_size=3, shift=3),
            dict(num_heads=2, window_size=3, shift=-1),
            dict(num_heads=2, window_size=3, dropout=1.5),
        ],
        paper="arXiv:2103.14030",
        year=2021,
        tags=["image"],
    ),
]
