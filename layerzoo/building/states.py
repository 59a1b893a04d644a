"""States that go from call to call: what a layer keeps of the steps that it has seen."""

import inspect

import keras
from keras import backend, ops

from layerzoo.building.arguments import optional_positive_int, positive_int
from layerzoo.ops.masks import fitting_mask


def empty(tensors) -> dict:
    """A state before the first step: zeros, by the shape and the dtype of each tensor."""
    return {name: ops.zeros(shape, dtype) for name, (shape, dtype) in tensors.items()}


def started(layer, inputs, initial_state, return_state, return_attention_scores=False):
    """The state to continue from: `initial_state`, or that of a start, or None if no state is wanted.

    Args:
        layer: the layer. Its `state_tensors(batch_size, length)` tells the shape and the dtype of each tensor
            of its state, by name. A `length` of None is any length.
        inputs: the steps that follow.
        initial_state: what was passed to the call.
        return_state: what was passed to the call.
        return_attention_scores: what was passed to the call.

    Raises:
        ValueError: a state is wanted of a layer that is not causal, or beside scores, or does not fit.
    """
    if initial_state is None and not return_state:
        return None
    if not getattr(layer, "causal", True):
        raise ValueError(
            "A layer must have `causal=True` to continue from a state, because later steps may not change "
            f"what earlier ones gave. Received: causal=False in {layer.name}"
        )
    if return_attention_scores:
        raise ValueError(
            "`return_attention_scores` must be False where a state is passed or returned. "
            "Received: return_attention_scores=True"
        )
    if initial_state is not None:
        return fitting_state(initial_state, layer.state_tensors(inputs.shape[0], None))
    symbolic = keras.utils.is_keras_tensor(inputs)
    b, t = (inputs.shape if symbolic else ops.shape(inputs))[:2]
    tensors = layer.state_tensors(b, t)
    return symbols(tensors) if symbolic else empty(tensors)


def spec_with_state(
    layer,
    outputs,
    inputs,
    mask=None,
    return_attention_scores=False,
    training=None,
    initial_state=None,
    inputs_mask=None,
    return_state=False,
):
    """The symbolic results of a call, `outputs` without a state, after the checks of its arguments."""
    mask_of_inputs(mask, inputs_mask, inputs.shape[:2])
    state = started(layer, inputs, initial_state, return_state, return_attention_scores)
    return with_state(outputs, state, return_state)


def with_state(outputs, state, return_state):
    """What a call returns: the outputs, and the state if it is asked for."""
    return (outputs, state) if return_state else outputs


def first_state(layer, batch_size, length=None) -> dict:
    """Return the state of a layer at the start of a sequence.

    Args:
        layer: the layer, which has `state_tensors`.
        batch_size: Integer. Number of samples.
        length: Positive integer. Number of steps that there is room for. A layer whose state does not grow
            does not use it.

    Raises:
        ValueError: the layer needs a `length`.
    """
    tensors = layer.state_tensors(batch_size, optional_positive_int(length=length))
    if any(None in shape for shape, _ in tensors.values()):
        positive_int(length=length)
    return empty(tensors)


def symbols(tensors) -> dict:
    """The symbolic tensors of a state, by the shape and the dtype of each."""
    return {name: keras.KerasTensor(shape, dtype=dtype) for name, (shape, dtype) in tensors.items()}


def fitting_state(state, tensors) -> dict:
    """A state, if it has the tensors that a layer keeps. Symbols are replaced by new ones of the same shapes.

    Args:
        state: what was passed as `initial_state`.
        tensors: the shape and the dtype of each tensor, by name. A size of None fits any size.

    Raises:
        ValueError: a tensor is missing, not known, or of another shape or dtype.
    """
    must_have_names(state, tensors)
    return {
        name: fitting_tensor(state[name], shape, dtype, f"have a {name!r}")
        for name, (shape, dtype) in tensors.items()
    }


def fitting_tensor(given, due, dtype, must="be a tensor"):
    """A tensor of a state, if it has a shape and a dtype. A symbol is replaced by a new one of its shape.

    Args:
        given: the tensor.
        due: the shape. A size of None fits any size.
        dtype: the dtype.
        must: what the state must have or be, for the error.

    Raises:
        ValueError: it is no tensor, or of another shape or dtype.
    """
    rule = f"`initial_state` must {must} of shape {tuple(due)} and dtype {dtype}."
    if keras.utils.is_keras_tensor(given):
        given = keras.KerasTensor(given.shape, dtype=given.dtype)
    else:
        try:
            given = ops.convert_to_tensor(given)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{rule} Received: {type(given).__name__}") from error
    shape, kind = tuple(given.shape), backend.standardize_dtype(given.dtype)
    known = [(m, n) for m, n in zip(shape, due, strict=False) if {type(m), type(n)} == {int}]
    if len(shape) != len(due) or any(m != n for m, n in known) or kind != dtype:
        raise ValueError(f"{rule} Received: shape {shape}, dtype {kind}")
    return given


def must_keep_a_context(state) -> None:
    """Raise a `ValueError` if a state of cross-attention is that of a start, which keeps no context."""
    if state["key"].shape[2] == 0:
        raise ValueError(
            "`context` must be passed to the first call, because its `initial_state` keeps none yet. "
            "Received: context=None"
        )


def must_have_names(state, names) -> None:
    """Raise a `ValueError` unless a state is a dict with these keys."""
    if not isinstance(state, dict) or set(state) != set(names):
        found = sorted(map(str, state)) if isinstance(state, dict) else type(state).__name__
        raise ValueError(
            f"`initial_state` must be a dict of {', '.join(sorted(names))}. Received: {found}"
        )


def mask_of_inputs(mask, inputs_mask, sizes):
    """The mask of the inputs: `mask`, or what Keras passes as `inputs_mask` if there is a state."""
    inputs_mask = fitting_mask(inputs_mask, sizes, "inputs_mask")
    mask = fitting_mask(mask, sizes)
    return inputs_mask if mask is None else mask


def parts_with_states(owner, names, initial_state, return_state):
    """A function that runs the layers of an owner, each from its own state, and a dict of the new states.

    Args:
        owner: the layer that holds them.
        names: the attributes that hold them.
        initial_state: a dict of their states by these names, or None at the start of a sequence.
        return_state: whether the states are wanted. Without that and without `initial_state`, the layers run
            without a state.

    Raises:
        ValueError: `initial_state` does not have these names.
    """
    if initial_state is not None:
        must_have_names(initial_state, names)
    states: dict = {}

    def run(name, x, **given):
        layer = getattr(owner, name)
        if initial_state is None and not return_state:
            return layer(x, **given)
        past = initial_state and initial_state[name]
        x, states[name] = layer(x, initial_state=past, return_state=True, **given)
        return x

    return run, states


def flat(chain) -> list:
    """Layers that are applied in turn, with those of a `Sequential` model in its place."""
    inside = [flat(each.layers) if isinstance(each, keras.Sequential) else [each] for each in chain]
    return [layer for each in inside for layer in each]


def continues(layer) -> bool:
    """Whether a layer continues from a state."""
    return "return_state" in inspect.signature(layer.call).parameters


def must_need_no_state(layer) -> None:
    """Raise a `ValueError` if a layer that does not continue from a state has one, or holds a layer that has.

    It would start anew in each call.
    """
    if any(hasattr(part, "get_initial_state") for part in layer._flatten_layers()):
        raise ValueError(
            "A layer that has a state, or holds a layer that has one, must take `initial_state` and "
            f"`return_state` in its call. Received: layer={layer}"
        )


def initial_states(chain, batch_size, length) -> list:
    """A state for each of the layers, applied in turn, that continue from one."""
    states = []
    for layer in flat(chain):
        if continues(layer):
            states.append(layer.get_initial_state(batch_size, length))
        else:
            must_need_no_state(layer)
    return states


def apply_in_turn(chain, x, mask=None):
    """Run `x` through a list of layers. Each layer gets the mask that the previous one leaves."""
    for layer in chain:
        x, mask, _ = _applied(layer, x, mask)
    return x


def apply_with_states(chain, x, mask=None, states=None, return_state=True, training=None):
    """Like `apply_in_turn`, but each layer that has a state continues from its own.

    A layer that knows nothing of masks leaves the mask as it is, since no step may be added or taken away.
    Otherwise, the padding behind it would take places in the states.

    Args:
        chain: the layers.
        x: the steps that follow.
        mask: their mask.
        states: as `initial_states` returns them, or None at the start of a sequence.
        return_state: whether the states are wanted. Without them and without `states`, the layers are applied
            as `apply_in_turn` does, and the states are None.
        training: passed to the layers that take it, unless it is None.

    Returns:
        The outputs and the new states.
    """
    if states is None and not return_state:
        return apply_in_turn(chain, x, mask), None
    chain = [(layer, continues(layer)) for layer in flat(chain)]
    number = sum(keeps for _, keeps in chain)
    states = [None] * number if states is None else states
    if not isinstance(states, list | tuple) or len(states) != number:
        raise ValueError(
            f"`initial_state` must be a list of {number} states, one for each layer that has one. "
            f"Received: {type(states).__name__} of length {len(states)}"
        )
    kept: list = []
    for layer, keeps in chain:
        given = {}
        if training is not None and "training" in inspect.signature(layer.call).parameters:
            given["training"] = training
        if keeps:
            given |= dict(initial_state=states[len(kept)], return_state=True)
        x, left, state = _applied(layer, x, mask, **given)
        mask = left if layer.supports_masking else mask
        if keeps:
            kept.append(state)
        else:
            must_need_no_state(layer)  # which the layers inside tell once they are built
    return x, kept


def spec_of_states(chain, x, states=None, return_state=True):
    """The symbolic states that `apply_with_states` returns, given a symbolic `x`."""
    if not return_state:
        return None
    kept: list = []
    for layer in flat(chain):
        given = {}
        if continues(layer):
            past = None if states is None else states[len(kept)]
            given = dict(initial_state=past, return_state=True)
        x = layer.compute_output_spec(x, **given)
        if given:
            x, state = x
            kept.append(state)
    return kept


def _applied(layer, x, mask, **given):
    """What a layer makes of `x`, the mask that it leaves, and its state if asked for."""
    if mask is not None and "mask" in inspect.signature(layer.call).parameters:
        given["mask"] = mask
    y = layer(x, **given)
    y, state = y if "return_state" in given else (y, None)
    return y, layer.compute_mask(x, mask) if layer.supports_masking else None, state
