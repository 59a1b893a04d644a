"""Files and copies: a layer that is saved, pickled or cloned comes back as the same layer."""

import contextlib
import copy
import pickle
import tempfile
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np

from layerzoo.catalogue import Config
from layerzoo.tensors import compat
from layerzoo.tensors.outcomes import NotApplicable
from layerzoo.testing.engine.case import Case
from layerzoo.testing.engine.comparison import SAME, Comparison, Evidence, Fact
from layerzoo.testing.engine.register import declare
from layerzoo.testing.properties.config import same_outputs, same_weights, text


@keras.saving.register_keras_serializable(package="layerzoo.testing")
class Subclassed(keras.Model):
    """A subclassed model that holds one layer."""

    def __init__(self, layer: keras.layers.Layer, **kwargs: Any):
        super().__init__(**kwargs)
        self.layer = layer

    def call(self, inputs: Any) -> Any:
        """Call the layer; a dict holds several inputs."""
        return compat.call(self.layer, inputs) if isinstance(inputs, dict) else self.layer(inputs)

    def get_build_config(self) -> None:
        """None, because the layer has its own build config."""
        return None

    def get_config(self) -> Config:
        """The layer."""
        return {
            **super().get_config(),
            "layer": keras.saving.serialize_keras_object(self.layer),
        }

    @classmethod
    def from_config(cls, config: Config) -> "Subclassed":
        """The model with its layer revived."""
        return cls(**{**config, "layer": keras.saving.deserialize_keras_object(config["layer"])})


@declare(
    "C3",
    cost="dear",
    hint=(
        "Register the class with `keras.saving.register_keras_serializable`, make its config complete, and "
        "make every weight in `build`. Keras reads a file into a layer that was built but never called."
    ),
)
def keras_file(case: Case) -> Evidence:
    """A model saved as `.keras` loads without `custom_objects`, computes the same, and trains on the same.

    Trains on: another step with Adam, whose moments are in the file, leaves the same weights, statistics and
    moments as if training had not been interrupted.
    """
    layer = case.built()
    arrays = case.arrays()
    models = {"Functional": case.functional(layer), "subclassed": Subclassed(layer)}
    if case.sequential:
        shape, dtype = case.shapes()[case.first], case.tensors[case.first].dtype
        models["Sequential"] = keras.Sequential([keras.Input(shape[1:], dtype=dtype), layer])
    with tempfile.TemporaryDirectory() as folder:
        for kind, model in models.items():
            if kind == "Functional":  # so that no state is the one of a new layer or optimizer
                step = _step(case, model)
                for _ in range(2):
                    step(model)
            expected = case.run_model(model, arrays)
            path = str(Path(folder) / f"{kind}.keras")
            model.save(path)
            loaded = keras.saving.load_model(path)
            for a, e in zip(case.run_model(loaded, arrays), expected, strict=True):
                yield Comparison(a, e, SAME, f"outputs of a {kind} model, reloaded and saved")
            if kind == "Functional":
                yield from _resumed(model, loaded, step)


def _step(case, model):
    """A function that takes a step of training in a model like this one, and returns what came out.

    It compiles this model, with an optimizer that has variables of its own. What has no weight to train is
    only called. Its inputs are not those at which outputs are compared: it would show if they leave a trace.
    """
    feed = case.feed(case.arrays(1))
    if not model.trainable_variables:
        return lambda each: compat.flat(each(feed, training=True))
    generator = np.random.default_rng([case.sample.seed, 59])
    with case.resting(model):
        outputs = model(feed, training=False)
    target = keras.tree.map_structure(
        lambda y: generator.normal(size=y.shape).astype("float32"), outputs
    )
    # an epsilon above the rounding errors, which Adam would otherwise make as large as a step
    optimizer = keras.optimizers.Adam(0.01, epsilon=1e-3)
    model.compile(optimizer, "mse", run_eagerly=compat.BACKEND != "jax")  # which compiles faster

    def step(each):
        with warnings.catch_warnings():  # about weights without a gradient, which G2 checks
            warnings.filterwarnings("ignore", "Gradients do not exist")
            return [np.array(each.train_on_batch(feed, target))]

    return step


def _resumed(model, loaded, step) -> Evidence:
    """A loaded model trains on as the saved one does: weights, statistics and the optimizer's variables.

    The seeds are handed over, because no file of Keras holds them.
    """
    kept = [*model.variables, *(model.optimizer.variables if model.trainable_variables else [])]
    back = [*loaded.variables, *(loaded.optimizer.variables if loaded.trainable_variables else [])]
    counts = [len(each.trainable_variables) for each in (model, loaded)], [len(kept), len(back)]
    yield Fact(
        all(due == now for due, now in counts),
        "weights that train, and variables with those of the optimizer\n"
        f"saved           {counts[0][0]}, {counts[1][0]}\n"
        f"loaded          {counts[0][1]}, {counts[1][1]}",
    )
    pairs = list(zip(back, kept, strict=True))
    for a, e in pairs:
        if "seed_generator" in e.path:
            a.assign(compat.array(e).copy())  # JAX gives the memory of a value away in a step
    found = []
    for each in (loaded, model):
        with compat.global_seeds(1):
            found.append(step(each))
    for a, e in zip(*found, strict=True):
        what = (
            "the loss, or the outputs if nothing trains, of a model reloaded, and not interrupted"
        )
        yield Comparison(a, e, SAME, what)
    for a, e in pairs:
        what = f"variable {e.path} after one more step of a model reloaded, and not interrupted"
        yield Comparison(compat.array(a), compat.array(e), SAME, what)


@declare(
    "C4",
    cost="fair",
    hint=(
        "Build every inner layer in `build`: a layer that only the first call makes does not exist when a "
        "weights file is read. If you write your own `load_own_variables`, it must read what "
        "`save_own_variables` wrote."
    ),
)
def weights_file(case: Case) -> Evidence:
    """A `.weights.h5` file loads into a layer that was built but never called, and gives the same outputs."""
    layer = case.built(name="subject")
    bare = case.make(name="subject")
    case.build(bare)
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "subject.weights.h5")
        saved, loaded = Subclassed(layer), Subclassed(bare)
        saved.built = loaded.built = True
        saved.save_weights(path)
        loaded.load_weights(path)
    yield from same_outputs(
        case, layer, bare, "the saved layer and a new one with the loaded weights"
    )


@declare(
    "C5",
    tier="should",
    cost="fair",
    hint=(
        "Keras copies a layer through the same methods that save it. Do not write your own `__deepcopy__` "
        "or `__reduce__`, and make the config and the build config complete."
    ),
)
def copies(case: Case) -> Evidence:
    """`copy.deepcopy` and `pickle` give an equal layer, `clone_model` a new one; none shares variables."""
    layer = case.built()
    model = case.functional(layer)
    clone = keras.models.clone_model(model)
    for kind, other in {
        "copy.deepcopy": copy.deepcopy(layer),
        "pickle": pickle.loads(pickle.dumps(layer)),
        "clone_model": clone.get_layer(layer.name),
    }.items():
        yield Fact(type(other) is type(layer), f"{kind} gave {type(other)} for {type(layer)}")
        kept, found = text(layer.get_config()), text(other.get_config())
        yield Fact(found == kept, f"config          {kept}\nby {kind:<12} {found}")
        known = {id(variable) for variable in layer.variables}
        shared = [v.path for v in other.variables if id(v) in known]
        yield Fact(not shared, f"by {kind}, shared with the original: {', '.join(shared)}")
        what = f"the layer and its copy by {kind}"
        if kind == "clone_model":
            yield from same_weights(case, layer, other, f"{what}, same weights")
        else:
            yield from same_outputs(case, layer, other, what)


@declare(
    "C7",
    tier="should",
    cost="dear",
    hint=(
        "`Dense` keeps in its config that it was quantised, but a layer that `build` makes is in no config. "
        "Keep the `quantization_mode` of each inner layer in `get_build_config`, and quantise it again in "
        "`build_from_config`, as the decorator `layerzoo.building.recipe.recipe` does. What is not "
        "built yet cannot be quantised: build every inner layer in `build`."
    ),
)
def quantized_file(case: Case) -> Evidence:
    """A model that is quantised before its first call is loaded as it was saved, and computes the same."""
    layer = case.make()
    model = case.functional(layer)
    case.move_weights(layer)
    with warnings.catch_warnings(), compat.little_garbage():
        warnings.simplefilter("ignore")  # about layers that have nothing to quantise
        model.quantize("int8")
        if not any(each.quantization_mode for each in compat.sublayers(layer)):
            raise NotApplicable("no layer inside can be quantised")
        yield from _reloaded(case, model, "quantised")


@declare(
    "C8",
    tier="should",
    cost="dear",
    hint=(
        "`Dense` keeps the rank of its adapters in its config, but what `build` makes is in no config. Keep "
        "`lora_rank` of each inner layer in `get_build_config`, and call `enable_lora` again in "
        "`build_from_config`, as the decorator `layerzoo.building.recipe.recipe` does."
    ),
)
def adapted_file(case: Case) -> Evidence:
    """A model with LoRA adapters is loaded with them: the same weights train, and it computes the same."""
    layer = case.make()
    model = case.functional(layer)
    adapted = False
    for part in compat.sublayers(layer):
        if hasattr(part, "enable_lora"):
            with contextlib.suppress(ValueError):  # a constraint on the kernel forbids it
                part.enable_lora(1)
                adapted = True
    if not adapted:
        raise NotApplicable("no layer inside can be adapted")
    case.move_weights(layer)
    yield from _reloaded(case, model, "adapted")


def _reloaded(case, model, how) -> Evidence:
    """A changed model comes back from a file with the same weights and the same outputs."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "model.keras")
        model.save(path)
        loaded = keras.saving.load_model(path)
    kept, found = (
        sorted(
            f"{w.name} {tuple(w.shape)} {w.dtype}{'' if w.trainable else ' frozen'}"
            for w in each.weights
        )
        for each in (model, loaded)
    )
    yield Fact(
        kept == found,
        f"weights of the {how} model\nsaved           {', '.join(kept)}\n"
        f"loaded          {', '.join(found)}",
    )
    arrays = case.arrays()
    expected = case.run_model(model, arrays)
    for a, e in zip(case.run_model(loaded, arrays), expected, strict=True):
        yield Comparison(a, e, SAME, f"outputs of the {how} model, reloaded and saved")
