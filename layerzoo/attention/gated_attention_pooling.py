import keras
from keras import initializers, layers, ops

from layerzoo.building.arguments import (
    InitializerLike,
    boolean,
    initializer,
    known_width,
    positive_int,
)
from layerzoo.building.heads import attention_spec
from layerzoo.building.recipe import recipe
from layerzoo.building.sublayers import dense
from layerzoo.ops.dtypes import floating
from layerzoo.ops.masks import fitting_mask, weigh, zero_padding


@keras.saving.register_keras_serializable(package="layerzoo")
@recipe
class GatedAttentionPooling(layers.Layer):
    r"""Gated attention pooling (ABMIL): a learned weighted mean over the instances of a bag.

    $$
    z = \sum_{t \in B} a_t\, x_t, \qquad
    a_t = \operatorname*{softmax}_{t \in B}\; \big\langle w,\;
        \tanh(V x_t) \odot \sigma(U x_t) \big\rangle
    $$

    $B$ is the set of instances that are not padding. $V$ and $U$ map each instance to `units` hidden
    features, each with a bias. $w$ turns the hidden features into one score.

    Use when:
        - only whole bags have labels, and you want to find the instances that decide (multiple-instance
          learning).
        - a sequence becomes one vector, and some steps matter more than others.

    Avoid when:
        - instances must be compared with each other: put `SelfAttention` before this layer.

    Args:
        units: Positive integer. Number of hidden features used to score an instance.
        use_bias: Boolean. Whether $V$ and $U$ have a bias. Defaults to True.
        kernel_initializer: Initializer for the kernels. Defaults to `"glorot_uniform"`.
        **kwargs: Standard Keras layer arguments: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: The bags.
        mask: Boolean tensor of shape `(batch, instances)`, false at padding. Defaults to the mask that the
            inputs carry, if any.
        return_attention_scores: Boolean. Whether to return `(outputs, scores)` instead of `outputs`.

    Input shape:
        `(batch, instances, width)`. `batch` and `instances` may be unknown.

    Output shape:
        `(batch, width)`. The scores have shape `(batch, instances)` and sum to one.

    Masking:
        The mask is consumed. Padding has a score of zero, even if it holds NaN. A bag that is all padding
        gives zeros.

    Raises:
        ValueError: if `units` is not a positive integer, or the width is unknown.
        ValueError: if a mask has another shape than stated, or other values than booleans, 0 and 1.

    Example:
        ```python
        import keras
        from layerzoo import GatedAttentionPooling

        model = keras.Sequential([
            keras.Input((None, 64)),
            GatedAttentionPooling(32),
            keras.layers.Dense(1, activation="sigmoid"),
        ])
        print(model.output_shape)
        #> (None, 1)
        ```

    Reference:
        [Attention-based Deep Multiple Instance Learning](https://arxiv.org/abs/1802.04712). The paper has no
        biases, but the authors' code has them. Here $w$ has none, because the softmax would cancel it.
    """

    def __init__(
        self,
        units: int,
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.units = positive_int(units=units)
        self.use_bias = boolean(use_bias=use_bias)
        self.kernel_initializer = initializer(kernel_initializer=kernel_initializer)
        self.supports_masking = True
        self.input_spec = layers.InputSpec(ndim=3)

    def build(self, input_shape):
        width = known_width(input_shape)
        self.hidden = dense(self, self.units, input_shape, "hidden")
        self.gate = dense(self, self.units, input_shape, "gate")
        self.score = dense(self, 1, (*input_shape[:-1], self.units), "score", use_bias=False)
        self.input_spec = layers.InputSpec(ndim=3, axes={-1: width})

    def call(self, inputs, mask=None, return_attention_scores=False):
        mask = fitting_mask(mask, inputs.shape[:2])
        x = zero_padding(floating(inputs, self.compute_dtype), mask)
        hidden = ops.tanh(self.hidden(x)) * ops.sigmoid(self.gate(x))
        scores = weigh(ops.squeeze(self.score(hidden), -1), allowed=mask)
        if mask is not None:
            scores = ops.where(mask, scores, 0.0)  # a bag of padding gets all zeros
        outputs = ops.einsum("bt,btd->bd", scores, ops.cast(x, scores.dtype))
        outputs = ops.cast(outputs, x.dtype)
        return (outputs, ops.cast(scores, x.dtype)) if return_attention_scores else outputs

    def compute_mask(self, inputs, previous_mask=None):
        return None

    def compute_output_shape(self, input_shape):
        return (input_shape[0], input_shape[-1])

    def compute_output_spec(self, inputs, mask=None, return_attention_scores=False):
        fitting_mask(mask, inputs.shape[:2])
        b, t, d = inputs.shape
        return attention_spec(self, (b, d), (b, t), return_attention_scores)

    def get_config(self):
        config = super().get_config()
        config.update(
            units=self.units,
            use_bias=self.use_bias,
            kernel_initializer=initializers.serialize(self.kernel_initializer),
        )
        return config

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        if not config.pop("gated", True):  # an argument that files saved before 0.1.0 have
            raise ValueError("`GatedAttentionPooling` is always gated. Received: gated=False")
        return super().from_config(config)
