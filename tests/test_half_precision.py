"""Half precision rounds a layer's inputs, weights and outputs a few times, and not once a step.

The kit's N1 and N2 look at few steps, with tolerances for layers of every kind; ours have to be nearer. A
layer's own tests look at sums and positions that half precision cannot hold.
"""

import keras
import numpy as np
import pytest
from arrays import joined
from keras import ops
from recipes import arrays, each_draw, takes

UNITS = {"mixed_float16": 2.0**-11, "mixed_bfloat16": 2.0**-8}
"""By how much one rounding moves a number, as a share of it."""


def but_states(layer, outputs):
    """The outputs without the state that a layer was made to return, which may be float32."""
    return outputs[0] if getattr(layer, "return_state", False) else outputs


@pytest.mark.parametrize("policy", UNITS)
@each_draw()
def test_many_steps_stay_near_float32(card, draw, randomise, policy):
    config, fixed = draw()
    inputs = arrays(card, config, fixed, b=2, t=64, s=64, y=12, x=9)
    precise = card.layer(**config)
    precise(**inputs)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)  # a layer that is passed in follows it
    try:
        half = card.layer(**draw()[0])
    finally:
        keras.config.set_dtype_policy(before)
    half(**inputs)

    masks = {}
    if takes(card, "mask") and card.traits.under(config).masking:
        steps = next(iter(inputs.values())).shape[1]
        masks["mask"] = np.arange(steps) < [[steps], [steps * 3 // 4]]

    def rounded(x):
        return ops.convert_to_numpy(ops.cast(ops.cast(x, half.compute_dtype), "float32"))

    near = []
    for seed in range(3):  # a layer with few outputs has too few for a share of them
        randomise(precise, seed)
        half.set_weights(precise.get_weights())
        y = joined(but_states(half, half(**inputs, **masks)))
        assert keras.backend.standardize_dtype(y.dtype) == half.compute_dtype
        y, due = (
            ops.convert_to_numpy(ops.cast(x, "float32"))
            for x in (y, joined(but_states(precise, precise(**inputs, **masks))))
        )

        # No layer is nearer than rounded inputs and weights alone bring it, as where a sum is almost zero.
        precise.set_weights([rounded(weight) for weight in precise.get_weights()])
        near_inputs = {name: rounded(x) for name, x in inputs.items()}
        moved = joined(but_states(precise, precise(**near_inputs, **masks)))
        moved = np.abs(ops.convert_to_numpy(moved) - due)
        error, unit = np.abs(y - due), UNITS[policy] * np.abs(due).max()
        assert np.isfinite(y).all()
        assert (error <= 8 * unit + moved).all()
        near.append(error <= 4 * unit)
    assert np.mean(near) > 0.97
