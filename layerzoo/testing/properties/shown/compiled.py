"""A model with the layer, and its compiled step."""

import keras

from layerzoo.testing.shown import built


class Model(keras.Model):
    def build(self, shapes):
        self.layer = built()

    def call(self, given, training=False):
        return self.layer(**given, training=training or self.name == "training")


def compiled(name, given, jit_compile=True):
    model, size = Model(name=name), len(keras.tree.flatten(given)[0])
    model(given)
    model.compile(jit_compile=jit_compile)
    return model, lambda: model.predict(given, batch_size=size, verbose=0)
