"""An output depends only on steps within the declared window, and does depend on its outermost steps."""

import numpy as np

from layerzoo.testing.shown import built, claimed, inputs, numbers

layer = built()
(name, x), (earlier, later) = next(iter(inputs.items())), claimed["reach"]
for k in range(x.shape[1]):
    changed = x.copy()
    changed[:, k] = x[:, k - 1]
    far = [t for t in range(x.shape[1]) if not -earlier <= k - t <= later]
    for y, e in zip(numbers(layer(**{**inputs, name: changed})), numbers(layer(**inputs))):
        y, e = y[:, far], e[:, far]
        same = np.allclose(y, e, atol=1e-6)
        assert same, f"step {k} changed; at steps {far} {y.ravel()[:4]}, not {e.ravel()[:4]}"
