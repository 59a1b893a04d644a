"""A model with LoRA adapters is loaded with them: the same weights train, and it computes the same."""

import keras

from layerzoo.testing.shown import built

from .functional import functional

layer = built()
for part in layer._flatten_layers():
    if hasattr(part, "enable_lora"):
        part.enable_lora(1)
model = functional(layer)
model.save("shown.keras")
loaded = keras.saving.load_model("shown.keras")
found, due = (sorted(w.name for w in each.trainable_weights) for each in (loaded, model))
assert found == due, f"{found} train in the loaded model, {due} in the saved one"
