"""What the cards of the layers that stand in for Keras's recurrent ones have in common."""

from layerzoo.card import Traits


def configs(pick):
    """The arguments of a layer, each moved off its default by some pick."""
    return dict(
        units=pick([4, 3]),
        activation=pick([None, "tanh"]),
        use_bias=pick([True, False]),
        kernel_initializer=pick(["glorot_uniform", "he_normal"]),
        return_sequences=pick([True, False]),
        return_state=pick([False, True]),
        go_backwards=pick([False, True]),
    )


def traits() -> Traits:
    """What they claim."""
    return Traits(
        masking=lambda config: "propagates" if config["return_sequences"] else "consumes",
        strict_masks=True,
        dynamic="b t",
        causal=lambda config: not config["go_backwards"] if config["return_sequences"] else None,
        continues=lambda config: None if config["go_backwards"] else True,
    )
