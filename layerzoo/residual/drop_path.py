import keras
from keras import ops

from layerzoo.building.arguments import optional_seed, probability
from layerzoo.building.recipe import recipe
from layerzoo.ops.dtypes import floating


@keras.saving.register_keras_serializable(package="layerzoo")
@recipe
class DropPath(keras.layers.Layer):
    r"""Stochastic depth (DropPath): drops a residual branch for random samples during training.

    $$
    y_b = \frac{k_b}{1 - \mathrm{rate}}\; x_b, \qquad k_b \sim \mathrm{Bernoulli}(1 - \mathrm{rate})
    $$

    $x_b$ is the whole sample $b$ of the batch, and a single draw $k_b$ keeps or drops it. Samples that are
    kept are scaled up, so that the expectation of $y$ is $x$. At inference $y = x$.

    Use when:
        - a deep residual network overfits: put it at the end of each branch, before the addition.

    Avoid when:
        - nothing is added to its output: a dropped sample is all zeros. Use `keras.layers.Dropout`.

    Args:
        rate: Float from 0 to 1. Fraction of samples to drop.
        seed: Integer. Random seed. Defaults to None.
        **kwargs: Standard Keras layer arguments: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: The output of a residual branch.
        training: Boolean. Whether to drop samples.

    Input shape:
        `(batch, ...)`, of any rank. All sizes may be unknown.

    Output shape:
        Same as the input.

    Masking:
        The mask is passed on.

    Raises:
        ValueError: if `rate` is not between 0 and 1.

    Example:
        ```python
        import numpy as np
        from layerzoo import DropPath

        y = DropPath(0.5, seed=1)(np.ones((6, 2)), training=True)
        print(sorted({float(v) for row in y for v in row}))
        #> [0.0, 2.0]
        ```

    Reference:
        [Deep Networks with Stochastic Depth](https://arxiv.org/abs/1603.09382). The paper drops the branch
        for the whole batch and scales at inference. This layer drops it per sample and scales during
        training. That is what the name, from [FractalNet](https://arxiv.org/abs/1605.07648), has come to
        mean.
    """

    def __init__(self, rate: float, seed: int | None = None, **kwargs):
        super().__init__(**kwargs)
        self.rate = probability(rate=rate)
        self.seed = optional_seed(seed=seed)
        self.seed_generator = keras.random.SeedGenerator(self.seed)
        self.supports_masking = True
        self.input_spec = keras.layers.InputSpec(min_ndim=1)

    def build(self, input_shape):
        pass

    def call(self, inputs, training=None):
        inputs = floating(inputs, self.compute_dtype)
        if not training or self.rate == 0:
            return inputs
        if self.rate == 1:
            return ops.zeros_like(inputs)
        keep = 1 - self.rate
        one_per_sample = (ops.shape(inputs)[0], *(1,) * (len(inputs.shape) - 1))
        kept = keras.random.uniform(one_per_sample, seed=self.seed_generator) < keep
        return ops.where(kept, inputs / keep, 0.0)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        config = super().get_config()
        config.update(rate=self.rate, seed=self.seed)
        return config
