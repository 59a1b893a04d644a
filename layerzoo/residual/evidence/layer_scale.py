"""The experiment of `LayerScale`: a deep transformer with and without factors on its branches."""

import keras
from keras import layers

from layerzoo.attention.self_attention import SelfAttention
from layerzoo.cookbook.evidence import Evidence
from layerzoo.cookbook.evidence.tasks import accuracy, digits, trained
from layerzoo.residual.layer_scale import LayerScale
from layerzoo.residual.residual import Residual

BLOCKS, WIDTH, EPOCHS, RATE = 24, 32, 4, 3e-3
MODELS = {"LayerScale(1e-5)": lambda: [LayerScale(1e-5)], "no factors": list}


def run(seed):
    """The accuracy of each model."""
    images, test_images, labels, test_labels = digits(seed)

    def result(scale):
        def block():
            mlp = [layers.Dense(2 * WIDTH, activation="gelu"), layers.Dense(WIDTH)]
            attend = Residual([SelfAttention(4), *scale()], norm="pre")
            return [attend, Residual([*mlp, *scale()], norm="pre")]

        def make():
            stack = [part for _ in range(BLOCKS) for part in block()]
            start = [keras.Input((8, 8, 1)), layers.Reshape((8, 8)), layers.Dense(WIDTH)]
            end = [layers.LayerNormalization(), layers.Flatten(), layers.Dense(10)]
            return keras.Sequential([*start, *stack, *end])

        model = trained(make, images, labels, seed, epochs=EPOCHS, learning_rate=RATE)
        return accuracy(model, test_images, test_labels)

    return {name: result(scale) for name, scale in MODELS.items()}


EVIDENCE = Evidence(
    claim="A deep transformer trains better if each branch starts with a small factor per channel.",
    source="arXiv:2103.17239, table 1",
    task=(
        f"Handwritten digits of scikit-learn as sequences of 8 rows. {BLOCKS} pre-norm blocks of attention "
        f"with 4 heads and an MLP, width {WIDTH}; {EPOCHS} epochs of Adam at {RATE:g} in batches of 32, "
        "without warm-up."
    ),
    run=run,
    metric="accuracy on held-out digits",
    holds={
        "with LayerScale, more digits are read": lambda found: (
            found["LayerScale(1e-5)"] > found["no factors"]
        ),
    },
    limits="The paper trains vision transformers of 24 and more blocks on ImageNet.",
)
