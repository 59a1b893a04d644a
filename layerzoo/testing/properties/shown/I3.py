"""If the first input is transformed as the card declares, the outputs transform as it declares."""

from layerzoo.testing.shown import built, claimed, inputs, numbers

layer = built()
name, x = next(iter(inputs.items()))
for claim, (before, after) in claimed["equivariant"].items():
    for y, e in zip(numbers(layer(**{**inputs, name: before(x)})), numbers(layer(**inputs))):
        error, allowed = abs(y - after(e)).max(), 1e-5 * max(1, abs(e).max())
        assert error <= allowed, f"{claim}: {y.ravel()[:4]}, not {after(e).ravel()[:4]}"
