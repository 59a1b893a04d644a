"""The engine: it runs properties on samples of a layer, judges what they compare, and tells what it found."""
