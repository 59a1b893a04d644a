"""What the layers that stand in for Keras's `GRU` and `LSTM` share: states, order of time, outputs."""

import keras
from keras import backend, initializers, ops

from layerzoo.building.states import fitting_tensor, mask_of_inputs
from layerzoo.ops.masks import zero_padding
from layerzoo.ops.recurrence import last_of, linear_recurrence


def hidden(layer, initial_state, batch_size):
    """The state to continue from, in float32 or better, or None at the start of a sequence.

    Args:
        layer: the layer, with its `units`.
        initial_state: None, a tensor, or a list of one tensor, as `Bidirectional` passes it.
        batch_size: number of samples, or None.

    Raises:
        ValueError: the state has another shape or dtype.
    """
    if isinstance(initial_state, list | tuple) and len(initial_state) == 1:
        (initial_state,) = initial_state
    if initial_state is None:
        return None
    return fitting_tensor(initial_state, (batch_size, layer.units), state_dtype(layer))


def state_dtype(layer) -> str:
    """The dtype of a state: float32 or better."""
    return backend.result_type(layer.compute_dtype, "float32")


def in_state_dtype(layer, *tensors) -> list:
    """Tensors in the dtype of a layer's state."""
    return [ops.cast(x, state_dtype(layer)) for x in tensors]


def recurrent(layer, gates, inputs, mask, inputs_mask, initial_state, return_state):
    """The outputs of a recurrent layer, and its state if that is wanted.

    Args:
        layer: the layer, with its `units`, `return_sequences`, `return_state` and `go_backwards`.
        gates: a function of the inputs, padding set to zero, that returns the logarithms of the decays and
            what the steps add, both in the dtype of the state.
        inputs: `(b, t, d)`.
        mask: what was passed to the call.
        inputs_mask: what was passed to the call.
        initial_state: what was passed to the call.
        return_state: what was passed to the call. None takes the layer's own.
    """
    mask = mask_of_inputs(mask, inputs_mask, inputs.shape[:2])
    before = hidden(layer, initial_state, inputs.shape[0])
    inputs = zero_padding(ops.cast(inputs, layer.compute_dtype), mask)
    log_decay, x = gates(inputs)
    if layer.go_backwards:
        log_decay, x = (ops.flip(y, axis=1) for y in (log_decay, x))
        mask = flipped(layer, mask)
    # a step of padding keeps what is there
    states = linear_recurrence(zero_padding(log_decay, mask), zero_padding(x, mask), before)
    last = last_of(states, before)
    outputs = zero_padding(states, mask) if layer.return_sequences else last
    outputs = ops.cast(outputs, layer.compute_dtype)
    return (outputs, last) if returns_state(layer, return_state) else outputs


def flipped(layer, mask):
    """A mask in the order in which a layer returns its outputs."""
    return ops.flip(mask, axis=1) if layer.go_backwards and mask is not None else mask


def returns_state(layer, return_state) -> bool:
    """Whether a call returns a state: as it was told, or else as the layer was made."""
    return layer.return_state if return_state is None else return_state


def outputs_shape(layer, input_shape) -> tuple:
    """The shape of the outputs, without a state."""
    return (*input_shape[: 2 if layer.return_sequences else 1], layer.units)


def recurrent_spec(layer, inputs, initial_state, mask, inputs_mask, return_state):
    """The symbolic results of a call, after the checks of its arguments."""
    mask_of_inputs(mask, inputs_mask, inputs.shape[:2])
    hidden(layer, initial_state, inputs.shape[0])
    outputs = keras.KerasTensor(outputs_shape(layer, inputs.shape), dtype=layer.compute_dtype)
    if not returns_state(layer, return_state):
        return outputs
    return outputs, keras.KerasTensor((inputs.shape[0], layer.units), dtype=state_dtype(layer))


def speeds_of_forgetting(shape, dtype=None):
    """Numbers whose softplus, times 8, is the logarithm of one over a decay between 0.9 and 0.999."""
    decays = initializers.RandomUniform(0.9, 0.999)(shape, "float32")
    return ops.cast(ops.log(ops.expm1(-ops.log(decays) / 8.0)), dtype)
