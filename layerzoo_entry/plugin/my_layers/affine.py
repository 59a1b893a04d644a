import keras
from keras import initializers, layers


@keras.saving.register_keras_serializable(package="my_layers")
class Affine(layers.Layer):
    r"""Scales and shifts each feature by learned numbers.

    $$
    y_d = g_d\, x_d + b_d
    $$

    $g$ is the gain and $b$ the shift. Both are vectors with one number per feature $d$ of the last axis.

    Use when:
        - features should be scaled and shifted without any statistics of the batch.
        - a residual branch should start small: `init_value=0.1`.

    Avoid when:
        - a linear map follows directly: it can learn both by itself.

    Args:
        init_value: Finite number. Initial value of every gain. Defaults to 1.
        use_bias: Boolean. Whether to add a shift. Defaults to True.
        bias_initializer: Initializer for the shift. Defaults to `"zeros"`.
        **kwargs: Standard Keras layer arguments: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: Features on the last axis.

    Input shape:
        `(batch, ..., width)`. All sizes except `width` may be unknown.

    Output shape:
        Same as the input.

    Masking:
        The mask is passed on: each step is processed independently.

    Raises:
        ValueError: if `init_value` is not a finite number, or the width is unknown when the layer is built.

    Example:
        ```python
        import keras
        from my_layers import Affine

        model = keras.Sequential([keras.Input((64,)), Affine(init_value=0.1), keras.layers.Dense(10)])
        print(model.output_shape)
        #> (None, 10)
        ```

    Reference:
        [ResMLP](https://arxiv.org/abs/2105.03404), which uses it in place of a Transformer's norms.
    """

    def __init__(
        self,
        init_value: float = 1.0,
        use_bias: bool = True,
        bias_initializer: str | dict | initializers.Initializer = "zeros",
        **kwargs,
    ):
        super().__init__(**kwargs)
        number = isinstance(init_value, int | float) and not isinstance(init_value, bool)
        if not number or not abs(init_value) < float("inf"):
            raise ValueError(
                f"`init_value` must be a finite number. Received: init_value={init_value!r}"
            )
        self.init_value = init_value
        self.use_bias = use_bias
        self.bias_initializer = initializers.get(bias_initializer)
        self.supports_masking = True
        self.input_spec = layers.InputSpec(min_ndim=2)

    def build(self, input_shape):
        width = input_shape[-1]
        if width is None:
            raise ValueError(
                "The last axis of the inputs must have a known size. "
                f"Received: input_shape={input_shape}"
            )
        start = initializers.Constant(self.init_value)
        self.gain = self.add_weight(shape=(width,), initializer=start, name="gain")
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                shape=(width,), initializer=self.bias_initializer, name="bias"
            )
        self.input_spec = layers.InputSpec(min_ndim=2, axes={-1: width})

    def call(self, inputs):
        outputs = inputs * self.gain
        return outputs if self.bias is None else outputs + self.bias

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        config = super().get_config()
        config.update(
            init_value=self.init_value,
            use_bias=self.use_bias,
            bias_initializer=initializers.serialize(self.bias_initializer),
        )
        return config
