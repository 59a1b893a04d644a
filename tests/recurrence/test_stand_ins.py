"""`MinGRU` and `MinLSTM` where Keras's `GRU` and `LSTM` stand: directions, states and outputs."""

import keras
import numpy as np
import pytest
from arrays import LEFT, RIGHT, close, random
from keras import layers, ops

from layerzoo import MinGRU, MinLSTM

KINDS = pytest.mark.parametrize("kind", [MinGRU, MinLSTM])


@KINDS
def test_backwards_is_forwards_over_the_reversed_steps(kind):
    forwards, back = (
        kind(4, return_sequences=True),
        kind(4, return_sequences=True, go_backwards=True),
    )
    x, mask = random(2, 5, 3), np.array([LEFT, RIGHT], bool)
    forwards(x), back(x)
    back.set_weights(forwards.get_weights())
    close(back(x, mask=mask), forwards(x[:, ::-1], mask=mask[:, ::-1]))
    assert np.array_equal(back.compute_mask(x, ops.convert_to_tensor(mask)), mask[:, ::-1])
    last = kind(4, go_backwards=True)
    last(x)
    last.set_weights(forwards.get_weights())
    close(last(x), forwards(x[:, ::-1])[:, -1])


@KINDS
@pytest.mark.parametrize("merge_mode", ["concat", "sum", None])
def test_both_directions_of_bidirectional(kind, merge_mode):
    layer = layers.Bidirectional(kind(4, return_sequences=True), merge_mode=merge_mode)
    x, mask = random(2, 5, 3), np.array([LEFT, RIGHT], bool)
    found = layer(x, mask=mask)
    one, other = layer.forward_layer(x, mask=mask), layer.backward_layer(x, mask=mask)
    other = ops.flip(other, axis=1)
    due = {"concat": ops.concatenate([one, other], -1), "sum": one + other, None: (one, other)}
    for y, expected in zip(
        keras.tree.flatten(found), keras.tree.flatten(due[merge_mode]), strict=True
    ):
        close(y, expected)


@KINDS
def test_bidirectional_takes_and_returns_a_state_for_each_direction(kind):
    layer = layers.Bidirectional(kind(4, return_state=True))
    x = random(2, 5, 3)
    outputs, forwards, backwards = layer(x)
    close(outputs, ops.concatenate([forwards, backwards], axis=-1))
    again, *_ = layer(x, initial_state=[forwards, backwards])
    due, _ = layer.forward_layer(x, initial_state=forwards)
    close(again[:, :4], due)


@KINDS
def test_a_saved_bidirectional_model_is_loaded_to_the_same_numbers(kind, tmp_path):
    model = keras.Sequential(
        [keras.Input((None, 3)), layers.Bidirectional(kind(4, return_sequences=True)), kind(2)]
    )
    model.save(tmp_path / "model.keras")
    x = random(2, 7, 3)
    close(keras.models.load_model(tmp_path / "model.keras")(x), model(x), 1e-7)


@KINDS
def test_an_encoder_hands_its_state_to_a_decoder(kind):
    source, target = keras.Input((None, 3)), keras.Input((None, 2))
    _, state = kind(4, return_state=True)(source)
    assert state.shape == (None, 4)
    outputs = kind(4, return_sequences=True)(target, state)
    model = keras.Model([source, target], outputs)
    assert model.output_shape == (None, None, 4)
    x, y = random(2, 5, 3), random(2, 6, 2)
    encoder, decoder = (layer for layer in model.layers if isinstance(layer, kind))
    close(model([x, y]), decoder(y, initial_state=encoder(x)[1]))


@KINDS
def test_a_state_is_float32_in_half_precision(kind):
    layer = kind(4, return_state=True, dtype="mixed_bfloat16")
    outputs, state = layer(random(2, 5, 3))
    kinds = [keras.backend.standardize_dtype(y.dtype) for y in (outputs, state)]
    assert kinds == ["bfloat16", "float32"]


@KINDS
@pytest.mark.parametrize(
    ("state", "received"),
    [
        (np.zeros((3, 4), "float32"), r"shape \(3, 4\), dtype float32"),
        (np.zeros((2, 5), "float32"), r"shape \(2, 5\)"),
        (np.zeros((2, 4), "int32"), r"shape \(2, 4\), dtype int32"),
        ({"h": np.zeros((2, 4), "float32")}, "dict"),
    ],
)
def test_a_state_that_does_not_fit_is_refused(kind, state, received):
    layer = kind(4)
    rule = r"`initial_state` must be a tensor of shape \(2, 4\) and dtype float32. Received: "
    with pytest.raises(ValueError, match=rule + received):
        layer(random(2, 5, 3), initial_state=state)
