"""Cards of the layers in `keras.src.layers.core`."""

import keras
import numpy as np
from keras import layers

from hunting.families.common import BACKEND, weights
from layerzoo.catalogue import Card, Tensor, Traits


@keras.saving.register_keras_serializable(package="hunting")
def scaled(x, by=2.0):
    """A function for `Lambda`."""
    return keras.ops.tanh(x) * by


@keras.saving.register_keras_serializable(package="hunting")
def kept(inputs, mask=None):
    """A mask for `Lambda`: the one that came."""
    return mask


CARDS = [
    Card(
        layer=layers.Dense,
        inputs="b t d",
        configs=lambda pick: dict(
            units=pick([4, 3]),
            activation=pick([None, "tanh"]),
            use_bias=pick([True, True, False]),
            lora_rank=(rank := pick([None, None, 2])),
            lora_alpha=3.0 if rank else None,
            **weights(pick, "kernel", "bias", constrained=rank is None),
        ),
        traits=Traits(dynamic="b t", masking="propagates", causal=True, reach=(0, 0)),
        errors=[dict(units=0), dict(units=-2)],
    ),
    Card(
        layer=layers.EinsumDense,
        inputs="b t d",
        configs=lambda pick: dict(
            **pick(
                [
                    dict(equation="abc,cd->abd", output_shape=(None, 3)),
                    dict(equation="...x,xy->...y", output_shape=(5,), bias_axes="y"),
                    dict(equation="abc,cd->abd", output_shape=(None, 2), bias_axes="d"),
                ]
            ),
            activation=pick([None, "tanh"]),
            lora_rank=(rank := pick([None, None, 2])),
            lora_alpha=3.0 if rank else None,
            **weights(pick, "kernel", "bias", activity=False, constrained=rank is None),
        ),
        traits=Traits(dynamic="b t", causal=True, reach=(0, 0)),
    ),
    Card(
        layer=layers.Embedding,
        inputs=Tensor("b t", "int32", high=6),
        configs=lambda pick: dict(
            input_dim=6,
            output_dim=pick([4, 3]),
            mask_zero=pick([False, True]),
            lora_rank=(rank := pick([None, None, 2])),
            lora_alpha=3.0 if rank else None,
            **weights(pick, "embeddings", activity=False, constrained=rank is None),
        ),
        traits=Traits(dynamic="b t", differentiable="none"),
    ),
    Card(
        layer=layers.ReversibleEmbedding,
        inputs=Tensor("b t", "int32", high=6),
        configs=lambda pick: dict(
            input_dim=6,
            output_dim=pick([4, 3]),
            tie_weights=pick([True, False]),
            mask_zero=pick([False, True]),
            reverse_dtype=pick([None, "float32"]),
            logit_soft_cap=pick([None, 5.0]),
            **weights(pick, "embeddings", activity=False),
        ),
        traits=Traits(dynamic="b t", differentiable="none", dead=["*reverse_embeddings"]),
    ),
    Card(
        layer=layers.Identity,
        inputs="b t d",
        traits=Traits(
            dynamic="b t d",
            masking="propagates",
            causal=True,
            reach=(0, 0),
            reference=lambda layer, inputs: inputs,
        ),
    ),
    Card(
        layer=layers.Lambda,
        inputs="b t d",
        configs=lambda pick: dict(
            function=scaled,
            output_shape=pick([None, (None, 4)]),
            mask=pick([None, kept]),
            arguments=pick([None, dict(by=3.0)]),
        ),
        dims=lambda pick, config: dict(d=4),
        traits=Traits(dynamic="b t", causal=True),
    ),
    Card(
        layer=layers.Masking,
        inputs="b t d",
        configs=lambda pick: dict(mask_value=pick([0.0, 1.0])),
        traits=Traits(dynamic="b t d", differentiable="kinked", causal=True),
    ),
]

if BACKEND == "torch":
    import torch

    class Linear(torch.nn.Module):
        """A linear map of fixed sizes."""

        def __init__(self):
            super().__init__()
            self.linear = torch.nn.Linear(4, 3)

        def forward(self, inputs):
            """Apply it."""
            return torch.tanh(self.linear(inputs))

    CARDS += [
        Card(
            layer=layers.TorchModuleWrapper,
            inputs="b t d",
            configs=lambda pick: dict(module=Linear(), output_shape=(None, None, 3)),
            dims=lambda pick, config: dict(d=4),
            traits=Traits(dynamic="b t", causal=True),
        )
    ]

if BACKEND == "jax":

    @keras.saving.register_keras_serializable(package="hunting")
    def initial(rng, inputs):
        """The parameters of `affine`."""
        return {"kernel": np.full((inputs.shape[-1], 3), 0.5, "float32")}

    @keras.saving.register_keras_serializable(package="hunting")
    def affine(params, inputs):
        """A matrix product."""
        return inputs @ params["kernel"]

    CARDS += [
        Card(
            layer=layers.JaxLayer,
            inputs="b t d",
            configs=lambda pick: dict(call_fn=affine, init_fn=initial, seed=pick([None, 3])),
            traits=Traits(dynamic="b t", causal=True),
        )
    ]
