"""A state that is passed from step to step, sound and broken in gradients and execution."""

import keras
from keras import layers, ops

from layerzoo.catalogue import Card, Traits
from layerzoo.testing.proof.broken.entry import Broken

register = keras.saving.register_keras_serializable(package="layerzoo.broken")


@register
class Recurrent(layers.Layer):
    """A correct layer: a state that decays, adds each step, and is the output for that step."""

    def __init__(self, units, decay=0.5, **kwargs):
        super().__init__(**kwargs)
        if units < 1:
            raise ValueError(f"`units` must be positive. Received: units={units}")
        self.units, self.decay = units, decay

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[-1], self.units), name="kernel")
        self.recurrent = self.add_weight(shape=(self.units, self.units), name="recurrent")
        self.bias = self.add_weight(shape=(self.units,), initializer="zeros", name="bias")
        self.input_spec = layers.InputSpec(ndim=3, axes={-1: input_shape[-1]})

    def call(self, inputs, training=None):
        state = self.start(inputs)
        outputs = []
        for step in range(inputs.shape[1]):
            state = self.step(inputs[:, step], state)
            outputs.append(state)
        self.end(state)
        return ops.stack(outputs, axis=1)

    def start(self, inputs):
        return ops.zeros((ops.shape(inputs)[0], self.units), dtype=inputs.dtype)

    def step(self, x, state):
        new = ops.matmul(x, self.kernel) + ops.matmul(state, self.recurrent) + self.bias
        return self.decay * state + (1 - self.decay) * self.squash(new)

    def squash(self, x):
        return ops.tanh(x)

    def end(self, state):
        """Nothing is left of the last state."""

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def get_config(self):
        return {**super().get_config(), "units": self.units, "decay": self.decay}


@register
class Remembering(Recurrent):
    """A correct stateful layer: each call starts from the last state of the call before."""

    def build(self, input_shape):
        super().build(input_shape)
        self.memory = self.add_weight(
            shape=(input_shape[0], self.units), initializer="zeros", trainable=False, name="memory"
        )

    def start(self, inputs):
        return ops.copy(self.memory)

    def end(self, state):
        self.memory.assign(ops.stop_gradient(state))


@register
class Reversed(Recurrent):
    """A correct layer whose gradient has the opposite sign on purpose, as its card says."""

    def call(self, inputs, training=None):
        y = super().call(inputs, training=training)
        return ops.stop_gradient(2 * y) - y


@register
class Detached(Recurrent):
    """A correct layer that passes no gradient to its inputs, as its card says."""

    def call(self, inputs, training=None):
        return super().call(ops.stop_gradient(inputs), training=training)


def negative(layer, given):
    """What the gradient of `Reversed` is the derivative of."""
    return -Recurrent.call(layer, given["inputs"])


@register
class HalfThroughTime(Recurrent):
    """Half of the gradient is lost from step to step."""

    def step(self, x, state):
        return super().step(x, 0.5 * state + 0.5 * ops.stop_gradient(state))


@register
class SignOfSquash(Recurrent):
    """A formula for the gradient has the wrong sign."""

    def squash(self, x):
        y = super().squash(x)
        return ops.stop_gradient(2 * y) - y


@register
class BlindToTheFirst(Recurrent):
    """The first step passes through NumPy, which makes it a constant."""

    def call(self, inputs, training=None):
        first = ops.stop_gradient(inputs[:, :1])
        return super().call(ops.concatenate([first, inputs[:, 1:]], axis=1), training=training)


@register
class UnusedGate(Recurrent):
    """A gate is made but not used."""

    def build(self, input_shape):
        super().build(input_shape)
        self.gate = self.add_weight(shape=(self.units,), name="gate")


@register
class RootOfInputs(Recurrent):
    """The derivative of a root is not finite at zero."""

    def call(self, inputs, training=None):
        size = ops.sum(ops.sqrt(ops.square(inputs)), axis=-1, keepdims=True)
        return super().call(inputs, training=training) + 0.1 * size


@register
class CountsInAModel(Recurrent):
    """In a model, training changes a non-trainable weight, and the card does not say so."""

    def build(self, input_shape):
        super().build(input_shape)
        self.count = self.add_weight(shape=(), initializer="zeros", trainable=False, name="count")

    def call(self, inputs, training=None):
        if training and self._inbound_nodes:
            self.count.assign(self.count + 1.0)
        return super().call(inputs, training=training)


@register
class OtherGradientCompiled(Recurrent):
    """The compiled gradient differs from the eager one by a hundredth."""

    def call(self, inputs, training=None):
        y = super().call(inputs, training=training)
        odd = _traced(inputs) == (keras.backend.backend() != "jax")
        return y + 0.01 * (y - ops.stop_gradient(y)) if odd else y


@register
class WrongForwardRule(Recurrent):
    """The gradient is right in reverse mode but wrong in forward mode."""

    def call(self, inputs, training=None):
        return _identity(super().call(inputs, training=training))


@register
class WrongSecondDerivative(Recurrent):
    """A custom formula has the right value and first derivative, but no second derivative."""

    def squash(self, x):
        y = ops.stop_gradient(super().squash(x))
        return y + (1 - ops.square(y)) * (x - ops.stop_gradient(x))


@register
class ReversedTooLittle(Recurrent):
    """The gradient is reversed, and a tenth of it is missing."""

    def call(self, inputs, training=None):
        y = super().call(inputs, training=training)
        return ops.stop_gradient(1.9 * y) - 0.9 * y


@register
class OtherWhenCompiled(Recurrent):
    """If compiled, the layer adds a number to its outputs."""

    def call(self, inputs, training=None):
        y = super().call(inputs, training=training)
        return y + 1e-3 if _traced(inputs) and not (training or self._inbound_nodes) else y


@register
class CountsInPython(Recurrent):
    """A Python number changes with each call, so PyTorch compiles each call again."""

    calls = 0

    def call(self, inputs, training=None):
        object.__setattr__(self, "calls", self.calls + 1)
        y = super().call(inputs, training=training)
        return y if self.calls > 0 else -y


@register
class NeedsTheBatch(Recurrent):
    """In training the layer needs a known batch size, which TensorFlow may not have."""

    def call(self, inputs, training=None):
        if training and not self._inbound_nodes:
            inputs = ops.reshape(inputs, (inputs.shape[0] or 2, *inputs.shape[1:]))
        return super().call(inputs, training=training)


@register
class GuessesTheBatch(Recurrent):
    """A batch of unknown size counts as one sample. On TensorFlow it is unknown once sizes differ."""

    def call(self, inputs, training=None):
        size, _, width = inputs.shape
        start = ops.zeros((size or 1, 1, width), inputs.dtype)
        inputs = ops.concatenate([start, inputs], axis=1)[:, 1:]
        return super().call(inputs, training=training)


@register
class SetsTheWorld(Recurrent):
    """Each call changes a global setting, so JAX traces the next call again."""

    def call(self, inputs, training=None):
        if keras.backend.backend() == "jax":
            import jax

            now = jax.config.jax_default_matmul_precision
            jax.config.update("jax_default_matmul_precision", None if now else "highest")
        return super().call(inputs, training=training)


@register
class KeepsTheLastState(Recurrent):
    """In training the layer stores its last state, which keeps the trace or graph of the call alive."""

    def call(self, inputs, training=None):
        y = super().call(inputs, training=training)
        if training:
            object.__setattr__(self, "last", [y[:, -1]])
        return y


@register
class ReturnsTheOldState(Remembering):
    """The stateless call returns the state that it received, unchanged."""

    def stateless_call(self, trainable_variables, non_trainable_variables, *args, **kwargs):
        outputs, *_ = super().stateless_call(
            trainable_variables, non_trainable_variables, *args, **kwargs
        )
        return outputs, non_trainable_variables


@register
class WritesItsState(Remembering):
    """The stateless call changes the layer's own state."""

    def stateless_call(self, trainable_variables, non_trainable_variables, *args, **kwargs):
        outputs, state = super().stateless_call(
            trainable_variables, non_trainable_variables, *args, **kwargs
        )
        self.memory.assign(state[0])
        return outputs, state


@register
class OtherOnJax(Recurrent):
    """A constant differs between backends."""

    def squash(self, x):
        return super().squash(x * (1.01 if keras.backend.backend() == "jax" else 1.0))


@register
class KnowsTheBatch(Recurrent):
    """The layer remembers a batch size, and a trace for any size keeps it."""

    seen = 2

    def call(self, inputs, training=None):
        y = super().call(inputs, training=training)
        object.__setattr__(self, "seen", inputs.shape[0] or self.seen)
        return y[: self.seen] if self._inbound_nodes and not training else y


@register
class NotExportable(Recurrent):
    """The call needs this process, so it cannot be exported: a callback on JAX, Python on PyTorch."""

    def call(self, inputs, training=None):
        y = super().call(inputs, training=training)
        if keras.backend.backend() == "torch":
            return y if float(ops.sum(ops.abs(inputs))) >= 0 else -y
        if keras.backend.backend() == "jax":
            import jax

            jax.debug.callback(lambda x: None, y)
        return y


def _traced(x) -> bool:
    """Whether a call is traced, and not only differentiated: then `x` has no number to look at."""
    if keras.backend.backend() == "torch":
        import torch

        return torch.compiler.is_compiling()
    try:
        float(ops.sum(ops.stop_gradient(x)))
    except Exception:  # each backend raises its own
        return True
    return False


def _identity(x):
    """The identity with the right rule in reverse mode and another in forward mode."""
    if keras.backend.backend() == "tensorflow":  # in forward mode TensorFlow ignores the rule

        @ops.custom_gradient
        def identity(x):
            def grad(*args, upstream=None):
                return args[0] if upstream is None else upstream

            return 2 * x - ops.stop_gradient(x), grad

        return identity(x)
    if keras.backend.backend() == "jax":
        import jax

        @jax.custom_jvp
        def same(x):
            return x

        @same.defjvp
        def rule(primals, tangents):
            half = jax.custom_derivatives.linear_call(
                lambda _, t: 0.5 * t, lambda _, t: t, (), tangents[0]
            )
            return primals[0], half

        return same(x)
    import torch

    class Same(torch.autograd.Function):
        @staticmethod
        def forward(x):
            return x * 1.0

        @staticmethod
        def setup_context(context, inputs, output):
            pass

        @staticmethod
        def backward(context, upstream):
            return upstream

        @staticmethod
        def jvp(context, tangent):
            return 0.5 * tangent

    return Same.apply(x)


def _card(layer, **traits) -> Card:
    remembers = issubclass(layer, Remembering)
    defaults = dict(
        dynamic="" if remembers else "b",
        causal=True,
        state="always" if remembers else None,
    )
    return Card(
        layer=layer,
        inputs="b t d",
        configs=lambda pick: dict(units=pick([3, 4]), decay=pick([0.5, 0.8])),
        dims=lambda pick, config: dict(t=pick([5, 3])),  # a single step has no past to learn from
        traits=Traits(**{**defaults, **traits}),
        errors=[dict(units=0)],
    )


SOUND = (
    _card(Recurrent, twice_differentiable=True),
    _card(Remembering),
    _card(Reversed, surrogate=negative),
    _card(Detached, differentiable="none"),
)
"""Controls: correct layers, on which no property may fail."""

BROKEN = (
    Broken(_card(HalfThroughTime), "G1"),
    Broken(_card(SignOfSquash), "G1"),
    Broken(_card(BlindToTheFirst), "G1"),
    Broken(_card(UnusedGate), "G2"),
    Broken(_card(RootOfInputs), "G3"),
    Broken(_card(CountsInAModel), "G4"),
    Broken(_card(OtherGradientCompiled), "G5"),
    Broken(_card(WrongForwardRule), "G6"),
    Broken(_card(WrongSecondDerivative, twice_differentiable=True), "G7"),
    Broken(_card(Recurrent, twice_differentiable=False), "G7"),
    Broken(_card(ReversedTooLittle, surrogate=negative), "G8"),
    Broken(_card(Recurrent, differentiable="none"), "G8"),
    Broken(_card(OtherWhenCompiled), "X1"),
    Broken(_card(GuessesTheBatch), "L1", raises=True, sound_on=("jax", "torch")),
    Broken(_card(CountsInPython), "X2", sound_on=("tensorflow", "jax")),
    Broken(_card(NeedsTheBatch), "X2", raises=True, sound_on=("jax", "torch")),
    Broken(_card(SetsTheWorld), "X2", sound_on=("tensorflow", "torch")),
    Broken(_card(KeepsTheLastState), "X3"),
    Broken(_card(ReturnsTheOldState), "X4"),
    Broken(_card(WritesItsState), "X4"),
    Broken(_card(OtherOnJax), "X5"),
    Broken(_card(KnowsTheBatch), "X6", sound_on=("jax", "torch")),
    Broken(_card(NotExportable), "X6", raises=True, sound_on=("tensorflow",)),
)
