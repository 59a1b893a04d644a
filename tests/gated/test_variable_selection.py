import keras
import numpy as np
import pytest
from arrays import close, random
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops

from layerzoo import GatedResidualNetwork, VariableSelection


def network(x, weights, j=None, c=None, epsilon=1e-3):
    """A gated residual network at one step, of variable `j` or of the weights."""

    def linear(name, z):
        kernel, bias = weights[f"{name}/kernel"], weights.get(f"{name}/bias", 0)
        return z @ kernel + bias if j is None else z @ kernel[j] + bias[j].ravel()

    prefix = "select/" if j is None else "each_"
    hidden = linear(f"{prefix}inputs", x)
    if c is not None:
        hidden = hidden + linear("select/context", c)
    hidden = np.where(hidden > 0, hidden, np.exp(np.minimum(hidden, 0)) - 1)
    hidden = linear(f"{prefix}hidden", hidden)
    gated = linear(f"{prefix}value", hidden) / (1 + np.exp(-linear(f"{prefix}gate", hidden)))
    z = (linear("select/shortcut", x) if f"{prefix}shortcut/kernel" in weights else x) + gated
    z = (z - z.mean()) / np.sqrt(z.var() + epsilon)
    if j is None:
        return z * weights["select/norm/gamma"] + weights["select/norm/beta"]
    return z * weights["gamma"][j] + weights["beta"][j]


def reference(variables, names, weights, c=None, epsilon=1e-3):
    """Equations 6 to 8 of the paper, one step and one variable at a time: the outputs and the weights."""
    outputs, scores = [], []
    for step in np.ndindex(*variables[0].shape[:-1]):
        x = [each[step].astype("float64") for each in variables]
        for j, name in enumerate(names):
            if f"embed_{name}/kernel" in weights:
                x[j] = x[j] @ weights[f"embed_{name}/kernel"] + weights[f"embed_{name}/bias"]
            elif "embed/kernel" in weights:
                x[j] = x[j] @ weights["embed/kernel"][j] + weights["embed/bias"][j].ravel()
        known = None if c is None else c[step[0]] if c.ndim == 2 else c[step]
        logits = network(np.concatenate(x), weights, None, known, epsilon)
        share = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
        processed = [network(each, weights, j, None, epsilon) for j, each in enumerate(x)]
        outputs.append(sum(w * each for w, each in zip(share, processed, strict=True)))
        scores.append(share)
    steps = variables[0].shape[:-1]
    return np.reshape(outputs, (*steps, -1)), np.reshape(scores, (*steps, -1))


@settings(max_examples=10, deadline=None, derandomize=True, database=None)
@given(
    steps=st.sampled_from([(), (4,)]),
    widths=st.sampled_from([(4, 4, 4), (1, 1), (2, 4, 1), (3,)]),
    hidden_dim=st.sampled_from([None, 3]),
    context=st.sampled_from([None, "of the sample", "of each step"]),
    kind=st.sampled_from(["list", "dict"]),
    seed=st.integers(0, 99),
)
def test_equals_the_reference(randomise, steps, widths, hidden_dim, context, kind, seed):
    layer = VariableSelection(4, hidden_dim=hidden_dim, epsilon=0.01)
    variables = [random(2, *steps, width, seed=[seed, i]) for i, width in enumerate(widths)]
    names = ["age", "day", "price"][: len(widths)] if kind == "dict" else list(range(len(widths)))
    inputs = dict(reversed(list(zip(names, variables, strict=True))))
    inputs = inputs if kind == "dict" else variables
    c = None
    if context is not None:
        c = random(2, *(steps if context == "of each step" else ()), 3, seed=seed + 1)
    given = {} if c is None else dict(context=c)
    layer(inputs, **given)
    weights = randomise(layer, seed)
    found = layer(inputs, **given, return_attention_scores=True)
    for actual, expected in zip(found, reference(variables, names, weights, c, 0.01), strict=True):
        close(actual, expected)


@pytest.mark.parametrize("width", [1, 4])
def test_four_forms_of_the_same_variables_give_the_same(randomise, width):
    x = random(2, 5, 3, width)
    each = [x[:, :, j] for j in range(3)]
    forms = {
        "stacked": (VariableSelection(4), x),
        "side by side": (VariableSelection(4, num_variables=3), x.reshape(2, 5, -1)),
        "list": (VariableSelection(4), each),
        "dict": (VariableSelection(4), dict(zip("cab", (each[2], *each[:2]), strict=True))),
    }
    found = []
    for layer, inputs in forms.values():
        layer(inputs)
        randomise(layer)
        found.append(ops.convert_to_numpy(layer(inputs)))
    for other in found[1:]:
        close(other, found[0])


def test_each_variable_has_a_network_like_the_recipe(randomise):
    layer, single = VariableSelection(4, num_variables=1, hidden_dim=3), GatedResidualNetwork(4, 3)
    x = random(2, 5, 4)
    layer(x)
    single(x)
    weights = randomise(layer)
    for weight in single.weights:
        name = weight.path.removeprefix(single.path + "/").removeprefix("norm/")
        name = name if name in weights else f"each_{name}"
        weight.assign(weights[name][0].reshape(weight.shape))
    outputs, scores = layer(x, return_attention_scores=True)
    close(outputs, ops.convert_to_numpy(single(x)))
    close(scores, np.ones((2, 5, 1)), relative=0)


def test_kernels_are_drawn_as_those_of_dense_layers():
    keras.utils.set_random_seed(0)
    layer = VariableSelection(64)
    layer.build((None, 3, 64))
    kernels = ops.convert_to_numpy(layer.project_inputs.kernel)
    assert np.abs(kernels.std(axis=(1, 2)) - (2 / 128) ** 0.5).max() < 0.01
    assert not np.array_equal(kernels[0], kernels[1])


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_the_weights_are_a_softmax_in_float32(randomise, policy):
    exact, half = VariableSelection(4), VariableSelection(4, dtype=policy)
    x = random(2, 5, 3, 4)
    found = []
    for layer in (exact, half):
        layer(x)
        randomise(layer)
        found.append(layer(x, return_attention_scores=True)[1])
    assert keras.backend.standardize_dtype(found[1].dtype) == half.compute_dtype
    close(ops.cast(found[1], "float32"), ops.convert_to_numpy(found[0]), relative=0.1)


def test_masks_of_steps_pass_and_masks_of_variables_end():
    steps = {"day": keras.Input((None, 2)), "price": layers.Masking()(keras.Input((None, 1)))}
    assert VariableSelection(4)(steps)._keras_mask is not None
    stacked = layers.Masking()(keras.Input((3, 2)))
    assert getattr(VariableSelection(4)(stacked), "_keras_mask", None) is None


REFUSED = {
    "a missing variable": (dict(day=(2, 5, 2)), "variables of the first call"),
    "an unknown variable": (dict(day=(2, 5, 2), rain=(2, 5, 1)), "variables of the first call"),
    "another width": (dict(day=(2, 5, 3), price=(2, 5, 1)), "variables of the first call"),
    "a list": ([(2, 5, 2), (2, 5, 1)], "variables of the first call"),
    "another time": (dict(day=(2, 5, 2), price=(2, 4, 1)), "differ in their width alone"),
    "another rank": (dict(day=(2, 5, 2), price=(2, 1)), "differ in their width alone"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_other_variables_are_refused_by_name(name):
    shapes, rule = REFUSED[name]
    layer = VariableSelection(4)
    layer({"price": random(2, 5, 1), "day": random(2, 5, 2)})
    if isinstance(shapes, dict):
        inputs = {name: random(*shape) for name, shape in shapes.items()}
    else:
        inputs = [random(*shape) for shape in shapes]
    with pytest.raises(ValueError, match=rf"`inputs` must hold .*{rule}.*Received: "):
        layer(inputs)


@pytest.mark.parametrize(
    ("number", "shapes", "rule"),
    [
        (None, (2, 3), "`inputs` must have an axis of variables"),
        (4, (2, 6), "`num_variables` must divide the width of a single input"),
        (3, [(2, 1), (2, 1)], "`inputs` must hold 3 variables. Received: 2"),
    ],
)
def test_inputs_that_cannot_be_variables_are_refused_at_first(number, shapes, rule):
    layer = VariableSelection(4, num_variables=number)
    several = isinstance(shapes, list)
    with pytest.raises(ValueError, match=rule):
        layer([random(*shape) for shape in shapes] if several else random(*shapes))
    assert not layer.built


@pytest.mark.parametrize("context", [(3, 2), (2, 4, 2), (2, 5, 1, 2)])
def test_a_context_that_does_not_fit_is_refused(context):
    layer = VariableSelection(4)
    with pytest.raises(ValueError, match="`context` must have two axes or as many as the inputs"):
        layer(random(2, 5, 3, 4), context=random(*context))
    assert not layer.built


def test_a_refused_context_draws_no_random_number():
    layer = VariableSelection(4, dropout=0.5, seed=1)
    x, c = random(2, 5, 3, 4), random(2, 3)
    layer(x, context=c)
    before = [ops.convert_to_numpy(v) for v in layer.non_trainable_variables]
    with pytest.raises(ValueError, match="`context` must"):
        layer(x, context=random(3, 3), training=True)
    for variable, value in zip(layer.non_trainable_variables, before, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(variable), value)


def test_a_model_of_a_dict_is_saved_and_its_weights_are_drawn(randomise, tmp_path):
    known = {"price": keras.Input((5, 1), name="price"), "day": keras.Input((5, 3), name="day")}
    store = keras.Input((2,), name="store")
    layer = VariableSelection(4)
    model = keras.Model([known, store], layer(known, context=store))
    randomise(layer)
    inputs = [{"day": random(2, 5, 3), "price": random(2, 5, 1)}, random(2, 2)]
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    close(loaded(inputs), ops.convert_to_numpy(model(inputs)), relative=0)

    from layerzoo.cookbook.attention_maps import attention_scores

    (scores,) = attention_scores(loaded, inputs).values()
    assert scores.shape == (2, 5, 2)
    close(scores.sum(-1), np.ones((2, 5)))
