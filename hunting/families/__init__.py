"""Cards of Keras's own layers, a module for each family of them."""
