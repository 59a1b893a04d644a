"""A model that is compiled."""

import keras

from layerzoo.testing.shown import built


class Model(keras.Model):
    def build(self, shapes):
        self.layer = built()

    def call(self, given, training=False):
        return self.layer(**given, training=training or self.name == "training")


def compiled(name, given):
    model = Model(name=name)
    model(given)
    model.compile(jit_compile=True)
    return model, lambda: model.predict(
        given, batch_size=len(keras.tree.flatten(given)[0]), verbose=0
    )
