"""States: a sequence that is given in pieces gives what it gives at once, and padding takes no place."""

import keras
import numpy as np
import pytest
from arrays import close, random
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from keras import layers, ops

from layerzoo import (
    AlibiBias,
    AxialRotaryEmbedding,
    CrossAttention,
    HyperConnections,
    LinearAttention,
    MultiHeadLatentAttention,
    RelativePositionBias,
    Residual,
    ReZero,
    RotaryEmbedding,
    SelfAttention,
    TemporalBlock,
    TransformerDecoderBlock,
    TransformerEncoderBlock,
    WaveNetBlock,
)
from layerzoo.states import call_with_state, get_initial_state

WIDTH = 16
LAYERS = {
    "attention": lambda: SelfAttention(2, causal=True),
    "grouped, rotary": lambda: SelfAttention(
        4, 2, causal=True, position=RotaryEmbedding(), qk_norm=True, gate=True
    ),
    "axial": lambda: SelfAttention(2, causal=True, position=AxialRotaryEmbedding((4, 4))),
    "ALiBi": lambda: SelfAttention(2, causal=True, position=AlibiBias()),
    "T5's bias": lambda: SelfAttention(
        2, causal=True, position=RelativePositionBias(4, max_distance=6, bidirectional=False)
    ),
    "window": lambda: SelfAttention(2, causal=True, window=3, position=RotaryEmbedding()),
    "window of one": lambda: SelfAttention(2, causal=True, window=1),
    "MLA": lambda: MultiHeadLatentAttention(2, 6, causal=True),
    "MLA, latent queries": lambda: MultiHeadLatentAttention(
        4, 6, query_latent_dim=5, rope_dim=2, causal=True
    ),
    "linear": lambda: LinearAttention(2, causal=True),
    "linear, features": lambda: LinearAttention(
        2, causal=True, feature_map=layers.Dense(3, "softplus")
    ),
    "temporal": lambda: TemporalBlock(WIDTH, 3, 2),
    "temporal, kernel of one": lambda: TemporalBlock(WIDTH, 1, 1),
    "WaveNet": lambda: WaveNetBlock(6, 2, 4),
    "Residual": lambda: Residual([layers.Dense(WIDTH), SelfAttention(2, causal=True)], norm="pre"),
    "ReZero": lambda: ReZero(LinearAttention(2, causal=True), init_value=0.5),
    "hyper-connections": lambda: HyperConnections(
        [SelfAttention(2, causal=True)], 2, enter=True, leave=True
    ),
    "decoder": lambda: TransformerDecoderBlock(2, 8, norm_first=True),
    "Sequential inside": lambda: Residual(
        keras.Sequential([layers.Dense(WIDTH), keras.Sequential([WaveNetBlock(4, 2, 1)])])
    ),
}


def built(name):
    """A layer of random weights, for zeros and ones hide errors."""
    layer = LAYERS[name]()
    layer(random(1, 2, WIDTH))
    for i, weight in enumerate(layer.weights):
        if "seed" not in weight.path:
            weight.assign(0.4 * random(*weight.shape, seed=[i, 7]) + ("norm" in weight.path))
    return layer


def run_on(layer, pieces, state, masks=None):
    """The outputs of some pieces of a sequence, one after the other, and the last state."""
    outputs = []
    for i, piece in enumerate(pieces):
        mask = None if masks is None else masks[i]
        y, state = call_with_state(layer, piece, state, mask=mask)
        outputs.append(ops.convert_to_numpy(y))
    return np.concatenate(outputs, axis=1), state


def flat(state):
    return [ops.convert_to_numpy(each) for each in keras.tree.flatten(state)]


@pytest.mark.parametrize("name", LAYERS)
def test_whole_is_halves_is_single_steps(name):
    layer = built(name)
    x = random(2, 7, WIDTH, seed=1)
    whole = layer(x)
    last = []
    for cuts in ([], [3], range(1, 7), [1, 5]):
        outputs, state = run_on(layer, np.split(x, cuts, axis=1), layer.get_initial_state(2, 8))
        close(outputs, whole)
        last.append(flat(state))
    fresh, _ = layer(x, return_state=True)
    close(fresh, whole)
    if "window" not in name:  # its slots hold the same steps, but what none needs may differ
        for state in last[1:]:
            for one, other in zip(state, last[0], strict=True):
                np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", LAYERS)
def test_prompts_of_unequal_length_are_as_if_each_was_alone(name):
    layer = built(name)
    masks = np.array([[1, 1, 1, 1, 0], [0, 0, 1, 1, 1], [1, 0, 0, 1, 0], [1, 1, 1, 1, 1]], bool)
    x = random(4, 5, WIDTH, seed=2)
    unseen = np.where(masks[..., None], x, np.nan)
    more = random(4, 2, WIDTH, seed=3)
    prompts, state = run_on(layer, [unseen], layer.get_initial_state(4, 8), [masks])
    outputs, _ = run_on(layer, [more], state)
    for sample, mask in enumerate(masks):
        alone = np.concatenate([x[sample][mask], more[sample]])[None]
        expected = ops.convert_to_numpy(layer(alone))[0]
        close(prompts[sample][mask], expected[:-2])
        close(outputs[sample], expected[-2:])


@given(data=st.data())
def test_attention_in_any_pieces_with_any_padding(data):
    """Each sample of each piece has its own padding."""
    layer = built(data.draw(st.sampled_from(["grouped, rotary", "window", "T5's bias"])))
    sizes = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    masks = [data.draw(arrays(bool, (2, size))) for size in sizes]
    pieces = [random(2, size, WIDTH, seed=i) for i, size in enumerate(sizes)]
    outputs, _ = run_on(layer, pieces, layer.get_initial_state(2, 16), masks)
    x, mask = np.concatenate(pieces, 1), np.concatenate(masks, 1)
    for sample in range(2):
        if mask[sample].any():
            alone = ops.convert_to_numpy(layer(x[sample][mask[sample]][None]))
            close(outputs[sample][mask[sample]], alone[0])


def translator():
    layer = TransformerDecoderBlock(2, 8, norm_first=True)
    layer(random(1, 2, WIDTH), context=random(1, 3, 12))
    return layer


def cross():
    layer = CrossAttention(4, 2, position=RotaryEmbedding(), qk_norm=True, gate=True)
    layer(random(1, 2, WIDTH), context=random(1, 3, 12))
    return layer


@pytest.mark.parametrize("make", [translator, cross])
def test_a_context_is_projected_once_and_then_kept(make):
    layer = make()
    x, context = random(2, 6, WIDTH), random(2, 4, 12, seed=1)
    mask = np.array([[1, 1, 1, 1], [1, 1, 0, 0]], bool)
    whole = ops.convert_to_numpy(layer(x, context=context, context_mask=mask))
    state = layer.get_initial_state(2, 6)
    first, state = layer(
        x[:, :3], context=context, context_mask=mask, initial_state=state, return_state=True
    )
    close(first, whole[:, :3])
    for step in range(3, 6):
        y, state = layer(x[:, step : step + 1], initial_state=state, return_state=True)
        close(y, whole[:, step : step + 1])


def test_the_first_call_needs_a_context():
    layer = cross()
    with pytest.raises(ValueError, match="`context` must be passed to the first call"):
        layer(random(2, 1, WIDTH), initial_state=layer.get_initial_state(2))


def language_model():
    return keras.Sequential(
        [
            keras.Input((None,)),
            layers.Embedding(11, WIDTH, mask_zero=True),
            TransformerDecoderBlock(2, 8, norm_first=True),
            Residual(
                SelfAttention(2, causal=True, window=3, position=RotaryEmbedding()), norm="pre"
            ),
            TemporalBlock(WIDTH, 2, 2),
            layers.Dense(11),
        ]
    )


def test_a_stack_with_masks_of_its_own():
    """The padding of a token 0 goes from the embedding through the stack, with a state as without."""
    model = language_model()
    tokens = np.array([[0, 0, 3, 4, 5, 6], [7, 8, 9, 10, 1, 2]])
    state = get_initial_state(model, 2, 6)
    outputs, _ = run_on(model, [tokens[:, :4], tokens[:, 4:]], state)
    close(outputs[1], model(tokens[1:])[0])
    close(outputs[0, 2:], model(tokens[:1, 2:])[0])


@pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask:UserWarning")
@pytest.mark.parametrize("mask_zero", [False, True])
def test_a_layer_that_knows_no_masks_does_not_make_padding_count(mask_zero):
    model = keras.Sequential(
        [
            keras.Input((None,)),
            layers.Embedding(11, WIDTH, mask_zero=mask_zero),
            layers.RMSNormalization(),
            Residual([layers.RMSNormalization(), SelfAttention(2, causal=True)]),
        ]
    )
    tokens, mask = np.array([[0, 0, 3, 4, 5]]), np.array([[0, 0, 1, 1, 1]], bool)
    given = None if mask_zero else mask[:, :4]
    _, state = call_with_state(model, tokens[:, :4], get_initial_state(model, 1, 5), mask=given)
    y, _ = call_with_state(model, tokens[:, 4:], state)
    close(y, model(tokens[:, 2:])[:, -1:])


def test_beams_are_reordered_by_the_batch_axis():
    model = language_model()
    tokens = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]])
    _, state = call_with_state(model, tokens, get_initial_state(model, 3, 5))
    order = [2, 0, 0]
    chosen = keras.tree.map_structure(lambda x: ops.take(x, ops.array(order), axis=0), state)
    y, _ = call_with_state(model, tokens[:, :1], chosen)
    whole = model(np.concatenate([tokens[order], tokens[:, :1]], axis=1))
    close(y, whole[:, -1:])


def test_a_state_is_arrays_that_a_file_keeps(tmp_path):
    model = language_model()
    tokens = np.array([[1, 2, 3, 4]])
    _, state = call_with_state(model, tokens[:, :3], get_initial_state(model, 1, 4))
    before = flat(state)
    np.savez(tmp_path / "state.npz", *before)
    with np.load(tmp_path / "state.npz") as kept:
        again = keras.tree.pack_sequence_as(state, [kept[name] for name in kept.files])
    y, _ = call_with_state(model, tokens[:, 3:], again)
    close(y, model(tokens)[:, -1:])
    call_with_state(model, tokens[:, 3:], state)
    for one, other in zip(flat(state), before, strict=True):
        np.testing.assert_array_equal(one, other)  # what was passed is not changed


def test_a_functional_model_of_one_step():
    layer = built("Residual")
    state = layer.get_initial_state(2, 6)
    symbols = keras.tree.map_structure(
        lambda x: keras.Input(x.shape[1:], dtype=keras.backend.standardize_dtype(x.dtype)), state
    )
    inputs = keras.Input((None, WIDTH))
    model = keras.Model([inputs, symbols], layer(inputs, initial_state=symbols, return_state=True))
    x = ops.convert_to_tensor(random(2, 4, WIDTH))
    first, state = model([x[:, :3], state])
    last, _ = model([x[:, 3:], state])
    close(ops.concatenate([first, last], axis=1), layer(x))


def compiled(step):
    """A function that is compiled, and the list of how often it was traced."""
    traces = []

    def counted(*arguments):
        traces.append(1)
        return step(*arguments)

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(counted, jit_compile=True), traces
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(counted), traces
    return counted, None


def test_a_compiled_step_is_traced_once_and_gives_nan_without_room():
    model = language_model()
    tokens = ops.convert_to_tensor(np.array([[1, 2, 3, 4, 5], [6, 7, 8, 9, 10]]))
    step, traces = compiled(lambda piece, state: call_with_state(model, piece, state))
    state = get_initial_state(model, 2, 4)
    whole = ops.convert_to_numpy(model(tokens))
    for i in range(4):
        y, state = step(tokens[:, i : i + 1], state)
        close(y, whole[:, i : i + 1])
    if traces is None:
        with pytest.raises(ValueError, match="must have room for the steps"):
            step(tokens[:, 4:], state)
    else:
        assert len(traces) == 1
        y, _ = step(tokens[:, 4:], state)
        assert np.isnan(ops.convert_to_numpy(y)).all()


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_in_half_precision_sums_are_kept_in_float32(policy):
    layer = LinearAttention(2, causal=True, dtype=policy)
    x = random(2, 6, WIDTH)
    whole = ops.cast(layer(x), "float32")
    state = layer.get_initial_state(2)
    pieces = []
    for piece in np.split(x, 6, axis=1):
        y, state = layer(piece, initial_state=state, return_state=True)
        pieces.append(ops.cast(y, "float32"))
    assert {keras.backend.standardize_dtype(each.dtype) for each in state.values()} == {"float32"}
    close(ops.concatenate(pieces, axis=1), whole, 0.02)


def misfits(state):
    """States that do not fit, each by what it says of itself."""
    yield {name: x for name, x in state.items() if name != "place"}, "must be a dict of"
    yield list(state.values()), "must be a dict of"
    yield {name: x[:1] for name, x in state.items()}, "must have a 'key' of shape"
    yield state | dict(value=state["value"][..., :3]), "must have a 'value' of shape"
    yield state | dict(key=ops.cast(state["key"], "float16")), "and dtype float32"
    yield state | dict(place=ops.cast(state["place"], "float32")), "and dtype int32"


def test_a_state_that_does_not_fit_is_refused_by_name():
    layer = built("attention")
    x = random(2, 2, WIDTH)
    for state, said in misfits(layer.get_initial_state(2, 4)):
        with pytest.raises(ValueError, match=said):
            layer(x, initial_state=state)


def test_a_mask_that_does_not_fit_the_steps_is_refused():
    layer = built("attention")
    with pytest.raises(ValueError, match="`mask` must be boolean"):
        layer(
            random(2, 2, WIDTH),
            mask=np.ones((2, 3), bool),
            initial_state=layer.get_initial_state(2, 4),
        )


REFUSED = {
    "no room": (
        lambda: built("attention"),
        lambda x, layer: layer(x, initial_state=layer.get_initial_state(2, 2)),
        "room for 2",
    ),
    "no length": (
        lambda: built("MLA"),
        lambda x, layer: layer.get_initial_state(2),
        "`length` must be a positive integer",
    ),
    "not causal": (
        lambda: SelfAttention(2),
        lambda x, layer: layer(x, return_state=True),
        "must have `causal=True`",
    ),
    "scores": (
        lambda: built("attention"),
        lambda x, layer: layer(x, return_state=True, return_attention_scores=True),
        "`return_attention_scores` must be False",
    ),
    "not built": (
        lambda: SelfAttention(2, causal=True),
        lambda x, layer: layer.get_initial_state(2, 4),
        "must be built before `get_initial_state`",
    ),
    "Keras's recurrence": (
        lambda: Residual(layers.GRU(WIDTH, return_sequences=True)),
        lambda x, layer: layer(x, return_state=True),
        "must take `initial_state` and `return_state`",
    ),
    "a block that hands nothing on": (
        lambda: [TransformerEncoderBlock(2, 8)],
        lambda x, layer: call_with_state(layer, x),
        "must take `initial_state` and `return_state`",
    ),
    "too few states": (
        lambda: built("Residual"),
        lambda x, layer: layer(x, initial_state=[]),
        "must be a list of 1 states",
    ),
    "parts of a decoder": (
        lambda: built("decoder"),
        lambda x, layer: layer(x, initial_state={"attend": []}),
        "must be a dict of attend, feed",
    ),
    "no model": (
        lambda: keras.Model(),
        lambda x, layer: call_with_state(layer, x),
        "`model` must be a `keras.Sequential`",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_is_refused_in_one_sentence(name):
    make, run, said = REFUSED[name]
    layer = make()
    with pytest.raises(ValueError, match=said):
        run(random(2, 3, WIDTH), layer)
