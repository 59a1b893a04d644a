"""What the card declares conserved is: the residue of the first input and the first output is zero."""

from layerzoo.testing.shown import built, claimed, inputs, numbers

x, y = next(iter(inputs.values())), numbers(built()(**inputs))[0]
for claim, residue in claimed["conserves"].items():
    left, allowed = abs(residue(x, y)).max(), 1e-5 * max(1, abs(x).max(), abs(y).max())
    assert left <= allowed, f"{claim}: {left} is left, but only {allowed} is allowed"
