"""A model saved as `.keras` loads without `custom_objects`, computes the same, and trains on the same."""

import keras
import numpy as np

from layerzoo.testing.shown import built, numbers

from .functional import functional, given

model = functional(built())
generator = np.random.default_rng(1)
target = keras.tree.map_structure(lambda y: generator.normal(size=y.shape), model(given))
optimizer = keras.optimizers.Adam(0.01, epsilon=1e-3)
model.compile(optimizer, "mse", run_eagerly=keras.backend.backend() != "jax")


def step(model):  # of training
    keras.utils.set_random_seed(7)
    if not model.trainable_variables:
        return numbers(model(given, training=True))
    model.train_on_batch(given, target)
    return numbers([v.value for v in (*model.variables, *model.optimizer.variables)])


for _ in range(2):
    step(model)
model.save("shown.keras")
loaded = keras.saving.load_model("shown.keras")
for new, old in zip(loaded.variables, model.variables):  # no file of Keras holds seeds
    if "seed_gen" in old.path:
        new.assign(np.array(old.value))
for y, e in zip(numbers(loaded(given)), numbers(model(given)), strict=True):
    np.testing.assert_allclose(y, e, rtol=1e-5, atol=1e-6)
for y, e in zip(step(loaded), step(model), strict=True):
    np.testing.assert_allclose(y, e, rtol=1e-5, atol=1e-6)
