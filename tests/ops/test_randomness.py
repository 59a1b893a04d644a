import numpy as np
import pytest
from keras import backend, ops, random

from layerzoo.ops.randomness import kept, made_up


def drawn(seed=1):
    return random.SeedGenerator(seed).next()


def test_the_same_seed_gives_the_same_and_another_seed_or_part_does_not():
    first, again, other, part = (
        ops.convert_to_numpy(kept((50,), 0.5, *given))
        for given in ((drawn(),), (drawn(),), (drawn(2),), (drawn(), 1))
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert (first != part).any()


@pytest.mark.parametrize("rate", [0.0, 0.3, 1.0])
def test_a_share_is_dropped_and_the_mean_is_kept(rate):
    found = ops.convert_to_numpy(kept((20_000,), rate, drawn()))
    assert abs((~found).mean() - rate) < 0.02
    left = made_up(ops.cast(found, "float32"), rate)
    assert float(ops.mean(left)) == pytest.approx(0.0 if rate == 1 else 1.0, abs=0.02)


@pytest.mark.parametrize("shape", [(1,), (7,), (2, 3), (4, 0)])
def test_any_shape_is_drawn(shape):
    assert tuple(kept(shape, 0.5, drawn()).shape) == shape


def test_each_decides_for_itself():
    """Two of them come from one number."""
    found = ops.convert_to_numpy(kept((2, 50_000), 0.3, drawn())).astype("float64")
    for first, second in ((found[0], found[1]), (found[:, ::2], found[:, 1::2])):
        assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.02
    assert abs(found[:, ::2].mean() - found[:, 1::2].mean()) < 0.02


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_what_is_made_up_is_right_on_average_in_each_dtype(dtype):
    x = np.random.default_rng(0).uniform(0.5, 1, 20_000)
    found = ops.convert_to_numpy(ops.cast(made_up(ops.cast(x, dtype), 0.1), "float32"))
    assert found.mean() == pytest.approx(x.mean() / 0.9, rel=2e-4)


@pytest.mark.skipif(backend.backend() != "tensorflow", reason="only there a size may be a tensor")
@pytest.mark.parametrize("jit", [False, True])
def test_sizes_may_be_tensors(jit):
    import tensorflow as tf

    seed = drawn()

    @tf.function(input_signature=[tf.TensorSpec((None, None))], jit_compile=jit)
    def share(x):
        return tf.reduce_mean(tf.cast(kept(tf.unstack(tf.shape(x)), 0.25, seed), "float32"))

    for shape in ((100, 201), (300, 100)):
        assert float(share(tf.zeros(shape))) == pytest.approx(0.75, abs=0.02)
