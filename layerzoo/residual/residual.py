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
    r"""Adds what a layer computes to what it was given.

    $$
    \begin{aligned}
    \text{None:} \quad & y = W x + D(\gamma \odot F(x)) \\
    \text{pre:} \quad & y = W x + D(\gamma \odot F(N_1(x))) \\
    \text{post:} \quad & y = N_2(W x + D(\gamma \odot F(x))) \\
    \text{sandwich:} \quad & y = W x + D(\gamma \odot N_2(F(N_1(x))))
    \end{aligned}
    $$

    $F$ is `layer`, $N$ layer normalisation placed by `norm`, $\gamma$ one learned factor a feature
    (only with `scale`), $D$ a `DropPath`, and $W$ a projection of the shortcut, only where $F$ changes
    the width; otherwise $W x = x$.

    Use when:
        - a Sequential model should have residual connections: `Residual(Dense(64))` is one entry.
        - an existing layer, or a list of layers, should become a block.

    Avoid when:
        - the branch changes the time or image axes (strides): a block with its own shortcut knows how.

    Args:
        layer: Layer, or list of layers applied in turn, with one input and one output.
        norm: None, `"pre"`, `"post"` or `"sandwich"`: where layer normalisation stands.
        scale: Positive float. Start of a learned factor a feature on the branch. Default: no factor.
        drop_path: Float from 0 to 1. Share of samples whose branch is dropped in training.
        epsilon: Positive float. Added to the variance in the norms. Default 1e-5.
        seed: Integer. Seed of `drop_path`.
        **kwargs: Keras's own: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: What the branch is given, and what is added to its result.
        mask: Boolean, false at padding. Handed to those of the wrapped layers that take one.
        training: Whether to drop branches. The wrapped layers get it too.

    Input shape:
        Any that `layer` takes, with a last axis of known size.

    Output shape:
        That of `layer`'s output. All axes but the last must be the input's.

    Masking:
        Passed on: the shortcut keeps every step.

    Raises:
        ValueError: `layer` is not a layer or a list of them, `norm` is unknown, a number is out of its
            range, the width is unknown, or `layer` changes an axis other than the last.

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
        [Deep Residual Learning](https://arxiv.org/abs/1512.03385); pre-activation in
        [Identity Mappings](https://arxiv.org/abs/1603.05027); both norms in
        [Peri-LN](https://arxiv.org/abs/2502.02732). The papers' projection has the shape of their
        convolutions; this one is a matrix on the last axis, without bias.
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
                "`layer` must keep every axis but the last, for its output is added to its input. "
                f"Received: input_shape={tuple(input_shape)}, output shape {tuple(branch.shape)}"
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
