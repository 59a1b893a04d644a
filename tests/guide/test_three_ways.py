"""What the guide `docs/guide/three-ways.md` says of Sequential, Functional and subclassing."""

import inspect
import re
import textwrap
from pathlib import Path

import keras
import numpy as np
import pytest
from arrays import random
from keras import layers, ops

from layerzoo import DropPath, GatedMLP, Residual, RotaryEmbedding, SelfAttention

pytestmark = pytest.mark.proof  # what a page says of Keras

GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "three-ways.md"
BACKEND = keras.backend.backend()


@pytest.fixture(autouse=True)
def seed():
    keras.utils.set_random_seed(0)


def blocks():
    return [
        Residual(SelfAttention(2, position=RotaryEmbedding()), norm="pre"),
        Residual(GatedMLP(16), norm="pre"),
        layers.GlobalAveragePooling1D(),
        layers.Dense(3, activation="softmax"),
    ]


def sequential():
    return keras.Sequential([keras.Input((6, 8)), *blocks()])


def functional():
    inputs = x = keras.Input((6, 8))
    for block in blocks():
        x = block(x)
    return keras.Model(inputs, x)


@keras.saving.register_keras_serializable(package="three_ways")
class Network(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.attend, self.mix, self.pool, self.head = blocks()

    def call(self, inputs):
        return self.head(self.pool(self.mix(self.attend(inputs))))


def subclassed():
    model = Network()
    model(keras.KerasTensor((None, 6, 8)))
    return model


WAYS = pytest.mark.parametrize("way", [sequential, functional, subclassed])


def numbers(x):
    return ops.convert_to_numpy(x)


def reloaded(model, folder):
    model.save(folder / "model.keras")
    return keras.saving.load_model(folder / "model.keras")


def equal(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def differ(a, b):
    assert np.max(np.abs(a - b)) > 1e-3


# The same network


def test_same_network_three_ways_gives_the_same_numbers():
    """One network, declared in three ways and given the same weights, computes the same."""
    x = random(4, 6, 8)
    models = [sequential(), functional(), subclassed()]
    first = numbers(models[0](x))
    for model in models[1:]:
        differ(numbers(model(x)), first)  # each has weights of its own
        model.set_weights(models[0].get_weights())
        equal(numbers(model(x)), first)


@WAYS
def test_a_layer_of_ours_stands_in_all_three(way, tmp_path):
    """A custom layer stands in each of the three, is trained, saved and loaded there."""
    x, y = random(16, 6, 8), np.arange(16) % 3
    model = way()
    model.compile("adam", "sparse_categorical_crossentropy")
    loss = model.fit(x, y, epochs=3, verbose=0).history["loss"]
    assert loss[-1] < loss[0]
    equal(numbers(reloaded(model, tmp_path)(x)), numbers(model(x)))


def test_the_three_ways_nest():
    """A Functional model stands in a Sequential one, and that in a subclassed one."""
    inputs = keras.Input((6, 8))
    block = keras.Model(inputs, Residual(GatedMLP(4))(inputs))
    stack = keras.Sequential([keras.Input((6, 8)), block, layers.Dense(8)])

    class Outer(keras.Model):
        def __init__(self):
            super().__init__()
            self.stack = stack

        def call(self, inputs):
            return self.stack(inputs)

    x = random(2, 6, 8)
    outer = Outer()
    equal(numbers(outer(x)), numbers(stack(x)))
    assert len(outer.trainable_variables) == len(block.trainable_variables) + 2


# Sequential


def test_sequential_list_equals_add():
    """A list of layers and calls of `add` declare the same model."""
    dense, mlp = layers.Dense(4), GatedMLP(6)
    by_list = keras.Sequential([keras.Input((3,)), dense, mlp])
    by_add = keras.Sequential()
    for entry in (keras.Input((3,)), dense, mlp):
        by_add.add(entry)
    assert by_add.layers == by_list.layers == [dense, mlp]
    x = random(2, 3)
    equal(numbers(by_add(x)), numbers(by_list(x)))


def test_sequential_is_enough_for_a_text_classifier(tmp_path):
    """Masked tokens, attention, residual connections and a head need nothing but Sequential."""
    tokens = np.array([[3, 1, 4, 0, 0], [1, 5, 0, 0, 0]] * 8)
    model = keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            layers.Embedding(6, 8, mask_zero=True),
            *blocks(),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    loss = model.fit(tokens, tokens[:, 0] % 3, epochs=3, verbose=0).history["loss"]
    assert loss[-1] < loss[0]
    outputs = model.predict(tokens, verbose=0)
    equal(reloaded(model, tmp_path).predict(tokens, verbose=0), outputs)
    more_padding = np.pad(tokens, [(0, 0), (0, 2)])
    equal(model.predict(more_padding, verbose=0), outputs)


def test_sequential_without_input_is_unbuilt():
    """Without an `Input` a Sequential is built by its first batch."""
    model = keras.Sequential([GatedMLP(4)])
    assert not model.built
    assert model.weights == []
    model(random(2, 3))
    assert model.built
    assert len(model.weights) == 6
    assert len(keras.Sequential([keras.Input((3,)), GatedMLP(4)]).weights) == 6


def test_sequential_refuses_a_second_input():
    """A Sequential takes no second `Input`, and its call no second tensor."""
    with pytest.raises(ValueError, match="You cannot add a different Input layer"):
        keras.Sequential([keras.Input((4,)), keras.Input((4,)), layers.Dense(2)])
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    with pytest.raises(TypeError, match="multiple values"):
        model(random(2, 4), random(2, 4))


def test_sequential_refuses_a_layer_that_takes_two_inputs():
    """Where a layer's call requires two tensors, a Sequential has only one to give."""
    inputs = keras.Input((6, 8))
    with pytest.raises(ValueError, match="required positional argument"):
        keras.Sequential([inputs, layers.MultiHeadAttention(2, 4)])
    with pytest.raises(ValueError, match="should be called on a list of inputs"):
        keras.Sequential([inputs, layers.Add()])
    assert keras.Sequential([inputs, SelfAttention(2)]).output_shape == (None, 6, 8)


def test_sequential_refuses_a_branch():
    """An entry of a Sequential is one layer: two of them side by side are none."""
    with pytest.raises(ValueError, match="Only instances of"):
        keras.Sequential([keras.Input((4,)), [layers.Dense(2), layers.Dense(2)]])


def test_sequential_ignores_a_second_array_with_a_warning():
    """Given two arrays, a built Sequential warns, takes the first and forgets the second."""
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    first, second = random(3, 4), random(3, 7)
    with pytest.warns(UserWarning, match="doesn't match the expected structure"):
        outputs = model.predict([first, second], verbose=0)
    equal(outputs, model.predict(first, verbose=0))


def test_sequential_without_input_hands_a_list_through():
    """Without an `Input` the first entry gets whatever comes, a list of two tensors too."""
    x = random(3, 4)
    dense = layers.Dense(2)
    model = keras.Sequential([layers.Add(), dense])
    equal(numbers(model([x, x])), numbers(dense(x + x)))
    assert not hasattr(model, "inputs")


def test_sequential_may_end_in_two_outputs():
    """The last entry may return two tensors; no ordinary layer can follow it."""

    class Halves(layers.Layer):
        def call(self, inputs):
            return ops.split(inputs, 2, axis=-1)

    model = keras.Sequential([keras.Input((4,)), Halves()])
    assert [output.shape for output in model.outputs] == [(None, 2), (None, 2)]
    with pytest.raises(ValueError, match="expects 1 input"):
        model.add(layers.Dense(2))


def test_sequential_repeats_a_layer():
    """One layer object may stand twice in the list: applied twice, one set of weights."""
    block = Residual(GatedMLP(8))
    model = keras.Sequential([keras.Input((4,)), block, block])
    assert len(model.layers) == 2
    assert len(model.weights) == len(block.weights)
    x = random(3, 4)
    equal(numbers(model(x)), numbers(block(block(x))))


def test_saved_sequential_forgets_a_repeat(tmp_path):
    """A Sequential that repeats a layer is loaded with the layer once, and says nothing."""
    block = Residual(GatedMLP(8))
    model = keras.Sequential([keras.Input((4,)), block, block])
    loaded = reloaded(model, tmp_path)
    assert len(loaded.layers) == 1
    x = random(3, 4)
    equal(numbers(loaded(x)), numbers(block(x)))
    differ(numbers(loaded(x)), numbers(model(x)))


def test_sequential_shares_a_layer_with_another_model():
    """A layer may stand in two Sequential models: what one of them learns, both know."""
    shared = GatedMLP(8)
    first = keras.Sequential([keras.Input((4,)), shared, layers.Dense(1)])
    second = keras.Sequential([keras.Input((4,)), shared])
    x = random(8, 4)
    before = numbers(second(x))
    first.compile(keras.optimizers.SGD(0.1), "mse")
    first.fit(x, x[:, :1], verbose=0)
    differ(numbers(second(x)), before)


# Functional


def two_inputs():
    return keras.Input((4,), name="left"), keras.Input((4,), name="right")


def test_functional_is_declared_from_its_inputs_and_outputs():
    """`keras.Model(inputs, outputs)` gathers every layer that lies between the two."""
    inputs = keras.Input((4,))
    dense, mlp = layers.Dense(3), GatedMLP(6)
    model = keras.Model(inputs, mlp(dense(inputs)))
    assert model.layers[1:] == [dense, mlp]
    assert (model.input_shape, model.output_shape) == ((None, 4), (None, 3))


def test_functional_has_no_add():
    """Only a Sequential grows by `add`."""
    assert not hasattr(functional(), "add")
    assert hasattr(sequential(), "add")


def test_any_layer_may_feed_any_layer():
    """Each layer may read the outputs of all that stand before it."""
    inputs = keras.Input((4,))
    seen = [inputs]
    for units in (2, 3, 5):
        together = layers.Concatenate()(seen) if len(seen) > 1 else inputs
        seen.append(layers.Dense(units)(together))
    model = keras.Model(inputs, seen[-1])
    kernels = [w.shape for w in model.weights if w.name == "kernel"]
    assert kernels == [(4, 2), (4 + 2, 3), (4 + 2 + 3, 5)]


@pytest.mark.parametrize("way", [sequential, functional])
def test_any_inner_tensor_may_become_an_output(way):
    """What a declared model computes on its way can be read out by a second model."""
    model = way()
    attend = next(layer for layer in model.layers if isinstance(layer, Residual))
    x = random(2, 6, 8)
    inner = keras.Model(model.inputs[0], attend.output)
    equal(numbers(inner(x)), numbers(attend(x)))


def test_functional_takes_several_inputs():
    """Two inputs, given by position or by name; one that is missing is an error."""
    left, right = two_inputs()
    model = keras.Model([left, right], layers.Subtract()([left, right]))
    a, b = random(3, 4), np.ones((3, 4), "float32")
    equal(model.predict([a, b], verbose=0), a - b)
    equal(model.predict({"right": b, "left": a}, verbose=0), a - b)
    with pytest.raises(ValueError, match="right"):
        model({"left": a})


def test_functional_gives_several_outputs():
    """Several outputs come back in the structure in which they were declared."""
    inputs = keras.Input((6, 8))
    outputs, scores = SelfAttention(2)(inputs, return_attention_scores=True)
    model = keras.Model(inputs, {"sequence": outputs, "scores": scores})
    predicted = model.predict(random(3, 6, 8), verbose=0)
    assert predicted["sequence"].shape == (3, 6, 8)
    assert predicted["scores"].shape == (3, 2, 6, 6)
    equal(predicted["scores"].sum(-1), np.ones((3, 2, 6)))


def test_functional_shares_a_layer_across_branches():
    """One layer, called on two inputs, has one set of weights and learns from both."""
    encode = GatedMLP(6)
    left, right = two_inputs()
    model = keras.Model([left, right], layers.Subtract()([encode(left), encode(right)]))
    assert len(model.weights) == len(encode.weights)
    x = random(3, 4)
    before = encode.get_weights()
    model.compile(keras.optimizers.SGD(0.1), "mse")
    model.fit([x, x[::-1]], x, verbose=0)
    differ(encode.get_weights()[0], before[0])
    equal(numbers(model([x, x])), np.zeros((3, 4)))


def test_saved_functional_keeps_a_repeat(tmp_path):
    """A layer that is called twice in a Functional model is called twice after loading."""
    block = Residual(GatedMLP(8))
    inputs = keras.Input((4,))
    model = keras.Model(inputs, block(block(inputs)))
    loaded = reloaded(model, tmp_path)
    assert len(loaded.weights) == len(block.weights)
    x = random(3, 4)
    equal(numbers(loaded(x)), numbers(model(x)))


def test_residual_layer_equals_add_written_out():
    """`Residual(layer, norm="pre")` is `Add` of the input and `layer` of its norm."""
    attention = SelfAttention(2)
    block = Residual(attention, norm="pre")
    inputs = keras.Input((6, 8))
    as_one_entry = keras.Sequential([inputs, block])
    written_out = keras.Model(inputs, layers.Add()([inputs, attention(block.norm_in(inputs))]))
    x = random(2, 6, 8)
    equal(numbers(as_one_entry(x)), numbers(written_out(x)))
    differ(numbers(as_one_entry(x)), numbers(attention(block.norm_in(x))))


def test_an_unconnected_output_is_an_error():
    """Outputs that do not hang on the given inputs are refused."""
    left, right = two_inputs()
    with pytest.raises(ValueError, match="not connected to `inputs`"):
        keras.Model(left, layers.Dense(2)(right))


def test_a_forgotten_branch_is_left_out():
    """A layer whose output leads nowhere is no part of the model; an unused input is one."""
    left, right = two_inputs()
    main, forgotten = layers.Dense(3), layers.Dense(3)
    outputs = main(left)
    forgotten(right)
    model = keras.Model([left, right], outputs)
    assert main in model.layers
    assert forgotten not in model.layers
    x = random(2, 4)
    equal(numbers(model([x, x])), numbers(model([x, 0 * x])))


def test_a_layer_made_anew_is_not_shared():
    """Writing the class twice where the object was meant gives two sets of weights."""
    left, right = two_inputs()
    difference = layers.Subtract()([GatedMLP(6)(left), GatedMLP(6)(right)])
    model = keras.Model([left, right], difference)
    assert len(model.weights) == 2 * 6
    x = random(3, 4)
    differ(numbers(model([x, x])), np.zeros((3, 4)))


def test_swapped_inputs_are_silent_unless_named():
    """A list is taken by position whatever it holds; a dict is taken by name in any order."""
    left, right = two_inputs()
    model = keras.Model([left, right], layers.Subtract()([left, right]))
    a, b = random(3, 4), np.ones((3, 4), "float32")
    equal(numbers(model([b, a])), b - a)
    equal(numbers(model({"right": b, "left": a})), a - b)


def test_functional_refuses_an_if_on_a_tensor():
    """A Functional model is declared before there are values, so no `if` can look at them."""
    inputs = keras.Input((4,))
    with pytest.raises(TypeError, match="cannot be used as a boolean"):
        bool(ops.max(inputs) > 0)

    class Either(keras.Model):
        def call(self, inputs):
            return inputs if ops.max(inputs) > 0 else -inputs

    x = np.full((2, 4), -3.0, "float32")
    equal(numbers(Either()(x)), -x)
    if BACKEND != "torch":  # the two backends that compile `predict` by default
        with pytest.raises(TypeError, match="bool"):
            Either().predict(x, verbose=0)


@pytest.mark.parametrize("way", [sequential, functional])
def test_declared_models_load_without_own_class(way, tmp_path):
    """Sequential and Functional models are saved as data: Keras's own classes come back."""
    assert type(reloaded(way(), tmp_path)) in (keras.Sequential, type(functional()))


# Subclassing


def test_the_base_class_is_called_layer():
    """The class to subclass is `keras.layers.Layer`; there is no `Layers`."""
    assert not hasattr(keras.layers, "Layers")
    assert keras.layers.Layer is keras.Layer
    assert issubclass(SelfAttention, keras.layers.Layer)


def test_a_model_is_a_layer_that_can_be_trained():
    """Each model is a layer; `fit`, `predict` and `save` are what a plain layer lacks."""
    assert issubclass(keras.Sequential, keras.Model)
    assert issubclass(keras.Model, keras.Layer)
    for method in ("fit", "evaluate", "predict", "save", "summary"):
        assert hasattr(keras.Model, method)
        assert not hasattr(GatedMLP, method)


def test_keras_ships_none_of_the_layers_used_here():
    """The layers in the examples are what the standard library lacks."""
    for layer in (SelfAttention, RotaryEmbedding, Residual, DropPath, GatedMLP):
        assert not hasattr(keras.layers, layer.__name__)


def test_subclassed_call_decides_the_depth():
    """`call` is Python: an argument may say how often a layer is applied."""

    class Recurrent(keras.Model):
        def __init__(self):
            super().__init__()
            self.block = Residual(GatedMLP(8))

        def call(self, inputs, depth=1):
            for _ in range(depth):
                inputs = self.block(inputs)
            return inputs

    model = Recurrent()
    x = random(3, 4)
    equal(numbers(model(x, depth=3)), numbers(model(model(model(x)))))
    assert len(model.weights) == len(model.block.weights)


def test_subclassed_model_takes_and_gives_any():
    """`call` may take two tensors, share a layer between two branches, merge, and give a dict."""

    class Compare(keras.Model):
        def __init__(self):
            super().__init__()
            self.encode = GatedMLP(6)

        def call(self, inputs):
            left, right = self.encode(inputs["left"]), self.encode(inputs["right"])
            return {"sum": left + right, "difference": left - right}

    model = Compare()
    x = random(3, 4)
    outputs = model.predict({"left": x, "right": x}, verbose=0)
    equal(outputs["sum"], 2 * numbers(model.encode(x)))
    equal(outputs["difference"], np.zeros((3, 4)))
    assert len(model.weights) == len(model.encode.weights)


def test_subclassed_model_starts_unbuilt():
    """A subclassed model learns its shapes from its first call."""
    model = Network()
    assert model.weights == []
    with pytest.raises(ValueError, match="isn't built"):
        model.count_params()
    model(keras.KerasTensor((None, 6, 8)))
    assert model.count_params() == functional().count_params()


def test_subclassed_model_has_no_graph():
    """Keras sees the layers of a subclassed model, not how they are wired."""
    assert len(Network().layers) == 4
    wired, unwired = functional(), Network()
    for name in ("inputs", "outputs", "output_shape"):
        assert hasattr(wired, name)
        assert not hasattr(unwired, name)


def test_own_class_must_be_registered(tmp_path):
    """A class of one's own is found on loading only if it is registered or handed over."""

    class Double(layers.Layer):
        def call(self, inputs):
            return 2 * inputs

    model = keras.Sequential([keras.Input((4,)), Double()])
    with pytest.raises(TypeError, match="Could not locate class"):
        reloaded(model, tmp_path)
    loaded = keras.saving.load_model(tmp_path / "model.keras", custom_objects={"Double": Double})
    x = random(2, 4)
    equal(numbers(loaded(x)), 2 * x)

    class Halve(keras.Model):
        def call(self, inputs):
            return inputs / 2

    model = Halve()
    model(x)
    with pytest.raises(TypeError, match="Could not locate class"):
        reloaded(model, tmp_path)


def test_config_is_derived_from_plain_arguments():
    """Numbers and strings come into the config by themselves, a layer or an initializer does not."""

    class Around(layers.Layer):
        def __init__(self, inner, **kwargs):
            super().__init__(**kwargs)
            self.inner = inner

    assert Around(3).get_config()["inner"] == 3
    for inner in (layers.Dense(2), keras.initializers.Zeros()):
        with pytest.raises(NotImplementedError, match="must override `get_config"):
            Around(inner).get_config()
    assert "layer" in Residual(layers.Dense(2)).get_config()


def test_subclassed_model_needs_a_get_config():
    """A model with arguments needs a `get_config` of its own, however plain they are."""

    class Plain(keras.Model):
        def __init__(self, units, **kwargs):
            super().__init__(**kwargs)
            self.units = units

    with pytest.raises(NotImplementedError, match="must override `get_config"):
        Plain(3).get_config()


def test_state_must_be_made_before_call():
    """A sub-layer that `call` puts on the layer is refused: `__init__` and `build` make them."""

    class Late(layers.Layer):
        def call(self, inputs):
            self.dense = layers.Dense(2)
            return self.dense(inputs)

    with pytest.raises(ValueError, match="All state must be created in the `__init__"):
        Late()(random(2, 4))


def test_a_layer_made_inside_call_is_never_trained():
    """A layer that `call` makes and forgets is new in each call and no part of the weights."""

    class Forgetful(layers.Layer):
        def call(self, inputs):
            return layers.Dense(2)(inputs)

    layer = Forgetful()
    x = random(2, 4)
    differ(numbers(layer(x)), numbers(layer(x)))
    assert layer.weights == []


def test_a_stated_output_shape_is_believed():
    """Without `compute_output_shape` Keras traces `call`; with it, Keras does not look."""

    class Traced(layers.Layer):
        def call(self, inputs):
            return inputs[:, :2]

    class Mistaken(Traced):
        def compute_output_shape(self, input_shape):
            return (input_shape[0], 7)

    x = random(3, 4)
    for layer, stated in ((Traced(), 2), (Mistaken(), 7)):
        model = keras.Sequential([keras.Input((4,)), layer])
        assert model.output_shape == (None, stated)
        assert numbers(model(x)).shape == (3, 2)
    for layer in (GatedMLP(6, units=3), SelfAttention(2), Residual(GatedMLP(6))):
        x = random(2, 5, 4)
        model = keras.Sequential([keras.Input((5, 4)), layer])
        assert model.output_shape[1:] == numbers(model(x)).shape[1:]


def test_a_new_layer_drops_the_mask():
    """Without `supports_masking` a mask ends at the layer, with a warning."""

    class Double(layers.Layer):
        def call(self, inputs):
            return 2 * inputs

    embedded = layers.Embedding(5, 4, mask_zero=True)(np.array([[1, 2, 0]]))
    double = Double()
    with pytest.warns(UserWarning, match="does not support masking"):
        assert getattr(double(embedded), "_keras_mask", None) is None
    double.supports_masking = True
    for layer in (double, GatedMLP(4), SelfAttention(2), Residual(GatedMLP(4))):
        assert numbers(layer(embedded)._keras_mask).tolist() == [[True, True, False]]


def test_a_sublayer_misses_its_owners_dtype():
    """A sub-layer follows the global dtype policy, not its owner's."""

    class Around(layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.dense = layers.Dense(2)

        def call(self, inputs):
            return self.dense(inputs)

    x = random(2, 4)
    around, ours = Around(dtype="mixed_float16"), GatedMLP(4, dtype="mixed_float16")
    around(x)
    ours(x)
    assert around.dense.compute_dtype == "float32"
    assert {layer.compute_dtype for layer in (ours.gate, ours.up, ours.down)} == {"float16"}


# Overriding a step


def small(way=keras.Model):
    """A network with noise and a regularizer, the same in each call."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,))
    x = Residual(GatedMLP(8), norm="pre", drop_path=0.3)(inputs)
    return way(inputs, layers.Dense(1, kernel_regularizer="l2")(x))


def stepped(name):
    """A model whose step adds an entry to what the default step returns."""

    def step(self, *args):
        logs = getattr(keras.Model, name)(self, *args)
        if BACKEND == "jax":
            logs, state = logs
            return {**logs, "added": ops.ones(())}, state
        return {**logs, "added": ops.ones(())}

    model = small(type("Stepped", (keras.Model,), {name: step}))
    model.compile("sgd", "mse")
    return model


@pytest.fixture(scope="module")
def watched():
    """The class that the guide shows for this backend."""
    page = GUIDE.read_text(encoding="utf-8")
    programs = re.findall(r"^ *```python\n(.*?)^ *```$", page, re.MULTILINE | re.DOTALL)
    (program,) = [each for each in programs if f'"KERAS_BACKEND"] = "{BACKEND}"' in each]
    namespace = {"__name__": "guide"}
    exec(compile(textwrap.dedent(program), str(GUIDE), "exec"), namespace)
    return namespace["Watched"]


def test_compute_loss_serves_training_and_evaluation():
    """`fit` minimises what `compute_loss` returns, and `evaluate` reports it."""

    class Offset(keras.Model):
        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            loss = super().compute_loss(x, y, y_pred, sample_weight, training)
            return 0 * loss + (3 if training else 5)

    model, x = small(Offset), random(8, 4)
    model.compile("sgd", "mse")
    before = model.get_weights()
    history = model.fit(x, x[:, :1], validation_data=(x, x[:, :1]), verbose=0).history
    assert history == {"loss": [3.0], "val_loss": [5.0]}
    assert model.evaluate(x, x[:, :1], verbose=0) == 5.0
    for after, weight in zip(model.trainable_weights, before, strict=False):
        np.testing.assert_array_equal(numbers(after), weight)  # the gradients are zero


def test_train_step_is_what_fit_repeats():
    """`fit` and `train_on_batch` return what an overridden `train_step` returns."""
    model, x = stepped("train_step"), random(8, 4)
    history = model.fit(x, x[:, :1], validation_data=(x, x[:, :1]), verbose=0).history
    assert set(history) == {"loss", "added", "val_loss"}
    assert set(model.train_on_batch(x, x[:, :1], return_dict=True)) == {"loss", "added"}
    assert set(model.evaluate(x, x[:, :1], return_dict=True, verbose=0)) == {"loss"}


def test_test_step_is_what_evaluate_repeats():
    """`evaluate`, `test_on_batch` and the validation in `fit` return what `test_step` returns."""
    model, x = stepped("test_step"), random(8, 4)
    history = model.fit(x, x[:, :1], validation_data=(x, x[:, :1]), verbose=0).history
    assert set(history) == {"loss", "val_loss", "val_added"}
    assert set(model.test_on_batch(x, x[:, :1], return_dict=True)) == {"loss", "added"}
    evaluated = model.evaluate(x, x[:, :1], return_dict=True, verbose=0)
    assert set(evaluated) == {"loss", "added"}


def test_a_model_with_its_own_step_keeps_its_graph():
    """A subclass of `Model` made from inputs and outputs is a Functional model all the same."""
    model, x = stepped("train_step"), random(3, 4)
    assert model.output_shape == (None, 1)
    inner = keras.Model(model.inputs[0], model.layers[1].output)
    equal(numbers(inner(x)), numbers(model.layers[1](x)))


def test_a_written_out_train_step_trains_like_the_default(watched):
    """The guide's step gives the default's losses, metrics and weights, and the right norm."""
    x, sample_weight = random(70, 4), np.linspace(0.5, 2, 70)
    histories, models = [], []
    for way in (keras.Model, watched):
        model = small(way)
        model.compile("adam", "mse", metrics=["mae"], weighted_metrics=["mse"])
        fitted = model.fit(x, x[:, :1], sample_weight=sample_weight, epochs=2, verbose=0)
        histories.append(fitted.history)
        models.append(model)
    default, ours = histories
    assert set(ours) == {*default, "gradient_norm"}
    for name, values in default.items():
        equal(ours[name], values)
    for expected, weight in zip(models[0].get_weights(), models[1].get_weights(), strict=True):
        equal(weight, expected)

    model = small(watched)
    model.compile(keras.optimizers.SGD(0.5), "mse")
    before = [numbers(weight) for weight in model.trainable_weights]
    norm = model.train_on_batch(x, x[:, :1], return_dict=True)["gradient_norm"]
    moved = [old - numbers(new) for old, new in zip(before, model.trainable_weights, strict=True)]
    np.testing.assert_allclose(
        norm, np.sqrt(sum(np.sum(np.square(each / 0.5)) for each in moved)), rtol=1e-4
    )


def test_train_step_takes_the_state_first_on_jax():
    """On JAX a step receives the values of all variables as a tuple, and returns them."""
    expected = ["self", "state", "data"] if BACKEND == "jax" else ["self", "data"]
    received = {}

    def recorded(name):
        def step(self, *args):
            received[name] = args
            return getattr(keras.Model, name)(self, *args)

        return step

    names = ("train_step", "test_step")
    model = small(type("Recorded", (keras.Model,), {name: recorded(name) for name in names}))
    model.compile("adam", "mse")
    x = random(8, 4)
    model.fit(x, x[:, :1], validation_data=(x, x[:, :1]), verbose=0)
    for name in names:
        assert list(inspect.signature(getattr(keras.Model, name)).parameters) == expected
        assert len(received[name]) == len(expected) - 1
    if BACKEND == "jax":
        trainable, rest = model.trainable_variables, model.non_trainable_variables
        optimizer, metrics = model.optimizer.variables, model.metrics_variables
        for name, groups in (
            ("train_step", (trainable, rest, optimizer, metrics)),
            ("test_step", (trainable, rest, metrics)),
        ):
            shapes = [[value.shape for value in group] for group in received[name][0]]
            assert shapes == [[variable.shape for variable in group] for group in groups]
        assert any("seed" in variable.path for variable in rest)


@pytest.mark.skipif(BACKEND != "torch", reason="PyTorch keeps gradients with the weights")
def test_torch_adds_up_gradients_without_zero_grad():
    """A second `backward` adds to the gradients of the first, and `zero_grad` clears them."""
    model, x = small(), random(3, 4)
    weight = model.trainable_weights[0].value

    def gradient():
        ops.sum(model(x, training=False)).backward()
        return numbers(weight.grad).copy()

    once = gradient()
    assert np.max(np.abs(once)) > 1e-3
    equal(gradient(), 2 * once)
    model.zero_grad()
    equal(gradient(), once)


def test_float16_needs_a_scaled_loss(watched):
    """A `LossScaleOptimizer` divides by its scale, so that the loss must be multiplied by it."""
    half = keras.Sequential([keras.Input((4,)), layers.Dense(1)])
    half.dtype_policy = keras.DTypePolicy("mixed_float16")
    half.compile("sgd", "mse")
    assert isinstance(half.optimizer, keras.optimizers.LossScaleOptimizer)

    class Scaled(watched):
        def compute_loss(self, *args, **kwargs):
            loss = super().compute_loss(*args, **kwargs)
            return loss if BACKEND == "jax" else self.optimizer.scale_loss(loss)

    x = random(8, 4)
    updates, norms = {}, {}
    for way in (keras.Model, watched, Scaled):
        model = small(way)
        optimizer = keras.optimizers.SGD(0.1)
        model.compile(keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=1024), "mse")
        before = [numbers(weight).copy() for weight in model.trainable_weights]
        logs = model.train_on_batch(x, x[:, :1], return_dict=True)
        after = [numbers(weight) for weight in model.trainable_weights]
        updates[way] = np.concatenate(
            [np.ravel(new - old) for new, old in zip(after, before, strict=True)]
        )
        norms[way] = logs.get("gradient_norm")
    size = {way: np.linalg.norm(update) for way, update in updates.items()}
    equal(updates[Scaled], updates[keras.Model])
    np.testing.assert_allclose(norms[Scaled], 1024 * size[keras.Model] / 0.1, rtol=1e-3)
    factor = 1 if BACKEND == "jax" else 1024
    np.testing.assert_allclose(size[watched], size[keras.Model] / factor, rtol=1e-2)


# Predicting


def test_a_called_model_can_be_differentiated(gradients):
    """`model(x)` gives tensors with gradients by the input and by each weight."""
    model = functional()
    found = gradients(model, random(2, 6, 8))
    assert len(found) == 1 + len(model.trainable_weights)
    assert np.max(np.abs(found[0])) > 1e-6


@WAYS
def test_predict_classes_is_gone(way):
    """No model has `predict_classes` any more."""
    assert not hasattr(way(), "predict_classes")


def test_argmax_of_predict_replaces_predict_classes():
    """The class is where the largest of the predicted probabilities stands."""
    model = sequential()
    x = random(5, 6, 8)
    classes = model.predict(x, verbose=0).argmax(axis=-1)
    assert classes.shape == (5,)
    np.testing.assert_array_equal(classes, numbers(model(x)).argmax(axis=-1))


def test_a_threshold_replaces_predict_classes_for_one_unit():
    """With one sigmoid unit `argmax` is always 0; a threshold gives the class."""
    model = keras.Sequential([keras.Input((4,)), layers.Dense(1, activation="sigmoid")])
    probability = model.predict(random(20, 4), verbose=0)
    assert set(probability.argmax(axis=-1)) == {0}
    assert set((probability > 0.5).astype("int32")[:, 0]) == {0, 1}


@WAYS
def test_predict_proba_is_gone(way):
    """No model has `predict_proba` any more."""
    assert not hasattr(way(), "predict_proba")


def test_predict_replaces_predict_proba():
    """`predict` gives what the last layer gives: probabilities only if that is a softmax."""
    model = sequential()
    x = random(5, 6, 8)
    probabilities = model.predict(x, verbose=0)
    equal(probabilities.sum(axis=-1), np.ones(5))
    model.layers[-1].activation = keras.activations.linear
    logits = keras.models.clone_model(model)
    logits.set_weights(model.get_weights())
    scores = logits.predict(x, verbose=0)
    differ(scores.sum(axis=-1), np.ones(5))
    equal(numbers(ops.softmax(scores)), probabilities)


def test_predict_on_batch_is_predict_of_one_batch():
    """`predict_on_batch` runs one batch and no loop; `predict_on_batches` is no name."""
    model = sequential()
    x = random(5, 6, 8)
    predicted = model.predict_on_batch(x)
    assert isinstance(predicted, np.ndarray)
    equal(predicted, model.predict(x, batch_size=2, verbose=0))
    assert not hasattr(model, "predict_on_batches")


def test_predict_step_is_what_predict_repeats():
    """`predict` and `predict_on_batch` return what an overridden `predict_step` returns."""

    class Classes(keras.Model):
        def predict_step(self, *args):
            outputs = super().predict_step(*args)
            if BACKEND == "jax":
                scores, state = outputs
                return ops.argmax(scores, axis=-1), state
            return ops.argmax(outputs, axis=-1)

    plain = functional()
    model = Classes(plain.inputs[0], plain.outputs[0])
    x = random(5, 6, 8)
    expected = plain.predict(x, verbose=0).argmax(axis=-1)
    np.testing.assert_array_equal(model.predict(x, batch_size=2, verbose=0), expected)
    np.testing.assert_array_equal(model.predict_on_batch(x), expected)


def test_predict_step_takes_the_state_first_on_jax():
    """`predict_step` gets one batch, on JAX after the state, which it then returns too."""
    parameters = list(inspect.signature(keras.Model.predict_step).parameters)
    on_jax = BACKEND == "jax"
    assert parameters == (["self", "state", "data"] if on_jax else ["self", "data"])


@WAYS
def test_predict_generator_is_gone(way):
    """No model has `predict_generator` any more."""
    assert not hasattr(way(), "predict_generator")


def test_predict_takes_a_generator_of_tuples():
    """`predict` takes a generator of `(inputs,)`; `steps` says how many batches."""
    model = sequential()
    x = random(6, 6, 8)
    batches = ((x[i : i + 2],) for i in range(0, 6, 2))
    equal(model.predict(batches, steps=3, verbose=0), model.predict(x, verbose=0))


def test_predict_refuses_a_generator_of_bare_arrays():
    """A generator must yield tuples."""
    with pytest.raises(ValueError, match="generator must return a tuple"):
        sequential().predict((random(2, 6, 8) for _ in range(3)), verbose=0)


def test_predict_warns_where_a_generator_ends_without_steps():
    """Without `steps` every batch of a finite generator is predicted, and Keras warns."""
    batches = ((random(2, 6, 8),) for _ in range(3))
    with pytest.warns(UserWarning, match="Your input ran out of data"):
        predicted = sequential().predict(batches, verbose=0)
    assert predicted.shape == (6, 3)


def test_predict_takes_a_py_dataset():
    """A `keras.utils.PyDataset` knows its length, so `predict` needs no `steps`."""

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 3

        def __getitem__(self, index):
            return x[2 * index : 2 * index + 2]

    x = random(6, 6, 8)
    model = sequential()
    equal(model.predict(Batches(), verbose=0), model.predict(x, verbose=0))


# The guide

TEST = re.compile(r"\btest_(?!step\b|on_batch\b)[a-z0-9_]+\b(?!\.py)")  # not the methods of Model


def gaps(page, tests):
    """Where a page's claims, its notes and the tests are out of step."""
    text = re.sub(r"^( *)```.*?^\1```$", "", page, flags=re.MULTILINE | re.DOTALL)
    notes = dict(re.findall(r"^\[\^([\w-]+)\]: (.*)$", text, re.MULTILINE))
    body = re.sub(r"^\[\^[\w-]+\]: .*$", "", text, flags=re.MULTILINE)
    used = set(re.findall(r"\[\^([\w-]+)\]", body))
    named = set(TEST.findall(" ".join(notes.values())))
    for name in TEST.findall(body):
        yield f"{name} is named outside a note"
    for label in used ^ set(notes):
        yield f"the note {label} is used or written, but not both"
    for label in notes:
        if not TEST.search(notes[label]):
            yield f"the note {label} names no test"
    for name in named - tests:
        yield f"there is no {name}"
    for name in tests - named:
        yield f"no note names {name}"
    for table in re.findall(r"(?:^\|.*\n)+", body, re.MULTILINE):
        for row in table.splitlines()[2:]:
            if "[^" not in row:
                yield f"a row without a note: {row}"
    claims = body.partition("## Fifteen claims")[2].partition("\n## ")[0]
    listed = re.split(r"^(\d+)\. ", claims, flags=re.MULTILINE)[1:]
    if listed[::2] != [str(number) for number in range(1, 16)]:
        yield "there are not fifteen claims"
    for number, claim in zip(listed[::2], listed[1::2], strict=True):
        if not re.search(
            r"\*(Still\s+true|No\s+longer\s+true|Never\s+quite\s+true|Settled)\b", claim
        ):
            yield f"claim {number} is not settled"
        if f"[^claim-{number}]" not in claim:
            yield f"claim {number} has no note"


def test_every_claim_names_its_tests():
    """The notes name each test here and no other; each claim and each table row has a note."""
    tests = {name for name in globals() if name.startswith("test_")}
    assert list(gaps(GUIDE.read_text(encoding="utf-8"), tests)) == []


@pytest.mark.parametrize(
    ("old", "new", "gap"),
    [
        ("[^add]: `test_sequential_", "[^add]: `test_serial_", "there is no test_serial_list"),
        ("model.[^claim-1]", "model.", "claim 1 has no note"),
        ("*Settled.*", "*Perhaps.*", "claim 15 is not settled"),
        ("10. **Subclassing", "9. **Subclassing", "there are not fifteen claims"),
        ("| several inputs[^inputs] |", "| several inputs |", "a row without a note"),
        ("`test_the_three_ways_nest`", "", "no note names test_the_three_ways_nest"),
        ("[^layer]: `test_the_base", "[^layer]: see the base", "the note layer names no test"),
        ("There is no `add`.", "Proof: test_functional_has_no_add.", "outside a note"),
        ("[^dataset]: `test_predict_takes_a_py_dataset`\n", "", "the note dataset is used or"),
    ],
)
def test_a_page_with_a_gap_is_refused(old, new, gap):
    """Taking a note, a test's name or a verdict off the page is seen."""
    page = GUIDE.read_text(encoding="utf-8")
    tests = {name for name in globals() if name.startswith("test_")}
    assert old in page
    found = list(gaps(page.replace(old, new), tests))
    assert any(gap in each for each in found)
