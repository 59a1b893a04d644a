"""What stands in padding reaches nothing: to the bit, in every layer that is given a mask.

The kit looks at the same with its tolerances (M1 to M3); here gradients are compared too.
"""

import numpy as np
from arrays import INSIDE, LEFT, RIGHT
from recipes import arrays, each_draw, takes

FULL, NOTHING = [1] * 5, [0] * 5
MASK = np.array([FULL, LEFT, RIGHT, INSIDE, NOTHING], bool)  # samples know nothing of each other
GARBAGE = [np.nan, np.inf, 1e30]


def claims(card, config):
    """What the layer claims of padding, by the names of the inputs that have a mask."""
    masking = card.traits.under(config).masking
    name = next(iter(card.tensors(config)))
    return masking if isinstance(masking, dict) else {name: masking}


def masked(card, config):
    return takes(card, "mask") and {"propagates", "consumes"} & set(claims(card, config).values())


@each_draw(masked)
def test_padding_reaches_neither_outputs_nor_gradients(card, draw, randomise, results):
    config, fixed = draw()
    inputs = arrays(card, config, fixed, b=5, t=5, s=5, y=5)
    layer = card.layer(**config)
    layer(**inputs)
    randomise(layer)
    first = next(iter(inputs))
    names = {name: "mask" if name == first else f"{name}_mask" for name in claims(card, config)}
    propagates = claims(card, config)[first] == "propagates"

    def found(filling, mask=MASK):
        """Outputs and gradients, with a value in padded steps."""
        given = dict(inputs)
        for name in names:
            steps = mask.reshape(*mask.shape, *(1,) * (given[name].ndim - 2))
            given[name] = np.where(steps, given[name], np.float32(filling))
        return results(layer, given.pop(first), **given, **dict.fromkeys(names.values(), mask))

    clean = found(0.5)
    assert all(np.isfinite(each).all() for each in clean)
    # A layer that gives numbers in padding, as a residual one does, computes them of what stands there.
    blank = not propagates or not clean[0][~MASK].any()
    for filling in GARBAGE:
        outputs, by_inputs, *_ = spoilt = found(filling)
        valid = MASK if propagates else np.s_[:]
        np.testing.assert_array_equal(outputs[valid], clean[0][valid])
        assert np.isfinite(outputs[valid]).all()
        if blank:
            assert not by_inputs[~MASK].any()
            for gradient, due in zip(spoilt[1:], clean[1:], strict=True):
                np.testing.assert_array_equal(gradient, due)
                assert np.isfinite(gradient).all()
            assert by_inputs[MASK].any()
    if blank:  # a batch that is nothing but padding
        outputs, *gradients = found(np.nan, np.zeros_like(MASK))
        assert not (propagates and outputs.any())
        assert all(np.isfinite(each).all() for each in (outputs, *gradients))
        assert not gradients[0].any()
