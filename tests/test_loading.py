"""A file that somebody else wrote is read, and none of its code is run."""

import keras
import pytest

from layerzoo import Residual, SelfAttention

RAN = []


def _lambda():
    return keras.layers.Lambda(lambda x: RAN.append("code of the file") or x)


@pytest.mark.parametrize(
    "layer", [Residual(_lambda()), Residual([_lambda()]), SelfAttention(2, position=_lambda())]
)
@pytest.mark.filterwarnings("ignore:The object being serialized includes a `lambda`")
def test_code_in_a_wrapped_layer_is_refused(layer, tmp_path):
    model = keras.Sequential([keras.Input((5, 4)), layer])
    model.save(tmp_path / "hostile.keras")
    RAN.clear()
    with pytest.raises(Exception, match=r"safe_mode|unsafe deserialization|arbitrary code"):
        keras.saving.load_model(tmp_path / "hostile.keras")
    assert RAN == []


@pytest.mark.parametrize(
    "hostile",
    [
        {"module": "os", "class_name": "system", "config": "true", "registered_name": None},
        {"module": "builtins", "class_name": "eval", "config": "1", "registered_name": None},
        {"class_name": "__lambda__", "config": {"value": ["", None, None]}, "module": "builtins"},
    ],
)
def test_a_config_that_names_other_code_is_refused(hostile):
    with pytest.raises((TypeError, ValueError)):
        Residual.from_config({"layer": hostile})
    with pytest.raises((TypeError, ValueError)):
        SelfAttention.from_config({"num_heads": 2, "position": hostile})
