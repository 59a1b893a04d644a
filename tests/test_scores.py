"""Layers that return attention scores: their shapes, and that they are told before any number is."""

import keras
from recipes import arrays, each_draw, shapes, takes


@each_draw(lambda card, config: takes(card, "return_attention_scores"))
def test_symbolic_scores_have_the_shape_of_real_ones(card, draw):
    config, fixed = draw()
    sizes = dict(b=3, t=5, s=6, y=5, x=7)
    layer = card.layer(**config)
    given = shapes(card, config, fixed, **sizes)
    real = layer(**arrays(card, config, fixed, **sizes), return_attention_scores=True)
    assert len(real) == 2

    known = {name: keras.Input(shape[1:]) for name, shape in given.items()}
    symbolic = layer(**known, return_attention_scores=True)
    assert [x.shape for x in symbolic] == [(None, *x.shape[1:]) for x in real]
    assert [x.dtype for x in symbolic] == [keras.backend.standardize_dtype(x.dtype) for x in real]

    dynamic = card.traits.under(config).dynamic.split()
    letters = {name: tensor.letters for name, tensor in card.tensors(config).items()}
    unknown = {
        name: keras.Input(
            [None if a in dynamic else n for a, n in zip(letters[name], shape, strict=True)][1:]
        )
        for name, shape in given.items()
    }
    for symbol, x in zip(layer(**unknown, return_attention_scores=True), real, strict=True):
        assert len(symbol.shape) == len(x.shape)
        assert all(a in (None, n) for a, n in zip(symbol.shape, x.shape, strict=True))
