import keras
import numpy as np
import pytest
from arrays import close, random
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops

from layerzoo import GatedResidualNetwork

ACTIVATIONS = {
    "elu": lambda z: np.where(z > 0, z, np.exp(np.minimum(z, 0)) - 1),
    "tanh": np.tanh,
}


def reference(a, weights, c=None, activation="elu", epsilon=1e-3):
    """Equations 2 to 5 of the paper, one step at a time, in float64."""

    def linear(name, z):
        return z @ weights[f"{name}/kernel"] + weights.get(f"{name}/bias", 0)

    units = len(weights["norm/gamma"])
    y = np.zeros((*a.shape[:-1], units))
    for step in np.ndindex(*a.shape[:-1]):
        x = a[step].astype("float64")
        hidden = linear("inputs", x)
        if c is not None:
            hidden = hidden + linear("context", c[step[0]] if c.ndim == 2 else c[step])
        hidden = linear("hidden", ACTIVATIONS[activation](hidden))
        gated = linear("value", hidden) / (1 + np.exp(-linear("gate", hidden)))
        z = (linear("shortcut", x) if "shortcut/kernel" in weights else x) + gated
        z = (z - z.mean()) / np.sqrt(z.var() + epsilon)
        y[step] = z * weights["norm/gamma"] + weights["norm/beta"]
    return y


def built(randomise, width=6, context=None, seed=0, **config):
    layer = GatedResidualNetwork(**{"units": 6, **config})
    layer.build((None, None, width), context)
    return layer, randomise(layer, seed)


@settings(max_examples=10, deadline=None, derandomize=True, database=None)
@given(
    steps=st.sampled_from([(), (5,), (3, 2)]),
    units=st.sampled_from([6, 3]),
    hidden_dim=st.sampled_from([None, 4]),
    activation=st.sampled_from(list(ACTIVATIONS)),
    epsilon=st.sampled_from([1e-3, 0.1]),
    context=st.sampled_from([None, "of the sample", "of each step"]),
    seed=st.integers(0, 99),
)
def test_equals_the_reference(
    randomise, steps, units, hidden_dim, activation, epsilon, context, seed
):
    layer = GatedResidualNetwork(units, hidden_dim, activation, epsilon=epsilon)
    x, given = random(3, *steps, 6, seed=seed), {}
    if context is not None:
        axes = steps if context == "of each step" else ()
        given = dict(context=random(3, *axes, 2, seed=seed + 1))
    layer(x, **given)
    weights = randomise(layer, seed)
    expected = reference(x, weights, given.get("context"), activation, epsilon)
    close(layer(x, **given), expected)


def test_the_shortcut_is_projected_only_where_it_must_be(randomise):
    names = built(randomise)[1]
    assert not any(name.startswith(("shortcut", "context")) for name in names)
    assert "shortcut/kernel" in built(randomise, width=5)[1]
    conditioned = built(randomise, context=(None, 2))[1]
    assert "context/kernel" in conditioned
    assert "context/bias" not in conditioned


def test_a_closed_gate_leaves_the_shortcut(randomise):
    layer, _ = built(randomise)
    layer.gate.bias.assign(np.full(6, -1e9, "float32"))
    x = random(2, 5, 6)
    close(layer(x), ops.convert_to_numpy(layer.norm(x)))


def test_dropout_comes_before_the_gate(randomise):
    layer, weights = built(randomise, dropout=1.0)
    x = random(2, 6)
    dropped = {**weights, "hidden/kernel": np.zeros((6, 6)), "hidden/bias": np.zeros(6)}
    close(layer(x, training=True), reference(x, dropped))
    close(layer(x), reference(x, weights))


def test_a_context_of_a_sample_is_repeated_over_its_steps(randomise):
    layer, _ = built(randomise, context=(None, 2))
    x, c = random(2, 5, 6), random(2, 2, seed=1)
    repeated = np.repeat(c[:, None], 5, axis=1)
    close(layer(x, context=c), ops.convert_to_numpy(layer(x, context=repeated)))


@pytest.mark.parametrize(
    "context", [(3, 2), (2, 4, 2), (2, 5, 1, 2), (2,)], ids=["batch", "steps", "rank", "one axis"]
)
@pytest.mark.parametrize("made", [False, True])
def test_a_context_that_does_not_fit_is_refused(randomise, made, context):
    layer = built(randomise, context=(None, 2))[0] if made else GatedResidualNetwork(6)
    with pytest.raises(ValueError, match="`context` must have two axes or as many as the inputs"):
        layer(random(2, 5, 6), context=random(*context))
    assert layer.built == made


@pytest.mark.parametrize("first", [None, (None, 2)])
def test_a_context_is_passed_in_every_call_or_in_none(randomise, first):
    layer, _ = built(randomise, context=first)
    given = {} if first else dict(context=random(2, 2))
    with pytest.raises(ValueError, match="`context` must be passed in every call or in none"):
        layer(random(2, 5, 6), **given)


def test_a_model_with_a_context_is_saved_and_the_mask_passes(randomise, tmp_path):
    series, store = keras.Input((None, 5)), keras.Input((2,))
    layer = GatedResidualNetwork(4)
    masked = layer(layers.Masking()(series), context=store)
    model = keras.Model([series, store], layers.GlobalAveragePooling1D()(masked))
    weights = randomise(layer)
    x, c = random(2, 5, 5), random(2, 2, seed=1)
    x[:, 3:] = 0
    close(model([x, c]), reference(x, weights, c)[:, :3].mean(axis=1))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    close(loaded([x, c]), ops.convert_to_numpy(model([x, c])), relative=0)
