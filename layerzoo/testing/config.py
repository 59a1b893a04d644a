"""Configs and files: a layer can be written down and comes back the same."""

import copy
import inspect
import json
import tempfile
from pathlib import Path

import keras

from layerzoo.testing import compat
from layerzoo.testing.case import same
from layerzoo.testing.closeness import demand_close
from layerzoo.testing.outcomes import demand
from layerzoo.testing.properties import declare

FILE = "a float32 layer read back computes the same numbers; 1e-6 is for reordered sums"


@keras.saving.register_keras_serializable(package="layerzoo.testing")
class Subclassed(keras.Model):
    """A subclassed model that holds one layer."""

    def __init__(self, layer, **kwargs):
        super().__init__(**kwargs)
        self.layer = layer

    def call(self, inputs):
        """Call the layer, with several inputs given as a dict."""
        return compat.call(self.layer, inputs) if isinstance(inputs, dict) else self.layer(inputs)

    def get_build_config(self):
        """None: the layer has one of its own."""
        return None

    def get_config(self):
        """The layer."""
        return {
            **super().get_config(),
            "layer": keras.saving.serialize_keras_object(self.layer),
        }

    @classmethod
    def from_config(cls, config):
        """The model with its layer revived."""
        return cls(**{**config, "layer": keras.saving.deserialize_keras_object(config["layer"])})


@declare("C1")
def config_roundtrip(case):
    """A layer revived from its config, through JSON, is the same layer and computes the same."""
    layer = case.make(name="subject", dtype="mixed_bfloat16")
    fresh = layer.get_config()
    written = _text(fresh)
    lost = [name for name in _moved_off_default(case) if name not in fresh]
    demand(not lost, f"  arguments missing from the config: {', '.join(lost)}")
    case.call(layer, case.arrays())
    used = _text(layer.get_config())
    demand(used == written, f"  config when new {written}\n  after a call    {used}")

    given = copy.deepcopy(fresh)
    revived = type(layer).from_config(given)
    demand(given == fresh, f"  `from_config` changed its argument\n  from {fresh}\n  to   {given}")
    again = _text(revived.get_config())
    demand(again == written, f"  config          {written}\n  after revival   {again}")
    demand(
        revived.name == "subject" and revived.dtype_policy.name == "mixed_bfloat16",
        f"  name and dtype  subject, mixed_bfloat16\n"
        f"  after revival   {revived.name}, {revived.dtype_policy.name}",
    )

    layer = case.built()
    text = json.dumps(keras.saving.serialize_keras_object(layer))
    revived = keras.saving.deserialize_keras_object(json.loads(text))
    demand(type(revived) is type(layer), f"  revived as {type(revived)}, was {type(layer)}")
    case.call(revived, case.arrays())
    kept, found = _shapes(layer), _shapes(revived)
    demand(kept == found, f"  weights         {kept}\n  after revival   {found}")
    revived.set_weights(layer.get_weights())
    _demand_same(case, layer, revived, "the revived layer computes the same")


@declare("C3", cost="dear")
def keras_file(case):
    """A `.keras` file of a model around the layer loads without `custom_objects` and computes the same."""
    layer = case.built()
    arrays = case.arrays()
    models = {"Functional": case.functional(layer), "subclassed": Subclassed(layer)}
    if case.sequential:
        shape = next(iter(case.shapes().values()))
        models["Sequential"] = keras.Sequential([keras.Input(shape[1:]), layer])
    with tempfile.TemporaryDirectory() as folder:
        for kind, model in models.items():
            expected = case.run_model(model, arrays)
            path = str(Path(folder) / f"{kind}.keras")
            model.save(path)
            loaded = keras.saving.load_model(path)
            for a, e in zip(case.run_model(loaded, arrays), expected, strict=True):
                demand_close(a, e, 1e-6, f"  a {kind} model, reloaded", FILE)


@declare("C4", cost="fair")
def weights_file(case):
    """Weights in a `.weights.h5` file load into a layer that was only built, and give the same numbers."""
    layer = case.built(name="subject")
    bare = case.make(name="subject")
    case.build(bare)
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "subject.weights.h5")
        saved, loaded = Subclassed(layer), Subclassed(bare)
        saved.built = loaded.built = True
        saved.save_weights(path)
        loaded.load_weights(path)
    _demand_same(case, layer, bare, "the layer with loaded weights computes the same")


@declare("C6")
def trainable_flag(case):
    """`trainable=False` freezes every weight, survives the config, and can be taken back."""
    free = case.built()
    frozen = case.make(trainable=False)
    case.call(frozen, case.arrays())
    demand(
        not frozen.trainable_weights,
        f"  frozen, and yet trainable: {[w.path for w in frozen.trainable_weights]}",
    )
    revived = type(frozen).from_config(frozen.get_config())
    demand(not revived.trainable, "  trainable=False became True on the way through the config")
    case.call(revived, case.arrays())
    demand(not revived.trainable_weights, "  revived from a frozen layer's config, weights train")
    frozen.trainable = True
    found, due = len(frozen.trainable_weights), len(free.trainable_weights)
    demand(found == due, f"  thawed, {found} weights train; {due} do in a layer never frozen")


def _moved_off_default(case) -> list[str]:
    parameters = inspect.signature(case.card.layer.__init__).parameters
    return [
        name
        for name, value in case.config.items()
        if name in parameters and not same(value, parameters[name].default)
    ]


def _text(config) -> str:
    """A config as JSON, without what Keras adds to a layer inside once that is built."""

    def stripped(node):
        if isinstance(node, dict):
            return {k: stripped(v) for k, v in node.items() if k != "build_config"}
        return list(map(stripped, node)) if isinstance(node, list | tuple) else node

    return json.dumps(stripped(config), sort_keys=True)


def _shapes(layer) -> list[tuple]:
    return [tuple(weight.shape) for weight in layer.weights]


def _demand_same(case, layer, other, what):
    arrays = case.arrays()
    for a, e in zip(case.run(other, arrays), case.run(layer, arrays), strict=True):
        demand_close(a, e, 1e-6, f"  {what}", FILE)
