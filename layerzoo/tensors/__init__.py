"""Values and gradients of any Keras layer, by name and in NumPy, on the backend that Keras uses."""
