"""The experiment of `PerceiverResampler`: what it costs a text to look at a long sequence."""

import time

import keras
import numpy as np
from keras import layers

from layerzoo.attention.cross_attention import CrossAttention
from layerzoo.attention.perceiver_resampler import PerceiverResampler
from layerzoo.cookbook.evidence import Evidence

LENGTHS, TEXT, WIDTH, LOOKS, REPEATS = (64, 256, 1024, 4096), 64, 64, 12, 5
OURS, ALONE = "PerceiverResampler first", "CrossAttention alone"
MODELS = {OURS: lambda: PerceiverResampler(8, 4, depth=2), ALONE: layers.Identity}


def run(seed):
    """CPU seconds of a forward pass, the least of several."""

    def seconds(shorten, length):
        text, context = keras.Input((TEXT, WIDTH)), keras.Input((length, WIDTH))
        short, x = shorten()(context), text
        for _ in range(LOOKS):
            x = layers.Add()([x, CrossAttention(4)(x, context=short)])
        model = keras.Model([text, context], x)
        generator = np.random.default_rng(seed)
        inputs = [generator.normal(size=(1, t, WIDTH)).astype("float32") for t in (TEXT, length)]
        times = []
        for _ in range(REPEATS + 1):
            start = time.process_time()
            model.predict_on_batch(inputs)
            times.append(time.process_time() - start)
        return min(times[1:])

    return {name: {t: seconds(make, t) for t in LENGTHS} for name, make in MODELS.items()}


EVIDENCE = Evidence(
    claim="It makes a long sequence short, so that looking at it many times costs less.",
    source="arXiv:2204.14198, section 2.1",
    task=(
        f"A forward pass of {LOOKS} layers of CrossAttention with 4 heads, by which {TEXT} steps of text "
        f"read a sequence of width {WIDTH}: all of it, or the 8 latent vectors that a PerceiverResampler "
        f"of depth 2 makes of it first. Its own time is included. The fastest of {REPEATS}."
    ),
    run=run,
    metric="CPU seconds of a forward pass",
    better="lower",
    x="length of the sequence",
    holds={
        "at 4,096 steps, it takes at most half the time": lambda found: (
            found[OURS][4096] <= 0.5 * found[ALONE][4096]
        ),
    },
    limits=(
        "This is about cost alone: whether the latent vectors keep what matters depends on the task. The "
        "seconds belong to one machine."
    ),
)
