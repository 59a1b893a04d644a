"""A model with LoRA adapters is loaded with them: the same weights train, and it computes the same."""

import keras

from layerzoo.testing.shown import built, inputs

layer = built()
for part in layer._flatten_layers():
    if hasattr(part, "enable_lora"):
        part.enable_lora(1)
symbol = lambda x: keras.Input(batch_shape=x.shape, dtype=str(x.dtype))
symbols = keras.tree.map_structure(symbol, inputs)
model = keras.Model(keras.tree.flatten(symbols), layer(**symbols))
model.save("shown.keras")
loaded = keras.saving.load_model("shown.keras")
trained, due = ([w.name for w in each.trainable_weights] for each in (loaded, model))
assert sorted(trained) == sorted(due), (
    f"{trained} train in the loaded model, {due} in the saved one"
)
