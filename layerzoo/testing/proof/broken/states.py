"""Layers that continue from a state, sound and broken in the state alone: a plain call is right."""

import keras
from keras import layers, ops

from layerzoo.catalogue import Card, Traits
from layerzoo.testing.proof.broken.entry import Broken

register = keras.saving.register_keras_serializable(package="layerzoo.broken")


@register
class SoundMean(layers.Layer):
    """A correct layer: the mean of the steps so far, projected, and a wave over their places.

    Its state is a dict: the sum of the steps, and their number.
    """

    def __init__(self, units=3, wave=0.5, **kwargs):
        super().__init__(autocast=False, **kwargs)
        if units < 1:
            raise ValueError(f"`units` must be positive. Received: units={units}")
        self.units, self.wave = units, wave
        self.supports_masking = True

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[-1], self.units), name="kernel")
        self.input_spec = layers.InputSpec(ndim=3, axes={-1: input_shape[-1]})

    def call(self, inputs, mask=None, initial_state=None, inputs_mask=None, return_state=False):
        valid = inputs_mask if mask is None else mask
        valid = ops.ones_like(inputs[..., 0], "bool") if valid is None else ops.cast(valid, "bool")
        before = self.before(inputs, initial_state)
        x = ops.where(valid[..., None], ops.cast(inputs, self.precise), 0.0)
        total = before["total"][:, None] + ops.cumsum(x, axis=1)
        count = before["count"][:, None] + ops.cumsum(ops.cast(valid, "int32"), axis=1)
        place = self.place(before, count)
        mean = total / ops.cast(ops.maximum(count, 1), self.precise)[..., None]
        y = ops.matmul(mean, ops.cast(self.kernel, self.precise))
        y = y + ops.cos(self.wave * ops.cast(place, self.precise))[..., None]
        y = ops.cast(y, self.compute_dtype)
        if not return_state:
            return y
        return y, self.after(before, inputs, valid, total, count)

    @property
    def precise(self):
        return keras.backend.result_type(self.compute_dtype, "float32")

    def before(self, inputs, initial_state):
        b, t, _ = ops.shape(inputs)
        start = self.get_initial_state(b, t)
        return start if initial_state is None else fitting(initial_state, start)

    def place(self, before, count):
        return count

    def after(self, before, inputs, valid, total, count):
        return dict(total=total[:, -1], count=count[:, -1])

    def get_initial_state(self, batch_size, length=None):
        total = ops.zeros((batch_size, self.kernel.shape[0]), self.precise)
        return dict(total=total, count=ops.zeros((batch_size,), "int32"))

    def get_config(self):
        return {**super().get_config(), "units": self.units, "wave": self.wave}


@register
class SoundRecent(layers.Layer):
    """A correct layer: weighted sums of the latest steps, in two versions. It takes no mask.

    Its state is a list with the steps that the next one still reads.
    """

    def __init__(self, window=2, **kwargs):
        super().__init__(**kwargs)
        if window < 2:
            raise ValueError(f"`window` must be at least 2. Received: window={window}")
        self.window = window

    def build(self, input_shape):
        self.weight = self.add_weight(shape=(self.window,), initializer="ones", name="weight")
        self.gain = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="gain")
        self.input_spec = layers.InputSpec(ndim=3, axes={-1: input_shape[-1]})

    def call(self, inputs, initial_state=None, return_state=False):
        b, t, _ = ops.shape(inputs)
        start = self.get_initial_state(b, t)
        (past,) = start if initial_state is None else fitting(initial_state, start)
        steps = ops.concatenate([past, inputs], axis=1)
        weight, gain = (ops.cast(w, self.compute_dtype) for w in (self.weight, self.gain))
        y = sum(weight[k] * steps[:, k : t + k] for k in range(self.window))
        outputs = y, gain * y
        return (outputs, [self.latest(steps, t)]) if return_state else outputs

    def latest(self, steps, t):
        return steps[:, t:]

    def get_initial_state(self, batch_size, length=None):
        shape = (batch_size, self.window - 1, self.gain.shape[0])
        return [ops.zeros(shape, self.compute_dtype)]

    def get_config(self):
        return {**super().get_config(), "window": self.window}


@register
class StateBeforeTheLastStep(SoundMean):
    """The state of several steps is the one before the last of them."""

    def after(self, before, inputs, valid, total, count):
        return dict(total=total[:, -2:][:, 0], count=count[:, -2:][:, 0])


@register
class RestartsPlaces(SoundMean):
    """The places of the steps start anew in each call."""

    def place(self, before, count):
        return count - before["count"][:, None]


@register
class SharesItsState(SoundMean):
    """The samples of a batch share the state."""

    def after(self, before, inputs, valid, total, count):
        state = super().after(before, inputs, valid, total, count)
        return dict(state, total=ops.zeros_like(state["total"]) + state["total"][:1])


@register
class RoundsItsState(SoundMean):
    """In half precision the state starts in float32 and comes back in half precision."""

    def before(self, inputs, initial_state):
        if initial_state is not None and self.compute_dtype == initial_state["total"].dtype:
            total = ops.cast(initial_state["total"], self.precise)
            initial_state = dict(initial_state, total=total)
        return super().before(inputs, initial_state)

    def after(self, before, inputs, valid, total, count):
        state = super().after(before, inputs, valid, total, count)
        return dict(state, total=ops.cast(state["total"], self.compute_dtype))


@register
class KeepsTooFew(SoundRecent):
    """The oldest step that the next one reads is not kept."""

    def latest(self, steps, t):
        kept = super().latest(steps, t)
        return ops.concatenate([0 * kept[:, :1], kept[:, 1:]], axis=1)


@register
class CountsPaddedSteps(SoundMean):
    """Padding counts as steps in the state."""

    def after(self, before, inputs, valid, total, count):
        state = super().after(before, inputs, valid, total, count)
        return dict(state, count=before["count"] + ops.shape(inputs)[1])


@register
class SumsPadding(SoundMean):
    """The state ignores the mask: it has the sum of all steps."""

    def after(self, before, inputs, valid, total, count):
        state = super().after(before, inputs, valid, total, count)
        total = before["total"] + ops.sum(ops.cast(inputs, self.precise), axis=1)
        return dict(state, total=total)


@register
class StateOfPadding(SoundMean):
    """The state is that of the last step, even if it is padding, where sums are zero."""

    def after(self, before, inputs, valid, total, count):
        total = ops.where(valid[..., None], total, 0.0)
        return super().after(before, inputs, valid, total, count)


@register
class LosesCarriedMasks(SoundMean):
    """Beside a state, Keras passes the mask that a tensor carries as `inputs_mask`, which is not taken."""

    def call(self, inputs, mask=None, initial_state=None, return_state=False):
        return super().call(inputs, mask, initial_state, return_state=return_state)


@register
class AddsInPlace(SoundMean):
    """The state that was given is overwritten; only PyTorch's tensors can be."""

    def after(self, before, inputs, valid, total, count):
        state = super().after(before, inputs, valid, total, count)
        if keras.backend.backend() == "torch":
            before["total"].detach().copy_(state["total"].detach())
        return state


@register
class CountsInside(SoundMean):
    """The layer has the number of steps so far in a variable and not in the state that it is given."""

    def build(self, input_shape):
        super().build(input_shape)
        self.seen = self.add_weight(
            shape=(), dtype="int32", initializer="zeros", trainable=False, name="seen"
        )

    def before(self, inputs, initial_state):
        before = super().before(inputs, initial_state)
        if initial_state is not None:
            fresh = ops.max(before["count"]) == 0
            self.seen.assign(ops.where(fresh, 0, self.seen.value))
        return before

    def place(self, before, count):
        new = count - before["count"][:, None]
        if not hasattr(self, "goes_on"):
            return count
        return new + self.seen.value

    def call(self, inputs, mask=None, initial_state=None, inputs_mask=None, return_state=False):
        if initial_state is None:
            return super().call(inputs, mask, None, inputs_mask, return_state)
        object.__setattr__(self, "goes_on", True)
        found = super().call(inputs, mask, initial_state, inputs_mask, return_state)
        object.__delattr__(self, "goes_on")
        self.seen.assign(self.seen + ops.shape(inputs)[1])
        return found


@register
class BatchSecond(SoundMean):
    """The batch is the second axis of a tensor of the state."""

    def before(self, inputs, initial_state):
        before = super().before(inputs, initial_state)
        return dict(before, total=ops.transpose(before["total"]))

    def after(self, before, inputs, valid, total, count):
        state = super().after(before, inputs, valid, total, count)
        return dict(state, total=ops.transpose(state["total"]))

    def get_initial_state(self, batch_size, length=None):
        state = super().get_initial_state(batch_size, length)
        return dict(state, total=ops.transpose(state["total"]))


@register
class PlaceOfNumbers(SoundMean):
    """The place comes from Python's numbers; where a call is traced there are none, and it is zero."""

    def place(self, before, count):
        new = count - before["count"][:, None]
        return count if _seen(before["count"]) else new


@register
class WeaklyTyped(SoundMean):
    """On JAX the start has a weak type, as numbers of Python have, so the second step is traced again."""

    def get_initial_state(self, batch_size, length=None):
        state = super().get_initial_state(batch_size, length)
        if keras.backend.backend() == "jax":
            import jax.numpy as jnp

            state["total"] = jnp.broadcast_to(jnp.asarray(0.0), state["total"].shape)
        return state


@register
class OtherGraphEachStep(SoundMean):
    """A number of Python counts the steps, so PyTorch compiles each step again."""

    steps = 0

    def after(self, before, inputs, valid, total, count):
        object.__setattr__(self, "steps", self.steps + 1)
        state = super().after(before, inputs, valid, total, count)
        return state if self.steps > 0 else {}


@register
class TakesAnyState(SoundMean):
    """The state that is given is not looked at."""

    def before(self, inputs, initial_state):
        return super().before(inputs, None) if initial_state is None else initial_state


@register
class CastsTheState(SoundMean):
    """A state of another dtype is cast in silence."""

    def before(self, inputs, initial_state):
        if isinstance(initial_state, dict) and set(initial_state) == {"total", "count"}:
            total = ops.cast(initial_state["total"], self.precise)
            initial_state = dict(total=total, count=ops.cast(initial_state["count"], "int32"))
        return super().before(inputs, initial_state)


@register
class StopsCounting(SoundMean):
    """There is room for some steps, and further ones are not counted, in silence."""

    def before(self, inputs, initial_state):
        before = super().before(inputs, initial_state)
        object.__setattr__(self, "room", before["room"])
        return before

    def place(self, before, count):
        return ops.minimum(count, before["room"][:, None])

    def after(self, before, inputs, valid, total, count):
        state = super().after(before, inputs, valid, total, count)
        return dict(state, room=before["room"])

    def get_initial_state(self, batch_size, length=None):
        room = ops.zeros((batch_size,), "int32") + (10**6 if length is None else length)
        return dict(super().get_initial_state(batch_size, length), room=room)


def fitting(state, start):
    """A state that has the structure, the shapes and the dtypes of the one at the start."""
    told = "`initial_state` must be as `get_initial_state` returns it."
    try:
        keras.tree.assert_same_structure(state, start)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{told} Received: initial_state={state}") from error
    for x, due in zip(keras.tree.flatten(state), keras.tree.flatten(start), strict=True):
        known = [pair for pair in zip(x.shape, due.shape, strict=False) if None not in pair]
        dtypes = [keras.backend.standardize_dtype(each.dtype) for each in (x, due)]
        if len(x.shape) != len(due.shape) or any(m != n for m, n in known) or len(set(dtypes)) > 1:
            raise ValueError(f"{told} Received: {dtypes[0]} {x.shape}, not {dtypes[1]} {due.shape}")
    return state


def _seen(x) -> bool:
    """Whether the numbers of a tensor can be seen, because nothing is traced."""
    if keras.backend.backend() == "torch":
        import torch

        return not torch.compiler.is_compiling()
    try:
        ops.convert_to_numpy(x)
    except Exception:  # each backend raises its own
        return False
    return True


def _mean(layer, **traits) -> Card:
    claims = dict(masking="propagates", dynamic="b t", causal=True, continues=True)
    return Card(
        layer=layer,
        inputs="b t d",
        configs=lambda pick: dict(units=pick([3, 2]), wave=pick([0.5, 1.0])),
        traits=Traits(**{**claims, **traits}),
        errors=[dict(units=0)],
    )


def _recent(layer, **traits) -> Card:
    return Card(
        layer=layer,
        inputs="b t d",
        configs=lambda pick: dict(window=pick([2, 3])),
        traits=Traits(
            dynamic="b t",
            causal=True,
            continues=True,
            reach=lambda config: (config["window"] - 1, 0),
            **traits,
        ),
        errors=[dict(window=1)],
    )


SOUND = (_mean(SoundMean), _recent(SoundRecent))
"""Controls: correct layers, on which no property may fail."""

BROKEN = (
    Broken(_mean(StateBeforeTheLastStep), "T1"),
    Broken(_mean(RestartsPlaces), "T1"),
    Broken(_mean(SharesItsState), "T1"),
    Broken(_mean(RoundsItsState), "T1"),
    Broken(_recent(KeepsTooFew), "T1"),
    Broken(_mean(SoundMean, continues=False), "T1"),
    Broken(_mean(CountsPaddedSteps), "T2"),
    Broken(_mean(SumsPadding), "T2"),
    Broken(_mean(StateOfPadding), "T2"),
    Broken(_mean(LosesCarriedMasks), "T2"),
    Broken(_mean(AddsInPlace), "T3", sound_on=("tensorflow", "jax")),
    Broken(_mean(CountsInside), "T3"),
    Broken(_mean(BatchSecond), "T3"),
    Broken(_mean(PlaceOfNumbers), "T4"),
    Broken(_mean(WeaklyTyped), "T4", sound_on=("tensorflow", "torch")),
    Broken(_mean(OtherGraphEachStep), "T4", sound_on=("tensorflow", "jax")),
    Broken(_mean(TakesAnyState), "T5"),
    Broken(_mean(CastsTheState), "T5"),
    Broken(_mean(StopsCounting), "T5"),
)
