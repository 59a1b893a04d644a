"""What the kit does to spend less time changes what the kit compiles and draws, and nothing else."""

import os
import re
import subprocess
import sys

import keras
import numpy as np
import pytest

from layerzoo.tensors import compat, quick
from layerzoo.tensors.quick import optimized

on_jax = pytest.mark.skipif(compat.BACKEND != "jax", reason="about what JAX compiles")


@pytest.fixture(autouse=True)
def compiled_quickly():
    """On JAX, compile as users do."""


def _compiled() -> str:
    """A small program as XLA made it; each optimization, and the option, shows in its text."""
    import jax

    program = lambda x: jax.nn.softmax(jax.numpy.tanh(x @ x) * 2.0)  # noqa: E731
    text = jax.jit(program).lower(np.ones((3, 3), "float32")).compile().as_text()
    places = r"(?m)^(FileNames|FunctionNames|FileLocations|StackFrames|\d+ .*|)$|, metadata=\{.*?\}"
    return re.sub(places, "", text)  # they say where the program was written


@on_jax
def test_compiled_calls_are_compiled_as_in_a_users_program():
    own = _compiled()
    with compat.undisturbed():
        assert _compiled() != own, "what the kit calls a few times is compiled quickly"
        with optimized(True):
            assert _compiled() == own
        assert _compiled() != own, "and after it again"
    assert _compiled() == own


@on_jax
def test_a_compiled_call_of_the_kit_is_compiled_without_the_option(monkeypatch):
    from jax._src import compiler

    from layerzoo.tensors import tracing

    asked, plain = [], compiler.get_compile_options

    def spy(*args, **kwargs):
        asked.append(plain(*args, **kwargs))
        return asked[-1]

    monkeypatch.setattr(compiler, "get_compile_options", spy)
    layer = keras.layers.Dense(5)
    with compat.undisturbed():
        layer(np.ones((2, 3), "float32"))
        assert {bool(each.env_option_overrides) for each in asked} == {True}
        run = tracing.compiled(layer, {"inputs": np.ones((2, 3), "float32")})
        del asked[:]
        run()
        assert [each.env_option_overrides for each in asked] == [[]] * len(asked) != []


@on_jax
def test_the_user_decides_and_no_environment_changes(monkeypatch):
    before = dict(os.environ)
    with compat.undisturbed():
        assert dict(os.environ) == before
        assert quick._quick_options() == {quick.OPTION: False}
    monkeypatch.setenv("XLA_FLAGS", f"--{quick.OPTION}=true")
    assert quick._quick_options.__wrapped__() == {}


@on_jax
def test_an_xla_without_the_option_is_not_asked_for_it(monkeypatch):
    monkeypatch.setattr(quick, "OPTION", "xla_cpu_no_such_option")
    assert quick._quick_options.__wrapped__() == {}


INITIALIZERS = {
    "zeros": keras.initializers.Zeros(),
    "ones": keras.initializers.Ones(),
    "constant": keras.initializers.Constant(0.3),
    "normal": keras.initializers.RandomNormal(1.0, 0.1, seed=3),
    "uniform": keras.initializers.RandomUniform(-2.0, 1.0, seed=3),
    "truncated": keras.initializers.TruncatedNormal(1.0, 0.1, seed=3),
    "glorot": keras.initializers.GlorotUniform(seed=3),
    "he": keras.initializers.HeNormal(seed=3),
    "orthogonal": keras.initializers.Orthogonal(seed=3),
}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", INITIALIZERS)
def test_an_initializer_has_the_distribution_that_it_has_without_the_kit(name, dtype):
    if (name, dtype) == ("orthogonal", "bfloat16"):
        pytest.skip("Keras cannot decompose in half precision")
    initializer, shape = INITIALIZERS[name], (60, 50)
    own = initializer(shape, dtype=dtype)
    with compat.initial_values():
        drawn, again = (initializer(shape, dtype=dtype) for _ in range(2))
    assert (drawn.dtype, drawn.shape) == (own.dtype, own.shape)
    drawn, again, own = map(compat.array, (drawn, again, own))
    np.testing.assert_array_equal(drawn, again, "a seed gives the same numbers")
    spread = max(float(np.std(own)), 1e-6)
    for share in (0.02, 0.25, 0.5, 0.75, 0.98):
        assert abs(np.quantile(drawn, share) - np.quantile(own, share)) < 0.2 * spread, share
    ends = [abs(x - np.mean(own)).max() for x in (drawn, own)]
    assert name == "normal" or abs(ends[0] - ends[1]) < 0.2 * spread, "a bound is the same"


def test_seeds_matter_and_a_generator_moves_on():
    with compat.initial_values():
        one, other = (keras.initializers.RandomNormal(seed=seed)((4, 4)) for seed in (1, 2))
        moving = keras.initializers.RandomNormal(seed=keras.random.SeedGenerator(1))
        first, second = moving((4, 4)), moving((4, 4))
    assert not np.array_equal(compat.array(one), compat.array(other))
    assert not np.array_equal(compat.array(first), compat.array(second))


def test_an_initializer_of_a_users_own_draws_what_it_draws():
    class Own(keras.initializers.Initializer):
        def __call__(self, shape, dtype=None):
            return keras.random.normal(shape, dtype=dtype, seed=5) ** 2

    expected = compat.array(Own()((3, 3), "float32"))
    with compat.initial_values():
        np.testing.assert_array_equal(compat.array(Own()((3, 3), "float32")), expected)


def test_nothing_lasts_longer_than_a_check():
    from keras.src.initializers import constant_initializers, random_initializers
    from keras.src.saving import serialization_lib

    places = [(random_initializers, "random"), (constant_initializers, "ops")]
    places += [(serialization_lib, "tf")]
    before = [getattr(*place) for place in places]
    with pytest.raises(ZeroDivisionError), compat.undisturbed():
        raise ZeroDivisionError
    assert [getattr(*place) for place in places] == before


@pytest.mark.skipif(compat.BACKEND == "tensorflow", reason="which imports TensorFlow itself")
def test_a_check_does_not_import_tensorflow():
    program = (
        "import sys, keras, layerzoo.testing as kit\n"
        "assert kit.check_layer(keras.layers.Dense(3), (2, 4), 'smoke', ['config']).ok\n"
        "assert 'tensorflow' not in sys.modules\n"
        "assert keras.src.saving.serialization_lib.tf.available == ('tensorflow' in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
