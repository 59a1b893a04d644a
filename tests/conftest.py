"""What the tests of the layers share: random weights, and gradients on whichever backend Keras runs."""

import functools
import itertools
import json
import os
import re
import time
from collections import Counter
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # small work, and a process for each core

import keras
import numpy as np
import pytest
from arrays import joined
from hypothesis import Phase, settings
from keras import ops

from layerzoo import catalogue
from layerzoo.catalogue import families
from layerzoo.tensors import quick

# How much Hypothesis draws, by LAYERZOO_EXAMPLES or `--hypothesis-profile`: `push` is judged alike twice,
# `nightly` draws ten times as much, and `explore` each time something else, and keeps what fails.
PHASES = [Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink]
settings.register_profile(
    "push", deadline=None, derandomize=True, database=None, phases=PHASES, max_examples=100
)
settings.register_profile("nightly", settings.get_profile("push"), max_examples=1000)
settings.register_profile(
    "explore", deadline=None, phases=[*PHASES, Phase.target], max_examples=1000, print_blob=True
)
settings.load_profile(os.environ.get("LAYERZOO_EXAMPLES", "push"))


def pytest_configure(config):
    # TensorFlow's variables do not take NumPy 2's `copy` yet, so that every save of a model warns.
    ignored = "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
    config.addinivalue_line("filterwarnings", ignored)


started = time.time()
HERE = Path(__file__).parent
FAMILIES = families()
LAYERS = [
    name
    for card in catalogue().values()
    for name in (card.name, card.layer.__module__.rpartition(".")[2])
]
ONCE = (
    "cookbook/test_bench.py",
    "cookbook/test_demo.py",
    "cookbook/test_depth.py",
    "cookbook/test_drawing.py",
    "cookbook/test_eject.py",
    "cookbook/test_evidence.py",
    "cookbook/test_generating.py",
    "cookbook/test_pages.py",
    "cookbook/test_plain_text.py",
    "cookbook/test_weights_from.py",
    "docs/",
    "entry/",
    "guide/test_attention_maps.py",
    "guide/test_property_tests.py",
    "hunting/test_cards.py",
    "test_any_order.py",
    "test_catalogue.py",
    "test_ci.py",
    "test_distribution.py",
    "test_new_layer.py",
    "test_nightly.py",
    "test_package.py",
    "test_shape_of_code.py",
    "test_states.py",
    "testing/test_broken_by_size.py",
    "testing/test_broken_zoo.py",
    "testing/test_claims.py",
    "testing/test_inconclusive.py",
    "testing/test_infer.py",
    "testing/test_matrix.py",
    "testing/test_mutate.py",
    "testing/test_nothing_compared.py",
    "testing/test_plugins.py",
    "testing/test_pytest_plugin.py",
    "testing/test_replay.py",
    "testing/test_reports.py",
    "testing/test_samples.py",
    "testing/test_shown.py",
    "testing/test_targets.py",
    "testing/test_triage.py",
)
"""What CI runs on TensorFlow alone: it asks nothing of the backend, or another step asks it there.

The command line, the scaffold, pages, site and the shape of the code are the same on each backend, and so
is how the kit draws, judges and reports. The kill matrix looks at every broken layer on each of them, and
the kit at every layer and at the example in its docstring. A program that shows a failure is printed only
if it was seen to fail, so that one which does not show it elsewhere is left out there.
"""

EVERYWHERE = (
    "cookbook/test_demo.py::test_a_run_leaves_what_it_reports",
    "cookbook/test_eject.py::test_the_ejected_layer_gives_the_same_numbers",
    "cookbook/test_eject.py::test_the_ejected_layer_is_saved_and_loaded_without_custom_objects",
    "cookbook/test_generating.py::test_each_way_to_run_a_step_gives_the_same",
    "docs/test_snippets.py::test_the_block_prints_what_it_says[README.md",
    "test_distribution.py::test_eight_devices_learn_what_one_does_and_move_only_sums",
    "test_package.py::test_every_layer_is_registered",
    "test_package.py::test_importing_it_registers_the_layers_and_brings_no_tool_along",
    "test_states.py::test_a_compiled_step_is_traced_once_and_gives_nan_without_room",
    "test_states.py::test_a_context_is_projected_once_and_then_kept",
    "test_states.py::test_a_functional_model_of_one_step",
    "test_states.py::test_a_stack_with_masks_of_its_own",
    "test_states.py::test_beams_are_reordered_by_the_batch_axis",
    "test_states.py::test_in_half_precision_sums_are_kept_in_float32",
)
"""What CI runs on each backend all the same: a model trained and reloaded, an ejected layer, the README,
a step run in each way.

On JAX, also what several devices do. Of states, what a stack of layers and a compiler do with them.
"""


def pytest_collection_modifyitems(items):
    """Mark what CI runs on one backend: `-m "not once"` leaves it out on the others."""
    for item in items:
        if HERE not in item.path.parents:
            continue  # what `--layerzoo` adds
        name = f"{item.path.relative_to(HERE).as_posix()}::{item.nodeid.partition('::')[2]}"
        if name.startswith(ONCE) and not name.startswith(EVERYWHERE):
            item.add_marker("once")


NAMED = re.compile(rf"\b({'|'.join(LAYERS)})\b")
spent = Counter()


def kind(nodeid):
    """What a test is about: the kit's checks of layers, a layer's own tests, or the house.

    The first two grow with the number of layers. Own tests are those of a family and of parity, and those
    with a layer in their parameters, as for its page.
    """
    path, _, name = nodeid.partition("::")
    parts = Path(path).parts[1:]  # below `tests`
    if parts[:1] == ("test_every_layer.py",):
        return "kit"
    if {"parity", *FAMILIES} & set(parts[:1]) or NAMED.search(name.partition("[")[2]):
        return "own"
    return "house"


def pytest_runtest_logreport(report):
    """Add up the seconds of the tests by kind, where `.ci/run` asks for them."""
    spent[kind(report.nodeid)] += report.duration
    if kind(report.nodeid) == "kit" and report.when == "setup":
        known = report.skipped and "as the ledger says" in str(report.longrepr)
        spent["known" if known else "checked"] += 1


def pytest_sessionfinish(session):
    """Log them for `.ci/minutes.py`; a step may run several sessions."""
    if "CI_LOG" not in os.environ or hasattr(session.config, "workerinput"):
        return
    log = Path(os.environ["CI_LOG"]) / f"{os.environ['CI_STEP']}.json"
    before = json.loads(log.read_text()) if log.is_file() else {}
    spent["session"] += time.time() - started
    kinds = ("kit", "own", "house", "checked", "known", "session")
    log.write_text(
        json.dumps({kind: round(before.get(kind, 0) + spent[kind], 1) for kind in kinds})
    )


@pytest.fixture(autouse=True)
def compiled_quickly():
    """JAX compiles each operation for each shape; what runs once need not be optimized.

    A check of the kit that compiles as a user does, such as X1, says so itself.
    """
    with quick.optimized(False):
        yield


finished = itertools.count(1)


def pytest_runtest_teardown():
    """JAX keeps all that it compiled, which comes to gigabytes; a folder may keep it for the next test."""
    if keras.backend.backend() == "jax" and next(finished) % 100 == 0:
        import jax

        jax.clear_caches()


@pytest.fixture(scope="session")
def randomise():
    """Sets every weight of a built layer to random values, for zeros and ones hide errors.

    Variances become positive. Gives the values by their paths below the layer.
    """

    def randomise(layer, seed=0):
        rng = np.random.default_rng(seed)
        values = {}
        for weight in layer.weights:
            value = rng.normal(scale=0.5, size=weight.shape)
            if weight.path.endswith("variance"):
                value = 0.5 + np.abs(value)
            weight.assign(value.astype("float32"))
            values[weight.path.removeprefix(layer.path + "/")] = value
        return values

    return randomise


@functools.lru_cache(maxsize=4)
def _compiled(layer):
    """On JAX, one program for the outputs and all gradients, which later calls of equal shapes reuse."""
    import jax

    def loss(x, weights, rest, kwargs):
        outputs, _ = layer.stateless_call(weights, rest, x, **kwargs)
        outputs = joined(outputs)
        return ops.sum(ops.square(outputs)), outputs

    return jax.jit(jax.grad(loss, argnums=(0, 1), has_aux=True))


@pytest.fixture(scope="session")
def results():
    """The outputs, then the gradients of the sum of their squares: by the inputs, then by each weight."""

    def results(layer, inputs, **kwargs):
        x = ops.convert_to_tensor(inputs)
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            with tf.GradientTape() as tape:
                tape.watch(x)
                outputs = joined(layer(x, **kwargs))
                loss = ops.sum(ops.square(outputs))
            found = tape.gradient(loss, [x, *(w.value for w in layer.trainable_weights)])
        elif keras.backend.backend() == "jax":
            weights = [w.value for w in layer.trainable_variables]
            rest = [v.value for v in layer.non_trainable_variables]
            (by_inputs, by_weights), outputs = _compiled(layer)(x, weights, rest, kwargs)
            found = [by_inputs, *by_weights]
        else:
            import torch

            x.requires_grad_()
            outputs = joined(layer(x, **kwargs))
            leaves = [x, *(w.value for w in layer.trainable_weights)]
            found = torch.autograd.grad(ops.sum(ops.square(outputs)), leaves)
        return [ops.convert_to_numpy(each) for each in (outputs, *found)]

    return results


@pytest.fixture(scope="session")
def gradients(results):
    """Gradients of the sum of the squared outputs: by the inputs first, then by each weight."""
    return lambda layer, inputs, **kwargs: results(layer, inputs, **kwargs)[1:]
