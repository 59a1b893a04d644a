"""The entry points of layerzoo: command line, pytest plug-in, and the package that `layerzoo new` copies.

They are outside the package because `import layerzoo` imports Keras, which takes seconds, and `--help` must
answer at once.
"""
