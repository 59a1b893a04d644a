"""The doors of layerzoo: the command line, the pytest plug-in, and the package that `layerzoo new` copies.

They stand beside the package and not in it, because `import layerzoo` imports Keras, which takes
seconds, and a door that only says `--help` must open at once.
"""
