"""Execution: compiled, stateless, exported and on another backend, the layer computes the same."""

import tempfile
from functools import partial

import keras
import numpy as np

from layerzoo.testing import backends, compat
from layerzoo.testing.case import flat
from layerzoo.testing.closeness import demand_close
from layerzoo.testing.outcomes import NotApplicable, Violation, demand
from layerzoo.testing.properties import declare

TRIES, BATCH = 4, 16  # dropping one sample in five never shows with probability 1e-6
FUSED = "float32, 1e-5 for operations that the compiler fuses"

MODEL = """
class Model(keras.Model):
    def build(self, shapes):
        self.layer = built()
    def call(self, given):
        return self.layer(**given)
model = Model()
expected = keras.tree.flatten(model(inputs))
"""

NUMBERS = """
for y, e in zip(found, expected):
    y, e = (keras.ops.convert_to_numpy(x).astype("float64") for x in (y, e))
    close = np.abs(y - e).max() <= 1e-4 * max(1, np.abs(e).max())
    assert close, f"{y.ravel()[:4]} and {e.ravel()[:4]}"
"""


@declare(
    "X1",
    cost="dear",
    hint=(
        "Usually Python that runs once, when the call is traced: a number drawn by NumPy, a test of whether "
        "something is traced, or an attribute that is changed in `call`."
    ),
    shown=MODEL
    + """
model.compile(jit_compile=True)
found = keras.tree.flatten(model.predict(inputs, verbose=0))
"""
    + NUMBERS,
)
def jit_equals_eager(case):
    """Compiled, the layer computes what it does eagerly, call by call; its noise differs call by call."""
    layer = case.built()
    arrays = case.arrays(values="normal")
    eager = case.run(layer, arrays)
    compiled = compat.compiled(layer, arrays, training=False)
    for turn in ("first",) if case.traits.state == "always" else ("first", "second"):
        for a, e in zip(flat(compiled()), eager, strict=True):
            demand_close(a, e, 1e-5, f"  the {turn} compiled call, and eager", FUSED)
    if case.traits.state != "always":
        for a, e in zip(case.run(layer, arrays), eager, strict=True):
            demand_close(a, e, 0, "  eager after compiling, and before", "equal bits")
    if case.traits.stochastic:
        wide = {"b": BATCH} if _any_batch(case) else {}
        step = compat.compiled(layer, case.arrays(values="normal", **wide), training=True)
        outputs = [flat(step()) for _ in range(TRIES)]
        repeated = all(all(map(np.array_equal, each, outputs[0])) for each in outputs[1:])
        demand(not repeated, f"  {TRIES} compiled calls in training gave the same numbers")


@declare(
    "X2",
    tier="should",
    cost="long",
    hint=(
        "Usually a Python number that `call` changes on the layer, a global setting that it changes, or a "
        "size taken from `inputs.shape`, which is None where it is unknown: `keras.ops.shape(inputs)`."
    ),
    shown=MODEL
    + """
if keras.backend.backend() == "tensorflow":
    import tensorflow as tf
    def spec(x):
        return tf.TensorSpec((None, *x.shape[1:]), x.dtype)
    traced = tf.function(lambda given: model.layer(**given, training=True),
        input_signature=[keras.tree.map_structure(spec, inputs)])
    for n in (1, len(next(iter(keras.tree.flatten(inputs))))):
        some = keras.tree.map_structure(lambda x: keras.ops.convert_to_tensor(x[:n]), inputs)
        found = keras.tree.flatten(traced(some))
        due = keras.tree.flatten(model.layer(**some, training=True))
        for y, e in zip(found, due):
            assert np.allclose(y, e, atol=1e-4), f"{n} samples: {np.ravel(y)[:4]}, eager {np.ravel(e)[:4]}"
    count = traced.experimental_get_tracing_count()
elif keras.backend.backend() == "jax":
    import jax
    traced = jax.jit(lambda given: model.layer(**given))
    for _ in range(3):
        traced(inputs)
    count = traced._cache_size()
else:
    import torch
    graphs = []
    traced = torch.compile(model.layer, backend=lambda graph, _: graphs.append(graph) or graph.forward)
    tensors = keras.tree.map_structure(torch.tensor, inputs)
    traced(**tensors)
    once = len(graphs)
    for _ in range(2):
        traced(**tensors)
    count = 1 + len(graphs) - once
assert count == 1, f"the calls took {count} traces"
    """,
)
def retrace(case):
    """Calls that look alike are traced once, and where the backend allows another batch size needs no trace.

    TensorFlow is given a signature of unknown batch, under which one trace serves all. PyTorch may trace
    anew for a second batch size, and not for a third. JAX traces each size, and each only once.
    """
    layer = case.built()
    first = max(case.sizes.get("b", 2), 2)
    free = _any_batch(case) and compat.BACKEND != "jax"
    sizes = [first, first, first, *((first + 1, first + 2, first + 3) if free else ())]
    arrays = [case.arrays(values="normal", **({"b": n} if _any_batch(case) else {})) for n in sizes]
    training = not case.traits.stochastic
    with case.resting(layer), compat.kept_state(layer):
        eager = [flat(compat.call(layer, a, training=training)) for a in arrays[3:]]
    with case.resting(layer), compat.kept_state(layer):
        outputs, traces = compat.traced_calls(layer, arrays, _any_batch(case), training=training)
    told = f"  batches         {sizes}\n  traces          {traces}, counted after each call"
    demand(traces[2] == traces[0], f"  a call like the one before was traced anew\n{told}")
    if not free:
        return
    steady = traces[0] if compat.BACKEND == "tensorflow" else traces[4]
    demand(traces[5] == steady, f"  another batch size was traced anew\n{told}")
    if case.traits.state is None:
        for n, found, due in zip(sizes[3:], outputs[3:], eager, strict=True):
            for a, e in zip(found, due, strict=True):
                what = f"  a batch of {n} through a trace made for any, and eager"
                demand_close(a, e, 1e-5, what, FUSED)


@declare(
    "X3",
    cost="fair",
    hint=(
        "Usually a tensor that `call` keeps on `self`: what a later call needs goes into a variable with "
        "`assign`, or is returned."
    ),
    shown=MODEL
    + """
model.compile(keras.optimizers.SGD(0.0), lambda t, y: sum(map(keras.ops.sum, keras.tree.flatten(y))) * 0.0)
target = keras.tree.map_structure(lambda y: np.zeros(y.shape), model(inputs))
model.train_on_batch(inputs, target)
for name, value in vars(model.layer).items():
    for x in keras.tree.flatten(value):
        if keras.ops.is_tensor(x) and name != "_losses":  # Keras keeps them until the next call
            keras.ops.convert_to_numpy(x)  # raises for a tensor of a trace that is over
            assert getattr(x, "grad_fn", None) is None, f"{name} keeps the graph of a call: {x}"
    """,
)
def no_tracer_leak(case):
    """After a traced call no attribute holds a tensor of it, and the layer runs and prints."""
    layer = case.built()
    arrays = case.arrays()
    compat.trace(layer, arrays, training=True)
    for inner in compat.sublayers(layer):
        for name, value in vars(inner).items():
            held = [x for x in _contents(value) if compat.is_traced(x)]
            if name == "_losses":  # those of the last call, which Keras keeps until the next
                continue
            demand(not held, f"  {inner.name}.{name} holds a tensor of a call that is over")
    case.call(layer, arrays)
    demand(repr(layer), "  the layer has no text form")


@declare(
    "X4",
    hint=(
        "Usually state that is no variable, or one that is changed behind Keras's back: `call` changes "
        "variables with `assign` alone, and computes with them and not with copies made in `build`."
    ),
    shown="""
layer = built()
arguments = {"training": True} if "training" in __import__("inspect").signature(layer.call).parameters else {}
read = lambda values: [keras.ops.convert_to_numpy(v).copy() for v in values]
rng = np.random.default_rng(5)
given = read(layer.variables)
given = [x + rng.normal(size=x.shape).astype(x.dtype) ** 2 if x.dtype.kind == "f" else x for x in given]
index = {id(v): i for i, v in enumerate(layer.variables)}
pick = lambda variables: [keras.ops.convert_to_tensor(given[index[id(v)]]) for v in variables]
before = read(layer.variables)
tensors = keras.tree.map_structure(keras.ops.convert_to_tensor, inputs)
y, state = layer.stateless_call(
    pick(layer.trainable_variables), pick(layer.non_trainable_variables), **tensors, **arguments)
for v, old, new in zip(layer.variables, before, read(layer.variables)):
    assert np.array_equal(old, new), f"{v.path} was {old} and is {new} after a stateless call"
for v, value in zip(layer.variables, given):
    v.assign(value)
for a, e in zip(keras.tree.flatten(y), keras.tree.flatten(layer.call(**tensors, **arguments))):
    a, e = read([a, e])
    assert np.allclose(a, e, atol=1e-5), f"{a.ravel()[:4]} stateless, {e.ravel()[:4]} by `call`"
for v, a, e in zip(layer.non_trainable_variables, read(state), read(layer.non_trainable_variables)):
    assert np.allclose(a, e, atol=1e-5), f"{v.path}: {a} returned, {e} after a call"
    """,
)
def stateless_pure(case):
    """`stateless_call` computes what a call does with the values given, returns new state and writes none."""
    layer = case.built()
    tensors = {path: compat.tensor(a) for path, a in case.arrays(values="normal").items()}
    generator = np.random.default_rng([case.sample.seed, 83])
    before = [compat.array(v) for v in layer.variables]
    given = [
        x + np.abs(generator.normal(size=x.shape)).astype(x.dtype) if x.dtype.kind == "f" else x
        for x in before
    ]
    for training in (False, True) if compat.takes(layer, "training") else (None,):
        arguments = {} if training is None else {"training": training}
        _reset(layer, before)
        with compat.global_seeds(case.sample.seed):
            stateless = partial(layer.stateless_call, *_by_trainable(layer, given))
            outputs, state = compat.call(stateless, tensors, **arguments)
        for variable, old in zip(layer.variables, before, strict=True):
            what = f"  {variable.path} after a stateless call, and before"
            demand_close(compat.array(variable), old, 0, what, "equal bits")
        _reset(layer, given)
        with compat.global_seeds(case.sample.seed):
            due = flat(compat.call(layer.call, tensors, **arguments))
        mode = " in training" if training else ""
        for a, e in zip(flat(outputs), due, strict=True):
            demand_close(a, e, 1e-5, f"  `stateless_call` and `call`{mode}", FUSED)
        variables = layer.non_trainable_variables
        demand(
            len(state) == len(variables),
            f"  {len(variables)} variables do not train{mode}; `stateless_call` returned {len(state)}",
        )
        for variable, a in zip(variables, state, strict=True):
            what = (
                f"  {variable.path}{mode}, as `stateless_call` returns it and as a call leaves it"
            )
            demand_close(compat.array(a), compat.array(variable), 1e-5, what, FUSED)


@declare(
    "X5",
    tier="should",
    cost="long",
    hint=(
        "Usually a branch on the backend, a default that differs between backends (an epsilon, an axis, "
        "rounding), or an operation of one backend's own."
    ),
    shown="""
import importlib, json, os, subprocess, sys, tempfile
layer = built()
path = os.path.join(tempfile.mkdtemp(), "found.npz")
named = lambda xs: {f"{i:03}": np.asarray(keras.ops.convert_to_numpy(x)) for i, x in enumerate(xs)}
weights, arrays = named(layer.weights), named(keras.tree.flatten(inputs))
np.savez(path, **{f"w{k}": x for k, x in weights.items()}, **{f"x{k}": x for k, x in arrays.items()})
shape = json.dumps(keras.tree.map_structure(lambda _: 0, inputs))
code = f'''
import importlib, json, keras, numpy as np
found = np.load({path!r})
cls = getattr(importlib.import_module({type(layer).__module__!r}), {type(layer).__name__!r})
layer = cls.from_config(json.loads({json.dumps(layer.get_config())!r}))
arrays = [found[k] for k in found if k[0] == "x"]
inputs = keras.tree.pack_sequence_as(json.loads({shape!r}), arrays)
layer(**inputs)
layer.set_weights([found[k] for k in found if k[0] == "w"])
outputs = map(keras.ops.convert_to_numpy, keras.tree.flatten(layer(**inputs)))
np.savez({path!r}, *outputs)
'''
for other in {"tensorflow", "jax", "torch"} - {keras.backend.backend()}:
    if importlib.util.find_spec(other) is None:
        continue
    kept = open(path, "rb").read()
    environment = {**os.environ, "KERAS_BACKEND": other, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    found = list(np.load(path).values())
    open(path, "wb").write(kept)
    for y, x in zip(keras.tree.flatten(layer(**inputs)), found):
        y = keras.ops.convert_to_numpy(y)
        assert np.allclose(x, y, atol=1e-4), f"{x.ravel()[:4]} on {other}, {y.ravel()[:4]} here"
    """,
)
def same_elsewhere(case):
    """With the same weights and inputs, outputs, masks and gradients agree on every backend installed."""
    if not backends.others():
        raise NotApplicable("no other backend is installed")
    layer = case.built()
    arrays = case.arrays(values="normal")
    masks = _masks(case, arrays)
    answers = backends.elsewhere(backends.job(case, layer, arrays, masks))
    own = backends.observed(layer, arrays, masks, case.sample.seed)
    for name, found in answers.items():
        if isinstance(found, str):
            raise Violation(f"  on {name} it raised {found}")
        demand(
            list(found) == list(own),
            f"  on {compat.BACKEND}, there are {list(own)}\n  on {name}, there are {list(found)}",
        )
        for what, value in own.items():
            if value.dtype.kind == "U" or found[what].dtype.kind == "U":
                same = np.array_equal(value, found[what])
                demand(same, f"  {what}: on {compat.BACKEND} {value}, on {name} {found[what]}")
            else:
                origin = "float32, 1e-4 for each backend's own order and approximations"
                said = f"  {what}, on {name} and on {compat.BACKEND}"
                demand_close(found[what], value, 1e-4, said, origin)
    return f"compared with {', '.join(answers)}"


@declare(
    "X6",
    tier="should",
    cost="long",
    hint=(
        "Usually a tensor or table that Keras does not track, a number asked for in Python while the call "
        "is traced, or a print for debugging."
    ),
    shown="""
import tempfile
named = {k: keras.Input(x.shape[1:], dtype=x.dtype, name=k) for k, x in inputs.items()}
layer = built()
model = keras.Model(named, layer(**named))
expected = keras.tree.flatten(layer(**inputs))
path = tempfile.mkdtemp() + "/model"
if keras.backend.backend() == "torch":
    import torch
    model.export(path + ".pt2", format="torch", verbose=False,
        input_signature=[{k: keras.InputSpec(shape=x.shape, dtype=x.dtype) for k, x in inputs.items()}])
    loaded = torch.export.load(path + ".pt2").module()
else:
    import tensorflow as tf
    model.export(path, format="tf_saved_model", verbose=False)
    loaded = tf.saved_model.load(path).serve
convert = torch.tensor if keras.backend.backend() == "torch" else tf.constant
found = keras.tree.flatten(loaded({k: convert(x) for k, x in inputs.items()}))
for y, e in zip(found, expected):
    y, e = (np.asarray(x.detach() if hasattr(x, "detach") else x, "float64") for x in (y, e))
    close = np.abs(y - e).max() <= 1e-4 * max(1, np.abs(e).max())
    assert close, f"{y.ravel()[:4]} and {e.ravel()[:4]}"
    """,
)
def export(case):
    """A model around the layer is exported, and loaded again it computes the same, whatever the batch."""
    layer = case.built()
    model = case.functional(layer)
    arrays = case.arrays(values="normal")
    with tempfile.TemporaryDirectory() as folder:
        with case.resting(layer):
            loaded = compat.exported(model, case.feed(arrays), folder, _any_batch(case))
        samples = {"as it was built": arrays}
        if _any_batch(case) and case.traits.state != "always":
            samples["of another size"] = case.arrays(values="normal", b=case.sizes["b"] + 2)
        for size, given in samples.items():
            found = [compat.foreign_array(y) for y in keras.tree.flatten(loaded(case.feed(given)))]
            for a, e in zip(found, case.run_model(model, given), strict=True):
                what = f"  the exported model and the model, a batch {size}"
                demand_close(a, e, 1e-5, what, FUSED)


def _any_batch(case) -> bool:
    return "b" in case.traits.dynamic.split()


def _by_trainable(layer, values) -> tuple[list, list]:
    """Values for the variables that train, and for the others."""
    value = {id(variable): each for variable, each in zip(layer.variables, values, strict=True)}
    trained, others = (
        [compat.tensor(value[id(variable)]) for variable in variables]
        for variables in (layer.trainable_variables, layer.non_trainable_variables)
    )
    return trained, others


def _reset(layer, values) -> None:
    for variable, value in zip(layer.variables, values, strict=True):
        variable.assign(value)


def _masks(case, arrays) -> dict[str, np.ndarray]:
    """A mask for each input that may be padded: the last step of each sample but the first."""
    masking = case.traits.masking
    if masking is None:
        return {}
    masks = {}
    for path in masking if isinstance(masking, dict) else [case.first]:
        if path in arrays and arrays[path].ndim > 1:
            masks[path] = np.ones(arrays[path].shape[:2], bool)
            masks[path][1:, -1] = arrays[path].shape[1] == 1
    return masks


def _contents(value):
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple | set):
        return [each for inner in value for each in _contents(inner)]
    return [value]
