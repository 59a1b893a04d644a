"""The experiments of this family: what a paper claims of a layer, tried at small scale."""
