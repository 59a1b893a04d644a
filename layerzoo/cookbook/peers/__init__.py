"""What one would use instead of a layer: one module a layer, measured beside it by `layerzoo bench`.

Each module has `WORK`, a list of input shapes by axis letters, `layer(sizes)` and `instead(sizes)`,
and `INSTEAD`, a line that says what the second is.
"""
