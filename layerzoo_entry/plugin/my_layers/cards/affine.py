"""What `Affine` claims: the configs to try, the axes of its input, and the configs to refuse."""

from layerzoo.card import Card, Traits

from my_layers.affine import Affine

CARD = Card(
    layer=Affine,
    inputs="b t d",
    configs=lambda pick: dict(
        init_value=pick([1.0, 0.1]),
        use_bias=pick([True, False]),
        bias_initializer=pick(["zeros", "ones"]),
    ),
    traits=Traits(masking="propagates", dynamic="b t", causal=True),
    errors=[dict(init_value="one"), dict(init_value=float("inf"))],
    paper="arXiv:2105.03404",
    year=2021,
    paper_title=(
        "ResMLP: Feedforward networks for image classification with data-efficient training"
    ),
    paper_authors=(
        "Hugo Touvron and Piotr Bojanowski and Mathilde Caron and Matthieu Cord and "
        "Alaaeldin El-Nouby and Edouard Grave and Armand Joulin and Gabriel Synnaeve and "
        "Jakob Verbeek and Hervé Jégou"
    ),
    tags=["scale"],
)
