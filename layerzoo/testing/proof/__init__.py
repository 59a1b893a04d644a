"""The proof that the kit can fail: broken layers, injected defects, and the matrix of what detects what."""
