"""States of a whole stack of layers, to run it step by step: `get_initial_state` and `call_with_state`."""

import inspect

import keras

from layerzoo.building.states import apply_with_states, initial_states


def get_initial_state(model, batch_size, length=None):
    """Return the state of a stack of layers at the start of a sequence.

    Args:
        model: `keras.Sequential`, list of layers that are applied in turn, or layer.
        batch_size: Integer. Number of samples.
        length: Positive integer. Number of steps that there is room for. Layers whose state does not grow,
            such as `LinearAttention`, do not use it.

    Returns:
        A list of states, one for each layer that has one; or the state of a single layer. A state is made of
        tensors whose first axis is the batch. `keras.tree.map_structure` reaches all of them.

    Raises:
        ValueError: if `model` is of another kind, a layer needs a `length`, or a layer has a state and cannot
            continue from one.

    Example:
        ```python
        import keras
        import numpy as np
        from layerzoo import SelfAttention
        from layerzoo.states import call_with_state, get_initial_state

        model = keras.Sequential([
            keras.Input((None, 8)),
            SelfAttention(2, causal=True),
            keras.layers.Dense(3),
        ])
        x = np.random.default_rng(0).normal(size=(2, 5, 8)).astype("float32")
        state = get_initial_state(model, batch_size=2, length=5)
        first, state = call_with_state(model, x[:, :4], state)
        last, state = call_with_state(model, x[:, 4:], state)
        print(tuple(first.shape), tuple(last.shape))
        #> (2, 4, 3) (2, 1, 3)
        ```
    """
    if _is_layer(model):
        return model.get_initial_state(batch_size, length)
    return initial_states(_chain(model), batch_size, length)


def call_with_state(model, inputs, initial_state=None, mask=None, training=None):
    """Run a stack of layers on the steps that follow a state.

    Layers that have no state are called with the new steps alone. This is right for a layer that treats each
    step by itself, such as `Dense`, and wrong for one that reads other steps, such as Keras's `Conv1D`.

    Args:
        model: As in `get_initial_state`.
        inputs: The steps that follow: what the first layer takes, with any number of steps.
        initial_state: State of an earlier call or of `get_initial_state`. It is not changed. Defaults to
            None: a sequence starts, and there is room for the steps of `inputs`.
        mask: Boolean tensor of shape `(batch, time)`, false at padding, on either side. Padding takes no
            place in the state. Defaults to the mask that the inputs carry, if any.
        training: Boolean. Whether layers run in training mode. Defaults to None: as the call around it.

    Returns:
        The outputs and the new state.

    Raises:
        ValueError: if `initial_state` is not a state of `model` for as many samples, or has no room for the
            inputs. Where a graph is compiled and that cannot be seen, outputs without room are NaN.
    """
    if _is_layer(model):
        given = {} if training is None else dict(training=training)
        return model(inputs, initial_state=initial_state, mask=mask, return_state=True, **given)
    return apply_with_states(_chain(model), inputs, mask, initial_state, training=training)


def _is_layer(model):
    """Whether `model` is a single layer that continues from a state."""
    return (
        isinstance(model, keras.layers.Layer)
        and not isinstance(model, keras.Sequential)
        and "return_state" in inspect.signature(model.call).parameters
    )


def _chain(model):
    chain = model if isinstance(model, list | tuple) else [model]
    known = isinstance(model, list | tuple | keras.Sequential)
    if not known or not all(isinstance(layer, keras.layers.Layer) for layer in chain):
        raise ValueError(
            "`model` must be a `keras.Sequential`, a list of layers, or a layer that has a state. "
            f"Received: model={model}"
        )
    return chain
