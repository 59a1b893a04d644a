"""Parity with torchmil: the authors' own code of this pooling is no package."""

import numpy as np
import pytest
from arrays import INSIDE, LEFT, RIGHT, close, random
from parity.upstream import copy, randomised, run

from layerzoo import GatedAttentionPooling

torchmil = pytest.importorskip("torchmil.nn", reason="this layer is compared with torchmil's")


@pytest.mark.parametrize("mask", [None, [LEFT, RIGHT, INSIDE]])
@pytest.mark.parametrize("units", [1, 12])
def test_gated_attention_pooling(units, mask):
    theirs = randomised(torchmil.AttentionPool(8, units, gated=True))
    layer = GatedAttentionPooling(units)
    layer.build((None, None, 8))
    copy(theirs.fc1.module, layer.hidden)
    copy(theirs.fc_gated.module, layer.gate)
    copy(theirs.fc2, layer.score)
    x, mask = random(3, 5, 8), None if mask is None else np.array(mask, bool)
    close(layer(x, mask=mask), run(theirs, x, mask=mask))
