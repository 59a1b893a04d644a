import keras
import numpy as np
import pytest
from arrays import close, random
from keras import ops

from layerzoo import ConvolutionalBlockAttention, EfficientChannelAttention, SqueezeExcite


@pytest.fixture
def channels_first():
    before = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_first")
    yield
    keras.config.set_image_data_format(before)


@pytest.mark.parametrize(
    "layer", [SqueezeExcite, EfficientChannelAttention, ConvolutionalBlockAttention]
)
def test_the_global_data_format_is_the_default(randomise, channels_first, layer):
    first, last = layer(), layer(data_format="channels_last")
    assert (first.data_format, last.data_format) == ("channels_first", "channels_last")
    assert layer.from_config(first.get_config()).data_format == "channels_first"
    x = random(2, 5, 3, 16)
    turned = np.moveaxis(x, -1, 1)
    last.build(x.shape)
    first.build(turned.shape)
    randomise(last)
    first.set_weights(last.get_weights())
    close(first(turned), np.moveaxis(ops.convert_to_numpy(last(x)), -1, 1))
