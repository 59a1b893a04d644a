"""What making a layer needs: its arguments, its heads, the layers inside it, its seeds."""
