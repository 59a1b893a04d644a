import keras
from keras import initializers, layers

from layerzoo.building.arguments import image_format, non_negative_number
from layerzoo.building.recipe import recipe
from layerzoo.building.wrapped import scaled
from layerzoo.ops.channels import channel_axis, known_channels
from layerzoo.ops.dtypes import floating


@keras.saving.register_keras_serializable(package="layerzoo")
@recipe
class LayerScale(layers.Layer):
    r"""LayerScale: multiplies each channel by a learned factor that starts near zero.

    $$
    y_{pc} = \gamma_c\, x_{pc}
    $$

    $c$ is a channel, and $p$ is a step or a pixel. Every $\gamma_c$ starts as `init_value`. At the end of a
    residual branch, a small value lets each block start near the identity, and 0 exactly there.

    Use when:
        - a deep Transformer or ConvNeXt trains badly: put it at the end of each residual branch.

    Avoid when:
        - the branch is wrapped by `Residual`: its argument `scale` does the same.
        - one factor for the whole branch is enough: use `ReZero`.

    Args:
        init_value: Float of at least 0. Initial value of all factors. The paper takes 0.1 for 18 blocks, 1e-5
            for 24 and 1e-6 for more. Defaults to 1e-5.
        data_format: `"channels_last"` or `"channels_first"`. Where the channels are: the last axis, or the
            axis after the batch. Defaults to Keras's global setting, which is `"channels_last"` unless you
            change it.
        **kwargs: Standard Keras layer arguments: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: The output of a residual branch.

    Input shape:
        `(batch, ..., channels)` or `(batch, channels, ...)`, of rank 2 or more. All sizes except the number
        of channels may be unknown.

    Output shape:
        Same as the input.

    Masking:
        The mask is passed on: each step is scaled independently.

    Raises:
        ValueError: if `init_value` is not a number of at least 0, `data_format` is not recognised, or the
            number of channels is unknown.

    Example:
        ```python
        import keras
        from layerzoo import LayerScale, Residual, SelfAttention

        model = keras.Sequential([
            keras.Input((None, 16)),
            Residual([SelfAttention(4), LayerScale(1e-5)], norm="pre"),
        ])
        print(model.output_shape, model.layers[0].layer[1].gamma.shape)
        #> (None, None, 16) (16,)
        ```

    Reference:
        [Going deeper with Image Transformers](https://arxiv.org/abs/2103.17239). The factors are kept and
        applied in float32, because a start value such as 1e-6 has hardly any digits in float16.
    """

    def __init__(self, init_value: float = 1e-5, data_format: str | None = None, **kwargs):
        super().__init__(**kwargs)
        self.init_value = non_negative_number(init_value=init_value)
        self.data_format = image_format(data_format=data_format)
        self.supports_masking = True
        self.input_spec = layers.InputSpec(min_ndim=2)

    def build(self, input_shape):
        channels = known_channels(input_shape, self.data_format)
        self.gamma = self.add_weight(
            (channels,), initializers.Constant(self.init_value), name="gamma", autocast=False
        )
        axes = {channel_axis(self.data_format): channels}
        self.input_spec = layers.InputSpec(min_ndim=2, axes=axes)

    def call(self, inputs):
        inputs = floating(inputs, self.compute_dtype)
        return scaled(inputs, self.gamma, self.data_format)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        config = super().get_config()
        config.update(init_value=self.init_value, data_format=self.data_format)
        return config
