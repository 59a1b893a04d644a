"""What is needed to build a layer: its arguments, its heads, its sublayers, its seeds."""
