import keras
from keras import initializers, layers

from layerzoo.building.arguments import InitializerLike, image_format, initializer
from layerzoo.building.conditions import (
    build_modulation,
    known_condition,
    modulation,
    must_fit_condition,
)
from layerzoo.building.recipe import recipe
from layerzoo.ops.channels import channel_axis, known_channels
from layerzoo.ops.dtypes import floating
from layerzoo.ops.norms import modulated


@keras.saving.register_keras_serializable(package="layerzoo")
@recipe
class FiLM(layers.Layer):
    r"""Feature-wise linear modulation (FiLM): a condition scales and shifts each channel.

    $$
    y_{pc} = (1 + \gamma_c)\, x_{pc} + \beta_c, \qquad [\gamma, \beta] = W u + b
    $$

    $u$ is the condition, $c$ is a channel, and $p$ is a step or a pixel. $W$ and $b$ start at 0, so that a
    new layer returns its inputs exactly. The gradients of $W$ and $b$ are not 0 there.

    Alone, as in a Sequential model, the layer has no condition and no $W$. It is then a learned scale and a
    learned shift of each channel: $\gamma$ and $\beta$ are $b$.

    Use when:
        - a question, a class or a style should change how each layer of a network sees its inputs.
        - layers that are trained already should get a condition: they compute the same at the start.

    Avoid when:
        - the features are normalised first, as in a diffusion Transformer: use `AdaptiveLayerNorm`.
        - the condition is a sequence to read from: use `CrossAttention`.

    Args:
        kernel_initializer: Initializer for the kernel $W$. Defaults to `"zeros"`: the identity at the start.
        data_format: `"channels_last"` or `"channels_first"`. Where the channels are: the last axis, or the
            axis after the batch. Defaults to Keras's global setting, which is `"channels_last"` unless you
            change it.
        **kwargs: Standard Keras layer arguments: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: Features of any rank.
        condition: What each sample is modulated by. Only a layer whose first call gets a condition has
            weights for one. Without it, later calls use $b$ alone, as for a condition of zeros. Defaults to
            None: no condition.

    Input shape:
        `(batch, ..., channels)` or `(batch, channels, ...)`, of rank 2 or more, for the inputs. All sizes
        except the number of channels may be unknown. `(batch, width)` for the condition, or a condition for
        each step or pixel: the shape of the inputs, where `width` takes the place of `channels`.

    Output shape:
        Same as the inputs.

    Masking:
        The mask of the inputs is passed on: each step is processed independently.

    Raises:
        ValueError: if `data_format` or the initializer is not recognised, or the number of channels is
            unknown.
        ValueError: if the condition has another rank or other sizes than stated, another width than in the
            first call, or was not passed to the first call.
        TypeError: if the condition is not a tensor.

    Example:
        ```python
        import keras
        from layerzoo import FiLM

        image, question = keras.Input((32, 32, 16)), keras.Input((64,))
        outputs = FiLM()(image, condition=question)
        print(outputs.shape)
        #> (None, 32, 32, 16)
        ```

    Reference:
        [FiLM](https://arxiv.org/abs/1709.07871). As in the paper, $\gamma$ is the difference of the scale
        from 1. The paper's network in front of the projection is not in this layer: pass its output as the
        condition. The projection is one, with the scales first. The paper does not start it at 0:
        `kernel_initializer="glorot_uniform"` starts off the identity.
    """

    def __init__(
        self,
        kernel_initializer: InitializerLike = "zeros",
        data_format: str | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.kernel_initializer = initializer(kernel_initializer=kernel_initializer)
        self.data_format = image_format(data_format=data_format)
        self.supports_masking = True
        self.input_spec = layers.InputSpec(min_ndim=2)

    def build(self, inputs_shape, condition_shape=None):
        channels = known_channels(inputs_shape, self.data_format)
        width = known_condition(condition_shape, inputs_shape, self.data_format)
        build_modulation(self, width, 2 * channels, self.kernel_initializer)
        axes = {channel_axis(self.data_format): channels}
        self.input_spec = layers.InputSpec(min_ndim=2, axes=axes)

    def call(self, inputs, condition=None):
        must_fit_condition(self, condition, inputs.shape, self.data_format)
        inputs = floating(inputs, self.compute_dtype)
        scale, shift = modulation(self, condition, inputs, 2, self.data_format)
        return modulated(inputs, scale, shift)

    def compute_output_shape(self, inputs_shape, condition_shape=None):
        return inputs_shape

    def compute_output_spec(self, inputs, condition=None):
        must_fit_condition(self, condition, inputs.shape, self.data_format)
        return keras.KerasTensor(inputs.shape, dtype=self.compute_dtype)

    def get_config(self):
        config = super().get_config()
        config.update(
            kernel_initializer=initializers.serialize(self.kernel_initializer),
            data_format=self.data_format,
        )
        return config
