"""The doors of layerzoo: the command line and the pytest plug-in.

They stand beside the package and not in it, because `import layerzoo` imports Keras, which takes
seconds, and a door that only says `--help` must open at once.
"""
