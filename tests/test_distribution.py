"""Sharded layers compute what one device does, and send each other no more than a sum."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from recipes import CARDS, arrays, last

from layerzoo.distribution import COLUMNS, ROWS, layout_map

HERE = Path(__file__).parent
MESH = keras.distribution.DeviceMesh((1, 2), ["batch", "model"], ["cpu:0", "cpu:1"])


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="Keras shards variables on JAX alone")
def test_eight_devices_learn_what_one_does_and_move_only_sums():
    program = [HERE / "eight_devices.py", HERE.parent / "docs" / "guide" / "sharding.md"]
    run = subprocess.run(
        [sys.executable, *program], capture_output=True, text=True, timeout=300, check=False
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    alone, together = found["losses"]
    assert len(alone) == 10
    assert alone[-1] < 0.9 * alone[0]
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-6)
    sums = dict.fromkeys(found["forward"], 1) | {"PerceiverResampler": 2}  # attention and MLP
    assert found["forward"] == {name: {"all-reduce": n} for name, n in sums.items()}
    assert found["backward"] == {name: {"all-reduce": 2} for name in ("SelfAttention", "GatedMLP")}


def test_each_name_of_the_table_is_that_of_a_projection():
    layout, cut = layout_map(MESH), set()
    for card in CARDS:
        config = card.configs(last)
        layer = card.layer(**config)
        layer(**arrays(card, config, card.dims(last, config)))
        for weight in layer.weights:
            place = layout[weight.path]
            if place is None:
                continue
            assert len(place.axes) == len(weight.shape), weight.path
            cut.add(weight.path.split("/")[-2].replace("_0", r"_\d+").replace("_1", r"_\d+"))
    assert cut == {*COLUMNS, *ROWS}


def test_other_weights_are_replicated():
    layout = layout_map(MESH, axis="batch")
    assert layout["self_attention/output/kernel"].axes == ("batch", None)
    for path in ("self_attention/output/bias", "self_attention/query_norm/scale", "output/kernel"):
        assert layout[path] is None


def test_bad_arguments_are_refused():
    with pytest.raises(TypeError, match=r"`mesh` must be .*DeviceMesh`\. Received: mesh=None"):
        layout_map(None)
    with pytest.raises(
        ValueError, match=r"one of .*axes\. Received: axis='heads', mesh\.axis_name"
    ):
        layout_map(MESH, axis="heads")
