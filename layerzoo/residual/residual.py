import keras
from keras import initializers, layers

from layerzoo.building.arguments import (
    known_width,
    one_of,
    optional_positive_number,
    positive_number,
    probability,
)
from layerzoo.building.sublayers import apply_in_turn, unbuilt
from layerzoo.residual.drop_path import DropPath


@keras.saving.register_keras_serializable(package="layerzoo")
class Residual(layers.Layer):
    r"""Residual connection around any layer, with optional pre-norm, post-norm or sandwich norm.

    $$
    \begin{aligned}
    \text{None:} \quad & y = W x + D(\gamma \odot F(x)) \\
    \text{pre:} \quad & y = W x + D(\gamma \odot F(N_1(x))) \\
    \text{post:} \quad & y = N_2(W x + D(\gamma \odot F(x))) \\
    \text{sandwich:} \quad & y = W x + D(\gamma \odot N_2(F(N_1(x))))
    \end{aligned}
    $$

    $F$ is `layer`. $N_1$ and $N_2$ are layer normalisations, placed by `norm`. $\gamma$ is one learned factor
    per feature, present only with `scale`. $D$ is a `DropPath`. $W$ projects the shortcut, but only if $F$
    changes the width; otherwise $W x = x$.

    Use when:
        - a Sequential model needs residual connections: `Residual(Dense(64))` is a single entry.
        - you want to turn a layer, or a list of layers, into a residual block.

    Avoid when:
        - the branch changes the time or image axes (strides): use a block with its own shortcut.

    Args:
        layer: Layer, or list of layers applied in turn, with one input and one output.
        norm: None, `"pre"`, `"post"` or `"sandwich"`. Where to apply layer normalisation. Defaults to None.
        scale: Positive float. Initial value of a learned factor per feature on the branch. Defaults to None:
            no factor.
        drop_path: Float between 0 and 1. Fraction of samples whose branch is dropped during training.
            Defaults to 0.
        epsilon: Positive float. Added to the variance in the norms. Defaults to 1e-5.
        seed: Integer. Random seed for `drop_path`. Defaults to None.
        **kwargs: Standard Keras layer arguments: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: The input of the branch, which is also added to the branch's output.
        mask: Boolean tensor, false at padding. Passed to the wrapped layers that accept a mask.
        training: Boolean. Whether to drop branches. The wrapped layers receive it too.

    Input shape:
        Any shape that `layer` accepts. The size of the last axis must be known.

    Output shape:
        Same as the output of `layer`. All axes except the last must match the input.

    Masking:
        The mask is passed on, because the shortcut keeps every step.

    Raises:
        ValueError: if `layer` is not a layer or a list of layers, `norm` is not recognised, a number is out
            of range, the width is unknown, or `layer` changes an axis other than the last.

    Example:
        ```python
        import keras
        from layerzoo import GatedMLP, Residual, SelfAttention

        model = keras.Sequential([
            keras.Input((None, 16)),
            Residual(SelfAttention(4), norm="pre"),
            Residual(GatedMLP(32), norm="pre"),
        ])
        print(model.output_shape)
        #> (None, None, 16)
        ```

    Reference:
        [Deep Residual Learning](https://arxiv.org/abs/1512.03385). Pre-activation is from
        [Identity Mappings](https://arxiv.org/abs/1603.05027), and the sandwich norm from
        [Peri-LN](https://arxiv.org/abs/2502.02732). Papers on convolutional networks project the
        shortcut with a convolution. Here the projection is a matrix on the last axis, without bias.
    """

    def __init__(
        self,
        layer: layers.Layer | list[layers.Layer],
        norm: str | None = None,
        scale: float | None = None,
        drop_path: float = 0.0,
        epsilon: float = 1e-5,
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        chain = layer if isinstance(layer, list | tuple) else [layer]
        if not chain or not all(isinstance(item, layers.Layer) for item in chain):
            raise ValueError(
                f"`layer` must be a Keras layer or a list of Keras layers. Received: layer={layer!r}"
            )
        one_of((None, "pre", "post", "sandwich"), norm=norm)
        optional_positive_number(scale=scale)
        probability(drop_path=drop_path)
        positive_number(epsilon=epsilon)
        self.layer = layer
        self.norm = norm
        self.scale = scale
        self.drop_path = drop_path
        self.epsilon = epsilon
        self.seed = seed
        self.supports_masking = True

    def build(self, input_shape):
        input_width = known_width(input_shape)
        branch = keras.KerasTensor(input_shape, dtype=self.compute_dtype)
        for layer in self._chain():
            branch = layer(branch)
        if tuple(branch.shape[:-1]) != tuple(input_shape[:-1]):
            raise ValueError(
                "`layer` must keep every axis except the last, because its output is added to its "
                f"input. Received: input_shape={tuple(input_shape)}, "
                f"output_shape={tuple(branch.shape)}"
            )
        width = branch.shape[-1]

        if self.norm in ("pre", "sandwich"):
            self.norm_in = self._norm("norm_in")
            self.norm_in.build(input_shape)
        if self.norm in ("post", "sandwich"):
            self.norm_out = self._norm("norm_out")
            self.norm_out.build(branch.shape)
        if self.scale is not None:
            self.gamma = self.add_weight(
                shape=(width,), initializer=initializers.Constant(self.scale), name="gamma"
            )
        self.project = None
        if width != input_width:
            self.project = layers.Dense(
                width, use_bias=False, dtype=self.dtype_policy, name="project"
            )
            self.project.build(input_shape)
        self.drop = DropPath(self.drop_path, self.seed, dtype=self.dtype_policy, name="drop_path")
        self.input_spec = layers.InputSpec(min_ndim=1, axes={-1: input_width})

    def call(self, inputs, mask=None, training=None):
        branch = self.norm_in(inputs) if self.norm in ("pre", "sandwich") else inputs
        branch = apply_in_turn(self._chain(), branch, mask)
        if self.norm == "sandwich":
            branch = self.norm_out(branch)
        if self.scale is not None:
            branch = branch * self.gamma
        shortcut = inputs if self.project is None else self.project(inputs)
        outputs = shortcut + self.drop(branch, training=training)
        return self.norm_out(outputs) if self.norm == "post" else outputs

    def compute_output_shape(self, input_shape):
        shape = input_shape
        for layer in self._chain():
            shape = layer.compute_output_shape(shape)
        return (*input_shape[:-1], shape[-1])

    def get_config(self):
        config = super().get_config()
        config.update(
            layer=unbuilt(keras.saving.serialize_keras_object(self.layer)),
            norm=self.norm,
            scale=self.scale,
            drop_path=self.drop_path,
            epsilon=self.epsilon,
            seed=self.seed,
        )
        return config

    @classmethod
    def from_config(cls, config):
        layer = keras.saving.deserialize_keras_object(config["layer"])
        return super().from_config({**config, "layer": layer})

    def _chain(self):
        return self.layer if isinstance(self.layer, list | tuple) else [self.layer]

    def _norm(self, name):
        return layers.LayerNormalization(epsilon=self.epsilon, dtype=self.dtype_policy, name=name)
