"""What the blocks of this family claim alike, and the axes of their images."""

import keras


def images(config):
    """The axes of images in the config's data format."""
    return "b y x c" if config["data_format"] == "channels_last" else "b c y x"


def kinked_by_relu(config):
    """ReLU has points without a derivative."""
    return "kinked" if config["activation"].startswith("relu") else "smooth"


def empty_batches(config):
    """On a CPU, TensorFlow's convolutions give an empty batch the channels of their input."""
    return None if keras.backend.backend() == "tensorflow" else True


def strided_on_jax(config):
    """Exports of a block with strides that fail, and why."""
    if config["strides"] == 1:
        return {}
    reason = "JAX cannot tell that two formulas for the height of the outputs are equal"
    return {"tf_saved_model@jax, free sizes": reason}
